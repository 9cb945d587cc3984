import type { Socket } from 'socket.io';
import type { Guest } from './doorman.js';
import type { Frame } from './frame.js';
import type { Transport } from './transport.js';

/** One socket of Socket.IO. */
export class SocketIoTransport implements Transport {
  readonly id: string;
  readonly said: Transport['said'];
  readonly asked: Transport['asked'];

  constructor(
    readonly socket: Socket,
    readonly guest: Guest,
  ) {
    this.id = socket.id;
    this.said = socket.handshake.auth;
    // Where Socket.IO looks when an acknowledgement comes; nothing else here asks for any, so the ids are ours.
    this.asked = (socket as unknown as Asking).acks;
    this.answerAcksDirectly();
  }

  /**
   * Answers acks as ready-made frames too. Socket.IO asks its socket for the function that answers packet `id`; ours skips
   * the encoder, which for an ack costs as much as the ack.
   */
  private answerAcksDirectly(): void {
    const answer = (id: number) => (reply: unknown) =>
      writePacket(this.socket.conn, `3${id}[${JSON.stringify(reply)}]`);
    Object.defineProperty(this.socket, 'ack', { value: answer });
  }

  /** Calls `step` after each ping of the protocol (RFC 6455), which ws answers by itself. */
  whenPinged(step: () => void): void {
    const { conn } = this.socket;
    const listen = () => internals(conn).transport.socket?.on('ping', step);
    listen();
    // Long polling becomes a WebSocket later.
    conn.once('upgrade', listen);
  }

  get isOpen(): boolean {
    return this.socket.connected && this.socket.conn.readyState === 'open';
  }

  get bufferedBytes(): number {
    const { writeBuffer, transport } = internals(this.socket.conn);
    let bytes = transport.socket?.bufferedAmount ?? 0;
    for (const { data } of writeBuffer) bytes += data?.length ?? 0;
    return bytes;
  }

  write(frame: Frame): void {
    writePacket(this.socket.conn, frame.socketIo);
  }

  drained(): Promise<void> {
    const { conn } = this.socket;
    return new Promise((resolve) => {
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

  end(): void {
    this.socket.disconnect(true);
  }

  recall(): void {
    this.socket.conn.close();
  }

  destroy(): void {
    internals(this.socket.conn).transport.socket?._socket.destroy();
  }
}

/** What of a Socket.IO socket has no public name. */
interface Asking {
  acks: Transport['asked'];
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
  on(event: 'ping', step: () => void): void;
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
function writePacket(conn: Socket['conn'], packet: string): void {
  const { writeBuffer, transport } = internals(conn);
  const websocket = transport.name === 'websocket' && transport.writable ? transport.socket : undefined;
  const idle = websocket !== undefined && writeBuffer.length === 0 && websocket.bufferedAmount < SMALL_BYTES;
  if (!idle || conn.readyState !== 'open' || packet.length > SMALL_BYTES) {
    conn.write(packet);
    return;
  }
  const { _socket: tcp } = websocket;
  if (tcp.writableCorked === 0) {
    tcp.cork();
    process.nextTick(() => tcp.uncork());
  }
  websocket.send(MESSAGE + packet);
}
