import type { AccountKey } from '../changes/account-key.js';
import type { Contents, RowKind } from './chat.js';

/** A row of a chat as it stands, opened. */
export interface StoredRow<K extends RowKind> {
  id: string;
  born: number;
  /** When it was last changed. */
  at: number;
  content: Contents[K];
}

type Columns = [place: string, id: string, born: string, at: string, content: Buffer];

/** Rows of one kind, a chat and an id each; undefined in the place of those that are not there. */
export async function rowsAt<K extends RowKind>(
  kind: K,
  wanted: { chat: AccountKey; id: string }[],
): Promise<(StoredRow<K> | undefined)[]> {
  if (wanted.length === 0) return [];
  const { rows } = await wanted[0]!.chat.home.database.pool.query<Columns>({
    name: 'shared-rows-at',
    text: `SELECT i.place, r.id, r.born, r.at, r.content
           FROM unnest($2::uuid[], $3::text[]) WITH ORDINALITY AS i(account_id, id, place)
           CROSS JOIN LATERAL (
             SELECT * FROM shared_rows r
             WHERE r.account_id = i.account_id AND r.kind = $1 AND r.id = i.id AND NOT r.deleted LIMIT 1) r`,
    values: [kind, wanted.map(({ chat }) => chat.id), wanted.map(({ id }) => id)],
    rowMode: 'array',
  });
  const found = new Array<StoredRow<K> | undefined>(wanted.length).fill(undefined);
  for (const row of rows) found[Number(row[0]) - 1] = opened(wanted[Number(row[0]) - 1]!.chat, kind, row);
  return found;
}

/** Rows of one kind that were born before one number and not before another; the newest first, so many of each chat. */
export async function newestRows<K extends RowKind>(
  kind: K,
  wanted: { chat: AccountKey; from: number; before?: number }[],
  limit: number,
): Promise<StoredRow<K>[][]> {
  if (wanted.length === 0) return [];
  const { rows } = await wanted[0]!.chat.home.database.pool.query<Columns>({
    name: 'shared-rows-newest',
    text: `SELECT i.place, r.id, r.born, r.at, r.content
           FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS i(account_id, start, before, place)
           CROSS JOIN LATERAL (
             SELECT * FROM shared_rows r
             WHERE r.account_id = i.account_id AND r.kind = $1 AND r.born >= i.start AND r.born < i.before AND NOT r.deleted
             ORDER BY r.born DESC LIMIT $5) r
           ORDER BY i.place, r.born DESC`,
    values: [
      kind,
      wanted.map(({ chat }) => chat.id),
      wanted.map(({ from }) => from),
      wanted.map(({ before }) => before ?? Number.MAX_SAFE_INTEGER),
      limit,
    ],
    rowMode: 'array',
  });
  const found: StoredRow<K>[][] = wanted.map(() => []);
  for (const row of rows) found[Number(row[0]) - 1]!.push(opened(wanted[Number(row[0]) - 1]!.chat, kind, row));
  return found;
}

/** All rows of a kind that a chat has; or those that were born in one of these numbers. */
export async function rowsOf<K extends RowKind>(chat: AccountKey, kind: K, born?: number[]): Promise<StoredRow<K>[]> {
  const { rows } = await chat.home.database.pool.query<Columns>({
    name: born === undefined ? 'shared-rows-of' : 'shared-rows-born',
    text: `SELECT 0, id, born, at, content FROM shared_rows
           WHERE account_id = $1 AND kind = $2 AND NOT deleted ${born === undefined ? '' : 'AND born = ANY ($3::bigint[])'}
           ORDER BY born`,
    values: [chat.id, kind, ...(born === undefined ? [] : [born])],
    rowMode: 'array',
  });
  return rows.map((row) => opened(chat, kind, row));
}

function opened<K extends RowKind>(chat: AccountKey, kind: K, [, id, born, at, content]: Columns): StoredRow<K> {
  const text = chat.open(kind, id, content);
  return { id, born: Number(born), at: Number(at), content: JSON.parse(text) as Contents[K] };
}
