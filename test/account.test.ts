import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { get } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { AccountKeys } from '../src/changes/account-keys.js';
import { Changes } from '../src/changes/changes.js';
import { Erasure } from '../src/changes/erasure.js';
import { asRelayError } from '../src/database/as-relay-error.js';
import { Passwords } from '../src/accounts/passwords.js';
import { AccountEvents } from '../src/sessions/account-events.js';
import { LastSeen } from '../src/sessions/last-seen.js';
import { argon2, limits, PASSWORD, anEmail, claimsOf, kept, pairAt, personAt } from './support/accounts.js';
import { browser, call, Client, follower, message, pair, phone, type Reply } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { MailServer } from './support/smtp.js';
import { bySnapshot, EventStream } from './support/views.js';

let mail: MailServer;
let server: TestServer;
beforeAll(async () => {
  mail = await MailServer.start();
  server = await TestServer.start({ argon2, smtpUrl: mail.url(), mailFrom: 'pairline@example.org', limits });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start({ argon2, limits, ...options });
  later(() => started.stop());
  return started;
}

const aName = () => `Ann ${randomUUID()}`;
const put = (path: string, token: string, body: object, url = server.url): Promise<Reply> =>
  call(url, path, { token, body, method: 'PUT' });
const view = (token: string, url = server.url) => call(url, '/api/account', { token });
const remove = (token: string, body: unknown = { confirm: true }, url = server.url) =>
  call(url, '/api/account', { token, method: 'DELETE', body });
const login = (body: object, url = server.url): Promise<Reply> => call(url, '/api/auth/login', { body });
const eventsOf = async (token: string, more = '', url = server.url) =>
  (await call(url, `/api/account/events${more}`, { token })).body.events as Record<string, unknown>[];

const aPerson = (url = server.url) => personAt(url);
const aPair = (url = server.url) => pairAt(url);

async function aKey(token: string, url = server.url): Promise<string> {
  return (await call(url, '/api/keys', { token, body: { name: 'Backup' } })).body.apiKey as string;
}

/** The tables of the schema that hold anything of the account, whatever its column is called. */
async function placesOf(account: string, url = server.database.url): Promise<string[]> {
  const tables = await query(
    url,
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`,
  );
  const places = await Promise.all(
    tables.map(async ({ name }) => {
      const [row] = await query(url, `SELECT count(*)::int AS rows FROM "${name}" t WHERE t::text LIKE $1`, [
        `%${account}%`,
      ]);
      return row!.rows > 0 ? [name as string] : [];
    }),
  );
  return places.flat();
}

describe('an account', () => {
  test('of a person says who they are and what it has', async () => {
    const { email, userId, token } = await aPerson();
    expect((await view(token)).body).toEqual({
      userId,
      realm: 'default',
      email,
      createdAt: expect.any(Number),
      hasPassword: true,
      devices: 1,
      phones: 0,
    });
  });

  test('of a phone has no login, and is seen by phone and browser alike', async () => {
    const { handset, token, userId } = await aPair();
    const expected = {
      userId,
      realm: 'default',
      createdAt: expect.any(Number),
      hasPassword: false,
      devices: 2,
      phones: 1,
    };
    for (const by of [token, handset.deviceToken]) expect((await view(by)).body).toEqual(expected);
  });

  test.each([
    ['GET', '/api/account'],
    ['GET', '/api/account/events'],
    ['GET', '/api/account/export'],
    ['DELETE', '/api/account'],
    ['POST', '/api/account/email'],
    ['POST', '/api/account/email/confirm'],
    ['PUT', '/api/account/name'],
    ['PUT', '/api/account/password'],
    ['POST', '/api/account/join'],
  ])('%s %s is not for API keys, nor for strangers', async (method, path) => {
    const { token } = await aPerson();
    const key = await aKey(token);
    expect(await call(server.url, path, { method, token: key })).toMatchObject({ status: 403, body: { code: 'scope_missing' } }); // prettier-ignore
    expect(await call(server.url, path, { method })).toMatchObject({
      status: 401,
      body: { code: 'not_authenticated' },
    });
    expect((await view(token)).status).toBe(200);
  });
});

describe('the audit list', () => {
  test('tells a browser that a phone let in, and its removal, by name', async () => {
    const { handset, token } = await aPair();
    const { sid: id } = claimsOf(token);
    expect(await eventsOf(handset.deviceToken)).toEqual([
      { event: 'session.began', id, name: 'Browser', address: '127.0.0.1', at: expect.any(Number), number: expect.any(Number) }, // prettier-ignore
      { event: 'account.created', id: handset.deviceId, name: 'Test phone', address: '127.0.0.1', at: expect.any(Number), number: expect.any(Number) }, // prettier-ignore
    ]);
    await call(server.url, `/api/devices/${id}`, { token: handset.deviceToken, method: 'DELETE' });
    expect(await eventsOf(handset.deviceToken)).toMatchObject([
      { event: 'session.revoked', id, name: 'Browser' },
      { event: 'session.began', id },
      { event: 'account.created' },
    ]);
  });

  test('tells a device that came in by the token of another', async () => {
    const { token } = await aPerson();
    for (let n = 0; n < 2; n++) {
      const socket = kept(new Client(server.url, { auth: { token }, query: { deviceInfo: '{"deviceId":"tablet","name":"Tablet"}' } })); // prettier-ignore
      await socket.next('session-restored');
    }
    expect((await eventsOf(token)).slice(0, -2)).toMatchObject([
      { event: 'session.began', id: 'tablet', name: 'Tablet', address: '127.0.0.1' },
    ]);
  });

  test('comes in pages, the newest first', async () => {
    const { token } = await aPerson();
    for (let n = 0; n < 3; n++) await aKey(token);
    const all = await eventsOf(token);
    expect(all.map(({ event }) => event)).toEqual(['key.created', 'key.created', 'key.created', 'session.began', 'account.created']); // prettier-ignore
    const first = await eventsOf(token, '?limit=2');
    const second = await eventsOf(token, `?limit=2&before=${Number(first[1]!.number)}`);
    expect([...first, ...second]).toEqual(all.slice(0, 4));
  });

  test.each(['?limit=0', '?limit=501', '?limit=x', '?before=-1', '?before=x', '?before=1e300'])(
    '%s is refused',
    async (more) => {
      const { token } = await aPerson();
      expect(await call(server.url, `/api/account/events${more}`, { token })).toMatchObject({ status: 400, body: { code: 'bad_request' } }); // prettier-ignore
    },
  );

  test('is of its account alone, and sealed', async () => {
    const [mine, theirs] = [await aPerson(), await aPerson()];
    await aKey(mine.token);
    expect((await eventsOf(theirs.token)).map(({ event }) => event)).not.toContain('key.created');
    const rows = await query(server.database.url, `SELECT encode(content, 'escape') AS content FROM account_events WHERE account_id = $1`, [mine.userId]); // prettier-ignore
    expect(rows.length).toBeGreaterThan(2);
    expect(JSON.stringify(rows)).not.toMatch(/Backup|Laptop|127\.0\.0\.1/);
  });
});

describe('the export', () => {
  const read = async (token: string) => {
    const { headers, ...response } = await call<string>(server.url, '/api/account/export', {
      token,
    });
    const lines = response.body.trimEnd().split('\n').map((line) => JSON.parse(line) as { type: string; row?: Record<string, unknown> }); // prettier-ignore
    return { headers, lines, of: (type: string) => lines.filter((line) => line.type === type).map(({ row }) => row!) };
  };

  test('has everything, for a browser and for a phone', async () => {
    const { handset, token, userId } = await aPair();
    const web = kept(await browser(server.url, token));
    const texts = Array.from({ length: 1200 }, (_, n) => message({ body: `text ${n}` }));
    for (let i = 0; i < texts.length; i += 400)
      await handset.send('mobile:messages', { messages: texts.slice(i, i + 400) });
    await handset.send('message:deleted', { messageId: texts[0]!.id });
    await web.send('state:put', { key: 'theme', value: { dark: true } });
    await aKey(token);
    for (const by of [token, handset.deviceToken]) {
      const { headers, lines, of } = await read(by);
      expect(headers.get('content-type')).toMatch('application/x-ndjson');
      expect(headers.get('content-disposition')).toMatch('attachment');
      expect(lines[0]).toMatchObject({ type: 'account', row: { userId, phones: 1 } });
      expect(of('device').map(({ kind }) => kind).sort()).toEqual(['browser', 'phone']); // prettier-ignore
      expect(new Set(of('message').map(({ body }) => body))).toEqual(new Set(texts.slice(1).map(({ body }) => body)));
      expect(of('message')).toHaveLength(texts.length - 1);
      expect(of('conversation')).toHaveLength(1);
      expect(of('state')).toEqual([{ id: 'theme', value: { dark: true } }]);
      expect(of('key')).toMatchObject([{ name: 'Backup' }]);
      expect(JSON.stringify(of('key'))).not.toContain('plk_');
      expect(of('event').map(({ event }) => event)).toEqual(['key.created', 'session.began', 'account.created']);
      expect(lines.at(-1)).toEqual({ type: 'end', rows: lines.length - 1 });
    }
  });

  test('has nothing of another account', async () => {
    const [mine, theirs] = [await aPair(), await aPair()];
    await theirs.handset.send('mobile:messages', { messages: [message({ body: 'theirs' })] });
    expect(JSON.stringify((await read(mine.token)).lines)).not.toContain('theirs');
  });

  test('to somebody who does not read is not read either, and ends with the connection', async () => {
    const { handset, token } = await aPair();
    const body = 'x'.repeat(60_000);
    for (let i = 0; i < 20; i++)
      await handset.send('mobile:messages', { messages: Array.from({ length: 30 }, () => message({ body })) });
    const changes = server.app.get(Changes);
    const original = changes.read;
    let pages = 0;
    changes.read = (...args) => (pages++, original.apply(changes, args));
    later(() => (changes.read = original));

    const request = get(`${server.url}/api/account/export`, { headers: { Authorization: `Bearer ${token}` } });
    const [response] = await once(request, 'response');
    // 36 MB in pages of about 1 MB: what the pipe holds is asked for, the rest is not, whatever else is asked meanwhile.
    for (let n = 0; n < 50; n++) expect((await view(token)).status).toBe(200);
    expect(pages).toBeGreaterThan(0);
    expect(pages).toBeLessThan(20);
    const before = pages;
    response.destroy();
    for (let n = 0; n < 50; n++) expect((await view(token)).status).toBe(200);
    // No more than what was begun.
    expect(pages).toBeLessThanOrEqual(before + 2);
  });
});

describe('deleting an account', () => {
  const filled = async () => {
    const pairOf = await aPair();
    const { handset, token } = pairOf;
    const email = anEmail();
    await call(server.url, '/api/account/email', { token, body: { email } });
    const code = await mail.codeFor(email);
    await call(server.url, '/api/account/email/confirm', { token, body: { email, code } });
    await call(server.url, '/api/auth/request-otp', { body: { email } });
    await mail.mailTo(email, 2);
    await handset.send('mobile:messages', { messages: Array.from({ length: 2500 / 5 }, () => message()) });
    await handset.send('state:put', { key: 'k', value: 1 });
    return { ...pairOf, email, key: await aKey(token) };
  };

  test('leaves nothing of it: no row, no data key, no token, no key, no code', async () => {
    const { handset, token, userId, email, key } = await filled();
    expect((await placesOf(userId)).length).toBeGreaterThan(6);
    expect(await remove(token)).toMatchObject({ status: 200, body: { success: true } });
    expect(await placesOf(userId)).toEqual([]);
    const codes = await query(server.database.url, 'SELECT count(*)::int AS count FROM codes WHERE purpose LIKE $1', [`%${userId}%`]); // prettier-ignore
    expect(codes).toEqual([{ count: 0 }]);
    for (const dead of [token, handset.deviceToken, key]) expect((await call(server.url, '/api/changes', { token: dead })).status).toBe(401); // prettier-ignore
    // The email is free: a code that was on its way is not good for it any more.
    const code = await mail.codeFor(email, 2);
    expect((await call(server.url, '/api/auth/verify-otp', { body: { email, otp: code } })).status).toBe(400);
  });

  test('closes what is open of it, and lets the phone begin anew under its id', async () => {
    const { handset, token } = await aPair();
    const web = kept(await browser(server.url, token));
    const following = kept(follower(server.url, token));
    await following.connected();
    const stream = await EventStream.open(server.url, token);
    const poll = call(server.url, '/api/changes?after=1000000&wait=30', { token }).catch(() => undefined);
    expect((await remove(token)).status).toBe(200);
    for (const client of [handset, web, following]) await client.next('disconnect');
    await stream.until(() => stream.events.some(({ event }) => event === 'error'));
    await poll;
    const again = kept(await phone(server.url, { deviceId: handset.deviceId }));
    expect(again.deviceToken).not.toBe(handset.deviceToken);
    expect((await view(again.deviceToken)).body).toMatchObject({ devices: 1 });
  });

  test('takes a clear word, and the password where there is one', async () => {
    const { token } = await aPerson();
    for (const body of [
      {},
      { confirm: false },
      { confirm: 'true' },
      { password: PASSWORD },
      { confirm: true, password: 1 },
    ])
      expect(await remove(token, body)).toMatchObject({ status: 400, body: { code: 'bad_request' } });
    for (const body of [{ confirm: true }, { confirm: true, password: null }, { confirm: true, password: 'wrong one' }])
      expect(await remove(token, body)).toMatchObject({ status: 401, body: { code: 'wrong_credentials' } });
    expect((await view(token)).status).toBe(200);
    expect((await remove(token, { confirm: true, password: PASSWORD })).status).toBe(200);
    expect((await view(token)).status).toBe(401);
  });

  test('touches no other account', async () => {
    const [mine, theirs] = [await filled(), await filled()];
    const before = (await bySnapshot(server.url, theirs.token)).lines();
    expect((await remove(mine.token)).status).toBe(200);
    expect((await bySnapshot(server.url, theirs.token)).lines()).toEqual(before);
    expect((await call(server.url, '/api/changes', { token: theirs.key })).status).toBe(200);
  });

  test('wins over what is under way: it is answered as missing, and nothing comes back', async () => {
    const { handset, token, userId } = await aPair();
    const account = (await server.app.get(AccountKeys).find(userId))!;
    const gone = remove(token);
    const acks = Array.from({ length: 300 }, () => handset.send('mobile:messages', { messages: [message()] }).catch(() => undefined)); // prettier-ignore
    expect((await gone).status).toBe(200);
    // The key that was in memory still seals, but there is no account to write to.
    const row = { json: '1', ifAbsent: false };
    const mutation = { account, kind: 'state', id: 'late', op: 'put', row, at: Date.now(), bytes: 64 };
    expect(await server.app.get(Changes).submit([mutation])).toEqual([{ result: 'missing' }]);
    const lastSeen = server.app.get(LastSeen);
    lastSeen.note({ account, kind: 'browser', deviceId: claimsOf(token).sid, phoneId: '' });
    await lastSeen.flush();
    const noted = await server.app
      .get(AccountEvents)
      .note(account, 'key.created')
      .catch((error: unknown) => error);
    expect(asRelayError(noted).code).toBe('session_expired');
    await Promise.all(acks);
    expect(await placesOf(userId)).toEqual([]);
    expect(await server.app.get(AccountKeys).find(userId)).toBeUndefined();
  });

  test('goes on after a server that died on the way', async () => {
    const database = await createTestDatabase();
    later(() => database.drop());
    const first = await TestServer.start({ database, argon2, limits });
    const { handset, userId } = await aPair(first.url);
    await handset.send('mobile:messages', { messages: Array.from({ length: 900 }, () => message()) });
    // What the first transaction leaves behind.
    await query(
      database.url,
      'WITH gone AS (DELETE FROM accounts RETURNING id) INSERT INTO erasures SELECT id FROM gone',
    );
    await first.stop();
    expect(await placesOf(userId, database.url)).toContain('messages');
    const second = await aServer({ database });
    await second.app.get(Erasure).run();
    expect(await placesOf(userId, database.url)).toEqual([]);
  });

  test('of a realm with a database of its own empties that one', async () => {
    const other = await createTestDatabase();
    later(() => other.drop());
    const realms = [
      { slug: 'default', name: 'Pairline', registration: 'open' as const },
      { slug: 'clinic', name: 'Clinic', registration: 'open' as const, databaseUrl: other.url },
    ];
    const { url } = await aServer({ realms });
    const email = anEmail();
    const clientId = randomUUID();
    await call(url, '/register/clinic', { body: { name: 'Ann', email, password: PASSWORD, clientId } });
    const basic = `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}`;
    const { body } = await call(url, '/login/clinic', { body: { clientId }, headers: { Authorization: basic } });
    const token = body.access_token as string;
    const { userId } = (await view(token, url)).body;
    expect((await placesOf(userId, other.url)).length).toBeGreaterThan(2);
    expect((await remove(token, { confirm: true, password: PASSWORD }, url)).status).toBe(200);
    expect(await placesOf(userId, other.url)).toEqual([]);
  });
});

describe('adding a login to an account that a phone made', () => {
  const confirm = (token: string, email: string, code: string, more: object = {}) =>
    call(server.url, '/api/account/email/confirm', { token, body: { email, code, ...more } });
  const askFor = async (token: string, email: string): Promise<string> => {
    const before = mail.mails.filter(({ to }) => to.includes(email)).length;
    expect((await call(server.url, '/api/account/email', { token, body: { email } })).status).toBe(200);
    return mail.codeFor(email, before + 1);
  };

  test('by email: the person signs in with a code and sees the texts of the phone', async () => {
    const { handset, token, userId } = await aPair();
    const text = message({ body: 'from the phone' });
    await handset.send('mobile:messages', { messages: [text] });
    const email = anEmail();
    const code = await askFor(token, email);
    expect((await confirm(token, email, code)).body).toEqual({ success: true });
    expect((await view(token)).body).toMatchObject({ userId, email, hasPassword: false });
    expect((await eventsOf(token))[0]).toMatchObject({ event: 'email.added', address: '127.0.0.1' });
    expect((await confirm(token, email, code)).body).toMatchObject({ code: 'wrong_code' });

    await call(server.url, '/api/auth/request-otp', { body: { email } });
    const otp = await mail.codeFor(email, 2);
    const { body } = await call(server.url, '/api/auth/verify-otp', { body: { email, otp } });
    expect(body.userId).toBe(userId);
    expect((await bySnapshot(server.url, body.token)).of('message')).toMatchObject([
      { id: text.id, body: 'from the phone' },
    ]);
  });

  test('a code is good for the account that asked, and for the email it went to', async () => {
    const [mine, theirs] = [await aPair(), await aPair()];
    const [email, other] = [anEmail(), anEmail()];
    const code = await askFor(mine.token, email);
    for (const wrong of [confirm(theirs.token, email, code), confirm(mine.token, other, code)])
      expect(await wrong).toMatchObject({ status: 400, body: { code: 'wrong_code' } });
    expect((await confirm(mine.handset.deviceToken, email, code)).status).toBe(200);
  });

  test('an email that is another account’s is refused, and says what to do', async () => {
    const { email } = await aPerson();
    const { token } = await aPair();
    const code = await askFor(token, email);
    const { status, body } = await confirm(token, email, code);
    expect([status, body.code]).toEqual([409, 'email_taken']);
    expect(body.message).toMatch(/join/);
    expect((await view(token)).body.email).toBeUndefined();
  });

  test('by name and password, from the phone itself', async () => {
    const { handset, token, userId } = await aPair();
    const name = aName();
    expect(await put('/api/account/name', handset.deviceToken, { name })).toMatchObject({ status: 400, body: { code: 'bad_request' } }); // prettier-ignore
    expect(await put('/api/account/name', handset.deviceToken, { name, password: PASSWORD })).toMatchObject({
      status: 200,
    });
    expect((await login({ pseudo: name, password: PASSWORD })).body).toMatchObject({ userId });
    expect((await view(token)).body).toMatchObject({ name, hasPassword: true });
    expect((await eventsOf(token)).map(({ event }) => event)).toContain('name.added');
    const other = await aPair();
    expect(await put('/api/account/name', other.token, { name, password: PASSWORD })).toMatchObject({ status: 409, body: { code: 'name_taken' } }); // prettier-ignore
  });

  test('email and name stand beside each other, whichever came first', async () => {
    const { token, userId } = await aPair();
    const [name, email] = [aName(), anEmail()];
    await put('/api/account/name', token, { name, password: PASSWORD });
    const code = await askFor(token, email);
    expect(await confirm(token, email, code)).toMatchObject({ status: 401, body: { code: 'wrong_credentials' } });
    expect((await confirm(token, email, code, { currentPassword: PASSWORD })).status).toBe(200);
    for (const by of [{ email }, { pseudo: name }]) expect((await login({ ...by, password: PASSWORD })).body).toMatchObject({ userId }); // prettier-ignore
  });

  test('of an account that has a password, the password is asked for', async () => {
    const { token, email } = await aPerson();
    for (const currentPassword of [undefined, null, 'wrong one']) {
      expect(await put('/api/account/name', token, { name: aName(), currentPassword })).toMatchObject({ status: 401, body: { code: 'wrong_credentials' } }); // prettier-ignore
      expect(await put('/api/account/password', token, { password: 'another one', currentPassword })).toMatchObject({ status: 401, body: { code: 'wrong_credentials' } }); // prettier-ignore
    }
    expect((await login({ email, password: PASSWORD })).status).toBe(200);
    const name = aName();
    expect((await put('/api/account/name', token, { name, currentPassword: PASSWORD })).status).toBe(200);
    expect((await login({ pseudo: name, password: PASSWORD })).status).toBe(200);
  });

  test('a new password ends the sessions that signed in, but the one that set it goes on', async () => {
    const { token, email } = await aPerson();
    const other = (await login({ email, password: PASSWORD })).body.token as string;
    const { status, body } = await put('/api/account/password', token, { password: 'another one', currentPassword: PASSWORD }); // prettier-ignore
    expect(status).toBe(200);
    for (const ended of [token, other]) expect((await view(ended)).status).toBe(401);
    expect((await view(body.token)).status).toBe(200);
    expect((await eventsOf(body.token))[0]).toMatchObject({ event: 'password.changed' });
    expect((await login({ email, password: PASSWORD })).status).toBe(401);
    expect((await login({ email, password: 'another one' })).status).toBe(200);
  });

  test('a password with nothing to sign in by is refused; with an email it is the first one', async () => {
    const { token, handset } = await aPair();
    expect(await put('/api/account/password', token, { password: PASSWORD })).toMatchObject({ status: 400 });
    const email = anEmail();
    await confirm(token, email, await askFor(token, email));
    expect((await put('/api/account/password', handset.deviceToken, { password: PASSWORD })).body).toEqual({
      success: true,
    });
    expect((await login({ email, password: PASSWORD })).status).toBe(200);
    // The browser that the phone let in has to come in anew, and the phone stays.
    expect((await view(token)).status).toBe(401);
    expect((await view(handset.deviceToken)).status).toBe(200);
  });

  test('a browser that a phone let in sets the password and goes on with its new token', async () => {
    const { token, handset } = await aPair();
    const other = await pair(server.url, handset);
    const email = anEmail();
    await confirm(token, email, await askFor(token, email));
    const { body } = await put('/api/account/password', token, { password: PASSWORD });
    expect((await view(body.token)).body).toMatchObject({ email, hasPassword: true });
    for (const ended of [token, other]) expect((await view(ended)).status).toBe(401);
  });

  /** While the next password is being hashed. */
  const duringTheHash = (work: () => Promise<void>) => {
    const passwords = server.app.get(Passwords);
    const { hash } = passwords;
    passwords.hash = async (...asked) => {
      passwords.hash = hash;
      await work();
      return hash.call(passwords, ...asked);
    };
  };

  test('an email that comes while a name is being added is there beside it', async () => {
    const { token } = await aPair();
    const [name, email] = [aName(), anEmail()];
    const code = await askFor(token, email);
    duringTheHash(async () => expect((await confirm(token, email, code)).status).toBe(200));
    expect((await put('/api/account/name', token, { name, password: PASSWORD })).status).toBe(200);
    expect((await view(token)).body).toMatchObject({ name, email, hasPassword: true });
  });

  test('of two first passwords that are set at once, the one that was there first stays', async () => {
    const { token } = await aPair();
    const [name, other] = [aName(), aName()];
    duringTheHash(async () =>
      expect((await put('/api/account/name', token, { name, password: PASSWORD })).status).toBe(200),
    );
    expect(await put('/api/account/name', token, { name: other, password: 'another one' })).toMatchObject({ status: 503, body: { code: 'busy' } }); // prettier-ignore
    expect((await login({ pseudo: name, password: PASSWORD })).status).toBe(200);
    expect((await view(token)).body.name).toBe(name);
  });

  test.each([
    ['an empty name', 'PUT', '/name', { name: '', password: PASSWORD }],
    ['a name with NUL', 'PUT', '/name', { name: 'a\0b', password: PASSWORD }],
    ['a name of 65 characters', 'PUT', '/name', { name: 'x'.repeat(65), password: PASSWORD }],
    ['a name with a short password', 'PUT', '/name', { name: 'Ann', password: 'short' }],
    ['no name', 'PUT', '/name', { password: PASSWORD }],
    ['a password that is a number', 'PUT', '/password', { password: 5 }],
    ['a password of 1025 characters', 'PUT', '/password', { password: 'x'.repeat(1025) }],
    ['an email that is none', 'POST', '/email', { email: 'nobody' }],
    ['no email', 'POST', '/email', {}],
    ['no code', 'POST', '/email/confirm', { email: 'ann@example.org' }],
    ['a code that is too long', 'POST', '/email/confirm', { email: 'ann@example.org', code: 'x'.repeat(65) }],
    ['no token', 'POST', '/join', {}],
    ['a token that is a list', 'POST', '/join', { token: ['x'] }],
  ])('%s is refused', async (_what, method, path, body) => {
    const { token } = await aPair();
    const reply = await call(server.url, `/api/account${path}`, { token, method, body });
    expect([reply.status, reply.body.code]).toEqual([400, 'bad_request']);
    expect((await view(token)).body).not.toHaveProperty('name');
  });
});
