import { createHash, createSecretKey, randomBytes, timingSafeEqual, type KeyObject } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { AccountKeys } from '../changes/account-keys.js';
import { Database } from '../database/database.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { Limits } from './limits.js';
import type { Session, SessionClaims } from './session.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Session tokens of browsers (JWTs) and device tokens of phones (random, kept as a hash). */
@Injectable()
export class Tokens {
  constructor(
    private readonly jwt: JwtService,
    private readonly database: Database,
    private readonly accounts: AccountKeys,
    private readonly limits: Limits,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /** A session token for a browser; it carries no more than its claims say. */
  sign(session: Session): string {
    const claims = { sub: session.account.id, sid: session.deviceId, deviceId: session.phoneId };
    const exp = Math.floor((session.expiresAt ?? Date.now() + this.env.sessionTtlMs) / 1000);
    return this.jwt.sign({ ...claims, exp });
  }

  /**
   * The session of either kind of token. Wrong ones are counted by `address`; throws `authentication_failed`,
   * `session_expired` or `rate_limited`.
   */
  async authenticate(token: unknown, address: string): Promise<Session> {
    const session = typeof token === 'string' && token.length <= 4096 ? await this.find(token) : undefined;
    if (session !== undefined) return session;
    await this.limits.wrongToken(address);
    throw relayError('authentication_failed');
  }

  private async find(token: string): Promise<Session | undefined> {
    if (!token.includes('.')) return this.byDeviceToken(token);
    try {
      const claims = await this.jwt.verifyAsync<SessionClaims>(token, { algorithms: ['HS256'] });
      return await this.byClaims(claims);
    } catch (error) {
      // jsonwebtoken's own errors say what is wrong with a token; anything else is not the token's fault.
      if (['JsonWebTokenError', 'TokenExpiredError', 'NotBeforeError', 'SyntaxError'].includes((error as Error).name))
        return undefined;
      throw error;
    }
  }

  /** A verified token is only good while its device row is. */
  async byClaims(claims: Partial<SessionClaims>): Promise<Session | undefined> {
    const { sub, sid } = claims;
    if (typeof sub !== 'string' || typeof sid !== 'string' || !UUID.test(sub)) return undefined;
    const row = await this.database.prisma.device.findFirst({
      where: { accountId: sub, id: sid, kind: 'browser', deleted: false, expiresAt: { gt: new Date() } },
      select: { expiresAt: true, pairedWith: true },
    });
    const account = row && (await this.accounts.find(sub));
    if (!row || !account) return undefined;
    return {
      account,
      kind: 'browser',
      deviceId: sid,
      phoneId: row.pairedWith ?? '',
      expiresAt: row.expiresAt?.getTime(),
    };
  }

  /** Whether a verified token is of a device that is not there any more; not so for one whose time was over first. */
  async isRemoved({ sub, sid }: Partial<SessionClaims>): Promise<boolean> {
    if (typeof sub !== 'string' || typeof sid !== 'string' || !UUID.test(sub)) return false;
    const living = { accountId: sub, id: sid, kind: 'browser', deleted: false } as const;
    return (await this.database.prisma.device.count({ where: living })) === 0;
  }

  private async byDeviceToken(token: string): Promise<Session | undefined> {
    const row = await this.database.prisma.device.findUnique({
      where: { tokenHash: hashToken(token), deleted: false },
      select: { accountId: true, id: true, phoneId: true },
    });
    const account = row && (await this.accounts.find(row.accountId));
    if (!row || !account || row.phoneId === null) return undefined;
    return { account, kind: 'phone', deviceId: row.id, phoneId: row.phoneId };
  }
}

export function jwtKey({ jwtSecret }: Pick<BootEnv, 'jwtSecret'>): KeyObject {
  return createSecretKey(Buffer.from(jwtSecret));
}

export function newToken(): { token: string; hash: Buffer<ArrayBuffer> } {
  const token = randomBytes(32).toString('base64url');
  return { token, hash: hashToken(token) };
}

export function hashToken(token: string): Buffer<ArrayBuffer> {
  return Buffer.from(createHash('sha256').update(token).digest());
}

export function sameToken(token: string, hash: Uint8Array | null): boolean {
  return hash !== null && timingSafeEqual(hashToken(token), hash);
}
