import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import { memoryStore } from '@pairline/client';
import { Cutter } from './support/client-between.js';
import { inPhase, letIn, phoneAt, webAt } from './support/client-ends.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

afterEach(cleanUp);

// Coming back after a loss.

test('an attempt that was under way when somebody asked for one does not cost another wait', async () => {
  const server = await TestServer.start();
  later(() => server.stop());
  const cutter = await Cutter.start(server.url);
  const phone = await phoneAt(server.url);
  const web = await webAt(cutter.url, { store: memoryStore() });
  await letIn(phone, web);
  await inPhase(web, 'live');
  const nowhere = await Nowhere.start();
  cutter.lead(nowhere.url);
  cutter.cut();

  // Failures enough for long waits, the last of them still on its way.
  for (let failures = 0; failures < 8; failures++) {
    await nowhere.asked();
    web.reconnect();
    nowhere.drop();
  }
  await nowhere.asked();
  const waits: number[] = [];
  web.on('state', ({ retryAt }) => {
    if (retryAt !== undefined) waits.push(retryAt - Date.now());
  });
  cutter.lead(server.url);
  web.reconnect();
  nowhere.drop();
  await inPhase(web, 'live');
  expect(Math.max(...waits)).toBeLessThanOrEqual(0);
});

/** Takes connections, and leaves whoever asks without an answer. */
class Nowhere {
  private readonly held = new Set<Socket>();
  private wake: () => void = () => undefined;

  private constructor(private readonly server: ReturnType<typeof createServer>) {
    server.on('connection', (socket) => {
      this.held.add(socket);
      socket.on('error', () => undefined);
      this.wake();
    });
  }

  static async start(): Promise<Nowhere> {
    const server = createServer();
    const nowhere = new Nowhere(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    later(() => {
      nowhere.drop();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    });
    return nowhere;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
  }

  /** Resolves once somebody waits for an answer. */
  async asked(): Promise<void> {
    if (this.held.size === 0) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  drop(): void {
    for (const socket of this.held) socket.destroy();
    this.held.clear();
  }
}
