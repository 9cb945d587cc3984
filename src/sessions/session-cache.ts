import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Accounts } from './accounts.service.js';
import { Devices } from './devices.service.js';
import type { Session } from './session.js';

const SESSIONS = 20_000;
/** For rows that somebody changes past this server, in the database. */
const TRUSTED_MS = 5000;

/**
 * Sessions that were looked up lately: to ask the database for each request would cost more than most requests. A server
 * has its database to itself, so whatever ends a session is told here first, and then all are looked up anew.
 */
@Injectable()
export class SessionCache {
  private readonly sessions = new LRUCache<string, Session>({ max: SESSIONS, ttl: TRUSTED_MS });
  /** How often sessions have ended: one that was looked up across an end may be of before it. */
  private ends = 0;

  constructor(accounts: Accounts, devices: Devices) {
    devices.events.on('device.revoked', () => this.forget());
    for (const event of ['account.deleted', 'account.joined', 'sessions.ended'] as const)
      accounts.events.on(event, () => this.forget());
  }

  /** Some session has ended: all are looked up anew. */
  forget(): void {
    this.ends++;
    this.sessions.clear();
  }

  /** `key` begins with the kind of session: an API key is no device's token, however lately it was good for something. */
  async get(key: string, look: () => Promise<Session | undefined>): Promise<Session | undefined> {
    const known = this.sessions.get(key);
    if (known !== undefined && (known.expiresAt ?? Infinity) > Date.now()) return known;
    const { ends } = this;
    const session = await look();
    if (session !== undefined && ends === this.ends) this.sessions.set(key, session);
    return session;
  }
}
