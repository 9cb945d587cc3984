import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { isUUID } from 'class-validator';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Databases } from '../database/databases.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { LOG, type Log } from '../log.js';
import { AccountEvents } from './account-events.js';
import { Devices } from './devices.service.js';
import { Limits } from './limits.js';
import { hashToken, newToken } from './random-token.js';
import { SessionCache, type Known } from './session-cache.js';
import { SCOPES, type Scope, type Session } from './session.js';

const PREFIX = 'plk_';
/** How precise `lastUsedAt` is. */
const USED_MS = 60_000;

export interface ApiKeyView {
  id: string;
  name: string;
  scopes: Scope[];
  /** ISO 8601, as all times here. */
  createdAt: string;
  lastUsedAt: string | null;
  expiresAt: string | null;
}

export function isApiKey(token: string): boolean {
  return token.startsWith(PREFIX);
}

/** Keys by which programs act for an account (wire.md, section D); stored as a hash. */
@Injectable()
export class ApiKeys {
  constructor(
    private readonly databases: Databases,
    private readonly accounts: AccountKeys,
    private readonly devices: Devices,
    private readonly events: AccountEvents,
    private readonly cache: SessionCache,
    private readonly limits: Limits,
    @Inject(ENV) private readonly env: BootEnv,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /**
   * The key itself is told here and never again. Without scopes it may do all that keys may. Throws `keys_full`, and
   * `bad_request` when `expiresAt` is over already.
   */
  async create(
    { account }: Session,
    name: string,
    scopes: Scope[] = [...SCOPES],
    expiresAt?: Date,
  ): Promise<ApiKeyView & { apiKey: string }> {
    if (expiresAt !== undefined && expiresAt.getTime() <= Date.now())
      throw relayError('bad_request', { detail: 'expiresAt is in the past' });
    const apiKey = PREFIX + newToken().token;
    const id = randomUUID();
    const content = Buffer.from(account.seal('key', id, JSON.stringify({ name })));
    const accountId = account.id;
    const row = await account.home.database.prisma.$transaction(async (tx) => {
      // Two made at once wait for each other, so that both are counted.
      await tx.$queryRaw`SELECT FROM accounts WHERE id = ${accountId}::uuid FOR UPDATE`;
      if ((await tx.apiKey.count({ where: { accountId } })) >= this.env.limits.apiKeys) throw relayError('keys_full');
      return tx.apiKey.create({ data: { accountId, id, keyHash: hashToken(apiKey), content, scopes, expiresAt } });
    });
    await this.events.note(account, 'key.created', { id, name });
    return { ...toView(account, row), apiKey };
  }

  /** The oldest first; those that are over stay listed until they are revoked. */
  async list({ account }: Session): Promise<ApiKeyView[]> {
    const where = { accountId: account.id };
    const rows = await account.home.database.prisma.apiKey.findMany({ where, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] }); // prettier-ignore
    return rows.map((row) => toView(account, row));
  }

  /** It stops working at once, and what it has open ends. Throws `not_found`. */
  async revoke({ account }: Session, id: string): Promise<void> {
    // Postgres refuses to compare a UUID with what is none.
    if (!isUUID(id)) throw relayError('not_found');
    const { prisma } = account.home.database;
    const { count } = await prisma.apiKey.deleteMany({ where: { accountId: account.id, id } });
    if (count === 0) throw relayError('not_found');
    this.devices.events.emit('device.revoked', account.id, id);
    await this.events.note(account, 'key.revoked', { id });
  }

  /** Those that never were are counted by `address`. Throws `authentication_failed`, `rate_limited`. */
  async authenticate(apiKey: string, address: string): Promise<Session> {
    const keyHash = hashToken(apiKey);
    const session = await this.cache.get(`key:${keyHash.toString('base64')}`, () => this.look(keyHash));
    if (session !== undefined) return session;
    await this.limits.wrongToken(address);
    throw relayError('authentication_failed');
  }

  private async look(keyHash: Buffer<ArrayBuffer>): Promise<Known | undefined> {
    const row = await this.find(keyHash);
    if (row === undefined) return undefined;
    // No guess, as with a session that is over: who has it is not counted.
    if (row.expiresAt !== null && row.expiresAt.getTime() <= Date.now()) throw relayError('authentication_failed');
    const account = await this.accounts.find(row.accountId, row.account.realm);
    if (account === undefined) return undefined;
    if (Date.now() - (row.lastUsedAt?.getTime() ?? 0) > USED_MS) this.used(account, keyHash);
    const expiresAt = row.expiresAt?.getTime();
    const scopes = row.scopes as Scope[];
    return {
      session: { account, kind: 'key', deviceId: row.id, phoneId: '', scopes, expiresAt },
      until: expiresAt ?? Infinity,
    };
  }

  /** A key does not say which realm it is of. */
  private async find(keyHash: Buffer<ArrayBuffer>) {
    for (const { prisma } of this.databases.all()) {
      const row = await prisma.apiKey.findUnique({
        where: { keyHash },
        include: { account: { select: { realm: true } } },
      });
      if (row !== null) return row;
    }
    return undefined;
  }

  private used({ home }: AccountKey, keyHash: Uint8Array<ArrayBuffer>): void {
    home.database.prisma.apiKey
      .updateMany({ where: { keyHash }, data: { lastUsedAt: new Date() } })
      .catch((error: unknown) => this.log.warn({ err: error }, 'when a key was used could not be written'));
  }
}

interface KeyRow {
  id: string;
  content: Uint8Array;
  scopes: string[];
  createdAt: Date;
  lastUsedAt: Date | null;
  expiresAt: Date | null;
}

function toView(account: AccountKey, { id, content, scopes, createdAt, lastUsedAt, expiresAt }: KeyRow): ApiKeyView {
  const { name } = JSON.parse(account.open('key', id, Buffer.from(content))) as { name: string };
  return {
    id,
    name,
    scopes: scopes as Scope[],
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
    expiresAt: expiresAt?.toISOString() ?? null,
  };
}
