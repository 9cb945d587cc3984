import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Inject, Injectable, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { AccountKeys } from '../changes/account-keys.js';
import { Cluster } from '../cluster/cluster.js';
import { Database } from '../database/database.js';
import { DEFAULT_REALM, ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import type { Pairing as PairingRow } from '../generated/prisma/client.js';
import { Hourly } from '../hourly.js';
import { LOG, type Log } from '../log.js';
import { Metrics } from '../metrics.js';
import { Devices } from '../sessions/devices.service.js';
import { Limits } from '../sessions/limits.js';
import type { Session } from '../sessions/session.js';
import { hashToken } from '../sessions/random-token.js';
import { Tokens } from '../sessions/tokens.js';
import { Waiters } from './waiters.js';

/** How long an ended pairing still answers "already used" rather than "never issued". */
const KEEP_ENDED_MS = 86_400_000;

/** A scanned code: its text, and the account's keys sealed for the browser that shows it (protocol/src/pairing.ts). */
export interface ScannedCode {
  qrData: string;
  keys?: string;
  /** A phone's own id. */
  deviceId?: string;
}

export interface Paired {
  sessionToken: string;
  /** The phone's id. */
  deviceId: string;
  /** The browser's own id. */
  sessionId: string;
  accountId: string;
  /** ms since 1970 */
  expiresAt: number;
  /** What came with the claim, as it came. */
  keys?: string;
}

/**
 * How a browser gets its session. The browser asks for a QR code and waits; a registered phone, or a browser that is signed
 * in, scans it and claims the pairing; whoever waits with the token is answered. A pairing is a row, known by the hash of
 * its token, claimed once, before it expires on our clock. Claim and wait may come in either order, and the server may
 * restart in between.
 */
@Injectable()
export class Pairing implements OnModuleInit, BeforeApplicationShutdown {
  private readonly waiters: Waiters;

  constructor(
    private readonly database: Database,
    private readonly accounts: AccountKeys,
    private readonly devices: Devices,
    private readonly tokens: Tokens,
    private readonly limits: Limits,
    private readonly metrics: Metrics,
    private readonly hourly: Hourly,
    private readonly cluster: Cluster,
    @Inject(ENV) private readonly env: BootEnv,
    @Inject(LOG) private readonly log: Log,
  ) {
    this.waiters = new Waiters(metrics);
    // Who waits may do so at another server than the one that the phone is connected to.
    cluster.hear('pairing.claimed', (pairing: string) => this.waiters.wake(pairing));
    cluster.onGap(() => void this.lookAgain());
  }

  onModuleInit(): void {
    this.hourly.do('old pairings could not be removed', () => this.purge());
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.waiters.stop();
  }

  /** `url` is where the phone finds this server. */
  async create(address: string, url: string): Promise<{ token: string; qrData: string; expiresIn: number }> {
    await this.limits.qrCode(address);
    const token = randomUUID();
    const timestamp = Date.now();
    const expiresIn = this.env.pairingTtlMs;
    const expiresAt = new Date(timestamp + expiresIn);
    await this.database.prisma.pairing.create({ data: { tokenHash: hashToken(token), expiresAt } });
    this.metrics.pairings.inc({ outcome: 'offered' });
    return { token, qrData: JSON.stringify({ token, timestamp, expiresIn, url }), expiresIn };
  }

  /**
   * A device scanned a QR code, which lets a browser into its account; resolves with the browser's id. What the code says
   * of its own age does not count. Throws `invalid_qr`, `pairing_expired`, `pairing_used`, `rate_limited`,
   * `wrong_role` for a session of another realm, and `authentication_failed` when a phone claims as another one.
   */
  async claim(by: Session, { qrData, keys, deviceId }: ScannedCode, address: string): Promise<{ sessionId: string }> {
    if (deviceId !== undefined && deviceId !== by.phoneId) throw relayError('authentication_failed');
    // Whoever collects it would look in vain for the account.
    if (by.account.home.realm !== DEFAULT_REALM)
      throw relayError('wrong_role', { detail: 'QR codes let browsers into accounts of the realm default alone' });
    if (keys !== undefined && (!keys.isWellFormed() || keys.includes('\0')))
      throw relayError('invalid_string', { detail: 'keys' });
    const token = tokenIn(qrData);
    if (token === undefined) throw await this.refuse(address);

    const tokenHash = hashToken(token);
    const browserId = randomUUID();
    const now = new Date();
    const { count } = await this.database.prisma.pairing.updateMany({
      where: { tokenHash, claimedAt: null, expiresAt: { gt: now } },
      data: { claimedAt: now, accountId: by.account.id, phoneId: by.phoneId, browserId, keys },
    });
    if (count === 0) {
      const row = await this.database.prisma.pairing.findUnique({ where: { tokenHash } });
      if (row === null) throw await this.refuse(address);
      this.metrics.pairings.inc({ outcome: row.claimedAt ? 'used' : 'expired' });
      throw relayError(row.claimedAt ? 'pairing_used' : 'pairing_expired');
    }
    this.metrics.pairings.inc({ outcome: 'claimed' });
    try {
      await this.admit(by, browserId, now, address);
    } finally {
      // Claimed is claimed: who collects it admits the browser again, should that have failed.
      this.waiters.wake(key(tokenHash));
      this.cluster.tell('pairing.claimed', key(tokenHash));
    }
    return { sessionId: browserId };
  }

  /**
   * Resolves with the session once a device has claimed the pairing; every waiter of one token gets the same session.
   * Holds nothing but memory while it waits. Once an answer was handed over whole, later polls get `pairing_used`.
   */
  async wait(token: string | undefined, address: string, response: ServerResponse, name?: string): Promise<Paired> {
    if (!token) throw relayError('token_required');
    const tokenHash = hashToken(token);
    // First in line, then look: a claim in between is not missed.
    const waiter = this.waiters.join(key(tokenHash), response);
    try {
      let row = await this.find(tokenHash);
      if (row === null) {
        await this.limits.wrongToken(address);
        throw relayError('pairing_unknown');
      }
      if (row.collectedAt !== null) throw relayError('pairing_used');
      if (row.claimedAt === null) {
        await waiter.over(row.expiresAt);
        row = await this.find(tokenHash);
      }
      if (row?.claimedAt == null) throw relayError('pairing_timeout');
      const paired = await this.collect(row, address, name);
      response.once('finish', () => void this.collected(tokenHash, response));
      return paired;
    } finally {
      waiter.leave();
    }
  }

  private async collect(row: PairingRow, address: string, name?: string): Promise<Paired> {
    const account = await this.accounts.find(row.accountId!);
    if (account === undefined) throw relayError('pairing_unknown');
    const expiresAt = row.claimedAt!.getTime() + this.env.sessionTtlMs;
    const session: Session = { account, kind: 'browser', deviceId: row.browserId!, phoneId: row.phoneId!, expiresAt };
    // The server may have died between claim and admission; admitting twice is once.
    await this.admit(session, row.browserId!, row.claimedAt!, address);
    if (name) await this.devices.rename(session, session.deviceId, name);
    return {
      sessionToken: this.tokens.sign(session),
      deviceId: row.phoneId!,
      sessionId: row.browserId!,
      accountId: account.id,
      expiresAt,
      ...(row.keys === null ? {} : { keys: row.keys }),
    };
  }

  private admit({ account, phoneId }: Session, browserId: string, claimedAt: Date, address: string): Promise<void> {
    const expiresAt = new Date(claimedAt.getTime() + this.env.sessionTtlMs);
    return this.devices.admitBrowser(account, browserId, phoneId, expiresAt, address);
  }

  /** An answer that went into a dead connection was not collected: a repeated poll gets it. */
  private async collected(tokenHash: Buffer<ArrayBuffer>, response: ServerResponse): Promise<void> {
    if (response.destroyed || response.socket?.destroyed) return;
    try {
      // Others that wait for the same session have yet to read the keys; the last of them takes them away.
      const keys = this.waiters.has(key(tokenHash)) ? undefined : null;
      await this.database.prisma.pairing.updateMany({ where: { tokenHash }, data: { collectedAt: new Date(), keys } });
      this.metrics.pairings.inc({ outcome: 'collected' });
    } catch (error) {
      this.log.warn({ err: error }, 'a collected pairing could not be marked');
    }
  }

  /** Those that somebody waits for may have been claimed at another server without our hearing of it. */
  private async lookAgain(): Promise<void> {
    try {
      for (const pairing of this.waiters.pairings())
        if ((await this.find(Buffer.from(pairing, 'base64')))?.claimedAt) this.waiters.wake(pairing);
    } catch (error) {
      this.log.warn({ err: error }, 'pairings could not be looked at; who waits asks again by itself');
    }
  }

  private find(tokenHash: Uint8Array<ArrayBuffer>): Promise<PairingRow | null> {
    return this.database.prisma.pairing.findUnique({ where: { tokenHash } });
  }

  /** Guesses at tokens are counted. */
  private async refuse(address: string): Promise<Error> {
    this.metrics.pairings.inc({ outcome: 'invalid' });
    await this.limits.wrongToken(address);
    return relayError('invalid_qr');
  }

  private async purge(): Promise<void> {
    const where = { expiresAt: { lt: new Date(Date.now() - KEEP_ENDED_MS) } };
    await this.database.prisma.pairing.deleteMany({ where });
  }
}

function key(tokenHash: Buffer): string {
  return tokenHash.toString('base64');
}

/** The token of a QR code's JSON; undefined for anything else. */
function tokenIn(qrData: string): string | undefined {
  try {
    const { token } = JSON.parse(qrData) as { token?: unknown };
    return typeof token === 'string' && token !== '' ? token : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
