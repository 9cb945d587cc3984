import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { Session } from '../sessions/session.js';
import { Databases } from '../database/databases.js';
import { relayError } from '../errors.js';
import { Hourly } from '../hourly.js';
import type { Announced } from './record-reader.js';

/** A pull in parts that takes longer has been given up. */
const TTL_MS = 3_600_000;
/** Rows that a client may announce in all parts of one pull. */
const MAX_ROWS = 100_000;

/** What clients announced in the first parts of a pull: the last part is answered with all of it in view. */
@Injectable()
export class PendingPulls implements OnModuleInit {
  constructor(
    private readonly databases: Databases,
    private readonly hourly: Hourly,
  ) {}

  onModuleInit(): void {
    this.hourly.do('pulls that were given up could not be forgotten', () => this.purge());
  }

  /** ms since 1970: what was announced before is forgotten. */
  since(now = Date.now()): number {
    return now - TTL_MS;
  }

  /** A row that was announced before is announced anew. Throws `batch_too_large`. */
  async add({ account, deviceId }: Session, { ids, changedAt }: Announced): Promise<void> {
    const { rowCount } = await account.home.database.pool.query(
      `INSERT INTO pending_pulls (account_id, device_id, id, changed_at, at)
       SELECT $1, $2, c.id, c.changed_at, $3 FROM unnest($4::text[], $5::bigint[]) AS c(id, changed_at)
       WHERE (SELECT count(*) FROM pending_pulls WHERE account_id = $1 AND device_id = $2) + $6 <= $7
       ON CONFLICT (account_id, device_id, id) DO UPDATE SET changed_at = excluded.changed_at, at = excluded.at`,
      [account.id, deviceId, Date.now(), ids, changedAt, ids.length, MAX_ROWS],
    );
    if (rowCount !== ids.length) throw relayError('batch_too_large', { detail: 'cancelSync ends a pull in parts' });
  }

  async clear({ account, deviceId }: Session): Promise<void> {
    await account.home.database.prisma.pendingPull.deleteMany({ where: { accountId: account.id, deviceId } });
  }

  /** Forgets what nobody comes back for; resolves with how many rows. */
  async purge(now = Date.now()): Promise<number> {
    const old = { where: { at: { lte: this.since(now) } } };
    const gone = await Promise.all(this.databases.all().map(({ prisma }) => prisma.pendingPull.deleteMany(old)));
    return gone.reduce((sum, { count }) => sum + count, 0);
  }
}
