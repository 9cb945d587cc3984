import { Inject, Injectable } from '@nestjs/common';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { LOG, type Log } from '../log.js';
import { Changes } from './changes.js';

const AT_ONCE = 1000;

/**
 * Removes the rows of accounts that are gone. Who deletes an account takes its own row away, and with it its data key and
 * all that hangs on it, and in the same transaction puts its id into `erasures`; what is left is noise that nobody can
 * reach any more. It goes here, piece by piece, and after a server died in the middle it goes on.
 */
@Injectable()
export class Erasure {
  private stopping = false;

  constructor(
    private readonly databases: Databases,
    private readonly changes: Changes,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** Goes on with all that is left. */
  async run(): Promise<void> {
    for (const database of this.databases.all())
      await this.orLater(async () => {
        const { rows } = await database.pool.query<{ account_id: string }>('SELECT account_id FROM erasures');
        for (const { account_id } of rows) await this.eraseOne(database, account_id);
      });
  }

  /** Resolves when all rows of these accounts are gone, or have to go later. */
  async erase(database: Database, accounts: string[]): Promise<void> {
    await this.orLater(async () => {
      for (const account of accounts) await this.eraseOne(database, account);
    });
  }

  private async orLater(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log.warn({ err: error }, 'the rows of a deleted account could not be removed; trying again later');
    }
  }

  stop(): void {
    this.stopping = true;
  }

  private async eraseOne({ pool }: Database, account: string): Promise<void> {
    const tables = [...this.changes.registered()].map(({ table }) => ({ table, key: 'account_id, id' }));
    for (const { table, key } of [...tables, { table: 'pending_pulls', key: 'account_id, device_id, id' }])
      for (let more = true; more;) {
        if (this.stopping) return;
        const { rowCount } = await pool.query(
          `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE account_id = $1 LIMIT ${AT_ONCE})`,
          [account],
        );
        more = rowCount === AT_ONCE;
      }
    await pool.query('DELETE FROM erasures WHERE account_id = $1', [account]);
  }
}
