import {
  TABLES,
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
  };
  private readonly order = new MessageOrder();
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
      range: async (range) => this.order.range(range),
      faulty: async (fault: Fault, afterId: string, limit: number) =>
        [...tables.messages.values()]
          .filter((message) => message.fault === fault && message.id > afterId)
          .sort((a, b) => (a.id < b.id ? -1 : 1))
          .slice(0, limit),
      inTable: async (name) => [...tables.records.values()].filter(({ table }) => table === name),
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
      if (table === 'messages') this.order.put(record as MessageRecord, this.tables.messages.get(record.id));
      this.tables[table].set(record.id, record);
    }
  }

  private deleteRecords(table: keyof Tables, ids: string[]): void {
    for (const id of ids) {
      if (table === 'messages') this.order.delete(this.tables.messages.get(id));
      this.tables[table].delete(id);
    }
  }

  private clearAll(): void {
    this.values = {};
    for (const table of TABLES) this.tables[table].clear();
    this.order.clear();
  }
}

/** The threads, each a sorted list. */
class MessageOrder {
  private readonly threads = new Map<string, MessageRecord[]>();
  /** All threads in one; made when it is asked for. */
  private merged: MessageRecord[] | undefined;

  put(message: MessageRecord, old: MessageRecord | undefined): void {
    this.delete(old);
    const thread = this.threads.get(message.conversationId) ?? [];
    if (thread.length === 0) this.threads.set(message.conversationId, thread);
    thread.splice(firstNotBefore(thread, message), 0, message);
  }

  delete(message: MessageRecord | undefined): void {
    this.merged = undefined;
    if (message === undefined) return;
    const thread = this.threads.get(message.conversationId)!;
    thread.splice(firstNotBefore(thread, message), 1);
    if (thread.length === 0) this.threads.delete(message.conversationId);
  }

  clear(): void {
    this.merged = undefined;
    this.threads.clear();
  }

  range({ conversationId, before, after, limit }: Range): MessageRecord[] {
    const messages = conversationId === undefined ? this.all() : (this.threads.get(conversationId) ?? []);
    if (after !== undefined) {
      const start = firstNotBefore(messages, after);
      const from = messages[start]?.id === after.id ? start + 1 : start;
      return messages.slice(from, from + limit);
    }
    const end = before === undefined ? messages.length : firstNotBefore(messages, before);
    return messages.slice(Math.max(0, end - limit), end);
  }

  private all(): MessageRecord[] {
    this.merged ??= [...this.threads.values()].flat().sort((a, b) => (isBefore(a, b) ? -1 : 1));
    return this.merged;
  }
}

export function isBefore(a: Place, b: Place): boolean {
  return a.timestamp < b.timestamp || (a.timestamp === b.timestamp && a.id < b.id);
}

/** Where a place is, or would be, in a sorted list. */
function firstNotBefore(messages: Place[], place: Place): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isBefore(messages[middle]!, place)) low = middle + 1;
    else high = middle;
  }
  return low;
}
