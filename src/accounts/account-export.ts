import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { Changes } from '../changes/changes.js';
import { AccountEvents } from '../sessions/account-events.js';
import { ApiKeys } from '../sessions/api-keys.js';
import { Devices } from '../sessions/devices.service.js';
import { OwnAccount } from './own-account.js';
import type { Session } from '../sessions/session.js';

const PAGE = 500;

interface Change {
  kind: string;
  at: number;
  row: object;
}

/** Everything an account has, for its owner to take along. */
@Injectable()
export class AccountExport {
  constructor(
    private readonly own: OwnAccount,
    private readonly devices: Devices,
    private readonly changes: Changes,
    private readonly apiKeys: ApiKeys,
    private readonly events: AccountEvents,
  ) {}

  /**
   * JSON lines `{type, row}`: the `account` first, as in `GET /api/account`, then each `device`, all that is stored (`type` is
   * the kind, `row` as in `GET /api/snapshot`, besides `at`, ms since 1970), API keys (`key`, without the key itself) and the
   * audit list (`event`); last `{type:'end',rows}` with the number of lines before it, without which it is not whole. It is
   * read as fast as it is taken, a page at a time. A row that changes meanwhile may come twice: the later one stands.
   */
  async write(session: Session, response: Response): Promise<void> {
    // What fails here is still an answer of its own.
    const account = await this.own.view(session);
    response.set({
      'Content-Type': 'application/x-ndjson; charset=utf-8',
      'Content-Disposition': 'attachment; filename="pairline-account.jsonl"',
      'Cache-Control': 'no-store',
    });
    const lines = Readable.from(this.lines(session, account), { objectMode: true, highWaterMark: 1 });
    try {
      await pipeline(lines, response);
    } catch (error) {
      // Whoever hung up wants no more of it.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    }
  }

  /** A page of lines at a time. */
  private async *lines(session: Session, view: object): AsyncGenerator<string> {
    const { account } = session;
    let rows = 0;
    const lines = (type: string, items: { row: object; at?: number }[]) => {
      rows += items.length;
      return items.map((item) => `${JSON.stringify({ type, ...item })}\n`).join('');
    };
    yield lines('account', [{ row: view }]);
    yield lines('device', asRows(await this.devices.list(session)));
    for (let after = 0, more = true; more;) {
      const page = await this.changes.read(account, after, PAGE, false);
      // Devices are there already, with what their rows do not hold.
      const changes = (JSON.parse(`[${page.text}]`) as Change[]).filter(({ kind }) => kind !== 'device');
      yield changes.map(({ kind, at, row }) => lines(kind, [{ at, row }])).join('');
      ({ cursor: after, more } = page);
    }
    yield lines('key', asRows(await this.apiKeys.list(session)));
    for (let before: number | undefined, more = true; more;) {
      const events = await this.events.list(account, PAGE, before);
      yield lines('event', asRows(events));
      before = events.at(-1)?.number;
      more = events.length === PAGE;
    }
    yield `${JSON.stringify({ type: 'end', rows })}\n`;
  }
}

function asRows(items: object[]): { row: object }[] {
  return items.map((row) => ({ row }));
}
