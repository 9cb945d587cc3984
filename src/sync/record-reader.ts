import { Injectable } from '@nestjs/common';
import type { QueryConfig } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import type { Database } from '../database/database.js';
import { relayError } from '../errors.js';

const PAGE_ROWS = 1000;
/** Rows that are read quickly; more would hold up other requests. */
const FEW = 100;
/** A page ends with the row whose content takes it past this many bytes. */
const MAX_PAGE_BYTES = 1_048_576;

/** Where a client stands as it asks. */
export interface Standing {
  /** The account's number. */
  now: number;
  /** Tombstones up to here are gone. */
  horizon: number;
  /** What the client announced in the parts of this pull that came before. */
  pending: string[];
  /** Of all it announced: rows that stand here as they are, because they are newer or of the same date. */
  outdated: string[];
}

export interface Announced {
  ids: string[];
  /** ms since 1970, one for each. */
  changedAt: number[];
}

type RecordColumns = [
  seq: string,
  id: string,
  at: string,
  collection: string,
  clientDate: string,
  origin: string,
  content: Buffer | null,
  found: string,
];

/** What a living row is told as: `I` to a client that knows nothing yet. */
type Operation = 'I' | 'U';
type Connection = Pick<Database['quick'], 'query'>;
type Filter = (id: string, isDeleted: boolean) => boolean;

/** Reads records in the words of wire.md, section C. */
@Injectable()
export class RecordReader {
  /** `pendingSince`: ms since 1970; what was announced before is forgotten. */
  async compare(
    account: AccountKey,
    deviceId: string,
    { ids, changedAt }: Announced,
    pendingSince: number,
  ): Promise<Standing> {
    const ask = async (connection: Connection, limit: number | null) => {
      const { rows } = await connection.query<{ seq: string; horizon: string; pending: string[]; outdated: string[] }>({
        name: 'record-compare',
        text: `WITH pending AS (
                 SELECT id, changed_at FROM pending_pulls WHERE account_id = $1 AND device_id = $2 AND at > $3 LIMIT $6),
               announced AS (
                 SELECT id, max(changed_at) AS changed_at
                 FROM (SELECT * FROM pending
                       -- As subqueries their lengths are not known beforehand: else Postgres plans anew each time.
                       UNION ALL SELECT * FROM unnest((SELECT $4::text[]), (SELECT $5::bigint[]))) c (id, changed_at) GROUP BY id)
               SELECT a.seq, a.horizon, ARRAY(SELECT id FROM pending) AS pending, ARRAY(
                 SELECT c.id FROM announced c CROSS JOIN LATERAL (
                   SELECT changed_at FROM records r WHERE r.account_id = $1 AND r.id = c.id LIMIT 1) r
                 WHERE r.changed_at >= c.changed_at) AS outdated
               FROM accounts a WHERE a.id = $1`,
        values: [account.id, deviceId, pendingSince, ids, changedAt, limit],
      }); // prettier-ignore
      if (rows.length === 0) throw relayError('token_expired');
      const { seq, horizon, pending, outdated } = rows[0]!;
      return { now: Number(seq), horizon: Number(horizon), pending, outdated };
    };
    const { quick, pool } = account.home.database;
    const standing = ids.length <= FEW ? await ask(quick, FEW + 1) : undefined;
    return standing !== undefined && standing.pending.length <= FEW ? standing : ask(pool, null);
  }

  /** Pages of the rows that are wanted and whose last change is after one number and not after another, in that order. */
  changed(
    account: AccountKey,
    after: number,
    upTo: number,
    operation: Operation,
    isWanted: Filter,
  ): AsyncGenerator<string[]> {
    const rows = `SELECT * FROM records WHERE account_id = $1 AND seq > $2 AND seq <= $4 ORDER BY seq LIMIT $3`;
    const text = paged(rows);
    const query = (cursor: number) => ({ name: 'record-page', text, values: [account.id, cursor, PAGE_ROWS, upTo] });
    return pages(account, after, query, upTo - after, operation, isWanted);
  }

  /** Pages of these rows, wherever they stand. */
  named(account: AccountKey, ids: string[], operation: Operation): AsyncGenerator<string[]> {
    const rows = `SELECT r.* FROM unnest($4::text[]) i(id) CROSS JOIN LATERAL (
                    SELECT * FROM records r WHERE r.account_id = $1 AND r.id = i.id AND r.seq > $2 LIMIT 1) r
                  ORDER BY r.seq LIMIT $3`;
    const text = paged(rows);
    const query = (cursor: number) => ({ name: 'record-named', text, values: [account.id, cursor, PAGE_ROWS, ids] });
    return pages(account, 0, query, ids.length, operation, () => true);
  }

  /**
   * The number up to which a client knows all that happened, when it knows what did up to `after`: the account's, unless
   * another device wrote something since.
   */
  async known(account: AccountKey, deviceId: string, after: number): Promise<{ known: number; horizon: number }> {
    const { rows } = await account.home.database.quick.query<{ seq: string; horizon: string; other: string | null }>({
      name: 'record-known',
      text: `SELECT a.seq, a.horizon, (
               SELECT r.seq FROM records r
               WHERE r.account_id = a.id AND r.seq > CASE WHEN $2 > a.seq THEN 0 ELSE $2 END AND r.origin <> $3
               ORDER BY r.seq LIMIT 1) AS other
             FROM accounts a WHERE a.id = $1`,
      values: [account.id, after, deviceId],
    });
    if (rows.length === 0) throw relayError('token_expired');
    const { seq, horizon, other } = rows[0]!;
    return { known: other === null ? Number(seq) : Number(other) - 1, horizon: Number(horizon) };
  }
}

function paged(rows: string): string {
  const size = 'coalesce(octet_length(content), 0)';
  return `SELECT seq, id, at, collection, client_date, origin, content, found FROM (
            SELECT *, count(*) OVER () AS found,
              sum(${size}) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - ${size} AS before
            FROM (${rows}) rows) page
          WHERE before < ${MAX_PAGE_BYTES} ORDER BY seq`;
}

/** `most` is how many rows there can be. */
async function* pages(
  account: AccountKey,
  after: number,
  query: (cursor: number) => QueryConfig,
  most: number,
  operation: Operation,
  isWanted: Filter,
): AsyncGenerator<string[]> {
  const { pool, quick } = account.home.database;
  const connection: Connection = most <= FEW ? quick : pool;
  const read = async (cursor: number): Promise<RecordColumns[]> => {
    const { rows } = await connection.query<RecordColumns>({ ...query(cursor), rowMode: 'array' } as QueryConfig);
    return rows;
  };
  for (let reading: Promise<RecordColumns[]> | undefined = read(after); reading !== undefined;) {
    const rows: RecordColumns[] = await reading;
    const last = rows.at(-1);
    const more = last !== undefined && (rows.length === PAGE_ROWS || rows.length < Number(last[7]));
    // Postgres reads the next page while this one is opened.
    reading = more ? read(Number(last[0])) : undefined;
    reading?.catch(() => undefined); // whoever asked may be gone by then
    const wanted = rows.filter(([, id, , , , , content]) => isWanted(id, content === null));
    yield wanted.map((row) => toText(row, account, operation));
  }
}

/** A row as `{userid,id,rowguid,operation,tablename,clientdate,serverdate,clientid,rowData}`, `id` being its number. */
function toText(columns: RecordColumns, account: AccountKey, operation: Operation): string {
  const [seq, id, at, collection, clientDate, origin, content] = columns;
  return (
    `{"userid":"${account.id}","id":${seq},"rowguid":"${id}","operation":"${content === null ? 'D' : operation}",` +
    `"tablename":${JSON.stringify(collection)},"clientdate":${clientDate},"serverdate":"${new Date(Number(at)).toISOString()}",` +
    `"clientid":${JSON.stringify(origin)},"rowData":${content === null ? 'null' : account.open('record', id, content)}}`
  );
}
