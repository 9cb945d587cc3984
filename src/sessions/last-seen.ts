import { Inject, Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import type { Database } from '../database/database.js';
import { LOG, type Log } from '../log.js';
import type { Session } from './session.js';

const FLUSH_MS = 1000;
/** How old what is stored may get while a device goes on talking. */
const STALE_MS = 60_000;

interface Seen {
  account: AccountKey;
  device: string;
  at: number;
}

/** Keeps when each device was last heard of: gathered, and written together once a second. */
@Injectable()
export class LastSeen {
  private readonly noted = new WeakMap<Session, number>();
  private waiting = new Map<string, Seen>();
  private timer: NodeJS.Timeout | undefined;

  constructor(@Inject(LOG) private readonly log: Log) {}

  /** For every sign of life: cheap, and precise to a minute. */
  noteNowAndThen(session: Session): void {
    if (Date.now() - (this.noted.get(session) ?? 0) > STALE_MS) this.note(session);
  }

  note(session: Session, at = Date.now()): void {
    const { account, deviceId } = session;
    this.noted.set(session, at);
    if (session.kind === 'key') return;
    this.waiting.set(`${account.id}:${deviceId}`, { account, device: deviceId, at });
    this.timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** When the account's phones were last heard of, ms since 1970; undefined when it has none. */
  async ofPhone({ id, home }: AccountKey): Promise<number | undefined> {
    await this.flush();
    const row = await home.database.prisma.device.findFirst({
      where: { accountId: id, kind: 'phone', deleted: false },
      orderBy: { lastSeenAt: 'desc' },
      select: { lastSeenAt: true },
    });
    return row?.lastSeenAt.getTime();
  }

  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const byDatabase = new Map<Database, Seen[]>();
    for (const seen of this.waiting.values()) {
      const { database } = seen.account.home;
      const known = byDatabase.get(database);
      if (known === undefined) byDatabase.set(database, [seen]);
      else known.push(seen);
    }
    this.waiting = new Map();
    await Promise.all([...byDatabase].map(([database, seen]) => this.write(database, seen)));
  }

  private async write({ pool }: Database, seen: Seen[]): Promise<void> {
    try {
      await pool.query(
        `UPDATE devices d SET last_seen_at = to_timestamp(s.at / 1000.0)
         FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS s(account_id, id, at)
         WHERE d.account_id = s.account_id AND d.id = s.id`,
        [seen.map((s) => s.account.id), seen.map((s) => s.device), seen.map((s) => s.at)],
      );
    } catch (error) {
      // A hint about the past is not worth failing anybody's request; the next one writes a later time anyway.
      this.log.warn({ err: error }, 'last-seen times could not be written');
    }
  }
}
