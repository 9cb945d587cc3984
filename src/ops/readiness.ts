import { Inject, Injectable } from '@nestjs/common';
import { Changes } from '../changes/changes.js';
import { Cluster } from '../cluster/cluster.js';
import { Databases } from '../database/databases.js';
import { pendingMigrations } from '../database/migrations.js';
import { ENV, type BootEnv } from '../env.js';
import type { ReadinessDto } from './health.dto.js';

/** Whether this server can serve: its database answers, is migrated, and the queue has room. */
@Injectable()
export class Readiness {
  constructor(
    private readonly databases: Databases,
    private readonly changes: Changes,
    private readonly cluster: Cluster,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  async report(): Promise<ReadinessDto> {
    const queued = this.changes.queued();
    const { maxQueuedRows, maxQueuedBytes } = this.env.limits;
    const queue = { ok: queued.rows < maxQueuedRows && queued.bytes < maxQueuedBytes, ...queued };
    const pending = await this.pending();
    const database = pending !== undefined;
    const migrations = pending === 0;
    const redis = this.cluster.connected;
    const ready = database && migrations && queue.ok;
    return { ready, database, migrations, queue, ...(redis === undefined ? {} : { redis }) };
  }

  /** The number of migrations not applied yet; undefined when a database does not answer. */
  private async pending(): Promise<number | undefined> {
    return Promise.all(this.databases.all().map(({ pool }) => pendingMigrations(pool))).then(
      (pending) => pending.flat().length,
      () => undefined,
    );
  }
}
