import { Dexie, type Collection, type Table } from 'dexie';
import { MemoryStore, type Change } from './memory-store.js';
import {
  TABLES,
  LAST_ID,
  type MessageRecord,
  type News,
  type Place,
  type Range,
  type Reading,
  type Store,
  type Tables,
  type Values,
  type Writing,
} from './store.js';
import { freshSync } from './sync.js';
import { Turns } from './waiting.js';

export { loadPart } from './part.js';

/** What Dexie says where there is no IndexedDB, or none for this page. */
const NO_DATABASE = new Set(['MissingAPIError', 'OpenFailedError', 'InvalidStateError']);

/**
 * Keeps a client in this browser: in IndexedDB when it is to be remembered, otherwise until the tab closes. All tabs with
 * one `name` share what is remembered, and are one device; each has its own connection and takes over only what no other
 * has taken.
 */
export function browserStore(name: string): Store {
  return new BrowserStore(name);
}

class BrowserStore implements Store {
  private place!: Store;
  private readonly listeners = new Set<(news: News) => void>();
  private unhear: () => void = () => undefined;

  constructor(private readonly name: string) {}

  async open(): Promise<void> {
    const tab = new TabStore(this.name);
    if (tab.isThere() || (await this.enter(new IndexedStore(this.name))) === false) await this.enter(tab);
  }

  async remember(yes: boolean): Promise<void> {
    if (yes === this.place instanceof IndexedStore) return;
    const next = yes ? new IndexedStore(this.name) : new TabStore(this.name);
    const old = this.place;
    if ((await this.enter(next)) === false) return;
    await old.write((tx) => tx.clear());
    await old.close();
  }

  /** False when the browser does not let it: private windows of some have no IndexedDB. */
  private async enter(place: Store): Promise<boolean> {
    try {
      await place.open();
    } catch (error) {
      if (place instanceof TabStore || !NO_DATABASE.has((error as Error).name)) throw error;
      return false;
    }
    this.unhear();
    this.unhear = place.onNews((news) => this.listeners.forEach((listener) => listener(news)));
    this.place = place;
    return true;
  }

  read<T>(work: (tx: Reading) => Promise<T>): Promise<T> {
    return this.place.read(work);
  }

  write<T>(work: (tx: Writing) => Promise<T>): Promise<T> {
    return this.place.write(work);
  }

  exclusive<T>(name: string, work: () => Promise<T>): Promise<T> {
    return this.place.exclusive(name, work);
  }

  announce(news: News): void {
    this.place.announce(news);
  }

  onNews(listener: (news: News) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.unhear();
    await this.place.close();
  }
}

type Records = { [T in keyof Tables]: Table<Tables[T], string> } & { values: Table<unknown, string> };

/** Remembered: IndexedDB, shared by all tabs. */
class IndexedStore implements Store {
  private readonly db: Dexie;
  private news!: BroadcastChannel;
  private readonly locks = new Map<string, Turns>();

  constructor(private readonly name: string) {
    this.db = new Dexie(name);
    const byId = Object.fromEntries(TABLES.map((table) => [table, 'id']));
    this.db.version(2).stores({
      values: '',
      ...byId,
      records: 'id, table',
      // By thread, by time over all threads, and those that could not be opened: the others have no `fault` to be indexed.
      messages: 'id, [conversationId+timestamp+id], [timestamp+id], [fault+id]',
    });
  }

  async open(): Promise<void> {
    await this.db.open();
    this.news = new BroadcastChannel(`pairline ${this.name}`);
  }

  async remember(): Promise<void> {}

  // Async functions, for Dexie only keeps a transaction open over the awaits of one.
  read<T>(work: (tx: Reading) => Promise<T>): Promise<T> {
    return this.db.transaction('r', this.db.tables, async () => work(this.transaction));
  }

  write<T>(work: (tx: Writing) => Promise<T>): Promise<T> {
    // All tables at once: no two writes run side by side, in whichever tab.
    return this.db.transaction('rw', this.db.tables, async () => work(this.transaction));
  }

  exclusive<T>(name: string, work: () => Promise<T>): Promise<T> {
    const lock = `pairline ${this.name} ${name}`;
    if (globalThis.navigator?.locks !== undefined) return navigator.locks.request(lock, work) as Promise<T>;
    const turns = this.locks.get(lock) ?? new Turns();
    this.locks.set(lock, turns);
    return turns.take(work);
  }

  announce(news: News): void {
    this.news.postMessage(news);
  }

  onNews(listener: (news: News) => void): () => void {
    const hear = ({ data }: MessageEvent<News>) => listener(data);
    this.news.addEventListener('message', hear as (event: Event) => void);
    return () => this.news.removeEventListener('message', hear as (event: Event) => void);
  }

  async close(): Promise<void> {
    this.news.close();
    this.db.close();
  }

  private get records(): Records {
    return this.db as unknown as Records;
  }

  private readonly transaction: Writing = {
    value: async <K extends keyof Values>(name: K) => (await this.records.values.get(name)) as Values[K],
    get: async <T extends keyof Tables>(table: T, id: string) =>
      (await this.records[table].get(id)) as Tables[T] | undefined,
    getMany: async <T extends keyof Tables>(table: T, ids: string[]) =>
      (ids.length === 0 ? [] : await this.records[table].bulkGet(ids)) as (Tables[T] | undefined)[],
    all: async <T extends keyof Tables>(table: T) => (await this.records[table].toArray()) as Tables[T][],
    range: (range) => this.range(range),
    faulty: (fault, afterId, limit) =>
      this.records.messages
        .where('[fault+id]')
        .between([fault, afterId], [fault, LAST_ID], false, true)
        .limit(limit)
        .toArray(),
    inTable: (table) => this.records.records.where('table').equals(table).toArray(),
    set: async (name, value) => {
      await (value === undefined ? this.records.values.delete(name) : this.records.values.put(value, name));
    },
    put: async <T extends keyof Tables>(table: T, records: Tables[T][]) => {
      if (records.length > 0) await (this.records[table] as Table<Tables[T], string>).bulkPut(records);
    },
    delete: async (table, ids) => {
      if (ids.length > 0) await this.records[table].bulkDelete(ids);
    },
    clear: async () => {
      await Promise.all(this.db.tables.map((table) => table.clear()));
    },
  };

  private async range({ conversationId, before, after, limit }: Range): Promise<MessageRecord[]> {
    const index = conversationId === undefined ? '[timestamp+id]' : '[conversationId+timestamp+id]';
    const key = ({ timestamp, id }: Place) => [
      ...(conversationId === undefined ? [] : [conversationId]),
      timestamp,
      id,
    ];
    const first = key(after ?? { timestamp: -Infinity, id: '' });
    const last = key(before ?? { timestamp: Infinity, id: '' });
    const between = this.records.messages.where(index).between(first, last, false, false);
    const limited = (messages: Collection<MessageRecord, string>) =>
      limit === Infinity ? messages : messages.limit(limit);
    if (after !== undefined) return limited(between).toArray();
    return (await limited(between.reverse()).toArray()).reverse();
  }
}

/** Until the tab closes: the rows in memory, what must survive a reload in the tab's own storage. */
class TabStore extends MemoryStore {
  private readonly key: string;

  constructor(name: string) {
    super();
    this.key = `pairline ${name}`;
  }

  isThere(): boolean {
    return sessionStorage.getItem(this.key) !== null;
  }

  override async open(): Promise<void> {
    this.apply(JSON.parse(sessionStorage.getItem(this.key) ?? '[]') as Change[]);
    const { sync } = this.values;
    // The rows are gone: they are read again.
    if (sync !== undefined)
      this.apply([{ set: 'sync', value: { ...freshSync(sync.accountId), waiting: this.countWaiting() } }]);
  }

  /** What was kept of the messages is with nobody else: waiting, or failed. */
  private countWaiting(): number {
    return [...this.tables.messages.values()].filter(({ status }) => status === 'waiting').length;
  }

  protected override async keep(): Promise<void> {
    // What only this device knows: what was written and is not with the server.
    const own = [...this.tables.messages.values()].filter(({ born }) => born === undefined);
    const ids = new Set(own.map(({ id }) => id));
    const conversations = [...this.tables.conversations.values()].filter(({ last }) => ids.has(last?.id ?? ''));
    const bare = conversations.map((conversation) => ({ ...conversation, row: undefined, unread: 0 }));
    const kept = this.everything().filter(
      (change) => 'set' in change || ('put' in change && (change.put === 'outbox' || change.put === 'drafts')),
    );
    const changes: Change[] = [...kept, { put: 'messages', records: own }, { put: 'conversations', records: bare }];
    if (this.values.session === undefined && own.length === 0) sessionStorage.removeItem(this.key);
    else sessionStorage.setItem(this.key, JSON.stringify(changes));
  }
}
