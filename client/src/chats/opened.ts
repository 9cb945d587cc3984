import type { ChatChange } from '@pairline/protocol';
import type {
  BlockRecord,
  ChatKeyRecord,
  ChatMarkRecord,
  ChatMemberRecord,
  ChatMessageRecord,
  ChatReactionRecord,
  ChatRecord,
  PersonRecord,
  Reading,
  Store,
} from '../store.js';
import { identityOf, within } from './host.js';
import { publicKeyOf } from './identity.js';
import { openKey, openMessage, openName, openReaction, type Keys } from './opening.js';
import { learnPerson } from './trust.js';
import { isIn, vouchedAmong } from './vouching.js';

interface Incoming {
  change: ChatChange;
  round: number;
}

type Of<Kind extends ChatChange['kind']> = { change: Extract<ChatChange, { kind: Kind }>; round: number };

/** Rows of some chats, opened with what is known and what came with them. Nothing is written yet. */
export class Opening implements Keys {
  /** Those that changed, or became known. */
  readonly chats = new Map<string, ChatRecord>();
  readonly members = new Map<string, ChatMemberRecord>();
  readonly people = new Map<string, PersonRecord>();
  readonly keys = new Map<string, ChatKeyRecord>();
  readonly messages: ChatMessageRecord[] = [];
  /** By which change a message came: the number of each, by the id of the message's record. */
  readonly came = new Map<string, number>();
  readonly reactions: ChatReactionRecord[] = [];
  readonly marks: ChatMarkRecord[] = [];
  readonly blocks: BlockRecord[] = [];
  readonly gone = { chats: new Set<string>(), messages: [] as string[], reactions: [] as string[], blocks: [] as string[] }; // prettier-ignore
  /** Those in which a key, or a person's key, is new. */
  private readonly unlocked = new Set<string>();

  private constructor(
    private readonly store: Store,
    private readonly accountId: string,
    readonly identity: Keys['identity'],
    private readonly known: { chats: Map<string, ChatRecord>; members: Map<string, ChatMemberRecord>; people: Map<string, PersonRecord>; keys: Map<string, ChatKeyRecord> }, // prettier-ignore
  ) {}

  static load(store: Store, chatIds: string[], accountId: string): Promise<Opening> {
    return store.read(async (tx) => {
      const ids = [...new Set(chatIds)];
      const [members, keys] = [await inChats(tx, 'chatMembers', ids), await inChats(tx, 'chatKeys', ids)];
      const chats = (await tx.getMany('chats', ids)).filter((chat) => chat !== undefined);
      return new Opening(store, accountId, await identityOf(tx), {
        chats: byId(chats),
        members: byId(members),
        people: byId(await tx.all('people')),
        keys: byId(keys),
      });
    });
  }

  /** Who is there first, then the keys that they wrapped, then what was sealed with those. */
  async open(changes: Incoming[]): Promise<void> {
    const of = <Kind extends ChatChange['kind']>(kind: Kind) => changes.filter(({ change }) => change.kind === kind) as Of<Kind>[]; // prettier-ignore
    for (const incoming of changes) {
      const { change, round } = incoming;
      if (change.kind === 'block') this.enterBlock(change.id, change.op, round);
      else if (change.kind === 'chat') this.enterChat(change, round);
      else if (change.kind === 'chat.member') await this.enterMember(change, round);
    }
    for (const id of new Set([...this.members.values()].map(({ chatId }) => chatId))) await this.vouch(id);
    for (const { change } of of('chat.key')) if (change.row !== undefined) await this.enterKey(await openKey(change.row, this)); // prettier-ignore
    await this.reopen([...this.unlocked]);
    for (const { change, round } of of('chat')) if (change.row !== undefined) await this.enterName(change.id, round);
    await Promise.all(of('chat.message').map(({ change, round }) => this.enterMessage(change, round)));
    await Promise.all(of('chat.reaction').map(({ change, round }) => this.enterReaction(change, round)));
    for (const { change, round } of of('chat.mark')) this.enterMark(change, round);
  }

  /** Opens what is closed in some chats. */
  async reopen(chatIds: string[]): Promise<void> {
    const closed = await this.store.read(async (tx) => ({
      keys: (await inChats(tx, 'chatKeys', chatIds)).flatMap(({ row }) => row ?? []),
      messages: (await Promise.all(chatIds.map((id) => tx.where('chatMessages', 'closed', id)))).flat(),
      reactions: (await Promise.all(chatIds.map((id) => tx.where('chatReactions', 'closed', id)))).flat(),
    }));
    for (const id of chatIds) await this.vouch(id);
    for (const row of closed.keys) await this.enterKey(await openKey(row, this));
    for (const { row, round } of closed.messages)
      if (row !== undefined) this.messages.push({ ...(await openMessage(row, this)), round });
    for (const { row, round } of closed.reactions)
      if (row !== undefined) this.reactions.push({ ...(await openReaction(row, this)), round });
    for (const id of chatIds) await this.enterName(id, this.chat(id).round);
  }

  me(chatId: string): string {
    return this.chat(chatId).me;
  }

  key(chatId: string, epoch: number): ChatKeyRecord | undefined {
    const id = within(chatId, epoch);
    return this.keys.get(id) ?? this.known.keys.get(id);
  }

  person(userId: string): PersonRecord | undefined {
    return this.people.get(userId) ?? this.known.people.get(userId);
  }

  chat(id: string): ChatRecord {
    return this.chats.get(id) ?? this.known.chats.get(id) ?? { id, me: this.accountId, unread: 0, mentioned: false, round: 0 }; // prettier-ignore
  }

  private enterBlock(id: string, op: string, round: number): void {
    if (op === 'delete') this.gone.blocks.push(id);
    else this.blocks.push({ id, round });
  }

  private enterChat({ id, row }: Of<'chat'>['change'], round: number): void {
    if (row === undefined) return void this.gone.chats.add(id);
    this.gone.chats.delete(id);
    const { spent, ...old } = this.chat(id);
    const isSpent = spent !== undefined && row.epoch <= spent;
    // Whatever the server says: two people stay two, and a key that was followed by another one does not come back.
    const group = old.row?.group ?? row.group;
    const epoch = Math.max(row.epoch, old.row?.epoch ?? 0);
    this.chats.set(id, { ...old, row: { ...row, group, epoch }, round, ...(isSpent ? { spent } : {}) });
  }

  private async enterMember({ row }: Of<'chat.member'>['change'], round: number): Promise<void> {
    if (row === undefined) return;
    const { chatId, userId, state } = row;
    const chat = this.chat(chatId);
    const id = within(chatId, userId);
    const before = this.members.get(id) ?? this.known.members.get(id);
    const wasIn = before !== undefined && isIn(before.row.state);
    const hasGone = !isIn(state) && (before === undefined || wasIn);
    const out = hasGone ? (chat.row?.epoch ?? 0) : before?.out;
    const isStill = isIn(state) && wasIn && before.vouched;
    const record: ChatMemberRecord = { id, chatId, row, round, ...(isStill && { vouched: true }), ...(out !== undefined && { out }) }; // prettier-ignore
    this.members.set(id, record);
    if (userId === chat.me) {
      if (state === 'declined') this.gone.chats.add(chatId);
      this.chats.set(chatId, chat);
      return;
    }
    // Who has gone has the key still. Rows come in the order in which they changed, so who was unknown went under the epoch that came before.
    const spent = hasGone && chat.row !== undefined ? { spent: chat.row.epoch } : {};
    this.chats.set(chatId, { ...chat, ...spent });
    this.people.set(userId, await learnPerson(this.person(userId), row));
    // In each chat on its own: what is closed there may have come before.
    if (row.publicKey !== before?.row.publicKey) this.unlocked.add(chatId);
    // In the order of the rows: whoever vouched may go with the next one.
    await this.vouch(chatId, [record]);
  }

  /** Sees who is vouched for now, of some or of all that are in a chat. */
  private async vouch(chatId: string, some?: ChatMemberRecord[]): Promise<void> {
    const all = [...new Map([...this.known.members, ...this.members]).values()].filter((member) => member.chatId === chatId); // prettier-ignore
    const known = { me: this.me(chatId), own: this.identity.map(publicKeyOf), person: (id: string) => this.person(id) };
    for (const member of await vouchedAmong(some ?? all, all, known)) this.members.set(member.id, { ...member, vouched: true }); // prettier-ignore
  }

  private async enterKey(record: ChatKeyRecord): Promise<void> {
    const { id, chatId, key, from } = record;
    const known = this.key(chatId, record.epoch);
    // What one has stays: nobody can put another key in its place. One's own comes back with the number from which it counts.
    if (known?.key !== undefined) {
      if (known.key === key && from < known.from) this.keys.set(id, { ...known, from });
      return;
    }
    this.keys.set(id, record);
    if (key !== undefined) this.unlocked.add(chatId);
  }

  private async enterName(id: string, round: number): Promise<void> {
    const chat = this.chat(id);
    const { name, nameFault } = await openName(id, chat.row?.name, this);
    const isNewer =
      name !== undefined &&
      (chat.name === undefined ||
        name.epoch > chat.name.epoch ||
        (name.epoch === chat.name.epoch && name.version >= chat.name.version));
    this.chats.set(id, { ...chat, ...(isNewer ? { name } : {}), nameFault, round });
  }

  private async enterMessage({ id, row, seq }: Of<'chat.message'>['change'], round: number): Promise<void> {
    this.came.set(id, seq);
    if (row === undefined) this.gone.messages.push(id);
    else this.messages.push({ ...(await openMessage(row, this)), round });
  }

  private async enterReaction({ id, row }: Of<'chat.reaction'>['change'], round: number): Promise<void> {
    if (row === undefined) this.gone.reactions.push(id);
    else this.reactions.push({ ...(await openReaction(row, this)), round });
  }

  private enterMark({ id, row }: Of<'chat.mark'>['change'], round: number): void {
    if (row === undefined) return;
    const { chatId, userId, delivered, read } = row;
    this.marks.push({ id, chatId, userId, delivered, read, round });
  }
}

async function inChats<Table extends 'chatMembers' | 'chatKeys'>(tx: Reading, table: Table, ids: string[]) {
  return (await Promise.all(ids.map((id) => tx.where(table, 'chatId', id)))).flat();
}

function byId<Item extends { id: string }>(items: Item[]): Map<string, Item> {
  return new Map(items.map((item) => [item.id, item]));
}
