import { relayError } from '../errors.js';
import type { AccountKey } from './account-key.js';
import type { AccountKeys } from './account-keys.js';
import type { Database } from '../database/database.js';
import { changeText } from './chunk.js';
import { PAGE_FIELDS, type Kind, type StoredRow } from './kind.js';
import { sharedId, sharedView } from './shared-view.js';

export interface Page {
  /** The changes as the elements of a JSON array. */
  text: string;
  count: number;
  /** What to pass as `after` next. */
  cursor: number;
  /** The account's number when this was read. */
  now: number;
  /** Whether more is there already. */
  more: boolean;
}

type Columns = [
  accountSeq: string,
  horizon: string,
  found: string,
  seq: string | null,
  kind: string,
  id: string,
  at: string,
  deleted: boolean,
  content: Buffer | null,
  ...fields: (string | null)[],
];

/** A page ends with the row whose content takes it past this many bytes: long messages make short pages. */
const MAX_PAGE_BYTES = 1_048_576;

/** Reads an account's rows in the order of their last change. */
export class Reader {
  private readonly sql: string;

  constructor(
    private readonly database: Database,
    private readonly kinds: ReadonlyMap<string, Kind>,
    private readonly keys: AccountKeys,
  ) {
    // One statement is one snapshot: with the account's number in it, no row at or below that number can be missing.
    // Each arm walks its own (account_id, seq) index and stops at the limit.
    const arms = [...[...kinds.values()].map(arm), sharedArm()].map((text) => `(${text})`).join(' UNION ALL ');
    const size = 'coalesce(octet_length(content), 0)';
    this.sql = `WITH page AS (
                  SELECT *, sum(${size}) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - ${size} AS before
                  FROM (${arms}) arms ORDER BY seq LIMIT $3)
                SELECT a.seq, a.horizon, (SELECT count(*) FROM page), p.*
                FROM accounts a LEFT JOIN page p ON p.before < ${MAX_PAGE_BYTES} WHERE a.id = $1 ORDER BY p.seq`;
  }

  /**
   * The changes after a cursor, at most `limit` rows. A row that changed twice shows once, in its last state.
   * `tombstones: false` leaves deleted rows out, as a snapshot does; then no cursor is too old.
   */
  async read(account: AccountKey, after: number, limit: number, tombstones = true): Promise<Page> {
    const { rows } = await this.database.pool.query<Columns>({
      name: 'changes-page',
      text: this.sql,
      values: [account.id, after, limit],
      rowMode: 'array',
    });
    if (rows.length === 0) throw relayError('session_expired');
    const [accountSeq, horizon, found] = rows[0]!;
    // Behind the horizon tombstones are missing; ahead of the account the database was put back to an earlier day.
    const now = Number(accountSeq);
    if ((tombstones && after !== 0 && after < Number(horizon)) || after > now) throw relayError('cursor_expired');

    const changes: string[] = [];
    let last = after;
    let read = 0;
    for (const [, , , seq, kind, id, at, deleted, content, ...fields] of rows) {
      if (seq === null) break;
      last = Number(seq);
      read++;
      if (deleted && !tombstones) continue;
      const row: StoredRow = { seq: last, kind, id, at: Number(at), deleted, content, fields };
      const own = this.kinds.get(kind);
      if (own === undefined) changes.push(...(await this.shared(row, account)));
      else changes.push(changeText(last, kind, id, row.at, deleted ? null : own.view(row, account)));
    }
    const more = read === limit || read < Number(found);
    return { text: changes.join(','), count: changes.length, cursor: more ? last : now, now, more };
  }

  /** One of a chat that has ended meanwhile is nobody's any more. */
  private async shared(
    { seq, kind, id, at, deleted, content, fields }: StoredRow,
    { home }: AccountKey,
  ): Promise<string[]> {
    const [chat, born] = fields;
    const key = await this.keys.find(chat!, home.realm);
    if (key === undefined) return [];
    const row = deleted ? null : sharedView(key, id, Number(born), key.open(kind, id, content!));
    return [changeText(seq, kind, sharedId(key, kind, id), at, row)];
  }
}

function arm({ name, table, fields }: Kind): string {
  const padded = Array.from({ length: PAGE_FIELDS }, (_, i) => fields[i] ?? 'NULL::text');
  return `SELECT seq, '${name}' AS kind, id, at, deleted, content, ${padded.join(', ')}
          FROM ${table} WHERE account_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`;
}

/** Rows that the account shares: as they are, where they still are what the account was pointed to. */
function sharedArm(): string {
  const rest = Array.from({ length: PAGE_FIELDS - 2 }, () => 'NULL::text');
  return `SELECT p.seq, r.kind, r.id, r.at, r.deleted, r.content, p.shared_id::text, r.born::text, ${rest.join(', ')}
          FROM pointers p CROSS JOIN LATERAL (
            SELECT * FROM shared_rows r WHERE r.account_id = p.shared_id AND r.seq = p.number LIMIT 1) r
          WHERE p.account_id = $1 AND p.seq > $2 ORDER BY p.seq LIMIT $3`;
}
