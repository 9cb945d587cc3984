import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Database } from '../database/database.js';
import { ENV, keyId, type BootEnv } from '../env.js';
import { AccountKey } from './account-key.js';

const CACHED_ACCOUNTS = 20_000;

/*
 * Each account has a data key of its own, kept in its row wrapped by ENCRYPTION_KEY: whoever deletes the row, or loses
 * ENCRYPTION_KEY, has destroyed the account's contents, backups included.
 * Wrapped: version (1) | id of the wrapping key (8) | data key id (4) | iv (12) | ciphertext (32) | tag (16).
 */
const VERSION = 1;
const HEADER_BYTES = 13;

export function wrapDataKey(encryptionKey: Buffer, account: string, dataKeyId: number, dataKey: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES, VERSION);
  keyId(encryptionKey).copy(header, 1);
  header.writeUInt32BE(dataKeyId, 9);
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', encryptionKey, iv);
  cipher.setAAD(Buffer.concat([header, Buffer.from(account)]));
  return Buffer.concat([header, iv, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
}

export function unwrapDataKey(encryptionKeys: Buffer[], account: string, wrapped: Buffer) {
  const header = wrapped.subarray(0, HEADER_BYTES);
  const encryptionKey = encryptionKeys.find((key) => keyId(key).equals(header.subarray(1, 9)));
  if (header[0] !== VERSION || encryptionKey === undefined)
    throw new Error('ENCRYPTION_KEY is not the key that this database was sealed with.');
  const decipher = createDecipheriv('aes-256-gcm', encryptionKey, wrapped.subarray(HEADER_BYTES, HEADER_BYTES + 12));
  decipher.setAAD(Buffer.concat([header, Buffer.from(account)]));
  decipher.setAuthTag(wrapped.subarray(-16));
  const dataKey = Buffer.concat([decipher.update(wrapped.subarray(HEADER_BYTES + 12, -16)), decipher.final()]);
  return { dataKeyId: header.readUInt32BE(9), dataKey, current: encryptionKey === encryptionKeys[0] };
}

@Injectable()
export class AccountKeys {
  private readonly cache = new LRUCache<string, AccountKey>({ max: CACHED_ACCOUNTS });
  private readonly encryptionKeys: Buffer[];

  constructor(
    private readonly database: Database,
    @Inject(ENV) env: BootEnv,
  ) {
    this.encryptionKeys = [env.encryptionKey, ...(env.encryptionKeyPrevious ? [env.encryptionKeyPrevious] : [])];
  }

  /** A new account's id and key; nothing is stored yet. */
  create(): { account: AccountKey; wrapped: Buffer } {
    const id = randomUUID();
    const dataKey = randomBytes(32);
    return { account: new AccountKey(id, 1, dataKey), wrapped: wrapDataKey(this.encryptionKeys[0]!, id, 1, dataKey) };
  }

  /** Undefined when the account is gone. */
  async find(id: string): Promise<AccountKey | undefined> {
    const known = this.cache.get(id);
    if (known !== undefined) return known;
    const row = await this.database.prisma.account.findUnique({ where: { id }, select: { dataKey: true } });
    if (row === null) return undefined;
    const { dataKeyId, dataKey } = unwrapDataKey(this.encryptionKeys, id, Buffer.from(row.dataKey));
    const account = new AccountKey(id, dataKeyId, dataKey);
    this.cache.set(id, account);
    return account;
  }
}
