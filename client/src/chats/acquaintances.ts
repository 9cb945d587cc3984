import { PEOPLE_SAFETY, PEOPLE_SAFETY_WORDS } from '@pairline/protocol';
import { safetyWords } from '../keys/words.js';
import { ClientError } from '../types.js';
import type { WaitFor } from './chat-keys.js';
import { ask, identityOf, type Host } from './host.js';
import { fingerprintOf, publicKeyOf } from './identity.js';
import type { OwnIdentity } from './own-identity.js';
import { acceptKey, currentKey } from './trust.js';
import type { Person, Profile } from './types.js';
import { readPeople } from './views.js';

/** Oneself and others, outside of any chat: who they are, whose key is believed, who is blocked. */
export class Acquaintances {
  /** The key for which the safety words of somebody were told last. */
  private readonly told = new Map<string, string>();

  constructor(
    private readonly host: Host,
    private readonly identity: OwnIdentity,
    private readonly waitFor: WaitFor,
  ) {}

  async profile(): Promise<Profile> {
    const { userId, name = '', hidden = false } = await this.identity.who();
    const own = (await this.host.store.read(identityOf)).at(-1);
    return { userId, name, fingerprint: own === undefined ? '' : await fingerprintOf(publicKeyOf(own)), hidden };
  }

  async hide(hide: boolean): Promise<void> {
    await ask(this.host, '/api/profile/hide', { method: 'PUT', body: { hide } });
  }

  async person(userId: string): Promise<Person | undefined> {
    const known = await this.host.store.read((tx) => tx.get('people', userId));
    return known && (await readPeople(this.host.store, [userId]))[0];
  }

  async block(userId: string): Promise<void> {
    await ask(this.host, `/api/blocks/${encodeURIComponent(userId)}`, { method: 'PUT', body: {} });
    await this.waitFor(() => this.isBlocked(userId));
  }

  async unblock(userId: string): Promise<void> {
    await ask(this.host, `/api/blocks/${encodeURIComponent(userId)}`, { method: 'DELETE' });
    await this.waitFor(async () => !(await this.isBlocked(userId)));
  }

  async blocked(): Promise<Person[]> {
    const blocks = await this.host.store.read((tx) => tx.all('blocks'));
    return readPeople(this.host.store, blocks.map(({ id }) => id)); // prettier-ignore
  }

  async safetyWords(userId: string): Promise<string[] | undefined> {
    const { person, own } = await this.host.store.read(async (tx) => ({
      person: await tx.get('people', userId),
      own: (await identityOf(tx)).at(-1),
    }));
    const theirs = person && (person.offered ?? currentKey(person));
    if (theirs === undefined || own === undefined) return undefined;
    this.told.set(userId, theirs);
    return safetyWords(PEOPLE_SAFETY, publicKeyOf(own), theirs, PEOPLE_SAFETY_WORDS);
  }

  /** Answers the chats in which something may open now. */
  trust(userId: string, verified: boolean): Promise<string[]> {
    const { store } = this.host;
    return store.exclusive('chats', () =>
      store.write(async (tx) => {
        const known = await tx.get('people', userId);
        if (known === undefined) throw new ClientError('person_not_found', 'Nobody is known here by this id');
        const person = acceptKey(known);
        const key = currentKey(person);
        // Nobody has compared another one, which the server has put there since.
        if (verified && (this.told.get(userId) ?? key) !== key) throw new ClientError('key_changed', 'This person has another key than the one whose words were compared'); // prettier-ignore
        await tx.put('people', [verified && key !== undefined ? { ...person, verified: key } : person]);
        if (known.offered === undefined) return [];
        const members = (await tx.all('chatMembers')).filter(({ row }) => row.userId === userId);
        // They have none of the keys that were wrapped for the key before.
        for (const { chatId, row } of members) {
          const chat = await tx.get('chats', chatId);
          if (chat?.row !== undefined && (row.state === 'accepted' || row.state === 'invited'))
            await tx.put('chats', [{ ...chat, spent: chat.row.epoch }]);
        }
        return members.map(({ chatId }) => chatId);
      }),
    );
  }

  private isBlocked(userId: string): Promise<boolean> {
    return this.host.store.read(async (tx) => (await tx.get('blocks', userId)) !== undefined);
  }
}
