import 'fake-indexeddb/auto';
import { later } from './database.js';

// What a browser has and Node has not, as far as the client library uses it.

/** Loaded only now: Dexie looks for IndexedDB while it is loaded. */
export const { browserStore } = await import('@pairline/client/browser');

/** A tab's own storage. The tabs of a test run one after the other in it, or use IndexedDB. */
export function tabStorage(): Map<string, string> {
  const items = new Map<string, string>();
  const storage = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
  replace('sessionStorage', storage);
  return items;
}

/** Web Locks, as far as they exclude. */
export function webLocks(): void {
  const last = new Map<string, Promise<unknown>>();
  const request = (name: string, work: () => Promise<unknown>) => {
    const turn = (last.get(name) ?? Promise.resolve()).then(work);
    const over = turn.catch(() => undefined);
    last.set(name, over);
    return turn;
  };
  replace('navigator', { locks: { request } });
}

function replace(name: string, value: unknown): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true });
  later(() => {
    if (before === undefined) Reflect.deleteProperty(globalThis, name);
    else Object.defineProperty(globalThis, name, before);
  });
}
