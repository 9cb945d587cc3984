import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { ChangedRow } from '../changes/chunk.js';
import type { Kind, Mutation, Numbered, Outcome, StoredRow, Written } from '../changes/kind.js';
import { splice } from '../changes/splice.js';
import type { FileMetadata } from './file-metadata.js';
import { Leftovers } from './leftovers.js';

/** `put`: all bytes of the upload of the same id are there. `delete`: it goes, whole or not. */
export type FileMutation = Mutation<'put', FileMetadata> | Mutation<'delete', null>;

const FIELDS = ['bytes::text', 'created_at::text'];

/**
 * Files of an account: `{id, fileName, fileSize, fileType, conversationId?, bytes, createdAt}`. Their uploads are kept in
 * step with them.
 */
@Injectable()
export class FileKind implements Kind, OnModuleInit {
  readonly name = 'file';

  constructor(
    private readonly changes: Changes,
    private readonly leftovers: Leftovers,
  ) {}

  onModuleInit(): void {
    this.changes.register(this);
  }

  /** Files come one at a time, and their bytes cost more than their rows: one statement each is fine. They may go in crowds. */
  async write(client: ClientBase, items: Numbered[]): Promise<Written> {
    const written: Written = { outcomes: [], changed: [] };
    // Whoever deletes one, its bytes go at once.
    if (items.some(({ mutation }) => mutation.op === 'delete')) written.afterwards = () => this.leftovers.soon();
    const removals = await remove(client, items.filter(({ mutation }) => mutation.op === 'delete')); // prettier-ignore
    for (const item of items as Numbered<FileMutation>[]) {
      const outcome = removals.get(item) ?? (await put(client, item));
      written.outcomes.push(outcome);
      if (outcome.result === 'applied') written.changed.push(await this.changeOf(client, item));
    }
    return written;
  }

  private async changeOf(client: ClientBase, { mutation, seq }: Numbered<FileMutation>): Promise<ChangedRow> {
    const { account, id, at, op } = mutation;
    if (op === 'delete') return { account: account.id, seq, kind: this.name, id, at, row: () => null };
    const { rows } = await client.query<[Buffer, ...(string | null)[]]>({
      text: `SELECT content, ${FIELDS.join(', ')} FROM files WHERE account_id = $1 AND id = $2`,
      values: [account.id, id],
      rowMode: 'array',
    });
    const [content, ...fields] = rows[0]!;
    const row = () => this.view({ id, content, fields }, account);
    return { account: account.id, seq, kind: this.name, id, at, row };
  }

  readonly table = 'files';
  readonly fields = FIELDS;

  view({ id, content, fields }: Pick<StoredRow, 'id' | 'content' | 'fields'>, account: AccountKey): string {
    const [bytes, createdAt] = fields;
    const head = `{"id":"${id}","bytes":${bytes},"createdAt":${createdAt}}`;
    return splice(head, account.open('file', id, content!));
  }
}

/** Keeps the bytes for good; the same again changes nothing. `missing` when they have expired or were deleted. */
async function put(client: ClientBase, { mutation, seq }: Numbered<FileMutation>): Promise<Outcome<null>> {
  const { account, id, row, at } = mutation;
  const { rows } = await client.query<{ seq: string }>(
    `WITH kept AS (
       UPDATE uploads SET expires_at = NULL
       WHERE account_id = $1 AND id = $2::uuid AND concat IS DISTINCT FROM 'partial' AND (expires_at IS NULL OR expires_at > now())
       RETURNING id, size, created_at)
     INSERT INTO files (account_id, id, seq, at, bytes, created_at, content)
     SELECT $1, id::text, $3, $4, size, (extract(epoch FROM created_at) * 1000)::bigint, $5 FROM kept
     -- The same row as it is, so that its number comes back.
     ON CONFLICT (account_id, id) DO UPDATE SET seq = files.seq RETURNING seq`,
    [account.id, id, seq, at, account.seal('file', id, JSON.stringify(row))],
  );
  if (rows[0] === undefined) return { result: 'missing' };
  const stored = Number(rows[0].seq);
  return { result: stored === seq ? 'applied' : 'duplicate', seq: stored, state: null };
}

/**
 * The bytes go as expired ones do, those of the parts that it was to be joined from as well. An upload that was not complete
 * was no file yet: nobody has to be told.
 */
async function remove(client: ClientBase, items: Numbered[]): Promise<Map<Numbered, Outcome<null>>> {
  if (items.length === 0) return new Map();
  const uploads = await expire(client, 'id', items);
  const gone = items.filter((item) => uploads.has(rowOf(item)));
  const joined = gone.filter((item) => uploads.get(rowOf(item)) === 'final');
  if (joined.length > 0) await expire(client, 'joined_to', joined);
  const { rows: files } = await client.query<{ account_id: string; id: string }>(
    `UPDATE files f SET seq = i.seq, at = i.at, deleted = true, content = NULL
     FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS i(account_id, id, seq, at)
     WHERE f.account_id = i.account_id AND f.id = i.id AND NOT f.deleted RETURNING f.account_id, f.id`,
    [...idsOf(gone), gone.map(({ seq }) => seq), gone.map(({ mutation }) => mutation.at)],
  );
  const told = new Set(files.map(({ account_id, id }) => `${account_id} ${id}`));
  const outcomeOf = (item: Numbered): Outcome<null> => {
    if (!uploads.has(rowOf(item))) return { result: 'missing' };
    return { result: told.has(rowOf(item)) ? 'applied' : 'duplicate', seq: item.seq, state: null };
  };
  return new Map(items.map((item) => [item, outcomeOf(item)]));
}

/** Of those that are there: what they were joined as, by account and id. */
async function expire(
  client: ClientBase,
  by: 'id' | 'joined_to',
  items: Numbered[],
): Promise<Map<string, string | null>> {
  const { rows } = await client.query<{ account_id: string; id: string; concat: string | null }>(
    `UPDATE uploads u SET expires_at = to_timestamp(0) FROM unnest($1::uuid[], $2::uuid[]) AS i(account_id, id)
     WHERE u.account_id = i.account_id AND u.${by} = i.id AND (u.expires_at IS NULL OR u.expires_at > now())
     RETURNING u.account_id, u.id, u.concat`,
    idsOf(items),
  );
  return new Map(rows.map(({ account_id, id, concat }) => [`${account_id} ${id}`, concat]));
}

function idsOf(items: Numbered[]): [accounts: string[], ids: string[]] {
  return [items.map(({ mutation }) => mutation.account.id), items.map(({ mutation }) => mutation.id)];
}

function rowOf({ mutation: { account, id } }: Numbered): string {
  return `${account.id} ${id}`;
}
