import { Injectable } from '@nestjs/common';
import { Cluster } from '../cluster/cluster.js';
import type { Chunk } from './chunk.js';

export type Listener = (chunk: Chunk) => unknown;

/**
 * Tells followers of an account what was committed: after the commit, before its callers are answered. Those at other servers hear
 * that there is something, and read it.
 */
@Injectable()
export class Feed {
  private readonly listeners = new Map<string, Set<Listener>>();

  constructor(private readonly cluster: Cluster) {
    cluster.hear('committed', (account: string, after: number, cursor: number) =>
      this.tell({ account, after, cursor }),
    );
  }

  follow(account: string, listener: Listener): () => void {
    const set = this.listeners.get(account) ?? new Set();
    this.listeners.set(account, set.add(listener));
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.listeners.get(account) === set) this.listeners.delete(account);
    };
  }

  publish(chunk: Chunk): void {
    this.tell(chunk);
    this.cluster.tell('committed', chunk.account, chunk.after, chunk.cursor);
  }

  private tell(chunk: Chunk): void {
    for (const listener of this.listeners.get(chunk.account) ?? []) listener(chunk);
  }
}
