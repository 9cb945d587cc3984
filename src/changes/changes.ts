import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { LOG, type Log } from '../log.js';
import { Metrics } from '../metrics.js';
import type { AccountKey } from './account-key.js';
import { Feed } from './feed.js';
import type { Kind, Mutation, Outcome } from './kind.js';
import { Lane } from './lane.js';
import { Reader, type Page } from './reader.js';

/**
 * The change log. Every synced row belongs to one account and carries the number of its last change; whoever wants to
 * know what happened reads the rows above the number they have seen. The tables are the log: see docs/architecture.md.
 */
@Injectable()
export class Changes {
  private readonly kinds = new Map<string, Kind>();
  // One makes batches twice as large as two would, and a row half as dear (docs/decisions/0002).
  private readonly lane: Lane;
  private reader: Reader | undefined;
  private stopping = false;

  constructor(
    private readonly database: Database,
    feed: Feed,
    @Inject(ENV) private readonly env: BootEnv,
    metrics: Metrics,
    @Inject(LOG) log: Log,
  ) {
    this.lane = new Lane(env.databaseUrl, this.kinds, feed, metrics, log);
  }

  /** Called by each feature once, while the server is wired. Kinds are written in the order they register. */
  register(kind: Kind): void {
    this.kinds.set(kind.name, kind);
    this.reader = undefined;
  }

  registered(): Iterable<Kind> {
    return this.kinds.values();
  }

  /**
   * Commits mutations of one account, in order. Resolves after the commit, and after whoever follows the account has
   * been told: one outcome for each. Throws `busy` when too much waits, `unavailable` when the database is away; then
   * some may be stored, and handing the same ones in again is harmless.
   */
  async submit<State = unknown>(mutations: Mutation[]): Promise<Outcome<State>[]> {
    if (mutations.length === 0) return [];
    if (this.stopping) throw relayError('stopping', { retryAfter: 2 });
    const { maxQueuedRows, maxQueuedBytes } = this.env.limits;
    const queued = this.queued();
    // What is larger than the bound by itself still has to get through: alone.
    if (queued.rows > 0 && (queued.rows + mutations.length > maxQueuedRows || queued.bytes >= maxQueuedBytes))
      throw relayError('busy', { retryAfter: 1 });
    return this.lane.submit(mutations) as Promise<Outcome<State>[]>;
  }

  /** @see Reader.read */
  read(account: AccountKey, after: number, limit: number, tombstones = true): Promise<Page> {
    this.reader ??= new Reader(this.database, this.kinds);
    return this.reader.read(account, after, limit, tombstones);
  }

  queued(): { rows: number; bytes: number } {
    return { rows: this.lane.queuedRows, bytes: this.lane.queuedBytes };
  }

  /** No new mutations; resolves when those that wait are committed and answered. */
  async drain(): Promise<void> {
    this.stopping = true;
    await this.lane.drain();
  }
}
