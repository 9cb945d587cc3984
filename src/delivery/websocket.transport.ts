import { randomUUID } from 'node:crypto';
import type { Socket as TcpSocket } from 'node:net';
import { WebSocket } from 'ws';
import { relayError, type ErrorCode } from '../errors.js';
import { closeCode, POLICY } from './close-codes.js';
import type { Guest } from './doorman.js';
import { framed, type Frame } from './frame.js';
import type { Transport } from './transport.js';

/** One connection of `/ws`: each message is one JSON object `{type,data,id?}`. */
export class WebSocketTransport implements Transport, Guest {
  readonly id = randomUUID();
  readonly guest = this;
  readonly asked: Transport['asked'] = new Map();
  /** Called once its end has begun, and not while anything is being sent. */
  onEnding: () => void = () => undefined;

  constructor(
    private readonly socket: WebSocket,
    private readonly tcp: TcpSocket,
    readonly said: Transport['said'],
  ) {}

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  get bufferedBytes(): number {
    return this.socket.bufferedAmount;
  }

  write(frame: Frame): void {
    this.put(frame.webSocket);
  }

  /** Acknowledges what the client sent with this id. */
  answer(id: string | number, reply: unknown): void {
    this.send(`{"type":"ack","id":${JSON.stringify(id)},"data":${JSON.stringify(reply)}}`);
  }

  /** The client acknowledges what it was sent with this id. */
  acknowledged(id: unknown, reply: unknown): void {
    const answered = this.asked.get(id as number);
    if (answered === undefined) return;
    this.asked.delete(id as number);
    answered(typeof reply === 'object' && reply !== null ? reply : undefined);
  }

  send(text: string): void {
    this.put(framed(text));
  }

  /**
   * All of one turn of the event loop in one system call. Past ws, which would frame the same text again for each connection; nothing is
   * compressed, so ws holds nothing back that would have to go first.
   */
  private put(bytes: Buffer): void {
    if (!this.isOpen) return;
    if (this.tcp.writableCorked === 0) {
      this.tcp.cork();
      process.nextTick(() => this.tcp.uncork());
    }
    this.tcp.write(bytes);
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.socket.off('close', done);
        resolve();
      };
      this.socket.once('close', done);
      this.tcp.write('', done);
    });
  }

  end(code: ErrorCode): void {
    this.close(closeCode(code), relayError(code).message);
  }

  /** A WebSocket has one way to end; the code tells the client what to do next. */
  recall(code: ErrorCode): void {
    this.end(code);
  }

  destroy(): void {
    this.socket.terminate();
  }

  meter(count: (bytes: number) => void): () => void {
    // Off the wire, because a frame is held in memory until it is whole.
    const listen = (chunk: Buffer) => count(chunk.length);
    this.tcp.on('data', listen);
    return () => this.tcp.off('data', listen);
  }

  whenGone(step: () => void): void {
    this.socket.once('close', step);
  }

  showOut(why: string): void {
    this.close(POLICY, why);
    // A WebSocket would wait half a minute for the other side to say goodbye, and read on.
    this.tcp.destroySoon();
  }

  private close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.socket.close(code, reason);
    process.nextTick(() => this.onEnding());
  }
}
