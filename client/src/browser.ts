import { Dexie, type Collection, type Table } from 'dexie';
import { loadPart } from './part.js';
import {
  TABLES,
  LAST_ID,
  type ChatPlace,
  type Fields,
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

function tabKey(name: string): string {
  return `pairline ${name}`;
}

/** Most people are remembered: loaded for those who are not. */
async function tabStore(name: string): Promise<Store> {
  const { TabStore } = await loadPart(() => import('./tab-store.js'));
  return new TabStore(tabKey(name));
}

class BrowserStore implements Store {
  private place!: Store;
  private readonly listeners = new Set<(news: News) => void>();
  private unhear: () => void = () => undefined;

  constructor(private readonly name: string) {}

  async open(): Promise<void> {
    const isTab = sessionStorage.getItem(tabKey(this.name)) !== null;
    if (isTab || (await this.enter(new IndexedStore(this.name))) === false) await this.enter(await tabStore(this.name));
  }

  async remember(yes: boolean): Promise<void> {
    if (yes === this.place instanceof IndexedStore) return;
    const next = yes ? new IndexedStore(this.name) : await tabStore(this.name);
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
      if (!(place instanceof IndexedStore) || !NO_DATABASE.has((error as Error).name)) throw error;
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
    this.db.version(3).stores({
      values: '',
      ...byId,
      records: 'id, table',
      inbox: 'id, seq',
      chatMembers: 'id, chatId',
      chatKeys: 'id, chatId',
      chatMessages: 'id, [chatId+place+id], closed',
      chatReactions: 'id, message, closed',
      chatMarks: 'id, chatId',
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
    where: async <T extends keyof Fields>(table: T, field: Fields[T], value: string) =>
      (await this.records[table].where(field).equals(value).toArray()) as Tables[T][],
    thread: ({ chatId, before, after, limit }) => {
      const key = ({ place, id }: ChatPlace) => [chatId, place, id];
      return cut(
        this.records.chatMessages
          .where('[chatId+place+id]')
          .between(
            key(after ?? { place: -Infinity, id: '' }),
            key(before ?? { place: Infinity, id: '' }),
            false,
            false,
          ),
        limit,
        after !== undefined,
      );
    },
    inbox: (limit) => this.records.inbox.orderBy('seq').limit(limit).toArray(),
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
    return cut(this.records.messages.where(index).between(first, last, false, false), limit, after !== undefined);
  }
}

/** The first ones or the last ones, the oldest first. */
async function cut<Item>(all: Collection<Item, string>, limit: number, first: boolean): Promise<Item[]> {
  const limited = (items: Collection<Item, string>) => (limit === Infinity ? items : items.limit(limit));
  if (first) return limited(all).toArray();
  return (await limited(all.reverse()).toArray()).reverse();
}
