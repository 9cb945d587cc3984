import { randomUUID } from 'node:crypto';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { AccountKeys } from '../changes/account-keys.js';
import { Databases } from '../database/databases.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { Hourly } from '../hourly.js';
import { AccountEvents } from '../sessions/account-events.js';
import { Accounts } from '../sessions/accounts.service.js';
import { Limits } from '../sessions/limits.js';
import type { Session } from '../sessions/session.js';
import { hashToken, newToken } from '../sessions/random-token.js';
import { Tokens } from '../sessions/tokens.js';

/** A short-lived access token, and what brings the next one. */
export interface TokenPair {
  accessToken: string;
  refreshToken: string;
  /** When the access token ends, ms since 1970. */
  expiresAt: number;
}

/**
 * Refresh tokens of devices that signed in (wire.md, section C), kept as hashes. Each is good for one use, which brings the
 * next one of its family and moves the end of the device's session on. Who uses one twice has a copy that somebody else
 * has too: then every token of the device ends.
 */
@Injectable()
export class RefreshTokens implements OnModuleInit {
  constructor(
    private readonly databases: Databases,
    private readonly keys: AccountKeys,
    private readonly accounts: Accounts,
    private readonly events: AccountEvents,
    private readonly tokens: Tokens,
    private readonly limits: Limits,
    private readonly hourly: Hourly,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  onModuleInit(): void {
    this.hourly.do('old refresh tokens could not be removed', () => this.purge());
  }

  /** Begins a family, for a device that has just signed in; `generation` is the device's. */
  async issue(session: Session, generation: number): Promise<TokenPair> {
    const { account, deviceId } = session;
    const { token, hash } = newToken();
    const expiresAt = this.sessionEnd();
    await account.home.database.prisma.refreshToken.create({
      data: { tokenHash: hash, accountId: account.id, deviceId, family: randomUUID(), generation, expiresAt },
    });
    return this.pair(session, generation, token);
  }

  /** Of two that use one token at once, one gets the next. Throws `refresh_refused`, `rate_limited`. */
  async rotate(realm: string, refreshToken: string, address: string): Promise<TokenPair> {
    const { token, hash } = newToken();
    const { pool } = this.databases.of(realm)!;
    const { rows } = await pool.query<Rotated>(ROTATE, [hashToken(refreshToken), realm, hash, this.sessionEnd()]);
    const account = rows[0] && (await this.keys.find(rows[0].account_id, realm));
    if (rows[0] === undefined || account === undefined) {
      await this.endReused(realm, refreshToken, address);
      await this.limits.wrongToken(address);
      throw relayError('refresh_refused');
    }
    const { device_id: deviceId, paired_with: pairedWith, generation } = rows[0];
    return this.pair({ account, kind: 'browser', deviceId, phoneId: pairedWith ?? '' }, generation, token);
  }

  private pair(session: Session, generation: number, refreshToken: string): TokenPair {
    const { accessTtlMs, sessionTtlMs } = this.env;
    // Tokens say their end in seconds.
    const expiresAt = Math.floor((Date.now() + Math.min(accessTtlMs, sessionTtlMs)) / 1000) * 1000;
    return { accessToken: this.tokens.sign(session, generation, expiresAt), refreshToken, expiresAt };
  }

  private sessionEnd(): Date {
    return new Date(Date.now() + this.env.sessionTtlMs);
  }

  /** Nothing, for a token that was never used. */
  private async endReused(realm: string, refreshToken: string, address: string): Promise<void> {
    const { pool } = this.databases.of(realm)!;
    const { rows } = await pool.query<Ended>(END_REUSED, [hashToken(refreshToken), realm]);
    const account = rows[0] && (await this.keys.find(rows[0].account_id, realm));
    if (rows[0] === undefined || account === undefined) return;
    const { id } = rows[0];
    this.accounts.events.emit('sessions.ended', account.id, [id]);
    await this.events.note(account, 'refresh.reused', { id, address });
  }

  /** Removes those that have ended. Used ones are kept until then too: to know them again. */
  async purge(): Promise<void> {
    const where = { expiresAt: { lt: new Date() } };
    await Promise.all(this.databases.all().map(({ prisma }) => prisma.refreshToken.deleteMany({ where })));
  }
}

interface Rotated {
  account_id: string;
  device_id: string;
  generation: number;
  paired_with: string | null;
}

interface Ended {
  account_id: string;
  /** The device's. */
  id: string;
}

// Account, device, token: locked in the order of the commits (account, device) and of a changed password (device, tokens).
const ROTATE = `
  WITH held AS (
    SELECT r.token_hash, d.paired_with FROM refresh_tokens r
    JOIN accounts a ON a.id = r.account_id AND a.realm = $2
    JOIN devices d ON d.account_id = r.account_id AND d.id = r.device_id
      AND NOT d.deleted AND d.generation = r.generation AND d.expires_at > now()
    WHERE r.token_hash = $1
    FOR KEY SHARE OF a FOR NO KEY UPDATE OF d),
  -- Who waited for another's use finds it used.
  used AS (
    UPDATE refresh_tokens r SET used_at = now() FROM held h
    WHERE r.token_hash = h.token_hash AND r.used_at IS NULL AND r.expires_at > now()
    RETURNING r.account_id, r.device_id, r.family, r.generation, h.paired_with),
  extended AS (
    UPDATE devices d SET expires_at = greatest(d.expires_at, $4) FROM used u
    WHERE d.account_id = u.account_id AND d.id = u.device_id),
  added AS (
    INSERT INTO refresh_tokens (token_hash, account_id, device_id, family, generation, expires_at)
    SELECT $3, account_id, device_id, family, generation, $4 FROM used)
  SELECT account_id, device_id, generation, paired_with FROM used`;

// The whole family is of this generation. Sessions that began since then are not: they stay.
const END_REUSED = `
  UPDATE devices d SET generation = d.generation + 1 FROM refresh_tokens r JOIN accounts a ON a.id = r.account_id
  WHERE r.token_hash = $1 AND r.used_at IS NOT NULL AND a.realm = $2
    AND d.account_id = r.account_id AND d.id = r.device_id AND NOT d.deleted AND d.generation = r.generation
  RETURNING d.account_id, d.id`;
