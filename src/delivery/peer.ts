import { relayError, type ErrorCode } from '../errors.js';
import type { Message } from '../messaging/message.js';
import type { DeviceLabel } from '../sessions/device.kind.js';
import type { Session } from '../sessions/session.js';
import type { Follower } from './follower.js';
import { encode, type Frame } from './frame.js';
import type { Transport } from './transport.js';

/** More than any phone has in hand at once. */
const OFFERED = 10_000;
/** Who answers heartbeats has long taken a frame by then, or heard of its end. */
const PATIENCE_MS = 60_000;

/** Grows with what is offered, and forgets the oldest: most connections are never offered anything. */
class Offered extends Map<string, number> {
  override set(id: string, asked: number): this {
    super.set(id, asked);
    if (this.size > OFFERED) this.delete(this.keys().next().value!);
    return this;
  }
}

/** One connection, by whatever transport: who it is, what it waits for, and what it may be sent. */
export class Peer {
  session: Session | undefined;
  /** ms since 1970 */
  signedInAt = 0;
  /** Set for one that signed in by its handshake: the device that its token was given to. */
  tokenDeviceId: string | undefined;
  /** Set for a browser of wire.md, section B, which signed in by its handshake: how others know it. */
  label: DeviceLabel | undefined;
  /** The account's changes, for a client that follows by cursor; others get the events of wire.md, section A. */
  follower: Follower | undefined;
  /** Whether this connection has had its snapshot, and its phone been asked for a sync. */
  greeted = false;
  /** What has to be done before the next event of this connection is looked at. */
  before: Promise<unknown> | undefined;
  /** Bytes of the frame that is being handled. */
  frameBytes = 0;
  /** Bytes of the frames that wait for `before`. */
  parkedBytes = 0;
  /**
   * Messages offered to a phone on this connection, each with its acknowledgement: none is offered twice on it, unless it
   * failed in between.
   */
  readonly offered = new Offered();
  /** While a phone is sent what waited for it: what is written meanwhile, to come after it. */
  afterBacklog: Message[] | undefined;
  /** Set while a snapshot goes out: what happens meanwhile comes after it. */
  private held: Frame[] | undefined;
  private heldBytes = 0;
  /** How many snapshots are under way. */
  private holders = 0;
  /** Of the pages that are going out: a large one is not what makes a client slow. */
  private pageBytes = 0;
  private lagging = false;
  private asked = 0;

  constructor(
    readonly transport: Transport,
    readonly address: string,
    private readonly maxBufferedBytes: number,
  ) {}

  /** What is sent next waits for this. */
  holdUntil(work: Promise<unknown>): void {
    const done = work.then(
      () => undefined,
      () => undefined,
    );
    this.before = done;
    void done.then(() => {
      if (this.before === done) this.before = undefined;
    });
  }

  get id(): string {
    return this.transport.id;
  }

  /** False as soon as its end has begun. */
  get isOpen(): boolean {
    return this.transport.isOpen;
  }

  get byHandshake(): boolean {
    return this.tokenDeviceId !== undefined;
  }

  /** Whether it gets the events of wire.md, section B: one that follows by cursor gets states as changes. */
  get isLive(): boolean {
    return this.label !== undefined && this.follower === undefined;
  }

  /** Sends an event encoded by `encode`. To a client that is too slow: no more, until it has connected again. */
  send(frame: Frame): void {
    if (this.lagging) return;
    if (this.held !== undefined) {
      this.held.push(frame);
      this.heldBytes += frame.length;
    } else {
      this.transport.write(frame);
    }
    this.keepBounded();
  }

  /** Too slow to be served: what it still sends goes unanswered, and is to be sent again once it has come back. */
  get isLagging(): boolean {
    return this.lagging;
  }

  /** To be called after whatever else was written: a client that asks without reading its answers is slow too. */
  keepBounded(): void {
    const waiting = this.transport.bufferedBytes + this.heldBytes - this.pageBytes;
    if (!this.lagging && waiting > this.maxBufferedBytes) this.lag();
  }

  /** Sends a page, whatever the pipe holds already: for who asks `hasRoom` first. Resolves when there is room for more. */
  write(frame: Frame): void | Promise<void> {
    this.transport.write(frame);
    return this.hasRoom() ? undefined : this.pageGone(frame);
  }

  emit(event: string, payload: unknown): void {
    this.send(encode(event, payload));
  }

  /** Sends an event that asks for an acknowledgement; answers its id. Existing phones never acknowledge. */
  ask(event: string, payload: unknown, answered: (reply?: { ok?: boolean }) => void): number {
    const id = ++this.asked;
    this.transport.asked.set(id, answered);
    this.send(encode(event, payload, id));
    return id;
  }

  /** The acknowledgement is not waited for any more. */
  unask(id: number): void {
    this.transport.asked.delete(id);
  }

  fail(code: ErrorCode): void {
    this.emit('error', relayError(code).toBody());
  }

  /** Keeps events back while `work` sends a snapshot by `sendNow`, then lets them go in order. */
  async whileHeld(work: () => Promise<void>): Promise<void> {
    this.held ??= [];
    this.holders++;
    try {
      await work();
    } finally {
      this.holders--;
      if (this.holders === 0) this.release();
    }
  }

  private release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    this.heldBytes = 0;
    for (const frame of held) this.send(frame);
  }

  /** Past the line of those held; resolves when the pipe has room. Who never takes it is cut off. */
  async sendNow(frame: Frame): Promise<void> {
    if (this.lagging || !this.isOpen) return;
    this.transport.write(frame);
    const timer = setTimeout(() => this.cutOff(), PATIENCE_MS).unref();
    await this.pageGone(frame);
    clearTimeout(timer);
  }

  private async pageGone(page: Frame): Promise<void> {
    this.pageBytes += page.length;
    await this.room();
    this.pageBytes -= page.length;
  }

  /** Whether more can be written now. */
  hasRoom(): boolean {
    return this.transport.bufferedBytes < this.maxBufferedBytes / 4;
  }

  /** Resolves when more can be written, or the connection is gone. */
  async room(): Promise<void> {
    while (!this.hasRoom() && this.isOpen) await this.transport.drained();
  }

  /** Tells why and ends the connection for good: the client does not come back by itself. */
  end(code: ErrorCode): void {
    this.fail(code);
    this.transport.end(code);
  }

  /** Tells why and ends the connection so that the client connects again by itself. */
  interrupt(code: ErrorCode): void {
    this.fail(code);
    this.transport.recall(code);
  }

  /** The rest of the buffer goes out, then the client is told to resume: memory stays where it is. */
  private lag(): void {
    this.lagging = true;
    this.held &&= [];
    this.transport.write(encode('error', relayError('resume_required').toBody()));
    this.transport.recall('resume_required');
  }

  /** For one that says it is there and reads nothing: no goodbye would arrive, and what it was sent has to go. */
  private cutOff(): void {
    this.lag();
    this.transport.destroy();
  }
}
