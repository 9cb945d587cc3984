import { NO_KEY, type IdentityKeys } from '@pairline/protocol';
import { ClientError } from '../types.js';
import { Turns } from '../waiting.js';
import type { ChatKeyRecord, ChatRecord, Reading } from '../store.js';
import { ask, identityOf, myIdentity, within, type Host } from './host.js';
import { publicKeyOf, wrap } from './identity.js';
import { newChatKey } from './sealing.js';
import { currentKey } from './trust.js';
import { isIn, isVouched } from './vouching.js';

/** What to seal with now. */
export interface SealingKey {
  epoch: number;
  /** base64url */
  key: string;
  own: IdentityKeys;
  /** The user id by which one is known in the chat. */
  me: string;
}

const TRIES = 4;
/** Its number comes with its row: until then everything was before it. */
const LATER = Number.MAX_SAFE_INTEGER;

/** Resolves once what came from the server makes it true; rejects with `timeout` when that takes too long. */
export type WaitFor = (look: () => Promise<boolean>) => Promise<void>;

/** The keys of chats: one for each epoch, which begins when somebody is not to read any further. */
export class ChatKeys {
  private readonly turns = new Turns();

  constructor(
    private readonly host: Host,
    private readonly waitFor: WaitFor,
  ) {}

  /** Begins an epoch where the newest key is not here, or with somebody who is not in the chat any more. */
  async current(chatId: string): Promise<SealingKey> {
    const { own } = await myIdentity(this.host.store);
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const { epoch, me, key, isSpent } = await this.standing(chatId);
      if (key !== undefined && !isSpent) return { epoch, key, own, me };
      await this.rotate(chatId, epoch);
    }
    throw new ClientError('timeout', 'Others begin one key after the other');
  }

  /** A new key for all who are in the chat now, unless the epoch after this one has begun. */
  rotate(chatId: string, epoch: number): Promise<void> {
    return this.turns.take(async () => {
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const { epoch: present, isCrowded } = await this.standing(chatId);
        if (present > epoch) return;
        const living = await this.living(chatId);
        if (isCrowded) throw new ClientError('tampered', 'Somebody is said to be in a conversation of two people'); // prettier-ignore
        try {
          return await this.begin(chatId, epoch + 1, living);
        } catch (error) {
          if (!(error instanceof ClientError)) throw error;
          if (error.code === 'epoch_taken') await this.waitFor(async () => (await this.standing(chatId)).epoch > epoch);
          // Somebody came or went of whom the server has not told here yet.
          else if (error.code === 'keys_incomplete')
            await this.waitFor(async () => (await this.living(chatId)).join() !== living.join()); // prettier-ignore
          else throw error;
        }
      }
    });
  }

  /** The keys of epochs that are here, up to one, for somebody else. */
  async wrapped(chatId: string, userId: string, upTo: number): Promise<{ epoch: number; key: string }[]> {
    const { own } = await myIdentity(this.host.store);
    const { me } = await this.standing(chatId);
    const keys = await this.host.store.read((tx) => tx.where('chatKeys', 'chatId', chatId));
    const wrapped = keys.map(async ({ epoch, key }) => {
      if (key === undefined || epoch > upTo) return [];
      return [{ epoch, key: await this.wrapFor(userId, me, key, { chatId, epoch }, own) }];
    });
    return (await Promise.all(wrapped)).flat();
  }

  private async begin(chatId: string, epoch: number, living: string[]): Promise<void> {
    const { own } = await myIdentity(this.host.store);
    const { me, vouched } = await this.standing(chatId);
    const key = newChatKey();
    // The server wants something for everybody: of whom nobody says that they belong there gets nothing that opens.
    const keys = living.map(async (userId) => ({ userId, key: vouched.has(userId) ? await this.wrapFor(userId, me, key, { chatId, epoch }, own) : NO_KEY })); // prettier-ignore
    await ask(this.host, `/api/conversations/${chatId}/keys`, { body: { epoch, keys: await Promise.all(keys) } });
    const { store } = this.host;
    await store.exclusive('chats', () =>
      store.write(async (tx) => {
        const chat = await tx.get('chats', chatId);
        // Ended meanwhile, or signed out.
        if (chat?.row === undefined) return;
        const id = within(chatId, epoch);
        if ((await tx.get('chatKeys', id))?.key === undefined)
          await tx.put('chatKeys', [{ id, chatId, epoch, by: me, sender: publicKeyOf(own), key, from: LATER }]);
        if (chat.row.epoch >= epoch) return;
        await tx.put('chats', [{ ...chat, row: { ...chat.row, epoch }, spent: undefined }]);
      }),
    );
  }

  private async wrapFor(
    userId: string,
    me: string,
    key: string,
    { chatId, epoch }: { chatId: string; epoch: number },
    own: IdentityKeys,
  ): Promise<string> {
    const person = userId === me ? undefined : await this.host.store.read((tx) => tx.get('people', userId));
    const publicKey = userId === me ? publicKeyOf(own) : person && currentKey(person);
    const wrapped = publicKey && (await wrap(key, publicKey, { chatId, epoch, from: me, to: userId }, own));
    // Who has another app.
    return wrapped ?? NO_KEY;
  }

  private standing(
    chatId: string,
  ): Promise<{ epoch: number; me: string; key?: string; isSpent: boolean; isCrowded: boolean; vouched: Set<string> }> {
    return this.host.store.read(async (tx) => {
      const chat = await tx.get('chats', chatId);
      if (chat?.row === undefined) throw new ClientError('conversation_not_found', 'There is no such conversation');
      const { epoch, group } = chat.row;
      const held = await tx.get('chatKeys', within(chatId, epoch));
      const isSpent = (chat.spent !== undefined && chat.spent >= epoch) || !(await isByMember(tx, chat, held));
      // Of two people there are never others, not even in place of one that is said to have left.
      const members = await tx.where('chatMembers', 'chatId', chatId);
      const isCrowded = !group && members.length > 2;
      const vouched = new Set(members.filter((member) => isVouched(chat, member)).map(({ row }) => row.userId));
      return { epoch, me: chat.me, isSpent, isCrowded, vouched, ...(held?.key === undefined ? {} : { key: held.key }) };
    });
  }

  /** The user ids of those who are in it, or invited. */
  private living(chatId: string): Promise<string[]> {
    return this.host.store.read(async (tx) => {
      const members = await tx.where('chatMembers', 'chatId', chatId);
      return members.filter(({ row }) => isIn(row.state)).map(({ row }) => row.userId).sort(); // prettier-ignore
    });
  }
}

/** A key that was begun by somebody who is not in the chat now, for whom nobody vouches, or with keys that are not theirs any more, is read by others. */
async function isByMember(tx: Reading, chat: ChatRecord, held: ChatKeyRecord | undefined): Promise<boolean> {
  if (held === undefined) return false;
  const { by, sender } = held;
  const member = await tx.get('chatMembers', within(chat.id, by));
  if (member?.row.state !== 'accepted' || !isVouched(chat, member)) return false;
  const own = by === chat.me ? (await identityOf(tx)).at(-1) : undefined;
  const person = await tx.get('people', by);
  return sender === (own ? publicKeyOf(own) : person && currentKey(person));
}
