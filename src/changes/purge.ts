import { Inject, Injectable, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { ENV, type BootEnv } from '../env.js';
import { Hourly } from '../hourly.js';
import { LOG, type Log } from '../log.js';
import { Changes } from './changes.js';
import { Erasure } from './erasure.js';
import type { Kind } from './kind.js';

const AT_ONCE = 1000;

/**
 * Removes tombstones once nobody can be expected to come back for them: an older cursor then starts over. And what deleted
 * accounts left.
 */
@Injectable()
export class Purge implements OnModuleInit, BeforeApplicationShutdown {
  private stopping = false;

  constructor(
    private readonly databases: Databases,
    private readonly changes: Changes,
    private readonly erasure: Erasure,
    private readonly hourly: Hourly,
    @Inject(ENV) private readonly env: BootEnv,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    // At the start, what a server left behind that died on the way.
    this.hourly.do('deleted accounts could not be erased', () => this.erasure.run(), { atStart: true });
    this.hourly.do('old tombstones could not be removed', () => this.run());
  }

  beforeApplicationShutdown(): void {
    this.stopping = true;
    this.erasure.stop();
  }

  /** Removes those older than TOMBSTONE_TTL_DAYS; resolves with how many. */
  async run(now = Date.now()): Promise<number> {
    const before = now - this.env.tombstoneTtlMs;
    let purged = 0;
    for (const database of this.databases.all()) {
      const purges = [...this.changes.registered()].map((kind) => () => this.purge(database, kind, before));
      for (const purge of [...purges, () => this.purgeShared(database, before)])
        for (let more = true; more && !this.stopping;) {
          const count = await purge();
          purged += count;
          more = count === AT_ONCE;
        }
    }
    if (purged > 0) this.log.info({ purged }, 'old tombstones were removed');
    return purged;
  }

  private async purge({ pool }: Database, { table, purgeable = 'true' }: Kind, before: number): Promise<number> {
    const old = `deleted AND at < $1 AND ${purgeable}`;
    const { rows } = await pool.query<{ purged: number }>(
      `WITH gone AS (
         DELETE FROM ${table} WHERE ${old} AND (account_id, id) IN (
           SELECT account_id, id FROM ${table} WHERE ${old} LIMIT ${AT_ONCE})
         RETURNING account_id, seq),
       ${raising('gone')}
       SELECT count(*)::int AS purged FROM gone`,
      [before],
    );
    return rows[0]!.purged;
  }

  /** Of shared rows: the cursors that start over are those of the accounts that were pointed to them. */
  private async purgeShared({ pool }: Database, before: number): Promise<number> {
    const { rows } = await pool.query<{ purged: number }>(
      `WITH gone AS (
         DELETE FROM shared_rows WHERE deleted AND at < $1 AND (account_id, kind, id) IN (
           SELECT account_id, kind, id FROM shared_rows WHERE deleted AND at < $1 LIMIT ${AT_ONCE})
         RETURNING account_id, seq),
       unpointed AS (
         DELETE FROM pointers p USING gone g WHERE p.shared_id = g.account_id AND p.number = g.seq
         RETURNING p.account_id, p.seq),
       ${raising('unpointed')}
       SELECT count(*)::int AS purged FROM gone`,
      [before],
    );
    return rows[0]!.purged;
  }
}

/** SQL that has older cursors of the accounts start over: `gone` has the changes they cannot be told of any more. */
function raising(gone: string): string {
  return `-- In id order, as the commits lock them.
       locked AS (
         SELECT a.id FROM accounts a WHERE a.id IN (SELECT account_id FROM ${gone}) ORDER BY a.id FOR UPDATE OF a),
       moved AS (
         UPDATE accounts a SET horizon = greatest(a.horizon, g.seq)
         FROM locked l, (SELECT account_id, max(seq) AS seq FROM ${gone} GROUP BY account_id) g
         WHERE a.id = l.id AND g.account_id = a.id)`;
}
