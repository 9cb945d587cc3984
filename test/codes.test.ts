import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { AccountKeys } from '../src/changes/account-keys.js';
import { createLog } from '../src/log.js';
import { AccountEvents } from '../src/sessions/account-events.js';
import { Accounts } from '../src/sessions/accounts.service.js';
import { Codes } from '../src/accounts/codes.service.js';
import { call, type Reply } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { MailServer } from './support/smtp.js';

const argon2 = { memoryKib: 8, passes: 1, lanes: 1 };
const unlimited = { wrongSignInsPerMinute: 0, wrongSignInsPerQuarterHour: 0, registrationsPerHour: 0, wrongTokensPerMinute: 0 }; // prettier-ignore
const mailFrom = 'pairline@example.org';
const pairline = { slug: 'default', name: 'Pairline', registration: 'open' } as const;

let mail: MailServer;
let server: TestServer;
beforeAll(async () => {
  mail = await MailServer.start();
  server = await TestServer.start({ argon2, smtpUrl: mail.url(), mailFrom, limits: unlimited });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  await mail.stop();
});

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start({ argon2, smtpUrl: mail.url(), mailFrom, ...options });
  later(() => started.stop());
  return started;
}

const anEmail = () => `ann-${randomUUID()}@example.org`;
const ask = (email: unknown, url = server.url): Promise<Reply> =>
  call(url, '/api/auth/request-otp', { body: { email } });
const verify = (email: unknown, otp: unknown, url = server.url, address?: string): Promise<Reply> =>
  call(url, '/api/auth/verify-otp', {
    body: { email, otp },
    headers: address === undefined ? {} : { 'X-Forwarded-For': address },
  });
const check = (token: string, url = server.url) => call(url, '/api/auth/check', { token });

/** Codes that are wrong for sure. */
const wrong = (code: string, n = 1) => String((Number(code) + n) % 1_000_000).padStart(6, '0');

async function aCode(email: string, url = server.url): Promise<string> {
  const before = mail.mails.filter(({ to }) => to.includes(email)).length;
  expect((await ask(email, url)).status).toBe(200);
  return mail.codeFor(email, before + 1);
}

async function eventsUntil(id: string, event: string, count: number): Promise<unknown[]> {
  const deadline = Date.now() + 15_000;
  const account = (await server.app.get(AccountKeys).find(id))!;
  for (;;) {
    const found = (await server.app.get(AccountEvents).list(account, 100)).filter((each) => each.event === event);
    if (found.length >= count) return found;
    if (Date.now() > deadline) throw new Error(`${event} was noted ${found.length} times`);
  }
}

describe('a code', () => {
  test('goes to the email, and signs in a device of a new account', async () => {
    const email = anEmail();
    const asked = await ask(email);
    expect([asked.status, asked.body]).toEqual([200, { message: 'If this email can sign in here, a code is on its way' }]); // prettier-ignore
    const { status, body } = await verify(email, await mail.codeFor(email));
    expect(status).toBe(200);
    expect(body).toMatchObject({ message: 'Signed in', token: expect.any(String), userId: expect.any(String), deviceId: expect.any(String), email }); // prettier-ignore
    expect((await check(body.token)).body).toMatchObject({ user_id: body.userId, email });
  });

  test('brings the owner back to the account, by a password made elsewhere too, and names the device', async () => {
    const email = anEmail();
    const made = await call(server.url, '/api/auth/register', { body: { email, password: 'correct horse' } });
    const code = await aCode(email.toUpperCase().replace('EXAMPLE.ORG', 'example.org').toLowerCase());
    const deviceInfo = { deviceId: 'laptop', name: 'Laptop' };
    const { body } = await call(server.url, '/api/auth/verify-otp', { body: { email: ` ${email.toUpperCase()}`, otp: ` ${code} `, deviceInfo } }); // prettier-ignore
    expect(body).toMatchObject({ userId: made.body.userId, deviceId: 'laptop', email });
    const devices = (await call(server.url, '/api/devices', { token: body.token as string })).body.devices;
    expect(devices).toContainEqual(expect.objectContaining({ id: 'laptop', name: 'Laptop' }));
  });

  test('ends what came before it, the first time that somebody shows an email to be theirs', async () => {
    const email = anEmail();
    const name = `Ann ${randomUUID()}`;
    // Anybody can register it.
    const body = { email, password: 'correct horse' };
    const { token, userId } = (await call(server.url, '/api/auth/register', { body })).body as { token: string; userId: string }; // prettier-ignore
    await call(server.url, '/api/account/name', { token, method: 'PUT', body: { name, currentPassword: body.password } }); // prettier-ignore
    const { apiKey } = (await call(server.url, '/api/keys', { token, body: { name: 'k' } })).body as { apiKey: string };
    const device = [Buffer.from(randomUUID()), userId, 'client', randomUUID()];
    await query(server.database.url, `INSERT INTO refresh_tokens (token_hash, account_id, device_id, family, generation, expires_at) VALUES ($1, $2, $3, $4, 0, now() + interval '1 day')`, device); // prettier-ignore
    expect((await call(server.url, '/api/changes', { token: apiKey })).status).toBe(200);

    const owner = (await verify(email, await aCode(email))).body as { token: string; userId: string };
    expect(owner.userId).toBe(userId);
    expect((await check(token)).status).toBe(401);
    expect((await call(server.url, '/api/changes', { token: apiKey })).status).toBe(401);
    for (const by of [{ email }, { pseudo: name }])
      expect((await call(server.url, '/api/auth/login', { body: { ...by, password: body.password } })).status).toBe(401); // prettier-ignore
    expect(await query(server.database.url, 'SELECT 1 FROM refresh_tokens WHERE account_id = $1', [userId])).toEqual([]); // prettier-ignore
    expect(await eventsUntil(userId, 'email.proven', 1)).toMatchObject([{ address: '127.0.0.1' }]);

    // From then on it is theirs: what they set stays, and so does whoever is signed in.
    const password = 'battery staple';
    const set = await call(server.url, '/api/account/password', { token: owner.token, method: 'PUT', body: { password } }); // prettier-ignore
    expect((await verify(email, await aCode(email))).status).toBe(200);
    expect((await check(set.body.token as string)).status).toBe(200);
    expect((await call(server.url, '/api/auth/login', { body: { email, password } })).status).toBe(200);
    expect(await eventsUntil(userId, 'email.proven', 1)).toHaveLength(1);
  });

  test('leaves sessions and keys of an account that was made by one', async () => {
    const email = anEmail();
    const { token } = (await verify(email, await aCode(email))).body as { token: string };
    const { apiKey } = (await call(server.url, '/api/keys', { token, body: { name: 'k' } })).body as { apiKey: string };
    expect((await verify(email, await aCode(email))).status).toBe(200);
    expect((await check(token)).status).toBe(200);
    expect((await call(server.url, '/api/changes', { token: apiKey })).status).toBe(200);
  });

  test('is good once', async () => {
    const email = anEmail();
    const code = await aCode(email);
    expect((await verify(email, code)).status).toBe(200);
    const again = await verify(email, code);
    expect([again.status, again.body.code, again.body.message]).toEqual([400, 'wrong_code', 'Wrong or expired code']);
  });

  test('used twenty times at once gives one session and one account', async () => {
    const email = anEmail();
    const code = await aCode(email);
    const replies = await Promise.all(Array.from({ length: 20 }, () => verify(email, code)));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
    const { userId } = replies.find(({ status }) => status === 200)!.body as { userId: string };
    const devices = await query(server.database.url, 'SELECT 1 FROM devices WHERE account_id = $1', [userId]);
    expect(devices).toHaveLength(1);
  });

  test('used from twenty addresses at once gives one session', async () => {
    const at = await aServer({ trustProxy: 1, limits: unlimited });
    const email = anEmail();
    const code = await aCode(email, at.url);
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) => verify(email, code, at.url, `192.0.2.${n}`)),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 19 }, () => 400)]);
  });

  test('takes the place of the one before', async () => {
    const email = anEmail();
    const first = await aCode(email);
    const second = await aCode(email);
    if (first !== second) expect((await verify(email, first)).status).toBe(400);
    expect((await verify(email, second)).status).toBe(200);
  });

  test('is over after OTP_EXPIRATION_MINUTES', async () => {
    const email = anEmail();
    const code = await aCode(email);
    const [{ left }] = (await query(server.database.url, `SELECT max(expires_at) - now() AS left FROM codes`)) as [{ left: { minutes: number } }]; // prettier-ignore
    expect(left.minutes).toBe(14);
    await query(server.database.url, `UPDATE codes SET expires_at = now() - interval '1 second'`);
    expect((await verify(email, code)).body.code).toBe('wrong_code');
    expect((await verify(email, await aCode(email))).status).toBe(200);
  });

  test('of one email or purpose is none for another', async () => {
    const [email, other] = [anEmail(), anEmail()];
    const code = await aCode(email);
    expect((await verify(other, code)).status).toBe(400);
    const redeem = server.app.get(Codes).redeem('default', email, 'password', code, '192.0.2.1');
    await expect(redeem).rejects.toMatchObject({ code: 'wrong_code' });
    expect((await verify(email, code)).status).toBe(200);
  });

  test.each(['', '12345', '1234567', 'abcdef', '١٢٣٤٥٦', '0x1234', '12 345', '1e3456', '\0\0\0\0\0\0'])(
    '%j is none, and takes no try',
    async (otp) => {
      const email = anEmail();
      const code = await aCode(email);
      for (let n = 0; n < 6; n++) expect((await verify(email, otp)).status).toBe(400);
      expect((await verify(email, code)).status).toBe(200);
    },
  );

  test.each<[string, object]>([
    ['no email', {}],
    ['an email that is a number', { email: 5 }],
    ['an email that is none', { email: 'nobody' }],
    ['two emails', { email: 'a@example.org, b@example.org' }],
    ['an email that ends a header', { email: 'a@example.org\nBcc: b@example.org' }],
  ])('%s is a 400, and no mail', async (_what, body) => {
    const before = mail.tries;
    const { status, body: told } = await call(server.url, '/api/auth/request-otp', { body });
    expect([status, told.code]).toEqual([400, 'bad_request']);
    await aCode(anEmail());
    expect(mail.tries).toBe(before + 1);
  });

  test.each<[string, object]>([
    ['no code', { email: 'a@example.org' }],
    ['a code that is a number', { email: 'a@example.org', otp: 123456 }],
    ['no email', { otp: '123456' }],
  ])('%s to verify is a 400', async (_what, body) => {
    expect((await call(server.url, '/api/auth/verify-otp', { body })).status).toBe(400);
  });
});

describe('tries at a code', () => {
  test('are five an address: then that address waits, and the owner gets in from another', async () => {
    const at = await aServer({ trustProxy: 1 });
    const email = anEmail();
    const code = await aCode(email, at.url);
    for (let n = 1; n <= 5; n++) expect((await verify(email, wrong(code, n), at.url, '192.0.2.1')).status).toBe(400);
    for (const otp of [wrong(code), code]) {
      const { status, headers, body } = await verify(email, otp, at.url, '192.0.2.1');
      expect([status, body.code]).toEqual([429, 'rate_limited']);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect((await verify(email, code, at.url, '192.0.2.2')).status).toBe(200);
  });

  test('that an address has used up are there again for the next code', async () => {
    const at = await aServer({});
    const email = anEmail();
    const code = await aCode(email, at.url);
    for (let n = 1; n <= 5; n++) await verify(email, wrong(code, n), at.url);
    expect((await verify(email, code, at.url)).status).toBe(429);
    expect((await verify(email, await aCode(email, at.url), at.url)).status).toBe(200);
  });

  test('are twenty in all, however many addresses there are and however fast they come', async () => {
    const at = await aServer({ trustProxy: 1, limits: unlimited });
    const email = anEmail();
    const code = await aCode(email, at.url);
    const guesses = Array.from({ length: 40 }, (_, n) => verify(email, wrong(code, n + 1), at.url, `192.0.2.${n}`));
    for (const { status } of await Promise.all(guesses)) expect(status).toBe(400);
    const [row] = await query(at.database.url, 'SELECT tries_left FROM codes');
    expect(row).toEqual({ tries_left: 0 });
    expect((await verify(email, code, at.url, '192.0.2.99')).status).toBe(400);
    expect((await verify(email, await aCode(email, at.url), at.url, '192.0.2.99')).status).toBe(200);
  });

  test('that are no codes count as wrong sign-ins, and only what counted is noted', async () => {
    const at = await aServer({ limits: { wrongSignInsPerQuarterHour: 3 } });
    const email = anEmail();
    const account = await at.app.get(Accounts).create('default', { email });
    const statuses = [];
    for (let n = 0; n < 10; n++) statuses.push((await verify(email, 'no code', at.url)).status);
    expect(statuses).toEqual([400, 400, 400, ...Array.from({ length: 7 }, () => 429)]);
    await at.app.close(); // and what was to be noted is
    const noted = await query(at.database.url, `SELECT 1 FROM account_events WHERE event = 'code.refused' AND account_id = $1`, [account.id]); // prettier-ignore
    expect(noted).toHaveLength(3);
  });

  test('count as wrong sign-ins of an unknown email as of a known one', async () => {
    const at = await aServer({ limits: { wrongSignInsPerQuarterHour: 2 } });
    const known = anEmail();
    await call(at.url, '/api/auth/register', { body: { email: known, password: 'correct horse' } });
    for (const email of [known, anEmail()])
      for (const expected of [400, 400, 429]) expect((await verify(email, '123456', at.url)).status).toBe(expected);
  });
});

describe('asking', () => {
  test('past LIMIT_CODES_PER_HOUR answers the same, sends nothing, and the last code stays good', async () => {
    const at = await aServer({ limits: { codesPerHour: 2 } });
    const email = anEmail();
    await aCode(email, at.url);
    const code = await aCode(email, at.url);
    await query(at.database.url, `UPDATE codes SET expires_at = now() - interval '1 minute'`);
    for (let n = 0; n < 3; n++) {
      const { status, body } = await ask(email, at.url);
      expect([status, body.message]).toEqual([200, 'If this email can sign in here, a code is on its way']);
    }
    await aCode(anEmail(), at.url); // a mail behind those that did not come
    expect(mail.mails.filter(({ to }) => to.includes(email))).toHaveLength(2);
    expect((await verify(email, code, at.url)).status).toBe(200);
    // Nor does asking bring back one that was used.
    await ask(email, at.url);
    expect((await verify(email, code, at.url)).status).toBe(400);
  });

  test('past it brings a new code when strangers have used up all tries at the last, as often again', async () => {
    const at = await aServer({ trustProxy: 1, limits: { ...unlimited, codesPerHour: 1 } });
    const email = anEmail();
    const useUp = async (code: string) => {
      for (let n = 0; n < 20; n++) await verify(email, wrong(code, n + 1), at.url, `192.0.2.${n}`);
    };
    const first = await aCode(email, at.url);
    await ask(email, at.url);
    await useUp(first);
    const second = await aCode(email, at.url);
    expect(mail.mails.filter(({ to }) => to.includes(email))).toHaveLength(2);
    await useUp(second);
    await ask(email, at.url);
    await aCode(anEmail(), at.url); // a mail behind one that did not come
    expect(mail.mails.filter(({ to }) => to.includes(email))).toHaveLength(2);
  });

  test('for an email that one wants to add does not use up what its owner may ask for, until many do', async () => {
    const at = await aServer({ limits: { codesPerHour: 2 } });
    const email = anEmail();
    const codes = at.app.get(Codes);
    const asker = () => `email:${randomUUID()}` as const;
    const stranger = asker();
    for (let n = 0; n < 20; n++) await codes.send('default', email, stranger, '192.0.2.1');
    await mail.mailTo(email, 2); // mails that are under way together may overtake each other
    const owner = asker();
    await codes.send('default', email, owner, '192.0.2.2');
    await codes.redeem('default', email, owner, await mail.codeFor(email, 3), '192.0.2.2');
    for (let n = 0; n < 20; n++) await codes.send('default', email, asker(), '192.0.2.1');
    await mail.mailTo(email, 10);
    await aCode(anEmail(), at.url); // a mail behind those that did not come
    expect(mail.mails.filter(({ to }) => to.includes(email))).toHaveLength(10);
  });

  test('for codes to sign in does not use up those for a new password', async () => {
    const at = await aServer({ limits: { codesPerHour: 1 } });
    const email = anEmail();
    const made = await call(at.url, '/api/auth/register', { body: { email, password: 'correct horse' } });
    expect(made.status).toBe(201);
    await aCode(email, at.url);
    await at.app.get(Codes).send('default', email, 'password', '192.0.2.1');
    const second = await mail.mailTo(email, 2);
    expect(second.text).toMatch(/^Your code to set a new password at Pairline: \d{6}$/m);
  });

  test('answers a known and an unknown email alike, also where nobody new is taken; only the known gets a mail', async () => {
    const at = await aServer({ realms: [{ ...pairline, registration: 'closed' }] });
    const [known, unknown] = [anEmail(), anEmail()];
    await at.app.get(Accounts).create('default', { email: known });
    const told = [];
    for (const email of [unknown, known]) {
      const { status, body, headers } = await ask(email, at.url);
      told.push({ status, body, names: [...headers.keys()].sort() });
    }
    expect(told[0]).toEqual(told[1]);
    // Each left a code behind: what was done before the answer was the same.
    expect(await query(at.database.url, 'SELECT count(*)::int AS codes FROM codes')).toEqual([{ codes: 2 }]);
    await mail.mailTo(known);
    expect(mail.mails.filter(({ to }) => to.includes(unknown))).toEqual([]);
    expect((await verify(known, await mail.codeFor(known), at.url)).status).toBe(200);
  });

  test('for a new password sends a mail to known emails only', async () => {
    const [known, unknown] = [anEmail(), anEmail()];
    await server.app.get(Accounts).create('default', { email: known });
    const codes = server.app.get(Codes);
    for (const email of [unknown, known]) await codes.send('default', email, 'password', '192.0.2.1');
    await codes.redeem('default', known, 'password', await mail.codeFor(known), '192.0.2.1');
    expect(mail.mails.filter(({ to }) => to.includes(unknown))).toEqual([]);
  });

  test('for an email that is to be added to an account is bound to that account', async () => {
    const email = anEmail();
    const codes = server.app.get(Codes);
    const [mine, theirs] = [`email:${randomUUID()}`, `email:${randomUUID()}`] as const;
    await codes.send('default', email, mine, '192.0.2.1');
    const { text } = await mail.mailTo(email);
    expect(text).toContain('Your code to add this email to your account at Pairline');
    const code = await mail.codeFor(email);
    await expect(codes.redeem('default', email, theirs, code, '192.0.2.1')).rejects.toMatchObject({ code: 'wrong_code' }); // prettier-ignore
    await codes.redeem('default', email, mine, code, '192.0.2.1');
  });

  test('again and again is limited an address', async () => {
    const at = await aServer({ limits: { registrationsPerHour: 2 } });
    for (const expected of [200, 200, 429]) expect((await ask(anEmail(), at.url)).status).toBe(expected);
  });

  test('by look-alike letters sends to the mailbox whose account it is, not to the one that was typed', async () => {
    const email = anEmail();
    await server.app.get(Accounts).create('default', { email });
    expect((await ask(email.replace('ann', 'ａnn'))).status).toBe(200);
    expect((await mail.mailTo(email)).to).toEqual([email]);
  });

  test('is refused in production without SMTP_URL, which is said once at boot', async () => {
    const logged: string[] = [];
    const log = createLog({ logLevel: 'warn' }, { write: (line: string) => void logged.push(line) });
    const at = await aServer({ production: true, smtpUrl: undefined, mailFrom: undefined, log });
    const { status, body } = await ask(anEmail(), at.url);
    expect([status, body.code, body.message]).toEqual([503, 'mail_unavailable', 'This server sends no mails']);
    expect(await query(at.database.url, 'SELECT 1 FROM codes')).toEqual([]);
    expect(logged.filter((line) => line.includes('SMTP_URL is not set'))).toHaveLength(1);
  });
});

test('codes of two realms are two, and their mails come by the name of each', async () => {
  const other = await createTestDatabase();
  later(other.drop);
  const at = await aServer({
    realms: [pairline, { slug: 'clinic', name: 'Clinic & Co', registration: 'open', databaseUrl: other.url }],
  });
  const email = anEmail();
  const codes = at.app.get(Codes);
  await codes.send('clinic', email, 'sign-in', '192.0.2.1');
  const { headers, html } = await mail.mailTo(email);
  expect(headers.from).toBe('"Clinic & Co" <pairline@example.org>');
  expect(html).toContain('Clinic &amp; Co');
  const code = await mail.codeFor(email);
  await expect(codes.redeem('default', email, 'sign-in', code, '192.0.2.1')).rejects.toMatchObject({ code: 'wrong_code' }); // prettier-ignore
  expect(await query(at.database.url, 'SELECT 1 FROM codes')).toEqual([]);
  await codes.redeem('clinic', email, 'sign-in', code, '192.0.2.1');
  await expect(codes.send('nowhere', email, 'sign-in', '192.0.2.1')).rejects.toMatchObject({ code: 'realm_unknown' });
});

test('codes that were sent and refused are noted for the owner, with the address', async () => {
  const email = anEmail();
  const { userId } = (await call(server.url, '/api/auth/register', { body: { email, password: 'correct horse' } })).body as { userId: string }; // prettier-ignore
  const code = await aCode(email);
  await verify(email, wrong(code));
  expect(await eventsUntil(userId, 'code.sent', 1)).toMatchObject([{ address: '127.0.0.1' }]);
  expect(await eventsUntil(userId, 'code.refused', 1)).toMatchObject([{ address: '127.0.0.1' }]);
});

test('neither code nor email is in the database or the log', async () => {
  const logged: string[] = [];
  const log = createLog({ logLevel: 'trace' }, { write: (line: string) => void logged.push(line) });
  const at = await aServer({ log });
  const mailbox = randomBytes(9).toString('hex');
  const email = `${mailbox}@example.org`;
  const first = await aCode(email, at.url);
  await verify(email, wrong(first), at.url);
  const signedIn = await verify(email, first, at.url);
  expect(signedIn.status).toBe(200);
  const second = await aCode(email, at.url);
  const rows = [];
  for (const table of ['accounts', 'logins', 'codes', 'account_events', 'devices', 'realms'])
    rows.push(...(await query(at.database.url, `SELECT * FROM ${table}`)));
  expect(rows.length).toBeGreaterThan(4);
  const texts = rows.flatMap((row) => Object.values(row)).map((value) => Buffer.isBuffer(value) ? `${value.toString('latin1')} ${value.toString('hex')}` : String(value)).join('\n'); // prettier-ignore
  for (const secret of [mailbox, Buffer.from(mailbox).toString('hex')]) expect(texts + logged.join('\n')).not.toContain(secret); // prettier-ignore
  // Six digits stand in any long hex by chance: as text, and in the log as a word.
  const words = rows.flatMap((row) => Object.values(row)).filter((value) => typeof value === 'string');
  for (const code of [first, second]) {
    expect(words.filter((word) => word.includes(code) && !/^[0-9a-f-]{36}$/.test(word))).toEqual([]);
    expect(logged.filter((line) => line.includes(`"${code}"`) || line.includes(` ${code}`))).toEqual([]);
  }
});
