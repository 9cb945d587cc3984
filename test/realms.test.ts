import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { RealmSettings } from '../src/env.js';
import { call, generateQr, phone, waitPairing, type Reply } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { jsonTexts } from './support/nasty.js';
import { createTestDatabase, type TestDatabase } from './support/postgres.js';
import { TestServer } from './support/server.js';

// What belongs to one realm is nothing to another, whether they share a database or not.

let server: TestServer;
let own: TestDatabase;
const OPEN = { registration: 'open' as const };

beforeAll(async () => {
  own = await createTestDatabase();
  const realms: RealmSettings[] = [
    { slug: 'default', name: 'Pairline', ...OPEN },
    { slug: 'clinic', name: 'Clinic', ...OPEN, databaseUrl: own.url },
    { slug: 'lab', name: 'Lab', ...OPEN, databaseUrl: own.url },
    { slug: 'school', name: 'School', ...OPEN },
    { slug: 'staff', name: 'Staff', registration: 'closed' },
  ];
  server = await TestServer.start({
    realms,
    argon2: { memoryKib: 8, passes: 1, lanes: 1 },
    limits: { wrongTokensPerMinute: 0, wrongSignInsPerMinute: 0, wrongSignInsPerQuarterHour: 0 },
  });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  await own.drop();
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> =>
  call(server.url, path, { body, headers });
const basic = (email: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`,
});

interface Member {
  email: string;
  password: string;
  clientId: string;
}
const aMember = (fields: Partial<Member> = {}): Member & { name: string } => ({
  name: 'Ann',
  email: `${randomUUID()}@example.org`,
  password: `pw-${randomUUID()}`,
  clientId: randomUUID(),
  ...fields,
});
const register = (realm: string, member: object) => post(`/register/${realm}`, member);
const login = (realm: string, { email, password, clientId }: Member) =>
  post(`/login/${realm}`, { clientId }, basic(email, password));
const accountsIn = async (url: string, realm: string) =>
  (await query(url, 'SELECT id FROM accounts WHERE realm = $1', [realm])).map(({ id }) => id as string);

const ROUTES = ['register/:realm', 'unregister/:realm', 'login/:realm', 'login/:realm/refreshToken', 'password/:realm/forgotten', 'password/:realm/change']; // prettier-ignore

describe.each(ROUTES)('POST /%s', (route) => {
  test.each(['nowhere', 'Clinic', 'CLINIC', 'DEFAULT', 'clinic%20', '__proto__', 'constructor', 'a%00b'])(
    'a realm that is not there is a 404, whatever the body: %s',
    async (realm) => {
      const path = `/${route.replace(':realm', realm)}`;
      for (const body of [{}, aMember(), [], { email: 5 }]) {
        const reply = await post(path, body, basic('ann@example.org', 'wrong'));
        expect([reply.status, reply.body.code]).toEqual([404, 'realm_unknown']);
      }
    },
  );

  test('a body that is none of it is refused in the one form of errors', async () => {
    const path = server.url + `/${route.replace(':realm', 'clinic')}`;
    for (const body of jsonTexts.filter(({ length }) => length < 100_000)) {
      const headers = { 'Content-Type': 'application/json', ...basic('ann@example.org', 'wrong') };
      const response = await fetch(path, { method: 'POST', headers, body });
      const told = (await response.json()) as object;
      const refused = [body.slice(0, 80), response.status >= 400 && response.status < 500, told];
      expect(refused).toEqual([body.slice(0, 80), true, expect.objectContaining({ success: false })]);
    }
  });

  test('is a route of its own and nothing else', async () => {
    const path = `/${route.replace(':realm', 'clinic')}`;
    expect(await call(server.url, path)).toMatchObject({ status: 404, body: { code: 'route_not_found' } });
    expect((await post(`/${route.split('/')[0]}`, {})).status).toBe(404);
  });
});

test('the pages at the root stay what they are', async () => {
  expect(await call(server.url, '/')).toMatchObject({ status: 200, body: { success: true } });
  expect(await call(server.url, '/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  expect((await call(server.url, '/docs/json')).status).toBe(200);
  expect((await call(server.url, '/', { headers: { Accept: 'text/html' } })).headers.get('content-type')).toContain('text/html'); // prettier-ignore
});

test("a realm's rows are in its own database, and nowhere else", async () => {
  const member = aMember();
  const { body } = await register('clinic', member);
  const { id } = body.user;
  await login('clinic', member);
  const tables = ['accounts', 'logins', 'devices', 'refresh_tokens', 'account_events'];
  for (const table of tables) {
    const column = table === 'accounts' ? 'id' : 'account_id';
    const count = async (url: string) => (await query(url, `SELECT FROM ${table} WHERE ${column} = $1`, [id])).length;
    expect([table, (await count(own.url)) > 0, await count(server.database.url)]).toEqual([table, true, 0]);
  }
  const slugs = async (url: string) => (await query(url, 'SELECT slug FROM realms')).map(({ slug }) => slug as string);
  expect(await slugs(own.url)).toContain('clinic');
  expect(await slugs(server.database.url)).not.toContain('clinic');
});

test("a realm without a database of its own lives in the server's", async () => {
  const { body } = await register('school', aMember());
  expect(await accountsIn(server.database.url, 'school')).toContain(body.user.id);
  expect(await accountsIn(own.url, 'school')).toEqual([]);
});

test.each([
  ['in two databases', 'clinic', 'default'],
  ['in one database of their own', 'clinic', 'lab'],
  ["in the server's database", 'school', 'default'],
])('the same email in two realms is two people: %s', async (_where, one, other) => {
  const member = aMember();
  const first = await register(one, { ...member, name: 'Ann of one', newRegistration: true });
  expect(first.status).toBe(200);
  // Her password there is nothing here.
  expect(await login(other, member)).toMatchObject({ status: 403, body: { code: 'sign_in_refused' } });
  expect(await post(`/unregister/${other}`, member)).toMatchObject({ status: 400, body: { code: 'email_unknown' } });
  const namesake = { ...member, name: 'Ann of other', password: 'another password', newRegistration: true };
  const second = await register(other, namesake);
  expect(second.status).toBe(200);
  expect(second.body.user.id).not.toBe(first.body.user.id);
  expect((await login(one, member)).status).toBe(200);
  expect((await login(other, namesake)).status).toBe(200);
  expect((await login(other, member)).status).toBe(403);
});

test.each([
  ['in two databases', 'clinic', 'default'],
  ['in one database', 'clinic', 'lab'],
  ["in the server's database", 'school', 'default'],
])('a token of one realm is none in another: %s', async (_where, one, other) => {
  const member = aMember();
  await register(one, member);
  const { body } = await login(one, member);
  const bearer = { Authorization: `Bearer ${body.access_token}` };

  // The refresh token is refused there, and still good here.
  const refreshToken = body.refresh_token;
  const refused = await post(`/login/${other}/refreshToken`, { refreshToken });
  expect([refused.status, refused.body.code]).toEqual([403, 'refresh_refused']);

  const removed = await post(`/unregister/${other}`, {}, bearer);
  expect([removed.status, removed.body.code]).toEqual([403, 'token_expired']);

  for (const realm of [one, other]) {
    const pull = { clientId: member.clientId, lastSync: 0, changes: [] };
    const pulled = await post(`/pull/${realm}`, pull, bearer);
    expect([realm, pulled.status]).toEqual([realm, realm === one ? 200 : 403]);
  }

  expect((await post(`/login/${one}/refreshToken`, { refreshToken })).status).toBe(200);
  // A used one presented in another realm ends nothing.
  expect((await post(`/login/${other}/refreshToken`, { refreshToken })).status).toBe(403);
  expect((await post(`/unregister/${one}`, {}, bearer)).status).toBe(200);
});

test('a token of a realm that is missing from REALMS is refused, and nobody is told that their device was removed', async () => {
  const member = aMember();
  await register('school', member);
  const token = (await login('school', member)).body.access_token as string;
  const slip = await TestServer.start({ database: server.database, realms: server.env.realms.slice(0, 1) });
  later(() => slip.stop());
  expect(await call(slip.url, '/api/devices', { token })).toMatchObject({ status: 401, body: { code: 'session_expired' } }); // prettier-ignore
  expect((await call(server.url, '/api/devices', { token })).status).toBe(200);
});

test('a realm by invitation takes who has it', async () => {
  const realms = [server.env.realms[0]!, { slug: 'club', name: 'Club', registration: 'invite', inviteToken: 'the invitation' } as const]; // prettier-ignore
  const at = await TestServer.start({ realms, registration: undefined, argon2: server.env.argon2 });
  later(() => at.stop());
  for (const inviteToken of [undefined, null, '', 'another one'])
    expect(await call(at.url, '/register/club', { body: { ...aMember(), inviteToken } })).toMatchObject({ status: 403, body: { code: 'invite_required' } }); // prettier-ignore
  expect((await call(at.url, '/register/club', { body: { ...aMember(), inviteToken: 'the invitation' } })).status).toBe(200); // prettier-ignore
});

test('a client of another realm lets no browser in by a QR code, and the code stays good', async () => {
  const member = aMember();
  await register('clinic', member);
  const { access_token: token } = (await login('clinic', member)).body as { access_token: string };
  const { qrData, token: code } = await generateQr(server.url);
  expect(await call(server.url, '/api/pairing/claim', { token, body: { qrData } })).toMatchObject({ status: 403, body: { code: 'wrong_role' } }); // prettier-ignore
  const handset = await phone(server.url);
  later(() => handset.close());
  expect(await handset.send('mobile:scan-qr', { qrData, deviceId: handset.deviceId })).toMatchObject({ ok: true });
  expect((await waitPairing(server.url, code)).status).toBe(200);
});

test('a closed realm takes nobody new', async () => {
  const refused = await register('staff', aMember());
  expect([refused.status, refused.body.code]).toEqual([403, 'registration_closed']);
  expect(await accountsIn(server.database.url, 'staff')).toEqual([]);
});
