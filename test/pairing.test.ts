import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Pairing } from '../src/pairing/pairing.service.js';
import {
  call,
  Client,
  generateQr,
  message,
  pair,
  phone,
  waitPairing,
  type PhoneClient,
  type Qr,
  type Reply,
} from './support/clients.js';
import { cleanUp, later, query, temporaryFolder } from './support/database.js';
import { untilFigure } from './support/metrics.js';
import { createTestDatabase } from './support/postgres.js';
import { isInstalled } from './support/programs.js';
import { readPng, readSvg } from './support/qr.js';
import { TestServer, type ServerOptions } from './support/server.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const WAITING = 'pairline_long_polls{what="pairing"}';
const limits = { wrongTokensPerMinute: 0, qrCodesPerMinute: 0 };

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits });
});
afterEach(cleanUp);
afterAll(() => server.stop());

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start({ limits, ...options });
  later(() => started.stop());
  return started;
}

async function aPhone(known?: { deviceId: string; deviceToken: string }, url = server.url): Promise<PhoneClient> {
  const client = await phone(url, known);
  later(() => client.close());
  return client;
}

function aSocket(url = server.url): Client {
  const client = new Client(url);
  later(() => client.close());
  return client;
}

const scan = (handset: PhoneClient, { qrData }: Pick<Qr, 'qrData'>) =>
  handset.send('mobile:scan-qr', { qrData, deviceId: handset.deviceId });

const devicesOf = async (token: string, url = server.url) =>
  (await call<{ devices: { id: string; kind: string }[] }>(url, '/api/devices', { token })).body.devices;

/** What an existing phone is told, which does not acknowledge: an `error` event. */
async function toldWithoutAck(client: Client, event: string, payload: unknown): Promise<unknown> {
  client.socket.emit(event, payload);
  return client.next('error');
}

const told = (code: string, sentence: string) => ({
  success: false,
  code,
  message: sentence,
  error: sentence,
  requestId: expect.any(String),
});

// What generate-qr answers

test('generate-qr answers a token, what the code says as a JSON string, and the image', async () => {
  const before = Date.now();
  const { status, body } = await call(server.url, '/api/auth/generate-qr');
  expect(status).toBe(200);
  expect(body).toEqual({
    success: true,
    data: {
      qrData: expect.any(String),
      token: expect.stringMatching(UUID),
      expiresIn: 300_000,
      qrImage: expect.stringMatching(/^data:image\/png;base64,/),
    },
  });
  const said = JSON.parse(body.data.qrData);
  expect(said).toMatchObject({ token: body.data.token, expiresIn: 300_000, url: server.url });
  expect(said.timestamp).toBeGreaterThanOrEqual(before);
  expect(said.timestamp).toBeLessThanOrEqual(Date.now());
});

test('no cache keeps a QR code', async () => {
  const { headers } = await call(server.url, '/api/auth/generate-qr');
  expect(headers.get('cache-control')).toBe('no-store');
});

test('the image of generate-qr says what qrData says', async () => {
  const { qrData, qrImage } = await generateQr(server.url);
  expect(readPng(Buffer.from(qrImage.split(',')[1]!, 'base64'))).toBe(qrData);
});

test('?format=svg and ?format=png answer the bare image, and its token beside it', async () => {
  const svg = await fetch(`${server.url}/api/auth/generate-qr?format=svg`);
  expect(svg.headers.get('content-type')).toMatch(/^image\/svg\+xml/);
  expect(JSON.parse(readSvg(await svg.text())!)).toMatchObject({ token: svg.headers.get('pairing-token') });

  const png = await fetch(`${server.url}/api/auth/generate-qr?format=png`);
  expect(png.headers.get('content-type')).toBe('image/png');
  const said = JSON.parse(readPng(Buffer.from(await png.arrayBuffer()))!);
  expect(said).toMatchObject({ token: png.headers.get('pairing-token'), expiresIn: 300_000 });
});

test('another format is refused', async () => {
  const { status, body } = await call(server.url, '/api/auth/generate-qr?format=gif');
  expect(status).toBe(400);
  expect(body).toMatchObject({ success: false, code: 'bad_request' });
});

const zbarimg = isInstalled('zbarimg', {
  leavesOut: 'reading the QR image with an independent decoder',
  get: 'apt-get install zbar-tools, or brew install zbar',
});
(zbarimg ? test : test.skip)('an independent decoder reads the image', async () => {
  const response = await fetch(`${server.url}/api/auth/generate-qr?format=png`);
  const file = join(temporaryFolder(), 'qr.png');
  writeFileSync(file, Buffer.from(await response.arrayBuffer()));
  const read = execFileSync('zbarimg', ['--raw', '--quiet', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(JSON.parse(read)).toMatchObject({
    token: response.headers.get('pairing-token'),
    timestamp: expect.any(Number),
    expiresIn: 300_000,
  });
});

test('PUBLIC_URL is where the code sends the phone', async () => {
  const { url } = await aServer({ publicUrl: 'https://sms.example.org' });
  const { qrData } = await generateQr(url);
  expect(JSON.parse(qrData).url).toBe('https://sms.example.org');
});

// What wait-pairing and verify answer

test.each([{}, { token: '' }])('wait-pairing without a token: 400 (%j)', async (body) => {
  const reply = await call(server.url, '/api/auth/wait-pairing', { body });
  expect(reply.status).toBe(400);
  expect(reply.body).toEqual(told('token_required', 'Token is required'));
});

test('wait-pairing without a body, or with one of another type: 400', async () => {
  const none = await call(server.url, '/api/auth/wait-pairing', { method: 'POST' });
  const wrong = await call(server.url, '/api/auth/wait-pairing', { body: { token: { token: 1 } } });
  const list = await call(server.url, '/api/auth/wait-pairing', { body: [] });
  expect([none.status, wrong.status, list.status]).toEqual([400, 400, 400]);
  expect(none.body).toEqual(told('token_required', 'Token is required'));
});

test('wait-pairing for a token that was never issued: 404', async () => {
  const { status, body } = await waitPairing(server.url, 'b7c6a0de-6a45-4c0e-9c5f-0d3d8a8f6b11');
  expect(status).toBe(404);
  expect(body).toMatchObject({ success: false, code: 'pairing_unknown' });
});

test('wait-pairing answers 408 once the code has expired, and again when asked again', async () => {
  const { url } = await aServer({ pairingTtlMs: 300 });
  const { token, expiresIn } = await generateQr(url);
  expect(expiresIn).toBe(300);
  for (const reply of [await waitPairing(url, token), await waitPairing(url, token)]) {
    expect(reply.status).toBe(408);
    expect(reply.body).toEqual(told('pairing_timeout', 'Pairing timeout'));
  }
});

test('wait-pairing for a session that was collected: 410', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  await scan(handset, qr);
  expect((await waitPairing(server.url, qr.token)).status).toBe(200);
  await untilCollected(qr);
  const { status, body } = await waitPairing(server.url, qr.token);
  expect(status).toBe(410);
  expect(body).toEqual(told('pairing_used', 'QR code already used'));
});

/** A poll's answer is marked as collected once it is out, just after its client has it. */
async function untilCollected({ token }: Qr): Promise<void> {
  for (let reply = await waitPairing(server.url, token); reply.status !== 410;)
    reply = await waitPairing(server.url, token);
}

test('verify tells whose phone a session token belongs to', async () => {
  const handset = await aPhone();
  const sessionToken = await pair(server.url, handset);
  const { status, body } = await call(server.url, '/api/auth/verify', { body: { sessionToken } });
  expect(status).toBe(200);
  expect(body).toEqual({
    success: true,
    data: { deviceId: handset.deviceId, sessionId: expect.any(String), accountId: expect.stringMatching(UUID) },
  });
});

test('verify: 400 without a token, 401 for a wrong one', async () => {
  const none = await call(server.url, '/api/auth/verify', { body: {} });
  expect(none.status).toBe(400);
  expect(none.body).toEqual(told('token_required', 'Token is required'));
  for (const sessionToken of ['nonsense', 'a.b.c', '..', 'eyJhbGciOiJub25lIn0.e30.']) {
    const { status, body } = await call(server.url, '/api/auth/verify', { body: { sessionToken } });
    expect(status).toBe(401);
    expect(body).toEqual(told('authentication_failed', 'Authentication failed'));
  }
});

test.each(['/', '/api/auth/health'])('GET %s says what answers here', async (path) => {
  const { status, body } = await call(server.url, path);
  expect(status).toBe(200);
  expect(body).toEqual({
    success: true,
    message: expect.any(String),
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    timestamp: expect.anything(),
  });
});

test('an unknown route: 404 in the one error body', async () => {
  const { status, body } = await call(server.url, '/api/no/such/route');
  expect(status).toBe(404);
  expect(body).toEqual(told('route_not_found', 'Route not found'));
});

// Scan and wait

test('wait, then scan: the poll is answered with a session of the phone that scanned', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  const waiting = waitPairing(server.url, qr.token);
  await untilFigure(server.url, WAITING, 1);
  const ack = await scan(handset, qr);
  expect(ack).toEqual({ ok: true, sessionId: expect.stringMatching(UUID) });
  expect(await handset.next('qr:paired')).toEqual({ success: true });
  const { status, body } = await waiting;
  expect(status).toBe(200);
  expect(body).toEqual({
    success: true,
    data: {
      sessionToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      deviceId: handset.deviceId,
      sessionId: ack.sessionId,
      accountId: expect.stringMatching(UUID),
      expiresAt: expect.any(Number),
    },
  });
});

test('scan, then wait: the poll is answered at once', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  await scan(handset, qr);
  const { status, body } = await waitPairing(server.url, qr.token);
  expect(status).toBe(200);
  expect(body.data.deviceId).toBe(handset.deviceId);
});

test('five waiters on one token all get the one session', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  const waiting = Array.from({ length: 5 }, () => waitPairing(server.url, qr.token));
  await untilFigure(server.url, WAITING, 5);
  await scan(handset, qr);
  const replies = await Promise.all(waiting);
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(new Set(replies.map(({ body }) => body.data.sessionId)).size).toBe(1);
  for (const { body } of replies)
    expect((await call(server.url, '/api/devices', { token: body.data.sessionToken })).status).toBe(200);
  expect((await devicesOf(handset.deviceToken)).filter(({ kind }) => kind === 'browser')).toHaveLength(1);
});

test('a poll that dropped before the scan is made good by a repeated one', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  const dropping = new AbortController();
  const dropped = waitPairing(server.url, qr.token, { signal: dropping.signal });
  await untilFigure(server.url, WAITING, 1);
  dropping.abort();
  await expect(dropped).rejects.toThrow();
  await untilFigure(server.url, WAITING, 0);
  await scan(handset, qr);
  const { status, body } = await waitPairing(server.url, qr.token);
  expect(status).toBe(200);
  expect(body.data.deviceId).toBe(handset.deviceId);
});

test('one waiter that drops leaves the others waiting', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  const dropping = new AbortController();
  const dropped = waitPairing(server.url, qr.token, { signal: dropping.signal });
  const staying = waitPairing(server.url, qr.token);
  await untilFigure(server.url, WAITING, 2);
  dropping.abort();
  await expect(dropped).rejects.toThrow();
  await untilFigure(server.url, WAITING, 1);
  await scan(handset, qr);
  expect((await staying).status).toBe(200);
});

test('a waiter of one code is not answered by the scan of another', async () => {
  const handset = await aPhone();
  const [mine, other] = [await generateQr(server.url), await generateQr(server.url)];
  const waiting = waitPairing(server.url, mine.token);
  await scan(handset, other);
  expect((await waitPairing(server.url, other.token)).status).toBe(200);
  await untilFigure(server.url, WAITING, 1);
  await scan(handset, mine);
  expect((await waiting).status).toBe(200);
});

test('a browser says what it is to be called', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  await scan(handset, qr);
  const body = { token: qr.token, deviceName: 'Kitchen laptop' };
  const reply = await call(server.url, '/api/auth/wait-pairing', { body });
  expect(await devicesOf(reply.body.data.sessionToken)).toMatchObject([
    { kind: 'phone', name: 'Test phone', model: 'T1' },
    { kind: 'browser', name: 'Kitchen laptop' },
  ]);
});

test('a scan before a restart of the server answers a poll after it', async () => {
  const database = await createTestDatabase();
  later(() => database.drop());
  const first = await TestServer.start({ database });
  const handset = await aPhone(undefined, first.url);
  const qr = await generateQr(first.url);
  await scan(handset, qr);
  await first.stop();

  const second = await aServer({ database });
  const { status, body } = await waitPairing(second.url, qr.token);
  expect(status).toBe(200);
  expect(body.data.deviceId).toBe(handset.deviceId);
});

test('a code made before a restart is scanned after it; the poll in between is told to come back', async () => {
  const database = await createTestDatabase();
  later(() => database.drop());
  const first = await TestServer.start({ database });
  const handset = await aPhone(undefined, first.url);
  const qr = await generateQr(first.url);
  const interrupted = waitPairing(first.url, qr.token);
  await untilFigure(first.url, WAITING, 1);
  await first.stop();
  const stopped = await interrupted;
  expect(stopped.status).toBe(503);
  expect(stopped.body).toMatchObject({ code: 'stopping', retryAfter: expect.any(Number) });
  expect(Number(stopped.headers.get('retry-after'))).toBeGreaterThan(0);

  const second = await aServer({ database });
  const waiting = waitPairing(second.url, qr.token);
  await scan(await aPhone(handset, second.url), qr);
  expect((await waiting).body.data.deviceId).toBe(handset.deviceId);
});

// Keys that are handed over

const SEALED = 'hpke1.ZW5j.Y2lwaGVydGV4dA';

/** What is stored of a code. */
async function stored({ token }: Qr, url = server.database.url): Promise<{ keys: string | null; collected: boolean }> {
  const hash = createHash('sha256').update(token).digest();
  const sql = 'SELECT keys, collected_at IS NOT NULL AS collected FROM pairings WHERE token_hash = $1';
  return (await query(url, sql, [hash]))[0] as { keys: string | null; collected: boolean };
}

const handOver = (handset: PhoneClient, { qrData }: Qr, keys: unknown) =>
  handset.send('mobile:scan-qr', { qrData, deviceId: handset.deviceId, keys });

/** What a browser is told that waits for a session and its keys. */
const isWhole = ({ status, body }: Reply, sessionId: unknown) =>
  expect([status, body.data]).toMatchObject([200, { sessionId, keys: SEALED }]);

test('what a phone seals for a browser reaches it as it is, and no waiter goes without', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  const waiting = Array.from({ length: 5 }, () => waitPairing(server.url, qr.token));
  await untilFigure(server.url, WAITING, 5);
  const { sessionId } = await handOver(handset, qr, SEALED);
  for (const reply of await Promise.all(waiting)) isWhole(reply, sessionId);
});

test('a waiter that is behind has its keys, though another one has taken them away', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  const waiting = [1, 2].map(() => waitPairing(server.url, qr.token));
  await untilFigure(server.url, WAITING, 2);
  // The second to look is kept from looking until the first has been answered, and that is noted.
  const pairing = server.app.get<Pairing, { find: (hash: Buffer) => Promise<unknown> }>(Pairing);
  const find = pairing.find.bind(pairing);
  let looks = 0;
  later(() => (pairing.find = find));
  pairing.find = async (hash) => {
    if (++looks === 2) while (!(await stored(qr)).collected);
    return find(hash);
  };
  const { sessionId } = await handOver(handset, qr, SEALED);
  for (const reply of await Promise.all(waiting)) isWhole(reply, sessionId);
  while ((await stored(qr)).keys !== null);
});

test('keys that came before the browser asked, and before a restart, are there when it asks', async () => {
  const database = await createTestDatabase();
  later(() => database.drop());
  const first = await TestServer.start({ database });
  const handset = await aPhone(undefined, first.url);
  const qr = await generateQr(first.url);
  const { sessionId } = await handOver(handset, qr, SEALED);
  expect((await stored(qr, database.url)).keys).toBe(SEALED);
  await first.stop();
  isWhole(await waitPairing((await aServer({ database })).url, qr.token), sessionId);
});

test('once the browser has its keys the server has them no more', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  await handOver(handset, qr, SEALED);
  await waitPairing(server.url, qr.token);
  await untilCollected(qr);
  expect((await stored(qr)).keys).toBeNull();
});

test('a poll that dropped before it had the keys is made good by a repeated one', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  const dropping = new AbortController();
  const dropped = waitPairing(server.url, qr.token, { signal: dropping.signal });
  await untilFigure(server.url, WAITING, 1);
  dropping.abort();
  await expect(dropped).rejects.toThrow();
  await untilFigure(server.url, WAITING, 0);
  const { sessionId } = await handOver(handset, qr, SEALED);
  isWhole(await waitPairing(server.url, qr.token), sessionId);
});

test('who scans second changes nothing of the keys', async () => {
  const [first, second] = [await aPhone(), await aPhone()];
  const qr = await generateQr(server.url);
  const { sessionId } = await handOver(first, qr, SEALED);
  expect(await handOver(second, qr, 'hpke1.other.keys')).toMatchObject({ ok: false, code: 'pairing_used' });
  isWhole(await waitPairing(server.url, qr.token), sessionId);
});

test.each([
  ['a character more than 64 KiB', 'x'.repeat(65_537), 'string_too_long'],
  ['NUL', 'a\0b', 'invalid_string'],
  ['half a character', '\ud800', 'invalid_string'],
  ['nothing', '', 'invalid_payload'],
  ['no text', { a: 1 }, 'invalid_payload'],
])('keys with %s are refused, and the code stays unclaimed', async (_what, keys, code) => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  expect(await handOver(handset, qr, keys)).toMatchObject({ ok: false, code });
  expect(await handOver(handset, qr, 'x'.repeat(65_536))).toMatchObject({ ok: true });
});

test('the account is the same for the phone, for its browsers and for verify', async () => {
  const socket = aSocket();
  const registered = await socket.send('mobile:register', { deviceId: 'account-1' });
  const known = { deviceId: 'account-1', deviceToken: registered.deviceToken as string };
  const handset = await aPhone(known);
  const sessionToken = await pair(server.url, handset);
  const verified = await call(server.url, '/api/auth/verify', { body: { sessionToken } });
  const signedIn = await aSocket().send('web:authenticate', { sessionToken });
  const again = await handset.send('mobile:register', known);
  const { accountId } = registered;
  expect(accountId).toMatch(UUID);
  for (const told of [verified.body.data, signedIn, again, await handset.next('authenticated')])
    expect(told).toMatchObject({ accountId });
});

// A browser lets another one in

interface Paired {
  handset: PhoneClient;
  token: string;
}
const aPair = async (): Promise<Paired> => {
  const handset = await aPhone();
  return { handset, token: await pair(server.url, handset) };
};
const claim = (token: string, body: unknown) => call(server.url, '/api/pairing/claim', { token, body });

test('a signed-in browser lets another one in, with the keys, while the phone is away', async () => {
  const { handset, token } = await aPair();
  handset.close();
  const qr = await generateQr(server.url);
  const waiting = waitPairing(server.url, qr.token);
  await untilFigure(server.url, WAITING, 1);
  // The token is all that the server is shown of the code.
  const claimed = await claim(token, { qrData: JSON.stringify({ token: qr.token }), keys: SEALED });
  expect([claimed.status, claimed.body]).toEqual([200, { success: true, data: { sessionId: expect.stringMatching(UUID) } }]); // prettier-ignore
  const reply = await waiting;
  isWhole(reply, claimed.body.data.sessionId);
  expect(reply.body.data.deviceId).toBe(handset.deviceId);
  const changes = (await call(server.url, '/api/snapshot', { token: reply.body.data.sessionToken })).body.changes;
  const own = changes.find(({ id }: { id: string }) => id === claimed.body.data.sessionId);
  expect(own.row).toMatchObject({ kind: 'browser', pairedWith: handset.deviceId });
});

test('a browser that was let in by a browser lets in another one, and works as any other', async () => {
  const { handset, token } = await aPair();
  let newest = token;
  for (let i = 0; i < 2; i++) {
    const qr = await generateQr(server.url);
    expect((await claim(newest, { qrData: qr.qrData })).status).toBe(200);
    const { data } = (await waitPairing(server.url, qr.token)).body;
    expect(data).not.toHaveProperty('keys');
    newest = data.sessionToken;
  }
  const web = aSocket();
  expect(await web.send('web:authenticate', { sessionToken: newest })).toMatchObject({ deviceId: handset.deviceId });
  await web.send('web:send-message', { phoneNumber: '+15550100', message: 'Hi', tempId: 't' });
  expect(await handset.next('send:message')).toMatchObject({ tempId: 't' });
});

test('one code, claimed by a phone and two browsers at once: one wins', async () => {
  const [one, two] = [await aPair(), await aPair()];
  const qr = await generateQr(server.url);
  const [scanned, ...claims] = await Promise.all([
    scan(one.handset, qr),
    claim(one.token, { qrData: qr.qrData }),
    claim(two.token, { qrData: qr.qrData }),
  ]);
  const outcomes = [scanned.ok ? 'ok' : scanned.code, ...claims.map(({ status, body }) => (status === 200 ? 'ok' : body.code))]; // prettier-ignore
  expect(outcomes.sort()).toEqual(['ok', 'pairing_used', 'pairing_used']);
});

test.each([
  ['a made-up token', { qrData: '{"token":"b7c6a0de-6a45-4c0e-9c5f-0d3d8a8f6b11"}' }, 400, 'invalid_qr'],
  ['no code', { qrData: 'hello' }, 400, 'invalid_qr'],
  ['nothing', {}, 400, 'bad_request'],
  ['keys that are no text', { qrData: '{"token":"x"}', keys: { a: 1 } }, 400, 'bad_request'],
  ['keys that are too long', { qrData: '{"token":"x"}', keys: 'x'.repeat(65_537) }, 400, 'bad_request'],
  ['keys with NUL', { qrData: '{"token":"x"}', keys: 'a\0b' }, 400, 'invalid_string'],
])('a browser that claims with %s is refused', async (_what, body, status, code) => {
  const { token } = await aPair();
  const reply = await claim(token, body);
  expect([reply.status, reply.body.code]).toEqual([status, code]);
});

test('a browser that claims too late, or twice, is told so', async () => {
  const { url } = await aServer({ pairingTtlMs: 300 });
  const handset = await aPhone(undefined, url);
  const token = await pair(url, handset);
  const { qrData, token: code } = await generateQr(url);
  await waitPairing(url, code);
  const late = await call(url, '/api/pairing/claim', { token, body: { qrData } });
  expect([late.status, late.body]).toEqual([410, told('pairing_expired', 'QR code expired')]);

  const mine = await aPair();
  const qr = await generateQr(server.url);
  await claim(mine.token, { qrData: qr.qrData });
  const twice = await claim(mine.token, { qrData: qr.qrData });
  expect([twice.status, twice.body]).toEqual([410, told('pairing_used', 'QR code already used')]);
});

test('only a signed-in browser claims over REST: no phone, no stranger, none that was removed', async () => {
  const { handset, token } = await aPair();
  const qr = await generateQr(server.url);
  const body = { qrData: qr.qrData };
  expect((await claim(handset.deviceToken, body)).body.code).toBe('wrong_role');
  expect((await call(server.url, '/api/pairing/claim', { body })).body.code).toBe('not_authenticated');
  const removed = await pair(server.url, handset);
  const [, own] = (await devicesOf(removed)).filter(({ kind }) => kind === 'browser');
  await call(server.url, `/api/devices/${own!.id}`, { token, method: 'DELETE' });
  expect((await claim(removed, body)).body.code).toBe('device_revoked');
  expect((await claim(token, body)).status).toBe(200);
});

// Faults that must not come back

test('the same QR code pairs once', async () => {
  const [first, second] = [await aPhone(), await aPhone()];
  const qr = await generateQr(server.url);
  expect(await scan(first, qr)).toMatchObject({ ok: true });
  for (const again of [first, second]) expect(await scan(again, qr)).toMatchObject({ ok: false, code: 'pairing_used' });
  expect((await waitPairing(server.url, qr.token)).body.data.deviceId).toBe(first.deviceId);
  expect(second.all('qr:paired')).toEqual([]);
});

test('ten phones scan one code: one wins, and there is one browser', async () => {
  const phones = await Promise.all(Array.from({ length: 10 }, () => aPhone()));
  const qr = await generateQr(server.url);
  const acks = await Promise.all(phones.map((handset) => scan(handset, qr)));
  const winners = phones.filter((_, i) => acks[i]!.ok);
  expect(winners).toHaveLength(1);
  expect(acks.filter((ack) => ack.code === 'pairing_used')).toHaveLength(9);
  expect((await waitPairing(server.url, qr.token)).body.data.deviceId).toBe(winners[0]!.deviceId);
  const devices = await Promise.all(phones.map(({ deviceToken }) => devicesOf(deviceToken)));
  expect(devices.flat().filter(({ kind }) => kind === 'browser')).toHaveLength(1);
});

test('one phone scans one code ten times at once: one browser', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  const acks = await Promise.all(Array.from({ length: 10 }, () => scan(handset, qr)));
  expect(acks.filter(({ ok }) => ok)).toHaveLength(1);
  expect((await devicesOf(handset.deviceToken)).filter(({ kind }) => kind === 'browser')).toHaveLength(1);
});

test.each([
  ['a made-up token', JSON.stringify({ token: 'b7c6a0de-6a45-4c0e-9c5f-0d3d8a8f6b11', timestamp: Date.now() })],
  ['no JSON', 'hello'],
  ['nothing', ''],
  ['JSON of another kind', '[1,2]'],
  ['null', 'null'],
  ['a token that is no text', '{"token":{"$ne":null}}'],
])('a QR code with %s is invalid', async (_what, qrData) => {
  const handset = await aPhone();
  expect(await scan(handset, { qrData })).toMatchObject({ ok: false, code: 'invalid_qr', message: 'Invalid QR code' });
});

test('a QR code expires by the server’s clock, whatever it says of itself', async () => {
  const { url } = await aServer({ pairingTtlMs: 300 });
  const handset = await aPhone(undefined, url);
  const { token } = await generateQr(url);
  expect((await waitPairing(url, token)).status).toBe(408);
  const forged = JSON.stringify({ token, timestamp: Date.now() + 3_600_000, expiresIn: 86_400_000 });
  expect(await scan(handset, { qrData: forged })).toMatchObject({
    code: 'pairing_expired',
    message: 'QR code expired',
  });
  expect((await waitPairing(url, token)).status).toBe(408);
});

test('a phone whose clock is wrong pairs: the age written in the code does not count', async () => {
  const handset = await aPhone();
  const { token } = await generateQr(server.url);
  const qrData = JSON.stringify({ token, timestamp: 0, expiresIn: 1 });
  expect(await scan(handset, { qrData })).toMatchObject({ ok: true });
});

test('a phone pairs as itself only: another deviceId is refused and the code stays unclaimed', async () => {
  const [mine, other] = [await aPhone(), await aPhone()];
  const qr = await generateQr(server.url);
  const ack = await mine.send('mobile:scan-qr', { qrData: qr.qrData, deviceId: other.deviceId });
  expect(ack).toMatchObject({ ok: false, code: 'authentication_failed' });
  expect(await devicesOf(other.deviceToken)).toHaveLength(1);
  expect(await scan(mine, qr)).toMatchObject({ ok: true });
});

test('a socket that has not registered cannot scan, and a browser cannot', async () => {
  const handset = await aPhone();
  const qr = await generateQr(server.url);
  const payload = { qrData: qr.qrData, deviceId: handset.deviceId };
  expect(await aSocket().send('mobile:scan-qr', payload)).toMatchObject({ ok: false, code: 'device_not_registered' });
  const web = aSocket();
  await web.send('web:authenticate', { sessionToken: await pair(server.url, handset) });
  expect(await web.send('mobile:scan-qr', payload)).toMatchObject({ ok: false, code: 'wrong_role' });
  expect(await scan(handset, qr)).toMatchObject({ ok: true });
});

test('a session is in the account of the phone that scanned, and in no other', async () => {
  const [mine, other] = [await aPhone(), await aPhone()];
  await mine.send('mobile:messages', { messages: [message({ id: 'mine' })] });
  await other.send('mobile:messages', { messages: [message({ id: 'theirs' })] });
  const token = await pair(server.url, mine);
  const { body } = await call(server.url, '/api/snapshot', { token });
  const ids = body.changes
    .filter(({ kind }: { kind: string }) => kind === 'message')
    .map(({ id }: { id: string }) => id);
  expect(ids).toEqual(['mine']);
  expect((await devicesOf(token)).map(({ id }) => id)).not.toContain(other.deviceId);
});

test('what the database keeps of a code is not what is needed to use it', async () => {
  const { token, qrData } = await generateQr(server.url);
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: server.database.url });
  await client.connect();
  const { rows } = await client.query<{ row: string }>('SELECT p::text AS row FROM pairings p');
  await client.end();
  const stored = rows.map(({ row }) => row).join('\n');
  expect(stored).not.toContain(token);
  expect(stored).not.toContain(Buffer.from(token).toString('hex'));
  expect(stored).not.toContain(qrData);
});

// Existing clients do not acknowledge: they are told by `error` events with sentences they know.

test('a phone that does not ask for acks pairs by events alone', async () => {
  const socket = aSocket();
  socket.socket.emit('mobile:register', { deviceId: 'old phone 1', deviceName: 'Old', deviceModel: 'O1' });
  expect(await socket.next('authenticated')).toEqual({
    success: true,
    deviceId: 'old phone 1',
    accountId: expect.stringMatching(UUID),
    deviceToken: expect.any(String),
  });
  const qr = await generateQr(server.url);
  socket.socket.emit('mobile:scan-qr', { qrData: qr.qrData, deviceId: 'old phone 1' });
  expect(await socket.next('qr:paired')).toEqual({ success: true });
  expect((await waitPairing(server.url, qr.token)).body.data.deviceId).toBe('old phone 1');
});

test('without an ack: "Device not registered"', async () => {
  const { qrData } = await generateQr(server.url);
  expect(await toldWithoutAck(aSocket(), 'mobile:scan-qr', { qrData, deviceId: 'x' })).toEqual(
    told('device_not_registered', 'Device not registered'),
  );
});

test('without an ack: "Invalid QR code"', async () => {
  const handset = await aPhone();
  const payload = { qrData: '{"token":"made-up"}', deviceId: handset.deviceId };
  expect(await toldWithoutAck(handset, 'mobile:scan-qr', payload)).toEqual(told('invalid_qr', 'Invalid QR code'));
});

test('without an ack: "QR code expired"', async () => {
  const { url } = await aServer({ pairingTtlMs: 300 });
  const handset = await aPhone(undefined, url);
  const { token, qrData } = await generateQr(url);
  await waitPairing(url, token);
  expect(await toldWithoutAck(handset, 'mobile:scan-qr', { qrData, deviceId: handset.deviceId })).toEqual(
    told('pairing_expired', 'QR code expired'),
  );
});

test('without an ack: "Authentication failed"', async () => {
  expect(await toldWithoutAck(aSocket(), 'web:authenticate', { sessionToken: 'wrong' })).toEqual(
    told('authentication_failed', 'Authentication failed'),
  );
});

test('without an ack: "Not authenticated"', async () => {
  const payload = { phoneNumber: '+15550100', message: 'Hi', tempId: 't' };
  expect(await toldWithoutAck(aSocket(), 'web:send-message', payload)).toEqual(
    told('not_authenticated', 'Not authenticated'),
  );
});

test('without an ack: "Mobile device not connected"', async () => {
  const handset = await aPhone();
  const sessionToken = await pair(server.url, handset);
  const web = aSocket();
  await web.send('web:authenticate', { sessionToken });
  handset.close();
  await web.next('mobile:disconnected');
  expect(await toldWithoutAck(web, 'web:request-sync', {})).toEqual(told('phone_away', 'Mobile device not connected'));
});
