import { Inject, Injectable } from '@nestjs/common';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { LOG, type Log } from '../log.js';
import { Metrics } from '../metrics.js';
import type { AccountKey } from './account-key.js';
import { AccountKeys } from './account-keys.js';
import { Feed } from './feed.js';
import type { Kind, Mutation, Outcome, Writer } from './kind.js';
import { Lane } from './lane.js';
import { Reader, type Page } from './reader.js';

/**
 * The change log. Every synced row belongs to one account and carries the number of its last change; whoever wants to
 * know what happened reads the rows above the number they have seen. The tables are the log: see docs/architecture.md.
 */
@Injectable()
export class Changes {
  private readonly kinds = new Map<string, Kind>();
  /** Of shared rows; written after all others, because they take numbers of accounts that the batch may name itself. */
  private readonly shared = new Map<string, Writer>();
  // One for a database makes batches twice as large as two would, and a row half as dear (docs/decisions/0002).
  private readonly lanes: Map<Database, Lane>;
  private readonly readers = new Map<Database, Reader>();
  private stopping = false;

  constructor(
    databases: Databases,
    private readonly keys: AccountKeys,
    feed: Feed,
    @Inject(ENV) private readonly env: BootEnv,
    metrics: Metrics,
    @Inject(LOG) log: Log,
  ) {
    const lane = (database: Database) => new Lane(database.url, [this.kinds, this.shared], feed, metrics, log);
    this.lanes = new Map(databases.all().map((database) => [database, lane(database)]));
  }

  /** Called by each feature once, while the server is wired. Kinds are written in the order they register. */
  register(kind: Kind): void {
    this.kinds.set(kind.name, kind);
    this.readers.clear();
  }

  /** Called once by the feature that writes shared rows. */
  registerShared(writer: Writer): void {
    this.shared.set(writer.name, writer);
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
    return this.lanes.get(mutations[0]!.account.home.database)!.submit(mutations) as Promise<Outcome<State>[]>;
  }

  /** @see Reader.read */
  read(account: AccountKey, after: number, limit: number, tombstones = true): Promise<Page> {
    const { database } = account.home;
    let reader = this.readers.get(database);
    if (reader === undefined) this.readers.set(database, (reader = new Reader(database, this.kinds, this.keys)));
    return reader.read(account, after, limit, tombstones);
  }

  queued(): { rows: number; bytes: number } {
    const lanes = [...this.lanes.values()];
    const sum = (of: (lane: Lane) => number) => lanes.reduce((total, lane) => total + of(lane), 0);
    return { rows: sum((lane) => lane.queuedRows), bytes: sum((lane) => lane.queuedBytes) };
  }

  /** No new mutations; resolves when those that wait are committed and answered. */
  async drain(): Promise<void> {
    this.stopping = true;
    await Promise.all([...this.lanes.values()].map((lane) => lane.drain()));
  }
}
