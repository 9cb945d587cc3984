import { STATE, type Change, type ChangesPage, type SnapshotPage } from '@pairline/protocol';
import { Books, type Touched } from './books.js';
import type { Keyring, Learned, SavedKeyring } from './keys/index.js';
import { nothing, type OpenedPage, type Reader } from './reading.js';
import type { MessageRecord, Reading, Session, Store, SyncState, Writing } from './store.js';
import { ClientError } from './types.js';

// Takes the account's rows over into the store, page by page, each together with the cursor after it. Several tabs do so
// at once, each from its own connection: a page counts only as far as nobody has taken it before.

const PAGE = 1000;
const REOPENED = 500;

type Get = <T>(path: string) => Promise<T>;

export interface SyncEvents {
  touched: (touched: Touched) => void;
  /** How many rows came. */
  progress: (rows: number) => void;
  /** There is a new epoch, or a new member. */
  learned: () => void;
}

/** What a client that has nothing begins with. */
export function freshSync(accountId: string): SyncState {
  return { accountId, cursor: 0, round: 1, snapshot: { next: 0 }, waiting: 0 };
}

/** Another tab started over, or signed out: what this one has in hand does not fit on what is stored. */
export class Behind extends Error {}

export class Sync {
  constructor(
    private readonly store: Store,
    private readonly reader: Reader,
    private readonly session: Session,
    private readonly events: SyncEvents,
  ) {}

  /** Reads until there is no more; answers the cursor to follow from. */
  async catchUp(get: Get): Promise<number> {
    for (;;) {
      const state = await this.state();
      let { cursor } = state;
      if (state.snapshot !== undefined) {
        await this.store.exclusive('snapshot', () => this.snapshot(get));
        continue;
      }
      try {
        for (let more = true; more;) {
          const page: ChangesPage = await get(`/api/changes?after=${cursor}&limit=${PAGE}`);
          await this.take(page, cursor);
          cursor = page.cursor;
          more = page.more ?? false;
        }
        return cursor;
      } catch (error) {
        if (error instanceof Behind) continue;
        if (!(error instanceof ClientError) || error.code !== 'cursor_expired') throw error;
        await this.startOver(cursor);
      }
    }
  }

  /** The cursor is too old for the server: everything is read again, into a new round. */
  async startOver(cursor: number): Promise<void> {
    await this.store.write(async (tx) => {
      const sync = await tx.value('sync');
      // Unless another tab has begun to.
      if (sync === undefined || sync.snapshot !== undefined || sync.cursor > cursor) return;
      await tx.set('sync', { ...sync, round: sync.round + 1, snapshot: { next: 0 } });
    });
  }

  /**
   * Takes over a page of changes after a cursor; answers the messages that came new with it. Rejects with `Behind`.
   */
  async take({ changes, cursor }: ChangesPage, after: number): Promise<MessageRecord[]> {
    const learned = await this.learn(changes);
    for (let taken = false; !taken;) {
      const known = (await this.state()).cursor;
      const page = await this.reader.page(changes.filter(({ seq }) => seq > known));
      taken = await this.write(async (tx, sync) => {
        if (sync.snapshot !== undefined || sync.cursor < after) throw new Behind();
        // Another tab was faster: what is left of the page has to be found out again.
        if (sync.cursor !== known) return undefined;
        return { page, now: { cursor: Math.max(known, cursor) } };
      });
    }
    this.events.progress(changes.length);
    if (learned) await this.reopen();
    return this.arrived(changes);
  }

  /** Where the store is, once this tab has the keys that came with what is there: another one may have taken it over. */
  private async state(): Promise<SyncState> {
    const { sync, saved } = await this.store.read(async (tx) => ({
      sync: await this.ours(tx),
      saved: await tx.value('keyring'),
    }));
    if (saved !== undefined && (await this.reader.keyring?.adopt(saved))) this.events.learned();
    return sync;
  }

  private async ours(tx: Reading): Promise<SyncState> {
    const [sync, session] = [await tx.value('sync'), await tx.value('session')];
    if (sync?.accountId !== this.session.accountId) throw new Behind();
    // Another tab has signed in anew: what comes here now is opened with the keys of the device that this was.
    if (session !== undefined && session.deviceId !== this.session.deviceId)
      throw new ClientError('session_expired', 'Another tab has begun another session');
    return sync;
  }

  /** Learns the keys that another tab has learned. */
  async refresh(): Promise<void> {
    await this.state();
  }

  private async snapshot(get: Get): Promise<void> {
    let { snapshot } = await this.state();
    if (snapshot === undefined) return; // another tab has read it
    const read = (next: number) => get<SnapshotPage>(`/api/snapshot?after=${next}&limit=${PAGE}`);
    for (let ahead = read(snapshot.next); snapshot !== undefined;) {
      const page = await ahead;
      // The next one is on its way while this one is opened.
      if (page.more) ahead = read(page.next);
      ahead.catch(() => undefined);
      await this.learn(page.changes);
      const opened = await this.reader.page(page.changes);
      const cursor: number = snapshot.cursor ?? page.cursor;
      const next: SyncState['snapshot'] = page.more ? { next: page.next, cursor } : undefined;
      const now = { snapshot: next, ...(next === undefined ? { cursor } : {}) };
      await this.write(async () => ({ page: opened, now }));
      snapshot = next;
      this.events.progress(page.changes.length);
    }
    await this.reopen();
  }

  /** One transaction: enters the page that `pageOf` answers, and what is to stand in the state; false when it has none. */
  private async write(
    pageOf: (tx: Reading, sync: SyncState) => Promise<{ page: OpenedPage; now: Partial<SyncState> } | undefined>,
  ): Promise<boolean> {
    let touched: Touched | undefined;
    await this.store.write(async (tx) => {
      touched = undefined;
      const sync = await this.ours(tx);
      const entry = await pageOf(tx, sync);
      if (entry === undefined) return;
      const books = new Books(tx, sync);
      await books.enter(entry.page);
      const { now } = entry;
      if ('snapshot' in now && now.snapshot === undefined && sync.round > 1) await books.sweep();
      const sealed = this.reader.sawSealed ? { sealed: true } : {};
      await tx.set('sync', { ...(await books.close()), ...sealed, ...now });
      if (this.reader.keyring !== undefined) await keepKeys(tx, this.reader.keyring);
      touched = books.touched;
    });
    if (touched === undefined) return false;
    this.events.touched(touched);
    return true;
  }

  /** Keys first: they open what comes with them. Answers whether there are new ones. */
  private async learn(changes: Change[]): Promise<boolean> {
    const { keyring } = this.reader;
    if (keyring === undefined) return false;
    const { epoch } = keyring;
    const results = new Set<Learned>();
    for (const { kind, id, row } of changes)
      if (kind === 'state' && row !== undefined) results.add(await keyring.learn(id, row.value));
    if (results.has('joined')) await this.store.write((tx) => tellOfMember(tx, keyring));
    if (results.has('learned') || results.has('joined') || results.has('left-out')) this.events.learned();
    return keyring.epoch !== epoch;
  }

  /** Opens what had no key. */
  async reopen(): Promise<void> {
    await this.refresh();
    for (let after = '', more = true; more;) {
      const closed = await this.store.read((tx) => tx.faulty('no-key', after, REOPENED));
      more = closed.length === REOPENED;
      after = closed.at(-1)?.id ?? after;
      const opened = await Promise.all(closed.flatMap(({ row }) => (row ? this.reader.message(row) : [])));
      const open = opened.filter(({ fault }) => fault !== 'no-key');
      const ids = open.map(({ id }) => id);
      await this.write(async (tx) => {
        const now = await tx.getMany('messages', ids);
        // Only the content is new: what else changed meanwhile stands.
        const messages = open.flatMap((message, i) => {
          const { status, read, fault } = now[i] ?? {};
          return fault === 'no-key' ? { ...message, status, read: read! } : [];
        });
        return { page: { ...nothing(), messages }, now: {} };
      });
    }
    const closed = await this.store.read(async (tx) => ({
      conversations: (await tx.all('conversations')).filter(({ fault }) => fault === 'no-key'),
      states: await tx.all('states'),
      // Only where there are keys that could open one: there may be many.
      records: this.reader.keyring === undefined ? [] : await tx.all('records'),
    }));
    const page = nothing();
    for (const { row } of closed.conversations)
      if (row !== undefined) page.conversations.push(await this.reader.conversation(row));
    for (const { row } of closed.states) if (row !== undefined) page.states.push(await this.reader.state(row));
    for (const { row } of closed.records) if (row !== undefined) page.records.push(await this.reader.record(row));
    await this.write(async () => ({ page, now: {} }));
  }

  /** Received messages that are new with these changes, whichever tab stored them; in the order they came. */
  private async arrived(changes: Change[]): Promise<MessageRecord[]> {
    const seqs = new Map<string, number>();
    for (const { kind, id, seq, row } of changes) if (kind === 'message' && row?.type === 'received') seqs.set(id, seq);
    if (seqs.size === 0) return [];
    const records = await this.store.read((tx) => tx.getMany('messages', [...seqs.keys()]));
    return records.filter((record) => record !== undefined && record.born === seqs.get(record.id)) as MessageRecord[];
  }
}

/** Has this device's key told to the others, under the newest epoch that is here when it goes. */
export async function tellOfMember(tx: Writing, keyring: Keyring): Promise<void> {
  const wish = { kind: 'put' as const, key: STATE.member(keyring.deviceId), value: keyring.member() };
  await tx.put('outbox', [{ id: wish.key, order: '', wish }]);
}

/** Saves a keyring, unless another tab has saved one that is further. */
export async function keepKeys(tx: Writing, keyring: Keyring): Promise<void> {
  const saved = await tx.value('keyring');
  const ours = keyring.save();
  // Another tab has signed in anew: what is here is over.
  if (saved?.accountId !== ours.accountId || saved.deviceId !== ours.deviceId || same(saved, ours)) return;
  const epochs = Object.keys(saved.epochs).length;
  if (epochs > keyring.epoch) return;
  const others = epochs < keyring.epoch ? [] : saved.members.filter(({ deviceId }) => !ours.members.some((member) => member.deviceId === deviceId)); // prettier-ignore
  // The rows that this tab has still to come to are known to another one.
  const ahead = ours.ahead ?? (epochs === keyring.epoch ? saved.ahead : undefined);
  await tx.set('keyring', { ...ours, members: [...ours.members, ...others], ...(ahead && { ahead }) });
}

function same(a: SavedKeyring, b: SavedKeyring): boolean {
  return (
    Object.keys(a.epochs).length === Object.keys(b.epochs).length &&
    a.refused === b.refused &&
    JSON.stringify([a.owed, a.ahead]) === JSON.stringify([b.owed, b.ahead ?? a.ahead]) &&
    b.members.every(({ deviceId }) => a.members.some((member) => member.deviceId === deviceId))
  );
}
