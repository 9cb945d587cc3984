import type { QueryConfig, QueryResult } from 'pg';
import type { WholeChunk } from './chunk.js';
import type { Mutation, Numbered } from './kind.js';

// How mutations get their numbers, and commits their order.

/** Counts what each account has in the batch, and for each mutation how many of its account come after it. */
export function countOut(batch: Mutation[]): { counts: Map<string, number>; items: Numbered[] } {
  const counts = new Map<string, number>();
  const items: Numbered[] = new Array<Numbered>(batch.length);
  for (let i = batch.length - 1; i >= 0; i--) {
    const mutation = batch[i]!;
    const later = counts.get(mutation.account.id) ?? 0;
    counts.set(mutation.account.id, later + (mutation.numbers ?? 1));
    items[i] = { mutation, later, seq: 0 };
  }
  return { counts, items };
}

export interface NumberRow {
  id: string;
  seq: string;
}

/** Takes numbers for each account of the batch, and with them the lock on its row until the commit. */
export function numbering(counts: Map<string, number>): QueryConfig {
  return {
    name: 'number',
    text: `WITH wanted AS (SELECT * FROM unnest($1::uuid[], $2::int[]) AS w(id, count)),
           -- In id order, so that two writers of the same accounts wait for each other and do not deadlock.
           -- One that was joined to another takes nothing any more.
           locked AS (
             SELECT a.id, w.count FROM wanted w JOIN accounts a USING (id) WHERE a.joined_into IS NULL ORDER BY a.id FOR UPDATE OF a)
           -- The row lock makes commit order equal number order; a sequence would not.
           UPDATE accounts a SET seq = a.seq + l.count FROM locked l WHERE a.id = l.id RETURNING a.id, a.seq`,
    values: [[...counts.keys()], [...counts.values()]],
  };
}

export function toChunks({ rows }: QueryResult<NumberRow>, counts: Map<string, number>): Map<string, WholeChunk> {
  const chunk = ({ id, seq }: NumberRow): [string, WholeChunk] => [
    id,
    { account: id, after: Number(seq) - counts.get(id)!, cursor: Number(seq), rows: [] },
  ];
  return new Map(rows.map(chunk));
}
