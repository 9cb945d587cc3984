import { randomUUID } from 'node:crypto';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { Watched } from './watched.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- what comes over the wire is what a test is about to check */

// Real clients, as existing ones are: socket.io-client over WebSocket, and fetch.

export interface Ack {
  ok: boolean;
  code?: string;
  [field: string]: unknown;
}

/** Keeps all that a client was sent, so that a test can wait for an event without missing it. */
export class Received extends Watched {
  readonly received: { event: string; payload: any }[] = [];

  protected note(event: string, payload: unknown): void {
    this.received.push({ event, payload });
    this.changed();
  }

  /** All payloads of an event so far. */
  all<T = any>(event: string): T[] {
    return this.received.filter((item) => item.event === event).map((item) => item.payload as T);
  }

  /** Resolves with the payload of the first (or `count`th) such event, past or to come, that fits. */
  async next<T = any>(event: string, fits: (payload: T) => boolean = () => true, count = 1): Promise<T> {
    return this.until(() => {
      const found = this.all<T>(event).filter(fits);
      return found[count - 1];
    }, `${event} (${count})`);
  }

  protected story(): string {
    return `Last events: ${this.received.slice(-20).map((item) => item.event).join(', ')}`; // prettier-ignore
  }

  forget(): void {
    this.received.length = 0;
  }
}

/** A Socket.IO client. */
export class Client extends Received {
  readonly socket: Socket;

  constructor(url: string, options: Partial<ManagerOptions & SocketOptions> = {}) {
    super();
    this.socket = io(url, { transports: ['websocket'], reconnection: false, forceNew: true, ...options });
    this.socket.onAny((event: string, payload: unknown) => this.note(event, payload));
    this.socket.on('disconnect', (reason) => this.note('disconnect', reason));
    this.socket.on('connect_error', (error) => this.note('connect_error', error));
    this.socket.on('connect', () => this.note('connect', {}));
  }

  /** Emits and resolves with the ack. */
  send(event: string, payload: unknown = {}): Promise<Ack> {
    return this.socket.timeout(15_000).emitWithAck(event, payload) as Promise<Ack>;
  }

  connected(): Promise<unknown> {
    return this.next('connect');
  }

  /**
   * Resolves when the server has handled all that this client sent before, and the client has all that the server had
   * to say until then.
   */
  async settled(): Promise<void> {
    await this.send('no-such-event');
  }

  close(): void {
    this.socket.disconnect();
  }
}

export interface PhoneClient extends Client {
  deviceId: string;
  deviceToken: string;
}

/** A phone that has registered; a new one when `deviceToken` is not given. */
export async function phone(
  url: string,
  { deviceId = `phone-${randomUUID()}`, deviceToken }: { deviceId?: string; deviceToken?: string } = {},
): Promise<PhoneClient> {
  const client = new Client(url) as PhoneClient;
  const ack = await client.send('mobile:register', {
    deviceId,
    deviceName: 'Test phone',
    deviceModel: 'T1',
    deviceToken,
  });
  if (!ack.ok) throw new Error(`mobile:register: ${String(ack.code)}`);
  client.deviceId = deviceId;
  client.deviceToken = (ack.deviceToken as string | undefined) ?? deviceToken!;
  return client;
}

export interface Reply<T = any> {
  status: number;
  headers: Headers;
  body: T;
}

export async function call<T = any>(
  url: string,
  path: string,
  { token, body, ...init }: Omit<RequestInit, 'body'> & { token?: string; body?: unknown } = {},
): Promise<Reply<T>> {
  const response = await fetch(url + path, {
    ...init,
    method: init.method ?? (body === undefined ? 'GET' : 'POST'),
    headers: {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...(init.headers as Record<string, string>),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  const json = response.headers.get('content-type')?.includes('/json');
  return {
    status: response.status,
    headers: response.headers,
    body: (json && text !== '' ? JSON.parse(text) : text) as T,
  };
}

export interface Qr {
  qrData: string;
  token: string;
  expiresIn: number;
  qrImage: string;
}

export async function generateQr(url: string): Promise<Qr> {
  const { body } = await call<{ data: Qr }>(url, '/api/auth/generate-qr');
  return body.data;
}

export function waitPairing(url: string, token: string, init: { signal?: AbortSignal } = {}): Promise<Reply> {
  return call(url, '/api/auth/wait-pairing', { body: { token }, ...init });
}

/** Lets a new browser in through a phone; resolves with its session token. */
export async function pair(url: string, client: PhoneClient): Promise<string> {
  const qr = await generateQr(url);
  const waiting = waitPairing(url, qr.token);
  const ack = await client.send('mobile:scan-qr', { qrData: qr.qrData, deviceId: client.deviceId });
  if (!ack.ok) throw new Error(`mobile:scan-qr: ${String(ack.code)}`);
  const { body } = await waiting;
  return (body as { data: { sessionToken: string } }).data.sessionToken;
}

/** A browser as existing clients are: it signs in by event. */
export async function browser(url: string, sessionToken: string): Promise<Client> {
  const client = new Client(url);
  const ack = await client.send('web:authenticate', { sessionToken });
  if (!ack.ok) throw new Error(`web:authenticate: ${String(ack.code)}`);
  return client;
}

/** A browser that follows the changes from a cursor. */
export function follower(url: string, token: string, after = 0): Client {
  return new Client(url, { auth: { token, after } });
}

let clock = Date.UTC(2026, 0, 1);

/** A message as a phone tells it, each newer than the last. */
export function message(fields: Partial<Record<string, unknown>> = {}) {
  return {
    id: `m-${randomUUID()}`,
    conversationId: 'thread-1',
    phoneNumber: '+15550100',
    body: 'Hello there',
    timestamp: (clock += 1000),
    type: 'received',
    read: false,
    ...fields,
  };
}
