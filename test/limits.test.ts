import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { JwtService } from '@nestjs/jwt';
import { relayError, type ErrorCode } from '../src/errors.js';
import { networkOf } from '../src/sessions/network.js';
import { Slots } from '../src/sessions/slots.js';
import { browser, call, Client, message, pair, phone, type PhoneClient, type Reply } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { TestServer, type ServerOptions } from './support/server.js';

afterEach(cleanUp);

async function aServer(limits: ServerOptions['limits'] = {}, options: ServerOptions = {}): Promise<TestServer> {
  const server = await TestServer.start({ ...options, limits });
  later(() => server.stop());
  return server;
}

function kept<T extends Client>(client: T): T {
  later(() => client.close());
  return client;
}

const aSocket = (url: string, options: ConstructorParameters<typeof Client>[1] = {}) => kept(new Client(url, options));
const aPhone = async (url: string, known?: { deviceId: string; deviceToken: string }) => kept(await phone(url, known));
const aBrowser = async (url: string, token: string) => kept(await browser(url, token));
const register = (client: Client, deviceId: string, fields: object = {}) =>
  client.send('mobile:register', { deviceId, deviceName: 'Phone', deviceModel: 'P1', ...fields });

const limited = {
  success: false,
  code: 'rate_limited',
  message: 'Too many requests, try again later',
  error: 'Too many requests, try again later',
  requestId: expect.any(String),
  retryAfter: expect.any(Number),
};

async function expectLimited(reply: Promise<Reply>, atMostSeconds: number): Promise<void> {
  const { status, body, headers } = await reply;
  expect(status).toBe(429);
  expect(body).toEqual(limited);
  expect(headers.get('retry-after')).toBe(String(body.retryAfter));
  expect(body.retryAfter).toBeGreaterThan(0);
  expect(body.retryAfter).toBeLessThanOrEqual(atMostSeconds);
}

// Rates

test('new phones are limited an address; known ones come back as ever', async () => {
  const { url } = await aServer({ registrationsPerHour: 2 });
  const known = await aPhone(url);
  await aPhone(url);
  const socket = aSocket(url);
  const ack = await register(socket, 'one too many');
  expect(ack).toEqual({ ok: false, ...limited });
  expect(ack.retryAfter).toBeLessThanOrEqual(3600);
  socket.socket.emit('mobile:register', { deviceId: 'one too many', deviceName: 'x' });
  expect(await socket.next('error')).toEqual(limited);
  await aPhone(url, known);
});

test('QR codes are limited an address, whatever their format', async () => {
  const { url } = await aServer({ qrCodesPerMinute: 2 });
  expect((await call(url, '/api/auth/generate-qr')).status).toBe(200);
  expect((await call(url, '/api/auth/generate-qr?format=svg')).status).toBe(200);
  await expectLimited(call(url, '/api/auth/generate-qr'), 60);
  await expectLimited(call(url, '/api/auth/generate-qr?format=png'), 60);
});

test('wrong tokens are limited an address, by whatever way they come, and a right one is never refused', async () => {
  const { url } = await aServer({ wrongTokensPerMinute: 3 });
  const handset = await aPhone(url);
  const token = await pair(url, handset);
  const wrong = `${token.slice(0, -4)}AAAA`;
  for (const guess of ['guess', wrong, wrong])
    expect((await call(url, '/api/devices', { token: guess })).status).toBe(401);

  await expectLimited(call(url, '/api/devices', { token: 'guess' }), 60);
  await expectLimited(call(url, '/api/devices', { token: wrong }), 60);
  await expectLimited(call(url, '/api/auth/verify', { body: { sessionToken: wrong } }), 60);
  await expectLimited(call(url, '/api/auth/wait-pairing', { body: { token: 'guess' } }), 60);
  expect((await aSocket(url, { auth: { token: 'guess' } }).next('connect_error')).data).toEqual(limited);
  expect(await aSocket(url).send('web:authenticate', { sessionToken: wrong })).toEqual({ ok: false, ...limited });
  expect(await register(aSocket(url), handset.deviceId, { deviceToken: 'guess' })).toEqual({ ok: false, ...limited });
  const madeUp = { qrData: '{"token":"guess"}', deviceId: handset.deviceId };
  expect(await handset.send('mobile:scan-qr', madeUp)).toEqual({ ok: false, ...limited });

  expect((await call(url, '/api/devices', { token })).status).toBe(200);
  expect((await call(url, '/api/devices', { token: handset.deviceToken })).status).toBe(200);
  expect((await call(url, '/api/auth/verify', { body: { sessionToken: token } })).status).toBe(200);
  await aBrowser(url, token);
  await aSocket(url, { auth: { token } }).connected();
  await aPhone(url, handset);
});

test('a token whose time is over, or whose device was removed, is refused and no guess', async () => {
  const server = await aServer({ wrongTokensPerMinute: 1 });
  const { url } = server;
  const handset = await aPhone(url);
  const [over, removed] = [await pair(url, handset), await pair(url, handset)];
  const { sub, sid, ...claims } = JSON.parse(Buffer.from(removed.split('.')[1]!, 'base64url').toString());
  await call(url, `/api/devices/${sid as string}`, { token: over, method: 'DELETE' });
  const expired = new JwtService({ secret: server.env.jwtSecret }).sign({ ...claims, sub, sid, exp: claims.iat - 1 });
  for (let n = 0; n < 3; n++)
    for (const token of [expired, removed]) {
      expect((await call(url, '/api/devices', { token })).status).toBe(401);
      expect((await call(url, '/api/auth/verify', { body: { sessionToken: token } })).status).toBe(401);
      const refusal = await aSocket(url, { auth: { token } }).next('connect_error');
      expect(refusal.data.code).toBe('authentication_failed');
    }
  // Of the ones that are, the first is free.
  for (const status of [401, 429]) expect((await call(url, '/api/devices', { token: `${over}A` })).status).toBe(status);
});

test('a pairing goes through while its address is limited for wrong tokens', async () => {
  const { url } = await aServer({ wrongTokensPerMinute: 1 });
  for (const token of ['guess', 'guess']) await call(url, '/api/devices', { token });
  const handset = await aPhone(url);
  await aBrowser(url, await pair(url, handset));
});

test('forty right sign-ins a minute from one address are fine, and a hundred', async () => {
  const { url } = await aServer();
  const token = await pair(url, await aPhone(url));
  const verified = await Promise.all(
    Array.from({ length: 100 }, () => call(url, '/api/auth/verify', { body: { sessionToken: token } })),
  );
  expect(new Set(verified.map(({ status }) => status))).toEqual(new Set([200]));
  for (let i = 0; i < 40; i++) (await browser(url, token)).close();
});

test('forty wrong sign-ins a minute from one address are not', async () => {
  const { url } = await aServer();
  const statuses: number[] = [];
  for (let i = 0; i < 40; i++)
    statuses.push((await call(url, '/api/auth/verify', { body: { sessionToken: `guess ${i}` } })).status);
  expect(statuses[0]).toBe(401);
  expect(statuses.at(-1)).toBe(429);
});

test('what a device tells the others in passing is limited a device', async () => {
  const { url } = await aServer({ signalsPerSecond: 3, qrCodesPerMinute: 0 });
  const token = await pair(url, await aPhone(url));
  const [one, two] = ['one', 'two'].map((deviceId) => aSocket(url, { auth: { token }, query: { deviceInfo: JSON.stringify({ deviceId }) } })); // prettier-ignore
  await two!.next('session-restored');
  await one!.next('session-restored');
  const event = () => one!.send('realtime-event', { type: 'cursor' });
  const note = () => one!.send('device-message', { targetDeviceId: 'two', message: 1 });
  const acks = await Promise.all([event(), note(), event(), event(), note()]);
  expect(acks.slice(0, 3)).toEqual([{ ok: true }, { ok: true }, { ok: true }]);
  for (const refused of acks.slice(3)) expect(refused).toEqual({ ok: false, ...limited, retryAfter: 1 });
  // Another device has its own, and what is stored is no signal.
  expect(await two!.send('realtime-event', { type: 'cursor' })).toEqual({ ok: true });
  for (let n = 0; n < 10; n++) expect(await one!.send('session-update', { sessionKey: 'k', state: n })).toMatchObject({ ok: true }); // prettier-ignore
  expect(two!.all('realtime-event')).toHaveLength(2);
  expect(two!.all('device-message')).toHaveLength(1);
});

test('sends are limited an account', async () => {
  const { url } = await aServer({ sendsPerMinute: 2 });
  const web = await aBrowser(url, await pair(url, await aPhone(url)));
  const other = await aBrowser(url, await pair(url, await aPhone(url)));
  const text = (tempId: string) => ({ phoneNumber: '+15550130', message: 'Hi', tempId });
  for (const tempId of ['a', 'b']) expect(await web.send('web:send-message', text(tempId))).toMatchObject({ ok: true });
  expect(await web.send('web:send-message', text('c'))).toEqual({ ok: false, ...limited });
  web.socket.emit('web:send-message', text('c'));
  expect((await web.next('error')).retryAfter).toBeGreaterThan(0);
  expect(await other.send('web:send-message', text('a'))).toMatchObject({ ok: true });
});

test('what a phone brings in is not limited', async () => {
  const { url } = await aServer({ sendsPerMinute: 1 });
  const handset = await aPhone(url);
  for (let i = 0; i < 20; i++)
    expect(await handset.send('mobile:messages', { messages: [message()] })).toMatchObject({ ok: true });
});

test('0 turns a rate off', async () => {
  const { url } = await aServer({ qrCodesPerMinute: 0 });
  for (let i = 0; i < 150; i++) expect((await call(url, '/api/auth/generate-qr?format=svg')).status).toBe(200);
});

// Whose address

test('without TRUST_PROXY, what a client says of its address does not count', async () => {
  const { url } = await aServer({ qrCodesPerMinute: 1 });
  const from = (address: string) => call(url, '/api/auth/generate-qr', { headers: { 'X-Forwarded-For': address } });
  expect((await from('192.0.2.1')).status).toBe(200);
  await expectLimited(from('192.0.2.2'), 60);
});

test.each<[string, ServerOptions['trustProxy']]>([
  ['true', true],
  ['a number of hops', 1],
  ['an address', '127.0.0.1'],
  ['a network', 'loopback, 10.0.0.0/8'],
])(
  'with TRUST_PROXY, each address behind the proxy has its own limits, over REST and sockets: %s',
  async (_what, trustProxy) => {
    const { url } = await aServer({ qrCodesPerMinute: 1, registrationsPerHour: 1 }, { trustProxy });
    const from = (address: string) => ({ 'X-Forwarded-For': address });
    const qr = (address: string) => call(url, '/api/auth/generate-qr', { headers: from(address) });
    expect((await qr('192.0.2.1')).status).toBe(200);
    expect((await qr('192.0.2.2')).status).toBe(200);
    await expectLimited(qr('192.0.2.1'), 60);

    const anew = (address: string, deviceId: string) =>
      register(aSocket(url, { extraHeaders: from(address) }), deviceId);
    expect(await anew('192.0.2.1', 'a')).toMatchObject({ ok: true });
    expect(await anew('192.0.2.2', 'b')).toMatchObject({ ok: true });
    expect(await anew('192.0.2.1', 'c')).toMatchObject({ code: 'rate_limited' });
  },
);

test('with one trusted hop, an address that the client put before the proxy’s does not count', async () => {
  const { url } = await aServer({ qrCodesPerMinute: 1 }, { trustProxy: 1 });
  const qr = (forwarded: string) => call(url, '/api/auth/generate-qr', { headers: { 'X-Forwarded-For': forwarded } });
  expect((await qr('198.51.100.1, 192.0.2.1')).status).toBe(200);
  await expectLimited(qr('198.51.100.2, 192.0.2.1'), 60);
});

test('IPv6 addresses of one network of 64 bits are one', async () => {
  const { url } = await aServer({ qrCodesPerMinute: 1 }, { trustProxy: 1 });
  const qr = (address: string) => call(url, '/api/auth/generate-qr', { headers: { 'X-Forwarded-For': address } });
  for (const address of ['2001:db8:0:1::1', '2001:db8:0:2::1', '192.0.2.1']) expect((await qr(address)).status).toBe(200); // prettier-ignore
  for (const address of ['2001:db8:0:1:ffff::2', '2001:DB8:0:0002::3', '::ffff:192.0.2.1'])
    await expectLimited(qr(address), 60);
  expect((await qr('::ffff:192.0.2.2')).status).toBe(200);
});

test.each([
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
  ['::', '0:0:0:0::/64'],
  ['::ffff:c000:201', '192.0.2.1'],
  ['192.0.2.1', '192.0.2.1'],
  ['', ''],
])('the address %s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

// Sockets that have not said who they are

const gone = (client: Client) =>
  client.until(() => client.all('disconnect').length + client.all('connect_error').length > 0, 'the end');

test('sockets that have not signed in are limited in number an address; those that have are not counted', async () => {
  const { url } = await aServer({ maxUnauthenticatedPerAddress: 2 });
  const phones = [await aPhone(url), await aPhone(url), await aPhone(url)];
  const [first, second] = [aSocket(url), aSocket(url)];
  await first.connected();
  await second.connected();
  const third = aSocket(url);
  await gone(third);
  expect(third.socket.connected).toBe(false);
  expect(first.socket.connected && second.socket.connected).toBe(true);

  // One that signs in makes room for another.
  await register(first, 'room');
  await aSocket(url).connected();
  for (const handset of phones) await handset.settled();
});

test('one that leaves makes room for another', async () => {
  const { url } = await aServer({ maxUnauthenticatedPerAddress: 1 });
  for (let i = 0; i < 5; i++) {
    // The server notices that one left a moment after it did.
    for (let client = aSocket(url); ; client = aSocket(url)) {
      const event = await client.until(() => client.received[0]?.event);
      client.close();
      if (event === 'connect') break;
    }
  }
});

test('a socket that has not signed in is limited in bytes; one that has is not', async () => {
  const { url } = await aServer({ maxUnauthenticatedBytes: 1024 });
  const stranger = aSocket(url);
  await stranger.connected();
  for (let i = 0; i < 3; i++) stranger.socket.emit('web:request-sync', { padding: 'x'.repeat(500) });
  await gone(stranger);

  const handset = await aPhone(url);
  const long = message({ body: 'x'.repeat(10_000) });
  expect(await handset.send('mobile:messages', { messages: [long, message()] })).toMatchObject({ ok: true, stored: 2 });
});

test('a socket that has not signed in is limited in time; one that has is not', async () => {
  const { url } = await aServer({ unauthenticatedMs: 300 });
  const handset = await aPhone(url);
  const stranger = aSocket(url);
  await stranger.connected();
  await gone(stranger);
  expect(handset.socket.connected).toBe(true);
  await handset.settled();
});

// Bounds

const bounds = { maxBatch: 2, maxTextLength: 200, maxFrameBytes: 4000, maxBodyBytes: 2000 };

let bounded: TestServer;
beforeAll(async () => {
  bounded = await TestServer.start({ limits: bounds });
});
afterAll(() => bounded.stop());

/** Something nested as deep as that. */
const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) });

test.each<[string, ErrorCode, (handset: PhoneClient) => [string, unknown]]>([
  [
    'a frame over MAX_FRAME_BYTES',
    'payload_too_large',
    () => ['mobile:messages', { messages: [], x: 'x'.repeat(4001) }],
  ],
  [
    'a batch over MAX_BATCH',
    'batch_too_large',
    () => ['mobile:messages', { messages: [message(), message(), message()] }],
  ],
  [
    'a batch of conversations over MAX_BATCH',
    'batch_too_large',
    () => ['mobile:conversations', { conversations: [1, 2, 3] }],
  ],
  [
    'a text over MAX_TEXT_LENGTH',
    'string_too_long',
    () => ['mobile:messages', { messages: [message({ body: 'x'.repeat(201) })] }],
  ],
  ['an id over 255', 'string_too_long', () => ['mobile:messages', { messages: [message({ id: 'x'.repeat(256) })] }]],
  ['an id with NUL', 'invalid_string', () => ['mobile:messages', { messages: [message({ id: 'a\0' })] }]],
  ['an id with half a character', 'invalid_string', () => ['message:deleted', { messageId: '\ud83d' }]],
  ['nesting over 8', 'nesting_too_deep', () => ['mobile:messages', { messages: [], x: nested(9) }]],
  ['a list where an object goes', 'invalid_payload', () => ['mobile:messages', []]],
  ['a text where an object goes', 'invalid_payload', () => ['mobile:messages', 'hello']],
  ['a message without an id', 'invalid_payload', () => ['mobile:messages', { messages: [message({ id: undefined })] }]],
  ['a status that is none', 'invalid_payload', () => ['mobile:message-status', { messageId: 'm', status: 'eaten' }]],
  ['an event that is none', 'unknown_event', () => ['mobile:dance', {}]],
])('%s: %s', async (_what, code, make) => {
  const { url } = bounded;
  const handset = await aPhone(url);
  const [event, payload] = make(handset);
  const body = {
    success: false,
    code,
    message: expect.stringContaining(relayError(code).message),
    error: expect.any(String),
    requestId: expect.any(String),
  };
  expect(await handset.send(event, payload)).toEqual({ ok: false, ...body });
  handset.socket.emit(event, payload);
  expect(await handset.next('error')).toEqual(body);

  // It was refused whole, and the connection goes on.
  expect(await handset.send('mobile:messages', { messages: [message({ body: 'x'.repeat(200) })] })).toMatchObject({
    new: 1,
  });
  const { body: stored } = await call(url, '/api/snapshot', { token: handset.deviceToken });
  expect(stored.changes.filter(({ kind }: { kind: string }) => kind === 'message')).toHaveLength(1);
});

test('an error names the field, never what was in it', async () => {
  const { url } = bounded;
  const handset = await aPhone(url);
  const ack = await handset.send('mobile:messages', {
    messages: [message(), message({ phoneNumber: { no: '+15550142' } })],
  });
  expect(ack.message).toBe('The payload does not fit this event: messages.1.phoneNumber');
  expect(JSON.stringify(ack)).not.toContain('15550142');
});

/** Bytes in use once all that can go has gone. */
function inUse(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('a connection takes little memory, client and all', async () => {
  const { url } = await aServer({ maxUnauthenticatedPerAddress: 1000 });
  const open = async (count: number) => Promise.all(Array.from({ length: count }, () => aSocket(url).connected()));
  await open(20);
  const before = inUse();
  await open(200);
  expect((inUse() - before) / 200).toBeLessThan(120_000);
});

test('work of one key is done so much at once, in its order, whatever becomes of what was before', async () => {
  const slots = new Slots(2);
  const begun: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const take = (key: string, name: string) =>
    slots.take(key, () => {
      begun.push(name);
      return new Promise<string>((resolve, reject) => ends.set(name, (error) => (error ? reject(error) : resolve(name)))); // prettier-ignore
    });
  const [a, b, c, d, other] = [take('k', 'a'), take('k', 'b'), take('k', 'c'), take('k', 'd'), take('l', 'other')];
  expect(begun).toEqual(['a', 'b', 'other']);
  ends.get('b')!(new Error('failed'));
  await expect(b).rejects.toThrow('failed');
  // Whoever comes now is behind those that wait.
  const e = take('k', 'e');
  expect(begun).toEqual(['a', 'b', 'other', 'c']);
  for (const [name, done] of [
    ['a', a],
    ['c', c],
    ['d', d],
    ['e', e],
    ['other', other],
  ] as const) {
    ends.get(name)!();
    expect(await done).toBe(name);
  }
  expect(begun).toEqual(['a', 'b', 'other', 'c', 'd', 'e']);
});

test('a frame past twice MAX_FRAME_BYTES ends the connection while it is being read', async () => {
  const { url } = bounded;
  const handset = await aPhone(url);
  handset.socket.emit('mobile:messages', { messages: [], x: 'x'.repeat(8001) });
  await handset.next('disconnect');
  await aPhone(url, handset);
});

const post = (url: string, body: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/api/auth/verify`, {
    method: 'POST',
    body,
    headers: { 'Content-Type': 'application/json', ...headers },
  });

test.each<[string, number, ErrorCode, (url: string) => Promise<Response>]>([
  ['a body over MAX_BODY_BYTES', 413, 'payload_too_large', (url) => post(url, JSON.stringify({ x: 'x'.repeat(2000) }))],
  ['a body that is no JSON', 400, 'malformed_json', (url) => post(url, '{"sessionToken":')],
  ['a body that is a bare word', 400, 'malformed_json', (url) => post(url, 'hello')],
  [
    'a charset that is none',
    400,
    'bad_request',
    (url) => post(url, '{}', { 'Content-Type': 'application/json; charset=klingon' }),
  ],
  ['an encoding that is none', 400, 'bad_request', (url) => post(url, '{}', { 'Content-Encoding': 'zip' })],
  ['a field that does not fit', 400, 'bad_request', (url) => post(url, '{"sessionToken":[1]}')],
  ['no token', 400, 'token_required', (url) => post(url, '{}')],
  ['a wrong token', 401, 'authentication_failed', (url) => post(url, '{"sessionToken":"x"}')],
  ['no session', 401, 'not_authenticated', (url) => fetch(`${url}/api/devices`)],
  ['no such route', 404, 'route_not_found', (url) => fetch(`${url}/nowhere`)],
  ['no such method', 404, 'route_not_found', (url) => fetch(`${url}/api/auth/verify`, { method: 'DELETE' })],
  ['a path that does not decode', 400, 'bad_request', (url) => fetch(`${url}/api/devices/%E0%A4%A`)],
])('REST: %s: %s %s in the one error body', async (_what, status, code, request) => {
  const { url } = bounded;
  const response = await request(url);
  const body = (await response.json()) as { message: string; error: string; requestId: string };
  expect([response.status, body]).toEqual([
    status,
    {
      success: false,
      code,
      message: expect.stringContaining(relayError(code).message),
      error: body.message,
      requestId: response.headers.get('x-request-id'),
    },
  ]);
});

test('a query that does not fit: 400', async () => {
  const { url } = await aServer();
  const { deviceToken: token } = await aPhone(url);
  for (const query of [
    'after=-1',
    'after=x',
    'after=1.5',
    'limit=0',
    'limit=1001',
    'wait=61',
    'after=1e99',
    'after=1&after=2',
  ]) {
    const { status, body } = await call(url, `/api/changes?${query}`, { token });
    expect([query, status, body.code]).toEqual([query, 400, 'bad_request']);
  }
});

test('every code of the catalogue is snake_case, and its error has the one body', () => {
  const source = readFileSync(new URL('../src/errors.ts', import.meta.url), 'utf8');
  const codes = [...source.matchAll(/^ {2}(\S+): \[\d{3}, /gm)].map(([, code]) => code as ErrorCode);
  expect(codes.length).toBeGreaterThan(30);
  for (const code of codes) {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    const error = relayError(code);
    expect(error.toBody('an id')).toEqual({
      success: false,
      code,
      message: error.message,
      error: error.message,
      requestId: 'an id',
    });
    expect(error.message).toMatch(/^[A-Za-z].*[^.]$/);
    expect(error.status).toBeGreaterThanOrEqual(400);
  }
});
