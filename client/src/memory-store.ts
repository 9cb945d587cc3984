import {
  isBefore,
  TABLES,
  type ChatMessageRecord,
  type ChatPlace,
  type Fields,
  type MessageRecord,
  type News,
  type Place,
  type Reading,
  type Store,
  type Tables,
  type Values,
  type Writing,
} from './store.js';
import type { Fault } from './types.js';
import { Turns } from './waiting.js';

/** What a transaction changed, as plain JSON. */
export type Change =
  | { set: keyof Values; value?: unknown }
  | { put: keyof Tables; records: unknown[] }
  | { delete: keyof Tables; ids: string[] }
  | { clear: true };

/** Keeps everything in memory. */
export function memoryStore(): Store {
  return new MemoryStore();
}

/** The data of a store in memory: what other stores begin with and write out. */
export class MemoryStore implements Store {
  protected values: Values = {};
  protected readonly tables: { [T in keyof Tables]: Map<string, Tables[T]> } = {
    conversations: new Map(),
    devices: new Map(),
    states: new Map(),
    records: new Map(),
    outbox: new Map(),
    drafts: new Map(),
    moves: new Map(),
    messages: new Map(),
    inbox: new Map(),
    chats: new Map(),
    chatMembers: new Map(),
    chatKeys: new Map(),
    chatMessages: new Map(),
    chatReactions: new Map(),
    chatMarks: new Map(),
    people: new Map(),
    blocks: new Map(),
  };
  private readonly order = {
    messages: new Threads<MessageRecord, Place>(({ conversationId }) => conversationId, isBefore),
    chatMessages: new Threads<ChatMessageRecord, ChatPlace>(({ chatId }) => chatId, isPlacedBefore),
  };
  private readonly writes = new Turns();
  private readonly locks = new Map<string, Turns>();

  async open(): Promise<void> {}

  async remember(_yes: boolean): Promise<void> {}

  read<T>(work: (tx: Reading) => Promise<T>): Promise<T> {
    // In turn with the writes, so that nobody sees half of one.
    return this.writes.take(() => work(this.transaction([], [])));
  }

  write<T>(work: (tx: Writing) => Promise<T>): Promise<T> {
    return this.writes.take(async () => {
      const changes: Change[] = [];
      const undo: (() => void)[] = [];
      try {
        const result = await work(this.transaction(changes, undo));
        if (changes.length > 0) await this.keep(changes);
        return result;
      } catch (error) {
        for (const step of undo.reverse()) step();
        throw error;
      }
    });
  }

  exclusive<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turns = this.locks.get(name) ?? new Turns();
    this.locks.set(name, turns);
    return turns.take(work);
  }

  // A store in a process has one client: there are no others to tell.
  announce(_news: News): void {}

  onNews(_listener: (news: News) => void): () => void {
    return () => undefined;
  }

  close(): Promise<void> {
    return this.writes.over();
  }

  /** Called before a transaction ends; when it rejects nothing was written. */
  protected async keep(_changes: Change[]): Promise<void> {}

  /** Puts what was kept back in place. */
  protected apply(changes: Change[]): void {
    for (const change of changes) {
      if ('set' in change) this.values = { ...this.values, [change.set]: change.value };
      else if ('put' in change) this.putRecords(change.put, change.records as never[]);
      else if ('delete' in change) this.deleteRecords(change.delete, change.ids);
      else this.clearAll();
    }
  }

  /** All of it as one list of changes. */
  protected everything(): Change[] {
    const changes: Change[] = Object.entries(this.values).map(([name, value]) => ({
      set: name as keyof Values,
      value: value as unknown,
    }));
    for (const table of TABLES)
      if (this.tables[table].size > 0) changes.push({ put: table, records: [...this.tables[table].values()] });
    return changes;
  }

  private transaction(changes: Change[], undo: (() => void)[]): Writing {
    const tables = this.tables;
    return {
      value: async (name) => this.values[name],
      get: async (table, id) => tables[table].get(id),
      getMany: async (table, ids) => ids.map((id) => tables[table].get(id)),
      all: async <T extends keyof Tables>(table: T) => [...tables[table].values()],
      range: async ({ conversationId, ...range }) => this.order.messages.range({ ...range, thread: conversationId }),
      thread: async ({ chatId, ...range }) => this.order.chatMessages.range({ ...range, thread: chatId }),
      inbox: async (limit) => [...tables.inbox.values()].sort((a, b) => a.seq - b.seq).slice(0, limit),
      faulty: async (fault: Fault, afterId: string, limit: number) =>
        [...tables.messages.values()]
          .filter((message) => message.fault === fault && message.id > afterId)
          .sort((a, b) => (a.id < b.id ? -1 : 1))
          .slice(0, limit),
      where: async <T extends keyof Fields>(table: T, field: Fields[T], value: string) =>
        [...(tables[table] as Map<string, Tables[T]>).values()].filter(
          (record) => (record as unknown as Record<string, unknown>)[field] === value,
        ),
      set: async (name, value) => {
        const before = this.values;
        undo.push(() => (this.values = before));
        this.values = { ...this.values, [name]: value };
        changes.push({ set: name, value });
      },
      put: async (table, records) => {
        if (records.length === 0) return;
        const ids = records.map((record) => record.id);
        undo.push(this.undoing(table, ids));
        this.putRecords(table, records);
        changes.push({ put: table, records });
      },
      delete: async (table, ids) => {
        if (ids.length === 0) return;
        undo.push(this.undoing(table, ids));
        this.deleteRecords(table, ids);
        changes.push({ delete: table, ids });
      },
      clear: async () => {
        const before = this.everything();
        undo.push(() => {
          this.clearAll();
          this.apply(before);
        });
        this.clearAll();
        changes.push({ clear: true });
      },
    };
  }

  private undoing(table: keyof Tables, ids: string[]): () => void {
    const before = ids.map((id) => this.tables[table].get(id));
    return () =>
      ids.forEach((id, i) => {
        const old = before[i];
        if (old === undefined) this.deleteRecords(table, [id]);
        else this.putRecords(table, [old as never]);
      });
  }

  private putRecords<T extends keyof Tables>(table: T, records: Tables[T][]): void {
    for (const record of records) {
      const old = this.tables[table].get(record.id);
      if (table === 'messages') this.order.messages.put(record as MessageRecord, old as MessageRecord | undefined);
      if (table === 'chatMessages') this.order.chatMessages.put(record as ChatMessageRecord, old as ChatMessageRecord | undefined); // prettier-ignore
      this.tables[table].set(record.id, record);
    }
  }

  private deleteRecords(table: keyof Tables, ids: string[]): void {
    for (const id of ids) {
      if (table === 'messages') this.order.messages.delete(this.tables.messages.get(id));
      if (table === 'chatMessages') this.order.chatMessages.delete(this.tables.chatMessages.get(id));
      this.tables[table].delete(id);
    }
  }

  private clearAll(): void {
    this.values = {};
    for (const table of TABLES) this.tables[table].clear();
    this.order.messages.clear();
    this.order.chatMessages.clear();
  }
}

interface ThreadRange<Place> {
  /** All of them without it. */
  thread: string | undefined;
  before?: Place;
  after?: Place;
  limit: number;
}

/** The threads, each a sorted list. */
class Threads<Item extends At, At extends { id: string } = Item> {
  private readonly threads = new Map<string, Item[]>();
  /** All threads in one; made when it is asked for. */
  private merged: Item[] | undefined;

  constructor(
    private readonly threadOf: (item: Item) => string,
    private readonly isBefore: (a: At, b: At) => boolean,
  ) {}

  put(item: Item, old: Item | undefined): void {
    this.delete(old);
    const thread = this.threads.get(this.threadOf(item)) ?? [];
    if (thread.length === 0) this.threads.set(this.threadOf(item), thread);
    thread.splice(this.firstNotBefore(thread, item), 0, item);
  }

  delete(item: Item | undefined): void {
    this.merged = undefined;
    if (item === undefined) return;
    const thread = this.threads.get(this.threadOf(item))!;
    thread.splice(this.firstNotBefore(thread, item), 1);
    if (thread.length === 0) this.threads.delete(this.threadOf(item));
  }

  clear(): void {
    this.merged = undefined;
    this.threads.clear();
  }

  range({ thread, before, after, limit }: ThreadRange<At>): Item[] {
    const items = thread === undefined ? this.all() : (this.threads.get(thread) ?? []);
    if (after !== undefined) {
      const start = this.firstNotBefore(items, after);
      const from = items[start]?.id === after.id ? start + 1 : start;
      return items.slice(from, from + limit);
    }
    const end = before === undefined ? items.length : this.firstNotBefore(items, before);
    return items.slice(Math.max(0, end - limit), end);
  }

  private all(): Item[] {
    this.merged ??= [...this.threads.values()].flat().sort((a, b) => (this.isBefore(a, b) ? -1 : 1));
    return this.merged;
  }

  /** Where a place is, or would be, in a sorted list. */
  private firstNotBefore(items: Item[], place: At): number {
    let low = 0;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.isBefore(items[middle]!, place)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function isPlacedBefore(a: ChatPlace, b: ChatPlace): boolean {
  return a.place < b.place || (a.place === b.place && a.id < b.id);
}
