import type { AccountKey } from '../changes/account-key.js';

/** A page ends with this many rows, or with the one whose content takes it past so many bytes. */
const PAGE_ROWS = 500;
const PAGE_BYTES = 1_048_576;

/** Which rows, in SQL. `$1` to `$3` are taken: `values` begin with `$4`. */
export interface Source {
  /** The columns, `seq` and `content` among them. */
  columns: string;
  /** A table with account_id, seq and content, or what stands for one. */
  from: string;
  where: string;
  values?: unknown[];
}

/** An account's rows in the order of their last change, beyond one number and up to another, a page at a time. */
export async function* rowPages<Row extends { seq: string; content: Buffer | null }>(
  account: AccountKey,
  { columns, from, where, values = [] }: Source,
  after: number,
  upTo: number,
): AsyncGenerator<Row[]> {
  const text = `
    SELECT ${columns} FROM (
      SELECT ${columns}, sum(octet_length(content)) OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
      FROM ${from} WHERE account_id = $1 AND seq > $2 AND seq <= $3 AND ${where} ORDER BY seq LIMIT ${PAGE_ROWS}) page
    WHERE coalesce(before, 0) < ${PAGE_BYTES} ORDER BY seq`;
  for (let cursor = after, more = after < upTo; more;) {
    const { rows } = await account.home.database.pool.query<Row>(text, [account.id, cursor, upTo, ...values]);
    const bytes = rows.reduce((sum, row) => sum + (row.content?.length ?? 0), 0);
    more = rows.length === PAGE_ROWS || bytes >= PAGE_BYTES;
    cursor = Number(rows.at(-1)?.seq);
    if (rows.length > 0) yield rows;
  }
}
