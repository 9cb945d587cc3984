import { afterEach, expect, test } from '@jest/globals';
import { call, Client, generateQr, waitPairing } from './support/clients.js';
import { cleanUp, later, temporaryDatabase, temporaryFolder } from './support/database.js';
import { Household, Tally } from './support/load.js';
import { runTypeScript } from './support/spawn.js';

afterEach(cleanUp);

const FEW_SECONDS = 8000;

function launch(env: NodeJS.ProcessEnv) {
  const server = runTypeScript('src/main.ts', {
    env: {
      JWT_SECRET: 'a secret of the tests, long enough to be taken',
      ENCRYPTION_KEY: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'silent',
      LIMIT_SENDS_PER_MINUTE: '0',
      ...env,
    },
  });
  later(() => server.end());
  const ready = async () => {
    const line = await server.line((line) => line.startsWith('Pairline is ready'));
    return line.replace(/.*localhost/, 'http://127.0.0.1');
  };
  return { ...server, ready };
}

/** Resolves with the exit code; fails when the end takes longer than a person would wait. */
async function endsSoon(server: { exited: Promise<number | string> }): Promise<number | string> {
  const since = performance.now();
  const code = await server.exited;
  expect(performance.now() - since).toBeLessThan(FEW_SECONDS);
  return code;
}

async function waits(url: string, what: 'pairing' | 'changes', count: number): Promise<void> {
  const wanted = new RegExp(`pairline_long_polls\\{what="${what}"\\} ${count}\\b`);
  while (!wanted.test((await call<string>(url, '/metrics')).body));
}

test('SIGTERM under load: what was acknowledged is stored, whoever waits is answered, and clients are told to come back', async () => {
  const DATABASE_URL = await temporaryDatabase();
  const server = launch({ DATABASE_URL });
  const url = await server.ready();
  const tally = new Tally();
  const households = await Promise.all([1, 2, 3].map(() => Household.start(url, tally)));
  later(() => households.forEach((household) => household.close()));
  const idle = await Household.start(url, tally);
  later(() => idle.close());
  await Promise.all([...households, idle].map((household) => household.connect(url)));
  await idle.web.settled();
  const { cursor } = await idle.read(url, 'changes');

  const qr = await generateQr(url);
  const pairing = waitPairing(url, qr.token);
  const polls = [1, 2, 3].map(() => call(url, `/api/changes?after=${cursor}&wait=60`, { token: idle.token }));
  const stream = await fetch(`${url}/api/changes/stream?after=${cursor}`, {
    headers: { Authorization: `Bearer ${idle.token}` },
  });
  const streamed = stream.text();
  const stranger = new Client(url);
  later(() => stranger.close());
  await stranger.until(() => stranger.socket.connected);
  await Promise.all([waits(url, 'pairing', 1), waits(url, 'changes', 3)]);

  const enough = tally.more(100);
  const working = Promise.all(households.map((household) => household.work()));
  await enough;
  server.child.kill('SIGTERM');
  expect(await endsSoon(server)).toBe(0);
  expect(server.output()).toContain('Pairline has stopped.');
  await working;

  for (const { fromPhone, fromBrowser } of households)
    for (const refusal of [...fromPhone.refusals, ...fromBrowser.refusals])
      expect(refusal).toMatchObject({ ok: false, code: 'stopping', retryAfter: 2 });
  for (const answered of [pairing, ...polls]) {
    const { status, body, headers } = await answered;
    expect({ status, body }).toMatchObject({ status: 503, body: { code: 'stopping' } });
    expect(headers.get('retry-after')).toBe('2');
  }
  expect(await streamed).toMatch(/event: error\ndata: \{[^\n]*"code":"stopping"[^\n]*\}\n\n$/);
  for (const { handset, web, following } of [...households, idle])
    for (const client of [handset, web, following]) {
      expect(await client.next('error')).toMatchObject({ code: 'stopping' });
      // Of all reasons the one that lets a client come back by itself.
      expect(await client.next('disconnect')).toBe('transport close');
    }
  expect(await stranger.next('disconnect')).toBe('transport close');

  const again = launch({ DATABASE_URL });
  const back = await again.ready();
  for (const household of households) {
    const stored = await household.read(back, 'snapshot');
    expect(stored.arrived).toEqual(expect.arrayContaining(household.acked));
  }
});

test('a client that comes back at once does not hold up the stop', async () => {
  const server = launch({ DATABASE_URL: await temporaryDatabase() });
  const url = await server.ready();
  const eager = Array.from(
    { length: 20 },
    () =>
      new Client(url, { reconnection: true, reconnectionDelay: 1, reconnectionDelayMax: 1, randomizationFactor: 0 }),
  );
  later(() => eager.forEach((client) => client.close()));
  await Promise.all(eager.map((client) => client.until(() => client.socket.connected)));
  const since = performance.now();
  expect(await server.end('SIGTERM')).toBe(0);
  expect(performance.now() - since).toBeLessThan(3000);
});

test('Ctrl-C pressed twice ends the server as one does', async () => {
  const server = launch({ DATABASE_URL: '', DATA_DIR: temporaryFolder() });
  const url = await server.ready();
  const client = new Client(url);
  later(() => client.close());
  await client.until(() => client.socket.connected);
  server.child.kill('SIGINT');
  await client.next('disconnect');
  server.child.kill('SIGINT');
  expect(await endsSoon(server)).toBe(0);
  expect(server.output().match(/Pairline has stopped\./g)).toHaveLength(1);
});

test('SIGTERM while the server starts ends it cleanly, and the next start finds all in order', async () => {
  const place = { DATABASE_URL: '', DATA_DIR: temporaryFolder() };
  const server = launch({ ...place, LOG_LEVEL: 'info' });
  // Its Postgres is there, it is not ready yet.
  await server.line((line) => line.includes('Applied a migration'));
  server.child.kill('SIGTERM');
  expect(await endsSoon(server)).toBe(0);
  const next = launch(place);
  expect((await call(await next.ready(), '/readyz')).status).toBe(200);
});

test('SIGTERM while the server waits for its database ends it at once', async () => {
  const server = launch({ DATABASE_URL: 'postgresql://nobody:x@127.0.0.1:1/none', LOG_LEVEL: 'info' });
  await server.line((line) => line.includes('Waiting for the database'));
  server.child.kill('SIGTERM');
  expect(await endsSoon(server)).toBe(0);
});
