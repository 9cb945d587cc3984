import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { SEALING_BYTES, type AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { ChangedRow } from '../changes/chunk.js';
import type { Kind, Mutation, Numbered, Outcome, StoredRow, Written } from '../changes/kind.js';
import { ENV, type BootEnv } from '../env.js';

/** `put`: whatever was there goes, or with `ifAbsent` stays. `json`: the value as JSON text. */
export type StateMutation = Mutation<'put', { json: string; ifAbsent: boolean }> | Mutation<'delete', null>;

/** Why a `put` came to nothing (`stale`): a value was there, or the account has as many keys or bytes as it may. */
export type Refusal = 'exists' | 'keys' | 'bytes';

/** A state while its batch is decided: as it was found, then as the mutations before left it. */
interface Standing {
  seq: number;
  /** The value, sealed as it was stored or as JSON text; null when there is none. */
  value: Buffer | string | null;
  /** The last mutation that changed it. */
  by?: Numbered<StateMutation>;
}

/** What an account's states amount to: kept in its row, so that the bounds cost no counting. */
interface Total {
  keys: number;
  /** Sealed. */
  bytes: number;
  changed: boolean;
}

/** Values that the devices of an account share under names of their own choice. The server does not look into them. */
@Injectable()
export class StateKind implements Kind, OnModuleInit {
  readonly name = 'state';
  readonly supersedes = true;
  private readonly maxKeys: number;
  private readonly maxBytes: number;

  constructor(
    private readonly changes: Changes,
    @Inject(ENV) { limits }: BootEnv,
  ) {
    this.maxKeys = limits.stateKeys;
    this.maxBytes = limits.stateBytes;
  }

  onModuleInit(): void {
    this.changes.register(this);
  }

  async write(client: ClientBase, items: Numbered<StateMutation>[]): Promise<Written> {
    const [standing, totals] = await Promise.all([find(client, items), totalsOf(client, items)]);
    const outcomes = items.map((item) => {
      const { account, id } = item.mutation;
      return this.decide(item, standing.get(keyOf(account.id, id))!, totals.get(account.id)!);
    });
    const written = [...standing.values()].filter(({ by }) => by !== undefined);
    if (written.length > 0) await store(client, written, totals);
    return { outcomes, changed: written.map((state) => this.changeOf(state)) };
  }

  private decide(item: Numbered<StateMutation>, state: Standing, total: Total): Outcome<Refusal | null> {
    const { account, id, op, row } = item.mutation;
    const before = sizeOf(state.value);
    if (op === 'delete') {
      if (state.value === null) return { result: 'missing' };
      total.keys--;
    } else if (state.value === null) {
      if (total.keys >= this.maxKeys) return { result: 'stale', seq: 0, state: 'keys' };
    } else if (row.ifAbsent) {
      return { result: 'stale', seq: state.seq, state: 'exists' };
    } else {
      if (typeof state.value !== 'string') state.value = account.open('state', id, state.value);
      if (state.value === row.json) return { result: 'duplicate', seq: state.seq, state: null };
    }
    const value = op === 'delete' ? null : row.json;
    const growth = sizeOf(value) - before;
    if (growth > 0 && total.bytes + growth > this.maxBytes) return { result: 'stale', seq: state.seq, state: 'bytes' };
    if (state.value === null) total.keys++;
    total.bytes += growth;
    total.changed ||= growth !== 0;
    Object.assign(state, { seq: item.seq, value, by: item });
    return { result: 'applied', seq: item.seq, state: null };
  }

  /** Followers are told the state that stands after the batch. */
  private changeOf({ seq, value, by }: Standing): ChangedRow {
    const { account, id, at } = by!.mutation;
    return {
      account: account.id,
      seq,
      kind: this.name,
      id,
      at,
      row: () => (value === null ? null : view(id, value as string)),
    };
  }

  readonly table = 'states';
  readonly fields = [];

  async adopted(client: ClientBase, { id }: AccountKey): Promise<void> {
    await client.query(
      `UPDATE accounts SET (state_keys, state_bytes) =
         (SELECT count(*), coalesce(sum(octet_length(content)), 0) FROM states WHERE account_id = $1 AND NOT deleted)
       WHERE id = $1`,
      [id],
    );
  }

  view({ id, content }: StoredRow, account: AccountKey): string {
    return view(id, account.open('state', id, content!));
  }
}

function view(id: string, json: string): string {
  return `{"id":${JSON.stringify(id)},"value":${json}}`;
}

function keyOf(account: string, id: string): string {
  return `${account}:${id}`;
}

/** Of a value once it is sealed. */
function sizeOf(value: Standing['value']): number {
  if (value === null) return 0;
  return typeof value === 'string' ? Buffer.byteLength(value) + SEALING_BYTES : value.length;
}

/** The states that these mutations name, each once. */
async function find(client: ClientBase, items: Numbered[]): Promise<Map<string, Standing>> {
  const standing = new Map<string, Standing>();
  const accounts: string[] = [];
  const ids: string[] = [];
  for (const { mutation } of items) {
    const key = keyOf(mutation.account.id, mutation.id);
    if (standing.has(key)) continue;
    standing.set(key, { seq: 0, value: null });
    accounts.push(mutation.account.id);
    ids.push(mutation.id);
  }
  const { rows } = await client.query<[place: string, seq: string, content: Buffer | null]>({
    name: 'state-find',
    text: `SELECT i.place, s.seq, s.content FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS i(account_id, id, place)
           CROSS JOIN LATERAL (
             SELECT s.seq, s.content FROM states s WHERE s.account_id = i.account_id AND s.id = i.id LIMIT 1) s`,
    values: [accounts, ids],
    rowMode: 'array',
  });
  for (const [place, seq, value] of rows) {
    const i = Number(place) - 1;
    standing.set(keyOf(accounts[i]!, ids[i]!), { seq: Number(seq), value });
  }
  return standing;
}

/** The accounts' rows are locked, so nobody else adds to them meanwhile. */
async function totalsOf(client: ClientBase, items: Numbered[]): Promise<Map<string, Total>> {
  const { rows } = await client.query<[id: string, keys: number, bytes: string]>({
    name: 'state-totals',
    text: 'SELECT id, state_keys, state_bytes FROM accounts WHERE id = ANY ($1::uuid[])',
    values: [[...new Set(items.map(({ mutation }) => mutation.account.id))]],
    rowMode: 'array',
  });
  return new Map(rows.map(([id, keys, bytes]) => [id, { keys, bytes: Number(bytes), changed: false }]));
}

async function store(client: ClientBase, states: Standing[], totals: Map<string, Total>): Promise<void> {
  const sealed = states.map(({ value, by }) => {
    const { account, id } = by!.mutation;
    return value === null ? null : account.seal('state', id, value as string);
  });
  // The sealed values go as one binary parameter and are cut apart there: an array of bytea would go as hex.
  let end = 0;
  const starts = sealed.map((value) => (end += value?.length ?? 0) - (value?.length ?? 0) + 1);
  const changed = [...totals].filter(([, total]) => total.changed);
  await client.query({
    name: 'state-store',
    text: `WITH totals AS (
             UPDATE accounts a SET state_keys = t.keys, state_bytes = t.bytes
             FROM unnest($8::uuid[], $9::int[], $10::bigint[]) AS t(id, keys, bytes) WHERE a.id = t.id)
           INSERT INTO states (account_id, id, seq, at, content, deleted)
           SELECT account_id, id, seq, at, substring($5::bytea FROM start FOR size), size IS NULL
           FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $6::int[], $7::int[])
             AS w(account_id, id, seq, at, start, size)
           -- By arrival: the account's lock has put them in order.
           ON CONFLICT (account_id, id) DO UPDATE SET seq = excluded.seq, at = excluded.at, deleted = excluded.deleted,
             content = excluded.content`,
    values: [
      states.map(({ by }) => by!.mutation.account.id),
      states.map(({ by }) => by!.mutation.id),
      states.map(({ seq }) => seq),
      states.map(({ by }) => by!.mutation.at),
      Buffer.concat(sealed.filter((value) => value !== null)),
      starts,
      sealed.map((value) => value?.length ?? null),
      changed.map(([id]) => id),
      changed.map(([, { keys }]) => keys),
      changed.map(([, { bytes }]) => bytes),
    ],
  });
}
