import { Injectable } from '@nestjs/common';
import type { ChangedRow } from './kind.js';

/** What one commit changed in one account, in the order of its numbers. */
export interface Chunk {
  account: string;
  /** The account's number before: a follower that has seen it has missed nothing. */
  after: number;
  /** The account's number now. */
  cursor: number;
  /** Absent when they are more than one wants to hold: whoever follows reads them. */
  readonly rows?: readonly ChangedRow[];
}

/** A chunk whose rows are all at hand. */
export type WholeChunk = Chunk & { rows: ChangedRow[] };

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

const texts = new WeakMap<Chunk, string>();

/** The chunk's rows as the elements of a JSON array, made once however many follow. */
export function chunkText(chunk: Chunk): string {
  let text = texts.get(chunk);
  if (text === undefined) {
    text = (chunk.rows ?? []).map((r) => changeText(r.seq, r.kind, r.id, r.at, r.row())).join(',');
    texts.set(chunk, text);
  }
  return text;
}

/** One change as wire.md's section F has it: `{seq,kind,id,op:'put'|'delete',at,row}`, without `row` for a delete. */
export function changeText(seq: number, kind: string, id: string, at: number, row: string | null): string {
  const head = `{"seq":${seq},"kind":"${kind}","id":${JSON.stringify(id)},"op":"${row === null ? 'delete' : 'put'}","at":${at}`;
  return row === null ? `${head}}` : `${head},"row":${row}}`;
}
