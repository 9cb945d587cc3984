import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { chatEvents, type ChatClientEvent } from '../src/delivery/chat-events.js';
import { clientEvents, type ClientEvent } from '../src/delivery/events.js';
import { call, Client, generateQr, message, waitPairing } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { aCode, aParty, aVictim, basic, claimsOf, IDS, SECRET, SECRET_NUMBER, storedOf, type Party } from './support/parties.js'; // prettier-ignore
import { aPerson, invite } from './support/people.js';
import { TestServer } from './support/server.js';
import { MailServer } from './support/smtp.js';
import { change } from './support/table-client.js';
import { encode, OFFSET_STREAM, send } from './support/tus.js';

// Every route and every event, tried with what belongs to another account. A new route or event fails the last tests of
// this file until it is tried here too.

const UNLIMITED = {
  wrongTokensPerMinute: 0,
  qrCodesPerMinute: 0,
  registrationsPerHour: 0,
  wrongSignInsPerMinute: 0,
  wrongSignInsPerQuarterHour: 0,
  codesPerHour: 0,
};

let mails: MailServer;
let server: TestServer;
let victim: Party;
let before: Everything;
/** A conversation that the victim is in, and a message there. */
let chat: string;

beforeAll(async () => {
  mails = await MailServer.start();
  server = await TestServer.start({
    limits: UNLIMITED,
    argon2: { memoryKib: 8, passes: 1, lanes: 1 },
    smtpUrl: mails.url(),
    mailFrom: 'pairline@example.org',
    // In one database, so that nothing but the queries keeps them apart.
    realms: ['default', 'clinic'].map((slug) => ({ slug, name: slug, registration: 'open' })),
  });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  await mails.stop();
});

interface Everything {
  changes: unknown[];
  cursor: number;
  stored: string[];
}

/** All of an account, as its own browser sees it and as it is stored. */
async function everything(party: Party): Promise<Everything> {
  const { status, body } = await call(server.url, '/api/snapshot?limit=1000', { token: party.token });
  expect([status, body.more]).toEqual([200, false]);
  return { changes: body.changes, cursor: body.cursor, stored: await storedOf(server, party) };
}

async function aChat({ token }: Party): Promise<string> {
  const { body } = await call(server.url, '/api/conversations', { token, body: { name: SECRET } });
  const message = { messageId: IDS.chatMessage, messageContent: Buffer.from(SECRET.padEnd(28)).toString('base64') };
  await call(server.url, `/api/conversations/${body.conversation_id}/messages`, { token, body: message });
  return body.conversation_id;
}

async function attacked(attack: (attacker: Party) => Promise<void>): Promise<void> {
  victim = await aVictim(server, mails);
  chat = await aChat(victim);
  const attacker = await aParty(server, mails);
  await attacker.handset.send('mobile:messages', { messages: [message({ id: 'my-own', body: 'Mine' })] });
  before = await everything(victim);
  const talked = await storedOf(server, { account: chat }, ['seq']);
  for (const client of [victim.handset, victim.web]) client.forget();

  await attack(attacker);

  for (const client of [victim.handset, victim.web, attacker.handset, attacker.web]) await client.settled();
  expect(await everything(victim)).toEqual(before);
  expect(await storedOf(server, { account: chat }, ['seq'])).toEqual(talked);
  expect(victim.handset.received).toEqual([]);
  expect(victim.web.received).toEqual([]);
  expectNothingLeaked([attacker.handset.received, attacker.web.received, (await everything(attacker)).changes]);
  await expectStillTheirs(victim);
}

/** Whatever opened the account opens it still. */
async function expectStillTheirs({ token, apiKey, accessToken, handset, refreshToken, ...person }: Party) {
  for (const theirs of [token, apiKey, accessToken, handset.deviceToken])
    expect((await call(server.url, '/api/changes?limit=1', { token: theirs })).status).toBe(200);
  const { status } = await call(server.url, '/login/default/refreshToken', { body: { refreshToken } });
  expect(status).toBe(200);
  const { name: pseudo, password } = person;
  expect((await call(server.url, '/api/auth/login', { body: { pseudo, password } })).status).toBe(200);
}

function expectNothingLeaked(seen: unknown): void {
  const text = JSON.stringify(seen);
  const { token, handset, email, name, account, apiKey, keyId, accessToken, refreshToken } = victim;
  const theirs = [token, handset.deviceToken, email, name, account, apiKey, keyId, accessToken, refreshToken];
  for (const secret of [SECRET, SECRET_NUMBER, ...theirs]) expect(text).not.toContain(secret);
}

// REST

type Attack = (attacker: Party, token: string) => Promise<void>;

/** Of somebody else to somebody else, that waits for its answer. */
async function anInvitation(): Promise<string> {
  const [one, other] = [await aPerson(server.url), await aPerson(server.url)];
  return (await invite(one, other)).invitation_id;
}

/** Routes that are open to API keys. */
const KEYED = ['GET /api/changes', 'GET /api/snapshot', 'GET /api/changes/stream', 'POST /api/sync'];

const tokensOf = (route: string, { token, handset, accessToken, apiKey }: Party) => [
  ...[token, handset.deviceToken, accessToken],
  ...(KEYED.includes(route) ? [apiKey] : []),
];

async function expectRefusal(path: string, init: Parameters<typeof call>[2], status = 404): Promise<void> {
  const reply = await call(server.url, path, init);
  expect([path, reply.status]).toEqual([path, status]);
  expect(reply.body).toMatchObject({ success: false, code: expect.any(String) });
  expectNothingLeaked(reply.body);
}

async function expectOwnOnly(path: string, token: string): Promise<void> {
  const { status, body } = await call(server.url, path, { token });
  expect(status).toBe(200);
  expectNothingLeaked(body);
  expect(JSON.stringify(body)).not.toContain(victim.handset.deviceId);
}

const theirDevices = () => [victim.handset.deviceId, victim.browserId, victim.clientId];
/** What names the other account or something of it, and opens nothing. */
const theirNames = () => [victim.account, victim.keyId, victim.email, victim.name, ...theirDevices()];
/** The same, in the place of whatever a body might say of whose it is. */
const asIfTheirs = () => ({ userId: victim.account, userid: victim.account, account: victim.account, accountId: victim.account }); // prettier-ignore

/** What is done to one's own account, by somebody who will not need it again. */
async function asSomebodyNew(path: string, { body, ...init }: { method: string; body: object }) {
  const password = 'a new password';
  const fresh = { pseudo: `eve-${randomUUID()}`, password };
  const { token } = (await call(server.url, '/api/auth/register', { body: fresh })).body;
  return call(server.url, path, { token, body: { currentPassword: password, ...body, ...('confirm' in body && { password }) }, ...init }); // prettier-ignore
}

const content = Buffer.alloc(28).toString('base64');

/** What can be tried on a conversation; the last word of a route is `of` what in it. */
const onTheirChat = (route: string, body?: () => object): [string, Attack] => [
  route,
  async ({ account }, token) => {
    const [method, path] = route.split(' ') as [string, string];
    for (const id of [chat, chat.toUpperCase(), victim.account, account, 'x']) {
      const at = path.replace('{id}', id).replace('{userId}', victim.account).replace('{messageId}', IDS.chatMessage);
      await expectRefusal(at, { token, method, body: body && { ...body(), ...asIfTheirs() } });
    }
  },
];

const routes: Record<string, Attack> = {
  'GET /api/conversations': (_, token) => expectOwnOnly(`/api/conversations?userId=${victim.account}`, token),
  'GET /api/conversations/invitations': (_, token) => expectOwnOnly('/api/conversations/invitations', token),
  'POST /api/conversations': async (_, token) => {
    const { status, body } = await call(server.url, '/api/conversations', { token, body: { name: 'Mine', ...asIfTheirs() } }); // prettier-ignore
    expect(status).toBe(201);
    const { members } = (await call(server.url, `/api/conversations/${body.conversation_id}`, { token })).body;
    expect(members).toHaveLength(1);
    expectNothingLeaked(members);
  },
  'POST /api/conversations/invite': async (_, token) => {
    // Who has no key is nobody who could be written to.
    for (const pseudo of [victim.name, victim.account, victim.email])
      for (const conversationId of [undefined, chat])
        await expectRefusal('/api/conversations/invite', { token, body: { pseudo, key: 'k', conversationId } });
  },
  'POST /api/conversations/invitations/{id}/respond': async (_, token) => {
    const invited = await anInvitation();
    for (const id of [invited, chat, victim.account, 'x'])
      await expectRefusal(`/api/conversations/invitations/${id}/respond`, { token, body: { response: 'accepted' } });
  },
  ...Object.fromEntries([
    onTheirChat('GET /api/conversations/{id}'),
    onTheirChat('PATCH /api/conversations/{id}', () => ({ name: 'Mine' })),
    onTheirChat('DELETE /api/conversations/{id}'),
    onTheirChat('POST /api/conversations/{id}/leave'),
    onTheirChat('GET /api/conversations/{id}/members'),
    onTheirChat('PATCH /api/conversations/{id}/members/{userId}', () => ({ role: 'member' })),
    onTheirChat('DELETE /api/conversations/{id}/members/{userId}'),
    onTheirChat('POST /api/conversations/{id}/keys', () => ({
      epoch: 2,
      keys: [{ userId: victim.account, key: 'k' }],
    })),
    onTheirChat('POST /api/conversations/{id}/history-keys', () => ({ userId: victim.account, keys: [{ epoch: 1, key: 'k' }] })), // prettier-ignore
    onTheirChat('POST /api/conversations/{id}/messages', () => ({ messageContent: content })),
    onTheirChat('GET /api/conversations/{id}/messages'),
    onTheirChat('GET /api/conversations/{id}/messages/{messageId}'),
    onTheirChat('PATCH /api/conversations/{id}/messages/{messageId}', () => ({ messageContent: content })),
    onTheirChat('DELETE /api/conversations/{id}/messages/{messageId}'),
    onTheirChat('PUT /api/conversations/{id}/messages/{messageId}/reaction', () => ({ content })),
    onTheirChat('DELETE /api/conversations/{id}/messages/{messageId}/reaction'),
    onTheirChat('PUT /api/conversations/{id}/marks', () => ({ read: 1 })),
  ]),
  'GET /api/devices': (_, token) => expectOwnOnly('/api/devices', token),
  'PATCH /api/devices/{id}': async (_, token) => {
    for (const id of theirDevices())
      await expectRefusal(`/api/devices/${id}`, { token, method: 'PATCH', body: { name: 'Mine now' } });
  },
  'DELETE /api/devices/{id}': async (_, token) => {
    for (const id of theirDevices()) await expectRefusal(`/api/devices/${id}`, { token, method: 'DELETE' });
  },
  'POST /api/files': async (_, token) => {
    const headers = { 'Upload-Length': 4, 'Upload-Metadata': encode(asIfTheirs()) };
    expect((await send(server.url, 'POST', '/api/files', { token, headers })).status).toBe(201);
    for (const id of await theirUploads()) {
      const joining = { 'Upload-Concat': `final;/api/files/${id}` };
      const reply = await send(server.url, 'POST', '/api/files', { token, headers: joining });
      expect([reply.status, reply.code]).toEqual([404, 'not_found']);
    }
  },
  'POST /api/files/{id}/link': async (_, token) => {
    for (const id of await theirUploads()) await expectRefusal(`/api/files/${id}/link`, { token, body: asIfTheirs() });
  },
  'GET /api/file-links/{link}': async (_, token) => {
    const { headers } = await send(server.url, 'POST', '/api/files', { token, headers: { 'Upload-Length': 0 } });
    const { url } = (await call(server.url, `${headers.location}/link`, { token, body: {} })).body;
    const [head, claims, signature] = url.split('/').at(-1).split('.');
    for (const file of await theirUploads()) {
      const said = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), file };
      const forged = [head, Buffer.from(JSON.stringify(said)).toString('base64url'), signature].join('.');
      for (const link of [file, forged]) await expectRefusal(`/api/file-links/${link}`, {});
    }
  },
  'OPTIONS /api/files': async (_, token) => {
    const { headers, body } = await send(server.url, 'OPTIONS', '/api/files', { token });
    expectNothingLeaked([headers, body.toString()]);
  },
  ...Object.fromEntries(['GET', 'HEAD', 'PATCH', 'DELETE'].map((method) => [`${method} /api/files/{id}`, onTheirFiles(method)])), // prettier-ignore
  'GET /api/session': (_, token) => expectOwnOnly('/api/session', token),
  'GET /api/changes': async (_, token) => {
    await expectOwnOnly('/api/changes', token);
    // A cursor that the account never gave out is none.
    await expectRefusal(`/api/changes?after=${before.cursor - 1}`, { token }, 410);
  },
  'GET /api/snapshot': (_, token) => expectOwnOnly('/api/snapshot', token),
  'GET /api/changes/stream': async (attacker, token) => {
    const leave = new AbortController();
    const response = await fetch(`${server.url}/api/changes/stream`, {
      headers: { Authorization: `Bearer ${token}` },
      signal: leave.signal,
    });
    // What happens to the other account meanwhile would come before what happens to this one.
    await attacker.handset.send('mobile:messages', { messages: [message({ id: 'mark', body: 'Mark' })] });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('"mark"')) text += (await reader.read()).value ?? '';
    leave.abort();
    expectNothingLeaked(text);
  },
  'GET /api/account': (_, token) => expectOwnOnly(`/api/account?userId=${victim.account}`, token),
  'GET /api/account/events': (_, token) => expectOwnOnly('/api/account/events?limit=500', token),
  'GET /api/account/export': (_, token) => expectOwnOnly('/api/account/export', token),
  'DELETE /api/account': async (_, token) => {
    const body = { confirm: true, password: victim.password, ...asIfTheirs() };
    await expectRefusal('/api/account', { token, method: 'DELETE', body }, 401);
    const { status } = await asSomebodyNew('/api/account', { method: 'DELETE', body });
    expect(status).toBe(200);
  },
  'POST /api/account/email': async (_, token) => {
    const body = { email: victim.email, ...asIfTheirs() };
    const { body: told } = await call(server.url, '/api/account/email', { token, body });
    expect(told).toEqual({ success: true });
  },
  'POST /api/account/email/confirm': async ({ password: currentPassword }, token) => {
    const { email } = victim;
    const confirm = (code: string, status: number, more: object = {}) =>
      expectRefusal('/api/account/email/confirm', { token, body: { email, code, currentPassword, ...more } }, status);
    await confirm(await aCode(server, mails, '/api/auth/request-otp', email), 400, asIfTheirs());
    await confirm(await aCode(server, mails, '/api/account/email', email, victim.token), 400, asIfTheirs());
    // Not even with the right code: one email is one account.
    const code = await aCode(server, mails, '/api/account/email', email, token);
    const reply = await call(server.url, '/api/account/email/confirm', {
      token,
      body: { email, code, currentPassword },
    });
    expect([reply.status, reply.body.code]).toEqual([409, 'email_taken']);
  },
  'PUT /api/account/name': async ({ password: currentPassword }, token) => {
    for (const name of [victim.name, ` ${victim.name.toUpperCase()}`]) {
      const body = { name, currentPassword, ...asIfTheirs() };
      await expectRefusal('/api/account/name', { token, method: 'PUT', body }, 409);
    }
  },
  'PUT /api/account/password': async (_, token) => {
    const body = { password: 'yet another password', ...asIfTheirs() };
    const withTheirs = { ...body, currentPassword: victim.password };
    await expectRefusal('/api/account/password', { token, method: 'PUT', body: withTheirs }, 401);
    const { status } = await asSomebodyNew('/api/account/password', { method: 'PUT', body });
    expect(status).toBe(200);
  },
  'PUT /api/profile/update': async (_, token) => {
    const body = { new_password: 'yet another password', ...asIfTheirs() };
    const withTheirs = { ...body, password: victim.password };
    await expectRefusal('/api/profile/update', { token, method: 'PUT', body: withTheirs }, 401);
    const own = { ...body, password: 'a new password' };
    expect((await asSomebodyNew('/api/profile/update', { method: 'PUT', body: own })).status).toBe(200);
  },
  'GET /api/profile/hide': async (_, token) => {
    for (const hide of [true, false])
      expect((await call(server.url, `/api/profile/hide?userId=${victim.account}`, { token })).body.hide).toBe(hide);
  },
  'PUT /api/profile/hide': async (_, token) => {
    for (const hide of [true, false])
      expect((await call(server.url, '/api/profile/hide', { token, method: 'PUT', body: { hide, ...asIfTheirs() } })).body.hide).toBe(hide); // prettier-ignore
  },
  'DELETE /api/profile/remove': async () => {
    const body = { confirm: true, ...asIfTheirs(), password: victim.password };
    expect((await asSomebodyNew('/api/profile/remove', { method: 'DELETE', body })).status).toBe(200);
  },
  'GET /api/profile/search/{pseudo}': async (_, token) => {
    // Without a key nobody can write to them, so there is nobody to find.
    for (const name of theirNames().map((text) => encodeURIComponent(text)))
      for (const method of ['exact', 'startsWith', 'endsWith', 'contains']) {
        const { status, body } = await call(server.url, `/api/profile/search/${name}?method=${method}`, { token });
        // What is too long for a name is told so.
        expect([[200, []], [400, expect.anything()]]).toContainEqual([status, body]); // prettier-ignore
        expectNothingLeaked(body);
      }
  },
  'PUT /api/profile/public-key': async (_, token) => {
    const body = { public_key: randomUUID(), signature: 'x', ...asIfTheirs() };
    expect((await call(server.url, '/api/profile/public-key', { token, method: 'PUT', body })).status).toBe(200);
  },
  'GET /api/blocks': (_, token) => expectOwnOnly(`/api/blocks?userId=${victim.account}`, token),
  'PUT /api/blocks/{userId}': async ({ account }, token) => {
    for (const id of theirNames().filter((name) => name !== victim.account))
      await expectRefusal(`/api/blocks/${encodeURIComponent(id)}`, { token, method: 'PUT', body: asIfTheirs() });
    // Themselves they block for themselves alone.
    const theirs = `/api/blocks/${victim.account}`;
    expect((await call(server.url, theirs, { token, method: 'PUT', body: { account } })).status).toBe(200);
    expect((await call(server.url, theirs, { token, method: 'DELETE' })).status).toBe(200);
  },
  'DELETE /api/blocks/{userId}': async ({ account }, token) => {
    const fresh = { pseudo: `eve-${randomUUID()}`, password: 'a new password' };
    const { token: theirs } = (await call(server.url, '/api/auth/register', { body: fresh })).body;
    await call(server.url, `/api/blocks/${account}`, { token: theirs, method: 'PUT' });
    await expectRefusal(`/api/blocks/${account}x`, { token, method: 'DELETE', body: asIfTheirs() });
    expect((await call(server.url, `/api/blocks/${account}`, { token, method: 'DELETE' })).status).toBe(200);
    expect((await call(server.url, '/api/blocks', { token: theirs })).body).toEqual({ blocks: [{ user_id: account }] });
  },
  'POST /api/account/join': async ({ token: own }, token) => {
    const [header, , signature] = own.split('.');
    const forged = `${header}.${victim.token.split('.')[1]}.${signature}`;
    for (const theirs of [forged, ...theirNames()])
      await expectRefusal('/api/account/join', { token, body: { token: theirs } }, 401);
  },
  'POST /api/auth/verify': async ({ token }) => {
    const [header, , signature] = token.split('.');
    const claims = claimsOf(victim.token);
    const theirs = Buffer.from(JSON.stringify({ ...claims, exp: claims.exp + 1 })).toString('base64url');
    for (const sessionToken of [
      `${header}.${theirs}.${signature}`,
      victim.apiKey,
      victim.refreshToken,
      ...theirNames(),
    ])
      await expectRefusal('/api/auth/verify', { body: { sessionToken } }, 401);
  },
  'POST /api/pairing/claim': async (attacker, token) => {
    const qr = await generateQr(server.url);
    const body = { qrData: qr.qrData, deviceId: victim.handset.deviceId };
    if (token === attacker.handset.deviceToken) return expectRefusal('/api/pairing/claim', { token, body }, 403);
    // Whoever is let in is let into the claimer's own account, whatever the claim says.
    expect((await call(server.url, '/api/pairing/claim', { token, body })).status).toBe(200);
    const { data } = (await waitPairing(server.url, qr.token)).body;
    expect(data.deviceId).not.toBe(victim.handset.deviceId);
    await expectOwnOnly('/api/snapshot', data.sessionToken);
  },
  'POST /api/auth/wait-pairing': async () => {
    for (const token of [victim.browserId, victim.handset.deviceId, victim.handset.deviceToken])
      await expectRefusal('/api/auth/wait-pairing', { body: { token } });
  },
  'GET /api/auth/generate-qr': async () => {
    const reply = await call(server.url, `/api/auth/generate-qr?deviceId=${victim.handset.deviceId}`);
    expect(JSON.stringify(reply.body)).not.toContain(victim.handset.deviceId);
  },
  'GET /api/keys': (_, token) => expectOwnOnly('/api/keys', token),
  'POST /api/keys': async (_, token) => {
    const { status, body } = await call(server.url, '/api/keys', { token, body: { name: 'Mine', ...asIfTheirs() } });
    expect(status).toBe(201);
    await expectOwnOnly('/api/snapshot', body.apiKey);
  },
  'DELETE /api/keys/{id}': async (_, token) => {
    for (const id of [victim.keyId, victim.apiKey, victim.browserId, 'x'])
      await expectRefusal(`/api/keys/${id}`, { token, method: 'DELETE' });
  },
  'GET /api/auth/check': (_, token) => expectOwnOnly(`/api/auth/check?userId=${victim.account}`, token),
  'POST /api/auth/register': async () => {
    const { email, name, browserId: deviceId } = victim;
    for (const taken of [
      { email },
      { email: ` ${email.toUpperCase()}` },
      { pseudo: name },
      { pseudo: name.toUpperCase() },
    ]) {
      const reply = await call(server.url, '/api/auth/register', { body: { ...taken, password: 'a new password' } });
      expect([taken, reply.status]).toEqual([taken, 409]);
      for (const secret of [victim.account, SECRET]) expect(JSON.stringify(reply.body)).not.toContain(secret);
    }
    const fresh = {
      pseudo: `eve-${randomUUID()}`,
      password: 'a new password',
      deviceInfo: { deviceId },
      ...asIfTheirs(),
    };
    const { body } = await call(server.url, '/api/auth/register', { body: fresh });
    await expectOwnOnly('/api/snapshot', body.token);
  },
  'POST /api/auth/login': async ({ email, password, account }) => {
    const [theirs, deviceId] = [{ email: victim.email }, victim.browserId];
    for (const who of [theirs, { pseudo: victim.name }, { ...theirs, userId: account }, { pseudo: victim.account }])
      await expectRefusal('/api/auth/login', { body: { ...who, password } }, 401);
    const { body } = await call(server.url, '/api/auth/login', { body: { email, password, deviceInfo: { deviceId }, ...asIfTheirs() } }); // prettier-ignore
    expect(body.userId).toBe(account);
    await expectOwnOnly('/api/snapshot', body.token);
  },
  'POST /api/auth/request-otp': async () => {
    const ask = (email: string) => call(server.url, '/api/auth/request-otp', { body: { email } });
    const known = await ask(victim.email);
    const unknown = await ask(`${randomUUID()}@example.org`);
    expect([known.status, known.body]).toEqual([unknown.status, unknown.body]);
    expectNothingLeaked(known.body);
    await mails.mailTo(victim.email, 2);
    for (const { to } of mails.mails) expect(to).toHaveLength(1);
  },
  'POST /api/auth/verify-otp': async ({ email, account }) => {
    const otherwise = await aCode(server, mails, '/password/default/forgotten', victim.email);
    const theirs = await aCode(server, mails, '/api/auth/request-otp', victim.email);
    await expectRefusal('/api/auth/verify-otp', { body: { email, otp: theirs } }, 400);
    const own = await aCode(server, mails, '/api/auth/request-otp', email);
    for (const otp of [own, otherwise])
      await expectRefusal('/api/auth/verify-otp', { body: { email: victim.email, otp, userId: account } }, 400);
    const { body } = await call(server.url, '/api/auth/verify-otp', { body: { email, otp: own, ...asIfTheirs() } });
    expect(body.userId).toBe(account);
    await expectOwnOnly('/api/snapshot', body.token);
  },
  'POST /register/{realm}': async ({ password, token }) => {
    const { email, clientId } = victim;
    const body = { name: 'Eve', email, password, clientId, deleteRemoteData: 1, ...asIfTheirs() };
    for (const [fields, status] of [
      [{}, 409],
      [{ newRegistration: true }, 409],
      [{ newRegistration: false }, 403],
    ] as const) {
      const reply = await call(server.url, '/register/default', { token, body: { ...body, ...fields } });
      expect([fields, reply.status]).toEqual([fields, status]);
    }
    // In another realm the same email is another person, under the same id of a client.
    const { status } = await call(server.url, '/register/clinic', { body });
    expect([200, 409]).toContain(status);
    const { body: tokens } = await call(server.url, '/login/clinic', {
      body: { clientId },
      headers: basic(email, password),
    });
    await expectOwnOnly('/api/snapshot', tokens.access_token);
    const pulled = await call(server.url, '/pull/default', { token: tokens.access_token, body: { lastSync: 0 } });
    expect([pulled.status, pulled.body.code]).toEqual([403, 'token_expired']);
  },
  'POST /unregister/{realm}': async ({ email, password, accessToken }) => {
    for (const clientId of theirDevices()) {
      await expectRefusal('/unregister/default', { token: accessToken, body: { clientId } });
      await expectRefusal('/unregister/default', { body: { email, password, clientId } });
      await expectRefusal('/unregister/default', { body: { email: victim.email, password, clientId } }, 403);
    }
    await expectRefusal('/unregister/clinic', { token: victim.accessToken, body: {} }, 403);
  },
  'POST /login/{realm}': async ({ email, password }) => {
    const { clientId } = victim;
    for (const who of [victim.email, victim.name])
      await expectRefusal('/login/default', { body: { clientId }, headers: basic(who, password) }, 403);
    await expectRefusal('/login/clinic', { body: { clientId }, headers: basic(victim.email, victim.password) }, 403);
    const { body } = await call(server.url, '/login/default', { body: { clientId }, headers: basic(email, password) });
    await expectOwnOnly('/api/snapshot', body.access_token);
  },
  'POST /login/{realm}/refreshToken': async () => {
    for (const refreshToken of [
      victim.accessToken,
      victim.token,
      victim.handset.deviceToken,
      victim.apiKey,
      ...theirNames(),
    ])
      await expectRefusal('/login/default/refreshToken', { body: { refreshToken } }, 403);
    // Elsewhere it is none, and is not used up there.
    await expectRefusal('/login/clinic/refreshToken', { body: { refreshToken: victim.refreshToken } }, 403);
  },
  'POST /password/{realm}/forgotten': async () => {
    const ask = (email: string) => call(server.url, '/password/default/forgotten', { body: { email } });
    const known = await ask(victim.email);
    const unknown = await ask(`${randomUUID()}@example.org`);
    expect([known.status, known.body]).toEqual([unknown.status, unknown.body]);
    expectNothingLeaked(known.body);
  },
  'POST /password/{realm}/change': async ({ email }) => {
    const newPassword = 'a new password';
    const change = (who: string, pin: string, realm = 'default') =>
      expectRefusal(`/password/${realm}/change`, { body: { email: who, pin, newPassword, ...asIfTheirs() } }, 403);
    const otherwise = await aCode(server, mails, '/api/auth/request-otp', victim.email);
    const theirs = await aCode(server, mails, '/password/default/forgotten', victim.email);
    await change(email, theirs);
    await change(victim.email, theirs, 'clinic');
    const own = await aCode(server, mails, '/password/default/forgotten', email);
    for (const pin of [own, otherwise]) await change(victim.email, pin);
  },
  ...tableSync('POST /pull/{realm}'),
  ...tableSync('POST /pull/{realm}/{clientId}'),
  ...tableSync('POST /push/{realm}'),
  ...tableSync('POST /push/{realm}/{clientId}'),
  'POST /cancelSync/{realm}': async (_, token) => {
    for (const clientId of theirDevices())
      await expectRefusal('/cancelSync/default', { token, body: { clientId, ...asIfTheirs() } }, 400);
    expect((await call(server.url, '/cancelSync/default', { token, body: asIfTheirs() })).status).toBe(200);
  },
  'POST /api/sync': async (_, token) => {
    const row = { updated_at: Date.now(), is_deleted: 0 };
    const client_changes = {
      conversations: [IDS.conversation, IDS.deltaConversation].map((id) => ({ id, name: 'Mine', ...row })),
      messages: [IDS.message, IDS.queued, IDS.deltaMessage].map((id) => ({ id, conversation_id: IDS.conversation, content: 'Mine', ...row })), // prettier-ignore
    };
    const deleted = {
      conversations: [{ id: 'their-other', ...row, is_deleted: 1 }],
      messages: [{ id: 'their-second', ...row, is_deleted: 1 }],
    };
    for (const changes of [undefined, client_changes, deleted])
      for (const last_sync_timestamp of [0, 1, before.cursor - 1, before.cursor]) {
        const body = { last_sync_timestamp, client_changes: changes, ...asIfTheirs() };
        const reply = await call(server.url, '/api/sync', { token, body });
        expect(reply.status).toBe(200);
        expectNothingLeaked(reply.body);
      }
  },
};

/** A file and an upload of the other account. */
async function theirUploads(): Promise<string[]> {
  const uploads = await query(server.database.url, 'SELECT id FROM uploads WHERE account_id = $1', [victim.account]);
  expect(uploads).toHaveLength(2);
  return uploads.map(({ id }) => id as string);
}

/** By their addresses. */
function onTheirFiles(method: string): Attack {
  return async (_, token) => {
    for (const id of await theirUploads())
      for (const tus of [true, false]) {
        const headers = { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': SECRET.length };
        const body = method === 'PATCH' ? Buffer.from('x') : undefined;
        const reply = await send(server.url, method, `/api/files/${id}`, { token, tus, headers, body });
        // A part or a deletion without the version of tus is told that first.
        expect(reply.status).toBe(tus || method === 'GET' || method === 'HEAD' ? 404 : 412);
        expectNothingLeaked([reply.headers, reply.body.toString()]);
      }
  };
}

/** Pulls and pushes under the other account's client and rows; what is taken goes into one's own account. */
function tableSync(route: string): Record<string, Attack> {
  const [, path] = route.split(' ') as [string, string];
  return {
    [route]: async (_, token) => {
      const now = Date.now();
      const to = (realm: string, clientId: string) => path.replace('{realm}', realm).replace('{clientId}', clientId);
      const { sid: own } = token.includes('.') ? claimsOf(token) : { sid: (await call(server.url, '/api/auth/check', { token })).body.deviceId }; // prettier-ignore
      const changes = [IDS.record, IDS.announced].map((guid) => change(guid, now, { text: 'Mine' }));
      for (const clientId of theirDevices()) {
        await expectRefusal(to('default', clientId), { token, body: { clientId, lastSync: 0, changes } }, 400);
        if (path.includes('{clientId}')) await expectRefusal(to('default', clientId), { token, body: { lastSync: 0, changes } }, 400); // prettier-ignore
      }
      await expectRefusal(to('clinic', own), { token, body: { lastSync: 0, changes } }, 403);
      for (const lastSync of [0, 1, before.cursor - 1, before.cursor])
        for (const list of [[], changes, [change(IDS.record, 1, 'Older')], [change(IDS.record, now)]]) {
          const reply = await call(server.url, to('default', own), {
            token,
            body: { lastSync, changes: list, ...asIfTheirs() },
          });
          expect(reply.status).toBe(200);
          expectNothingLeaked(reply.body);
        }
    },
  };
}

/** These know of no account: there is nothing of anybody's in them. */
const OF_NOBODY = ['GET /', 'GET /api/auth/health', 'GET /api/health', 'GET /healthz', 'GET /readyz', 'GET /metrics'];

test.each(Object.keys(routes))('%s gives nothing of another account, and changes nothing', (route) =>
  attacked(async (attacker) => {
    for (const token of tokensOf(route, attacker)) await routes[route]!(attacker, token);
  }),
);

test.each(OF_NOBODY)('%s tells nothing of anybody', (route) =>
  attacked(async () => {
    const { body } = await call(server.url, route.slice('GET '.length));
    expectNothingLeaked(body);
    const text = JSON.stringify(body);
    for (const id of [...theirDevices(), ...Object.values(IDS)]) expect(text).not.toContain(id);
  }),
);

test('an API key that has just been used is no token of a device for that', async () => {
  const { apiKey, token } = await aParty(server, mails);
  const used = async () => expect((await call(server.url, '/api/changes?limit=1', { token: apiKey })).status).toBe(200);
  for (const [path, init, status] of [
    ['/api/auth/verify', { body: { sessionToken: apiKey } }, 401],
    ['/unregister/default', { token: apiKey, body: {} }, 403],
    ['/api/account/join', { token, body: { token: apiKey } }, 401],
    ['/api/keys', { token: apiKey }, 403],
  ] as const) {
    await used();
    expect([path, (await call(server.url, path, init)).status]).toEqual([path, status]);
  }
  await used();
  const socket = new Client(server.url, { auth: { token: apiKey } });
  later(() => socket.close());
  expect((await socket.next('connect_error')).data).toMatchObject({ code: 'wrong_role' });
});

interface OpenApi {
  paths: Record<string, Record<string, { security: object[] }>>;
}

async function documentedRoutes(): Promise<[route: string, closed: boolean][]> {
  const { body } = await call<OpenApi>(server.url, '/docs/json');
  return Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]): [string, boolean] => [
      `${method.toUpperCase()} ${path}`,
      security.every((one) => 'bearer' in one),
    ]),
  );
}

test('every route there is was tried', async () => {
  const documented = (await documentedRoutes()).map(([route]) => route).sort();
  expect([...Object.keys(routes), ...OF_NOBODY].sort()).toEqual(documented);
});

test('every route that is not public refuses a request without a token', async () => {
  const closed = (await documentedRoutes()).filter(([, isClosed]) => isClosed).map(([route]) => route);
  expect(closed.length).toBeGreaterThan(0);
  for (const route of closed) {
    const [method, path] = route.split(' ') as [string, string];
    const reply = await call(server.url, path.replace('{realm}', 'default').replaceAll(/\{\w+\}/g, 'x'), { method });
    // A reply to HEAD has no body.
    const code = method === 'HEAD' ? undefined : 'not_authenticated';
    expect([route, reply.status, reply.body.code]).toEqual([route, 401, code]);
  }
});

// Events

/** Refused, or done to nothing but the sender's own account, which has nothing by that id. */
type EventAttack = (attacker: Party) => Promise<unknown>;

const refused = async (ack: Promise<{ ok: boolean; code?: string }>, ...codes: string[]) => {
  const { ok, code } = await ack;
  expect([ok, codes]).toEqual([false, expect.arrayContaining([code])]);
};

/** On the other's conversation, and on what is none. */
const onTheirChatBy = (event: ChatClientEvent): [ChatClientEvent, EventAttack] => [
  event,
  async ({ web, account }) => {
    for (const conversationId of [chat, victim.account, account, 'x']) {
      const payload = { conversationId, messageId: IDS.chatMessage, messageContent: content, content, read: 1 };
      await refused(web.send(event, payload), 'conversation_not_found');
    }
  },
];
const talking = Object.fromEntries((Object.keys(chatEvents) as ChatClientEvent[]).map(onTheirChatBy)) as Record<ChatClientEvent, EventAttack>; // prettier-ignore

const events: Record<ClientEvent, EventAttack> = {
  ...talking,
  'mobile:register': async ({ handset }) => {
    const { deviceId } = victim.handset;
    for (const deviceToken of [undefined, handset.deviceToken, 'guess']) {
      const socket = new Client(server.url);
      later(() => socket.close());
      const payload = { deviceId, deviceName: 'Mine now', deviceToken };
      await refused(socket.send('mobile:register', payload), 'device_token_required', 'authentication_failed');
      await refused(socket.send('mobile:messages', { messages: [] }), 'device_not_registered');
    }
    await refused(handset.send('mobile:register', { deviceId, deviceName: 'x' }), 'already_authenticated');
  },
  'mobile:scan-qr': async ({ handset }) => {
    const { qrData } = await generateQr(server.url);
    const payload = { qrData, deviceId: victim.handset.deviceId };
    await refused(handset.send('mobile:scan-qr', payload), 'authentication_failed');
  },
  'mobile:messages': async ({ handset }) => {
    const mine = message({ id: IDS.message, conversationId: IDS.conversation, body: 'Not theirs' });
    expect(await handset.send('mobile:messages', { messages: [mine] })).toMatchObject({ ok: true, new: 1 });
  },
  'mobile:conversations': async ({ handset }) => {
    const mine = { id: IDS.conversation, phoneNumber: '+15550100', lastMessage: 'x', lastMessageTime: Date.now() };
    expect(await handset.send('mobile:conversations', { conversations: [mine] })).toMatchObject({ ok: true });
  },
  'mobile:message-status': async ({ handset }) => {
    for (const messageId of [IDS.message, IDS.queued])
      expect(await handset.send('mobile:message-status', { messageId, status: 'failed' })).toEqual({
        ok: true,
        known: false,
      });
  },
  'message:sent': async ({ handset }) => {
    for (const messageId of [IDS.queued, 'unheard-of'])
      expect(await handset.send('message:sent', { phoneNumber: SECRET_NUMBER.slice(0, -1), messageId })).toEqual({ ok: true, known: false }); // prettier-ignore
  },
  'message:deleted': async ({ handset }) => {
    for (const messageId of [IDS.message, IDS.queued])
      await refused(handset.send('message:deleted', { messageId }), 'message_not_found');
  },
  'web:authenticate': async ({ web }) => {
    await refused(web.send('web:authenticate', { sessionToken: victim.token }), 'already_authenticated');
    const socket = new Client(server.url);
    later(() => socket.close());
    for (const sessionToken of [victim.browserId, victim.handset.deviceId, victim.token.slice(0, -2)])
      await refused(socket.send('web:authenticate', { sessionToken }), 'authentication_failed');
  },
  'web:send-message': async ({ web, handset }) => {
    const payload = { phoneNumber: '+15550100', message: 'Mine', tempId: IDS.queued };
    expect(await web.send('web:send-message', payload)).toMatchObject({ ok: true });
    expect(await handset.next('send:message')).toEqual(payload);
  },
  'web:mark-read': ({ web }) =>
    refused(web.send('web:mark-read', { conversationId: IDS.conversation }), 'conversation_not_found'),
  'web:delete-message': async ({ web }) => {
    for (const messageId of [IDS.message, IDS.queued])
      await refused(web.send('web:delete-message', { messageId }), 'message_not_found');
  },
  'state:put': async ({ web, handset }) => {
    for (const device of [web, handset])
      expect(await device.send('state:put', { key: IDS.state, value: 'Not theirs' })).toMatchObject({ ok: true });
  },
  'state:delete': async ({ web, handset }) => {
    for (const device of [web, handset]) await refused(device.send('state:delete', { key: IDS.state }), 'not_found');
  },
  'session-update': async ({ web, handset }) => {
    for (const device of [web, handset])
      expect(await device.send('session-update', { sessionKey: IDS.state, state: 'Not theirs' })).toMatchObject({ ok: true }); // prettier-ignore
  },
  'realtime-event': async ({ web }) => {
    for (const targetDeviceId of [null, ...theirDevices()])
      expect(await web.send('realtime-event', { type: 'x', payload: 'Not theirs', targetDeviceId })).toEqual({ ok: true }); // prettier-ignore
  },
  'device-message': async ({ web }) => {
    for (const targetDeviceId of theirDevices())
      await refused(web.send('device-message', { targetDeviceId, message: 'Not theirs' }), 'not_found');
  },
  'web:request-sync': async ({ web, handset }) => {
    expect(await web.send('web:request-sync')).toMatchObject({ ok: true });
    await handset.next('request:sync');
  },
};

test.each(Object.keys(events) as ClientEvent[])('%s reaches nothing of another account', (event) =>
  attacked(async (attacker) => {
    await events[event](attacker);
  }),
);

test('every event there is was tried', () => {
  expect(Object.keys(events).sort()).toEqual(Object.keys(clientEvents(server.env.limits)).sort());
});

test('every event is refused to a socket that has not said who it is, and to the wrong kind of device', async () => {
  const stranger = new Client(server.url);
  later(() => stranger.close());
  const { handset, web } = await aParty(server, mails);
  for (const [event, { from }] of Object.entries(clientEvents(server.env.limits))) {
    if (from === 'anyone') continue;
    const code = from === 'phone' ? 'device_not_registered' : 'not_authenticated';
    expect([event, await stranger.send(event)]).toMatchObject([event, { ok: false, code }]);
    if (from === 'device') continue;
    const wrong = from === 'phone' ? web : handset;
    expect([event, await wrong.send(event)]).toMatchObject([event, { ok: false, code: 'wrong_role' }]);
  }
});

test('a follower by cursor is sent its own account only', () =>
  attacked(async ({ token, handset }) => {
    const following = new Client(server.url, { auth: { token, after: 0 } });
    later(() => following.close());
    await handset.send('mobile:messages', { messages: [message({ id: 'mark' })] });
    await following.until(() => JSON.stringify(following.all('changes')).includes('"mark"'));
    expectNothingLeaked(following.received);
  }));
