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

const MAX_LENGTH = 4096;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

type Claims = Partial<SessionClaims>;

/** What a token is worth: nothing at all where it has neither. */
interface Found {
  session?: Session;
  /** Of a token that we signed, and had to look at. */
  claims?: Claims;
}

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
   * whole offices come with them from one address. Throws `authentication_failed` or `rate_limited`.
   */
  async authenticate(token: unknown, address: string): Promise<Session> {
    const { session, claims } = typeof token === 'string' && token.length <= MAX_LENGTH ? await this.find(token) : {};
    if (session !== undefined) return session;
    if (claims === undefined) await this.limits.wrongToken(address);
    throw relayError('authentication_failed');
  }

  /**
   * The same over REST, which tells whoever comes with a session token more: throws `session_expired`, or `device_revoked`
   * to one that was away when it was removed, so that it can clear what it keeps.
   */
  async authenticateRequest(token: string, address: string): Promise<Session> {
    if (!isJwt(token)) return this.authenticate(token, address);
    const { session, claims } = await this.find(token);
    if (session !== undefined) return session;
    if (claims === undefined) await this.limits.wrongToken(address);
    throw relayError(claims !== undefined && (await this.isRemoved(claims)) ? 'device_revoked' : 'session_expired');
  }

  private async find(token: string): Promise<Found> {
    if (!isJwt(token)) return { session: await this.ofPhone(token) };
    let claims: Claims | undefined;
    const session = await this.cache.get(`browser:${token}`, async () => {
      claims = await this.verify(token);
      const found = claims && (await this.ofBrowser(claims));
      return found && { session: found, until: Math.min(claims!.exp! * 1000, found.expiresAt ?? Infinity) };
    });
    return { session, claims };
  }

  /** What a token of ours says: nothing any more once its time is over. Undefined for one that we did not sign. */
  private async verify(token: string): Promise<Claims | undefined> {
    try {
      return await this.jwt.verifyAsync<SessionClaims>(token, { algorithms: ['HS256'] });
    } catch (error) {
      // jsonwebtoken's own errors say what is wrong with a token; anything else is not the token's fault.
      const { name } = error as Error;
      if (['JsonWebTokenError', 'NotBeforeError', 'SyntaxError'].includes(name)) return undefined;
      // Told after the signature was found right.
      if (name === 'TokenExpiredError') return {};
      throw error;
    }
  }

  /** A verified token is only good while its device row is. */
  private async ofBrowser({ sub, sid, realm = DEFAULT_REALM, gen = 0 }: Claims): Promise<Session | undefined> {
    if (typeof sub !== 'string' || typeof sid !== 'string' || !UUID.test(sub)) return undefined;
    const account = await this.accounts.find(sub, realm);
    const row = await account?.home.database.prisma.device.findFirst({
      where: {
        accountId: account.id,
        id: sid,
        kind: 'browser',
        deleted: false,
        generation: gen,
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
  private async isRemoved({ sub, sid, realm = DEFAULT_REALM }: Claims): Promise<boolean> {
    if (typeof sub !== 'string' || typeof sid !== 'string' || !UUID.test(sub)) return false;
    // One that is missing from REALMS may be back tomorrow: nobody is to clear what they keep for that.
    if (!this.env.realms.some(({ slug }) => slug === realm)) return false;
    const account = await this.accounts.find(sub, realm);
    if (account === undefined) return true;
    const living = { accountId: account.id, id: sid, kind: 'browser', deleted: false } as const;
    return (await account.home.database.prisma.device.count({ where: living })) === 0;
  }

  private ofPhone(token: string): Promise<Session | undefined> {
    const tokenHash = hashToken(token);
    return this.cache.get(`phone:${tokenHash.toString('base64')}`, async () => {
      const row = await this.database.prisma.device.findUnique({
        where: { tokenHash, deleted: false },
        select: { accountId: true, id: true, phoneId: true },
      });
      const account = row && (await this.accounts.find(row.accountId));
      if (!row || !account || row.phoneId === null) return undefined;
      return { session: { account, kind: 'phone', deviceId: row.id, phoneId: row.phoneId }, until: Infinity };
    });
  }
}

/** Device tokens are base64url without a dot. */
function isJwt(token: string): boolean {
  return token.includes('.');
}

export function jwtKey({ jwtSecret }: Pick<BootEnv, 'jwtSecret'>): KeyObject {
  return createSecretKey(Buffer.from(jwtSecret));
}
