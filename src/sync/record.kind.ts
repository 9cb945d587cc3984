import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase, QueryConfig, QueryResult } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { accountsOf, packed, SEQ } from '../changes/batch.js';
import { Changes } from '../changes/changes.js';
import type { ChangedRow } from '../changes/chunk.js';
import type { Kind, Mutation, Numbered, Outcome, Planned, StoredRow, Written } from '../changes/kind.js';

/** A row of an app's table as a client wrote it. */
export interface RecordWrite {
  /** The app's table. */
  collection: string;
  /** When the client changed it, as it said: JSON text of a string or a number. */
  clientDate: string;
  /** The same in ms since 1970, not later than our own clock. */
  changedAt: number;
  /** The device that wrote it. */
  origin: string;
  /** The row as JSON text; null deletes it. */
  json: string | null;
  /** The same sealed. */
  sealed: Buffer | null;
}

export type RecordMutation = Mutation<'write', RecordWrite>;

type Item = Numbered<RecordMutation>;

/**
 * Rows of apps' tables (wire.md, section C). The newer `changedAt` wins, deletions included; on a tie what is stored
 * stands.
 */
@Injectable()
export class RecordKind implements Kind, OnModuleInit {
  readonly name = 'record';

  constructor(private readonly changes: Changes) {}

  onModuleInit(): void {
    this.changes.register(this);
  }

  /** What is newer than the stored row, which is nearly everything, needs no look at it. */
  plan(items: Item[]): Planned {
    return {
      queries: [upsertion(items)],
      read: ([result]) => {
        const written = keysOf(result as QueryResult<WrittenColumns>);
        const changed: ChangedRow[] = [];
        const outcomes = items.map((item) => (written.has(keyOf(item)) ? applied(item, changed) : undefined));
        return { outcomes, changed };
      },
    };
  }

  async write(client: ClientBase, items: Item[]): Promise<Written<null>> {
    const written = keysOf(await client.query<WrittenColumns>(upsertion(items)));
    const changed: ChangedRow[] = [];
    const rest = items.filter((item) => !written.has(keyOf(item)));
    const stood = new Map<Item, Outcome<null>>();
    for (const { place, ...row } of await find(client, rest)) {
      const item = rest[Number(place) - 1]!;
      stood.set(item, { result: says(row, item) ? 'duplicate' : 'stale', seq: Number(row.seq), state: null });
    }
    return { outcomes: items.map((item) => stood.get(item) ?? applied(item, changed)), changed };
  }

  readonly table = 'records';
  readonly fields = ['collection', 'client_date', 'origin'];

  view({ id, content, fields }: StoredRow, account: AccountKey): string {
    const [collection, clientDate, origin] = fields as [string, string, string];
    return view({ id, collection, clientDate, origin, json: account.open('record', id, content!) });
  }
}

type Viewed = Pick<RecordWrite, 'collection' | 'clientDate' | 'origin'> & { id: string; json: string };

function view({ id, collection, json, clientDate, origin }: Viewed): string {
  return `{"id":${JSON.stringify(id)},"table":${JSON.stringify(collection)},"data":${json},"clientDate":${clientDate},"origin":${JSON.stringify(origin)}}`;
}

type WrittenColumns = [account: string, seq: string];

/** Stores those that are newer than what is there, and answers which. */
function upsertion(items: Item[]): QueryConfig {
  const of = <T>(field: (item: Item) => T) => items.map(field);
  const { accounts, places } = accountsOf(items);
  const { bytes, starts, sizes } = packed(of((i) => i.mutation.row.sealed));
  return {
    name: 'record-upsert',
    text: `INSERT INTO records (account_id, id, seq, at, deleted, collection, client_date, changed_at, origin, content)
           SELECT ($1::uuid[])[i.account], i.id, ${SEQ}, i.at, i.size = 0, i.collection, i.client_date, i.changed_at, i.origin,
                  CASE WHEN i.size > 0 THEN substring($9::bytea FROM i.start FOR i.size) END
           FROM unnest($2::int[], $3::text[], $4::int[], $5::bigint[], $6::text[], $7::text[], $8::bigint[], $10::text[],
                       $11::int[], $12::int[])
             AS i(account, id, later, at, collection, client_date, changed_at, origin, start, size)
           ON CONFLICT (account_id, id) DO UPDATE SET seq = excluded.seq, at = excluded.at, deleted = excluded.deleted,
             collection = excluded.collection, client_date = excluded.client_date, changed_at = excluded.changed_at,
             origin = excluded.origin, content = excluded.content
           WHERE excluded.changed_at > records.changed_at
             -- A date from the future counts as the moment it came: sent again it is still the same one.
             AND excluded.client_date <> records.client_date
           RETURNING account_id, seq`,
    values: [
      accounts,
      places,
      of((i) => i.mutation.id),
      of((i) => i.later),
      of((i) => i.mutation.at),
      of((i) => i.mutation.row.collection),
      of((i) => i.mutation.row.clientDate),
      of((i) => i.mutation.row.changedAt),
      bytes,
      of((i) => i.mutation.row.origin),
      starts,
      sizes,
    ],
    rowMode: 'array',
  } as QueryConfig;
}

function keysOf({ rows }: QueryResult<WrittenColumns>): Set<string> {
  return new Set(rows.map(([account, seq]) => `${account}:${seq}`));
}

function keyOf({ mutation: { account }, seq }: Item): string {
  return `${account.id}:${seq}`;
}

interface StoredColumns {
  seq: string;
  collection: string;
  client_date: string;
  content: Buffer | null;
}

/** The stored rows of these mutations, with the place of each from 1 on. */
async function find(client: ClientBase, items: Item[]): Promise<(StoredColumns & { place: string })[]> {
  if (items.length === 0) return [];
  const { rows } = await client.query<StoredColumns & { place: string }>({
    name: 'record-find',
    text: `SELECT i.place, r.* FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS i(account_id, id, place)
           CROSS JOIN LATERAL (
             SELECT seq, collection, client_date, content FROM records r
             WHERE r.account_id = i.account_id AND r.id = i.id LIMIT 1) r`,
    values: [items.map((i) => i.mutation.account.id), items.map((i) => i.mutation.id)],
  });
  return rows;
}

/** Whether the stored row is what this mutation wants it to be. */
function says(stored: StoredColumns, { mutation: { account, id, row } }: Item): boolean {
  if (stored.client_date !== row.clientDate || stored.collection !== row.collection) return false;
  return row.json === (stored.content === null ? null : account.open('record', id, stored.content));
}

/** Notes the change, and answers the outcome. */
function applied({ mutation, seq }: Item, changed: ChangedRow[]): Outcome<null> {
  const { account, id, at, row } = mutation;
  const { json } = row;
  const text = () => (json === null ? null : view({ id, ...row, json }));
  changed.push({ account: account.id, seq, kind: 'record', id, at, row: text });
  return { result: 'applied', seq, state: null };
}
