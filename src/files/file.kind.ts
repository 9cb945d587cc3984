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

  /** Files come and go one at a time, and their bytes cost more than their rows: one statement each is fine. */
  async write(client: ClientBase, items: Numbered[]): Promise<Written> {
    const written: Written = { outcomes: [], changed: [] };
    // Whoever deletes one, its bytes go at once.
    if (items.some(({ mutation }) => mutation.op === 'delete')) written.afterwards = () => this.leftovers.soon();
    for (const item of items as Numbered<FileMutation>[]) {
      const outcome = item.mutation.op === 'put' ? await put(client, item) : await remove(client, item);
      written.outcomes.push(outcome);
      if (outcome.result === 'applied') written.changed.push(await this.changeOf(client, item));
    }
    return written;
  }

  private async changeOf(client: ClientBase, { mutation, seq }: Numbered<FileMutation>): Promise<ChangedRow> {
    const { account, id, at } = mutation;
    const { rows } = await client.query<[Buffer | null, ...(string | null)[]]>({
      text: `SELECT content, ${FIELDS.join(', ')} FROM files WHERE account_id = $1 AND id = $2`,
      values: [account.id, id],
      rowMode: 'array',
    });
    const [content, ...fields] = rows[0]!;
    const row = () => (content === null ? null : this.view({ id, content, fields }, account));
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
async function remove(client: ClientBase, { mutation, seq }: Numbered<FileMutation>): Promise<Outcome<null>> {
  const { account, id, at } = mutation;
  const expire = (whose: string) => `UPDATE uploads SET expires_at = to_timestamp(0)
    WHERE account_id = $1 AND ${whose} = $2 AND (expires_at IS NULL OR expires_at > now()) RETURNING concat`;
  const upload = await client.query<{ concat: string | null }>(expire('id'), [account.id, id]);
  if (upload.rows[0] === undefined) return { result: 'missing' };
  if (upload.rows[0].concat === 'final') await client.query(expire('joined_to'), [account.id, id]);
  const file = await client.query(
    'UPDATE files SET seq = $3, at = $4, deleted = true, content = NULL WHERE account_id = $1 AND id = $2 AND NOT deleted',
    [account.id, id, seq, at],
  );
  return { result: file.rowCount === 0 ? 'duplicate' : 'applied', seq, state: null };
}
