import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Cluster } from '../cluster/cluster.js';
import { Accounts } from './accounts.service.js';
import { Devices } from './devices.service.js';
import type { Session } from './session.js';

const SESSIONS = 20_000;
/** For rows that somebody changes past this server, in the database. */
const TRUSTED_MS = 5000;

/** A session, and until when what names it is good: ms since 1970. */
export interface Known {
  session: Session;
  until: number;
}

/**
 * Sessions that were looked up lately, by the tokens that name them: to check a token and ask the database for each
 * request would cost more than most requests. Whatever ends a session is told here, by whichever server
 * did it, and then all are looked up anew.
 */
@Injectable()
export class SessionCache {
  private readonly sessions = new LRUCache<string, Known>({ max: SESSIONS, ttl: TRUSTED_MS });
  /** How often sessions have ended: one that was looked up across an end may be of before it. */
  private ends = 0;

  constructor(accounts: Accounts, devices: Devices, cluster: Cluster) {
    devices.events.on('device.revoked', () => this.forget());
    for (const event of ['account.deleted', 'account.joined', 'sessions.ended'] as const)
      accounts.events.on(event, () => this.forget());
    cluster.onGap(() => this.forget());
  }

  /** Some session has ended: all are looked up anew. */
  forget(): void {
    this.ends++;
    this.sessions.clear();
  }

  /** `key` begins with the kind of token: an API key is no device's token, however lately it was good for something. */
  async get(key: string, look: () => Promise<Known | undefined>): Promise<Session | undefined> {
    const known = this.sessions.get(key);
    if (known !== undefined && known.until > Date.now()) return known.session;
    const { ends } = this;
    const found = await look();
    if (found !== undefined && ends === this.ends) this.sessions.set(key, found);
    return found?.session;
  }
}
