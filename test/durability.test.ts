import { afterEach, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.js';
import { findPostgres } from '../src/database/postgres-binaries.js';
import { POSTGRES_ENV, claimFolder, fromInside, openFolder } from '../src/database/postgres-folder.js';
import { browser, call, type Client, follower, generateQr, pair, phone, waitPairing } from './support/clients.js';
import { cleanUp, later, listeningLog, temporaryDatabase, temporaryFolder } from './support/database.js';
import { Household, Tally, Worker } from './support/load.js';
import { runTypeScript } from './support/spawn.js';
import { change } from './support/table-client.js';

afterEach(cleanUp);

/** The server as people start it, in a process of its own. */
async function start(env: NodeJS.ProcessEnv) {
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
  const ready = await server.line((line) => line.startsWith('Pairline is ready'));
  return { ...server, url: ready.replace(/.*localhost/, 'http://127.0.0.1') };
}

/** What a household does by other doors: live state (wire.md, section B), and rows of apps' tables (section C). */
class OtherDoors {
  private readonly states: Worker;
  private readonly records: Worker;

  constructor(
    tally: Tally,
    private readonly household: Household,
  ) {
    this.states = new Worker(tally, (number) => {
      const id = `${household.name}-state-${number}`;
      return { id, event: 'session-update', payload: { sessionKey: id, state: { id } } };
    });
    this.records = new Worker(tally, () => {
      const id = randomUUID();
      return { id, event: '/push/default', payload: { lastSync: 0, changes: [change(id, Date.now(), { id })] } };
    });
  }

  async work(url: string): Promise<void> {
    const { web, token } = this.household;
    const push = async (path: string, body: unknown) => {
      const reply = await call(url, path, { token, body });
      return { ...reply.body, ok: reply.status === 200 };
    };
    const table = { socket: web.socket, send: push } as unknown as Client;
    await Promise.all([this.states.run(web), this.records.run(table)]);
  }

  /** What the slower of the two has had acknowledged. */
  get least(): number {
    return Math.min(this.states.count, this.records.count);
  }

  finish(): void {
    this.states.finishing = true;
    this.records.finishing = true;
  }

  async expectNothingLost(url: string): Promise<void> {
    const { rows } = await this.household.read(url, 'snapshot');
    const contents = (kind: string, field: string) => [...rows.values()].flatMap(({ kind: its, row }) => (its === kind ? [row![field]] : [])); // prettier-ignore
    for (const [{ acked }, found] of [
      [this.states, contents('state', 'value')],
      [this.records, contents('record', 'data')],
    ] as const) {
      expect(acked.length).toBeGreaterThan(10);
      expect(new Set(found)).toEqual(new Set(acked.map((id) => ({ id }))));
      expect(found).toHaveLength(acked.length);
    }
  }
}

/** Nothing acknowledged is missing, nothing is there twice or out of order, whichever way one looks. */
async function expectNothingLost(url: string, household: Household): Promise<void> {
  await household.caughtUp(url);
  const [snapshot, changes] = await Promise.all([household.read(url, 'snapshot'), household.read(url, 'changes')]);
  expect([...snapshot.faults, ...changes.faults, ...household.replica.faults]).toEqual([]);
  expect(changes.view()).toEqual(snapshot.view());
  expect(household.replica.view()).toEqual(snapshot.view());

  for (const { acked } of [household.fromPhone, household.fromBrowser]) {
    const wanted = new Set(acked);
    expect(wanted.size).toBe(acked.length);
    // By the numbers of the rows, and in the order a follower met them.
    expect(snapshot.arrived.filter((id) => wanted.has(id))).toEqual(acked);
    expect(household.replica.arrived.filter((id) => wanted.has(id))).toEqual(acked);
  }
  expect(new Set(snapshot.arrived)).toEqual(new Set(household.acked));
  const { acked } = household.fromBrowser;
  await household.handset.until(() => household.offered.size >= acked.length, 'every message for the phone');
  expect([...household.offered]).toEqual(acked);
}

const places = {
  'the embedded Postgres': { kills: 4, env: () => ({ DATABASE_URL: '', DATA_DIR: temporaryFolder() }) },
  'a Postgres of its own': { kills: 8, env: async () => ({ DATABASE_URL: await temporaryDatabase() }) },
};

test.each(Object.entries(places))(
  'nothing acknowledged is lost, doubled or reordered by kill -9 after kill -9 under load, on %s',
  async (_, { kills, env }) => {
    const settings = await env();
    const tally = new Tally();
    let server = await start(settings);
    const { url } = server;
    const households = await Promise.all([1, 2, 3].map(() => Household.start(url, tally)));
    later(() => households.forEach((household) => household.close()));
    const doors = households.map((household) => new OtherDoors(tally, household));

    for (let kill = 1; kill <= kills; kill++) {
      // Now and then among the first words of clients that have just come back.
      const isFirstWords = kill % 4 === 0;
      const enough = tally.more(
        isFirstWords ? 1 : 60 + kill,
        () => isFirstWords || doors.every(({ least }) => least >= 4 * kill),
      );
      const at = server.url;
      const working = households.flatMap((household, i) => {
        const connected = household.connect(at);
        return [connected.then(() => household.work()), connected.then(() => doors[i]!.work(at))];
      });
      await enough;
      expect(await server.end('SIGKILL')).toBe('SIGKILL');
      await Promise.allSettled(working);
      households.forEach((household) => household.close());
      server = await start(settings);
    }

    for (const worker of [...households, ...doors]) worker.finish();
    await Promise.all(households.map((household) => household.connect(server.url)));
    await Promise.all([...households, ...doors].map((worker) => worker.work(server.url)));
    expect(tally.count).toBeGreaterThan(kills * 40);
    for (const household of households) await expectNothingLost(server.url, household);
    for (const door of doors) await door.expectNothingLost(server.url);
    expect(await server.end('SIGTERM')).toBe(0);
  },
  180_000,
);

/** A Postgres that the test stops and starts, always on one port. */
class OwnPostgres {
  private child: ChildProcess | undefined;
  private constructor(
    readonly url: string,
    private readonly launch: () => ChildProcess,
  ) {}

  static async create(): Promise<OwnPostgres> {
    const dataDir = temporaryFolder();
    // The server makes the cluster; from then on it is ours.
    await (await startEmbeddedPostgres({ dataDir, log: listeningLog() })).stop();
    const folder = join(dataDir, 'postgres');
    const runAs = claimFolder(folder);
    const programs = findPostgres(runAs);
    const { cluster, password } = openFolder(folder, programs, runAs);
    const port = await freePort();
    const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories='];
    const args = ['-D', fromInside(cluster), ...settings.flatMap((setting) => ['-c', setting])];
    const postgres = new OwnPostgres(`postgresql://pairline:${password}@127.0.0.1:${port}/pairline`, () =>
      spawn(join(programs, 'bin/postgres'), args, {
        ...runAs,
        cwd: cluster,
        env: POSTGRES_ENV,
        stdio: ['ignore', 'ignore', 'pipe'],
      }),
    );
    later(() => postgres.stop('SIGQUIT'));
    await postgres.start();
    return postgres;
  }

  async start(): Promise<void> {
    const child = this.launch();
    this.child = child;
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stderr! }).on('line', (line) => {
        if (line.includes('ready to accept connections')) resolve();
      });
      child.once('exit', () => reject(new Error('Postgres did not start')));
    });
  }

  async stop(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (child === undefined) return;
    child.kill(signal);
    await once(child, 'exit');
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(url: string, path: string, status: number): Promise<void> {
  while ((await call(url, path)).status !== status);
}

test('while Postgres is away callers are told so, nothing acknowledged is lost, and the server recovers by itself', async () => {
  const postgres = await OwnPostgres.create();
  const server = await start({ DATABASE_URL: postgres.url });
  const { url } = server;
  const tally = new Tally();
  const households = await Promise.all([1, 2].map(() => Household.start(url, tally)));
  later(() => households.forEach((household) => household.close()));
  const qr = await generateQr(url);
  const stranger = await phone(url);
  later(() => stranger.close());

  // A shutdown that says goodbye, and one that is as good as a crash.
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    await Promise.all(households.map((household) => household.connect(url)));
    // What the server has just looked up it knows without the database for a moment.
    const unseen = await pair(url, stranger);
    const enough = tally.more(100);
    const working = Promise.all(households.map((household) => household.work()));
    await enough;
    await postgres.stop(signal);
    await working;

    const unavailable = { ok: false, success: false, code: 'unavailable', retryAfter: 1 };
    for (const { fromPhone, fromBrowser } of households)
      for (const { refusals } of [fromPhone, fromBrowser]) {
        expect(refusals.length).toBeGreaterThan(0);
        for (const refusal of refusals.splice(0)) expect(refusal).toMatchObject(unavailable);
      }
    const known = { deviceId: stranger.deviceId, deviceToken: stranger.deviceToken };
    expect(await stranger.send('mobile:scan-qr', { qrData: qr.qrData, deviceId: known.deviceId })).toMatchObject(unavailable); // prettier-ignore
    const { token } = households[0]!;
    const asked = await Promise.all([
      call(url, '/api/changes', { token }),
      call(url, '/api/snapshot', { token }),
      call(url, '/api/devices', { token }),
      call(url, '/api/auth/generate-qr'),
      call(url, '/api/auth/verify', { body: { sessionToken: unseen } }),
      waitPairing(url, qr.token),
    ]);
    for (const { status, body, headers } of asked) {
      expect(status).toBe(503);
      expect(body).toMatchObject({ success: false, code: 'unavailable' });
      expect(headers.get('retry-after')).toBe('1');
    }
    expect(await call(url, '/readyz')).toMatchObject({ status: 503, body: { ready: false, database: false } });
    expect((await call(url, '/healthz')).status).toBe(200);
    households.forEach((household) => household.close());

    await postgres.start();
    await answers(url, '/readyz', 200);
  }

  await Promise.all(households.map((household) => household.connect(url)));
  for (const household of households) household.finish();
  await Promise.all(households.map((household) => household.work()));
  for (const household of households) await expectNothingLost(url, household);
  expect(await server.end('SIGTERM')).toBe(0);
}, 60_000);

test('an outage of Postgres ends neither connections that wait nor their wait', async () => {
  const postgres = await OwnPostgres.create();
  const { url } = await start({ DATABASE_URL: postgres.url });
  const before = await phone(url);
  const token = await pair(url, before);
  before.close();
  const web = await browser(url, token);
  later(() => web.close());
  await web.next('mobile:disconnected');
  expect(await web.send('web:request-sync')).toMatchObject({ code: 'phone_away' });
  const handset = await phone(url, before);
  later(() => handset.close());
  // The last thing that a phone which comes back is told: from here on it only waits.
  await handset.next('request:sync');
  const following = follower(url, token);
  later(() => following.close());
  const { cursor } = await following.next<{ cursor: number }>('changes');
  const poll = call(url, `/api/changes?after=${cursor}&wait=60`, { token });
  const qr = await generateQr(url);
  const pairing = waitPairing(url, qr.token);
  while (!/pairline_long_polls\{what="pairing"\} 1/.test((await call<string>(url, '/metrics')).body));

  await postgres.stop('SIGINT');
  await answers(url, '/readyz', 503);
  await postgres.start();
  await answers(url, '/readyz', 200);

  for (const client of [handset, following]) expect(client.all('disconnect')).toEqual([]);
  const { deviceId } = handset;
  expect(await handset.send('mobile:scan-qr', { qrData: qr.qrData, deviceId })).toMatchObject({ ok: true });
  expect((await pairing).status).toBe(200);
  const linked = [{ kind: 'device', op: 'put', seq: cursor + 1 }];
  expect((await poll).body.changes).toMatchObject(linked);
  expect(await following.next('changes', (page) => page.cursor > cursor)).toMatchObject({ changes: linked });
});
