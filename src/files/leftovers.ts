import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { LOG, type Log } from '../log.js';
import { Accounts } from '../sessions/accounts.service.js';
import { Disk } from './disk.js';

const EVERY_MS = 3_600_000;
const AT_ONCE = 100;

/**
 * Removes the bytes of uploads that were deleted, that nobody completed in time, or whose account is gone. Each has a row
 * that says so, and the row goes last: whoever dies in between goes on when the server is back. What no row names is left
 * alone, so that a server on a wrong or an older database destroys nothing.
 */
@Injectable()
export class Leftovers implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private readonly running = new Set<Promise<void>>();
  private stopping = false;

  constructor(
    private readonly databases: Databases,
    private readonly disk: Disk,
    accounts: Accounts,
    @Inject(LOG) private readonly log: Log,
  ) {
    accounts.events.on('account.deleted', () => void this.run());
  }

  onApplicationBootstrap(): void {
    void this.run();
    this.timer = setInterval(() => void this.run(), EVERY_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    clearInterval(this.timer);
    await Promise.all(this.running);
  }

  /** Resolves when all are gone that are due. What fails is done later. */
  async run(databases = this.databases.all()): Promise<void> {
    const run = Promise.all(databases.map((database) => this.orLater(database))).then(() => undefined);
    this.running.add(run);
    await run;
    this.running.delete(run);
  }

  private async orLater(database: Database): Promise<void> {
    try {
      while (!this.stopping && (await this.remove(database)) === AT_ONCE);
    } catch (error) {
      this.log.warn({ err: error }, 'files that are to go could not all be removed; trying again later');
    }
  }

  private async remove({ pool }: Database): Promise<number> {
    const { rows } = await pool.query<{ id: string }>(
      `SELECT id FROM uploads WHERE account_id IS NULL
       UNION SELECT id FROM uploads WHERE expires_at <= now() LIMIT ${AT_ONCE}`,
    );
    const ids = rows.map(({ id }) => id);
    await Promise.all(ids.map((id) => this.disk.remove(id)));
    await pool.query('DELETE FROM uploads WHERE id = ANY ($1) AND (account_id IS NULL OR expires_at <= now())', [ids]);
    return ids.length;
  }
}
