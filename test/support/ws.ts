import { WebSocket, type ClientOptions } from 'ws';
import { Client, Received, type Ack } from './clients.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- what comes over the wire is what a test is about to check */

const PATIENCE_MS = 15_000;

export interface WsOptions extends ClientOptions {
  /** Of the address. */
  query?: Record<string, string>;
}

/** A client of `/ws`: messages `{type,data,id?}` over a plain WebSocket. Its end is noted as `disconnect` `{code,reason}`. */
export class WsClient extends Received {
  readonly socket: WebSocket;
  private readonly waiting = new Map<string, (reply: Ack) => void>();
  private readonly answers = new Map<string, unknown>();
  private sent = 0;
  /** All messages of both sides, as they were. */
  readonly frames: { from: 'client' | 'server'; frame: unknown }[] = [];

  constructor(url: string, { query, ...options }: WsOptions = {}) {
    super();
    const address = `${url.replace('http', 'ws')}/ws${query ? `?${new URLSearchParams(query)}` : ''}`;
    this.socket = new WebSocket(address, options);
    // One for each event that is not acknowledged yet.
    this.socket.setMaxListeners(0);
    this.socket.on('open', () => this.note('connect', {}));
    this.socket.on('error', (error) => this.note('connect_error', error));
    this.socket.on('close', (code, reason) => this.note('disconnect', { code, reason: reason.toString() }));
    this.socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString());
      this.frames.push({ from: 'server', frame });
      this.hear(frame);
    });
  }

  private hear({ type, data, id }: { type: string; data: any; id?: any }): void {
    if (type === 'ack') {
      this.waiting.get(id)?.(data as Ack);
      this.waiting.delete(id);
      return;
    }
    if (id !== undefined && this.answers.has(type)) this.write({ type: 'ack', id, data: this.answers.get(type) });
    this.note(type, data);
  }

  /** Sends any JSON, or text or bytes as they are. */
  write(message: unknown): void {
    this.frames.push({ from: 'client', frame: message });
    this.socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  /** Without asking for an acknowledgement. */
  emit(type: string, data?: unknown): void {
    this.write({ type, data });
  }

  /** Resolves with the ack; rejects when the connection ends without one. */
  send(type: string, data: unknown = {}): Promise<Ack> {
    const id = `c${++this.sent}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${type} was never acknowledged`)), PATIENCE_MS);
      const gone = () => (
        clearTimeout(timer),
        reject(new Error(`The connection ended before ${type} was acknowledged`))
      );
      this.socket.once('close', gone);
      this.waiting.set(id, (reply) => {
        clearTimeout(timer);
        this.socket.off('close', gone);
        resolve(reply);
      });
      this.write({ type, data, id });
    });
  }

  /** From now on events of this type are acknowledged so. */
  answer(type: string, reply: unknown): void {
    this.answers.set(type, reply);
  }

  connected(): Promise<unknown> {
    return this.next('connect');
  }

  /** Resolves with how it ended. */
  ended(): Promise<{ code: number; reason: string }> {
    return this.next('disconnect');
  }

  /** As `Client.settled`. */
  async settled(): Promise<void> {
    await this.send('no-such-event');
  }

  close(): void {
    this.socket.close();
  }
}

/** What a client of either transport can do. */
export interface AnyClient extends Received {
  send(event: string, payload?: unknown): Promise<Ack>;
  emit(event: string, payload?: unknown): void;
  answer(event: string, reply: unknown): void;
  connected(): Promise<unknown>;
  settled(): Promise<void>;
  close(): void;
}

export interface Introduction {
  token?: string;
  after?: number;
  deviceInfo?: object;
}

/** A way to the events. */
export interface Transport {
  name: string;
  open(url: string, said?: Introduction): AnyClient;
}

class SocketIoClient extends Client implements AnyClient {
  emit(event: string, payload: unknown = {}): void {
    this.socket.emit(event, payload);
  }

  answer(event: string, reply: unknown): void {
    this.socket.on(event, (_payload: unknown, ack: (reply: unknown) => void) => ack(reply));
  }
}

export const transports: Transport[] = [
  {
    name: 'Socket.IO',
    open: (url, { token, after, deviceInfo } = {}) =>
      new SocketIoClient(url, {
        auth: { token, after },
        query: deviceInfo ? { deviceInfo: JSON.stringify(deviceInfo) } : {},
      }),
  },
  {
    name: '/ws',
    open: (url, { token, after, deviceInfo } = {}) =>
      new WsClient(url, {
        query: {
          ...(token === undefined ? {} : { token }),
          ...(after === undefined ? {} : { after: String(after) }),
          ...(deviceInfo === undefined ? {} : { deviceInfo: JSON.stringify(deviceInfo) }),
        },
      }),
  },
];
