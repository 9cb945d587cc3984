import type { Socket } from 'socket.io';
import type { Guest } from './doorman.js';

type Connection = Socket['conn'];

/** A connection of Engine.IO, before Socket.IO has a socket on it. */
export class EngineGuest implements Guest {
  constructor(private readonly connection: Connection) {}

  meter(count: (bytes: number) => void): () => void {
    if (!this.isWebSocket) {
      this.connection.on('packet', ({ data }: { data?: string }) => count(data?.length ?? 0));
      return () => undefined;
    }
    // Off the wire, because a frame is held in memory until it is whole.
    const { socket } = this.connection.request;
    const listen = (chunk: Buffer) => count(chunk.length);
    socket.on('data', listen);
    return () => socket.off('data', listen);
  }

  whenGone(step: () => void): void {
    this.connection.once('close', step);
  }

  showOut(): void {
    this.connection.close(true);
    // A WebSocket would wait half a minute for the other side to say goodbye, and read on.
    if (this.isWebSocket) this.connection.request.socket.destroySoon();
  }

  private get isWebSocket(): boolean {
    return this.connection.transport.name === 'websocket';
  }
}
