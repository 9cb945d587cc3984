import type { Socket as TcpSocket } from 'node:net';
import type { WebSocket } from 'ws';

// As Engine.IO has it, so that both kinds of connection are found dead equally soon.
const EVERY_MS = 25_000;
/** How long an answer may take. */
const WITHIN_MS = 20_000;

/** Asks a WebSocket now and then whether it is alive (RFC 6455, section 5.5.2), and ends one from which nothing comes. */
export function keepAlive(socket: WebSocket, tcp: TcpSocket): void {
  let timer: NodeJS.Timeout;
  const ask = () => {
    const { bytesRead } = tcp;
    socket.ping();
    // The answer may be stuck behind a large message: that something comes is enough.
    timer = setTimeout(() => (tcp.bytesRead > bytesRead ? wait() : socket.terminate()), WITHIN_MS).unref();
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, EVERY_MS).unref();
  };
  wait();
  socket.on('pong', wait);
  socket.once('close', () => {
    socket.off('pong', wait);
    clearTimeout(timer);
  });
}
