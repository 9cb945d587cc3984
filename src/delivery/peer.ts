import type { Socket } from 'socket.io';
import { relayError, type ErrorCode } from '../errors.js';
import type { Message } from '../messaging/message.js';
import type { DeviceLabel } from '../sessions/device.kind.js';
import type { Session } from '../sessions/session.js';
import type { Follower } from './follower.js';

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

/** One Socket.IO connection: who it is, and how full its pipe is. */
export class Peer {
  session: Session | undefined;
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
  private held: string[] | undefined;
  private heldBytes = 0;
  /** How many snapshots are under way. */
  private holders = 0;
  /** Of the snapshot's frames that are going out: a large one is not what makes a client slow. */
  private snapshotBytes = 0;
  private lagging = false;
  private asked = 0;

  constructor(
    readonly socket: Socket,
    readonly address: string,
    private readonly maxBufferedBytes: number,
  ) {
    this.answerAcksDirectly();
  }

  /**
   * Answers acks as ready-made frames too. Socket.IO asks its socket for the function that answers packet `id`; ours skips
   * the encoder, which for an ack costs as much as the ack.
   */
  private answerAcksDirectly(): void {
    const answer = (id: number) => (reply: unknown) => this.write(`3${id}[${JSON.stringify(reply)}]`);
    Object.defineProperty(this.socket, 'ack', { value: answer });
  }

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
    return this.socket.id;
  }

  get byHandshake(): boolean {
    return this.tokenDeviceId !== undefined;
  }

  /** Whether it gets the events of wire.md, section B: one that follows by cursor gets states as changes. */
  get isLive(): boolean {
    return this.label !== undefined && this.follower === undefined;
  }

  /** Sends an event encoded by `encode`. To a client that is too slow: no more, until it has connected again. */
  send(frame: string): void {
    if (this.lagging) return;
    if (this.held !== undefined) {
      this.held.push(frame);
      this.heldBytes += frame.length;
    } else {
      writeFrame(this.socket.conn, frame);
    }
    this.keepBounded();
  }

  /** Too slow to be served: what it still sends goes unanswered, and is to be sent again once it has come back. */
  get isLagging(): boolean {
    return this.lagging;
  }

  /** To be called after whatever else was written: a client that asks without reading its answers is slow too. */
  keepBounded(): void {
    const waiting = this.bufferedBytes() + this.heldBytes - this.snapshotBytes;
    if (!this.lagging && waiting > this.maxBufferedBytes) this.lag();
  }

  /** Sends whatever the pipe holds already: for who asks `hasRoom` first. */
  write(frame: string): void {
    writeFrame(this.socket.conn, frame);
  }

  emit(event: string, payload: unknown): void {
    this.send(encode(event, payload));
  }

  /** Sends an event that asks for an acknowledgement; answers its id. Existing phones never acknowledge. */
  ask(event: string, payload: unknown, answered: (reply?: { ok?: boolean }) => void): number {
    const id = ++this.asked;
    // Where Socket.IO looks when an acknowledgement comes; nothing else here asks for any, so the ids are ours.
    (this.socket as unknown as Asking).acks.set(id, answered);
    this.send(encode(event, payload, id));
    return id;
  }

  /** The acknowledgement is not waited for any more. */
  unask(id: number): void {
    (this.socket as unknown as Asking).acks.delete(id);
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
  async sendNow(frame: string): Promise<void> {
    if (this.lagging || !this.socket.connected) return;
    this.snapshotBytes += frame.length;
    this.socket.conn.write(frame);
    const timer = setTimeout(() => this.cutOff(), PATIENCE_MS).unref();
    await this.room();
    clearTimeout(timer);
    this.snapshotBytes -= frame.length;
  }

  /** Whether more can be written now. */
  hasRoom(): boolean {
    return this.bufferedBytes() < this.maxBufferedBytes / 4;
  }

  /** Resolves when more can be written, or the connection is gone. */
  async room(): Promise<void> {
    const { conn } = this.socket;
    while (!this.hasRoom() && conn.readyState === 'open')
      await new Promise<void>((resolve) => {
        const done = () => {
          conn.off('drain', done);
          conn.off('close', done);
          resolve();
        };
        conn.once('drain', done);
        conn.once('close', done);
        // Engine.IO's drain means that its transport took everything; this, that the network did.
        internals(conn).transport.socket?._socket.write('', done);
      });
  }

  /** Tells why and ends the connection for good: the client does not come back by itself. */
  end(code: ErrorCode): void {
    this.fail(code);
    this.socket.disconnect(true);
  }

  /** Tells why and ends the connection so that the client connects again by itself. */
  interrupt(code: ErrorCode): void {
    this.fail(code);
    this.socket.conn.close();
  }

  /** The rest of the buffer goes out, then the client is told to resume: memory stays where it is. */
  private lag(): void {
    this.lagging = true;
    this.held &&= [];
    const { conn } = this.socket;
    conn.write(encode('error', relayError('resume_required').toBody()));
    conn.close();
  }

  /** For one that says it is there and reads nothing: no goodbye would arrive, and what it was sent has to go. */
  private cutOff(): void {
    this.lag();
    internals(this.socket.conn).transport.socket?._socket.destroy();
  }

  private bufferedBytes(): number {
    const { writeBuffer, transport } = internals(this.socket.conn);
    let bytes = transport.socket?.bufferedAmount ?? 0;
    for (const { data } of writeBuffer) bytes += data?.length ?? 0;
    return bytes;
  }
}

/** What of a Socket.IO socket has no public name. */
interface Asking {
  acks: Map<number, (reply?: { ok?: boolean }) => void>;
}

/** What of an Engine.IO connection has no public name: what its transport has not taken yet, and its WebSocket. */
interface Internals {
  writeBuffer: { data?: string | Buffer }[];
  transport: { name: string; writable: boolean; socket?: WebSocketLike };
}

interface TcpLike {
  writableCorked: number;
  cork(): void;
  uncork(): void;
  write(data: string, done: () => void): void;
  destroy(): void;
}

interface WebSocketLike {
  bufferedAmount: number;
  send(data: string): void;
  _socket: TcpLike;
}

function internals(conn: Socket['conn']): Internals {
  return conn as unknown as Internals;
}

/** What an idle pipe takes at once; more goes through Engine.IO, which tells when it has drained. */
const SMALL_BYTES = 16_384;
/** Engine.IO protocol v4: a message packet. */
const MESSAGE = '4';

/**
 * Writes a ready-made Socket.IO packet. Small ones go to an idle WebSocket directly, all of one turn of the event loop in
 * one system call: Engine.IO would make one of each, and Socket.IO's encoder the same text again for each socket.
 */
function writeFrame(conn: Socket['conn'], frame: string): void {
  const { writeBuffer, transport } = internals(conn);
  const websocket = transport.name === 'websocket' && transport.writable ? transport.socket : undefined;
  const idle = websocket !== undefined && writeBuffer.length === 0 && websocket.bufferedAmount < SMALL_BYTES;
  if (!idle || conn.readyState !== 'open' || frame.length > SMALL_BYTES) {
    conn.write(frame);
    return;
  }
  const { _socket: tcp } = websocket;
  if (tcp.writableCorked === 0) {
    tcp.cork();
    process.nextTick(() => tcp.uncork());
  }
  websocket.send(MESSAGE + frame);
}

/**
 * A Socket.IO EVENT packet of the default namespace (socket.io-protocol v5: type 2, the id of the acknowledgement that is
 * asked for, then the JSON array).
 */
export function encode(event: string, payload?: unknown, id: number | '' = ''): string {
  return payload === undefined ? `2${id}["${event}"]` : `2${id}["${event}",${JSON.stringify(payload)}]`;
}

/** The same, of JSON text. */
export function encodeText(event: string, text: string): string {
  return `2["${event}",${text}]`;
}
