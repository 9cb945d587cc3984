import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Accounts, type Person } from '../src/sessions/accounts.service.js';
import { call, pair, phone, type Reply } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { MailServer } from './support/smtp.js';

/* What a person lets others see of them (wire.md, section E): `/api/profile`. */

const argon2 = { memoryKib: 8, passes: 1, lanes: 1 };
const limits = { wrongSignInsPerMinute: 0, registrationsPerHour: 0, qrCodesPerMinute: 0, wrongTokensPerMinute: 0 };
const PASSWORD = 'correct horse battery';

let mail: MailServer;
let server: TestServer;
beforeAll(async () => {
  mail = await MailServer.start();
  server = await TestServer.start({ argon2, limits, smtpUrl: mail.url(), mailFrom: 'pairline@example.org' });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

const aKey = () => randomBytes(32).toString('base64');
const fingerprintOf = (key: string) => createHash('sha256').update(key, 'utf8').digest('hex');
const put = (path: string, token: string, body?: unknown, at = server): Promise<Reply> =>
  call(at.url, path, { token, method: 'PUT', body });
const view = async (token: string) =>
  (await call(server.url, '/api/account', { token })).body as Record<string, unknown>;
const login = (body: object): Promise<Reply> => call(server.url, '/api/auth/login', { body });
const eventsOf = async (token: string) =>
  (await call(server.url, '/api/account/events', { token })).body.events as { event: string; address: string }[];

interface Someone {
  pseudo: string;
  public_key: string;
  user_id: string;
  token: string;
}

async function somebody(fields: object = {}, options?: { at: TestServer }): Promise<Someone> {
  const { url } = options?.at ?? server;
  const body = { pseudo: `ann-${randomUUID()}`, public_key: aKey(), password: PASSWORD, ...fields };
  const reply = await call(url, '/api/auth/register', { body });
  expect([reply.status, reply.body]).toEqual([201, reply.body]);
  return reply.body as Someone;
}

/** A browser of an account that a phone made: it has no login. */
async function ofAPhone(): Promise<string> {
  const handset = await phone(server.url);
  later(() => handset.close());
  return pair(server.url, handset);
}

/** What is told of an account within the server from now on. */
function told(id: string, at = server) {
  const { events } = at.app.get(Accounts);
  const facts: { fact: string; person: Person; realm: string }[] = [];
  const listeners = (['profile.changed', 'visibility.changed', 'person.registered'] as const).map((fact) => {
    const listener = (account: string, person: Person, realm: string) => {
      if (account === id) facts.push({ fact, person, realm });
    };
    return events.on(fact, listener);
  });
  later(() => listeners.forEach((off) => off()));
  return facts;
}

test.each([
  ['PUT', '/api/profile/update'],
  ['GET', '/api/profile/hide'],
  ['PUT', '/api/profile/hide'],
  ['DELETE', '/api/profile/remove'],
  ['PUT', '/api/profile/public-key'],
])('%s %s is not for API keys, nor for strangers', async (method, path) => {
  const { token } = await somebody();
  const key = await call(server.url, '/api/keys', { token, body: { name: 'Program' } });
  const body = method === 'GET' ? undefined : {};
  expect((await call(server.url, path, { method, body })).status).toBe(401);
  expect((await call(server.url, path, { method, body, token: key.body.apiKey })).body.code).toBe('scope_missing');
});

describe('another password', () => {
  test('takes the old one; the others are signed out, and who asked goes on', async () => {
    const { pseudo, token } = await somebody();
    const other = (await login({ pseudo, password: PASSWORD })).body.token as string;
    const next = 'another horse battery';
    const { status, body } = await put('/api/profile/update', token, { password: PASSWORD, new_password: next });
    expect([status, body]).toEqual([200, { success: true, token: expect.any(String) }]);
    expect((await call(server.url, '/api/auth/check', { token: body.token })).body).toMatchObject({ pseudo });
    expect((await call(server.url, '/api/auth/check', { token })).status).toBe(200);
    expect((await call(server.url, '/api/auth/check', { token: other })).status).toBe(401);
    expect((await login({ pseudo, password: PASSWORD })).status).toBe(401);
    expect((await login({ pseudo, password: next })).status).toBe(200);
    expect((await eventsOf(body.token)).map(({ event }) => event)).toContain('password.changed');
  });

  test.each<[string, object, number]>([
    ['a wrong one', { password: 'wrong horse', new_password: 'another one' }, 401],
    ['none', { new_password: 'another one' }, 400],
    ['no new one', { password: PASSWORD }, 400],
    ['a new one that is too short', { password: PASSWORD, new_password: 'five5' }, 400],
    ['a new one that is a number', { password: PASSWORD, new_password: 1234567 }, 400],
    ['null', { password: null, new_password: null }, 400],
  ])('by %s changes nothing', async (_, body, expected) => {
    const { pseudo, token } = await somebody();
    expect((await put('/api/profile/update', token, body)).status).toBe(expected);
    expect((await login({ pseudo, password: PASSWORD })).status).toBe(200);
    expect((await call(server.url, '/api/auth/check', { token })).status).toBe(200);
  });
});

describe('hiding', () => {
  test('is turned over by GET and by PUT, and set by PUT', async () => {
    const { token } = await somebody();
    const toggle = async () => (await call(server.url, '/api/profile/hide', { token })).body;
    const say = async (body?: object) => (await put('/api/profile/hide', token, body)).body;
    expect(await toggle()).toEqual({ success: true, hide: true });
    expect((await view(token)).hidden).toBe(true);
    expect(await toggle()).toEqual({ success: true, hide: false });
    expect(await say()).toEqual({ success: true, hide: true });
    expect(await say({})).toEqual({ success: true, hide: false });
    for (const hide of [true, true, false, false]) expect(await say({ hide })).toEqual({ success: true, hide });
    expect((await view(token)).hidden).toBe(false);
  });

  test('twice at the same moment ends where it began', async () => {
    const { token } = await somebody();
    const replies = await Promise.all([1, 2].map(() => call(server.url, '/api/profile/hide', { token })));
    expect(replies.map(({ body }) => body.hide as boolean).sort()).toEqual([false, true]);
    expect((await view(token)).hidden).toBe(false);
  });

  test.each([{ hide: 'yes' }, { hide: 1 }, { hide: {} }, [true], 'true'])('%j says nothing', async (body) => {
    const { token } = await somebody();
    expect((await put('/api/profile/hide', token, body)).status).toBe(400);
    expect(await view(token)).not.toHaveProperty('hidden');
  });

  test('is not told to others: only that searches have to know', async () => {
    const { token, user_id } = await somebody();
    const facts = told(user_id);
    await put('/api/profile/hide', token, { hide: true });
    await put('/api/profile/hide', token, { hide: true });
    expect(facts).toEqual([{ fact: 'visibility.changed', person: expect.objectContaining({ hidden: true }), realm: 'default' }]); // prettier-ignore
  });

  test('and a key are for those with a login: an account of a phone is nobody yet', async () => {
    const token = await ofAPhone();
    const replies = [
      await call(server.url, '/api/profile/hide', { token }),
      await put('/api/profile/hide', token, { hide: true }),
      await put('/api/profile/public-key', token, { public_key: aKey() }),
    ];
    for (const { status, body } of replies) expect([status, body.message]).toEqual([400, expect.stringMatching(/add an email or a name/)]); // prettier-ignore
    expect(await view(token)).not.toHaveProperty('publicKey');
    // Nothing began that one could not sign in to.
    const { userId } = await view(token);
    expect(await query(server.database.url, 'SELECT FROM logins WHERE account_id = $1', [userId])).toEqual([]);
  });
});

test('removing the account takes no more than a session, which is all that clients send', async () => {
  const { pseudo, token } = await somebody();
  const removed = await call(server.url, '/api/profile/remove', { token, method: 'DELETE' });
  expect(removed).toMatchObject({ status: 200, body: { success: true } });
  expect((await login({ pseudo, password: PASSWORD })).status).toBe(401);
  expect((await call(server.url, '/api/auth/check', { token })).status).toBe(401);
});

describe('the public key', () => {
  test('goes with its fingerprint wherever it is', async () => {
    const { pseudo, public_key, token, ...registered } = await somebody();
    const fingerprint = fingerprintOf(public_key);
    expect(registered).toMatchObject({ fingerprint });
    expect((await login({ pseudo, password: PASSWORD })).body).toMatchObject({ public_key, fingerprint });
    expect((await call(server.url, '/api/auth/check', { token })).body).toMatchObject({ pseudo, public_key, fingerprint }); // prettier-ignore
    expect(await view(token)).toMatchObject({ publicKey: public_key, fingerprint });
  });

  test('that changes keeps the one before, and what that signed', async () => {
    const { public_key: first, token, user_id, pseudo } = await somebody();
    const [second, third] = [aKey(), aKey()];
    const facts = told(user_id);
    const { status, body } = await put('/api/profile/public-key', token, { public_key: second, signature: 'by the first' }); // prettier-ignore
    expect([status, body]).toEqual([200, { success: true, fingerprint: fingerprintOf(second) }]);
    expect(await view(token)).toMatchObject({ publicKey: second, fingerprint: fingerprintOf(second), previousKey: first, keySignature: 'by the first' }); // prettier-ignore
    expect(facts).toEqual([{ fact: 'profile.changed', person: { name: pseudo, publicKey: second, previousKey: first, keySignature: 'by the first' }, realm: 'default' }]); // prettier-ignore
    // Unsigned: what was signed before says nothing of this one.
    await put('/api/profile/public-key', token, { public_key: third, signature: null });
    const now = await view(token);
    expect(now).toMatchObject({ publicKey: third, previousKey: second });
    expect(now).not.toHaveProperty('keySignature');
    expect(facts).toHaveLength(2);
    const changed = (await eventsOf(token)).filter(({ event }) => event === 'key.changed');
    expect(changed).toEqual(Array(2).fill(expect.objectContaining({ address: expect.any(String) })));
    expect((await call(server.url, '/api/auth/check', { token })).status).toBe(200);
  });

  test('that is the same again changes nothing', async () => {
    const { public_key: first, token, user_id } = await somebody();
    const second = aKey();
    await put('/api/profile/public-key', token, { public_key: second, signature: 'by the first' });
    const facts = told(user_id);
    for (const signature of ['by the first', 'by somebody', undefined])
      expect((await put('/api/profile/public-key', token, { public_key: second, signature })).status).toBe(200);
    expect(await view(token)).toMatchObject({ publicKey: second, previousKey: first, keySignature: 'by the first' });
    expect(facts).toEqual([]);
    expect((await eventsOf(token)).filter(({ event }) => event === 'key.changed')).toHaveLength(1);
  });

  test('that is the first has nothing that could have signed it', async () => {
    const { token } = await somebody({ public_key: undefined });
    expect(await view(token)).not.toHaveProperty('fingerprint');
    const publicKey = aKey();
    await put('/api/profile/public-key', token, { public_key: publicKey, signature: 'by nobody' });
    const now = await view(token);
    expect(now).toMatchObject({ publicKey });
    expect([now.previousKey, now.keySignature]).toEqual([undefined, undefined]);
  });

  test('of a hundred at once: some are too many at a time, and none is a fault', async () => {
    const at = await aServer();
    const people = [await somebody({}, { at }), await somebody({}, { at })];
    const change = ({ token }: Someone) => call(at.url, '/api/profile/hide', { token });
    const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => change(people[i % 2]!)));
    const codes = replies.map(({ status, body }) => (status === 200 ? 'done' : (body.code as string)));
    expect(new Set(codes)).toEqual(new Set(['done', 'busy']));
    const done = replies.filter(({ status }, i) => status === 200 && i % 2 === 0).length;
    const { hidden } = (await call(at.url, '/api/account', { token: people[0]!.token })).body;
    expect(hidden).toBe(done % 2 === 1);
  });

  test('of five at once: each has the one before it', async () => {
    const { public_key, token, user_id } = await somebody();
    const facts = told(user_id);
    const keys = Array.from({ length: 5 }, aKey);
    await Promise.all(keys.map((key) => put('/api/profile/public-key', token, { public_key: key })));
    const chain = facts.map(({ person }) => [person.previousKey, person.publicKey]);
    const order = [public_key, ...chain.map(([, key]) => key)];
    expect(chain).toEqual(order.slice(1).map((key, i) => [order[i], key]));
    expect(chain.map(([, key]) => key).sort()).toEqual([...keys].sort());
    expect((await view(token)).publicKey).toBe(order.at(-1));
  });

  test.each<[string, unknown]>([
    ['nothing', ''],
    ['8,193 characters', 'k'.repeat(8193)],
    ['a control character', `${aKey()}\u0007`],
    ['NUL', `${aKey()}\0`],
    ['half a character', `${aKey()}\ud800`],
    ['a mark that turns the text around', `${aKey()}\u202e`],
    ['a line break of its own', `${aKey()}\r`],
    ['a number', 12345678901234567890],
    ['null', null],
    ['nothing', undefined],
    ['an object', { kty: 'EC' }],
    ['a list', [aKey()]],
  ])('is not %s', async (_, public_key) => {
    const { token, public_key: before } = await somebody();
    const { status, body } = await put('/api/profile/public-key', token, { public_key });
    expect([status, body.code]).toEqual([400, 'bad_request']);
    expect(await view(token)).toMatchObject({ publicKey: before });
    if (public_key == null) return; // one may register without
    const wanted = { pseudo: `ann-${randomUUID()}`, public_key, password: PASSWORD };
    expect((await call(server.url, '/api/auth/register', { body: wanted })).status).toBe(400);
    expect((await login(wanted)).status).toBe(401);
  });

  test.each<[string, string]>([
    ['a word', 'key'],
    ['8,192 characters', 'k'.repeat(8192)],
    ['PEM', `-----BEGIN PUBLIC KEY-----\n${aKey()}\n-----END PUBLIC KEY-----\n`],
    ['PEM with other line ends', `-----BEGIN PUBLIC KEY-----\r\n${aKey()}\r\n-----END PUBLIC KEY-----\r\n`],
    ['JWK', JSON.stringify({ kty: 'EC', crv: 'P-256', x: aKey(), y: aKey() }, null, 2)],
    ['text of any language', 'ключ 鍵 clé 🔑🔑🔑🔑🔑'],
  ])('may be %s, and stays as it is', async (_, public_key) => {
    const { token } = await somebody({ public_key });
    expect(await view(token)).toMatchObject({ publicKey: public_key, fingerprint: fingerprintOf(public_key) });
    const other = await somebody();
    await put('/api/profile/public-key', other.token, { public_key, signature: 's'.repeat(1024) });
    expect(await view(other.token)).toMatchObject({ publicKey: public_key, keySignature: 's'.repeat(1024) });
  });

  test.each<[string, unknown]>([
    ['1,025 characters', 's'.repeat(1025)],
    ['a number', 1],
    ['an object', { r: 1 }],
  ])('cannot be signed by %s', async (_, signature) => {
    const { token, public_key } = await somebody();
    expect((await put('/api/profile/public-key', token, { public_key: aKey(), signature })).status).toBe(400);
    expect(await view(token)).toMatchObject({ publicKey: public_key });
  });
});

describe('what others see', () => {
  test('changes with the name, and not with the email or the password', async () => {
    const { token, user_id, public_key } = await somebody();
    const facts = told(user_id);
    const name = `bea-${randomUUID()}`;
    const renamed = await put('/api/account/name', token, { name, currentPassword: PASSWORD });
    expect(renamed.status).toBe(200);
    expect(facts).toEqual([{ fact: 'profile.changed', person: { name, publicKey: public_key }, realm: 'default' }]);
    const email = `${name}@example.org`;
    await call(server.url, '/api/account/email', { token, body: { email } });
    const code = await mail.codeFor(email, 1);
    const added = await call(server.url, '/api/account/email/confirm', { token, body: { email, code, currentPassword: PASSWORD } }); // prettier-ignore
    expect(added.status).toBe(200);
    await put('/api/profile/update', token, { password: PASSWORD, new_password: 'another horse battery' });
    expect(facts).toHaveLength(1);
  });

  test('is told when it is stored, and not when it is refused', async () => {
    const [ann, bea] = [await somebody(), await somebody()];
    const facts = told(ann.user_id);
    const { status } = await put('/api/account/name', ann.token, { name: bea.pseudo, currentPassword: PASSWORD });
    expect([status, facts]).toEqual([409, []]);
    const { events } = server.app.get(Accounts);
    const key = aKey();
    const seen = new Promise((resolve) => {
      const off = events.on('profile.changed', () => {
        off();
        resolve(view(ann.token));
      });
      later(off);
    });
    await put('/api/profile/public-key', ann.token, { public_key: key });
    expect(await seen).toMatchObject({ publicKey: key });
  });

  test('changes 60 times an hour at most', async () => {
    const at = await aServer();
    const { token } = await somebody({}, { at });
    const change = () => put('/api/profile/public-key', token, { public_key: aKey() }, at);
    for (let i = 0; i < 60; i++) expect((await change()).status).toBe(200);
    const { status, body } = await change();
    expect([status, body.code, body.retryAfter > 0]).toEqual([429, 'rate_limited', true]);
    const renamed = await put('/api/account/name', token, { name: 'Bea', currentPassword: PASSWORD }, at);
    expect(renamed.status).toBe(429);
    // What others are not told of goes on.
    expect((await put('/api/profile/hide', token, { hide: true }, at)).status).toBe(200);
  });
});

async function aServer(options: ServerOptions = {}): Promise<TestServer> {
  const started = await TestServer.start({ argon2, limits, ...options });
  later(() => started.stop());
  return started;
}
