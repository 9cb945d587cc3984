import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Cluster } from '../cluster/cluster.js';
import { Databases } from '../database/databases.js';
import { DEFAULT_REALM, ENV, keyId, type BootEnv } from '../env.js';
import { AccountKey, type Home } from './account-key.js';

const CACHED_ACCOUNTS = 20_000;

/*
 * Each account has a data key of its own, kept in its row wrapped by ENCRYPTION_KEY: whoever deletes the row has
 * destroyed the account's contents in this database, and whoever loses ENCRYPTION_KEY those in backups too. A backup from
 * before has the row, and ENCRYPTION_KEY opens it still.
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
  private forgotten = 0;

  constructor(
    private readonly databases: Databases,
    private readonly cluster: Cluster,
    @Inject(ENV) env: BootEnv,
  ) {
    cluster.hear('key.forgotten', (id: string) => this.drop(id));
    cluster.onGap(() => {
      this.forgotten++;
      this.cache.clear();
    });
    this.encryptionKeys = [env.encryptionKey, ...(env.encryptionKeyPrevious ? [env.encryptionKeyPrevious] : [])];
  }

  /** A new account's id and key; nothing is stored yet. */
  create(realm = DEFAULT_REALM): { account: AccountKey; wrapped: Buffer } {
    const id = randomUUID();
    const dataKey = randomBytes(32);
    const home = this.home(realm)!;
    return { account: new AccountKey(id, 1, dataKey, home), wrapped: this.wrap(id, 1, dataKey) };
  }

  /**
   * Undefined when the account is gone, or is not of this realm. An account that was joined to another is that one, so
   * the answer's id may be another.
   */
  async find(id: string, realm = DEFAULT_REALM): Promise<AccountKey | undefined> {
    const known = this.cache.get(id);
    if (known !== undefined) return known.home.realm === realm ? known : undefined;
    const { forgotten } = this;
    const home = this.home(realm);
    const row = await home?.database.prisma.account.findUnique({
      where: { id, realm },
      select: { dataKey: true, joinedInto: true },
    });
    if (!home || !row) return undefined;
    const account =
      row.joinedInto === null ? this.open(id, home, Buffer.from(row.dataKey)) : await this.find(row.joinedInto, realm);
    // What was read before somebody forgot is not kept: it may be what was to be forgotten.
    if (account !== undefined && forgotten === this.forgotten) this.cache.set(id, account);
    return account;
  }

  /** The account is gone, or was joined to another: who asks next looks again. */
  forget(id: string): void {
    this.drop(id);
    this.cluster.tell('key.forgotten', id);
  }

  private drop(id: string): void {
    this.forgotten++;
    this.cache.delete(id);
  }

  /** Wrapped by ENCRYPTION_KEY, for the account (or realm) of this id. */
  wrap(id: string, dataKeyId: number, dataKey: Buffer): Buffer {
    return wrapDataKey(this.encryptionKeys[0]!, id, dataKeyId, dataKey);
  }

  unwrap(id: string, wrapped: Buffer): Buffer {
    return unwrapDataKey(this.encryptionKeys, id, wrapped).dataKey;
  }

  /** The key as it was before a join, too. */
  open(id: string, home: Home, wrapped: Buffer): AccountKey {
    const { dataKeyId, dataKey } = unwrapDataKey(this.encryptionKeys, id, wrapped);
    return new AccountKey(id, dataKeyId, dataKey, home);
  }

  private home(realm: string): Home | undefined {
    const database = this.databases.of(realm);
    return database && { realm, database };
  }
}
