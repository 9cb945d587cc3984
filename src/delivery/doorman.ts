import type { Socket as TcpSocket } from 'node:net';
import type { Limits } from '../env.js';
import { networkOf } from '../sessions/network.js';

/** What of an Engine.IO connection is used here. */
export interface Connection {
  readonly request: { readonly socket: TcpSocket };
  readonly transport: { readonly name: string };
  on(event: 'packet', listener: (packet: { data?: string | Buffer }) => void): unknown;
  once(event: 'close', listener: () => void): unknown;
  close(discard?: boolean): void;
}

interface Guest {
  address: string;
  /** Ends the watch over its time and its bytes. */
  release(): void;
}

/** Bounds what a connection may use before it is known who it is: how many an address, how long, how many bytes. */
export class Doorman {
  private readonly guests = new Map<Connection, Guest>();
  private readonly perAddress = new Map<string, number>();

  constructor(private readonly limits: Limits) {}

  /** A new connection, before its first byte. */
  meet(connection: Connection, from: string): void {
    const address = networkOf(from);
    const count = (this.perAddress.get(address) ?? 0) + 1;
    if (count > this.limits.maxUnauthenticatedPerAddress) {
      showOut(connection);
      return;
    }
    this.perAddress.set(address, count);
    const timer = setTimeout(() => showOut(connection), this.limits.unauthenticatedMs).unref();
    const unmeter = this.meter(connection);
    const release = () => {
      clearTimeout(timer);
      unmeter();
    };
    this.guests.set(connection, { address, release });
    connection.once('close', () => this.know(connection));
  }

  /** The connection signed in, or went. */
  know(connection: Connection): void {
    const guest = this.guests.get(connection);
    if (guest === undefined) return;
    guest.release();
    this.guests.delete(connection);
    const left = this.perAddress.get(guest.address)! - 1;
    if (left > 0) this.perAddress.set(guest.address, left);
    else this.perAddress.delete(guest.address);
  }

  private meter(connection: Connection): () => void {
    let bytes = 0;
    const count = (length: number) => {
      bytes += length;
      if (bytes > this.limits.maxUnauthenticatedBytes && this.guests.has(connection)) showOut(connection);
    };
    if (connection.transport.name !== 'websocket') {
      connection.on('packet', ({ data }) => count(data?.length ?? 0));
      return () => undefined;
    }
    // Off the wire, because a frame is held in memory until it is whole.
    const { socket } = connection.request;
    const listen = (chunk: Buffer) => count(chunk.length);
    socket.on('data', listen);
    return () => socket.off('data', listen);
  }
}

function showOut(connection: Connection): void {
  const { request, transport } = connection;
  connection.close(true);
  // A WebSocket would wait half a minute for the other side to say goodbye, and read on.
  if (transport.name === 'websocket') request.socket.destroySoon();
}
