import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { AccountKeys } from '../src/changes/account-keys.js';
import { Databases } from '../src/database/databases.js';
import type { RealmSettings } from '../src/env.js';
import { AccountEvents } from '../src/sessions/account-events.js';
import { RefreshTokens } from '../src/accounts/refresh-tokens.js';
import { call, Client, phone, type Reply } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { createTestDatabase, type TestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { MailServer } from './support/smtp.js';

const CHEAP = { memoryKib: 8, passes: 1, lanes: 1 };
const UNLIMITED = { wrongTokensPerMinute: 0, wrongSignInsPerMinute: 0, wrongSignInsPerQuarterHour: 0, codesPerHour: 0, registrationsPerHour: 0 }; // prettier-ignore
const DEFAULT: RealmSettings = { slug: 'default', name: 'Pairline', registration: 'open' };

let server: TestServer;
let clinic: TestDatabase;
let mails: MailServer;

beforeAll(async () => {
  clinic = await createTestDatabase();
  mails = await MailServer.start();
  server = await TestServer.start({
    realms: [DEFAULT, { slug: 'clinic', name: 'Clinic', registration: 'open', databaseUrl: clinic.url }],
    argon2: CHEAP,
    limits: UNLIMITED,
    smtpUrl: mails.url(),
    mailFrom: 'pairline@example.org',
  });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  await mails.stop();
  await clinic.drop();
});

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start({ argon2: CHEAP, ...options });
  later(() => started.stop());
  return started;
}

const REALMS = [['the realm default', 'default'], ['a realm with a database of its own', 'clinic']] as const; // prettier-ignore
const databaseOf = (realm: string) => (realm === 'default' ? server.database.url : clinic.url);

const post = (path: string, body: unknown, headers: Record<string, string> = {}, url = server.url): Promise<Reply> =>
  call(url, path, { body, headers });
const basic = (name: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const told = ({ status, body }: Reply) => [status, body.code, body.message];

const aMember = (fields: object = {}) => ({
  name: 'Ann Example',
  email: `${randomUUID()}@example.org`,
  password: `pw:${randomUUID()}`,
  clientId: randomUUID() as string,
  ...fields,
});
type Member = ReturnType<typeof aMember>;

const register = (realm: string, member: object, url = server.url) => post(`/register/${realm}`, member, {}, url);
const login = (realm: string, { email, password, clientId }: Member, url = server.url) =>
  post(`/login/${realm}`, { clientId }, basic(email, password), url);
const refresh = (realm: string, refreshToken: string) => post(`/login/${realm}/refreshToken`, { refreshToken });
/** What the token opens: the devices of its account, or a refusal. */
const devices = (token: string, url = server.url) => call(url, '/api/devices', { token });

async function aSignedInMember(realm: string, fields: object = {}) {
  const member = aMember(fields);
  const registered = await register(realm, member);
  if (registered.status !== 200) throw new Error(JSON.stringify(registered.body));
  const { body } = await login(realm, member);
  return { member, userId: registered.body.user.id as string, tokens: body };
}

async function eventsOf(realm: string, userId: string): Promise<string[]> {
  const account = (await server.app.get(AccountKeys).find(userId, realm))!;
  return (await server.app.get(AccountEvents).list(account, 100)).map(({ event }) => event);
}

describe.each(REALMS)('POST /register/:realm in %s', (_where, realm) => {
  test('answers who was registered, and never the password', async () => {
    const member = aMember({ language: 'de', clientDescription: '{"name":"Tablet","os":"Android 15"}' });
    const { status, body } = await register(realm, member);
    const id = expect.stringMatching(/^[0-9a-f-]{36}$/);
    const { name, email, language, clientId } = { language: 'de', ...member };
    expect([status, body]).toEqual([
      200,
      { message: expect.any(String), user: { id, userid: body.user.id, name, email, language, clientid: clientId } },
    ]);
    expect(JSON.stringify(body)).not.toContain(member.password);
    const { body: tokens } = await login(realm, member);
    expect((await devices(tokens.access_token)).body.devices).toMatchObject([
      { id: clientId, name: 'Tablet', metadata: { os: 'Android 15' }, current: true },
    ]);
  });

  test('a second client of the same person joins with the right password', async () => {
    const member = aMember({ language: 'de' });
    const first = await register(realm, member);
    for (const fields of [{}, { newRegistration: false }, { newRegistration: 0 }]) {
      const another = { ...member, name: 'Other', clientId: randomUUID(), email: ` ${member.email.toUpperCase()}`, ...fields }; // prettier-ignore
      const again = await register(realm, another);
      expect([again.status, again.body.user]).toEqual([200, { ...first.body.user, clientid: another.clientId }]);
    }
    const { body } = await login(realm, member);
    expect((await devices(body.access_token)).body.devices).toHaveLength(4);
  });

  test('the same client again is the same client', async () => {
    const member = aMember();
    const first = await register(realm, member);
    expect((await register(realm, member)).body).toEqual(first.body);
    const { body } = await login(realm, member);
    expect((await devices(body.access_token)).body.devices).toHaveLength(1);
  });

  test('a taken email with another password is a 409, and nothing is added', async () => {
    const { member, tokens } = await aSignedInMember(realm);
    const refused = await register(realm, { ...member, password: 'not the one', clientId: randomUUID() });
    expect(told(refused)).toEqual([409, 'email_taken', 'The email is already registered']);
    expect((await devices(tokens.access_token)).body.devices).toHaveLength(1);
  });

  test('a taken email is a 409 for who asks for a new registration, with the right password too', async () => {
    const member = aMember({ newRegistration: true });
    expect((await register(realm, member)).status).toBe(200);
    for (const newRegistration of [true, 1, 'true'])
      expect(told(await register(realm, { ...member, newRegistration }))).toEqual([409, 'email_taken', 'The email is already registered']); // prettier-ignore
  });

  test('who claims an earlier registration is told when there is none, or when the password is wrong', async () => {
    const member = aMember({ newRegistration: false });
    expect(told(await register(realm, member))).toEqual([400, 'email_unknown', 'email is not registered']);
    await register(realm, { ...member, newRegistration: true });
    const wrong = await register(realm, { ...member, password: 'not the one' });
    expect(told(wrong)).toEqual([403, 'sign_in_refused', 'Wrong username or password']);
  });

  test.each([
    ['no email', { email: undefined }],
    ['an email that is none', { email: 'ann' }],
    ['an email with NUL', { email: 'a\0b@example.org' }],
    ['no password', { password: undefined }],
    ['a short password', { password: '12345' }],
    ['a password that is too long', { password: 'p'.repeat(1025) }],
    ['a number as a password', { password: 123456789 }],
    ['no name', { name: undefined }],
    ['no clientId', { clientId: undefined }],
    ['an empty clientId', { clientId: '' }],
    ['a clientId of 129 characters', { clientId: 'c'.repeat(129) }],
    ['a clientId with NUL', { clientId: 'a\0b' }],
    ['a clientId with half a character', { clientId: 'a\ud800' }],
    ['a clientDescription that is not JSON', { clientDescription: '{' }],
    ['a clientDescription that is no text', { clientDescription: { name: 'Tablet' } }],
    ['a newRegistration that is neither', { newRegistration: 'perhaps' }],
    ['a language that is no text', { language: 5 }],
  ])('%s is a 400, and nobody is registered', async (_what, fields) => {
    const member = aMember();
    const refused = await register(realm, { ...member, ...fields });
    expect([refused.status, refused.body.success]).toEqual([400, false]);
    expect(told(await register(realm, { ...member, newRegistration: false }))).toEqual([400, 'email_unknown', 'email is not registered']); // prettier-ignore
  });

  test('deleteRemoteData deletes the rows of the person, only with the right password; their other clients learn it', async () => {
    const { member, tokens } = await aSignedInMember(realm);
    const change = { operation: 'I', rowguid: randomUUID(), tablename: 'notes', clientdate: 1_700_000_000_000 };
    const pushed = await call(server.url, `/push/${realm}`, {
      token: tokens.access_token,
      body: { clientId: member.clientId, lastSync: 0, changes: [{ ...change, rowData: { text: 'Milk' } }] },
    });
    expect(pushed.status).toBe(200);
    const pull = async (token: string, clientId: string) => {
      const body = { clientId, lastSync: clientId === member.clientId ? pushed.body.lastSync : 0, changes: [] };
      const { data } = (await call(server.url, `/pull/${realm}`, { token, body })).body;
      return data.map(({ operation, rowguid }: typeof change) => [operation, rowguid]);
    };
    const anew = { ...member, clientId: randomUUID(), deleteRemoteData: true };
    expect((await register(realm, { ...anew, password: 'not the one' })).status).toBe(409);
    expect((await register(realm, { ...anew, deleteRemoteData: false })).status).toBe(200);
    expect(await pull(tokens.access_token, member.clientId)).toEqual([]);
    expect((await register(realm, anew)).status).toBe(200);
    expect(await pull(tokens.access_token, member.clientId)).toEqual([['D', change.rowguid]]);
    expect(await pull((await login(realm, anew)).body.access_token, anew.clientId)).toEqual([]);
  });
});

describe.each(REALMS)('POST /login/:realm in %s', (_where, realm) => {
  test('answers tokens in both spellings, and when they end', async () => {
    const member = aMember();
    await register(realm, member);
    const before = Date.now();
    const { status, body } = await login(realm, member);
    const token = expect.any(String);
    expect([status, body]).toEqual([
      200,
      {
        token_type: 'Bearer',
        access_token: token,
        refresh_token: token,
        expires_in: expect.any(Number),
        expires_on: expect.any(Number),
        accessToken: body.access_token,
        refreshToken: body.refresh_token,
      },
    ]);
    expect(Math.abs(body.expires_on - before - server.env.accessTtlMs)).toBeLessThan(60_000);
    expect(Math.abs(body.expires_in * 1000 - server.env.accessTtlMs)).toBeLessThan(60_000);
    const claims = JSON.parse(Buffer.from(body.access_token.split('.')[1], 'base64url').toString());
    expect(claims).toMatchObject({ sid: member.clientId, exp: body.expires_on / 1000 });
    expect((await devices(body.access_token)).status).toBe(200);
  });

  test.each([
    ['colons', 'a:b::c:'],
    ['other letters', 'пароль 密码 🔑'],
    ['spaces at its ends', '  spaces  '],
  ])('a password may hold %s', async (_what, password) => {
    const member = aMember({ password });
    await register(realm, member);
    expect((await login(realm, member)).status).toBe(200);
  });

  test('a password in Latin-1, as `btoa` makes it, is the same', async () => {
    const member = aMember({ password: 'café crème' });
    await register(realm, member);
    const Authorization = `Basic ${btoa(`${member.email}:${member.password}`)}`;
    expect((await post(`/login/${realm}`, { clientId: member.clientId }, { Authorization })).status).toBe(200);
  });

  test('a wrong password, an unknown email, and no name at all are refused alike', async () => {
    const { member } = await aSignedInMember(realm);
    const attempts = [
      basic(member.email, 'not the one'),
      basic(member.email, ''),
      basic(`${randomUUID()}@example.org`, member.password),
      basic('nobody', member.password),
      basic('', ''),
    ];
    for (const headers of attempts) {
      const refused = await post(`/login/${realm}`, { clientId: member.clientId }, headers);
      expect(told(refused)).toEqual([403, 'sign_in_refused', 'Wrong username or password']);
    }
  });

  test.each([
    ['no Authorization', {}, { clientId: 'c' }, 401],
    ['another kind of it', bearer('x.y.z'), { clientId: 'c' }, 401],
    ['one without a colon', { Authorization: `Basic ${btoa('ann')}` }, { clientId: 'c' }, 401],
    ['one that is no base64', { Authorization: 'Basic ***' }, { clientId: 'c' }, 401],
    ['no clientId', basic('ann@example.org', 'secret'), {}, 400],
    ['a clientId with a line break', basic('ann@example.org', 'secret'), { clientId: 'a\nb' }, 400],
    ['a clientId that is no text', basic('ann@example.org', 'secret'), { clientId: ['c'] }, 400],
  ])('%s is refused', async (_what, headers, body, status) => {
    const refused = await post(`/login/${realm}`, body, headers);
    expect([refused.status, refused.body.success]).toEqual([status, false]);
  });

  test('a client that signs in again keeps what it said of itself, and the name that a person gave it', async () => {
    const member = aMember({ clientDescription: '{"name":"Tablet","os":"Android 15"}' });
    await register(realm, member);
    const first = (await login(realm, member)).body;
    const renaming = { token: first.access_token, method: 'PATCH', body: { name: 'On the desk' } };
    expect((await call(server.url, `/api/devices/${member.clientId}`, renaming)).status).toBe(200);
    const second = (await login(realm, member)).body;
    await register(realm, member);
    expect((await devices(second.access_token)).body.devices).toMatchObject([
      { id: member.clientId, name: 'On the desk', metadata: { name: 'Tablet', os: 'Android 15' } },
    ]);
    // Another sign-in ends nothing.
    expect((await devices(first.access_token)).status).toBe(200);
  });

  test('who signed in, and who was refused, stands in the list of events', async () => {
    const { member, userId } = await aSignedInMember(realm);
    await login(realm, { ...member, password: 'not the one' });
    await login(realm, member);
    let events: string[] = [];
    while (!events.includes('session.refused')) events = await eventsOf(realm, userId);
    expect(events.toSorted()).toEqual(['account.created', ...Array.from({ length: 3 }, () => 'session.began'), 'session.refused']); // prettier-ignore
  });

  test('another client that registers stands in the list of events, once', async () => {
    const { member, userId } = await aSignedInMember(realm);
    const before = (await eventsOf(realm, userId)).length;
    const another = { ...member, clientId: randomUUID(), clientDescription: '{"name":"Tablet"}' };
    for (let n = 0; n < 2; n++) await register(realm, another);
    const account = (await server.app.get(AccountKeys).find(userId, realm))!;
    const added = (await server.app.get(AccountEvents).list(account, 100)).slice(0, -before);
    expect(added).toMatchObject([
      { event: 'session.began', id: another.clientId, name: 'Tablet', address: '127.0.0.1' },
    ]);
  });

  test('over the limit of wrong passwords an address gets a 429, the right one too', async () => {
    const realms = server.env.realms;
    const limits = { ...UNLIMITED, wrongSignInsPerQuarterHour: 3 };
    const strict = await aServer({ database: server.database, realms, limits });
    const member = aMember();
    await register(realm, member, strict.url);
    for (let i = 0; i < 3; i++)
      expect((await login(realm, { ...member, password: 'wrong' }, strict.url)).status).toBe(403);
    const refused = await login(realm, member, strict.url);
    expect([refused.status, refused.body.code]).toEqual([429, 'rate_limited']);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

test('the id of a phone is not for clients', async () => {
  const { member, userId } = await aSignedInMember('default');
  const handset = await phone(server.url);
  later(() => handset.close());
  await query(server.database.url, 'UPDATE devices SET account_id = $1, seq = 99 WHERE id = $2', [userId, handset.deviceId]); // prettier-ignore
  const refused = await login('default', { ...member, clientId: handset.deviceId });
  expect([refused.status, refused.body.message]).toEqual([
    400,
    'The request is not valid: clientId is the id of a phone',
  ]);
});

describe.each(REALMS)('POST /login/:realm/refreshToken in %s', (_where, realm) => {
  test('brings two new tokens, for the same client', async () => {
    const { tokens, member } = await aSignedInMember(realm);
    const { status, body } = await refresh(realm, tokens.refresh_token);
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual(Object.keys(tokens));
    expect(body).toMatchObject({
      token_type: 'Bearer',
      accessToken: body.access_token,
      refreshToken: body.refresh_token,
    });
    expect(body.refresh_token).not.toBe(tokens.refresh_token);
    expect((await devices(body.access_token)).body.devices).toMatchObject([{ id: member.clientId, current: true }]);
    expect((await refresh(realm, body.refresh_token)).status).toBe(200);
  });

  test('the tokens are stored as hashes only', async () => {
    const { tokens, userId } = await aSignedInMember(realm);
    const next = (await refresh(realm, tokens.refresh_token)).body;
    const rows = await query(databaseOf(realm), 'SELECT t::text AS row FROM refresh_tokens t WHERE account_id = $1', [userId]); // prettier-ignore
    expect(rows).toHaveLength(2);
    for (const { refresh_token: token } of [tokens, next])
      for (const { row } of rows) {
        expect(row).not.toContain(token);
        expect(row).not.toContain(Buffer.from(token).toString('hex'));
      }
  });

  test('a used one is refused, and ends every token of the client', async () => {
    const { tokens, userId, member } = await aSignedInMember(realm);
    const next = (await refresh(realm, tokens.refresh_token)).body;
    const live = new Client(server.url, { auth: { token: next.access_token, after: 0 } });
    later(() => live.close());
    await live.connected();
    expect(told(await refresh(realm, tokens.refresh_token))).toEqual([403, 'refresh_refused', 'Invalid or expired refresh token']); // prettier-ignore
    await live.next('disconnect');
    expect((await refresh(realm, next.refresh_token)).status).toBe(403);
    for (const { access_token: token } of [tokens, next]) expect((await devices(token)).status).toBe(401);
    expect((await eventsOf(realm, userId)).filter((event) => event === 'refresh.reused')).toHaveLength(1);

    // The person comes back by their password, and the old token ends nothing any more.
    const anew = (await login(realm, member)).body;
    expect((await refresh(realm, tokens.refresh_token)).status).toBe(403);
    expect((await refresh(realm, next.refresh_token)).status).toBe(403);
    expect((await devices(anew.access_token)).status).toBe(200);
    expect((await refresh(realm, anew.refresh_token)).status).toBe(200);
  });

  test('ends no other client of the person', async () => {
    const { tokens, member } = await aSignedInMember(realm);
    const other = (await login(realm, { ...member, clientId: randomUUID() })).body;
    await refresh(realm, tokens.refresh_token);
    await refresh(realm, tokens.refresh_token);
    expect((await devices(other.access_token)).status).toBe(200);
    expect((await refresh(realm, other.refresh_token)).status).toBe(200);
  });

  test('of many that use one token at once, one gets the next, and the others end it: somebody has a copy', async () => {
    const { tokens } = await aSignedInMember(realm);
    const replies = await Promise.all(Array.from({ length: 8 }, () => refresh(realm, tokens.refresh_token)));
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 403, 403, 403, 403, 403, 403, 403]);
    const { body } = replies.find(({ status }) => status === 200)!;
    expect((await devices(body.access_token)).status).toBe(401);
    expect((await refresh(realm, body.refresh_token)).status).toBe(403);
  });

  test('a use moves the end of the session on', async () => {
    const { tokens, userId } = await aSignedInMember(realm);
    const url = databaseOf(realm);
    await query(url, "UPDATE devices SET expires_at = now() + interval '1 hour' WHERE account_id = $1", [userId]);
    const { body } = await refresh(realm, tokens.refresh_token);
    const ends = await query(url, `SELECT extract(epoch FROM d.expires_at - now()) * 1000 AS device,
        extract(epoch FROM t.expires_at - now()) * 1000 AS token
      FROM devices d JOIN refresh_tokens t USING (account_id) WHERE account_id = $1 AND used_at IS NULL`, [userId]); // prettier-ignore
    expect(ends).toHaveLength(1);
    for (const left of Object.values(ends[0]!))
      expect(Math.abs(Number(left) - server.env.sessionTtlMs)).toBeLessThan(60_000);
    expect((await devices(body.access_token)).status).toBe(200);
  });

  test('one that is too old is refused, and so is one of a session that is over', async () => {
    const url = databaseOf(realm);
    const old = await aSignedInMember(realm);
    await query(url, 'UPDATE refresh_tokens SET expires_at = now() WHERE account_id = $1', [old.userId]);
    expect((await refresh(realm, old.tokens.refresh_token)).status).toBe(403);
    const over = await aSignedInMember(realm);
    await query(url, 'UPDATE devices SET expires_at = now() WHERE account_id = $1', [over.userId]);
    expect((await refresh(realm, over.tokens.refresh_token)).status).toBe(403);
  });

  test('those that have ended are removed, used ones that have not are kept', async () => {
    const [ended, kept] = [await aSignedInMember(realm), await aSignedInMember(realm)];
    await refresh(realm, kept.tokens.refresh_token);
    const url = databaseOf(realm);
    await query(url, 'UPDATE refresh_tokens SET expires_at = now() WHERE account_id = $1', [ended.userId]);
    await server.app.get(RefreshTokens).purge();
    const left = 'SELECT used_at IS NULL AS fresh FROM refresh_tokens WHERE account_id = $1 ORDER BY 1';
    expect(await query(url, left, [ended.userId])).toEqual([]);
    expect(await query(url, left, [kept.userId])).toEqual([{ fresh: false }, { fresh: true }]);
  });

  test.each([
    ['made up', 'made-up', 403],
    ['empty', '', 403],
    ['a JWT', 'a.b.c', 403],
    ['with NUL', 'a\0b', 403],
    ['absent', undefined, 400],
    ['a number', 5, 400],
    ['very long', 'r'.repeat(5000), 400],
  ])('one that is none: %s', async (_what, token, status) => {
    const refused = await refresh(realm, token as string);
    expect([refused.status, refused.body.success]).toEqual([status, false]);
  });

  test('an access token is not a refresh token, nor the other way round', async () => {
    const { tokens } = await aSignedInMember(realm);
    expect((await refresh(realm, tokens.access_token)).status).toBe(403);
    expect((await devices(tokens.refresh_token)).status).toBe(401);
  });
});

test('wrong refresh tokens are limited by address', async () => {
  const strict = await aServer({ limits: { wrongTokensPerMinute: 2 } });
  const attempt = () => post('/login/default/refreshToken', { refreshToken: 'wrong' }, {}, strict.url);
  expect([(await attempt()).status, (await attempt()).status, (await attempt()).status]).toEqual([403, 403, 429]);
});

test('an access token ends by itself, and the refresh token brings another', async () => {
  const short = await aServer({ accessTtlMs: 1 });
  const member = aMember();
  await register('default', member, short.url);
  const { body } = await login('default', member, short.url);
  expect(body.expires_in).toBeLessThanOrEqual(0);
  expect((await devices(body.access_token, short.url)).status).toBe(401);
  const next = await post('/login/default/refreshToken', { refreshToken: body.refresh_token }, {}, short.url);
  expect(next.status).toBe(200);
});

describe.each(REALMS)('POST /unregister/:realm in %s', (_where, realm) => {
  test('by email and password removes that client, and no other', async () => {
    const { member, tokens } = await aSignedInMember(realm);
    const other = (await login(realm, { ...member, clientId: randomUUID() })).body;
    const { status, body } = await post(`/unregister/${realm}`, member);
    expect([status, body]).toEqual([200, { code: 200, message: expect.any(String) }]);
    expect((await devices(tokens.access_token)).status).toBe(401);
    expect((await refresh(realm, tokens.refresh_token)).status).toBe(403);
    expect((await devices(other.access_token)).body.devices).toHaveLength(1);
    expect(await post(`/unregister/${realm}`, member)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  test('by a Bearer token removes the client whose token it is, or the one that it names', async () => {
    const { member, tokens } = await aSignedInMember(realm);
    const otherId = randomUUID();
    const other = (await login(realm, { ...member, clientId: otherId })).body;
    const headers = bearer(tokens.access_token);
    expect((await post(`/unregister/${realm}`, { clientId: otherId }, headers)).status).toBe(200);
    expect((await devices(other.access_token)).status).toBe(401);
    expect((await post(`/unregister/${realm}`, {}, headers)).status).toBe(200);
    const refused = await post(`/unregister/${realm}`, {}, headers);
    expect(told(refused)).toEqual([403, 'token_expired', 'Invalid or expired token']);
  });

  test('a client that comes back is the same one, and its old tokens stay dead', async () => {
    const { member, tokens } = await aSignedInMember(realm);
    await post(`/unregister/${realm}`, member);
    const back = (await login(realm, member)).body;
    expect((await devices(back.access_token)).body.devices).toMatchObject([{ id: member.clientId }]);
    expect((await devices(tokens.access_token)).status).toBe(401);
    expect((await refresh(realm, tokens.refresh_token)).status).toBe(403);
  });

  test("another person's client stays", async () => {
    const [ann, bob] = [await aSignedInMember(realm), await aSignedInMember(realm)];
    const { clientId } = bob.member;
    expect((await post(`/unregister/${realm}`, { ...ann.member, clientId })).status).toBe(404);
    expect((await post(`/unregister/${realm}`, { clientId }, bearer(ann.tokens.access_token))).status).toBe(404);
    expect((await devices(bob.tokens.access_token)).status).toBe(200);
  });

  test('an unknown email, a wrong password, and nothing at all are told', async () => {
    const { member } = await aSignedInMember(realm);
    const unregister = async (body: object) => told(await post(`/unregister/${realm}`, body));
    expect(await unregister(aMember())).toEqual([400, 'email_unknown', 'email is not registered']);
    expect(await unregister({ ...member, password: 'not the one' })).toEqual([403, 'sign_in_refused', 'Wrong username or password']); // prettier-ignore
    expect(await unregister({ clientId: member.clientId })).toEqual([401, 'not_authenticated', 'Not authenticated']);
    for (const absent of ['email', 'password', 'clientId'])
      expect((await unregister({ ...member, [absent]: undefined }))[0]).toBe(400);
    expect((await unregister({ ...member, email: 'not an email' }))[0]).toBe(400);
    expect((await login(realm, member)).status).toBe(200);
  });
});

describe.each(REALMS)('the password of %s', (_where, realm) => {
  const forget = (email: string) => post(`/password/${realm}/forgotten`, { email });
  const change = (body: object) => post(`/password/${realm}/change`, body);

  test('can be changed by the PIN that was mailed, and every session ends', async () => {
    const { member, tokens, userId } = await aSignedInMember(realm);
    const live = new Client(server.url, { auth: { token: tokens.access_token, after: 0 } });
    later(() => live.close());
    await live.connected();
    expect((await forget(member.email)).status).toBe(200);
    const pin = await mails.codeFor(member.email);
    const { status, body } = await change({ email: member.email, pin, newPassword: 'the next one' });
    expect([status, body]).toEqual([200, { message: expect.any(String) }]);
    await live.next('disconnect');
    expect((await devices(tokens.access_token)).status).toBe(401);
    expect((await refresh(realm, tokens.refresh_token)).status).toBe(403);
    expect((await login(realm, member)).status).toBe(403);
    expect((await login(realm, { ...member, password: 'the next one' })).status).toBe(200);
    expect(await eventsOf(realm, userId)).toEqual(expect.arrayContaining(['code.sent', 'password.changed']));
    // It is good once.
    expect((await change({ email: member.email, pin, newPassword: 'another' })).status).toBe(403);
  });

  test('is theirs from the first PIN on: API keys of before end then, and those of later stay', async () => {
    const { member, tokens, userId } = await aSignedInMember(realm);
    const aKey = async (token: string) => (await post('/api/keys', { name: 'k' }, bearer(token))).body.apiKey as string;
    const opens = async (key: string) => (await call(server.url, '/api/changes', { token: key })).status;
    const byPin = async (newPassword: string, count: number) => {
      await forget(member.email);
      const pin = await mails.codeFor(member.email, count);
      expect((await change({ email: member.email, pin, newPassword })).status).toBe(200);
      return (await login(realm, { ...member, password: newPassword })).body.access_token as string;
    };
    const before = await aKey(tokens.access_token);
    expect(await opens(before)).toBe(200);
    const after = await aKey(await byPin('the next one', 1));
    expect([await opens(before), await opens(after)]).toEqual([401, 200]);
    await byPin('the one after', 2);
    expect(await opens(after)).toBe(200);
    const events = await eventsOf(realm, userId);
    expect(events.filter((event) => event === 'email.proven')).toHaveLength(1);
    expect(events.filter((event) => event === 'password.changed')).toHaveLength(2);
  });

  test('may come under either name, and the PIN as a number', async () => {
    const { member } = await aSignedInMember(realm);
    await forget(member.email);
    const pin = Number(await mails.codeFor(member.email));
    expect((await change({ email: member.email, pin, password: 'the next one' })).status).toBe(200);
    expect((await login(realm, { ...member, password: 'the next one' })).status).toBe(200);
  });

  test('asking answers the same for everybody, and mails only who is registered', async () => {
    const { member } = await aSignedInMember(realm);
    const stranger = `${randomUUID()}@example.org`;
    const [unknown, known] = [await forget(stranger), await forget(member.email)];
    expect([unknown.status, unknown.body]).toEqual([200, known.body]);
    await mails.codeFor(member.email);
    expect(mails.mails.flatMap(({ to }) => to)).not.toContain(stranger);
  });

  test('a wrong PIN, an unknown email and a missing one are a 403, and guessing uses the PIN up', async () => {
    const { member } = await aSignedInMember(realm);
    const { email } = member;
    const newPassword = 'the next one';
    const refusal = [403, 'code_refused', 'Wrong or expired code'];
    expect(told(await change({ email, pin: '000000', newPassword }))).toEqual(refusal);
    expect(told(await change({ email: aMember().email, pin: '000000', newPassword }))).toEqual(refusal);
    await forget(email);
    const pin = await mails.codeFor(email);
    const wrong = pin === '111111' ? '222222' : '111111';
    for (let i = 0; i < 5; i++) expect(told(await change({ email, pin: wrong, newPassword }))).toEqual(refusal);
    expect((await change({ email, pin, newPassword })).body.code).toBe('rate_limited');
    expect((await login(realm, member)).status).toBe(200);
  });

  test('a new password that does not do leaves the PIN good', async () => {
    const { member } = await aSignedInMember(realm);
    const { email } = member;
    await forget(email);
    const pin = await mails.codeFor(email);
    for (const fields of [{}, { newPassword: 'short' }, { newPassword: null }, { password: 'p'.repeat(1025) }])
      expect((await change({ email, pin, ...fields })).status).toBe(400);
    expect((await change({ email, pin, newPassword: 'the next one' })).status).toBe(200);
  });

  test('a PIN of another realm is none', async () => {
    const other = realm === 'default' ? 'clinic' : 'default';
    const { member } = await aSignedInMember(realm);
    await register(other, member);
    await post(`/password/${other}/forgotten`, { email: member.email });
    const pin = await mails.codeFor(member.email);
    expect((await change({ email: member.email, pin, newPassword: 'the next one' })).status).toBe(403);
    expect((await login(realm, member)).status).toBe(200);
    expect(await query(databaseOf(realm), 'SELECT FROM codes WHERE realm = $1', [other])).toEqual([]);
    expect(await query(databaseOf(other), 'SELECT FROM codes WHERE realm = $1', [other])).not.toEqual([]);
  });

  test('an email that is none is a 400', async () => {
    for (const email of [undefined, 5, 'ann', 'a\0b@example.org']) {
      expect((await forget(email as string)).status).toBe(400);
      expect((await change({ email, pin: '123456', newPassword: 'the next one' })).status).toBe(400);
    }
  });
});

test('where no mails can be sent, asking for a PIN answers the same', async () => {
  const mute = await aServer({ production: true });
  const { status, body } = await post('/password/default/forgotten', { email: 'ann@example.org' }, {}, mute.url);
  expect([status, body]).toEqual([200, { message: expect.any(String) }]);
});

test('nothing that a person or a client says of itself is in the database in clear', async () => {
  const said = aMember({ name: `Name ${randomUUID()}`, language: 'xx-secret', clientDescription: '{"name":"Desc-of-client"}' }); // prettier-ignore
  const { member, tokens } = await aSignedInMember('clinic', said);
  await refresh('clinic', tokens.refresh_token);
  await post('/password/clinic/forgotten', { email: member.email });
  await mails.codeFor(member.email);
  const tables = ['accounts', 'logins', 'codes', 'devices', 'refresh_tokens', 'account_events', 'realms'];
  for (const { url } of server.app.get(Databases).all())
    for (const table of tables)
      for (const { row } of await query(url, `SELECT t::text AS row FROM ${table} t`))
        for (const secret of [member.name, member.email, member.password, 'xx-secret', 'Desc-of-client']) {
          expect(row).not.toContain(secret);
          expect(row).not.toContain(Buffer.from(secret).toString('hex'));
        }
});
