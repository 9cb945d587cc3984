import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { hash, parseOptions } from '@node-rs/argon2';
import { AccountKeys } from '../src/changes/account-keys.js';
import { createLog } from '../src/log.js';
import { AccountEvents, type AccountEventView } from '../src/sessions/account-events.js';
import { Accounts } from '../src/sessions/accounts.service.js';
import { Limits } from '../src/sessions/limits.js';
import { Passwords } from '../src/accounts/passwords.js';
import { SignIn } from '../src/accounts/sign-in.service.js';
import { call, follower, pair, phone, type Reply } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { figure } from './support/metrics.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';

// As cheap as a hash can be: what it costs is not what these tests are about.
const argon2 = { memoryKib: 8, passes: 1, lanes: 1 };
const unlimited = { wrongSignInsPerMinute: 0, wrongSignInsPerQuarterHour: 0, registrationsPerHour: 0, wrongTokensPerMinute: 0, qrCodesPerMinute: 0 }; // prettier-ignore

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ argon2, limits: unlimited });
});
afterEach(cleanUp);
afterAll(() => server.stop());

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start({ argon2, ...options });
  later(() => started.stop());
  return started;
}

const anEmail = () => `ann-${randomUUID()}@example.org`;
const aName = () => `Ann ${randomUUID()}`;
const PASSWORD = 'correct horse battery';
const register = (body: object, url = server.url): Promise<Reply> => call(url, '/api/auth/register', { body });
const login = (body: object, url = server.url, headers: Record<string, string> = {}): Promise<Reply> =>
  call(url, '/api/auth/login', { body, headers });
const check = (token: string, url = server.url) => call(url, '/api/auth/check', { token });

async function anAccount(
  deviceInfo?: object,
): Promise<{ email: string; userId: string; token: string; deviceId: string }> {
  // prettier-ignore
  const email = anEmail();
  const { body } = await register({ email, password: PASSWORD, deviceInfo });
  return { email, ...(body as { userId: string; token: string; deviceId: string }) };
}

const accountOf = async (id: string, at = server) => (await at.app.get(AccountKeys).find(id))!;
const eventsOf = async (id: string, at = server): Promise<AccountEventView[]> =>
  at.app.get(AccountEvents).list(await accountOf(id, at), 100);

/** What is noted after the answer: the newest first, once there are as many. */
async function eventsUntil(id: string, event: string, count: number, at = server): Promise<AccountEventView[]> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const found = (await eventsOf(id, at)).filter((each) => each.event === event);
    if (found.length >= count) return found;
    if (Date.now() > deadline) throw new Error(`${event} was noted ${found.length} times`);
  }
}

const hashesAt = (url: string) => figure(url, 'pairline_password_hashes_total');

describe('registering', () => {
  test('by email answers 201 with a token that is good at once', async () => {
    const email = anEmail();
    const { status, body } = await register({ email, password: PASSWORD });
    expect(status).toBe(201);
    expect(body).toEqual({
      message: 'Account created',
      token: expect.any(String),
      userId: expect.any(String),
      user_id: body.userId,
      deviceId: expect.any(String),
      email,
      expiresAt: expect.any(Number),
    });
    expect(body.expiresAt).toBeGreaterThan(Date.now());
    const { status: good, body: who } = await check(body.token);
    expect([good, who]).toEqual([200, { userId: body.userId, user_id: body.userId, deviceId: body.deviceId, email }]);
  });

  test('by name and public key answers 201 with the fields of both kinds of clients', async () => {
    const pseudo = aName();
    const public_key = randomBytes(32).toString('base64');
    const { status, body } = await register({ pseudo, public_key, password: PASSWORD });
    expect(status).toBe(201);
    expect(body).toMatchObject({ user_id: expect.any(String), userId: body.user_id, pseudo, public_key, token: expect.any(String) }); // prettier-ignore
    expect((await check(body.token)).body).toMatchObject({ user_id: body.user_id, pseudo, public_key });
  });

  test('an email that is taken is a 409, in capitals and with spaces around it too', async () => {
    const { email } = await anAccount();
    for (const same of [email, email.toUpperCase(), ` ${email} `]) {
      const { status, body } = await register({ email: same, password: 'another password' });
      expect([status, body.code, body.message]).toEqual([409, 'email_taken', 'The email is already registered']);
    }
  });

  test('a name that is taken is a 409, one that only looks different too', async () => {
    const pseudo = aName();
    await register({ pseudo, password: PASSWORD });
    for (const same of [pseudo, pseudo.toLowerCase(), pseudo.replace('A', 'Ａ')]) {
      const { status, body } = await register({ pseudo: same, password: PASSWORD });
      expect([status, body.code]).toEqual([409, 'name_taken']);
    }
  });

  test('ten at once with one email make one account', async () => {
    const email = anEmail();
    const replies = await Promise.all(Array.from({ length: 10 }, () => register({ email, password: PASSWORD })));
    expect(replies.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 9 }, () => 409)]);
  });

  test.each<[string, object, RegExp]>([
    ['neither email nor name', { password: PASSWORD }, /email or a name/],
    ['no password', { email: 'a@example.org' }, /password is required/],
    ['an empty password', { email: 'a@example.org', password: '' }, /password is required/],
    ['a password that is a number', { email: 'a@example.org', password: 12345678 }, /password is required/],
    ['a short password', { email: 'a@example.org', password: 'five5' }, /at least 6 characters/],
    [
      'a password of 1,025 characters',
      { email: 'a@example.org', password: 'x'.repeat(1025) },
      /at most 1024 characters/,
    ],
    ['a password that holds NUL', { email: 'a@example.org', password: 'abc\0defgh' }, /no keyboard types/],
    ['a password with half a character', { email: 'a@example.org', password: 'abc\ud800defgh' }, /no keyboard types/],
    ['an email without @', { email: 'example.org', password: PASSWORD }, /email must be an address/],
    ['two emails', { email: 'a@example.org,b@example.org', password: PASSWORD }, /email must be an address/],
    ['an email that ends a header', { email: 'a@example.org\r\nBcc: b@example.org', password: PASSWORD }, /email must be an address/], // prettier-ignore
    ['an email with a name', { email: 'Ann <a@example.org>', password: PASSWORD }, /email must be an address/],
    ['an email of 255 characters', { email: `${'a'.repeat(243)}@example.org`, password: PASSWORD }, /254/],
    ['an email that is an object', { email: { a: 1 }, password: PASSWORD }, /email must be a string/],
    ['an empty name', { pseudo: '  ', password: PASSWORD }, /1 to 64 printable/],
    ['a name of 65 characters', { pseudo: 'x'.repeat(65), password: PASSWORD }, /1 to 64 printable/],
    ['a name with a line break', { pseudo: 'a\nb', password: PASSWORD }, /1 to 64 printable/],
    ['a name that turns the text around', { pseudo: 'a\u202eb', password: PASSWORD }, /1 to 64 printable/],
    ['a name like an email', { pseudo: 'a@example.org', password: PASSWORD }, /not look like an email/],
    ['a key of 8,193 characters', { pseudo: 'x', public_key: 'k'.repeat(8193), password: PASSWORD }, /public_key/],
    ['a device that is a text', { email: 'a@example.org', password: PASSWORD, deviceInfo: 'x' }, /deviceInfo must be an object/], // prettier-ignore
    ['a device whose id holds NUL', { email: 'a@example.org', password: PASSWORD, deviceInfo: { deviceId: 'a\0b' } }, /1 to 128 printable/], // prettier-ignore
    ['a device whose name is a number', { email: 'a@example.org', password: PASSWORD, deviceInfo: { name: 5 } }, /deviceInfo.name/], // prettier-ignore
  ])('%s is a 400 that says so, and makes nothing', async (_what, body, says) => {
    const before = await query(server.database.url, 'SELECT count(*)::int AS n FROM accounts');
    const reply = await register(body);
    expect([reply.status, reply.body.code]).toEqual([400, 'bad_request']);
    expect(reply.body.message).toMatch(says);
    expect(await query(server.database.url, 'SELECT count(*)::int AS n FROM accounts')).toEqual(before);
  });

  test('a device that says more than 16 KiB is a 413', async () => {
    const deviceInfo = { name: 'Laptop', about: 'x'.repeat(16_400) };
    const { status, body } = await register({ email: anEmail(), password: PASSWORD, deviceInfo });
    expect([status, body.code]).toEqual([413, 'payload_too_large']);
  });

  test('needs the invitation where the server asks for one, and is refused where it is closed', async () => {
    const realm = { slug: 'default', name: 'Pairline', inviteToken: 'come in, come in' };
    const invite = await aServer({ realms: [{ ...realm, registration: 'invite' }] });
    const email = anEmail();
    for (const inviteToken of [undefined, null, 'wrong'])
      expect((await register({ email, password: PASSWORD, inviteToken }, invite.url)).body.code).toBe(
        'invite_required',
      );
    expect((await register({ email, password: PASSWORD, inviteToken: 'come in, come in' }, invite.url)).status).toBe(
      201,
    );
    const closed = await aServer({ realms: [{ ...realm, registration: 'closed' }] });
    const refused = await register({ email, password: PASSWORD }, closed.url);
    expect([refused.status, refused.body.code]).toEqual([403, 'registration_closed']);
  });

  test('whether an email or a name is taken is told as often as a wrong password, by whichever route', async () => {
    const { url } = await aServer({ trustProxy: 1, limits: { wrongSignInsPerMinute: 4 } });
    const [email, pseudo] = [anEmail(), aName()];
    await register({ email, pseudo, password: PASSWORD }, url);
    const ask = (body: object, path = '/api/auth/register', address = '192.0.2.1') =>
      call(url, path, { body: { password: PASSWORD, name: 'Ann', clientId: 'c', ...body }, headers: { 'X-Forwarded-For': address } }); // prettier-ignore
    const asked = [
      await ask({ email }),
      await ask({ pseudo }),
      await ask({ email, newRegistration: true }, '/register/default'),
      await ask({ email: anEmail(), newRegistration: false }, '/register/default'),
    ];
    expect(asked.map(({ status }) => status)).toEqual([409, 409, 409, 400]);
    // From then on nothing is told: not what is taken, and not what is free.
    for (const body of [{ email }, { email: anEmail() }, { pseudo }, { pseudo: aName() }])
      expect((await ask(body)).status).toBe(429);
    for (const newRegistration of [true, false, null])
      for (const each of [email, anEmail()])
        for (const password of [PASSWORD, 'short'])
          expect((await ask({ email: each, newRegistration, password }, '/register/default')).status).toBe(429);
    expect((await ask({ email: anEmail() }, '/api/auth/register', '192.0.2.2')).status).toBe(201);
  });

  test('is told no more often when hundreds ask at once', async () => {
    const { url } = await aServer({});
    const email = anEmail();
    await register({ email, password: PASSWORD }, url);
    const ask = (n: number) =>
      call(url, '/register/default', {
        body: { name: 'Ann', email: n % 2 ? email : anEmail(), password: PASSWORD, clientId: 'c', newRegistration: Boolean(n % 2) }, // prettier-ignore
      });
    const statuses = (await Promise.all(Array.from({ length: 200 }, (_, n) => ask(n)))).map(({ status }) => status);
    expect(statuses.filter((status) => status !== 429)).toHaveLength(30);
  });

  test('is limited an address', async () => {
    const { url } = await aServer({ limits: { registrationsPerHour: 2 } });
    for (const expected of [201, 201, 429])
      expect((await register({ email: anEmail(), password: PASSWORD }, url)).status).toBe(expected);
  });
});

describe('signing in', () => {
  test('by email or by name answers 200 with a token of the same account', async () => {
    const [email, pseudo] = [anEmail(), aName()];
    const made = await register({ email, pseudo, password: PASSWORD });
    for (const by of [{ email }, { email: email.toUpperCase() }, { pseudo }, { pseudo: pseudo.toUpperCase() }]) {
      const { status, body } = await login({ ...by, password: PASSWORD });
      expect(status).toBe(200);
      expect(body).toMatchObject({ message: 'Signed in', userId: made.body.userId, user_id: made.body.userId, email, pseudo }); // prettier-ignore
      expect((await check(body.token)).status).toBe(200);
    }
  });

  test('a wrong password, an unknown email and an unknown name are told alike, and cost a hash each', async () => {
    const { email } = await anAccount();
    const told = [];
    for (const by of [{ email }, { email: anEmail() }, { pseudo: aName() }]) {
      const before = await hashesAt(server.url);
      const { status, body, headers } = await login({ ...by, password: 'wrong password' });
      expect(await hashesAt(server.url)).toBe(before + 1);
      const rest = { ...(body as Record<string, unknown>), requestId: 'any' };
      told.push({ status, rest, names: [...headers.keys()].sort() });
    }
    expect(told[0]).toMatchObject({ status: 401, rest: { code: 'wrong_credentials', message: 'Wrong username or password' } }); // prettier-ignore
    expect(told[1]).toEqual(told[0]);
    expect(told[2]).toEqual(told[0]);
  });

  test('the hash of nobody is of the parameters that all are of, and no password fits it', async () => {
    const passwords = server.app.get(Passwords);
    for (const password of ['', PASSWORD]) expect(await passwords.verify(undefined, password, '192.0.2.1')).toBe(false);
    const { nobodys } = passwords as unknown as { nobodys: string };
    expect(parseOptions(nobodys)).toEqual(parseOptions(await passwords.hash(PASSWORD, '192.0.2.1')));
  });

  test('a password is the same however its accents were typed, and differs by its capitals', async () => {
    const email = anEmail();
    await register({ email, password: 'caf\u00e9 au lait' });
    expect((await login({ email, password: 'cafe\u0301 au lait' })).status).toBe(200);
    expect((await login({ email, password: 'Caf\u00e9 au lait' })).status).toBe(401);
  });

  test('a password of 1,024 characters counts to the last', async () => {
    const email = anEmail();
    const password = 'x'.repeat(1024);
    expect((await register({ email, password })).status).toBe(201);
    expect((await login({ email, password })).status).toBe(200);
    expect((await login({ email, password: `${'x'.repeat(1023)}y` })).status).toBe(401);
  });

  test.each<[string, object, RegExp]>([
    ['neither email nor name', { password: PASSWORD }, /email or pseudo is required/],
    ['no password', { email: 'a@example.org' }, /password is required/],
    ['an endless password', { email: 'a@example.org', password: 'x'.repeat(5000) }, /at most 1024/],
    ['a password that holds NUL', { email: 'a@example.org', password: 'abc\0defgh' }, /no keyboard types/],
  ])('%s is a 400 that says so, and no hash', async (_what, body, says) => {
    const before = await hashesAt(server.url);
    const reply = await login(body);
    expect([reply.status, reply.body.code]).toEqual([400, 'bad_request']);
    expect(reply.body.message).toMatch(says);
    expect(await hashesAt(server.url)).toBe(before);
  });

  test.each(['a\0b@example.org', '\ud800', `' OR 1=1 --`, '__proto__'])('%j is nobody', async (email) => {
    expect((await login({ email, password: PASSWORD })).status).toBe(401);
    expect((await login({ pseudo: email, password: PASSWORD })).status).toBe(401);
  });

  test('a device that presents its id is the same device; without one it is a new one', async () => {
    const first = await anAccount({ name: 'Laptop', type: 'desktop', viewport: { width: 1280 } });
    const again = { deviceId: first.deviceId, name: 'Laptop, moved', type: 'desktop', viewport: { width: 800 } };
    const second = await login({ email: first.email, password: PASSWORD, deviceInfo: again });
    expect(second.body.deviceId).toBe(first.deviceId);
    const third = await login({
      email: first.email,
      password: PASSWORD,
      deviceInfo: { id: 'my own id', name: 'Tablet' },
    });
    expect(third.body.deviceId).toBe('my own id');
    const fourth = await login({ email: first.email, password: PASSWORD });
    const { body } = await call(server.url, '/api/devices', { token: first.token });
    const devices = (body as { devices: { id: string; name: string }[] }).devices;
    expect(devices.map(({ id, name }) => [id, name]).sort()).toEqual(
      [
        [first.deviceId, 'Laptop, moved'],
        ['my own id', 'Tablet'],
        [fourth.body.deviceId, 'Browser'],
      ].sort(),
    );
    const laptop = devices.find(({ id }) => id === first.deviceId);
    expect(laptop).toMatchObject({ type: 'desktop', metadata: { viewport: { width: 800 } } });
  });

  test("another account's device id makes a device of one's own", async () => {
    const theirs = await anAccount({ deviceId: 'shared id', name: 'Theirs' });
    const mine = await anAccount({ deviceId: 'shared id', name: 'Mine' });
    expect(mine.deviceId).toBe('shared id');
    expect((await check(theirs.token)).body.userId).toBe(theirs.userId);
    expect((await check(mine.token)).body.userId).toBe(mine.userId);
  });

  test('a password that was hashed by other parameters is hashed anew once it was right', async () => {
    const { email, userId } = await anAccount();
    const stored = async () =>
      (await query(server.database.url, 'SELECT password_hash FROM logins WHERE account_id = $1', [userId]))[0]!
        .password_hash as string;
    const old = await hash(PASSWORD, { memoryCost: 16, timeCost: 2, parallelism: 1 });
    await query(server.database.url, 'UPDATE logins SET password_hash = $2 WHERE account_id = $1', [userId, old]);
    expect((await login({ email, password: 'wrong password' })).status).toBe(401);
    expect(await stored()).toBe(old);
    expect((await login({ email, password: PASSWORD })).status).toBe(200);
    expect(parseOptions(await stored())).toMatchObject({ memoryCost: 8, timeCost: 1 });
    const renewed = await stored();
    expect((await login({ email, password: PASSWORD })).status).toBe(200);
    expect(await stored()).toBe(renewed);
  });

  test('twenty sign-ins at once of a password that was hashed by other parameters all get in', async () => {
    const { email, userId } = await anAccount();
    const old = await hash(PASSWORD, { memoryCost: 16, timeCost: 2, parallelism: 1 });
    await query(server.database.url, 'UPDATE logins SET password_hash = $2 WHERE account_id = $1', [userId, old]);
    const replies = await Promise.all(Array.from({ length: 20 }, () => login({ email, password: PASSWORD })));
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  });

  test('a sign-in whose password is changed before its session begins gets none', async () => {
    const signIn = server.app.get(SignIn);
    const { email } = await anAccount();
    const right = await signIn.withPassword('default', { email }, PASSWORD, '192.0.2.9');
    await signIn.changePassword(right.account, 'another password', '192.0.2.8');
    await expect(signIn.begin(right, { name: 'late' }, '192.0.2.9')).rejects.toMatchObject({ code: 'busy' });
    const anew = await signIn.withPassword('default', { email }, 'another password', '192.0.2.9');
    const { token } = await signIn.begin(anew, { name: 'late' }, '192.0.2.9');
    expect((await check(token)).status).toBe(200);
  });

  test('an account without a password never signs in by one', async () => {
    const email = anEmail();
    await server.app.get(Accounts).create('default', { email });
    for (const password of ['', 'null', 'undefined', PASSWORD]) {
      const { status } = await login({ email, password });
      expect(status).toBe(password === '' ? 400 : 401);
    }
  });

  test('check knows a phone that nobody added a login to, and refuses whoever is nobody', async () => {
    const handset = await phone(server.url);
    later(() => handset.close());
    const { status, body } = await check(handset.deviceToken);
    expect([status, body]).toEqual([200, { userId: expect.any(String), user_id: body.userId, deviceId: handset.deviceId }]); // prettier-ignore
    expect((await call(server.url, '/api/auth/check')).status).toBe(401);
    expect((await check('no.such.token')).status).toBe(401);
  });

  test('the routes of pairing beside it stay what they are', async () => {
    expect((await call(server.url, '/api/auth/health')).body).toMatchObject({ success: true });
    expect((await call(server.url, '/api/auth/generate-qr')).status).toBe(200);
    const handset = await phone(server.url);
    later(() => handset.close());
    const token = await pair(server.url, handset);
    expect((await call(server.url, '/api/auth/verify', { body: { sessionToken: token } })).status).toBe(200);
  });
});

describe('wrong passwords', () => {
  // Behind a proxy that says where each request comes from.
  const from = (address: string) => ({ 'X-Forwarded-For': address });

  test('of one account from one address are bounded, and the right one then waits too; from elsewhere it is good', async () => {
    const { url } = await aServer({ trustProxy: 1, limits: { wrongSignInsPerQuarterHour: 3 } });
    const [email, other] = [anEmail(), anEmail()];
    for (const each of [email, other]) await register({ email: each, password: PASSWORD }, url);
    for (let n = 0; n < 3; n++)
      expect((await login({ email, password: 'wrong password' }, url, from('192.0.2.1'))).status).toBe(401);
    const before = await hashesAt(url);
    for (const password of ['wrong password', PASSWORD]) {
      const { status, body, headers } = await login({ email: email.toUpperCase(), password }, url, from('192.0.2.1'));
      expect([status, body.code]).toEqual([429, 'rate_limited']);
      expect(headers.get('retry-after')).toBe(String(body.retryAfter));
      expect(body.retryAfter).toBeGreaterThan(0);
      expect(body.retryAfter).toBeLessThanOrEqual(900);
    }
    expect(await hashesAt(url)).toBe(before);
    // The owner, from where the stranger is not; and the stranger's neighbour, with an account of their own.
    expect((await login({ email, password: PASSWORD }, url, from('192.0.2.2'))).status).toBe(200);
    expect((await login({ email: other, password: PASSWORD }, url, from('192.0.2.1'))).status).toBe(200);
  });

  test('of an unknown email are bounded as those of a known one', async () => {
    const { url } = await aServer({ limits: { wrongSignInsPerQuarterHour: 2 } });
    const known = anEmail();
    await register({ email: known, password: PASSWORD }, url);
    for (const email of [known, anEmail()])
      for (const expected of [401, 401, 429])
        expect((await login({ email, password: 'wrong password' }, url)).status).toBe(expected);
  });

  test('that come all at once are no more than those one by one', async () => {
    const { url } = await aServer({ limits: { wrongSignInsPerQuarterHour: 5 } });
    const email = anEmail();
    await register({ email, password: PASSWORD }, url);
    const guesses = Array.from({ length: 40 }, (_, n) => login({ email, password: `wrong password ${n}` }, url));
    const statuses = (await Promise.all(guesses)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(35);
  });

  test('from one address are bounded over all accounts, those of other addresses apart', async () => {
    const { url } = await aServer({ trustProxy: 1 });
    const email = anEmail();
    await register({ email, password: PASSWORD }, url);
    const guess = () => login({ email: anEmail(), password: 'wrong password' }, url, from('192.0.2.1'));
    const statuses = [];
    for (let n = 0; n < 40; n++) statuses.push((await guess()).status);
    expect(statuses).toEqual([...Array.from({ length: 30 }, () => 401), ...Array.from({ length: 10 }, () => 429)]);
    expect((await guess()).body.retryAfter).toBeLessThanOrEqual(60);
    expect((await login({ email, password: PASSWORD }, url, from('192.0.2.2'))).status).toBe(200);
  });

  test('are what counts: forty and more right sign-ins from one address, one by one or at once, are ordinary', async () => {
    const { url } = await aServer({ limits: { wrongSignInsPerQuarterHour: 1, wrongSignInsPerMinute: 1 } });
    const email = anEmail();
    await register({ email, password: PASSWORD }, url);
    const signIn = async () => (await login({ email, password: PASSWORD }, url)).status;
    for (let n = 0; n < 25; n++) expect(await signIn()).toBe(200);
    const statuses = await Promise.all(Array.from({ length: 25 }, signIn));
    expect(statuses).toEqual(Array.from({ length: 25 }, () => 200));
  });
});

describe('hashing', () => {
  test('past five hundred of one address that wait is refused as busy, and another gets in', async () => {
    const passwords = server.app.get(Passwords);
    const hashed = await passwords.hash(PASSWORD, '192.0.2.1');
    const flood = Promise.allSettled(
      Array.from({ length: 520 }, () => passwords.verify(hashed, PASSWORD, '192.0.2.1')),
    );
    expect(await passwords.verify(hashed, PASSWORD, '192.0.2.2')).toBe(true);
    const all = await flood;
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(500);
    const refused = all.filter((each) => each.status === 'rejected').map(({ reason }) => reason as unknown);
    expect(refused).toHaveLength(20);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'busy', status: 503, retryAfter: 1 });
    expect(await passwords.verify(hashed, PASSWORD, '192.0.2.1')).toBe(true);
  });

  test('one address that registers a lot keeps nobody else waiting for all of that', async () => {
    const passwords = server.app.get(Passwords);
    const done: string[] = [];
    const hash = async (address: string) => {
      await passwords.hash(PASSWORD, address);
      done.push(address);
    };
    // Addresses of one network of 64 bits are one.
    const flood = Array.from({ length: 20 }, (_, i) => hash(`2001:db8:0:1::${i}`));
    await Promise.all([...flood, hash('192.0.2.1'), hash('192.0.2.2')]);
    expect(done.slice(1, 3)).toEqual(['192.0.2.1', '192.0.2.2']);
    expect(done).toHaveLength(22);
  });

  test('one address with fifty guesses does not keep another waiting for all of them', async () => {
    const [limits, passwords] = [server.app.get(Limits), server.app.get(Passwords)];
    let answered = 0;
    const guess = async (address: string) => {
      await limits.guess('default', address, () => passwords.verify(undefined, PASSWORD, address));
      return ++answered;
    };
    const flood = Array.from({ length: 50 }, () => guess('192.0.2.1'));
    expect(await guess('192.0.2.2')).toBeLessThanOrEqual(3);
    await Promise.all(flood);
    expect(answered).toBe(51);
  });

  test('one address with six hundred sign-ins at once is told to wait, and leaves room for others', async () => {
    const limits = server.app.get(Limits);
    const guess = (address: string) => limits.guess('default', address, () => Promise.resolve(true));
    const flood = Promise.allSettled(Array.from({ length: 600 }, () => guess('192.0.2.1')));
    expect(await guess('192.0.2.2')).toBe(true);
    const refused = (await flood).flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
    expect(refused).toHaveLength(550);
    for (const reason of refused) expect(reason).toMatchObject({ code: 'busy', retryAfter: 1 });
    expect(await guess('192.0.2.1')).toBe(true);
  });
});

describe('what the owner can read', () => {
  test('every sign-in is noted, with its address and device', async () => {
    const { email, userId, deviceId } = await anAccount({ name: 'Laptop' });
    await login({ email, password: PASSWORD, deviceInfo: { deviceId: 'tablet', name: 'Tablet' } });
    expect(await eventsOf(userId)).toMatchObject([
      { event: 'session.began', address: '127.0.0.1', name: 'Tablet', id: 'tablet' },
      { event: 'session.began', address: '127.0.0.1', name: 'Laptop', id: deviceId },
      { event: 'account.created', address: '127.0.0.1' },
    ]);
  });

  test('every refusal is noted, with its address', async () => {
    const { email, userId } = await anAccount();
    for (let n = 0; n < 2; n++) await login({ email, password: 'wrong password' });
    const [refusal] = await eventsUntil(userId, 'session.refused', 2);
    expect(refusal).toEqual({ event: 'session.refused', address: '127.0.0.1', at: expect.any(Number), number: expect.any(Number) }); // prettier-ignore
  });
});

describe('a new password', () => {
  const change = async (userId: string, password: string) =>
    server.app.get(SignIn).changePassword(await accountOf(userId), password, '192.0.2.7');

  test('ends every session that signed in, closes their sockets, and is the one that signs in from then on', async () => {
    const { email, userId, token, deviceId } = await anAccount({ name: 'Laptop' });
    const second = (await login({ email, password: PASSWORD })).body as { token: string; deviceId: string };
    const stranger = await anAccount();
    const ended = new Promise((resolve) => {
      later(
        server.app.get(Accounts).events.on('sessions.ended', (account, ids) => resolve([account, [...ids].sort()])),
      );
    });
    const socket = follower(server.url, token);
    later(() => socket.close());
    await socket.next('changes');
    await change(userId, 'a new password');
    expect(await socket.next('error')).toMatchObject({ code: 'session_expired' });
    await socket.next('disconnect');
    expect(await ended).toEqual([userId, [deviceId, second.deviceId].sort()]);
    for (const old of [token, second.token]) expect((await check(old)).status).toBe(401);
    expect((await check(stranger.token)).status).toBe(200);
    expect((await login({ email, password: PASSWORD })).status).toBe(401);
    // The same device, by the new one.
    const back = await login({ email, password: 'a new password', deviceInfo: { deviceId, name: 'Laptop' } });
    expect([back.status, back.body.deviceId]).toEqual([200, deviceId]);
    expect((await check(back.body.token as string)).status).toBe(200);
    expect((await check(token)).status).toBe(401);
    expect(await eventsOf(userId)).toContainEqual(expect.objectContaining({ event: 'password.changed', address: '192.0.2.7' })); // prettier-ignore
  });

  test('ends the browsers that a phone let in, too, and leaves the phone', async () => {
    const handset = await phone(server.url);
    later(() => handset.close());
    const paired = await pair(server.url, handset);
    const { userId } = (await check(paired)).body as { userId: string };
    const email = anEmail();
    await server.app.get(Accounts).setLogin(await accountOf(userId), { email }, async () => ({ passwordHash: await server.app.get(Passwords).hash(PASSWORD, '192.0.2.1') })); // prettier-ignore
    const signedIn = (await login({ email, password: PASSWORD })).body as { token: string };
    await change(userId, 'a new password');
    for (const ended of [signedIn.token, paired]) expect((await check(ended)).status).toBe(401);
    expect((await check(handset.deviceToken)).status).toBe(200);
  });

  test('that is too short changes nothing; an account without a login has none to change', async () => {
    const { userId, token } = await anAccount();
    await expect(change(userId, 'short')).rejects.toMatchObject({ code: 'bad_request' });
    expect((await check(token)).status).toBe(200);
    const handset = await phone(server.url);
    later(() => handset.close());
    const mine = (await check(handset.deviceToken)).body as { userId: string };
    await expect(change(mine.userId, 'a new password')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('leaves nothing of the refresh tokens', async () => {
    const { userId, deviceId } = await anAccount();
    const token = [Buffer.from(randomUUID()), userId, deviceId, randomUUID()];
    await query(server.database.url, `INSERT INTO refresh_tokens (token_hash, account_id, device_id, family, generation, expires_at) VALUES ($1, $2, $3, $4, 0, now() + interval '1 day')`, token); // prettier-ignore
    await change(userId, 'a new password');
    expect(await query(server.database.url, 'SELECT 1 FROM refresh_tokens WHERE account_id = $1', [userId])).toEqual(
      [],
    );
  });
});

test('a token from signing in opens the change log and a socket that follows it', async () => {
  const { token } = await anAccount({ name: 'Laptop' });
  const { status, body } = await call(server.url, '/api/changes', { token });
  expect(status).toBe(200);
  expect(body.changes).toMatchObject([{ kind: 'device', row: { name: 'Laptop' } }]);
  const following = follower(server.url, token);
  later(() => following.close());
  expect(await following.next('changes')).toMatchObject({ changes: [{ kind: 'device' }] });
});

test('the same email in two realms is two people, each in a database of its own', async () => {
  const other = await createTestDatabase();
  later(other.drop);
  const at = await aServer({
    realms: [
      { slug: 'default', name: 'Pairline', registration: 'open' },
      { slug: 'clinic', name: 'Clinic', registration: 'open', databaseUrl: other.url },
    ],
  });
  const signIn = at.app.get(SignIn);
  const email = anEmail();
  const here = await signIn.register('default', { email }, PASSWORD, { address: '192.0.2.1' });
  const there = await signIn.register('clinic', { email }, 'another password', { address: '192.0.2.1' });
  expect((await signIn.withPassword('clinic', { email }, 'another password', '192.0.2.1')).account.id).toBe(there.id);
  await expect(signIn.withPassword('clinic', { email }, PASSWORD, '192.0.2.1')).rejects.toMatchObject({ code: 'wrong_credentials' }); // prettier-ignore
  expect((await login({ email, password: PASSWORD }, at.url)).body.userId).toBe(here.id);
  expect((await login({ email, password: 'another password' }, at.url)).status).toBe(401);
  expect(await query(other.url, 'SELECT account_id FROM logins')).toEqual([{ account_id: there.id }]);
  expect(await query(at.database.url, 'SELECT account_id FROM logins')).toEqual([{ account_id: here.id }]);
});

test('nothing that a person typed is in the database or the log as it was typed', async () => {
  const logged: string[] = [];
  const log = createLog({ logLevel: 'trace' }, { write: (line: string) => void logged.push(line) });
  const at = await aServer({ log });
  const secrets = Object.fromEntries(['mailbox', 'pseudo', 'password', 'device', 'kind', 'meta', 'pubkey'].map((what) => [what, randomBytes(9).toString('hex')])); // prettier-ignore
  const email = `${secrets.mailbox}@example.org`;
  const deviceInfo = { deviceId: 'd1', name: secrets.device, type: secrets.kind, meta: secrets.meta };
  const body = { email, pseudo: secrets.pseudo, public_key: secrets.pubkey, password: secrets.password, deviceInfo };
  const { userId } = (await register(body, at.url)).body as { userId: string };
  await login({ email, password: `${secrets.password}x` }, at.url);
  await login({ pseudo: secrets.pseudo, password: secrets.password, deviceInfo }, at.url);
  await eventsUntil(userId, 'session.refused', 1, at);
  const tables = ['accounts', 'logins', 'codes', 'account_events', 'devices', 'realms'];
  const rows = [];
  for (const table of tables) rows.push(...(await query(at.database.url, `SELECT * FROM ${table}`)));
  expect(rows.length).toBeGreaterThan(5);
  const kept = rows.flatMap((row) => Object.values(row)).map((value) => Buffer.isBuffer(value) ? `${value.toString('latin1')} ${value.toString('hex')}` : String(value)).join('\n') + logged.join('\n'); // prettier-ignore
  for (const secret of Object.values(secrets)) {
    expect(kept).not.toContain(secret);
    expect(kept).not.toContain(Buffer.from(secret).toString('hex'));
  }
  expect(kept).toContain('$argon2id$');
  expect(kept).not.toContain('127.0.0.1');
});
