import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';

export const REDIS = { leavesOut: 'several servers on one database', get: 'apt-get install redis-server' };

export interface RedisServer {
  url: string;
  /** Ends it without a word. */
  kill(): Promise<void>;
  /** Starts it again where it was, with nothing of what it had. */
  start(): Promise<void>;
}

/** A real Redis that keeps nothing. */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  let kill: () => Promise<void> = () => Promise.resolve();
  const start = async () => {
    const child = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', tmpdir()],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const ended = once(child, 'exit');
    kill = async () => {
      child.kill('SIGKILL');
      await ended;
    };
    for await (const line of createInterface({ input: child.stdout }))
      if (line.includes('Ready to accept connections')) return void child.stdout.resume();
    throw new Error('Redis did not start');
  };
  await start();
  return { url: `redis://127.0.0.1:${port}`, start, kill: () => kill() };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
