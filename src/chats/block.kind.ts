import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import { Changes } from '../changes/changes.js';
import type { Kind, Mutation, Numbered, Outcome, StoredRow, Written } from '../changes/kind.js';

/** `put`: the account wants to hear nothing of whom `id` names. `delete`: it does again. */
export type BlockMutation = Mutation<'put' | 'delete', null>;

/** Whom an account blocks: `{id}`, a user id. */
@Injectable()
export class BlockKind implements Kind, OnModuleInit {
  readonly name = 'block';

  constructor(private readonly changes: Changes) {}

  onModuleInit(): void {
    this.changes.register(this);
  }

  /** People block one by one: a statement each is fine. */
  async write(client: ClientBase, items: Numbered[]): Promise<Written> {
    const written: Written = { outcomes: [], changed: [] };
    for (const item of items as Numbered<BlockMutation>[]) {
      const outcome = await (item.mutation.op === 'put' ? put : remove)(client, item);
      written.outcomes.push(outcome);
      if (outcome.result !== 'applied') continue;
      const { account, id, op, at } = item.mutation;
      const row = () => (op === 'put' ? view(id) : null);
      written.changed.push({ account: account.id, seq: item.seq, kind: this.name, id, at, row });
    }
    return written;
  }

  readonly table = 'blocks';
  readonly fields = [];

  view({ id }: StoredRow): string {
    return view(id);
  }
}

function view(id: string): string {
  return `{"id":"${id}"}`;
}

async function put(client: ClientBase, { mutation, seq }: Numbered<BlockMutation>): Promise<Outcome<null>> {
  const { account, id, at } = mutation;
  const { rows } = await client.query<{ seq: string }>(
    `INSERT INTO blocks AS b (account_id, id, seq, at, content) VALUES ($1, $2, $3, $4, $5)
     -- One that stands keeps its number.
     ON CONFLICT (account_id, id) DO UPDATE SET deleted = false, content = excluded.content,
       seq = CASE WHEN b.deleted THEN excluded.seq ELSE b.seq END, at = CASE WHEN b.deleted THEN excluded.at ELSE b.at END
     RETURNING seq`,
    [account.id, id, seq, at, account.seal('block', id, '')],
  );
  const stored = Number(rows[0]!.seq);
  return { result: stored === seq ? 'applied' : 'duplicate', seq: stored, state: null };
}

async function remove(client: ClientBase, { mutation, seq }: Numbered<BlockMutation>): Promise<Outcome<null>> {
  const { account, id, at } = mutation;
  const { rowCount } = await client.query(
    'UPDATE blocks SET seq = $3, at = $4, deleted = true, content = NULL WHERE account_id = $1 AND id = $2 AND NOT deleted',
    [account.id, id, seq, at],
  );
  return rowCount === 0 ? { result: 'missing' } : { result: 'applied', seq, state: null };
}
