// A Socket.IO client on bare frames: WebSocket (RFC 6455) by hand, Engine.IO 4, Socket.IO 5. It hands out received packets
// as byte ranges and takes frames that are already built, so that it costs a fraction of what the server spends.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

// Every client frame must be masked (RFC 6455, 5.3). One fixed key lets a template be masked once; it is not zero, which
// `ws` would notice and skip the unmasking that it does for a real client.
const MASK = Buffer.from([0x37, 0xa9, 0x5c, 0xe1]);
const OPCODE = { text: 1, close: 8, ping: 9, pong: 10 };

/**
 * A whole masked frame.
 * @param {string | Buffer} payload
 * @param {number} [opcode]
 */
export function frame(payload, opcode = OPCODE.text) {
  const body = Buffer.from(payload);
  const head = header(body.length, opcode);
  for (let i = 0; i < body.length; i++) body[i] ^= MASK[i & 3];
  return Buffer.concat([head, body]);
}

function header(length, opcode) {
  let head;
  if (length < 126) head = Buffer.from([0, 0x80 | length]);
  else if (length < 65_536) {
    head = Buffer.from([0, 0x80 | 126, 0, 0]);
    head.writeUInt16BE(length, 2);
  } else {
    head = Buffer.alloc(10);
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  head[0] = 0x80 | opcode;
  return Buffer.concat([head, MASK]);
}

/**
 * A frame that is the same each time but for some numbers of a fixed width, written as `{{name:width}}`:
 * `new FrameTemplate('42{{ack:9}}["hello",{"n":{{n:4}}}]')`.
 */
export class FrameTemplate {
  /** @param {string} text */
  constructor(text) {
    /** @type {{ name: string, width: number, at: number, key: number }[]} */
    this.slots = [];
    let plain = '';
    let rest = 0;
    for (const match of text.matchAll(/\{\{(\w+):(\d+)\}\}/g)) {
      plain += text.slice(rest, match.index);
      const at = Buffer.byteLength(plain);
      // `key`: where the mask's four bytes stand at the first digit.
      this.slots.push({ name: match[1], width: Number(match[2]), at, key: at & 3 });
      plain += '0'.repeat(Number(match[2]));
      rest = match.index + match[0].length;
    }
    plain += text.slice(rest);
    this.bytes = frame(plain);
    this.length = this.bytes.length;
    for (const slot of this.slots) slot.at += this.length - Buffer.byteLength(plain);
  }

  /**
   * @param {Buffer} out
   * @param {number} at
   * @param {Record<string, number>} values whole numbers of at most the slot's width
   */
  copyTo(out, at, values) {
    this.bytes.copy(out, at);
    for (const { name, width, at: offset, key } of this.slots) {
      let value = values[name];
      for (let i = width - 1; i >= 0; i--) {
        const rest = Math.floor(value / 10);
        out[at + offset + i] = (48 + (value - rest * 10)) ^ MASK[(key + i) & 3];
        value = rest;
      }
    }
  }

  /** @param {Record<string, number>} values */
  build(values) {
    const out = Buffer.allocUnsafe(this.length);
    this.copyTo(out, 0, values);
    return out;
  }
}

/**
 * The number written in digits at a place of a received buffer.
 * @param {Buffer} buffer
 * @param {number} at
 * @param {number} width
 */
export function digits(buffer, at, width) {
  let value = 0;
  for (let i = at; i < at + width; i++) value = value * 10 + (buffer[i] - 48);
  return value;
}

/**
 * Whether a buffer holds a text at a place.
 * @param {Buffer} buffer
 * @param {Buffer} text
 * @param {number} at
 */
export function startsWith(buffer, text, at) {
  for (let i = 0; i < text.length; i++) if (buffer[at + i] !== text[i]) return false;
  return true;
}

/** Code and reason of a closing frame (RFC 6455, 5.5.1). */
function closing(buffer, start, end) {
  if (end - start < 2) return 'the server closed the connection';
  return `the server closed the connection: ${buffer.readUInt16BE(start)} ${buffer.toString('utf8', start + 2, end)}`;
}

const PONG = frame('3');
const NOTHING = Buffer.alloc(0);

export class RawSocket {
  /** Called with each Socket.IO event and ack: the packet's bytes from its type digit on (`2["name",…]`, `31[…]`). */
  onPacket = (/** @type {Buffer} */ _buffer, /** @type {number} */ _start, /** @type {number} */ _end) => {};
  /** Called when all packets of what arrived together were handed out: the moment to answer them in one write. */
  onRead = () => {};
  /** Called once, however the connection ended. */
  onClose = (/** @type {string} */ _why) => {};

  #tcp;
  #rest = NOTHING;
  #closed = false;
  #upgraded = false;
  #settle = { resolve: () => {}, reject: (/** @type {Error} */ _error) => {} };
  #auth;
  #plain;

  constructor(tcp, auth, plain) {
    this.#tcp = tcp;
    this.#auth = auth;
    this.#plain = plain;
  }

  /**
   * Connects to the main namespace; with a `path` of its own it is a plain WebSocket, whose every text is a packet.
   * @param {{ port: number, host?: string, path?: string, auth?: object, query?: Record<string, string>, timeoutMs?: number }} options
   * @returns {Promise<RawSocket>}
   */
  static open({ port, host = '127.0.0.1', path, auth, query = {}, timeoutMs = 30_000 }) {
    return new Promise((resolve, reject) => {
      const tcp = connect({ port, host, noDelay: true });
      const socket = new RawSocket(tcp, auth, path !== undefined);
      const timer = setTimeout(() => socket.#end(`no Socket.IO connection after ${timeoutMs} ms`), timeoutMs);
      socket.#settle = {
        resolve: () => (clearTimeout(timer), resolve(socket)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      };
      tcp.on('connect', () => {
        const key = randomBytes(16).toString('base64');
        const engine = path === undefined ? { EIO: '4', transport: 'websocket' } : {};
        const params = new URLSearchParams({ ...engine, ...query });
        tcp.write(
          `GET ${path ?? '/socket.io/'}?${params} HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: Upgrade\r\n` +
            `Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
        );
      });
      tcp.on('data', (chunk) => socket.#read(chunk));
      tcp.on('error', (error) => socket.#end(error.message));
      tcp.on('close', () => socket.#end('closed'));
    });
  }

  /** @param {Buffer} frames one frame or several, built by `frame` or a template */
  write(frames) {
    this.#tcp.write(frames);
  }

  /**
   * @param {string} name
   * @param {unknown} payload
   * @param {number} [ack] ask for an ack under this number
   */
  emit(name, payload, ack) {
    this.write(frame(`42${ack ?? ''}${JSON.stringify([name, payload])}`));
  }

  /**
   * The first event of a name that arrives from now on. For setting up, not for loads: it parses, and takes `onPacket` over.
   * @param {string} name
   * @param {number} [timeoutMs]
   */
  next(name, timeoutMs = 30_000) {
    return new Promise((resolve, reject) => {
      const before = { onPacket: this.onPacket, onClose: this.onClose };
      const done = (settle, value) => {
        clearTimeout(timer);
        Object.assign(this, before);
        settle(value);
      };
      const timer = setTimeout(() => done(reject, new Error(`no ${name} after ${timeoutMs} ms`)), timeoutMs);
      this.onClose = (why) => done(reject, new Error(`connection lost while waiting for ${name}: ${why}`));
      this.onPacket = (buffer, start, end) => {
        const [event, payload] = JSON.parse(buffer.toString('utf8', buffer.indexOf('[', start), end));
        if (event === name) done(resolve, payload);
        else if (event === 'error') done(reject, new Error(`${JSON.stringify(payload)} while waiting for ${name}`));
      };
    });
  }

  close() {
    this.#closed = true;
    this.#tcp.destroy();
  }

  #end(why) {
    if (this.#closed) return;
    this.close();
    this.#settle.reject(new Error(why));
    this.onClose(why);
  }

  #read(chunk) {
    let buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#upgraded) {
      const end = buffer.indexOf('\r\n\r\n');
      if (end === -1) {
        this.#rest = buffer;
        return;
      }
      const status = buffer.toString('latin1', 0, buffer.indexOf('\r\n'));
      if (!status.startsWith('HTTP/1.1 101')) return this.#end(`no WebSocket: ${status}`);
      this.#upgraded = true;
      buffer = buffer.subarray(end + 4);
    }
    let at = 0;
    while (buffer.length - at >= 2) {
      let length = buffer[at + 1] & 0x7f;
      let start = at + 2;
      if (length === 126) {
        if (buffer.length - at < 4) break;
        length = buffer.readUInt16BE(at + 2);
        start = at + 4;
      } else if (length === 127) {
        if (buffer.length - at < 10) break;
        length = Number(buffer.readBigUInt64BE(at + 2));
        start = at + 10;
      }
      if (buffer.length < start + length) break;
      this.#frame(buffer, buffer[at] & 0x0f, start, start + length);
      if (this.#closed) return;
      at = start + length;
    }
    this.#rest = at === buffer.length ? NOTHING : buffer.subarray(at);
    this.onRead();
  }

  #frame(buffer, opcode, start, end) {
    if (opcode === OPCODE.ping) return this.write(frame(buffer.subarray(start, end), OPCODE.pong));
    if (opcode === OPCODE.close) return this.#end(closing(buffer, start, end));
    if (opcode !== OPCODE.text) return;
    if (this.#plain) {
      // The first one says that we are signed in.
      this.#settle.resolve();
      return this.onPacket(buffer, start, end);
    }
    switch (buffer[start]) {
      case 0x34: // 4: a Socket.IO packet
        switch (buffer[start + 1]) {
          case 0x32: // 2: event
          case 0x33: // 3: ack
            return this.onPacket(buffer, start + 1, end);
          case 0x30: // 0: connected
            return this.#settle.resolve();
          case 0x34: // 4: refused
            return this.#end(`refused: ${buffer.toString('utf8', start + 2, end)}`);
          case 0x31: // 1: disconnected
            return this.#end('the server ended the session');
        }
        return;
      case 0x32: // 2: Engine.IO ping
        return this.write(PONG);
      case 0x30: // 0: Engine.IO open
        return this.write(frame(`40${this.#auth === undefined ? '' : JSON.stringify(this.#auth)}`));
    }
  }
}
