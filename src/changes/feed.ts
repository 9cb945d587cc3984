import { Injectable } from '@nestjs/common';
import type { Chunk } from './chunk.js';

export type Listener = (chunk: Chunk) => unknown;

/** Tells followers of an account what was committed: after the commit, before its callers are answered. */
@Injectable()
export class Feed {
  private readonly listeners = new Map<string, Set<Listener>>();

  follow(account: string, listener: Listener): () => void {
    const set = this.listeners.get(account) ?? new Set();
    this.listeners.set(account, set.add(listener));
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.listeners.get(account) === set) this.listeners.delete(account);
    };
  }

  publish(chunk: Chunk): void {
    for (const listener of this.listeners.get(chunk.account) ?? []) listener(chunk);
  }
}
