import { createHmac, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import { Tokens } from '../src/sessions/tokens.js';
import { browser, call, Client, message, pair, phone, type PhoneClient } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { untilFigure } from './support/metrics.js';
import { TestServer, type ServerOptions } from './support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits: { wrongTokensPerMinute: 0 } });
});
afterEach(cleanUp);
afterAll(() => server.stop());

function kept<T extends Client>(client: T): T {
  later(() => client.close());
  return client;
}

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start(options);
  later(() => started.stop());
  return started;
}

const aSocket = (url = server.url, auth?: Record<string, unknown>) => kept(new Client(url, { auth }));
const aPhone = async (known?: Parameters<typeof phone>[1], url = server.url) => kept(await phone(url, known));
const aBrowser = async (token: string, url = server.url) => kept(await browser(url, token));

async function aPair(): Promise<{ handset: PhoneClient; web: Client; token: string; sessionId: string }> {
  const handset = await aPhone();
  const token = await pair(server.url, handset);
  return { handset, web: await aBrowser(token), token, sessionId: claimsOf(token).sid };
}

const register = (client: Client, deviceId: string, fields: object = {}) =>
  client.send('mobile:register', { deviceId, deviceName: 'Phone', deviceModel: 'P1', ...fields });

const devicesOf = async (token: string) => (await call(server.url, '/api/devices', { token })).body.devices;
const remove = (token: string, id: string) =>
  call(server.url, `/api/devices/${encodeURIComponent(id)}`, { token, method: 'DELETE' });

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());

function jwt(claims: object, secret = server.env.jwtSecret, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** Refused alike over REST, at the handshake, by event and by verify. */
async function expectRefused(token: string, url = server.url): Promise<void> {
  const rest = await call(url, '/api/devices', { token });
  expect([rest.status, rest.body.success]).toEqual([401, false]);
  const verify = await call(url, '/api/auth/verify', { body: { sessionToken: token } });
  expect([verify.status, verify.body.code]).toEqual([401, 'authentication_failed']);
  const byEvent = await aSocket(url).send('web:authenticate', { sessionToken: token });
  expect(byEvent).toMatchObject({ ok: false, code: 'authentication_failed' });
  const refusal = await aSocket(url, { token }).next('connect_error');
  expect(refusal.data).toMatchObject({ success: false, code: 'authentication_failed' });
}

// Registration

test('the first registration answers the token of the device, later ones do not', async () => {
  const first = aSocket();
  const ack = await register(first, 'first-1');
  expect(ack).toEqual({
    ok: true,
    deviceId: 'first-1',
    accountId: expect.any(String),
    deviceToken: expect.any(String),
  });
  const { accountId } = ack;
  expect(await first.next('authenticated')).toEqual({
    success: true,
    deviceId: 'first-1',
    accountId,
    deviceToken: ack.deviceToken,
  });
  const second = aSocket();
  expect(await register(second, 'first-1', { deviceToken: ack.deviceToken })).toEqual({
    ok: true,
    deviceId: 'first-1',
    accountId,
  });
  expect(await second.next('authenticated')).toEqual({ success: true, deviceId: 'first-1', accountId });
});

test.each([
  ['one character', 'x'],
  ['128 characters', 'd'.repeat(128)],
  ['spaces', ' my  phone '],
  ['emoji', '📱👩‍👩‍👧 téléphone'],
  ['slashes, quotes and markup', `a/b\\c'"<>%2F?#&`],
  ['words that mean something to JavaScript', '__proto__'],
])('a deviceId is any printable text: %s', async (_what, deviceId) => {
  const ack = await register(aSocket(), deviceId);
  expect(ack).toMatchObject({ ok: true, deviceId });
  const back = await register(aSocket(), deviceId, { deviceToken: ack.deviceToken });
  expect(back).toMatchObject({ ok: true, deviceId });
  expect(await devicesOf(ack.deviceToken as string)).toMatchObject([{ id: deviceId, kind: 'phone' }]);
});

test.each([
  ['empty', '', 'invalid_payload'],
  ['129 characters', 'd'.repeat(129), 'string_too_long'],
  ['a line break', 'a\nb', 'invalid_string'],
  ['NUL', 'a\0b', 'invalid_string'],
  ['half a character', 'a\ud800', 'invalid_string'],
  ['a number', 5, 'invalid_payload'],
  ['absent', undefined, 'invalid_payload'],
])('a deviceId that does not do: %s', async (_what, deviceId, code) => {
  expect(await register(aSocket(), deviceId as string)).toMatchObject({ ok: false, code });
});

test('a second registration without the token, or with a wrong one, takes nothing from the live phone', async () => {
  const { handset, web } = await aPair();
  const thief = aSocket();
  expect(await register(thief, handset.deviceId)).toMatchObject({ ok: false, message: 'Authentication failed' });
  expect(await register(thief, handset.deviceId, { deviceToken: 'wrong' })).toMatchObject({
    ok: false,
    code: 'authentication_failed',
  });
  const other = await aPhone();
  expect(await register(aSocket(), handset.deviceId, { deviceToken: other.deviceToken })).toMatchObject({
    ok: false,
    code: 'authentication_failed',
  });
  await web.send('web:send-message', { phoneNumber: '+15550120', message: 'For you', tempId: 'tmp' });
  expect(await handset.next('send:message')).toMatchObject({ message: 'For you' });
  await thief.settled();
  expect(thief.all('send:message')).toEqual([]);
  expect(web.all('mobile:disconnected')).toEqual([]);
});

test('ALLOW_TOKENLESS_PHONES lets a phone back in without its token, but not with a wrong one', async () => {
  const { url } = await aServer({ allowTokenlessPhones: true });
  await register(aSocket(url), 'keeps-nothing');
  expect(await register(aSocket(url), 'keeps-nothing')).toMatchObject({ ok: true, deviceId: 'keeps-nothing' });
  expect(await register(aSocket(url), 'keeps-nothing', { deviceToken: 'wrong' })).toMatchObject({ ok: false });
});

test('REGISTRATION=invite takes new phones with the invitation only', async () => {
  const { url } = await aServer({ registration: 'invite', inviteToken: 'come in, come in' });
  expect(await register(aSocket(url), 'a')).toMatchObject({ ok: false, code: 'invite_required' });
  expect(await register(aSocket(url), 'a', { inviteToken: 'wrong' })).toMatchObject({ code: 'invite_required' });
  const ack = await register(aSocket(url), 'a', { inviteToken: 'come in, come in' });
  expect(ack).toMatchObject({ ok: true });
  // The handshake may carry it, for phones whose registration is fixed.
  expect(await register(aSocket(url, { inviteToken: 'come in, come in' }), 'b')).toMatchObject({ ok: true });
  expect(await register(aSocket(url), 'a', { deviceToken: ack.deviceToken })).toMatchObject({ ok: true });
});

test('REGISTRATION=closed takes no new phone, and known ones as ever', async () => {
  const open = await aServer({});
  const known = await aPhone(undefined, open.url);
  const { url } = await aServer({ registration: 'closed', database: open.database });
  expect(await register(aSocket(url), 'new')).toMatchObject({ ok: false, code: 'registration_closed' });
  expect(await register(aSocket(url), known.deviceId, { deviceToken: known.deviceToken })).toMatchObject({ ok: true });
});

test('ten registrations of one deviceId at once make one account', async () => {
  const deviceId = `race-${randomUUID()}`;
  const sockets = Array.from({ length: 10 }, () => aSocket());
  const acks = await Promise.all(sockets.map((socket) => register(socket, deviceId)));
  const winners = acks.filter(({ ok }) => ok);
  expect(winners).toHaveLength(1);
  expect(acks.filter(({ code }) => code === 'device_token_required')).toHaveLength(9);
  const rows = await query(server.database.url, 'SELECT account_id FROM devices WHERE phone_id = $1', [deviceId]);
  expect(rows).toHaveLength(1);
  expect(await devicesOf(winners[0]!.deviceToken as string)).toHaveLength(1);
});

test('a socket that registers as two phones at once is the first of them', async () => {
  const socket = aSocket();
  const [first, second, third] = await Promise.all([
    register(socket, 'two-in-one-a'),
    register(socket, 'two-in-one-b'),
    register(socket, 'two-in-one-c'),
  ]);
  expect(first).toMatchObject({ ok: true, deviceId: 'two-in-one-a' });
  expect([second.code, third.code]).toEqual(['already_authenticated', 'already_authenticated']);
  const rows = await query(server.database.url, `SELECT id FROM devices WHERE phone_id LIKE 'two-in-one-%'`);
  expect(rows).toEqual([{ id: 'two-in-one-a' }]);
});

test('a registration that failed can be tried again on the same socket, in a hurry too', async () => {
  const handset = await aPhone();
  const socket = aSocket();
  const deviceToken = handset.deviceToken;
  const [wrong, right, other] = await Promise.all([
    register(socket, handset.deviceId, { deviceToken: 'wrong' }),
    register(socket, handset.deviceId, { deviceToken }),
    register(socket, `other-${randomUUID()}`),
  ]);
  expect([wrong.code, right.ok, other.code]).toEqual(['authentication_failed', true, 'already_authenticated']);
});

test('what a phone sends without waiting for its registration is taken after it', async () => {
  const socket = aSocket();
  const deviceId = `hasty-${randomUUID()}`;
  const [registered, stored] = await Promise.all([
    register(socket, deviceId),
    socket.send('mobile:messages', { messages: [message({ id: 'hasty' })] }),
  ]);
  expect(registered.ok).toBe(true);
  expect(stored).toEqual({ ok: true, stored: 1, new: 1 });
});

test('a phone that registers under a new name is called that from then on', async () => {
  const handset = await aPhone();
  await register(aSocket(), handset.deviceId, { deviceToken: handset.deviceToken, deviceName: 'New name' });
  expect(await devicesOf(handset.deviceToken)).toMatchObject([{ name: 'New name', model: 'P1' }]);
});

// A newer connection of the same phone

test('a newer connection of a phone takes over from the older without the phone seeming to leave', async () => {
  const { handset, web } = await aPair();
  const newer = await aPhone(handset);
  expect(await handset.next('error')).toMatchObject({ code: 'replaced' });
  await handset.next('disconnect');
  await web.send('web:send-message', { phoneNumber: '+15550121', message: 'Hi', tempId: 'newer' });
  expect(await newer.next('send:message')).toMatchObject({ tempId: 'newer' });
  await web.settled();
  expect(web.all('mobile:disconnected')).toEqual([]);
  expect(web.all('mobile:connected')).toHaveLength(1);
  expect(handset.all('send:message')).toEqual([]);
});

test('the disconnect of a replaced connection does not evict the live one', async () => {
  const { handset, web } = await aPair();
  const newer = await aPhone(handset);
  handset.close();
  const newest = await aPhone(handset);
  await newer.next('disconnect');
  newer.close();
  expect(await web.send('web:request-sync')).toMatchObject({ ok: true });
  await newest.next('request:sync');
  expect(web.all('mobile:disconnected')).toEqual([]);
});

test('five connections of one phone at once leave one', async () => {
  const { handset, web } = await aPair();
  const sockets = await Promise.all(Array.from({ length: 5 }, () => aPhone(handset)));
  await web.send('web:send-message', { phoneNumber: '+15550122', message: 'Once', tempId: 'once' });
  await Promise.all(sockets.map((socket) => socket.until(() => !socket.socket.connected || socket.all('send:message').length > 0))); // prettier-ignore
  expect(sockets.filter(({ socket }) => socket.connected)).toHaveLength(1);
  expect(web.all('mobile:disconnected')).toEqual([]);
});

// Session tokens

test('a session token says whose phone it belongs to and how long it is good', async () => {
  const before = Math.floor(Date.now() / 1000);
  const { handset, token } = await aPair();
  const claims = claimsOf(token);
  expect(claims).toEqual({
    sub: expect.any(String),
    sid: expect.any(String),
    deviceId: handset.deviceId,
    iat: expect.any(Number),
    exp: expect.any(Number),
  });
  expect(claims.iat).toBeGreaterThanOrEqual(before);
  expect(claims.exp - claims.iat).toBeGreaterThan(30 * 86_400 - 60);
  expect(claims.exp - claims.iat).toBeLessThanOrEqual(30 * 86_400);
});

/** A server that has not looked at any session yet, on the same rows: ours trusts what it has just looked up. */
async function anotherServer(): Promise<string> {
  return (await aServer({ database: server.database })).url;
}

test('a session token is good only while its row is there', async () => {
  const { token, sessionId } = await aPair();
  await query(server.database.url, 'DELETE FROM devices WHERE id = $1', [sessionId]);
  await expectRefused(token, await anotherServer());
});

test('a session whose row has expired is over, whatever its token says', async () => {
  const { token, sessionId } = await aPair();
  await query(server.database.url, 'UPDATE devices SET expires_at = now() WHERE id = $1', [sessionId]);
  await expectRefused(token, await anotherServer());
});

test('a token that has expired is refused although its row has not', async () => {
  const { token } = await aPair();
  const now = Math.floor(Date.now() / 1000);
  await expectRefused(jwt({ ...claimsOf(token), iat: now - 100, exp: now - 1 }));
});

test('a token that was good a moment ago is refused once its own time is over', async () => {
  const { token } = await aPair();
  const exp = Math.floor(Date.now() / 1000) + 60;
  const shorter = jwt({ ...claimsOf(token), exp });
  expect((await call(server.url, '/api/devices', { token: shorter })).status).toBe(200);
  const clock = jest.spyOn(Date, 'now').mockReturnValue(exp * 1000);
  later(() => clock.mockRestore());
  expect(await call(server.url, '/api/devices', { token: shorter })).toMatchObject({
    status: 401,
    body: { code: 'session_expired' },
  });
  expect((await call(server.url, '/api/devices', { token })).status).toBe(200);
});

test('a token of another secret, without a signature, or changed by a letter is refused', async () => {
  const { token } = await aPair();
  const claims = claimsOf(token);
  const [header, body, signature] = token.split('.') as [string, string, string];
  expect((await call(server.url, '/api/devices', { token: jwt(claims) })).status).toBe(200);
  await expectRefused(jwt(claims, 'another secret, just as long as the one of the server'));
  await expectRefused(jwt(claims, ''));
  await expectRefused(`${part({ alg: 'none', typ: 'JWT' })}.${body}.`);
  await expectRefused(jwt(claims, server.env.jwtSecret, { alg: 'none' }));
  await expectRefused(`${header}.${part({ ...claims, sid: 'other' })}.${signature}`);
  await expectRefused(`${header}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`);
});

test('a browser that was away when it was removed is told so when it comes back', async () => {
  const { handset, token, sessionId } = await aPair();
  const other = await pair(server.url, handset);
  expect((await remove(other, sessionId)).status).toBe(200);
  for (const path of ['/api/changes?after=0', '/api/snapshot', '/api/devices'])
    expect(await call(server.url, path, { token })).toMatchObject({ status: 401, body: { code: 'device_revoked' } });
});

test('a token that is used all the time is refused with the first request after its device was removed', async () => {
  const { handset, token, sessionId } = await aPair();
  for (let i = 0; i < 3; i++) expect((await call(server.url, '/api/devices', { token })).status).toBe(200);
  expect((await remove(handset.deviceToken, sessionId)).status).toBe(200);
  expect(await call(server.url, '/api/devices', { token })).toMatchObject({
    status: 401,
    body: { code: 'device_revoked' },
  });
});

test('a well-signed token that names no device is refused', async () => {
  const { token } = await aPair();
  const claims = claimsOf(token);
  await expectRefused(jwt({ ...claims, sub: randomUUID() }));
  await expectRefused(jwt({ ...claims, sid: randomUUID() }));
  await expectRefused(jwt({ ...claims, sid: claims.deviceId }));
  await expectRefused(jwt({ ...claims, sub: 'no uuid at all' }));
  await expectRefused(jwt({ ...claims, sub: { $ne: null }, sid: 5 }));
});

test('a phone’s token is no session token', async () => {
  const handset = await aPhone();
  const ack = await aSocket().send('web:authenticate', { sessionToken: handset.deviceToken });
  expect(ack).toMatchObject({ ok: false, code: 'authentication_failed' });
});

test('a token in the handshake signs in', async () => {
  const { handset, token } = await aPair();
  const web = aSocket(undefined, { token });
  await web.next('mobile:connected');
  expect(await web.send('web:request-sync')).toMatchObject({ ok: true });
  await handset.next('request:sync');
});

test('a wrong token in the handshake is a connect_error with the whole error body', async () => {
  const refusal = await aSocket(undefined, { token: 'wrong' }).next('connect_error');
  expect(refusal.message).toBe('Authentication failed');
  expect(refusal.data).toEqual({
    success: false,
    code: 'authentication_failed',
    message: 'Authentication failed',
    error: 'Authentication failed',
    requestId: expect.any(String),
  });
});

test.each([[5], [{}], [['a']], [''], [true]])(
  'a token of another kind in the handshake is refused: %j',
  async (token) => {
    expect((await aSocket(undefined, { token }).next('connect_error')).data).toMatchObject({ success: false });
  },
);

// Signing in by event

test('signing in twice asks the phone for one sync', async () => {
  const { handset, token } = await aPair();
  await handset.settled();
  handset.forget();
  const web = aSocket();
  const acks = await Promise.all([1, 2, 3].map(() => web.send('web:authenticate', { sessionToken: token })));
  expect(acks.map(({ ok }) => ok)).toEqual([true, true, true]);
  expect(await web.send('web:authenticate', { sessionToken: token })).toMatchObject({ deviceId: handset.deviceId });
  await handset.settled();
  expect(handset.all('request:sync')).toHaveLength(1);
});

test('a browser is told whose it is', async () => {
  const { handset, web, sessionId } = await aPair();
  const accountId = expect.any(String);
  expect(await web.next('authenticated')).toEqual({ success: true, deviceId: handset.deviceId, sessionId, accountId });
});

test('a connection does not change hands', async () => {
  const [mine, other] = [await aPair(), await aPair()];
  expect(await mine.web.send('web:authenticate', { sessionToken: other.token })).toMatchObject({
    ok: false,
    code: 'already_authenticated',
  });
  expect(await register(mine.web, other.handset.deviceId, { deviceToken: other.handset.deviceToken })).toMatchObject({
    code: 'already_authenticated',
  });
  expect(await mine.handset.send('web:authenticate', { sessionToken: mine.token })).toMatchObject({
    code: 'already_authenticated',
  });
  await other.handset.send('mobile:messages', { messages: [message()] });
  await other.web.next('message:new');
  await mine.web.settled();
  expect(mine.web.all('message:new')).toEqual([]);
});

test('two tabs on one token each see everything once', async () => {
  const { handset, web: first, token } = await aPair();
  const second = await aBrowser(token);
  await handset.send('mobile:messages', { messages: [message({ id: 'tabs' })] });
  await first.send('web:send-message', { phoneNumber: '+15550123', message: 'From a tab', tempId: 'tab' });
  expect(await handset.next('send:message')).toMatchObject({ tempId: 'tab' });
  await handset.send('mobile:message-status', { messageId: 'tab', status: 'sent' });
  for (const tab of [first, second]) {
    await tab.next('message:status', ({ status }) => status === 'sent');
    await tab.settled();
    expect(tab.all('message:new').map(({ id }) => id)).toEqual(['tabs']);
    expect(tab.all('message:status')).toHaveLength(1);
  }
  const told = second.all('messages:sync').flatMap(({ messages }) => messages.map(({ id }: { id: string }) => id));
  expect(told.filter((id) => id === 'tab')).toHaveLength(1);
  expect(handset.all('send:message')).toHaveLength(1);

  first.close();
  await handset.send('mobile:messages', { messages: [message({ id: 'one tab left' })] });
  await second.next('message:new', ({ id }) => id === 'one tab left');
});

// Presence

test('a browser is told when the phone leaves, when it is back, and how it is when it signs in', async () => {
  const { handset, web, token } = await aPair();
  expect(await web.next('mobile:connected')).toEqual({ deviceId: handset.deviceId, lastSeen: expect.any(Number) });
  const before = Date.now();
  handset.close();
  const left = await web.next('mobile:disconnected');
  expect(left).toEqual({ deviceId: handset.deviceId, lastSeen: expect.any(Number) });
  expect(left.lastSeen).toBeGreaterThanOrEqual(before);

  const late = await aBrowser(token);
  const away = await late.next('mobile:disconnected');
  expect(away.deviceId).toBe(handset.deviceId);
  expect(Math.abs(away.lastSeen - left.lastSeen)).toBeLessThan(1000);
  expect(late.all('mobile:connected')).toEqual([]);

  await aPhone(handset);
  await web.next('mobile:connected', undefined, 2);
  await late.next('mobile:connected');
});

test('the list of devices says when each was last heard of', async () => {
  const { handset, token, web } = await aPair();
  const before = Date.now();
  handset.close();
  await web.next('mobile:disconnected');
  const [phoneRow] = await devicesOf(token);
  expect(phoneRow.lastSeen).toBeGreaterThanOrEqual(before);
  expect(phoneRow.lastSeen).toBeLessThanOrEqual(Date.now());
});

// Devices

test('the devices of an account: its phone and its browsers, for either of them', async () => {
  const { handset, token, sessionId } = await aPair();
  const seen = { createdAt: expect.any(Number), lastSeen: expect.any(Number), last_seen: expect.any(String) };
  const fields = { user_id: expect.any(String), metadata: {}, ...seen };
  const phoneView = { id: handset.deviceId, kind: 'phone', type: 'phone', name: 'Test phone', model: 'T1', ...fields };
  const browserView = { id: sessionId, kind: 'browser', type: 'browser', name: 'Browser', ...fields };
  expect(await devicesOf(token)).toEqual([
    { ...phoneView, current: false },
    { ...browserView, current: true },
  ]);
  expect(await devicesOf(handset.deviceToken)).toEqual([
    { ...phoneView, current: true },
    { ...browserView, current: false },
  ]);
});

test('a device can be renamed, and the change is told', async () => {
  const { token, sessionId } = await aPair();
  const { cursor } = (await call(server.url, '/api/changes', { token })).body;
  const path = `/api/devices/${sessionId}`;
  const renamed = await call(server.url, path, { token, method: 'PATCH', body: { name: 'Desk 🖥️' } });
  expect([renamed.status, renamed.body]).toEqual([200, { success: true }]);
  expect(await devicesOf(token)).toMatchObject([{}, { name: 'Desk 🖥️' }]);
  const { changes } = (await call(server.url, `/api/changes?after=${cursor}`, { token })).body;
  expect(changes).toMatchObject([{ kind: 'device', id: sessionId, op: 'put', row: { name: 'Desk 🖥️' } }]);
});

test('a phone keeps the name that a person gave it, until it calls itself something new', async () => {
  const { handset, token } = await aPair();
  const nameOf = async () => (await devicesOf(token))[0].name as string;
  const back = async (deviceName: string) => {
    const { deviceId, deviceToken } = handset;
    const client = kept(new Client(server.url));
    expect(await client.send('mobile:register', { deviceId, deviceToken, deviceName })).toMatchObject({ ok: true });
  };
  const own = await nameOf();
  await call(server.url, `/api/devices/${handset.deviceId}`, { token, method: 'PATCH', body: { name: 'Work phone' } });
  await back(own);
  expect(await nameOf()).toBe('Work phone');
  const listed = await devicesOf(token);
  expect(Object.keys(listed[0])).not.toContain('ownName');
  await back('A new phone');
  expect(await nameOf()).toBe('A new phone');
});

test.each([
  ['absent', {}],
  ['empty', { name: '' }],
  ['a number', { name: 5 }],
  ['201 characters', { name: 'x'.repeat(201) }],
])('a name that does not do: %s', async (_what, body) => {
  const { token, sessionId } = await aPair();
  const reply = await call(server.url, `/api/devices/${sessionId}`, { token, method: 'PATCH', body });
  expect([reply.status, reply.body.code]).toEqual([400, 'bad_request']);
});

test('a device that is not there: 404 to rename or remove it', async () => {
  const { token } = await aPair();
  for (const init of [{ method: 'DELETE' }, { method: 'PATCH', body: { name: 'x' } }]) {
    const reply = await call(server.url, `/api/devices/${randomUUID()}`, { token, ...init });
    expect([reply.status, reply.body.code]).toEqual([404, 'not_found']);
  }
});

/** The text of an event stream; `until` resolves once it holds a text, `ended` once the server closes it. */
async function aStream(token: string) {
  const leave = new AbortController();
  later(() => leave.abort());
  const response = await fetch(`${server.url}/api/changes/stream`, {
    headers: { Authorization: `Bearer ${token}` },
    signal: leave.signal,
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const more = async () => {
    const { done, value } = await reader.read();
    text += value ?? '';
    return !done;
  };
  return {
    until: async (wanted: string) => {
      while (!text.includes(wanted)) if (!(await more())) throw new Error(`The stream ended without ${wanted}`);
    },
    ended: async () => {
      while (await more());
      return text;
    },
  };
}

test('a removed browser is out at once: its sockets, its stream and its long poll end, and its token is no good', async () => {
  const { handset, web, token, sessionId } = await aPair();
  const tab = await aBrowser(token);
  const follower = aSocket(undefined, { token, after: 0 });
  await follower.next('changes');
  const stream = await aStream(token);
  await stream.until('data:');
  const { cursor } = (await call(server.url, '/api/changes', { token })).body;
  const poll = call(server.url, `/api/changes?after=${cursor}&wait=60`, { token });
  await untilFigure(server.url, 'pairline_long_polls{what="changes"}', 1);
  const otherToken = await pair(server.url, handset);
  const other = await aBrowser(otherToken);
  // Another browser came: the poll was answered. It asks again.
  const next = (await poll).body.cursor;
  const last = call(server.url, `/api/changes?after=${next}&wait=60`, { token });
  await untilFigure(server.url, 'pairline_long_polls{what="changes"}', 1);

  expect((await remove(handset.deviceToken, sessionId)).body).toEqual({ success: true });
  for (const client of [web, tab, follower]) {
    expect(await client.next('error')).toMatchObject({ code: 'device_revoked' });
    expect(await client.next('disconnect')).toBe('io server disconnect');
  }
  expect(await stream.ended()).toContain('"code":"device_revoked"');
  const answered = await last;
  if (answered.status !== 200) expect(answered.body).toMatchObject({ code: 'device_revoked' });
  await expectRefused(token);

  await handset.send('mobile:messages', { messages: [message({ id: 'after' })] });
  await other.next('message:new', ({ id }) => id === 'after');
  expect(web.all('message:new')).toEqual([]);
  expect(other.all('error')).toEqual([]);
  expect(handset.all('error')).toEqual([]);
  expect((await devicesOf(otherToken)).map(({ id }: { id: string }) => id)).not.toContain(sessionId);
});

test.each(['stream?after=0', '?wait=60&after='])(
  'a browser that is removed while it is let in to /api/changes is out as well: %s',
  async (path) => {
    const { handset, token, sessionId } = await aPair();
    const { cursor } = (await call(server.url, '/api/changes', { token })).body;
    const tokens = server.app.get(Tokens);
    const lookUp = jest.spyOn(tokens, 'authenticateRequest');
    later(() => lookUp.mockRestore());
    lookUp.mockImplementationOnce(async (...args) => {
      const session = await Tokens.prototype.authenticateRequest.apply(tokens, args);
      await remove(handset.deviceToken, sessionId);
      return session;
    });
    const headers = { Authorization: `Bearer ${token}` };
    const url = path.endsWith('=')
      ? `${server.url}/api/changes${path}${cursor + 1}`
      : `${server.url}/api/changes/${path}`;
    const response = await fetch(url, { headers });
    expect(await response.text()).toContain('"code":"device_revoked"');
  },
);

test('a browser that signs in while it is being removed is out as well', async () => {
  const { handset, token, sessionId } = await aPair();
  const sockets = Array.from({ length: 60 }, () => aSocket(undefined, { token }));
  await sockets[0]!.until(() => sockets[0]!.received.length > 0);
  expect((await remove(handset.deviceToken, sessionId)).status).toBe(200);
  await Promise.all(
    sockets.map((socket) =>
      socket.until(() => socket.all('disconnect').length + socket.all('connect_error').length > 0),
    ),
  );
});

test('a browser may remove itself', async () => {
  const { token, web, sessionId } = await aPair();
  expect((await remove(token, sessionId)).status).toBe(200);
  await web.next('disconnect');
  await expectRefused(token);
});

test('a device is removed once', async () => {
  const { handset, sessionId } = await aPair();
  const replies = await Promise.all([1, 2, 3].map(() => remove(handset.deviceToken, sessionId)));
  expect(replies.map(({ status }) => status).sort()).toEqual([200, 404, 404]);
});

test('a removed phone is out, and may register anew as another account that sees nothing of the old', async () => {
  const { handset, token, web } = await aPair();
  await handset.send('mobile:messages', { messages: [message({ id: 'old' })] });
  expect((await remove(token, handset.deviceId)).status).toBe(200);
  expect(await handset.next('error')).toMatchObject({ code: 'device_revoked' });
  await handset.next('disconnect');
  await web.next('mobile:disconnected');
  expect((await call(server.url, '/api/devices', { token: handset.deviceToken })).status).toBe(401);

  const socket = aSocket();
  const ack = await register(socket, handset.deviceId);
  expect(ack).toMatchObject({ ok: true, deviceToken: expect.any(String) });
  expect(ack.deviceToken).not.toBe(handset.deviceToken);
  const snapshot = await call(server.url, '/api/snapshot', { token: ack.deviceToken as string });
  expect(snapshot.body.changes).toMatchObject([{ kind: 'device', id: handset.deviceId }]);
  await socket.send('mobile:messages', { messages: [message({ id: 'new' })] });
  await web.settled();
  expect(web.all('message:new').map(({ id }) => id)).toEqual(['old']);
  expect(await web.send('web:request-sync')).toMatchObject({ ok: false, code: 'phone_away' });
});

test('verify says no once the browser was removed', async () => {
  const { handset, token, sessionId } = await aPair();
  const verify = () => call(server.url, '/api/auth/verify', { body: { sessionToken: token } });
  expect((await verify()).body).toMatchObject({ success: true, data: { deviceId: handset.deviceId, sessionId } });
  await remove(handset.deviceToken, sessionId);
  expect((await verify()).status).toBe(401);
});

test('without a token, or with an Authorization of another kind, REST answers 401', async () => {
  const { token } = await aPair();
  for (const headers of [
    {},
    { Authorization: token },
    { Authorization: `Basic ${token}` },
    { Authorization: 'Bearer ' },
  ]) {
    const reply = await call(server.url, '/api/devices', { headers: headers as Record<string, string> });
    expect([reply.status, reply.body.code, reply.body.message]).toEqual([
      401,
      'not_authenticated',
      'Not authenticated',
    ]);
  }
});
