import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

// Clients that do what no library lets one do: bytes as they are, over a plain TCP connection.

const PATIENCE_MS = 15_000;

export interface RawReply {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Writes bytes and resolves with all that comes back until the server closes, or until `enough` says so. */
export function exchange(url: string, bytes: string | Buffer, enough?: (text: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    const chunks: Buffer[] = [];
    const text = () => Buffer.concat(chunks).toString('latin1');
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`No whole answer to ${JSON.stringify(String(bytes).slice(0, 200))}: ${text().slice(0, 200)}`));
    }, PATIENCE_MS);
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (enough?.(text())) socket.destroy();
    });
    // A server that refuses half a request may reset the connection; what it said before counts.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text());
    });
    socket.write(bytes);
  });
}

/** Sends something, whole or not, and goes away without listening. */
export function abandon(url: string, bytes: string | Buffer): Promise<void> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.write(bytes, () => socket.destroy());
  });
}

/** Sends something and breaks the connection, at once or when the first of an answer is there. */
export function reset(url: string, bytes: string | Buffer, when: 'sent' | 'answered' = 'sent'): Promise<void> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    const leave = () => socket.resetAndDestroy();
    if (when === 'answered') socket.once('data', leave);
    socket.write(bytes, when === 'sent' ? leave : undefined);
  });
}

/** The replies in what a connection answered; `methods` tells which are to HEAD and so have no body. */
export function repliesIn(text: string, methods: string[] = []): RawReply[] {
  const replies: RawReply[] = [];
  let rest = text;
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) break;
    const [first = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    rest = rest.slice(end + 4);
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]);
    const bare = methods[replies.length] === 'HEAD' || status < 200 || status === 204 || status === 304;
    let body = '';
    if (bare) body = '';
    else if (headers['content-length'] !== undefined) {
      body = rest.slice(0, Number(headers['content-length']));
      rest = rest.slice(body.length);
    } else if (headers['transfer-encoding'] === 'chunked') {
      for (;;) {
        const line = rest.indexOf('\r\n');
        const size = parseInt(rest.slice(0, line), 16);
        if (line === -1 || !(size > 0)) break;
        body += rest.slice(line + 2, line + 2 + size);
        rest = rest.slice(line + 2 + size + 2);
      }
      rest = rest.slice(rest.indexOf('\r\n\r\n') === -1 ? rest.length : rest.indexOf('\r\n\r\n') + 4);
    } else {
      body = rest;
      rest = '';
    }
    replies.push({ status, headers, body: Buffer.from(body, 'latin1').toString('utf8') });
  }
  return replies;
}

export interface RawRequest {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** A request as bytes, ending its connection; what `headers` say stands, right or wrong. */
export function requestBytes({ method = 'GET', path, headers = {}, body }: RawRequest): Buffer {
  const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
  const all = { Host: '127.0.0.1', Connection: 'close', ...length, ...headers };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n`, 'latin1'),
    Buffer.from(body ?? ''),
  ]);
}

export async function request(url: string, wanted: RawRequest): Promise<RawReply | undefined> {
  return repliesIn(await exchange(url, requestBytes(wanted)), [wanted.method ?? 'GET'])[0];
}

export interface Frame {
  data: string | Buffer;
  /** RFC 6455, section 5.2. */
  opcode?: number;
  final?: boolean;
  /** The three reserved bits. */
  reserved?: number;
  masked?: boolean;
  /** What the header says, if not the truth. */
  length?: number;
}

/** A WebSocket connection that can break every rule of RFC 6455. */
export class RawWebSocket {
  readonly messages: string[] = [];
  closed = false;
  /** What the server said of its end (RFC 6455, section 5.5.1). */
  closeCode: number | undefined;
  private buffer = Buffer.alloc(0);
  private readonly watchers = new Set<() => void>();

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk) => this.read(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      this.tell();
    });
  }

  /** `path` with its query; undefined when the server does not upgrade. */
  static async open(url: string, path = '/socket.io/?EIO=4&transport=websocket'): Promise<RawWebSocket | undefined> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    const key = randomBytes(16).toString('base64');
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    return new Promise((resolve, reject) => {
      let head = Buffer.alloc(0);
      const timer = setTimeout(() => reject(new Error(`No answer to an upgrade of ${path}`)), PATIENCE_MS);
      const gone = () => (clearTimeout(timer), resolve(undefined));
      const listen = (chunk: Buffer) => {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end === -1) return;
        clearTimeout(timer);
        socket.off('data', listen);
        socket.off('close', gone);
        const upgraded = head.includes(accept);
        if (!upgraded) {
          socket.destroy();
          resolve(undefined);
          return;
        }
        const opened = new RawWebSocket(socket);
        opened.read(head.subarray(end + 4));
        resolve(opened);
      };
      socket.on('data', listen);
      socket.on('error', () => undefined);
      socket.on('close', gone);
    });
  }

  send(frame: string | Buffer | Frame): void {
    if (this.closed) return;
    const wanted: Frame = typeof frame === 'string' || Buffer.isBuffer(frame) ? { data: frame } : frame;
    this.socket.write(frameBytes(wanted));
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** Resolves with the first message from `from` on that fits; undefined when the connection ends without one. */
  next(fits: (message: string) => boolean, from = 0): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.watchers.delete(look);
        reject(new Error(`Nothing that fits came; last: ${this.messages.slice(-5).join(' ').slice(0, 500)}`));
      }, PATIENCE_MS);
      const look = () => {
        const found = this.messages.slice(from).find(fits);
        if (found === undefined && !this.closed) return;
        clearTimeout(timer);
        this.watchers.delete(look);
        resolve(found);
      };
      this.watchers.add(look);
      look();
    });
  }

  /** Reads no more: what the server sends stays with it. */
  pause(): void {
    this.socket.pause();
  }
  resume(): void {
    this.socket.resume();
  }

  close(): void {
    this.socket.destroy();
  }

  private tell(): void {
    for (const watcher of [...this.watchers]) watcher();
  }

  private read(chunk: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, chunk]);
    for (;;) {
      if (this.buffer.length < 2) return;
      const opcode = this.buffer[0]! & 15;
      let length = this.buffer[1]! & 127;
      let start = 2;
      if (length === 126) {
        if (this.buffer.length < 4) return;
        length = this.buffer.readUInt16BE(2);
        start = 4;
      } else if (length === 127) {
        if (this.buffer.length < 10) return;
        length = Number(this.buffer.readBigUInt64BE(2));
        start = 10;
      }
      if (this.buffer.length < start + length) return;
      const data = this.buffer.subarray(start, start + length);
      this.buffer = this.buffer.subarray(start + length);
      if (opcode === 1) this.heard(data.toString('utf8'));
      else if (opcode === 8) {
        this.closeCode = data.length >= 2 ? data.readUInt16BE(0) : undefined;
        this.socket.end();
      }
    }
  }

  private heard(message: string): void {
    this.messages.push(message);
    // Engine.IO asks whether we are alive.
    if (message === '2') this.send('3');
    this.tell();
  }
}

export function frameBytes({ data, opcode, final = true, reserved = 0, masked = true, length }: Frame): Buffer {
  const body = Buffer.from(data);
  const size = length ?? body.length;
  const kind = opcode ?? (typeof data === 'string' ? 1 : 2);
  const head = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10);
  head[0] = (final ? 128 : 0) | (reserved << 4) | kind;
  head[1] = (masked ? 128 : 0) | (size < 126 ? size : size < 65_536 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(size, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(size), 2);
  if (!masked) return Buffer.concat([head, body]);
  const mask = randomBytes(4);
  for (let i = 0; i < body.length; i++) body[i]! ^= mask[i & 3]!;
  return Buffer.concat([head, mask, body]);
}
