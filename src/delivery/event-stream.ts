import { once } from 'node:events';
import type { Response } from 'express';
import { asRelayError } from '../database/as-relay-error.js';
import { relayError, type ErrorCode } from '../errors.js';
import type { Session } from '../sessions/session.js';
import type { Closable } from './connections.js';
import type { Sink } from './follower.js';

const KEEPALIVE_MS = 15_000;
/** How long a client that does not read may keep an ended response open. */
const LINGER_MS = 5000;

export const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
};

/** One response of server-sent events: `id` is the cursor. Nothing is written once it is over. */
export class EventStream implements Sink, Closable {
  private over = false;
  private readonly steps: (() => void)[] = [];

  constructor(
    readonly session: Session,
    private readonly response: Response,
  ) {
    response.writeHead(200, STREAM_HEADERS);
    response.write(': connected\n\n');
    const keepalive = setInterval(() => response.write(':keepalive\n\n'), KEEPALIVE_MS).unref();
    this.whenOver(() => clearInterval(keepalive));
    response.once('close', () => this.finish());
  }

  /** Runs a step once the stream is over, at once when it is already. */
  whenOver(step: () => void): void {
    if (this.over) step();
    else this.steps.push(step);
  }

  hasRoom(): boolean {
    return !this.response.writableNeedDrain;
  }

  write(text: string, cursor: number): void | Promise<void> {
    if (this.over) return undefined;
    this.response.write(`id: ${cursor}\ndata: {"changes":[${text}],"cursor":${cursor}}\n\n`);
    return this.response.writableNeedDrain ? this.drained() : undefined;
  }

  failed(error: unknown): void {
    this.end(asRelayError(error).code);
  }

  end(code: ErrorCode): void {
    if (this.over) return;
    this.finish();
    this.response.end(`event: error\ndata: ${JSON.stringify(relayError(code).toBody())}\n\n`);
    setTimeout(() => this.response.destroy(), LINGER_MS).unref();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    for (const step of this.steps) step();
  }

  private async drained(): Promise<void> {
    const gone = new AbortController();
    const abort = () => gone.abort();
    if (this.response.destroyed) return;
    this.response.once('close', abort);
    await once(this.response, 'drain', { signal: gone.signal }).catch(() => undefined);
    this.response.off('close', abort);
  }
}
