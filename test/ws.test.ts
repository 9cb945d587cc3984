import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { JwtService } from '@nestjs/jwt';
import { Connections } from '../src/delivery/connections.js';
import { createLog } from '../src/log.js';
import { Accounts } from '../src/sessions/accounts.service.js';
import { Tokens } from '../src/sessions/tokens.js';
import { browser, call, Client, message, pair, phone, type PhoneClient } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { untilFigure } from './support/metrics.js';
import { RawWebSocket, request, requestBytes, type RawRequest } from './support/raw.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { runTypeScript } from './support/spawn.js';
import { WsClient, type WsOptions } from './support/ws.js';

// What is of `/ws` alone: signing in, frames, close codes. That every event works as over Socket.IO is in transports.test.ts.

const UNLIMITED = { registrationsPerHour: 0, qrCodesPerMinute: 0, wrongTokensPerMinute: 0 };

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start({ limits: UNLIMITED });
  url = server.url;
});
afterEach(cleanUp);
afterAll(() => server.stop());

async function aServer({ limits, ...options }: ServerOptions = {}): Promise<TestServer> {
  const started = await TestServer.start({ ...options, limits: { ...UNLIMITED, ...limits } });
  later(() => started.stop());
  return started;
}

function open(options?: WsOptions, at = url): WsClient {
  const client = new WsClient(at, options);
  later(() => client.socket.terminate());
  return client;
}

async function connected(options?: WsOptions, at = url): Promise<WsClient> {
  const client = open(options, at);
  await client.connected();
  return client;
}

interface Pair {
  handset: PhoneClient;
  token: string;
}

async function aPair(at = url): Promise<Pair> {
  const handset = await phone(at);
  later(() => handset.close());
  return { handset, token: await pair(at, handset) };
}

const known = ({ deviceId, deviceToken }: PhoneClient) => ({ deviceId, deviceToken });

/** Signed in and served: `session-restored` has come. */
async function aDevice(token: string, at = url): Promise<WsClient> {
  const client = open({ query: { token } }, at);
  await client.next('session-restored');
  return client;
}

describe('a token signs in', () => {
  const ways: [string, (token: string) => Promise<WsClient>][] = [
    ['in the address', async (token) => open({ query: { token } })],
    ['in the header Authorization', async (token) => open({ headers: { Authorization: `Bearer ${token}` } })],
    ['in a first message', async (token) => {
      const client = await connected();
      client.emit('authenticate', { token });
      return client;
    }], // prettier-ignore
  ];

  test.each(ways)('%s', async (_way, signIn) => {
    const { handset, token } = await aPair();
    const client = await signIn(token);
    await client.next('session-restored');
    const accountId = expect.any(String);
    expect(client.received[0]!.event).toBe('connect');
    expect(client.received[1]).toEqual({
      event: 'authenticated',
      payload: { success: true, deviceId: handset.deviceId, sessionId: expect.any(String), accountId },
    });
    expect(await client.send('session-update', { sessionKey: 'k', state: 1 })).toMatchObject({ ok: true });
  });

  test.each(ways)('%s, and one that is not good ends the connection with 4001', async (_way, signIn) => {
    const { token } = await aPair();
    for (const wrong of ['guess', `${token.slice(0, -4)}AAAA`]) {
      const client = await signIn(wrong);
      expect(await client.ended()).toEqual({ code: 4001, reason: 'Authentication failed' });
      expect(client.all('error')).toMatchObject([{ success: false, code: 'authentication_failed' }]);
    }
  });

  test('in a first message, which may ask for an ack and say where to resume', async () => {
    const { handset, token } = await aPair();
    await handset.send('mobile:messages', { messages: [message({ id: 'm1' })] });
    const client = await connected();
    const ack = await client.send('authenticate', { token, after: 0, deviceInfo: { name: 'Desk' } });
    expect(ack).toEqual({ ok: true, deviceId: handset.deviceId, sessionId: expect.any(String), accountId: expect.any(String) }); // prettier-ignore
    const { changes, cursor } = await client.next('changes');
    expect(changes.map(({ id }: { id: string }) => id)).toContain('m1');
    expect(cursor).toBeGreaterThan(0);
    expect(client.all('session-restored')).toEqual([]);
  });

  test('that was refused in a first message is acknowledged so, before the connection ends', async () => {
    const client = await connected();
    expect(await client.send('authenticate', { token: 'guess' })).toMatchObject({
      ok: false,
      code: 'authentication_failed',
    });
    expect(await client.ended()).toMatchObject({ code: 4001 });
  });

  test('once: a second one is refused, and the connection stays whose it is', async () => {
    const [mine, theirs] = [await aPair(), await aPair()];
    const client = await aDevice(mine.token);
    for (const token of [mine.token, theirs.token, 'guess'])
      expect(await client.send('authenticate', { token })).toMatchObject({ ok: false, code: 'already_authenticated' });
    await client.settled();
  });

  test('of a phone too; and what was sent before it was looked at is done after it, in order', async () => {
    const { handset, token } = await aPair();
    const web = await browser(url, token);
    later(() => web.close());
    const client = open({ query: { token: handset.deviceToken } });
    await client.connected();
    const ids = Array.from({ length: 10 }, (_, n) => `m${n}`);
    const acks = await Promise.all(ids.map((id) => client.send('mobile:messages', { messages: [message({ id })] })));
    for (const ack of acks) expect(ack).toMatchObject({ ok: true, new: 1 });
    await web.next('message:new', undefined, ids.length);
    expect(web.all('message:new').map(({ id }) => id as string)).toEqual(ids);
  });

  test('of an API key to follow the changes, and to say nothing', async () => {
    const { handset, token } = await aPair();
    const { apiKey } = (await call(url, '/api/keys', { token, body: { name: 'k', scopes: ['changes'] } })).body;
    const client = open({ query: { token: apiKey, after: '0' } });
    await handset.send('mobile:messages', { messages: [message({ id: 'm1' })] });
    await client.until(() => client.all('changes').some(({ changes }) => changes.some(({ id }: { id: string }) => id === 'm1'))); // prettier-ignore
    expect(await client.send('state:put', { key: 'k', value: 1 })).toMatchObject({ ok: false, code: 'wrong_role' });
    expect(await open({ query: { token: apiKey } }).ended()).toMatchObject({ code: 1008 });
  });

  test('with deviceInfo as the device that this says, in the address or in the message', async () => {
    const { token } = await aPair();
    const byAddress = open({ query: { token, deviceInfo: JSON.stringify({ deviceId: 'one', name: 'Desk' }) } });
    expect(await byAddress.next('session-restored')).toMatchObject({ deviceId: 'one' });
    const byMessage = await connected();
    byMessage.emit('authenticate', { token, deviceInfo: { deviceId: 'two', name: 'Tablet' } });
    expect(await byMessage.next('session-restored')).toMatchObject({ deviceId: 'two' });
    expect(await byAddress.next('device-connected')).toMatchObject({ deviceInfo: { name: 'Tablet' } });
    const half = await connected({ query: { deviceInfo: '{"deviceId":"three"}' } });
    half.emit('authenticate', { token });
    expect(await half.next('session-restored')).toMatchObject({ deviceId: 'three' });
  });

  test.each([
    ['no token', {}, 1008],
    ['a token that is no text', { token: 1 }, 1008],
    ['a cursor that is none', { token: 'right', after: -1 }, 1008],
    ['deviceInfo that is no object', { token: 'right', deviceInfo: '[' }, 1008],
    ['an empty token', { token: '' }, 4001],
    ['an empty token with deviceInfo', { token: '', deviceInfo: {} }, 4001],
    ['nothing', undefined, 1008],
    ['a list', [], 1008],
    ['a text', 'token', 1008],
  ])('%s in a first message is no sign-in', async (_what, data, code) => {
    const { token } = await aPair();
    const client = await connected();
    client.emit('authenticate', JSON.parse(JSON.stringify(data ?? null).replace('right', token)));
    expect((await client.ended()).code).toBe(code);
    expect(client.all('error')).toHaveLength(1);
  });

  test.each(['abc', '-1', '1.5', '1e400'])('a cursor in the address must be one: %s', async (after) => {
    const { token } = await aPair();
    expect(await open({ query: { token, after } }).ended()).toMatchObject({ code: 1008 });
  });

  test('the token is in no log', async () => {
    const lines: string[] = [];
    const log = createLog({ logLevel: 'trace' }, { write: (line: string) => void lines.push(line) });
    const { url: at } = await aServer({ log });
    const { token } = await aPair(at);
    await aDevice(token, at);
    const spoiled = `${token}x`;
    await open({ query: { token: spoiled } }, at).ended();
    await request(at, { path: `/ws?token=${token}` });
    await request(at, { path: `/wss?token=${token}` });
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.filter((line) => line.includes(token.split('.')[2]!))).toEqual([]);
  });
});

describe('who has not signed in', () => {
  test('is shown out after ten seconds with 1008, whatever it said; who has is not', async () => {
    const [timers, cleared] = [jest.spyOn(globalThis, 'setTimeout'), jest.spyOn(globalThis, 'clearTimeout')];
    later(() => (timers.mockRestore(), cleared.mockRestore()));
    const aGuest = async () => {
      const client = await connected();
      const call = timers.mock.calls.findLastIndex(([, ms]) => ms === 10_000);
      const { [call]: began } = timers.mock.results;
      return { client, timer: began!.value, timeIsOver: timers.mock.calls[call]![0] };
    };
    const [silent, talking, known] = [await aGuest(), await aGuest(), await aGuest()];
    await known.client.send('mobile:register', { deviceId: `phone-${randomUUID()}` });
    expect(await talking.client.send('web:request-sync')).toMatchObject({ ok: false, code: 'not_authenticated' });
    for (const { client, timeIsOver } of [silent, talking]) {
      timeIsOver();
      expect(await client.ended()).toEqual({ code: 1008, reason: 'Authentication token required' });
    }
    expect(cleared.mock.calls.map(([timer]) => timer as unknown)).toContain(known.timer);
    await known.client.settled();
  });

  test('has no more than UNAUTHENTICATED_SECONDS', async () => {
    const { url: at } = await aServer({ limits: { unauthenticatedMs: 50 } });
    expect(await open({}, at).ended()).toMatchObject({ code: 1008 });
  });

  test('is limited in bytes, of many messages and of one that never ends', async () => {
    const { url: at } = await aServer({ limits: { maxUnauthenticatedBytes: 2048 } });
    const talking = await connected({}, at);
    for (let n = 0; n < 5; n++) talking.emit('web:request-sync', { padding: 'x'.repeat(500) });
    expect(await talking.ended()).toEqual({ code: 1008, reason: 'Too many bytes before signing in' });
    const raw = (await RawWebSocket.open(at, '/ws'))!;
    raw.send({ data: 'x'.repeat(4000), length: 1_000_000 });
    await raw.next(() => false);
  });

  test('is limited in number an address, together with those of Socket.IO', async () => {
    const { url: at } = await aServer({ limits: { maxUnauthenticatedPerAddress: 2 } });
    const [first, other] = [await connected({}, at), new Client(at)];
    later(() => other.close());
    await other.connected();
    const third = open({}, at);
    expect(await third.ended()).toEqual({
      code: 1008,
      reason: 'Too many connections of this address have not signed in',
    });
    // One that signs in makes room for another.
    await first.send('mobile:register', { deviceId: 'p1' });
    const fourth = await connected({}, at);
    await fourth.settled();
  });

  test('and guesses tokens, is told to come back later with 1013', async () => {
    const { url: at } = await aServer({ limits: { wrongTokensPerMinute: 1 } });
    expect(await open({ query: { token: 'guess' } }, at).ended()).toMatchObject({ code: 4001 });
    const second = open({ query: { token: 'guess' } }, at);
    expect(await second.ended()).toMatchObject({ code: 1013 });
    expect(second.all('error')).toMatchObject([{ code: 'rate_limited', retryAfter: expect.any(Number) }]);
  });
});

describe('acks', () => {
  test.each(['a text', 17, 0, '', 1.5])('carry the id of the message: %p', async (id) => {
    const { token } = await aPair();
    const client = await aDevice(token);
    const acks: unknown[] = [];
    const both = new Promise<void>((resolve) =>
      client.socket.on('message', (data: Buffer) => {
        const frame = JSON.parse(data.toString());
        if (frame.type === 'ack' && acks.push(frame) === 2) resolve();
      }),
    );
    client.write({ type: 'state:put', data: { key: 'k', value: 1 }, id });
    client.write({ type: 'state:delete', data: { key: 'never was' }, id });
    await both;
    expect(acks).toEqual([
      { type: 'ack', id, data: { ok: true, seq: expect.any(Number) } },
      { type: 'ack', id, data: { ok: false, success: false, code: 'not_found', message: 'Not found', error: 'Not found', requestId: expect.any(String) } }, // prettier-ignore
    ]);
  });

  test('of what the server asks about are taken once, by id; others are ignored', async () => {
    const { handset, token } = await aPair();
    handset.close();
    const client = await connected();
    await client.send('mobile:register', known(handset));
    const web = await browser(url, token);
    later(() => web.close());
    const ids: unknown[] = [];
    client.socket.on('message', (data: Buffer) => {
      const { type, id } = JSON.parse(data.toString());
      if (type === 'send:message') ids.push(id);
    });
    await web.send('web:send-message', { phoneNumber: '+1555', message: 'Hi', tempId: 't1' });
    await client.next('send:message');
    const [id] = ids;
    for (const other of [undefined, 'x', 99, '__proto__', String(id)])
      client.write({ type: 'ack', id: other, data: { ok: true } });
    client.write({ type: 'ack' });
    await client.settled();
    expect(web.all('message:status')).toEqual([]);
    for (let n = 0; n < 2; n++) client.write({ type: 'ack', id, data: { ok: true } });
    expect(await web.next('message:status')).toMatchObject({ messageId: 't1', status: 'sending' });
    await client.settled();
    await web.settled();
    expect(web.all('message:status')).toHaveLength(1);
  });
});

describe('what is no message', () => {
  const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
  const unfit: [string, string | Buffer][] = [
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['half of it', '{"type":"state:put"'],
    ['a list', '["state:put",{}]'],
    ['null', 'null'],
    ['a number', '1'],
    ['a text', '"state:put"'],
    ['no type', '{"data":{}}'],
    ['a type that is no text', '{"type":{"toString":1}}'],
    ['an id that is an object', '{"type":"state:put","id":{}}'],
    ['an id that is no number any more', '{"type":"state:put","id":1e400}'],
    ['an id that is too long', JSON.stringify({ type: 'state:put', id: 'x'.repeat(129) })],
    ['bytes', Buffer.from('{"type":"state:put","data":{}}')],
    ['deep nesting', deep(500_000)],
  ];

  test.each(unfit)('is told so, and the connection goes on: %s', async (_what, bytes) => {
    const { token } = await aPair();
    const client = await aDevice(token);
    client.write(bytes);
    expect(await client.next('error')).toEqual({
      success: false,
      code: 'invalid_frame',
      message: 'A message must be one JSON object {type, data, id?}',
      error: 'A message must be one JSON object {type, data, id?}',
      requestId: expect.any(String),
    });
    expect(await client.send('state:put', { key: 'k', value: 1 })).toMatchObject({ ok: true });
  });

  test.each([
    ['an unknown type', 'no-such-event', {}, 'unknown_event'],
    ['a name of JavaScript', '__proto__', {}, 'unknown_event'],
    ['another', 'constructor', {}, 'unknown_event'],
    ['an event of the server', 'changes', {}, 'unknown_event'],
    ['data that does not fit', 'state:put', { key: 1 }, 'invalid_payload'],
    ['data that is a list', 'state:put', [], 'invalid_payload'],
    ['data that is a text', 'state:put', 'k', 'invalid_payload'],
    ['data that is nested too deeply', 'state:put', { key: 'k', value: JSON.parse(deep(50)) }, 'nesting_too_deep'],
    ['a text that is too long', 'web:send-message', { phoneNumber: '1', message: 'x'.repeat(65_537), tempId: 't' }, 'string_too_long'], // prettier-ignore
    ['a value that is too large', 'state:put', { key: 'k', value: 'x'.repeat(300_000) }, 'payload_too_large'],
    ['a message that is too large', 'state:put', { key: 'k', value: 'x'.repeat(5_000_000) }, 'payload_too_large'],
    ['a NUL', 'state:put', { key: 'a\0b', value: 1 }, 'invalid_string'],
    ['an event of phones', 'mobile:messages', { messages: [] }, 'wrong_role'],
  ])('%s is refused, with an ack and without', async (_what, type, data, code) => {
    const { token } = await aPair();
    const client = await aDevice(token);
    expect(await client.send(type, data)).toMatchObject({ ok: false, success: false, code });
    client.emit(type, data);
    expect(await client.next('error')).toMatchObject({ success: false, code });
    await client.settled();
  });

  test('may come in fragments, and still be one', async () => {
    const { token } = await aPair();
    const raw = (await RawWebSocket.open(url, `/ws?token=${token}`))!;
    later(() => raw.close());
    const text = JSON.stringify({ type: 'state:put', data: { key: 'k', value: 'ü' }, id: 1 });
    raw.send({ data: text.slice(0, 20), final: false });
    raw.send({ data: 'Ping', opcode: 9 });
    raw.send({ data: text.slice(20), opcode: 0 });
    const ack = await raw.next((told) => told.includes('"ack"'));
    expect(JSON.parse(ack!)).toEqual({ type: 'ack', id: 1, data: { ok: true, seq: expect.any(Number) } });
  });

  test.each([
    ['text that is no UTF-8', 1007, { data: Buffer.from([0xff, 0xfe]), opcode: 1 }],
    ['a frame without a mask', 1002, { data: '{}', masked: false }],
    ['reserved bits', 1002, { data: '{}', reserved: 4 }],
    ['an opcode that is none', 1002, { data: '{}', opcode: 3 }],
    ['a continuation of nothing', 1002, { data: '{}', opcode: 0 }],
    ['a message past all bounds', 1009, { data: 'x', length: 100_000_000 }],
  ])('%s ends the connection, and no other', async (_what, code, frame) => {
    const { token } = await aPair();
    const other = await aDevice(token);
    const raw = (await RawWebSocket.open(url, `/ws?token=${token}`))!;
    await raw.next((text) => text.includes('session-restored'));
    raw.send(frame);
    await raw.next(() => false);
    expect(raw.closeCode).toBe(code);
    await other.settled();
  });
});

describe('the connection ends', () => {
  test('with 4002 when its session is revoked, or its account deleted', async () => {
    const { handset, token } = await aPair();
    const client = await aDevice(token);
    const { sessionId } = client.all('authenticated')[0];
    expect(
      (await call(url, `/api/devices/${sessionId}`, { token: handset.deviceToken, method: 'DELETE' })).status,
    ).toBe(200);
    expect(await client.ended()).toEqual({ code: 4002, reason: 'This device was removed' });
    expect(client.all('error')).toMatchObject([{ code: 'device_revoked' }]);
    const other = await aDevice(await pair(url, handset));
    server.app.get(Accounts).events.emit('account.deleted', other.all('authenticated')[0].accountId);
    expect(await other.ended()).toMatchObject({ code: 4002 });
  });

  test('with 4001 when it comes with a token whose time is over', async () => {
    const { token } = await aPair();
    const { sub, sid, ...claims } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
    const expired = new JwtService({ secret: server.env.jwtSecret }).sign({ ...claims, sub, sid, exp: claims.iat - 1 });
    expect(await open({ query: { token: expired } }).ended()).toMatchObject({ code: 4001 });
  });

  test('with 4003 when a newer connection of the same phone takes over, of either transport', async () => {
    const { handset } = await aPair();
    handset.close();
    const first = await connected();
    await first.send('mobile:register', known(handset));
    const second = await phone(url, handset);
    later(() => second.close());
    expect(await first.ended()).toEqual({ code: 4003, reason: 'A newer connection of this device took over' });
    const third = open({ query: { token: handset.deviceToken } });
    expect(await second.next('error')).toMatchObject({ code: 'replaced' });
    await third.settled();
  });

  test('with 4005 when its cursor is past all changes there are', async () => {
    const { token } = await aPair();
    const client = open({ query: { token, after: '1000000' } });
    expect(await client.ended()).toMatchObject({ code: 4005 });
    expect(client.all('error')).toMatchObject([{ code: 'cursor_expired' }]);
  });

  test('with 1011 when the server fails, without a word about why', async () => {
    const tokens = jest.spyOn(server.app.get(Tokens), 'authenticate').mockRejectedValue(new Error('a secret'));
    later(() => tokens.mockRestore());
    const client = open({ query: { token: 'x' } });
    expect(await client.ended()).toEqual({ code: 1011, reason: 'Something went wrong' });
  });

  test('with 1001 when the server stops, after what was under way has been answered', async () => {
    const stopping = await TestServer.start({ limits: UNLIMITED });
    const { handset, token } = await aPair(stopping.url);
    const [client, stranger] = [await aDevice(token, stopping.url), await connected({}, stopping.url)];
    const ack = client.send('state:put', { key: 'k', value: 1 });
    await handset.settled();
    const stopped = stopping.stop();
    expect(await ack).toMatchObject({ ok: true });
    expect(await client.ended()).toEqual({ code: 1001, reason: 'The server is stopping, connect again' });
    expect(client.all('error')).toMatchObject([{ code: 'stopping' }]);
    expect(await stranger.ended()).toMatchObject({ code: 1001 });
    await stopped;
  });

  test('with 1001 when the server stops, which does not wait for those who come back at once', async () => {
    const stopping = await TestServer.start({ limits: UNLIMITED });
    const { url: at } = stopping;
    const [slow, quick] = [await connected({}, at), await connected({}, at)];
    slow.socket.pause();
    const since = performance.now();
    const stopped = stopping.stop();
    await quick.ended();
    const late = await connected({}, at);
    slow.socket.resume();
    await stopped;
    expect(performance.now() - since).toBeLessThan(4500);
    expect(await slow.ended()).toMatchObject({ code: 1001 });
    expect(await late.ended()).toMatchObject({ code: 1006 });
  });

  test('with 4004 when it is too slow, and it resumes without a gap', async () => {
    const { url: at } = await aServer({ limits: { maxBufferedBytes: 65_536 } });
    const { handset, token } = await aPair(at);
    const client = await aDevice(token, at);
    client.emit('web:authenticate', { sessionToken: token });
    await client.next('mobile:connected');
    client.socket.pause();
    const body = randomBytes(30_000).toString('hex');
    const ids: string[] = [];
    // It holds what it was sent and nothing more; the rest is in the tables.
    for (let n = 0; n < 200; n++) {
      ids.push(`m${n}`);
      await handset.send('mobile:messages', { messages: [message({ id: `m${n}`, body })] });
    }
    client.socket.resume();
    expect(await client.ended()).toMatchObject({ code: 4004 });
    expect(client.received.at(-2)).toMatchObject({ event: 'error', payload: { code: 'resume_required' } });
    const told = client.all('message:new').map(({ id }) => id as string);
    expect(told).toEqual(ids.slice(0, told.length));
    expect(told.length).toBeLessThan(ids.length);

    const back = open({ query: { token, after: '0' } }, at);
    const seen = () => back.all('changes').flatMap(({ changes }) => changes.filter(({ kind }: { kind: string }) => kind === 'message').map(({ id }: { id: string }) => id)); // prettier-ignore
    await back.until(() => seen().length >= ids.length || undefined);
    expect(seen()).toEqual(ids);
  });

  test('when it no longer answers pings; one that does stays', async () => {
    const timers = jest.spyOn(globalThis, 'setTimeout');
    later(() => timers.mockRestore());
    const newest = (ms: number) => timers.mock.calls.findLast(([, delay]) => delay === ms)?.[0];
    const { token } = await aPair();
    const alive = open({ query: { token } });
    const pinged = new Promise((resolve) => alive.socket.once('ping', resolve));
    await alive.next('session-restored');
    const waits = () => timers.mock.calls.filter(([, delay]) => delay === 25_000).length;
    const before = waits();
    newest(25_000)!();
    await pinged;
    await alive.settled();
    expect(waits()).toBe(before + 1);

    const dead = open({ query: { token }, autoPong: false });
    const asked = new Promise((resolve) => dead.socket.once('ping', resolve));
    await dead.next('session-restored');
    newest(25_000)!();
    await asked;
    // Whatever comes says that it is alive: an answer may be stuck behind it.
    await dead.settled();
    newest(20_000)!();
    await dead.settled();
    newest(25_000)!();
    newest(20_000)!();
    expect(await dead.ended()).toMatchObject({ code: 1006 });
    await alive.settled();
  });

  test('and it is not counted any more', async () => {
    const { url: at } = await aServer();
    const { handset, token } = await aPair(at);
    handset.close();
    await untilFigure(at, 'pairline_sockets{kind="phone"}', 0);
    const [one, two] = [await aDevice(token, at), await aDevice(token, at)];
    expect((await call(at, '/api/health')).body.activeConnections).toBe(2);
    one.close();
    two.socket.terminate();
    await untilFigure(at, 'pairline_sockets{kind="browser"}', 0);
  });
});

test('who cannot send pings of the protocol says `ping`, signed in or not', async () => {
  const { token } = await aPair();
  for (const client of [await connected(), await aDevice(token)]) {
    client.write({ type: 'ping' });
    await client.until(() => client.all('pong').length > 0);
  }
});

test('messages are never compressed, whatever the client offers', async () => {
  const client = await connected({ perMessageDeflate: true });
  expect(client.socket.extensions).toBe('');
});

describe('an upgrade is refused', () => {
  const wanted = (path: string, headers = {}): RawRequest => {
    const key = randomBytes(16).toString('base64');
    const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' };
    return { path, headers: { ...upgrade, 'Sec-WebSocket-Key': key, ...headers } };
  };
  const refused: [string, string, RawRequest, number, string][] = [
    ['of another path', '/wss', wanted('/wss'), 404, 'route_not_found'],
    ['of a longer path', '/ws/', wanted('/ws/'), 404, 'route_not_found'],
    ['of no path', '/', wanted('/'), 404, 'route_not_found'],
    ['of a page of another origin', '/ws', wanted('/ws', { Origin: 'https://evil.example' }), 403, 'origin_refused'],
  ];

  test.each(refused)('%s: %s', async (_what, _path, upgrade, status, code) => {
    const reply = (await request(url, upgrade))!;
    const requestId = expect.stringMatching(/./);
    expect(reply).toMatchObject({ status, headers: { 'x-request-id': requestId } });
    expect(JSON.parse(reply.body)).toMatchObject({ success: false, code, requestId: reply.headers['x-request-id'] });
  });

  test.each(refused)('%s, and the connection is over, also for who keeps its side of it open: %s', async (_what, _path, upgrade) => {
    const arrived = once(server.app.getHttpServer(), 'connection') as Promise<[Socket]>;
    const client = connect({ port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true });
    later(() => client.destroy());
    client.resume().write(requestBytes(upgrade));
    const [socket] = await arrived;
    if (!socket.closed) await once(socket, 'close');
  }); // prettier-ignore
});

describe('a page of another origin', () => {
  const refused = async (origin: string, at = url) => {
    const client = open({ origin }, at);
    const error = await client.next<Error>('connect_error');
    return error.message;
  };
  const own = () => url;

  test('may not connect unless CORS_ORIGIN names it', async () => {
    for (const origin of ['https://evil.example', 'null', 'http://127.0.0.1:1', `${own()}.evil.example`])
      expect(await refused(origin)).toContain('403');
    await connected({ origin: own() });
    await connected();
  });

  test('that CORS_ORIGIN names may, and no other', async () => {
    const { url: at } = await aServer({ corsOrigin: ['https://app.example'] });
    await connected({ origin: 'https://app.example' }, at);
    await connected({ origin: at }, at);
    for (const origin of ['https://app.example.evil', 'http://app.example', 'https://other.example'])
      expect(await refused(origin, at)).toContain('403');
  });

  test('may with CORS_ORIGIN=*, and one of PUBLIC_URL always', async () => {
    await connected({ origin: 'https://evil.example' }, (await aServer({ corsOrigin: true })).url);
    const { url: at } = await aServer({ publicUrl: 'https://sms.example.org/texts' });
    await connected({ origin: 'https://sms.example.org' }, at);
    expect(await refused('https://sms.example.com', at)).toContain('403');
  });
});

test('docs/examples/websocket.mjs: what one puts is in the other, before and after it was cut off', async () => {
  const person = { email: 'ann@example.org', password: 'a long password' };
  expect((await call(url, '/api/auth/register', { body: person })).status).toBe(201);
  const start = (...put: string[]) => {
    const args = [url, person.email, person.password, ...put];
    const example = runTypeScript('docs/examples/websocket.mjs', { args });
    later(() => example.end());
    return example;
  };
  const one = start('theme', 'very dark');
  await one.line((line) => line === 'theme = "very dark"');
  await start().line((line) => line === 'theme = "very dark"');

  const connections = server.app.get(Connections);
  for (const { session } of [...connections.all()]) connections.recall(session!.account.id);
  await one.line((line) => line.startsWith('4004 '));
  start('theme', 'light');
  await one.line((line) => line === 'theme = "light"');
  expect(one.output().split('\n').filter((line) => line === 'theme = "very dark"')).toHaveLength(1); // prettier-ignore
});

test('docs/examples/websocket.mjs ends when its session does, and says why', async () => {
  const person = { email: 'bea@example.org', password: 'a long password' };
  const { body } = await call(url, '/api/auth/register', { body: person });
  const example = runTypeScript('docs/examples/websocket.mjs', { args: [url, person.email, person.password, 'a', 'b'] }); // prettier-ignore
  later(() => example.end());
  await example.line((line) => line === 'a = "b"');
  const { devices } = (await call(url, '/api/devices', { token: body.token })).body;
  const other = devices.find(({ current }: { current: boolean }) => !current);
  await call(url, `/api/devices/${other.id}`, { token: body.token, method: 'DELETE' });
  expect(await example.exited).toBe(1);
  expect(example.output()).toContain('4002 ');
});
