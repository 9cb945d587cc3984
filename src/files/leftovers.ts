import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { Hourly } from '../hourly.js';
import { LOG, type Log } from '../log.js';
import { Accounts } from '../sessions/accounts.service.js';
import { Storage } from './storage.js';

const AT_ONCE = 100;
const FAILURE = 'files that are to go could not all be removed';

/**
 * Removes the bytes of uploads that were deleted, that nobody completed in time, or whose account is gone. Each has a row
 * that says so, and the row goes last: whoever dies in between goes on when the server is back. What no row names is left
 * alone, so that a server on a wrong or an older database destroys nothing.
 */
@Injectable()
export class Leftovers implements BeforeApplicationShutdown {
  private next: NodeJS.Immediate | undefined;
  private readonly running = new Set<Promise<void>>();
  private stopping = false;

  constructor(
    private readonly databases: Databases,
    private readonly storage: Storage,
    accounts: Accounts,
    hourly: Hourly,
    @Inject(LOG) private readonly log: Log,
  ) {
    accounts.events.onOwn('account.deleted', () => void this.run());
    hourly.do(FAILURE, () => this.run(), { atStart: true });
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    clearImmediate(this.next);
    await Promise.all(this.running);
  }

  /** Resolves when all are gone that are due. What fails is done later. */
  async run(databases = this.databases.all()): Promise<void> {
    const run = Promise.all(databases.map((database) => this.orLater(database))).then(() => undefined);
    this.running.add(run);
    await run;
    this.running.delete(run);
  }

  /** What is deleted at the same time goes in one run. */
  soon(): void {
    this.next ??= setImmediate(() => {
      this.next = undefined;
      void this.run();
    });
  }

  private async orLater(database: Database): Promise<void> {
    try {
      while (!this.stopping && (await this.remove(database)) === AT_ONCE);
    } catch (error) {
      this.log.warn({ err: error }, `${FAILURE}; trying again later`);
    }
  }

  private async remove({ pool }: Database): Promise<number> {
    const { rows } = await pool.query<{ id: string }>(
      `SELECT id FROM uploads WHERE account_id IS NULL
       UNION SELECT id FROM uploads WHERE expires_at <= now() LIMIT ${AT_ONCE}`,
    );
    const ids = rows.map(({ id }) => id);
    await Promise.all(ids.map((id) => this.storage.remove(id)));
    await pool.query('DELETE FROM uploads WHERE id = ANY ($1) AND (account_id IS NULL OR expires_at <= now())', [ids]);
    return ids.length;
  }
}
