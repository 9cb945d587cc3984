import { Inject, Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { Disk } from './disk.js';
import type { FileMutation } from './file.kind.js';
import { readMetadata, type Metadata } from './file-metadata.js';
import { Leftovers } from './leftovers.js';

/** What a file takes at least, so that empty ones do not come without bound. */
const BLOCK_BYTES = 4096;

export interface StoredUpload {
  id: string;
  /** Bytes it has when it is complete. */
  size: number;
  metadata: Metadata;
  createdAt: Date;
  complete: boolean;
}

/** Uploads of accounts: from their creation until they are files, and until those are deleted. */
@Injectable()
export class Uploads {
  constructor(
    private readonly changes: Changes,
    private readonly disk: Disk,
    private readonly leftovers: Leftovers,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /**
   * Makes room for so many bytes, which count from now on. Throws what `readMetadata` does, `files_full`,
   * `storage_full`, and `session_expired` when the account is gone.
   */
  async create(account: AccountKey, id: string, size: number, metadata: Metadata): Promise<StoredUpload> {
    readMetadata(metadata, size);
    const createdAt = new Date();
    await account.home.database.transaction(async (client) => {
      // Under the account's lock: two at once must not both take the last of the room.
      const { rowCount } = await client.query('SELECT 1 FROM accounts WHERE id = $1 FOR UPDATE', [account.id]);
      if (rowCount === 0) throw relayError('session_expired');
      const stored = await client.query(
        `INSERT INTO uploads (id, account_id, size, created_at, expires_at, content) SELECT $1, $2, $3, $4, $5, $6
         WHERE (SELECT coalesce(sum(greatest(size, ${BLOCK_BYTES})), 0) + greatest($3::bigint, ${BLOCK_BYTES}) FROM uploads
                WHERE account_id = $2 AND (expires_at IS NULL OR expires_at > now())) <= $7`,
        [
          ...[id, account.id, size, createdAt, new Date(createdAt.getTime() + this.env.fileUploadTtlMs)],
          ...[account.seal('upload', id, JSON.stringify(metadata)), this.env.limits.filesBytes],
        ],
      );
      if (stored.rowCount === 0) throw relayError('files_full');
    });
    try {
      await this.disk.create(id);
    } catch (error) {
      // Nobody will ever write to it: it must not take room until it expires.
      await this.remove(account, id);
      throw error;
    }
    return { id, size, metadata, createdAt, complete: false };
  }

  /** Throws `not_found`, for what belongs to another account too. */
  async find(account: AccountKey, id: string): Promise<StoredUpload> {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) throw relayError('not_found');
    const row = await account.home.database.prisma.upload.findFirst({ where: { accountId: account.id, id } });
    // Deleted, and not cleared away yet.
    if (row === null || row.expiresAt?.getTime() === 0) throw relayError('not_found');
    const metadata = JSON.parse(account.open('upload', id, Buffer.from(row.content))) as Metadata;
    return { id, size: Number(row.size), metadata, createdAt: row.createdAt, complete: row.expiresAt === null };
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

  private async submit(mutation: FileMutation): Promise<void> {
    const { result } = (await this.changes.submit([mutation]))[0]!;
    if (result === 'rejected') throw relayError('rejected');
    if (result === 'missing') throw relayError('not_found');
  }
}
