import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../database/database.js';
import { LOG, type Log } from '../log.js';
import type { Session } from './session.js';

const FLUSH_MS = 1000;
/** How old what is stored may get while a device goes on talking. */
const STALE_MS = 60_000;

/** Keeps when each device was last heard of: gathered, and written together once a second. */
@Injectable()
export class LastSeen {
  private readonly noted = new WeakMap<Session, number>();
  private waiting = new Map<string, { account: string; device: string; at: number }>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly database: Database,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** For every sign of life: cheap, and precise to a minute. */
  noteNowAndThen(session: Session): void {
    if (Date.now() - (this.noted.get(session) ?? 0) > STALE_MS) this.note(session);
  }

  note(session: Session, at = Date.now()): void {
    const { account, deviceId } = session;
    this.noted.set(session, at);
    this.waiting.set(`${account.id}:${deviceId}`, { account: account.id, device: deviceId, at });
    this.timer ??= setTimeout(() => void this.flush(), FLUSH_MS).unref();
  }

  /** When the account's phones were last heard of, ms since 1970; undefined when it has none. */
  async ofPhone(account: string): Promise<number | undefined> {
    await this.flush();
    const row = await this.database.prisma.device.findFirst({
      where: { accountId: account, kind: 'phone', deleted: false },
      orderBy: { lastSeenAt: 'desc' },
      select: { lastSeenAt: true },
    });
    return row?.lastSeenAt.getTime();
  }

  async flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const seen = [...this.waiting.values()];
    if (seen.length === 0) return;
    this.waiting = new Map();
    try {
      await this.database.pool.query(
        `UPDATE devices d SET last_seen_at = to_timestamp(s.at / 1000.0)
         FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS s(account_id, id, at)
         WHERE d.account_id = s.account_id AND d.id = s.id`,
        [seen.map((s) => s.account), seen.map((s) => s.device), seen.map((s) => s.at)],
      );
    } catch (error) {
      // A hint about the past is not worth failing anybody's request; the next one writes a later time anyway.
      this.log.warn({ err: error }, 'last-seen times could not be written');
    }
  }
}
