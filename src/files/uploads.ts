import { Inject, Injectable } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Changes } from '../changes/changes.js';
import { isMember } from '../changes/sharing.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import type { Upload } from '../generated/prisma/client.js';
import type { FileMutation } from './file.kind.js';
import { readMetadata, type Metadata } from './file-metadata.js';
import { Leftovers } from './leftovers.js';
import { Storage } from './storage.js';

/** What a file takes at least, so that empty ones do not come without bound. */
const BLOCK_BYTES = 4096;

export interface NewUpload {
  id: string;
  /** Bytes it will have. */
  size: number;
  metadata: Metadata;
  /** It is a part of another, and no file. */
  partial?: boolean;
  /** It is joined from these, which are complete. */
  parts?: string[];
}

export interface StoredUpload extends NewUpload {
  /** It was joined from parts. */
  joined: boolean;
  createdAt: Date;
  /** It is a file. */
  complete: boolean;
}

export function isUploadId(id: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
}

/** Uploads of accounts: from their creation until they are files, and until those are deleted. */
@Injectable()
export class Uploads {
  constructor(
    private readonly changes: Changes,
    private readonly accounts: AccountKeys,
    private readonly storage: Storage,
    private readonly leftovers: Leftovers,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /**
   * Makes room for so many bytes, which count from now on; those of parts count as their whole's. Throws what
   * `readMetadata` does, `conversation_not_found`, `files_full`, `storage_full`, `upload_locked` when a part was taken
   * meanwhile, and `session_expired` when the account is gone.
   */
  async create(account: AccountKey, { id, size, metadata, partial = false, parts }: NewUpload): Promise<StoredUpload> {
    const { conversationId = null } = readMetadata(metadata, size);
    if (conversationId !== null && !(await isMember(account, conversationId)))
      throw relayError('conversation_not_found');
    const createdAt = new Date();
    const expiresAt = new Date(createdAt.getTime() + this.env.fileUploadTtlMs);
    const concat = parts === undefined ? (partial ? 'partial' : null) : 'final';
    await account.home.database.transaction(async (client) => {
      // Under the account's lock: two at once must not both take the last of the room.
      const { rowCount } = await client.query('SELECT 1 FROM accounts WHERE id = $1 FOR UPDATE', [account.id]);
      if (rowCount === 0) throw relayError('session_expired');
      if (parts !== undefined) await take(client, account, parts, id, expiresAt);
      const stored = await client.query(
        `INSERT INTO uploads (id, account_id, size, created_at, expires_at, chat_id, concat, content)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8
         WHERE (SELECT coalesce(sum(greatest(size, ${BLOCK_BYTES})), 0) + greatest($3::bigint, ${BLOCK_BYTES}) FROM uploads
                WHERE account_id = $2 AND joined_to IS NULL AND (expires_at IS NULL OR expires_at > now())) <= $9`,
        [
          ...[id, account.id, size, createdAt, expiresAt, conversationId, concat],
          ...[account.seal('upload', id, JSON.stringify(metadata)), this.env.limits.filesBytes],
        ],
      );
      if (stored.rowCount === 0) throw relayError('files_full');
    });
    if (parts === undefined) await this.makePlace(account, id);
    return { id, size, metadata, partial, joined: parts !== undefined, createdAt, complete: false };
  }

  /** Throws `not_found`, for what belongs to another account too, and for a part that was joined with others. */
  async find(account: AccountKey, id: string): Promise<StoredUpload> {
    if (!isUploadId(id)) throw relayError('not_found');
    const row = await account.home.database.prisma.upload.findFirst({ where: { accountId: account.id, id } });
    // Deleted, and not cleared away yet.
    if (row === null || row.joinedTo !== null || row.expiresAt?.getTime() === 0) throw relayError('not_found');
    return toUpload(row, account);
  }

  /** A file that the account may read: its own, or one of a chat that it is in. Throws `not_found`. */
  async findFile(account: AccountKey, id: string): Promise<StoredUpload> {
    const mine = { accountId: account.id };
    const where = { id, expiresAt: null, OR: [mine, { chatId: { not: null } }] };
    const row = isUploadId(id) ? await account.home.database.prisma.upload.findFirst({ where }) : null;
    if (row === null || row.accountId === null) throw relayError('not_found');
    if (row.accountId === account.id) return toUpload(row, account);
    if (row.chatId === null || !(await isMember(account, row.chatId))) throw relayError('not_found');
    const owner = await this.accounts.find(row.accountId, account.home.realm);
    if (owner === undefined) throw relayError('not_found');
    return toUpload(row, owner);
  }

  /** All bytes are there: the account's devices learn of the file. The same again is harmless. Throws `not_found`. */
  async complete(account: AccountKey, { id, size, metadata }: StoredUpload): Promise<void> {
    await this.submit({ account, kind: 'file', id, op: 'put', row: readMetadata(metadata, size), at: Date.now(), bytes: 1024 }); // prettier-ignore
  }

  /** Whether it is complete or not. Throws `not_found`. */
  async remove(account: AccountKey, id: string): Promise<void> {
    await this.find(account, id);
    await this.submit({ account, kind: 'file', id, op: 'delete', row: null, at: Date.now(), bytes: 128 });
    await this.leftovers.run([account.home.database]);
  }

  private async makePlace(account: AccountKey, id: string): Promise<void> {
    try {
      await this.storage.create(id);
    } catch (error) {
      // Nobody will ever write to it: it must not take room until it expires.
      await this.remove(account, id);
      throw error;
    }
  }

  private async submit(mutation: FileMutation): Promise<void> {
    const { result } = (await this.changes.submit([mutation]))[0]!;
    if (result === 'rejected') throw relayError('rejected');
    if (result === 'missing') throw relayError('not_found');
  }
}

/** Parts last as long as what they are joined to, and take no room beside it. */
async function take(client: ClientBase, { id: account }: AccountKey, parts: string[], whole: string, until: Date) {
  const { rowCount } = await client.query(
    `UPDATE uploads u SET joined_to = $3, place = p.place - 1, expires_at = $4
     FROM unnest($2::uuid[]) WITH ORDINALITY AS p(id, place)
     WHERE u.account_id = $1 AND u.id = p.id AND u.concat = 'partial' AND u.joined_to IS NULL AND u.expires_at > now()`,
    [account, parts, whole, until],
  );
  if (rowCount !== parts.length) throw relayError('upload_locked', { retryAfter: 1 });
}

/** `owner` is the account that it belongs to. */
function toUpload({ id, size, createdAt, expiresAt, concat, content }: Upload, owner: AccountKey): StoredUpload {
  const metadata = JSON.parse(owner.open('upload', id, Buffer.from(content))) as Metadata;
  return {
    ...{ id, size: Number(size), metadata, createdAt },
    ...{ partial: concat === 'partial', joined: concat === 'final', complete: expiresAt === null },
  };
}
