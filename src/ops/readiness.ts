import { Inject, Injectable } from '@nestjs/common';
import { Changes } from '../changes/changes.js';
import { Database } from '../database/database.js';
import { pendingMigrations } from '../database/migrations.js';
import { ENV, type BootEnv } from '../env.js';
import type { ReadinessDto } from './health.dto.js';

/** Whether this server can serve: its database answers, is migrated, and the queue has room. */
@Injectable()
export class Readiness {
  constructor(
    private readonly database: Database,
    private readonly changes: Changes,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  async report(): Promise<ReadinessDto> {
    const queued = this.changes.queued();
    const { maxQueuedRows, maxQueuedBytes } = this.env.limits;
    const queue = { ok: queued.rows < maxQueuedRows && queued.bytes < maxQueuedBytes, ...queued };
    const pending = await this.pending();
    const database = pending !== undefined;
    const migrations = pending === 0;
    return { ready: database && migrations && queue.ok, database, migrations, queue };
  }

  /** The number of migrations not applied yet; undefined when the database does not answer. */
  private async pending(): Promise<number | undefined> {
    return pendingMigrations(this.database.pool).then(
      (pending) => pending.length,
      () => undefined,
    );
  }
}
