import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { AccountKey } from '../src/changes/account-key.js';
import { Accounts } from '../src/sessions/accounts.service.js';
import { ApiKeys } from '../src/sessions/api-keys.js';
import { Devices, type SignInDevice } from '../src/sessions/devices.service.js';
import type { Session } from '../src/sessions/session.js';
import { Tokens } from '../src/sessions/tokens.js';
import { Connections } from '../src/delivery/connections.js';
import { Peer } from '../src/delivery/peer.js';
import { States } from '../src/sync/state.service.js';
import { browser, call, Client, follower, message, pair, phone } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { untilFigure } from './support/metrics.js';
import { createTestDatabase } from './support/postgres.js';
import { RawWebSocket } from './support/raw.js';
import { TestServer, type ServerOptions } from './support/server.js';
import type { Page } from './support/views.js';

const limits = { qrCodesPerMinute: 0, registrationsPerHour: 0, wrongTokensPerMinute: 0 };
let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits });
});
afterEach(cleanUp);
afterAll(() => server.stop());

interface SignedIn {
  account: AccountKey;
  session: Session;
  token: string;
  deviceId: string;
}

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start(options);
  later(() => started.stop());
  return started;
}

/** Somebody with an email, signed in on a device. */
async function aPerson(of = server, realm = 'default'): Promise<SignedIn> {
  return signIn(await of.app.get(Accounts).create(realm, { email: `${randomUUID()}@example.org` }), of);
}

async function signIn(account: AccountKey, of = server, device: SignInDevice = { name: 'Laptop' }): Promise<SignedIn> {
  const { session, generation } = await of.app.get(Devices).signIn(account, device, new Date(Date.now() + 3_600_000));
  return { account, session, token: of.app.get(Tokens).sign(session, generation), deviceId: session.deviceId };
}

const kept = <T extends Client>(client: T): T => (later(() => client.close()), client);

/** As clients of section B connect; text is sent as it is. */
function open(token: unknown, deviceInfo?: object | string, url = server.url): Client {
  const text = typeof deviceInfo === 'object' ? JSON.stringify(deviceInfo) : deviceInfo;
  return kept(new Client(url, { auth: { token }, query: text === undefined ? {} : { deviceInfo: text } }));
}

async function live(token: string, deviceInfo?: object, url = server.url): Promise<Client> {
  const client = open(token, deviceInfo, url);
  await client.next('session-restored');
  return client;
}

const update = (client: Client, sessionKey: string, state: unknown) =>
  client.send('session-update', { sessionKey, state });
const devicesOf = async (token: string, url = server.url) =>
  (await call<{ devices: { id: string; name: string; [field: string]: unknown }[] }>(url, '/api/devices', { token })).body.devices; // prettier-ignore
const sessionData = async (token: string, url = server.url) =>
  (await call<{ sessionData: Record<string, unknown> }>(url, '/api/session', { token })).body.sessionData;
const seqOf = async ({ account }: SignedIn) =>
  Number((await query(server.database.url, 'SELECT seq FROM accounts WHERE id = $1', [account.id]))[0]!.seq); // prettier-ignore

describe('a handshake with deviceInfo', () => {
  test.each([
    ['no token', undefined, 'Authentication token required', 'token_missing'],
    ['null for a token', null, 'Authentication token required', 'token_missing'],
    ['an empty token', '', 'Authentication token required', 'token_missing'],
    ['a made-up token', 'guess', 'Invalid or expired token', 'invalid_token'],
    ['a token that is no text', { a: 1 }, 'Invalid or expired token', 'invalid_token'],
  ])('and %s is refused with the sentence that clients look for', async (_what, token, sentence, code) => {
    const error = await open(token, { name: 'Laptop', type: 'web' }).next('connect_error');
    expect(error.message).toBe(sentence);
    expect(error.data).toMatchObject({ success: false, code, message: sentence });
  });

  test('and the token of a device that was removed is refused the same way', async () => {
    const person = await aPerson();
    await server.app.get(Devices).revoke(person.session, person.deviceId);
    expect((await open(person.token, { name: 'x' }).next('connect_error')).message).toBe('Invalid or expired token');
  });

  test('without deviceInfo the sentences are those of every handshake', async () => {
    expect((await open('guess').next('connect_error')).message).toBe('Authentication failed');
    await kept(new Client(server.url)).connected();
  });

  test.each([
    ['no JSON', '{"name":'],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['a text', '"Laptop"'],
    ['a name that is no text', '{"name":5}'],
    ['a name too long', JSON.stringify({ name: 'x'.repeat(201) })],
    ['a type too long', JSON.stringify({ type: 'x'.repeat(65) })],
    ['an id that is no text', '{"deviceId":{}}'],
    ['an empty id', '{"deviceId":""}'],
    ['an id too long', JSON.stringify({ deviceId: 'x'.repeat(129) })],
    ['an id that cannot be stored', JSON.stringify({ deviceId: 'a\0b' })],
    ['an id of half a character', '{"id":"\\ud800"}'],
    ['a pit of brackets', '['.repeat(4000)],
    ['a deep value', `{"a":${'['.repeat(2000)}${']'.repeat(2000)}}`],
  ])('%s in place of it is refused as a bad request, and the next client is served', async (_what, deviceInfo) => {
    const person = await aPerson();
    const error = await open(person.token, deviceInfo).next('connect_error');
    expect(error.data).toMatchObject({ success: false, code: expect.stringMatching(/^(bad_request|nesting_too_deep)$/) }); // prettier-ignore
    expect(error.message).toContain('deviceInfo');
    await live(person.token, { name: 'Laptop' });
  });

  test('names and describes the device that the token was given to', async () => {
    const { token, deviceId } = await aPerson();
    await live(token, { deviceId, name: 'Anna’s desk', type: 'desktop', viewport: { width: 800 }, os: 'Linux' });
    expect(await devicesOf(token)).toMatchObject([
      { id: deviceId, name: 'Anna’s desk', type: 'desktop', metadata: { viewport: { width: 800 }, os: 'Linux' } },
    ]);
    const rows = await query(server.database.url, `SELECT d::text, encode(content, 'escape') AS text FROM devices d`);
    expect(JSON.stringify(rows)).not.toMatch(/Anna|viewport|Linux/);
  });

  test('writes nothing when it says what is known already', async () => {
    const person = await aPerson();
    const info = { name: 'Desk', type: 'web', viewport: { width: 1, height: 2 } };
    (await live(person.token, info)).close();
    const before = await seqOf(person);
    await live(person.token, info);
    expect(await seqOf(person)).toBe(before);
    await live(person.token, { ...info, viewport: { width: 2, height: 1 } });
    expect(await devicesOf(person.token)).toMatchObject([{ metadata: { viewport: { width: 2, height: 1 } } }]);
  });

  test('leaves what it does not say, and the name that a person gave', async () => {
    const { token, deviceId } = await aPerson();
    await live(token, { name: 'Chrome', type: 'web' });
    await call(server.url, `/api/devices/${deviceId}`, { method: 'PATCH', token, body: { name: 'Kitchen' } });
    await live(token, { os: 'Linux' });
    await live(token, { name: 'Chrome', type: 'web' });
    expect(await devicesOf(token)).toMatchObject([{ name: 'Kitchen', type: 'web', metadata: { os: 'Linux' } }]);
    await live(token, { name: 'Firefox' });
    expect(await devicesOf(token)).toMatchObject([{ name: 'Firefox' }]);
  });
});

describe('devices that share a token', () => {
  test('are devices of their own, each the same one when it presents its id again', async () => {
    const { token, deviceId } = await aPerson();
    for (const id of ['tablet', 'watch', 'tablet'])
      expect(await (await live(token, { deviceId: id, name: `My ${id}`, type: 'web' })).next('session-restored')).toEqual({ sessionData: {}, deviceId: id }); // prettier-ignore
    const again = await live(token, { id: 'watch', name: 'My watch', type: 'web' });
    expect((await again.next('session-restored')).deviceId).toBe('watch');
    const listed = await devicesOf(token);
    expect(listed.map(({ id }) => id).sort()).toEqual([deviceId, 'tablet', 'watch'].sort());
    expect(listed.find(({ id }) => id === 'watch')).toMatchObject({ name: 'My watch', kind: 'browser' });
  });

  test('write as themselves', async () => {
    const { token } = await aPerson();
    const [one, two] = [await live(token, { deviceId: 'one' }), await live(token, { deviceId: 'two' })];
    await update(one, 'k', 1);
    expect(await two.next('session-updated')).toMatchObject({ deviceId: 'one' });
  });

  test('one that is removed goes, and does not come back by the token of another', async () => {
    const { token, session } = await aPerson();
    const [one, two] = [await live(token, { deviceId: 'one' }), await live(token, { deviceId: 'two' })];
    await server.app.get(Devices).revoke(session, 'two');
    expect(await two.next('error')).toMatchObject({ code: 'device_revoked' });
    await two.next('disconnect');
    const error = await open(token, { deviceId: 'two' }).next('connect_error');
    expect(error.data).toMatchObject({ code: 'device_revoked' });
    expect(await update(one, 'still', 'here')).toMatchObject({ ok: true });
    expect((await devicesOf(token)).map(({ id }) => id)).not.toContain('two');
  });

  test('all go with the device that the token was given to', async () => {
    const { token, session, deviceId } = await aPerson();
    const clients = [await live(token), await live(token, { deviceId: 'other' })];
    await server.app.get(Devices).revoke(session, deviceId);
    for (const client of clients) {
      expect(await client.next('error')).toMatchObject({ code: 'device_revoked' });
      await client.next('disconnect');
    }
    expect((await open(token, { deviceId: 'other' }).next('connect_error')).data).toMatchObject({ code: 'invalid_token' }); // prettier-ignore
  });

  test('nobody becomes the phone by presenting its id', async () => {
    const handset = kept(await phone(server.url));
    const token = await pair(server.url, handset);
    const { deviceId } = await (await live(token, { deviceId: handset.deviceId })).next('session-restored');
    expect(deviceId).not.toBe(handset.deviceId);
    expect(await devicesOf(token)).toHaveLength(2);
  });

  test('the id of a device of another account is just an id', async () => {
    const [mine, theirs] = [await aPerson(), await aPerson()];
    const other = await live(theirs.token, { name: 'Theirs' });
    const me = await live(mine.token, { deviceId: theirs.deviceId, name: 'Mine' });
    expect(await me.next('session-restored')).toMatchObject({ deviceId: theirs.deviceId });
    expect(await devicesOf(theirs.token)).toMatchObject([{ name: 'Theirs' }]);
    await update(me, 'k', 'mine');
    await other.settled();
    expect(other.all('session-updated')).toEqual([]);
  });

  test('are new ones at a bounded rate an address', async () => {
    const started = await aServer({ limits: { registrationsPerHour: 2 } });
    const { token } = await aPerson(started);
    for (const deviceId of ['a', 'b', 'a', 'b']) await live(token, { deviceId }, started.url);
    const error = await open(token, { deviceId: 'c' }, started.url).next('connect_error');
    expect(error.data).toMatchObject({ code: 'rate_limited', retryAfter: expect.any(Number) });
  });
});

describe('session-restored', () => {
  test('comes after each connect, even when there is nothing, and tells the device its id', async () => {
    const { token, deviceId } = await aPerson();
    for (const info of [undefined, { name: 'Desk' }, {}])
      expect(await open(token, info).next('session-restored')).toEqual({ sessionData: {}, deviceId });
  });

  test('has all keys of the account, whoever wrote them, and not those that were deleted', async () => {
    const { token } = await aPerson();
    const [one, two] = [await live(token, { deviceId: 'one' }), await live(token, { deviceId: 'two' })];
    await update(one, 'cart', { items: [1, 2] });
    await update(two, '__proto__', null);
    await update(two, 'a "quoted" ü', 'ü');
    await two.send('state:put', { key: 'by/native', value: false });
    await update(one, 'gone', 1);
    await one.send('state:delete', { key: 'gone' });
    const { sessionData } = await (await live(token, { deviceId: 'three' })).next('session-restored');
    expect(Object.entries(sessionData as object)).toEqual([
      ['cart', { items: [1, 2] }],
      ['__proto__', null],
      ['a "quoted" ü', 'ü'],
      ['by/native', false],
    ]);
  });

  test('comes before anything else, however much is written meanwhile, and together they miss nothing', async () => {
    const { token } = await aPerson();
    const writer = await live(token, { deviceId: 'writer' });
    const readers: Client[] = [];
    for (let n = 0; n < 10; n++) {
      readers.push(open(token, { deviceId: `reader-${n}` }));
      await Promise.all(Array.from({ length: 20 }, (_, i) => update(writer, `key-${n % 3}`, `${n}.${i}`)));
    }
    const truth = await sessionData(token);
    for (const client of readers) {
      await client.next('session-restored');
      await client.settled();
      const events = client.received.map(({ event }) => event).filter((event) => event !== 'connect');
      expect(events[0]).toBe('session-restored');
      const seen = { ...(client.all('session-restored')[0].sessionData as Record<string, unknown>) };
      for (const { sessionKey, state } of client.all('session-updated')) seen[sessionKey as string] = state;
      expect(seen).toEqual(truth);
    }
  });

  test('of megabytes arrives whole while others go on writing', async () => {
    const started = await aServer({ limits: { ...limits, maxBufferedBytes: 65_536 } });
    const { token } = await aPerson(started);
    const writer = await live(token, { deviceId: 'writer' }, started.url);
    const large = 'x'.repeat(200_000);
    for (let n = 0; n < 20; n++) expect(await update(writer, `large-${n}`, large)).toMatchObject({ ok: true });
    const reader = open(token, { deviceId: 'reader' }, started.url);
    await writer.next('device-connected');
    await update(writer, 'small', 1);
    expect(Object.keys((await reader.next('session-restored')).sessionData as object).length).toBeGreaterThanOrEqual(
      20,
    );
    await reader.until(
      () =>
        reader.all('session-updated').some(({ sessionKey }) => sessionKey === 'small') ||
        'small' in reader.all('session-restored')[0].sessionData,
    );
    expect(reader.all('error')).toEqual([]);
  });

  /** More than the network holds by itself. */
  async function aLargeState(token: string): Promise<void> {
    const writer = await live(token);
    for (let n = 0; n < 56; n++) expect(await update(writer, `large-${n}`, 'x'.repeat(250_000))).toMatchObject({ ok: true }); // prettier-ignore
    writer.close();
  }

  /** Signs in and reads nothing from then on. */
  async function aSilentOne(token: string): Promise<RawWebSocket> {
    const raw = (await RawWebSocket.open(server.url, '/socket.io/?EIO=4&transport=websocket&deviceInfo={}'))!;
    later(() => raw.close());
    raw.pause();
    raw.send(`40${JSON.stringify({ token })}`);
    return raw;
  }

  test('goes to four connections of an account at once; more wait until one has read it, and others do not', async () => {
    const [{ token, account }, other] = [await aPerson(), await aPerson()];
    await aLargeState(token);
    await untilFigure(server.url, 'pairline_sockets{kind="browser"}', 0);
    const reads = jest.spyOn(server.app.get(States), 'all');
    later(() => reads.mockRestore());
    const silent = [await aSilentOne(token), await aSilentOne(token), await aSilentOne(token), await aSilentOne(token)];
    await untilFigure(server.url, 'pairline_sockets{kind="browser"}', 4);
    const fifth = open(token, {});
    await fifth.settled();
    expect(reads).toHaveBeenCalledTimes(4);
    await live(other.token);
    await update(fifth, 'small', 1);
    expect(fifth.all('session-updated')).toEqual([]);
    silent[0]!.close();
    expect(Object.keys((await fifth.next('session-restored')).sessionData as object)).toHaveLength(57);
    await fifth.next('session-updated');
    expect(server.app.get(Connections).of(account.id).browsers.size).toBe(4);
  });

  test('a connection that does not take it is cut off, although it answers heartbeats', async () => {
    const { token, account } = await aPerson();
    await aLargeState(token);
    await untilFigure(server.url, 'pairline_sockets{kind="browser"}', 0);
    const sent = jest.spyOn(Peer.prototype, 'room');
    later(() => sent.mockRestore());
    const timers = jest.spyOn(globalThis, 'setTimeout');
    later(() => timers.mockRestore());
    await aSilentOne(token);
    while (sent.mock.calls.length === 0) await call(server.url, '/api/health');
    const { browsers } = server.app.get(Connections).of(account.id);
    expect(browsers.size).toBe(1);
    // Its minute is over.
    const giveUp = timers.mock.calls.findLast(([, ms]) => ms === 60_000)![0];
    giveUp();
    while (browsers.size > 0) await call(server.url, '/api/health');
  });

  test('is not for those that follow by cursor, nor for those that sign in by an event', async () => {
    const handset = kept(await phone(server.url));
    const token = await pair(server.url, handset);
    const [following, web] = [kept(follower(server.url, token)), kept(await browser(server.url, token))];
    const one = await live(token);
    await update(one, 'k', 'v');
    await following.until(() => following.all<Page>('changes').some(({ changes }) => changes.some(({ kind }) => kind === 'state'))); // prettier-ignore
    for (const client of [following, web, handset]) {
      await client.settled();
      expect(client.all('session-restored').concat(client.all('session-updated'))).toEqual([]);
    }
  });
});

describe('session-update', () => {
  test('is told to every device of the account, the sender included, after the commit', async () => {
    const person = await aPerson();
    const clients = await Promise.all(['a', 'b', 'c'].map((deviceId) => live(person.token, { deviceId })));
    const began = Date.now();
    const ack = await update(clients[0]!, 'cart', { items: 3 });
    expect(ack).toEqual({ ok: true, seq: await seqOf(person) });
    for (const client of clients)
      expect(await client.next('session-updated')).toEqual({ sessionKey: 'cart', state: { items: 3 }, deviceId: 'a', timestamp: expect.any(Number) }); // prettier-ignore
    const { timestamp } = clients[0]!.all('session-updated')[0];
    expect(timestamp).toBeGreaterThanOrEqual(began);
    expect(timestamp).toBeLessThanOrEqual(Date.now());
    expect(await sessionData(person.token)).toEqual({ cart: { items: 3 } });
  });

  test('each one is told, in one order to all, though many share a commit', async () => {
    const { token } = await aPerson();
    const clients = await Promise.all(['a', 'b', 'c'].map((deviceId) => live(token, { deviceId })));
    const sent = Array.from({ length: 90 }, (_, n) => update(clients[n % 3]!, `k${n % 2}`, n));
    const acks = await Promise.all(sent);
    expect(new Set(acks.map(({ seq }) => seq)).size).toBe(90);
    for (const client of clients) await client.next('session-updated', () => true, 90);
    const told = clients.map((client) => client.all('session-updated').map(({ state }) => state as number));
    expect(told[1]).toEqual(told[0]);
    expect(told[2]).toEqual(told[0]);
    expect([...told[0]!].sort((a, b) => a - b)).toEqual(Array.from({ length: 90 }, (_, n) => n));
    const last = (parity: number) => told[0]!.filter((n) => n % 2 === parity).at(-1);
    expect(await sessionData(token)).toEqual({ k0: last(0), k1: last(1) });
  });

  test('the same value again is told again, for the sender waits for it', async () => {
    const { token } = await aPerson();
    const client = await live(token);
    const first = await update(client, 'k', [1]);
    expect(await update(client, 'k', [1])).toEqual(first);
    await client.next('session-updated', () => true, 2);
  });

  test('is a state of every other door, and a state of every other door is a session-update', async () => {
    const handset = kept(await phone(server.url));
    const token = await pair(server.url, handset);
    const [following, one] = [kept(follower(server.url, token)), await live(token)];
    const { deviceId } = one.all('session-restored')[0];
    const { seq } = await update(one, 'k', 'from B');
    const rows = () => following.all<Page>('changes').flatMap(({ changes }) => changes).filter(({ kind }) => kind === 'state'); // prettier-ignore
    await following.until(() => rows().length === 1);
    expect(rows()).toMatchObject([{ seq, op: 'put', row: { id: 'k', value: 'from B' } }]);
    await handset.send('state:put', { key: 'k', value: 'from the phone' });
    expect(await one.next('session-updated', ({ state }) => state === 'from the phone')).toMatchObject({ sessionKey: 'k', deviceId: handset.deviceId }); // prettier-ignore
    await following.send('state:delete', { key: 'k' });
    expect(await one.next('session-updated', ({ state }) => state === null)).toMatchObject({ sessionKey: 'k', deviceId }); // prettier-ignore
    expect(await sessionData(token)).toEqual({});
  });

  test('may be deep', async () => {
    const { token } = await aPerson();
    const client = await live(token);
    const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) });
    expect(await update(client, 'k', deep(30))).toMatchObject({ ok: true });
    expect(await sessionData(token)).toEqual({ k: deep(30) });
    expect(await update(client, 'k', deep(32))).toMatchObject({ ok: false, code: 'nesting_too_deep' });
  });

  test.each([
    ['no key', { state: 1 }, 'invalid_payload'],
    ['no state', { sessionKey: 'k' }, 'invalid_payload'],
    ['bytes', { sessionKey: 'k', state: Buffer.from('x') }, 'invalid_payload'],
    ['a key too long', { sessionKey: 'x'.repeat(256), state: 1 }, 'string_too_long'],
    ['a state too large', { sessionKey: 'k', state: 'x'.repeat(262_143) }, 'payload_too_large'],
  ])('%s is refused, and nothing is told', async (_what, payload, code) => {
    const { token } = await aPerson();
    const client = await live(token);
    expect(await client.send('session-update', payload)).toMatchObject({ ok: false, code });
    expect(client.all('session-updated')).toEqual([]);
    expect(await sessionData(token)).toEqual({});
  });

  test('before signing in is refused', async () => {
    const stranger = kept(new Client(server.url));
    for (const event of ['session-update', 'realtime-event', 'device-message'])
      expect(await stranger.send(event, {})).toMatchObject({ ok: false, code: 'not_authenticated' });
  });

  test('works the same in a realm with a database of its own', async () => {
    const clinic = await createTestDatabase();
    later(() => clinic.drop());
    const realms = [
      { slug: 'default', name: 'Pairline', registration: 'open' as const },
      { slug: 'clinic', name: 'Clinic', registration: 'open' as const, databaseUrl: clinic.url },
    ];
    const started = await aServer({ limits, realms });
    const { token } = await aPerson(started, 'clinic');
    const [one, two] = [await live(token, { deviceId: 'one' }, started.url), await live(token, { deviceId: 'two' }, started.url)]; // prettier-ignore
    await update(one, 'k', 'v');
    expect(await two.next('session-updated')).toMatchObject({ state: 'v', deviceId: 'one' });
    expect(await (await live(token, {}, started.url)).next('session-restored')).toMatchObject({ sessionData: { k: 'v' } }); // prettier-ignore
    expect(await query(clinic.url, 'SELECT id FROM states')).toEqual([{ id: 'k' }]);
    expect(await query(started.database.url, 'SELECT id FROM states')).toEqual([]);
  });
});

describe('realtime-event', () => {
  test('goes to the other devices of the account, and is not stored', async () => {
    const [mine, theirs] = [await aPerson(), await aPerson()];
    const [one, tab, two, three] = await Promise.all(['1', '1', '2', '3'].map((deviceId) => live(mine.token, { deviceId }))); // prettier-ignore
    const stranger = await live(theirs.token);
    const before = await seqOf(mine);
    expect(await one!.send('realtime-event', { type: 'cursor', payload: { x: 1, y: [2] } })).toEqual({ ok: true });
    for (const client of [two!, three!])
      expect(await client.next('realtime-event')).toEqual({ type: 'cursor', payload: { x: 1, y: [2] }, sourceDeviceId: '1', timestamp: expect.any(Number) }); // prettier-ignore
    for (const client of [one!, tab!, stranger]) {
      await client.settled();
      expect(client.all('realtime-event')).toEqual([]);
    }
    expect(await seqOf(mine)).toBe(before);
  });

  test('with a target goes to that device only', async () => {
    const { token } = await aPerson();
    const [one, two, tab, three] = await Promise.all(['1', '2', '2', '3'].map((deviceId) => live(token, { deviceId })));
    expect(await one!.send('realtime-event', { type: 'call', targetDeviceId: '2' })).toEqual({ ok: true });
    for (const client of [two!, tab!])
      expect(await client.next('realtime-event')).toMatchObject({ type: 'call', payload: null, sourceDeviceId: '1' });
    await three!.settled();
    expect(three!.all('realtime-event')).toEqual([]);
  });

  test('reaches those that follow by cursor, and they may send it', async () => {
    const { token } = await aPerson();
    const one = await live(token, { deviceId: 'one' });
    const following = kept(follower(server.url, token));
    await following.connected();
    await one.send('realtime-event', { type: 'a', payload: 1 });
    expect(await following.next('realtime-event')).toMatchObject({ type: 'a', sourceDeviceId: 'one' });
    await following.send('realtime-event', { type: 'b', payload: 2 });
    expect(await one.next('realtime-event')).toMatchObject({ type: 'b', payload: 2 });
  });

  test.each([
    ['no type', { payload: 1 }, 'invalid_payload'],
    ['an empty type', { type: '' }, 'invalid_payload'],
    ['more than 64 KiB', { type: 'x', payload: 'x'.repeat(65_536) }, 'payload_too_large'],
  ])('%s is refused', async (_what, payload, code) => {
    const { token } = await aPerson();
    const [one, two] = [await live(token, { deviceId: 'one' }), await live(token, { deviceId: 'two' })];
    expect(await one.send('realtime-event', payload)).toMatchObject({ ok: false, code });
    await two.settled();
    expect(two.all('realtime-event')).toEqual([]);
  });
});

describe('device-message', () => {
  test('goes to one device, on all its connections', async () => {
    const { token } = await aPerson();
    const [one, two, tab, three] = await Promise.all(['1', '2', '2', '3'].map((deviceId) => live(token, { deviceId })));
    expect(await one!.send('device-message', { targetDeviceId: '2', message: { hello: 'ü' } })).toEqual({ ok: true });
    for (const client of [two!, tab!])
      expect(await client.next('device-message')).toEqual({ message: { hello: 'ü' }, sourceDeviceId: '1', timestamp: expect.any(Number) }); // prettier-ignore
    for (const client of [one!, three!]) {
      await client.settled();
      expect(client.all('device-message')).toEqual([]);
    }
  });

  test('to a device that is away, or of another account, is not found', async () => {
    const [mine, theirs] = [await aPerson(), await aPerson()];
    const [one, away, stranger] = [await live(mine.token), await live(mine.token, { deviceId: 'away' }), await live(theirs.token)]; // prettier-ignore
    away.close();
    await one.next('device-disconnected');
    for (const targetDeviceId of ['away', 'never', theirs.deviceId]) {
      const ack = await one.send('device-message', { targetDeviceId, message: 1 });
      expect(ack).toMatchObject({ ok: false, code: 'not_found', message: expect.stringContaining('is not connected') });
    }
    await stranger.settled();
    expect(stranger.all('device-message')).toEqual([]);
  });

  test('of more than 64 KiB is refused', async () => {
    const { token, deviceId } = await aPerson();
    const one = await live(token);
    expect(await one.send('device-message', { targetDeviceId: deviceId, message: 'ü'.repeat(32_768) })).toMatchObject({ ok: false, code: 'payload_too_large' }); // prettier-ignore
    expect(await one.send('device-message', { targetDeviceId: deviceId, message: 'x'.repeat(65_000) })).toEqual({ ok: true }); // prettier-ignore
  });

  test('reaches a phone by its id', async () => {
    const handset = kept(await phone(server.url));
    const one = await live(await pair(server.url, handset));
    await one.send('device-message', { targetDeviceId: handset.deviceId, message: 'ring' });
    expect(await handset.next('device-message')).toMatchObject({ message: 'ring' });
  });
});

describe('presence', () => {
  test('the others hear of a device’s first connection and of its last, not of each tab', async () => {
    const { token } = await aPerson();
    const watcher = await live(token, { deviceId: 'watcher' });
    const info = { deviceId: 'one', name: 'Desk', type: 'web', viewport: { width: 1 } };
    const [first, second] = [await live(token, info), await live(token, info)];
    expect(await watcher.next('device-connected')).toEqual({ deviceId: 'one', deviceInfo: info });
    first.close();
    await second.settled();
    second.close();
    expect(await watcher.next('device-disconnected')).toEqual({ deviceId: 'one', timestamp: expect.any(Number) });
    const third = await live(token, info);
    await watcher.next('device-connected', () => true, 2);
    expect(watcher.all('device-connected')).toHaveLength(2);
    expect(watcher.all('device-disconnected')).toHaveLength(1);
    expect([...third.all('device-connected'), ...third.all('device-disconnected')]).toEqual([]);
  });

  test('is told within the account, to connections of this kind', async () => {
    const [mine, theirs] = [await aPerson(), await aPerson()];
    const [stranger, following] = [await live(theirs.token), kept(follower(server.url, mine.token))];
    await following.connected();
    const watcher = await live(mine.token, { deviceId: 'watcher' });
    const other = await live(mine.token, { deviceId: 'other' });
    other.close();
    await watcher.next('device-disconnected');
    for (const client of [stranger, following]) {
      await client.settled();
      expect([...client.all('device-connected'), ...client.all('device-disconnected')]).toEqual([]);
    }
  });
});

describe('a browser of a phone', () => {
  test('has its rights in this way too: it is told of messages and sends them', async () => {
    const handset = kept(await phone(server.url));
    const one = await live(await pair(server.url, handset), { name: 'Desk' });
    await handset.send('mobile:messages', { messages: [message({ id: 'm1', body: 'Hello' })] });
    expect(await one.next('message:new')).toMatchObject({ id: 'm1', body: 'Hello' });
    await one.send('web:send-message', { phoneNumber: '+15550100', message: 'Hi', tempId: 't1' });
    expect(await handset.next('send:message')).toMatchObject({ message: 'Hi', tempId: 't1' });
    expect(one.all('mobile:connected')).toHaveLength(1);
  });

  test('may also sign in by the event, and gets both snapshots', async () => {
    const handset = kept(await phone(server.url));
    const token = await pair(server.url, handset);
    await handset.send('mobile:messages', { messages: [message({ id: 'm1' })] });
    const client = open(token, { deviceId: 'shares the token' });
    expect(await client.send('web:authenticate', { sessionToken: token })).toMatchObject({ ok: true });
    await client.next('messages:sync');
    await client.next('session-restored');
    await update(client, 'k', 1);
    await client.next('session-updated');
  });

  test('one that signed in, without any phone, hears of none', async () => {
    const { token } = await aPerson();
    const client = await live(token);
    await client.settled();
    expect([...client.all('mobile:connected'), ...client.all('mobile:disconnected')]).toEqual([]);
  });
});

describe('over REST', () => {
  test('GET /api/devices has the fields of wire.md', async () => {
    const { account, token, deviceId } = await aPerson();
    const [device] = await devicesOf(token);
    expect(device).toEqual({
      id: deviceId,
      user_id: account.id,
      name: 'Laptop',
      type: 'browser',
      metadata: {},
      last_seen: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      kind: 'browser',
      createdAt: expect.any(Number),
      lastSeen: Date.parse(device!.last_seen as string),
      current: true,
    });
  });

  test('GET /api/session has what session-restored has', async () => {
    const { token } = await aPerson();
    const { status, body, headers } = await call(server.url, '/api/session', { token });
    expect({ status, body }).toEqual({ status: 200, body: { sessionData: {} } });
    expect(headers.get('content-type')).toContain('application/json');
    await update(await live(token), 'k', { a: null });
    expect(await sessionData(token)).toEqual({ k: { a: null } });
  });

  test.each(['/api/devices', '/api/session'])('%s is for those who signed in', async (path) => {
    for (const token of [undefined, 'guess', 'a.b.c'])
      expect(await call(server.url, path, { token })).toMatchObject({ status: 401, body: { success: false } });
  });

  test('GET /api/health tells how many are connected, to anybody', async () => {
    const started = await aServer({ limits });
    const health = () => call(started.url, '/api/health');
    expect(await health()).toMatchObject({ status: 200, body: { status: 'healthy', activeConnections: 0 } });
    const { token } = await aPerson(started);
    await live(token, {}, started.url);
    await live(token, {}, started.url);
    const { body } = await health();
    expect(body).toEqual({ status: 'healthy', timestamp: expect.any(String), activeConnections: 2 });
    expect(Date.now() - Date.parse(body.timestamp as string)).toBeLessThan(60_000);
  });
});

describe('connections end', () => {
  test('of the devices that have to sign in again, and those come back when they have', async () => {
    const person = await aPerson();
    const other = await signIn(person.account);
    const [one, two] = [await live(person.token), await live(other.token)];
    server.app.get(Accounts).events.emit('sessions.ended', person.account.id, [person.deviceId]);
    expect(await one.next('error')).toMatchObject({ code: 'session_expired' });
    await one.next('disconnect');
    expect(await update(two, 'k', 1)).toMatchObject({ ok: true });
    const again = await signIn(person.account, server, { id: person.deviceId, name: 'Laptop' });
    await live(again.token);
  });

  test('of all of an account that is deleted', async () => {
    const person = await aPerson();
    const clients = [await live(person.token), await live(person.token, { deviceId: 'two' }), kept(follower(server.url, person.token))]; // prettier-ignore
    await clients[2]!.connected();
    const stranger = await live((await aPerson()).token);
    server.app.get(Accounts).events.emit('account.deleted', person.account.id);
    for (const client of clients) {
      expect(await client.next('error')).toMatchObject({ code: 'session_expired' });
      await client.next('disconnect');
    }
    expect(await update(stranger, 'k', 1)).toMatchObject({ ok: true });
  });

  test('of a removed device, which is welcome again once it has signed in again', async () => {
    const person = await aPerson();
    const one = await live(person.token);
    await server.app.get(Devices).revoke(person.session, person.deviceId);
    expect(await one.next('error')).toMatchObject({ code: 'device_revoked' });
    const again = await signIn(person.account, server, { id: person.deviceId, name: 'Laptop' });
    expect(await (await live(again.token)).next('session-restored')).toMatchObject({ deviceId: person.deviceId });
    expect((await open(person.token).next('connect_error')).message).toBe('Authentication failed');
  });
});

describe('an API key', () => {
  const aKey = async ({ session }: SignedIn, scopes: ('sync' | 'changes')[]) =>
    (await server.app.get(ApiKeys).create(session, 'a program', scopes)).apiKey;

  test('with the scope `changes` follows by cursor and says nothing', async () => {
    const person = await aPerson();
    const program = kept(follower(server.url, await aKey(person, ['changes'])));
    await program.connected();
    const one = await live(person.token);
    const { seq } = await update(one, 'k', 1);
    await program.until(() => program.all<Page>('changes').some(({ cursor }) => cursor >= (seq as number)));
    for (const [event, payload] of [
      ['session-update', { sessionKey: 'k', state: 2 }],
      ['state:put', { key: 'k', value: 2 }],
      ['realtime-event', { type: 'x' }],
      ['device-message', { targetDeviceId: person.deviceId, message: 1 }],
      ['web:send-message', { phoneNumber: '1', message: 'x', tempId: 't' }],
    ] as const)
      expect(await program.send(event, payload)).toMatchObject({ ok: false, code: 'wrong_role' });
    expect(await program.send('web:authenticate', { sessionToken: person.token })).toMatchObject({ code: 'already_authenticated' }); // prettier-ignore
    expect(await sessionData(person.token)).toEqual({ k: 1 });
    expect(program.received.map(({ event }) => event).filter((event) => !['connect', 'changes'].includes(event))).toEqual([]); // prettier-ignore
  });

  test('in any other way is refused', async () => {
    const person = await aPerson();
    const [sync, changes] = [await aKey(person, ['sync']), await aKey(person, ['changes'])];
    for (const client of [kept(follower(server.url, sync)), open(sync), open(changes), open(changes, { name: 'x' })])
      expect((await client.next('connect_error')).data).toMatchObject({ code: 'wrong_role' });
    expect((await kept(follower(server.url, `${changes}x`)).next('connect_error')).data).toMatchObject({ code: 'authentication_failed' }); // prettier-ignore
  });
});
