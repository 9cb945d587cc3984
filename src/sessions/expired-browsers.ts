import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { AccountKeys } from '../changes/account-keys.js';
import { Changes } from '../changes/changes.js';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { Hourly } from '../hourly.js';
import { LOG, type Log } from '../log.js';
import type { DeviceMutation } from './device.kind.js';

/** How long its owner still sees a browser whose session is over, and it can come back as the one that it was. */
const KEEP_MS = 30 * 86_400_000;
const AT_ONCE = 500;

/** Of one account, in the order of their ids. */
interface Expired {
  account_id: string;
  realm: string;
  ids: string[];
}

/** Removes browsers whose sessions have long been over, as a person would: otherwise they only ever get more. */
@Injectable()
export class ExpiredBrowsers implements OnModuleInit {
  constructor(
    private readonly databases: Databases,
    private readonly accounts: AccountKeys,
    private readonly changes: Changes,
    private readonly hourly: Hourly,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.hourly.do('browsers whose sessions are over could not be removed', () => this.run());
  }

  /** Resolves with how many were removed. */
  async run(now = Date.now()): Promise<number> {
    const before = new Date(now - KEEP_MS);
    let removed = 0;
    for (const database of this.databases.all())
      for (let page = await find(database, before); page.length > 0; page = await find(database, before, page.at(-1)))
        for (const expired of page) removed += await this.remove(expired, now, before);
    if (removed > 0) this.log.info({ removed }, 'browsers whose sessions were long over were removed');
    return removed;
  }

  private async remove({ account_id, realm, ids }: Expired, at: number, before: Date): Promise<number> {
    const account = await this.accounts.find(account_id, realm);
    if (account === undefined) return 0;
    const row = { expiredBefore: before };
    const revoke = (id: string): DeviceMutation => ({ account, kind: 'device', id, op: 'revoke', row, at, bytes: 64 });
    const outcomes = await this.changes.submit(ids.map(revoke));
    return outcomes.filter(({ result }) => result === 'applied').length;
  }
}

/** The next ones after `last`. */
async function find({ pool }: Database, before: Date, last?: Expired): Promise<Expired[]> {
  const { rows } = await pool.query<Expired>(
    `SELECT account_id, realm, array_agg(id ORDER BY id) AS ids
     FROM (SELECT d.account_id, a.realm, d.id FROM devices d JOIN accounts a ON a.id = d.account_id
           WHERE d.kind = 'browser' AND NOT d.deleted AND d.expires_at < $1 AND a.joined_into IS NULL
             AND ($2::uuid IS NULL OR (d.account_id, d.id) > ($2::uuid, $3::text))
           ORDER BY d.account_id, d.id LIMIT ${AT_ONCE}) page
     GROUP BY account_id, realm ORDER BY account_id`,
    [before, last?.account_id, last?.ids.at(-1)],
  );
  return rows;
}
