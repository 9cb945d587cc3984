import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { ChangedRow, Kind, Mutation, Numbered, Outcome, StoredRow, Written } from '../changes/kind.js';
import { ENV, type BootEnv } from '../env.js';

/** `put`: whatever was there goes, or with `ifAbsent` stays. `json`: the value as JSON text. */
export type StateMutation = Mutation<'put', { json: string; ifAbsent: boolean }> | Mutation<'delete', null>;

/** Why a `put` came to nothing (`stale`): a value was there, or the account has as many keys as it may. */
export type Refusal = 'exists' | 'full';

interface Stored {
  seq: number;
  /** Null once deleted. */
  content: Buffer | null;
}

type Write = { item: Numbered; content: Buffer | null };

/** Values that the devices of an account share under names of their own choice. The server does not look into them. */
@Injectable()
export class StateKind implements Kind, OnModuleInit {
  readonly name = 'state';
  private readonly maxKeys: number;

  constructor(
    private readonly changes: Changes,
    @Inject(ENV) { limits }: BootEnv,
  ) {
    this.maxKeys = limits.stateKeys;
  }

  onModuleInit(): void {
    this.changes.register(this);
  }

  async write(client: ClientBase, items: Numbered<StateMutation>[]): Promise<Written> {
    const stored = await find(client, items);
    const keys = await this.keysOf(client, items, stored);
    const changed: ChangedRow[] = [];
    const writes: Write[] = [];
    const outcomes = items.map((item, i): Outcome<Refusal | null> => {
      const { account, id, op, row } = item.mutation;
      const old = stored[i];
      const isThere = old?.content != null;
      const count = keys.get(account.id)!;
      if (op === 'delete') {
        if (!isThere) return { result: 'missing' };
        keys.set(account.id, count - 1);
      } else if (!isThere) {
        if (count >= this.maxKeys) return { result: 'stale', seq: 0, state: 'full' };
        keys.set(account.id, count + 1);
      } else if (row.ifAbsent) {
        return { result: 'stale', seq: old.seq, state: 'exists' };
      } else if (account.open('state', id, old.content!) === row.json) {
        return { result: 'duplicate', seq: old.seq, state: null };
      }
      writes.push({ item, content: op === 'delete' ? null : account.seal('state', id, row.json) });
      changed.push(this.changeOf(item));
      return { result: 'applied', seq: item.seq, state: null };
    });
    if (writes.length > 0) await upsert(client, writes);
    return { outcomes, changed };
  }

  /** How many keys the accounts have that may get a new one. Their rows are locked, so nobody else adds any meanwhile. */
  private async keysOf(
    client: ClientBase,
    items: Numbered<StateMutation>[],
    stored: (Stored | undefined)[],
  ): Promise<Map<string, number>> {
    const keys = new Map(items.map(({ mutation }) => [mutation.account.id, 0]));
    const growing = items.filter(({ mutation }, i) => mutation.op === 'put' && stored[i]?.content == null);
    if (growing.length === 0) return keys;
    const { rows } = await client.query<{ account_id: string; count: string }>({
      name: 'state-count',
      text: `SELECT account_id, count(*) FROM states WHERE account_id = ANY ($1::uuid[]) AND NOT deleted GROUP BY account_id`,
      values: [[...new Set(growing.map(({ mutation }) => mutation.account.id))]],
    });
    for (const { account_id, count } of rows) keys.set(account_id, Number(count));
    return keys;
  }

  private changeOf({ mutation, seq }: Numbered<StateMutation>): ChangedRow {
    const { account, id, at, op, row } = mutation;
    return {
      account: account.id,
      seq,
      kind: this.name,
      id,
      at,
      row: () => (op === 'delete' ? null : view(id, row.json)),
    };
  }

  readonly table = 'states';
  readonly fields = [];

  view({ id, content }: StoredRow, account: AccountKey): string {
    return view(id, account.open('state', id, content!));
  }
}

function view(id: string, json: string): string {
  return `{"id":${JSON.stringify(id)},"value":${json}}`;
}

/** The stored rows of these mutations, each in its place. */
async function find(client: ClientBase, items: Numbered[]): Promise<(Stored | undefined)[]> {
  const { rows } = await client.query<{ place: string; seq: string; content: Buffer | null }>({
    name: 'state-find',
    text: `SELECT i.place, s.seq, s.content FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS i(account_id, id, place)
           CROSS JOIN LATERAL (
             SELECT s.seq, s.content FROM states s WHERE s.account_id = i.account_id AND s.id = i.id LIMIT 1) s`,
    values: [items.map((i) => i.mutation.account.id), items.map((i) => i.mutation.id)],
  });
  const found = new Array<Stored | undefined>(items.length).fill(undefined);
  for (const { place, seq, content } of rows) found[Number(place) - 1] = { seq: Number(seq), content };
  return found;
}

async function upsert(client: ClientBase, writes: Write[]): Promise<void> {
  await client.query({
    name: 'state-upsert',
    text: `INSERT INTO states (account_id, id, seq, at, content, deleted)
           SELECT account_id, id, seq, at, content, content IS NULL
           FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[]) AS w(account_id, id, seq, at, content)
           -- By arrival: the account's lock has put them in order.
           ON CONFLICT (account_id, id) DO UPDATE SET seq = excluded.seq, at = excluded.at, deleted = excluded.deleted,
             content = excluded.content`,
    values: [
      writes.map(({ item }) => item.mutation.account.id),
      writes.map(({ item }) => item.mutation.id),
      writes.map(({ item }) => item.seq),
      writes.map(({ item }) => item.mutation.at),
      writes.map(({ content }) => content),
    ],
  });
}
