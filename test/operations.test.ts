import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createLog } from '../src/log.js';
import { browser, call, Client, generateQr, message, pair, phone } from './support/clients.js';
import { cleanUp, later, temporaryFolder } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { exchange, repliesIn } from './support/raw.js';
import { TestServer } from './support/server.js';
import { runTypeScript } from './support/spawn.js';

const lines: string[] = [];
let server: TestServer;
beforeAll(async () => {
  const log = createLog({ logLevel: 'trace' }, { write: (line) => void lines.push(line) });
  server = await TestServer.start({ log });
});
afterEach(cleanUp);
afterAll(() => server.stop());

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** Prometheus' text format 0.0.4; throws at a line that it does not know. */
function parseMetrics(text: string): { samples: Sample[]; types: Map<string, string> } {
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  expect(text.endsWith('\n')).toBe(true);
  for (const line of text.trim().split('\n')) {
    if (line === '' || /^# HELP [a-z_]+ \S/.test(line)) continue;
    const type = /^# TYPE ([a-z_]+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type) {
      expect(types.has(type[1]!)).toBe(false);
      types.set(type[1]!, type[2]!);
      continue;
    }
    const sample = /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\+Inf|-?[\d.e+-]+)$/.exec(line);
    if (!sample) throw new Error(`Not a line of Prometheus: ${line}`);
    const labels = [...(sample[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)];
    samples.push({
      name: sample[1]!,
      labels: Object.fromEntries(labels.map(([, name, value]) => [name, value])),
      value: Number(sample[3]),
    });
  }
  return { samples, types };
}

async function metrics(url = server.url) {
  const { body, headers, status } = await call<string>(url, '/metrics');
  const { samples, types } = parseMetrics(body);
  const value = (name: string, labels: Record<string, string> = {}) =>
    samples.find((s) => s.name === name && Object.entries(labels).every(([key, v]) => s.labels[key] === v))?.value ?? 0;
  return { status, headers, samples, types, value };
}

describe('health', () => {
  test('a living process says so, without a word about its database', async () => {
    expect(await call(server.url, '/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  });

  test('a server that can serve is ready', async () => {
    expect(await call(server.url, '/readyz')).toMatchObject({
      status: 200,
      body: { ready: true, database: true, migrations: true, queue: { ok: true, rows: 0, bytes: 0 } },
    });
  });

  test('a server whose database is gone is alive and not ready, and tells callers that it is unavailable', async () => {
    const database = await createTestDatabase();
    const lonely = await TestServer.start({ database });
    later(() => lonely.stop());
    const handset = await phone(lonely.url);
    later(() => handset.close());
    await database.drop();

    expect(await call(lonely.url, '/readyz')).toMatchObject({ status: 503, body: { ready: false, database: false } });
    expect((await call(lonely.url, '/healthz')).status).toBe(200);
    const refused = await call(lonely.url, '/api/auth/generate-qr');
    expect(refused).toMatchObject({ status: 503, body: { success: false, code: 'unavailable' } });
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await handset.send('mobile:messages', { messages: [message()] })).toMatchObject({
      ok: false,
      code: 'unavailable',
    });
    expect((await metrics(lonely.url)).value('pairline_errors_total', { code: 'unavailable' })).toBe(2);
  });

  test("a server is not ready while a realm's own database is gone, or lacks a migration", async () => {
    const [gone, bare] = [await createTestDatabase(), await createTestDatabase({ migrated: false })];
    later(bare.drop);
    const readiness = async (databaseUrl: string) => {
      const [first] = server.env.realms;
      const realms = [first!, { slug: 'clinic', name: 'Clinic', registration: 'open' as const, databaseUrl }];
      const started = await TestServer.start({ realms });
      later(() => started.stop());
      return () => call(started.url, '/readyz');
    };
    const ask = await readiness(gone.url);
    expect(await ask()).toMatchObject({ status: 200, body: { ready: true } });
    await gone.drop();
    expect(await ask()).toMatchObject({ status: 503, body: { ready: false, database: false } });
    const other = await readiness(bare.url);
    expect(await other()).toMatchObject({ status: 503, body: { ready: false, database: true, migrations: false } });
  });

  test('a server whose database lacks a migration is not ready', async () => {
    const bare = await TestServer.start({ database: await createTestDatabase({ migrated: false }) });
    later(async () => (await bare.stop(), await bare.database.drop()));
    expect(await call(bare.url, '/readyz')).toMatchObject({
      status: 503,
      body: { ready: false, database: true, migrations: false },
    });
  });
});

describe('metrics', () => {
  test('are what Prometheus reads', async () => {
    const { status, headers, samples, types } = await metrics();
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    for (const { name } of samples) expect(types.has(name.replace(/_(bucket|sum|count)$/, ''))).toBe(true);
    expect(Object.fromEntries(types)).toMatchObject({
      pairline_relay_seconds: 'histogram',
      pairline_batch_rows: 'histogram',
      pairline_commit_seconds: 'histogram',
      pairline_queued_rows: 'gauge',
      pairline_sockets: 'gauge',
      pairline_long_polls: 'gauge',
      pairline_pairings_total: 'counter',
      pairline_errors_total: 'counter',
    });
  });

  test('a histogram counts each observation in every bucket that it fits', async () => {
    const { samples } = await metrics();
    for (const name of ['pairline_relay_seconds', 'pairline_batch_rows', 'pairline_commit_seconds']) {
      const buckets = samples.filter((sample) => sample.name === `${name}_bucket`).map(({ value }) => value);
      expect(buckets).toEqual([...buckets].sort((a, b) => a - b));
      expect(buckets.at(-1)).toBe(samples.find((sample) => sample.name === `${name}_count`)!.value);
    }
  });

  test('move with what happens', async () => {
    const alone = await TestServer.start();
    later(() => alone.stop());
    const { url } = alone;
    const before = await metrics(url);
    expect(before.value('pairline_relay_seconds_count')).toBe(0);

    const handset = await phone(url);
    const web = await browser(url, await pair(url, handset));
    await handset.send('mobile:messages', { messages: [message(), message()] });
    await handset.send('no-such-event');
    await web.send('mobile:messages', { messages: [] });
    await call(url, '/nowhere');
    await call(url, '/api/devices', { token: 'wrong' });
    const stranger = new Client(url, { auth: { token: 'wrong' } });
    await stranger.next('connect_error');

    const during = await metrics(url);
    expect(during.value('pairline_relay_seconds_count')).toBe(1);
    expect(during.value('pairline_relay_seconds_sum')).toBeGreaterThan(0);
    expect(during.value('pairline_batch_rows_count')).toBeGreaterThan(0);
    expect(during.value('pairline_batch_rows_sum')).toBeGreaterThanOrEqual(2);
    expect(during.value('pairline_queued_rows')).toBe(0);
    expect(during.value('pairline_sockets', { kind: 'phone' })).toBe(1);
    expect(during.value('pairline_sockets', { kind: 'browser' })).toBe(1);
    expect(during.value('pairline_pairings_total', { outcome: 'offered' })).toBe(1);
    expect(during.value('pairline_pairings_total', { outcome: 'claimed' })).toBe(1);
    const errors = during.samples.filter(({ name }) => name === 'pairline_errors_total');
    expect(Object.fromEntries(errors.map(({ labels, value }) => [labels.code, value]))).toEqual({
      unknown_event: 1,
      wrong_role: 1,
      route_not_found: 1,
      authentication_failed: 2,
    });

    handset.close();
    await web.next('mobile:disconnected');
    expect((await metrics(url)).value('pairline_sockets', { kind: 'phone' })).toBe(0);
    web.close();
    stranger.close();
  });

  test('a long poll is counted while it waits', async () => {
    const alone = await TestServer.start();
    later(() => alone.stop());
    const handset = await phone(alone.url);
    const qr = await generateQr(alone.url);
    const waiting = call(alone.url, '/api/auth/wait-pairing', { body: { token: qr.token } });
    // Asked again until the poll has arrived: there is no event for that.
    while ((await metrics(alone.url)).value('pairline_long_polls', { what: 'pairing' }) === 0);
    await handset.send('mobile:scan-qr', { qrData: qr.qrData, deviceId: handset.deviceId });
    expect((await waiting).status).toBe(200);
    expect((await metrics(alone.url)).value('pairline_long_polls', { what: 'pairing' })).toBe(0);
    handset.close();
  });

  test('labels are words from small closed sets, never an id, a number, a name or a token', async () => {
    const handset = await phone(server.url, { deviceId: `phone-${randomUUID()}` });
    const token = await pair(server.url, handset);
    await handset.send('mobile:messages', { messages: [message({ phoneNumber: '+15550199', body: 'Psst' })] });
    await handset.send('mobile:message-status', { messageId: '+15550199', status: 'nonsense' });
    await handset.send(`event-${randomUUID()}`);
    const { body } = await call<string>(server.url, '/metrics');
    for (const { labels } of parseMetrics(body).samples)
      for (const [name, value] of Object.entries(labels))
        if (name !== 'le') expect([name, value]).toEqual([expect.stringMatching(/^(kind|what|outcome|code)$/), expect.stringMatching(/^[a-z_]{3,30}$/)]); // prettier-ignore
    for (const secret of [handset.deviceId, handset.deviceToken, token, '+15550199', 'Psst', 'Test phone'])
      expect(body).not.toContain(secret);
    handset.close();
  });
});

describe('request ids', () => {
  test.each(['a', 'abc-DEF_0.9', randomUUID(), 'x'.repeat(64)])('a sane X-Request-Id is taken: %s', async (id) => {
    const { headers, body } = await call(server.url, '/nowhere', { headers: { 'X-Request-Id': id } });
    expect(headers.get('x-request-id')).toBe(id);
    expect(body.requestId).toBe(id);
  });

  test.each(['', 'x'.repeat(65), 'a b', '"quoted"', '<script>', 'a,b', '{}', 'ümlaut'])(
    'another is replaced: %s',
    async (id) => {
      const { headers, body } = await call(server.url, '/nowhere', { headers: { 'X-Request-Id': id } });
      expect(headers.get('x-request-id')).toMatch(UUID);
      expect(body.requestId).toBe(headers.get('x-request-id'));
    },
  );

  test('a request without one gets one, an error or not', async () => {
    const ids = await Promise.all(
      ['/healthz', '/nowhere', '/api/devices', '/docs/json'].map((p) => call(server.url, p)),
    );
    const given = ids.map(({ headers }) => headers.get('x-request-id'));
    for (const id of given) expect(id).toMatch(UUID);
    expect(new Set(given).size).toBe(4);
  });

  test('two X-Request-Id headers are none', async () => {
    const bytes = 'GET /nowhere HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\r\nX-Request-Id: b\r\nConnection: close\r\n\r\n';
    const [reply] = repliesIn(await exchange(server.url, bytes));
    expect(reply!.headers['x-request-id']).toMatch(UUID);
  });

  test('an error over a socket has an id of its own', async () => {
    const client = new Client(server.url);
    const acks = [await client.send('nonsense'), await client.send('nonsense')];
    for (const ack of acks) expect(ack.requestId).toMatch(UUID);
    expect(acks[0]!.requestId).not.toBe(acks[1]!.requestId);
    client.close();
  });
});

describe('the log', () => {
  test('is one JSON object a line, with a time, a level and the id of the request', async () => {
    const id = randomUUID();
    await call(server.url, '/api/auth/health?secret=1', { headers: { 'X-Request-Id': id } });
    const parsed = lines.map((line) => {
      expect(line).toMatch(/^\{.*\}\n$/);
      return JSON.parse(line) as { time: string; level: number; req?: object; res?: object };
    });
    for (const { time, level } of parsed) {
      expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(level).toBeGreaterThanOrEqual(10);
    }
    expect(parsed.find(({ req }) => (req as { id?: string } | undefined)?.id === id)).toMatchObject({
      req: { id, method: 'GET' },
      route: '/api/auth/health',
      res: { statusCode: 200 },
      responseTime: expect.any(Number),
    });
  });

  test('never holds a body, a number, a name, a token or a query', async () => {
    const secret = (what: string) => `${what}-${randomUUID()}`;
    const told = {
      deviceId: secret('device'),
      deviceName: secret('name'),
      body: secret('body'),
      number: `+1555${Date.now()}`,
      contact: secret('contact'),
      query: secret('query'),
      wrong: secret('wrong'),
      json: secret('json'),
    };
    const handset = new Client(server.url);
    const registered = await handset.send('mobile:register', { deviceId: told.deviceId, deviceName: told.deviceName });
    const phoneLike = Object.assign(handset, {
      deviceId: told.deviceId,
      deviceToken: registered.deviceToken as string,
    });
    const token = await pair(server.url, phoneLike);
    const web = await browser(server.url, token);
    const text = message({ id: secret('m'), body: told.body, phoneNumber: told.number });
    await handset.send('mobile:messages', { messages: [text] });
    await handset.send('mobile:conversations', { conversations: [{ id: 'c', phoneNumber: told.number, contactName: told.contact }] }); // prettier-ignore
    await web.send('web:send-message', { phoneNumber: told.number, message: told.body, tempId: secret('t') });
    await handset.send(told.body, { [told.body]: told.body });
    await handset.send('mobile:messages', { messages: [{ ...text, timestamp: told.body }] });
    await handset.send('mobile:scan-qr', { qrData: told.body, deviceId: told.deviceId });

    const { url } = server;
    const qr = await generateQr(url);
    await call(url, `/api/changes?after=0&token=${told.query}`, { token });
    await call(url, '/api/changes', { token: told.wrong });
    await call(url, '/api/auth/verify', { body: { sessionToken: told.wrong } });
    await call(url, '/api/auth/verify', { body: { sessionToken: { [told.json]: told.json } } });
    await call(url, `/api/devices/${told.deviceId}`, { token, method: 'PATCH', body: { name: told.contact } });
    await call(url, `/API/Devices/${told.deviceId}`, { token, method: 'PATCH', body: { name: told.contact } });
    await call(url, `/api/devices/${told.number}/more`, { token });
    await fetch(`${url}/api/auth/verify`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: `{"sessionToken":"${told.json}"`,
    });
    web.close();
    handset.close();

    const all = lines.join('');
    const secrets = { ...told, text: text.id, token, deviceToken: phoneLike.deviceToken, qr: qr.token };
    for (const [what, value] of Object.entries(secrets)) expect([what, all.includes(value)]).toEqual([what, false]);
    expect(all).not.toMatch(/Bearer|authorization|cookie/i);
  });
});

describe('the documentation', () => {
  test('is a page to read', async () => {
    const { status, headers, body } = await call<string>(server.url, '/docs');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/html/);
    expect(body).toContain('Pairline');
    const script = /src="(\.?\/?[^"]*swagger-ui-bundle\.js)"/.exec(body)![1]!;
    expect((await call(server.url, new URL(script, `${server.url}/docs`).pathname)).status).toBe(200);
  });
});

describe('routes', () => {
  test('GET / and GET /api/auth/health say who answers', async () => {
    for (const path of ['/', '/api/auth/health']) {
      const { status, body } = await call(server.url, path);
      expect(status).toBe(200);
      expect(body).toEqual({
        success: true,
        message: expect.any(String),
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        timestamp: expect.anything(),
      });
      expect(new Date(body.timestamp as string).getTime()).toBeGreaterThan(Date.now() - 60_000);
    }
  });

  test.each(['/nowhere', '/api', '/api/auth', '/api/auth/generate-qr/x', '/favicon.ico', '/.env', '/.git/config'])(
    '%s is not there, and says so',
    async (path) => {
      expect(await call(server.url, path)).toMatchObject({
        status: 404,
        body: { success: false, code: 'route_not_found', message: 'Route not found', error: 'Route not found' },
      });
    },
  );

  test.each([
    ['POST', '/api/auth/generate-qr'],
    ['GET', '/api/auth/verify'],
    ['PUT', '/api/devices'],
    ['DELETE', '/'],
  ])('%s %s is no route', async (method, path) => {
    expect(await call(server.url, path, { method })).toMatchObject({ status: 404, body: { code: 'route_not_found' } });
  });

  test('HEAD answers as GET does, without the body', async () => {
    for (const path of ['/', '/healthz', '/metrics', '/nowhere', '/api/devices']) {
      const got = await call(server.url, path);
      const head = await fetch(server.url + path, { method: 'HEAD' });
      expect([path, head.status, await head.text()]).toEqual([path, got.status, '']);
      expect(head.headers.get('content-type')).toBe(got.headers.get('content-type'));
    }
  });

  test('HEAD of the stream of changes ends at once', async () => {
    const handset = await phone(server.url);
    const reply = await call(server.url, '/api/changes/stream', { method: 'HEAD', token: handset.deviceToken });
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe('text/event-stream');
    handset.close();
  });

  test('OPTIONS tells what a route takes, or that there is none', async () => {
    for (const path of ['/api/auth/verify', '/api/devices', '/nowhere']) {
      const { status } = await call(server.url, path, { method: 'OPTIONS' });
      expect([200, 204, 404]).toContain(status);
    }
  });
});

describe('headers', () => {
  test('keep browsers from sniffing, framing and telling where they came from', async () => {
    for (const path of ['/', '/nowhere', '/api/auth/generate-qr', '/docs']) {
      const { headers } = await call(server.url, path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('SAMEORIGIN');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('content-security-policy')).toContain("default-src 'self'");
      expect(headers.get('content-security-policy')).not.toContain('upgrade-insecure-requests');
      expect(headers.get('x-powered-by')).toBeNull();
      expect(headers.get('strict-transport-security')).toBeNull();
    }
  });

  test('insist on https once PUBLIC_URL does', async () => {
    const secure = await TestServer.start({ publicUrl: 'https://sms.example.org' });
    later(() => secure.stop());
    expect((await call(secure.url, '/')).headers.get('strict-transport-security')).toMatch(/^max-age=\d{7,}/);
  });

  test('what holds a token is not to be kept', async () => {
    expect((await call(server.url, '/api/auth/generate-qr')).headers.get('cache-control')).toBe('no-store');
  });
});

describe('CORS', () => {
  const Origin = 'https://app.example.org';
  const asked = async (url: string, origin: string) => {
    const plain = await call(url, '/healthz', { headers: { Origin: origin } });
    const preflight = await call(url, '/api/auth/verify', {
      method: 'OPTIONS',
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization,content-type',
      },
    });
    const polled = await call(url, '/socket.io/?EIO=4&transport=polling', { headers: { Origin: origin } });
    const allowed = [plain, preflight, polled].map(({ headers }) => headers.get('access-control-allow-origin'));
    return { allowed, plain, preflight };
  };

  test('is off by default', async () => {
    expect((await asked(server.url, Origin)).allowed).toEqual([null, null, null]);
  });

  test('opens to the origins of a list, and to no other', async () => {
    const listed = await TestServer.start({ corsOrigin: [Origin, 'http://localhost:5173'] });
    later(() => listed.stop());
    for (const origin of [Origin, 'http://localhost:5173']) {
      const { allowed, plain, preflight } = await asked(listed.url, origin);
      expect(allowed).toEqual([origin, origin, origin]);
      expect(plain.headers.get('vary')).toContain('Origin');
      expect(plain.headers.get('access-control-expose-headers')).toContain('X-Request-Id');
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get('access-control-allow-methods')).toContain('POST');
    }
    for (const origin of ['https://evil.example.org', `${Origin}.evil.org`, 'null', 'http://app.example.org'])
      expect((await asked(listed.url, origin)).allowed).toEqual([null, null, null]);
  });

  test('opens to all when told so, without letting cookies through', async () => {
    const open = await TestServer.start({ corsOrigin: true });
    later(() => open.stop());
    const { allowed, plain } = await asked(open.url, 'https://anyone.example.org');
    for (const origin of allowed) expect(['*', 'https://anyone.example.org']).toContain(origin);
    expect(plain.headers.get('access-control-allow-credentials')).toBeNull();
  });
});

describe('a start that cannot be', () => {
  /** What a start says and how it ends. */
  async function start(env: Record<string, string>) {
    const own = { DATA_DIR: temporaryFolder(), HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'warn' };
    const child = runTypeScript('src/main.ts', { env: { ...own, ...env } });
    later(() => void child.child.kill('SIGKILL'));
    const code = await child.exited;
    return { code, said: child.output().trim() };
  }

  function expectOneSentence({ code, said }: { code: number | string; said: string }, names: RegExp): void {
    expect(said).not.toMatch(/^\s+at /m);
    expect(said).not.toMatch(/node:internal|\.ts:\d/);
    expect(said.split('\n')).toHaveLength(1);
    expect(said).toMatch(names);
    expect(said).toMatch(/[.)]$/);
    expect(code).toBe(1);
  }

  test.each([
    ['PORT', '70000'],
    ['PUBLIC_URL', 'sms.example.org'],
    ['DATABASE_URL', 'mysql://localhost/pairline'],
    ['JWT_SECRET', 'my-super-secret-key-that-is-long-enough'],
    ['ENCRYPTION_KEY', 'short'],
    ['CORS_ORIGIN', 'app.example.org'],
    ['TRUST_PROXY', 'everyone'],
    ['REGISTRATION', 'invite'],
  ])('%s=%s is refused in one sentence that names it', async (name, value) => {
    expectOneSentence(
      await start({ [name]: value }),
      name === 'REGISTRATION' ? /^INVITE_TOKEN / : new RegExp(`^${name} `),
    );
  });

  test('several wrong settings are told together, a line each', async () => {
    const { code, said } = await start({ PORT: 'x', LOG_LEVEL: 'loud', MAX_BATCH: '0', TRUST_PROXY: '10.0.0.0/99' });
    expect(code).toBe(1);
    expect(said.split('\n').map((line) => line.split(' ')[0]).sort()).toEqual(['LOG_LEVEL', 'MAX_BATCH', 'PORT', 'TRUST_PROXY']); // prettier-ignore
  });

  test('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    later(() => other.close());
    const database = await createTestDatabase();
    later(database.drop);
    const { port } = other.address() as AddressInfo;
    const ended = await start({ PORT: String(port), DATABASE_URL: database.url });
    expectOneSentence(ended, new RegExp(`^Port ${port} is taken`));
  });

  test('an address that is not of this machine', async () => {
    const database = await createTestDatabase();
    later(database.drop);
    expectOneSentence(await start({ HOST: '192.0.2.1', DATABASE_URL: database.url }), /^HOST /);
  });

  test('a database that cannot be reached', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    const ended = await start({ DATABASE_URL: `postgres://u:hunter2@127.0.0.1:${port}/d`, DATABASE_WAIT_SECONDS: '0' });
    expectOneSentence(ended, /DATABASE_URL cannot be reached/);
    expect(ended.said).not.toContain('hunter2');
  });

  test('a database that does not exist, and one that refuses the password', async () => {
    const none = new URL(process.env.TEST_POSTGRES_URL!);
    none.pathname = '/no_such_database';
    expectOneSentence(await start({ DATABASE_URL: none.href }), /DATABASE_URL refuses .*no_such_database/);
    const wrong = new URL(process.env.TEST_POSTGRES_URL!);
    wrong.password = 'hunter2';
    const ended = await start({ DATABASE_URL: wrong.href });
    expectOneSentence(ended, /DATABASE_URL refuses/);
    expect(ended.said).not.toContain('hunter2');
  });

  test('a database that another server uses', async () => {
    const database = await createTestDatabase();
    later(database.drop);
    const env = {
      DATA_DIR: temporaryFolder(),
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'warn',
      DATABASE_URL: database.url,
    };
    const first = runTypeScript('src/main.ts', { env });
    later(() => first.end());
    await first.line((line) => line.startsWith('Pairline is ready'));
    expectOneSentence(await start({ DATABASE_URL: database.url }), /^Another Pairline server is using this database/);
  });

  test('a data folder that is a file', async () => {
    const file = join(temporaryFolder(), 'data');
    writeFileSync(file, '');
    expectOneSentence(await start({ DATA_DIR: join(file, 'deeper') }), /data/);
  });
});

test('a start ends with one line that says where to go, and SIGTERM ends it cleanly', async () => {
  const database = await createTestDatabase();
  later(database.drop);
  const env = {
    DATA_DIR: temporaryFolder(),
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'info',
    DATABASE_URL: database.url,
  };
  const child = runTypeScript('src/main.ts', { env });
  const ready = await child.line((line) => line.startsWith('Pairline'));
  expect(ready).toMatch(/^Pairline is ready: http:\/\/localhost:\d+$/);
  const { status, body } = await call(ready.split(': ')[1]!.replace('localhost', '127.0.0.1'), '/metrics');
  expect(status).toBe(200);
  expect(body).toContain('process_cpu_seconds_total');
  expect(await child.end()).toBe(0);
  expect(child.output().split('\n').at(-1)).toBe('Pairline has stopped.');
});
