import { Inject, Injectable } from '@nestjs/common';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { LOG, type Log } from '../log.js';
import { Changes } from './changes.js';

const AT_ONCE = 1000;

/** What an account has besides the rows of kinds; a chat, which is an account too, has rows that are shared. */
const OTHERS = [
  { table: 'pending_pulls', owner: 'account_id', key: 'account_id, device_id, id' },
  { table: 'pointers', owner: 'account_id', key: 'account_id, seq' },
  { table: 'pointers', owner: 'shared_id', key: 'account_id, seq' },
  { table: 'shared_rows', owner: 'account_id', key: 'account_id, kind, id' },
  { table: 'chat_members', owner: 'chat_id', key: 'chat_id, user_id' },
];

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
    const kinds = [...this.changes.registered()];
    const tables = kinds.map(({ table }) => ({ table, owner: 'account_id', key: 'account_id, id' }));
    for (const { table, owner, key } of [...tables, ...OTHERS])
      for (let more = true; more;) {
        if (this.stopping) return;
        const { rowCount } = await pool.query(
          `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE ${owner} = $1 LIMIT ${AT_ONCE})`,
          [account],
        );
        more = rowCount === AT_ONCE;
      }
    await pool.query('DELETE FROM erasures WHERE account_id = $1', [account]);
  }
}
