import { Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Changes } from '../changes/changes.js';
import { Feed } from '../changes/feed.js';
import { relayError, type ErrorCode, type RelayError } from '../errors.js';
import { Metrics } from '../metrics.js';
import type { Session } from '../sessions/session.js';
import { Connections } from './connections.js';
import { EventStream, STREAM_HEADERS } from './event-stream.js';
import { Follower } from './follower.js';

/** How soon a client may come back to a server that stopped. */
const RETRY_SECONDS = 2;

/** A session, and since when its end is not known of: it is tracked from there on. */
interface LetIn {
  session: Session;
  /** Of `performance.now()`. */
  since: number;
}

/** The change log over HTTP: pages, long polls, snapshots and server-sent events are one read at another tempo. */
@Injectable()
export class ChangesReader {
  constructor(
    private readonly changes: Changes,
    private readonly feed: Feed,
    private readonly connections: Connections,
    private readonly metrics: Metrics,
  ) {}

  /** @returns `{changes,cursor,more}` as JSON text */
  async page(
    { session, since }: LetIn,
    query: { after: number; limit: number; wait: number },
    response: Response,
  ): Promise<string> {
    const { account } = session;
    const read = () => this.changes.read(account, query.after, query.limit);
    if (query.wait === 0) return pageText(await read());

    // Listen first, then look: a commit in between is not missed.
    const wake = this.waiting({ session, since }, query.wait * 1000, response);
    try {
      let page = await read();
      if (page.count === 0) {
        await wake.up;
        page = await read();
        // What woke it may have been its own session's end.
        wake.check();
      }
      return pageText(page);
    } finally {
      wake.over();
    }
  }

  /**
   * A page of everything, without tombstones. `cursor` is where the account stood: what changes while a client pages,
   * deletes included, comes with the changes after the first page's, so the two together miss nothing.
   */
  async snapshot({ account }: Session, after: number, limit: number): Promise<string> {
    const page = await this.changes.read(account, after, limit, false);
    const next = page.more ? `,"next":${page.cursor}` : '';
    return `{"changes":[${page.text}],"cursor":${page.now},"more":${page.more}${next}}`;
  }

  async stream(
    { session, since }: LetIn,
    lastEventId: string | undefined,
    after: number,
    request: Request,
    response: Response,
  ): Promise<void> {
    const cursor = lastEventId === undefined || lastEventId === '' ? after : Number(lastEventId);
    if (!Number.isSafeInteger(cursor) || cursor < 0) throw relayError('bad_request', { detail: 'Last-Event-ID' });
    await this.changes.read(session.account, cursor, 1); // an expired cursor is a 410, not a stream

    if (response.destroyed) return; // gone while we looked: its 'close' will not be heard any more
    if (request.method === 'HEAD') {
      response.writeHead(200, STREAM_HEADERS).end();
      return;
    }
    const stream = new EventStream(session, response);
    this.metrics.sockets.inc({ kind: 'stream' });
    stream.whenOver(() => this.metrics.sockets.dec({ kind: 'stream' }));
    const follower = new Follower(this.changes, this.feed, session.account, cursor, stream);
    stream.whenOver(() => follower.end());
    // Last, for it may end the stream at once.
    stream.whenOver(this.connections.track(stream, since));
  }

  /** Wakes when the account changes, the time is over, or whoever asked is gone; fails when the session or the server ends. */
  private waiting({ session, since }: LetIn, ms: number, response: Response) {
    let resolve!: () => void;
    let reject!: (error: Error) => void;
    let ended: RelayError | undefined;
    const up = new Promise<void>((yes, no) => ([resolve, reject] = [yes, no]));
    up.catch(() => undefined); // it may fail while the first read is still under way
    const timer = setTimeout(resolve, ms);
    const unfollow = this.feed.follow(session.account.id, ({ rows }) => rows?.length !== 0 && resolve());
    const end = (code: ErrorCode) =>
      reject((ended = relayError(code, code === 'stopping' ? { retryAfter: RETRY_SECONDS } : {})));
    const untrack = this.connections.track({ session, end }, since);
    response.once('close', resolve);
    this.metrics.longPolls.inc({ what: 'changes' });
    const over = () => {
      clearTimeout(timer);
      unfollow();
      response.off('close', resolve);
      // Not before the answer is out: a server that stops waits for it.
      if (response.closed) untrack();
      else response.once('close', untrack);
      this.metrics.longPolls.dec({ what: 'changes' });
    };
    const check = () => {
      if (ended !== undefined) throw ended;
    };
    return { up, check, over };
  }
}

function pageText({ text, cursor, more }: { text: string; cursor: number; more: boolean }): string {
  return `{"changes":[${text}],"cursor":${cursor},"more":${more}}`;
}
