import { Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { AccountKey } from './account-key.js';
import { Changes } from './changes.js';
import type { Chunk } from './chunk.js';
import { Feed } from './feed.js';
import type { Kind, StoredRow } from './kind.js';

/** Rows of one transaction: while it runs, the account that gets them takes no other writes. */
const AT_ONCE = 200;
/** And the bytes after which it ends. */
const MAX_BYTES = 1_048_576;

/** A row that is to move, and what there is of the same id where it goes. */
interface Candidate {
  id: string;
  deleted: boolean;
  content: Buffer | null;
  rival: 'none' | 'deleted' | 'older' | 'newer';
}

/** Where candidates go: under which id; the others are left out. */
interface Sorted {
  moving: { candidate: Candidate; id: string }[];
  dropped: string[];
  /** Rows of the other account that give way. */
  replaced: string[];
}

/**
 * Moves the rows of an account into another that it was joined to: sealed anew by the other's key, under numbers of the
 * other's, in the order they had. Each piece is a transaction, told to followers like any commit; what has moved is gone from
 * where it was, so that whoever dies in between goes on with what is left.
 */
@Injectable()
export class Adoption {
  private stopping = false;

  constructor(
    private readonly changes: Changes,
    private readonly feed: Feed,
  ) {}

  stop(): void {
    this.stopping = true;
  }

  /** Resolves when nothing is left, or one of the accounts is gone, or the server stops. */
  async run(from: AccountKey, into: AccountKey): Promise<void> {
    for (const kind of this.changes.registered())
      for (let chunk: Chunk | undefined; !this.stopping && (chunk = await this.piece(kind, from, into));)
        this.feed.publish(chunk);
    for (let chunk: Chunk | undefined; !this.stopping && (chunk = await this.pointers(from, into));)
      this.feed.publish(chunk);
  }

  /** Undefined when nothing of the kind is left. */
  private piece(kind: Kind, from: AccountKey, into: AccountKey): Promise<Chunk | undefined> {
    return into.home.database.transaction(async (client) =>
      (await lock(client, from, into)) ? this.move(client, kind.name, from, into) : undefined,
    );
  }

  /** What the account shares with others is stored with them: only its pointers move. */
  private pointers(from: AccountKey, into: AccountKey): Promise<Chunk | undefined> {
    return into.home.database.transaction(async (client) =>
      (await lock(client, from, into)) ? movePointers(client, from, into) : undefined,
    );
  }

  /**
   * Moves a piece of a kind, in a transaction that has locked both accounts. The result is to be published once it is
   * committed; undefined when there was nothing left.
   */
  async move(client: ClientBase, name: string, from: AccountKey, into: AccountKey): Promise<Chunk | undefined> {
    const kind = [...this.changes.registered()].find((each) => each.name === name)!;
    const candidates = await find(client, kind, from, into);
    if (candidates.length === 0) return undefined;
    const { moving, dropped, replaced } = sort(kind, candidates, from);
    const remove = (account: AccountKey, ids: string[]) =>
      client.query(`DELETE FROM ${kind.table} WHERE account_id = $1 AND id = ANY ($2)`, [account.id, ids]);
    if (replaced.length > 0) await remove(into, replaced);
    if (dropped.length > 0) await remove(from, dropped);

    const { rows: numbers } = await client.query<{ seq: string }>(
      'UPDATE accounts SET seq = seq + $2 WHERE id = $1 RETURNING seq',
      [into.id, moving.length],
    );
    const cursor = Number(numbers[0]!.seq);
    const after = cursor - moving.length;
    const moved = moving.length === 0 ? [] : await rewrite(client, kind, from, into, after, moving);
    await kind.adopted?.(client, into);
    const rows = moved.map((row) => ({
      account: into.id,
      seq: row.seq,
      kind: kind.name,
      id: row.id,
      at: row.at,
      row: () => (row.deleted ? null : kind.view(row, into)),
    }));
    return { account: into.id, after, cursor, rows: rows.sort((a, b) => a.seq - b.seq) };
  }
}

/** Locks both accounts, in id order as the commits do; false when one of them is gone. */
export async function lock(client: ClientBase, one: AccountKey, other: AccountKey): Promise<boolean> {
  const { rowCount } = await client.query('SELECT id FROM accounts WHERE id = ANY ($1) ORDER BY id FOR UPDATE', [
    [one.id, other.id],
  ]);
  return rowCount === 2;
}

/** Those that the other has already are left out. Undefined when there are no more. */
async function movePointers(client: ClientBase, from: AccountKey, into: AccountKey): Promise<Chunk | undefined> {
  const { rows } = await client.query<{ taken: number; moved: number; seq: string }>(
    `WITH taken AS (
       DELETE FROM pointers WHERE (account_id, seq) IN (
         SELECT account_id, seq FROM pointers WHERE account_id = $1 ORDER BY seq LIMIT ${AT_ONCE})
       RETURNING *),
     moved AS (
       SELECT shared_id, number, row_number() OVER (ORDER BY seq) AS nth FROM taken t
       WHERE NOT EXISTS (SELECT FROM pointers p
                         WHERE p.account_id = $2 AND p.shared_id = t.shared_id AND p.number = t.number)),
     numbered AS (
       UPDATE accounts SET seq = seq + (SELECT count(*) FROM moved) WHERE id = $2
       RETURNING seq, seq - (SELECT count(*) FROM moved) AS before),
     stored AS (
       INSERT INTO pointers (account_id, seq, shared_id, number)
       SELECT $2, before + nth, shared_id, number FROM moved, numbered)
     SELECT (SELECT count(*)::int FROM taken) AS taken, (SELECT count(*)::int FROM moved) AS moved, seq FROM numbered`,
    [from.id, into.id],
  );
  const { taken, moved, seq } = rows[0]!;
  if (taken === 0) return undefined;
  return { account: into.id, after: Number(seq) - moved, cursor: Number(seq), ...(moved === 0 ? { rows: [] } : {}) };
}

async function find(client: ClientBase, { table }: Kind, from: AccountKey, into: AccountKey): Promise<Candidate[]> {
  const size = 'coalesce(octet_length(content), 0)';
  const { rows } = await client.query<Candidate>(
    `SELECT o.id, o.deleted, o.content,
            CASE WHEN s.id IS NULL THEN 'none' WHEN s.deleted THEN 'deleted' WHEN s.at < o.at THEN 'older' ELSE 'newer' END AS rival
     FROM (SELECT *, sum(${size}) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - ${size} AS before
           FROM (SELECT id, seq, at, deleted, content FROM ${table} WHERE account_id = $1 ORDER BY seq LIMIT ${AT_ONCE}) o) o
     LEFT JOIN ${table} s ON s.account_id = $2 AND s.id = o.id
     WHERE o.before < ${MAX_BYTES} ORDER BY o.seq`,
    [from.id, into.id],
  );
  return rows;
}

/** The newer of two rows stands, but a row that lives is not given up for the trace of one that was deleted. */
function sort({ idsAreLocal }: Kind, candidates: Candidate[], from: AccountKey): Sorted {
  const sorted: Sorted = { moving: [], dropped: [], replaced: [] };
  for (const candidate of candidates) {
    const { id, deleted, rival } = candidate;
    if (rival !== 'none' && idsAreLocal) {
      sorted.moving.push({ candidate, id: id + suffix(from) });
    } else if (rival !== 'none' && (deleted || rival === 'newer')) {
      sorted.dropped.push(id);
    } else {
      sorted.moving.push({ candidate, id });
      if (rival !== 'none') sorted.replaced.push(id);
    }
  }
  return sorted;
}

/** Ends the id of a row whose id is taken where it goes: always the same, so that rows which refer to it find it. */
function suffix({ id }: AccountKey): string {
  return `~${id.slice(0, 8)}`;
}

async function rewrite(
  client: ClientBase,
  kind: Kind,
  from: AccountKey,
  into: AccountKey,
  after: number,
  moving: Sorted['moving'],
): Promise<StoredRow[]> {
  const texts = moving.map(({ candidate: { id, content } }) => content && from.open(kind.name, id, content));
  const sealed = moving.map(({ id }, i) => (texts[i] == null ? null : into.seal(kind.name, id, texts[i])));
  const { keyed, refersTo } = kind;
  const hashes = texts.map((text) => (keyed === undefined || text === null ? null : keyed.of(text, into)));
  const sets = [
    'account_id = $2, id = n.new_id, seq = $7 + n.place, content = n.sealed',
    ...(keyed === undefined ? [] : [`${keyed.column} = n.hash`]),
    // What it refers to has moved before it, perhaps under another id.
    ...(refersTo === undefined
      ? []
      : [
          `${refersTo.column} = coalesce((SELECT r.id FROM ${refersTo.table} r WHERE r.account_id = $2
             AND r.id = o.${refersTo.column} || '${suffix(from)}'), o.${refersTo.column})`,
        ]),
  ];
  const { rows } = await client.query<[string, string, string, boolean, Buffer | null, ...(string | null)[]]>({
    text: `UPDATE ${kind.table} o SET ${sets.join(', ')}
           FROM unnest($3::text[], $4::text[], $5::bytea[], $6::bytea[]) WITH ORDINALITY AS n(old_id, new_id, sealed, hash, place)
           WHERE o.account_id = $1 AND o.id = n.old_id
           RETURNING o.seq, o.id, o.at, o.deleted, o.content${kind.fields.map((field) => `, ${field}`).join('')}`,
    values: [
      from.id,
      into.id,
      moving.map(({ candidate }) => candidate.id),
      moving.map(({ id }) => id),
      sealed,
      hashes,
      after,
    ],
    rowMode: 'array',
  });
  return rows.map(([seq, id, at, deleted, content, ...fields]) => ({
    seq: Number(seq),
    kind: kind.name,
    id,
    at: Number(at),
    deleted,
    content,
    fields,
  }));
}
