import { STATE } from '@pairline/protocol';
import { newId } from './ids.js';
import { supersedes } from './keys/index.js';
import type { OpenedConversation, OpenedMessage, OpenedPage, OpenedRecord, OpenedState } from './reading.js';
import {
  isBefore,
  LAST_ID,
  type ConversationRecord,
  type InboxRecord,
  type MessageRecord,
  type Store,
  type SyncState,
  type Writing,
} from './store.js';
import { ClientError } from './types.js';

// Keeps what is shown of conversations in step with their messages, by what changes and without reading threads.

/** A conversation that this device began, until the server has a name for it; the number follows. */
export const OWN = 'to:';
/** One that the server named by itself, until the phone has a name for it. */
const PROVISIONAL = 'new:';
const PIECE = 1000;

export interface Touched {
  /** Conversations in which messages came, changed or went, and the time of the oldest of those, ms since 1970. */
  threads: Map<string, number>;
  list: boolean;
  devices: boolean;
  /** Values of the app. */
  values?: true;
  /** Tables of the app in which records came, changed or went. */
  records?: Set<string>;
  /** There is something new for the server. */
  outbox?: boolean;
  /** Rows of chats, for whoever opens them. */
  inbox?: true;
}

/** Whether the name of a conversation is not its last one. */
export function isProvisional(conversationId: string): boolean {
  return conversationId.startsWith(OWN) || conversationId.startsWith(PROVISIONAL);
}

/** The changes of one transaction: take notes, then `close()`. */
export class Books {
  readonly touched: Touched = { threads: new Map(), list: false, devices: false };
  private readonly conversations = new Map<string, ConversationRecord | undefined>();
  /** Those whose newest message is not known any more. */
  private readonly lastLost = new Set<string>();
  /** Those whose unread messages have to be counted again. */
  private readonly uncounted = new Set<string>();
  private readonly dropped = new Set<string>();
  /** old conversation → new one, of messages that went from one to the other */
  private readonly moved = new Map<string, string>();
  private waiting = 0;

  constructor(
    private readonly tx: Writing,
    private readonly sync: SyncState,
  ) {}

  /** Takes a page of rows over. */
  async enter(page: OpenedPage): Promise<void> {
    await this.enterConversations(page.conversations);
    await this.enterMessages(page.messages);
    await this.removeMessages(page.gone.messages);
    page.gone.conversations.forEach((id) => this.dropped.add(id));
    const { round } = this.sync;
    await this.tx.put('devices', page.devices.map((device) => ({ ...device, round }))); // prettier-ignore
    await this.tx.delete('devices', page.gone.devices);
    await this.enterStates(page.states);
    await this.tx.delete('states', page.gone.states);
    await this.enterRecords(page.records);
    await this.removeRecords(page.gone.records);
    await this.leave(page.chats.map((change) => ({ id: `${change.kind} ${change.id}`, seq: change.seq, change, round }))); // prettier-ignore
    this.touched.devices ||= page.devices.length + page.gone.devices.length > 0;
    const states = [...page.states.map(({ id }) => id), ...page.gone.states];
    this.touched.list ||= page.gone.conversations.length > 0 || states.some((id) => !isOfApp(id));
    if (states.some(isOfApp)) this.touched.values = true;
  }

  async enterMessages(messages: OpenedMessage[]): Promise<void> {
    const olds = await this.tx.getMany('messages', messages.map(({ id }) => id)); // prettier-ignore
    await this.load([...messages, ...olds].flatMap((message) => message?.conversationId ?? []));
    // What was deleted here stays away, also when the server, which does not know yet, tells of it again.
    const deleted = new Set((await this.tx.all('outbox')).map(({ id }) => id));
    const records: MessageRecord[] = [];
    messages.forEach(({ phoneNumber, ...message }, i) => {
      if (deleted.has(deletionOf(message.id))) return;
      const old = olds[i];
      const born = old?.born ?? message.born;
      const record = { ...message, ...(born === undefined ? {} : { born }), round: this.sync.round };
      if (old !== undefined) this.takeOut(old);
      this.putIn(record, phoneNumber);
      records.push(record);
      if (old !== undefined && old.conversationId !== record.conversationId && isProvisional(old.conversationId))
        this.moved.set(old.conversationId, record.conversationId);
    });
    await this.tx.put('messages', records);
  }

  async removeMessages(ids: string[]): Promise<void> {
    const olds = (await this.tx.getMany('messages', ids)).filter((old) => old !== undefined);
    await this.load(olds.map(({ conversationId }) => conversationId));
    for (const old of olds) this.takeOut(old);
    await this.tx.delete(
      'messages',
      olds.map(({ id }) => id),
    );
  }

  async removeRecords(ids: string[]): Promise<void> {
    for (const old of await this.tx.getMany('records', ids)) if (old !== undefined) this.touchTable(old.table);
    await this.tx.delete('records', ids);
  }

  touchTable(table: string): void {
    (this.touched.records ??= new Set()).add(table);
  }

  /** Changes a conversation as far as this device knows it. */
  async edit(id: string, change: (conversation: ConversationRecord) => ConversationRecord): Promise<void> {
    await this.load([id]);
    this.set(change(this.conversations.get(id) ?? blank(id, this.sync.round)));
  }

  /** Drops what the snapshot that just ended did not tell of; what only this device knows stays. */
  async sweep(): Promise<void> {
    const { round } = this.sync;
    for (const table of ['devices', 'states'] as const) {
      const old = (await this.tx.all(table)).filter((record) => record.round !== round);
      await this.tx.delete(table, old.map(({ id }) => id)); // prettier-ignore
    }
    this.touched.values = true;
    const records = (await this.tx.all('records')).filter((record) => record.round !== round);
    await this.removeRecords(records.map(({ id }) => id));
    for (let before: MessageRecord | undefined, more = true; more;) {
      const piece = await this.tx.range({ ...(before && { before }), limit: PIECE });
      const old = piece.filter((message) => message.round !== round && message.born !== undefined);
      await this.removeMessages(old.map(({ id }) => id));
      before = piece[0];
      more = piece.length === PIECE;
    }
    const old = (await this.tx.all('conversations')).filter((record) => record.round !== round);
    await this.load(old.map(({ id }) => id));
    for (const { id } of old) this.dropped.add(id);
    // What belongs to chats is swept by whoever has opened all that came before.
    await this.leave([{ id: 'sweep', seq: Number.MAX_SAFE_INTEGER, round }]);
    this.touched.list = this.touched.devices = true;
  }

  private async leave(rows: InboxRecord[]): Promise<void> {
    await this.tx.put('inbox', rows);
    if (rows.length > 0) this.touched.inbox = true;
  }

  /** Writes what follows from the notes. Answers the state of the sync with its count of waiting messages. */
  async close(): Promise<SyncState> {
    await this.load([...this.dropped]);
    const { tx } = this;
    for (const id of this.lastLost) {
      const [last] = await tx.range({ conversationId: id, limit: 1 });
      this.set({ ...this.conversations.get(id)!, last: last && lineOf(last) });
    }
    for (const id of this.uncounted) {
      const conversation = this.conversations.get(id)!;
      const after = { timestamp: boundOf(conversation), id: LAST_ID };
      const newer = await tx.range({ conversationId: id, after, limit: Infinity });
      this.set({ ...conversation, unread: newer.filter((message) => isUnread(conversation, message)).length });
    }
    const gone: string[] = [];
    const kept: ConversationRecord[] = [];
    for (const [id, conversation] of this.conversations) {
      if (conversation === undefined) continue;
      const told = conversation.row !== undefined && !this.dropped.has(id);
      if (!told && conversation.last === undefined) gone.push(id);
      else if (told) kept.push(conversation);
      else kept.push({ ...conversation, row: undefined });
    }
    await tx.put('conversations', kept);
    await tx.delete('conversations', gone);
    await this.follow();
    return { ...this.sync, waiting: this.sync.waiting + this.waiting };
  }

  /** What people left in a conversation that got another name goes along. */
  private async follow(): Promise<void> {
    for (const [id, to] of this.moved) {
      await this.tx.put('moves', [{ id, to }]);
      await this.moveFlags(STATE.flags(id), STATE.flags(to));
      const [draft, there] = await this.tx.getMany('drafts', [id, to]);
      if (draft === undefined) continue;
      await this.tx.delete('drafts', [id]);
      if (there === undefined) await this.tx.put('drafts', [{ id: to, text: draft.text }]);
    }
  }

  private async moveFlags(from: string, to: string): Promise<void> {
    const [flags, there] = await this.tx.getMany('states', [from, to]);
    await this.tx.delete('outbox', [from]);
    if (flags?.value === undefined || there !== undefined) return;
    await this.tx.delete('states', [from]);
    await this.tx.put('states', [{ ...flags, id: to }]);
    await this.tx.put('outbox', [{ id: to, order: newId(), wish: { kind: 'put', key: to, value: flags.value } }]);
    this.touched.outbox = true;
  }

  private async enterConversations(opened: OpenedConversation[]): Promise<void> {
    await this.load(opened.map(({ id }) => id));
    for (const { id, row, number, name, version, fault } of opened) {
      const old = this.conversations.get(id) ?? blank(id, this.sync.round);
      const next: ConversationRecord = { ...old, row, fault };
      if (version !== undefined ? supersedes(version, old.version) : fault === undefined && number !== '')
        Object.assign(next, { number, name, version });
      // A number that was learned from a message counts where the server knows the conversation by its alias.
      else if (old.version === undefined && old.alias !== row.phoneNumber) Object.assign(next, { number: '' });
      this.set(next);
      if (old.row === undefined ? old.last !== undefined : boundOf(old) !== boundOf(next)) this.uncounted.add(id);
    }
  }

  private async enterStates(states: OpenedState[]): Promise<void> {
    const olds = await this.tx.getMany('states', states.map(({ id }) => id)); // prettier-ignore
    const records = states.map((state, i) => {
      const old = olds[i];
      const newer = state.version === undefined ? 'value' in state : supersedes(state.version, old?.version);
      return { ...(newer || old === undefined ? state : old), ...(state.row && { row: state.row }), round: this.sync.round }; // prettier-ignore
    });
    await this.tx.put('states', records);
  }

  private async enterRecords(records: OpenedRecord[]): Promise<void> {
    const ids = records.map(({ id }) => id);
    const olds = await this.tx.getMany('records', ids);
    const waiting = await this.tx.getMany('outbox', ids.map(recordWish)); // prettier-ignore
    const { deviceId } = (await this.tx.value('session')) ?? {};
    const kept = records.flatMap(({ origin, ...record }, i) => {
      const { version } = record;
      const [old, wish] = [olds[i], waiting[i]?.wish];
      this.touchTable(record.table);
      if (old !== undefined) this.touchTable(old.table);
      // What was written here comes back when more has been written already, and waits.
      if (origin === deviceId && wish?.kind === 'record' && wish.version > (version?.version ?? 0))
        return old === undefined ? [] : { ...old, round: this.sync.round };
      // In the clear the server alone decides which one is newer.
      const newer = version !== undefined && (version.epoch === 0 || supersedes(version, old?.version));
      return { ...(newer || old === undefined ? record : old), ...(record.row && { row: record.row }), round: this.sync.round }; // prettier-ignore
    });
    await this.tx.put('records', kept);
  }

  private async load(ids: string[]): Promise<void> {
    const unknown = [...new Set(ids)].filter((id) => !this.conversations.has(id));
    const records = await this.tx.getMany('conversations', unknown);
    unknown.forEach((id, i) => this.conversations.set(id, records[i]));
  }

  private set(conversation: ConversationRecord): void {
    this.touched.list = true;
    this.conversations.set(conversation.id, { ...conversation, round: this.sync.round });
  }

  private touch({ conversationId, timestamp }: MessageRecord): void {
    const { threads } = this.touched;
    threads.set(conversationId, Math.min(timestamp, threads.get(conversationId) ?? Infinity));
  }

  private takeOut(message: MessageRecord): void {
    const { id, conversationId } = message;
    this.touch(message);
    if (isWaiting(message)) this.waiting--;
    const conversation = this.conversations.get(conversationId);
    if (conversation === undefined) return;
    if (conversation.last?.id === id) this.lastLost.add(conversationId);
    const unread = conversation.unread - (isUnread(conversation, message) ? 1 : 0);
    this.set({ ...conversation, unread });
  }

  private putIn(message: MessageRecord, alias?: string): void {
    const { conversationId, number } = message;
    this.touch(message);
    if (isWaiting(message)) this.waiting++;
    const conversation = { ...(this.conversations.get(conversationId) ?? blank(conversationId, this.sync.round)) };
    const { row } = conversation;
    if (conversation.number === '' && number !== '' && (row === undefined || row.phoneNumber === alias))
      Object.assign(conversation, { number, alias });
    if (conversation.last === undefined || !isBefore(message, conversation.last)) {
      conversation.last = lineOf(message);
      this.lastLost.delete(conversationId);
    }
    if (isUnread(conversation, message)) conversation.unread++;
    this.set(conversation);
  }
}

/** What a device does itself, in one transaction; resolves with what it touched. */
export function keepBooks(store: Store, work: (books: Books, tx: Writing) => Promise<void>): Promise<Touched> {
  return store.write(async (tx) => {
    const sync = await tx.value('sync');
    if (sync === undefined) throw new ClientError('not_paired', 'Nobody is signed in here');
    const books = new Books(tx, sync);
    await work(books, tx);
    await tx.set('sync', await books.close());
    return books.touched;
  });
}

/** Whether a state is none of those that clients keep for themselves: `STATE` names them all. */
export function isOfApp(key: string): boolean {
  return !key.startsWith('e2e/');
}

/** The place in the outbox of what is to be told of a record. */
export function recordWish(id: string): string {
  return `record ${id}`;
}

export function deletionOf(messageId: string): string {
  return `delete ${messageId}`;
}

function blank(id: string, round: number): ConversationRecord {
  return { id, number: '', unread: 0, round };
}

function lineOf(message: MessageRecord): ConversationRecord['last'] {
  const { id, timestamp, text, type, status, alias, fault, files } = message;
  const file = files?.[0]?.type;
  return { id, timestamp, text, type, status, alias, ...(file && { file }), ...(fault === undefined ? {} : { fault }) };
}

function isWaiting({ status }: MessageRecord): boolean {
  return status === 'waiting' || status === 'queued';
}

/** Up to when everything is read or counted. */
function boundOf({ row }: ConversationRecord): number {
  return Math.max(row?.countedUpTo ?? 0, row?.readUpTo ?? 0);
}

function isUnread(conversation: ConversationRecord, { type, read, timestamp }: MessageRecord): boolean {
  return type === 'received' && !read && timestamp > boundOf(conversation);
}
