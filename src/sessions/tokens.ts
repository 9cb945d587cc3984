import { createSecretKey, type KeyObject } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { AccountKeys } from '../changes/account-keys.js';
import { Database } from '../database/database.js';
import { DEFAULT_REALM, ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { Limits } from './limits.js';
import { hashToken } from './random-token.js';
import type { Session, SessionClaims } from './session.js';
import { SessionCache } from './session-cache.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Session tokens of browsers (JWTs) and device tokens of phones (random, kept as a hash). */
@Injectable()
export class Tokens {
  constructor(
    private readonly jwt: JwtService,
    private readonly database: Database,
    private readonly accounts: AccountKeys,
    private readonly cache: SessionCache,
    private readonly limits: Limits,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /**
   * A session token for a browser; it carries no more than its claims say. `generation` is the device's; `expiresAt`, ms
   * since 1970, may be sooner than the session's.
   */
  sign({ account, deviceId, phoneId, ...session }: Session, generation = 0, expiresAt = session.expiresAt): string {
    const { realm } = account.home;
    const claims = {
      sub: account.id,
      sid: deviceId,
      // Existing clients know a pair by its phone, and a device that signed in by itself.
      deviceId: phoneId || deviceId,
      ...(realm === DEFAULT_REALM ? {} : { realm }),
      ...(generation === 0 ? {} : { gen: generation }),
    };
    return this.jwt.sign({ ...claims, exp: Math.floor((expiresAt ?? Date.now() + this.env.sessionTtlMs) / 1000) });
  }

  /**
   * The session of either kind of token. Wrong ones are counted by `address`, but not those of ours whose time is over:
   * whole offices come with them from one address. Throws `authentication_failed`,
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
      const session = await this.byClaims(claims);
      if (session !== undefined) return session;
    } catch (error) {
      // jsonwebtoken's own errors say what is wrong with a token; anything else is not the token's fault.
      const { name } = error as Error;
      if (['JsonWebTokenError', 'NotBeforeError', 'SyntaxError'].includes(name)) return undefined;
      // Told after the signature was found right.
      if (name !== 'TokenExpiredError') throw error;
    }
    throw relayError('authentication_failed');
  }

  /** A verified token is only good while its device row is. */
  async byClaims({ sub, sid, realm = DEFAULT_REALM, gen = 0 }: Partial<SessionClaims>): Promise<Session | undefined> {
    if (typeof sub !== 'string' || typeof sid !== 'string' || !UUID.test(sub)) return undefined;
    return this.cache.get(`browser:${realm}:${sub}:${gen}:${sid}`, () => this.look(sub, sid, realm, gen));
  }

  private async look(sub: string, sid: string, realm: string, generation: number): Promise<Session | undefined> {
    const account = await this.accounts.find(sub, realm);
    const row = await account?.home.database.prisma.device.findFirst({
      where: {
        accountId: account.id,
        id: sid,
        kind: 'browser',
        deleted: false,
        generation,
        expiresAt: { gt: new Date() },
      },
      select: { expiresAt: true, pairedWith: true },
    });
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
  async isRemoved({ sub, sid, realm = DEFAULT_REALM }: Partial<SessionClaims>): Promise<boolean> {
    if (typeof sub !== 'string' || typeof sid !== 'string' || !UUID.test(sub)) return false;
    // One that is missing from REALMS may be back tomorrow: nobody is to clear what they keep for that.
    if (!this.env.realms.some(({ slug }) => slug === realm)) return false;
    const account = await this.accounts.find(sub, realm);
    if (account === undefined) return true;
    const living = { accountId: account.id, id: sid, kind: 'browser', deleted: false } as const;
    return (await account.home.database.prisma.device.count({ where: living })) === 0;
  }

  private byDeviceToken(token: string): Promise<Session | undefined> {
    const tokenHash = hashToken(token);
    return this.cache.get(`phone:${tokenHash.toString('base64')}`, async () => {
      const row = await this.database.prisma.device.findUnique({
        where: { tokenHash, deleted: false },
        select: { accountId: true, id: true, phoneId: true },
      });
      const account = row && (await this.accounts.find(row.accountId));
      if (!row || !account || row.phoneId === null) return undefined;
      return { account, kind: 'phone', deviceId: row.id, phoneId: row.phoneId };
    });
  }
}

export function jwtKey({ jwtSecret }: Pick<BootEnv, 'jwtSecret'>): KeyObject {
  return createSecretKey(Buffer.from(jwtSecret));
}
