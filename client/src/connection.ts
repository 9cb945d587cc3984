import type { ErrorBody, ServerToClient } from '@pairline/protocol';
import type { Socket } from 'socket.io-client';
import { isErrorBody } from './http.js';
import { loadPart } from './part.js';
import { ClientError } from './types.js';
import { backoff, pause } from './waiting.js';

const ANSWER_MS = 30_000;
/** A connection that lasted this long was a good one: the next attempt comes soon. */
const GOOD_MS = 10_000;
/** How often a fault of the server is put up with. */
const FAULTS = 5;

/** There is no session any more, or none to be had: trying again does not help. */
const FINAL = new Set([
  'authentication_failed',
  'session_expired',
  'device_revoked',
  'device_token_required',
  'registration_closed',
  'invite_required',
]);
/** What passes. */
const PASSING = new Set([
  'offline',
  'timeout',
  'busy',
  'unavailable',
  'stopping',
  'rate_limited',
  'resume_required',
  'not_authenticated',
  // What table sync says of a session that is over: the connection hears of it too, and ends.
  'token_expired',
  'device_not_registered',
  'internal',
]);

export type Phase =
  | { phase: 'signed-out'; reason: string }
  | { phase: 'connecting' | 'syncing' | 'live' }
  | { phase: 'offline'; retryAt?: number; reason?: string };

export interface Line {
  /** Before the socket: catches up. `signal` is aborted when nobody wants the answer any more. */
  prepare(signal: AbortSignal): Promise<{ token?: string; after: number; inviteToken?: string }>;
  /** On the socket, before it counts as live. */
  greet(): Promise<void>;
  listeners: Partial<ServerToClient>;
  phase(phase: Phase): void;
}

/** One connection to the server, kept up: each loss is followed by another attempt, after a random wait that grows. */
export class Connection {
  private socket: Socket | undefined;
  private live = false;
  private reason = 'offline';
  private closing = new AbortController();
  private wake: AbortController | undefined;
  /** Whether somebody has asked for another attempt since the last one began. */
  private hurried = false;
  private lose: ((error: ClientError) => void) | undefined;
  private running: Promise<void> | undefined;
  private readonly waiting = new Set<{ resolve: () => void; reject: (error: Error) => void }>();

  constructor(
    private readonly url: string,
    private readonly line: Line,
  ) {}

  start(): void {
    if (this.running !== undefined) return this.retry();
    this.closing = new AbortController();
    this.running = this.run(this.closing.signal).finally(() => (this.running = undefined));
  }

  /** Tries at once. An attempt that is under way may have begun too early: when it fails, the next one does not wait. */
  retry(): void {
    if (this.running === undefined) return this.start();
    this.hurried = !this.live;
    this.wake?.abort();
  }

  /** Drops what is there and begins anew, at once. */
  restart(): void {
    this.lose?.(new ClientError('restart', 'Connecting anew'));
    this.retry();
  }

  /** What came over this connection could not be dealt with. */
  fail(error: unknown): void {
    this.lose?.(asClientError(error));
  }

  async stop(): Promise<void> {
    this.closing.abort();
    this.wake?.abort();
    this.lose?.(new ClientError('offline', 'Closed'));
    await this.running;
  }

  get isLive(): boolean {
    return this.live;
  }

  /** Resolves when the connection is live; rejects when there will be none. */
  ready(): Promise<void> {
    if (this.live) return Promise.resolve();
    if (this.running === undefined || this.closing.signal.aborted) return Promise.reject(new ClientError(this.reason, 'There is no connection')); // prettier-ignore
    return new Promise((resolve, reject) => this.waiting.add({ resolve, reject }));
  }

  /** Emits once; resolves with the acknowledgement. Rejects with a `ClientError`: `offline` and `timeout` are ambiguous. */
  async request<Reply = object>(event: string, payload: unknown): Promise<Reply> {
    const { socket } = this;
    if (socket?.connected !== true) throw new ClientError('offline', 'There is no connection');
    let answer: ({ ok: true } & Reply) | ({ ok: false } & ErrorBody);
    try {
      answer = (await socket.timeout(ANSWER_MS).emitWithAck(event, payload)) as typeof answer;
    } catch {
      throw new ClientError(socket.connected ? 'timeout' : 'offline', 'The server did not answer');
    }
    if (answer.ok) return answer;
    throw new ClientError(answer.code, answer.message, answer.retryAfter);
  }

  /**
   * Emits until it is answered, over as many connections as it takes; rejects with the server's refusal. The payload is
   * made anew for each try: by then it may have to be sealed with another key.
   */
  async deliver<Reply = object>(event: string, payload: () => Promise<unknown>): Promise<Reply> {
    for (let attempt = 0, faults = 0; ; attempt++) {
      await this.ready();
      try {
        return await this.request<Reply>(event, await payload());
      } catch (error) {
        if (!isPassing(error) || (error.code === 'internal' && ++faults === FAULTS)) throw error;
        if (error.code !== 'offline' || this.live) await pause(waitAfter(error, attempt), this.closing.signal);
      }
    }
  }

  private async run(closing: AbortSignal): Promise<void> {
    for (let attempt = 0; !closing.aborted;) {
      this.hurried = false;
      this.line.phase({ phase: 'connecting' });
      const began = Date.now();
      const error = await this.session(closing);
      if (closing.aborted) break;
      if (error.code === 'restart' || error.code === 'cursor_expired') continue;
      if (FINAL.has(error.code)) return this.end(error.code, { phase: 'signed-out', reason: error.code });
      // A newer connection of this phone is in use.
      if (error.code === 'replaced') return this.end(error.code, { phase: 'offline', reason: error.code });
      if (Date.now() - began > GOOD_MS) attempt = 0;
      await this.rest(error, attempt++);
    }
    this.end('offline');
  }

  private async rest(error: ClientError, attempt: number): Promise<void> {
    const wait = this.hurried ? 0 : waitAfter(error, attempt);
    const reason = PASSING.has(error.code) ? {} : { reason: error.code };
    this.wake = new AbortController();
    this.line.phase({ phase: 'offline', retryAt: Date.now() + wait, ...reason });
    await pause(wait, this.wake.signal);
    this.wake = undefined;
  }

  /** One connection from its beginning to its end; answers what ended it. */
  private async session(closing: AbortSignal): Promise<ClientError> {
    const over = new AbortController();
    const lost = new Promise<never>((_, reject) => {
      this.lose = (error) => {
        over.abort();
        reject(error);
      };
    });
    lost.catch(() => undefined);
    if (closing.aborted) this.lose!(new ClientError('offline', 'Closed'));
    try {
      await Promise.race([lost, this.serve(over.signal)]);
      return await lost;
    } catch (error) {
      return asClientError(error);
    } finally {
      this.lose = undefined;
      this.live = false;
      over.abort();
      this.socket?.disconnect();
      this.socket = undefined;
    }
  }

  private async serve(over: AbortSignal): Promise<void> {
    const auth = await this.line.prepare(over);
    // Not before it is needed: a page shows what is stored first.
    const { io } = await loadPart(() => import('socket.io-client'));
    if (over.aborted) return;
    const socket: Socket = io(new URL(this.url).origin, {
      transports: ['websocket'],
      reconnection: false,
      forceNew: true,
      auth,
    });
    this.socket = socket;
    for (const [event, listener] of Object.entries(this.line.listeners)) socket.on(event, listener);
    socket.on('error', ({ code, message, retryAfter }: ErrorBody) => this.lose?.(new ClientError(code, message, retryAfter))); // prettier-ignore
    const broke = () => this.lose?.(new ClientError('offline', 'The connection broke'));
    socket.on('disconnect', broke);
    // A WebSocket that closes before the first word is heard of here alone; the rest would wait for its timeout.
    socket.io.engine.on('close', broke);
    socket.on('connect_error', (error: Error & { data?: unknown }) => {
      const { data } = error;
      const { code, message, retryAfter } = isErrorBody(data) ? data : { code: 'offline', message: error.message, retryAfter: undefined }; // prettier-ignore
      this.lose?.(new ClientError(code, message, retryAfter));
    });
    await new Promise<void>((resolve) => socket.on('connect', resolve));
    await this.line.greet();
    if (over.aborted) return;
    this.live = true;
    this.line.phase({ phase: 'live' });
    for (const { resolve } of this.waiting) resolve();
    this.waiting.clear();
  }

  private end(reason: string, phase?: Phase): void {
    this.reason = reason;
    if (phase !== undefined) this.line.phase(phase);
    for (const { reject } of this.waiting) reject(new ClientError(reason, 'There is no connection'));
    this.waiting.clear();
  }
}

export function isPassing(error: unknown): error is ClientError {
  return error instanceof ClientError && PASSING.has(error.code);
}

/** What fails besides is the store, full or out of reach, as a rule. */
export function asClientError(error: unknown): ClientError {
  return error instanceof ClientError ? error : new ClientError('failed', String(error));
}

export function waitAfter({ retryAfter }: ClientError, attempt: number): number {
  return (retryAfter ?? 0) * 1000 + backoff(attempt);
}
