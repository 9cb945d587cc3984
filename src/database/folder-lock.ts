import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Unlock = () => Promise<void>;

/**
 * Takes a folder for this process alone, or tells by `undefined` that a living process has it. The lock is a local socket
 * that listens: the kernel gives one name to one process and takes it back when that dies, so nothing is ever left behind.
 */
export async function lockFolder(folder: string): Promise<Unlock | undefined> {
  const { dev, ino } = statSync(folder, { bigint: true });
  const name = socketName(createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32));
  const unlock = await listen(name);
  if (unlock || !name.startsWith('/') || (await answers(name))) return unlock;
  // Only a socket that is a file outlives its process.
  rmSync(name, { force: true });
  return listen(name);
}

function socketName(id: string): string {
  if (process.platform === 'linux') return `\0pairline-${id}`;
  if (process.platform === 'win32') return `\\\\.\\pipe\\pairline-${id}`;
  return join(tmpdir(), `pairline-${id}.sock`);
}

async function listen(name: string): Promise<Unlock | undefined> {
  const server = createServer((socket) => socket.destroy()).listen(name);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}

async function answers(name: string): Promise<boolean> {
  const socket = connect(name);
  const answered = await once(socket, 'connect').then(
    () => true,
    () => false,
  );
  socket.destroy();
  return answered;
}
