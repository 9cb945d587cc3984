import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { AccountEvents } from '../src/sessions/account-events.js';
import { Accounts } from '../src/sessions/accounts.service.js';
import { Devices } from '../src/sessions/devices.service.js';
import { Tokens } from '../src/sessions/tokens.js';
import { call, Client, pair, phone } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { untilFigure } from './support/metrics.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { EventStream } from './support/views.js';

const limits = { wrongTokensPerMinute: 0, registrationsPerHour: 0, qrCodesPerMinute: 0 };
let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits });
});
afterEach(cleanUp);
afterAll(() => server.stop());

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start(options);
  later(() => started.stop());
  return started;
}

/** A person that signed in. */
async function aPerson({ app }: TestServer = server, realm = 'default') {
  const account = await app.get(Accounts).create(realm, { email: `${randomUUID()}@example.org` });
  const until = new Date(Date.now() + 3_600_000);
  const { session, generation } = await app.get(Devices).signIn(account, { name: 'Laptop' }, until);
  return { account, token: app.get(Tokens).sign(session, generation) };
}

const create = (token: string, body: object = {}, url = server.url) => call(url, '/api/keys', { token, body: { name: 'Backup', ...body } }); // prettier-ignore
const keysOf = async (token: string, url = server.url) => (await call(url, '/api/keys', { token })).body.keys;
const revoke = (token: string, id: string, url = server.url) => call(url, `/api/keys/${id}`, { token, method: 'DELETE' }); // prettier-ignore
const sync = (token: string, url = server.url) => call(url, '/api/sync', { token, body: {} });
const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);

test('a key is told once, and listed without itself', async () => {
  const { token } = await aPerson();
  const made = await create(token);
  expect(made.status).toBe(201);
  const { apiKey, ...view } = made.body;
  expect(view).toEqual({
    id: expect.any(String),
    name: 'Backup',
    scopes: ['sync', 'changes'],
    createdAt: ISO,
    lastUsedAt: null,
    expiresAt: null,
  });
  expect(apiKey).toMatch(/^plk_[\w-]{43}$/);
  const listed = await call(server.url, '/api/keys', { token });
  expect([listed.status, listed.body]).toEqual([200, { keys: [view] }]);
});

test('a key opens what its scopes name, and says when it was used', async () => {
  const { token } = await aPerson();
  const [all, syncs, reads] = await Promise.all(
    [undefined, ['sync'], ['changes']].map(async (scopes) => (await create(token, { scopes })).body.apiKey as string),
  );
  const paths = ['/api/changes', '/api/snapshot'];
  const status = async (key: string) => [
    (await sync(key)).status,
    ...(await Promise.all(paths.map(async (path) => (await call(server.url, path, { token: key })).status))),
  ];
  expect([await status(all!), await status(syncs!), await status(reads!)]).toEqual([
    [200, 200, 200],
    [200, 403, 403],
    [403, 200, 200],
  ]);
  expect((await sync(reads!)).body).toMatchObject({ success: false, code: 'scope_missing' });
  const stream = await EventStream.open(server.url, reads!);
  expect(stream.response.status).toBe(200);
  stream.close();
  // When it was used is written beside the request.
  while ((await keysOf(token)).some(({ lastUsedAt }: { lastUsedAt: string | null }) => lastUsedAt === null));
  expect(await keysOf(token)).toMatchObject([{ lastUsedAt: ISO }, { lastUsedAt: ISO }, { lastUsedAt: ISO }]);
});

test('a key manages neither keys nor devices, and opens no socket', async () => {
  const { token } = await aPerson();
  const { apiKey, id } = (await create(token)).body;
  const device = (await call(server.url, '/api/devices', { token })).body.devices[0].id;
  const refused = await Promise.all([
    create(apiKey),
    call(server.url, '/api/keys', { token: apiKey }),
    revoke(apiKey, id),
    call(server.url, '/api/devices', { token: apiKey }),
    call(server.url, `/api/devices/${device}`, { token: apiKey, method: 'DELETE' }),
  ]);
  expect(refused.map(({ status, body }) => [status, body.code])).toEqual(refused.map(() => [403, 'scope_missing']));
  expect(await keysOf(token)).toHaveLength(1);
  const socket = new Client(server.url, { auth: { token: apiKey } });
  later(() => socket.close());
  expect(await socket.next('connect_error')).toMatchObject({ data: { code: expect.any(String) } });
});

test('a revoked key is no good any more, and what it had open ends', async () => {
  const { token } = await aPerson();
  const { apiKey, id } = (await create(token)).body;
  const other = (await create(token, { name: 'Other' })).body.apiKey;
  const stream = await EventStream.open(server.url, apiKey);
  await stream.until(() => stream.comments.length + stream.events.length > 0);
  const { cursor } = (await call(server.url, '/api/changes', { token: apiKey })).body;
  const poll = call(server.url, `/api/changes?after=${cursor}&wait=60`, { token: apiKey });
  await untilFigure(server.url, 'pairline_long_polls{what="changes"}', 1);

  const done = await revoke(token, id);
  expect([done.status, done.body]).toEqual([200, { success: true }]);
  await stream.until(() => stream.ended);
  expect(stream.events.at(-1)).toMatchObject({ event: 'error', data: { code: 'device_revoked' } });
  expect((await poll).body).toMatchObject({ code: 'device_revoked' });
  const refused = await sync(apiKey);
  expect([refused.status, refused.body.code]).toEqual([401, 'authentication_failed']);
  expect((await sync(other)).status).toBe(200);
  expect((await keysOf(token)).map(({ name }: { name: string }) => name)).toEqual(['Other']);
});

test('a key is revoked once, and only by its own account; an id that is none is not found', async () => {
  const [{ token }, stranger] = [await aPerson(), await aPerson()];
  const { apiKey, id } = (await create(token)).body;
  for (const wrong of [randomUUID(), 'no-uuid', '%F0%9F%98%80', '..%2F', id.slice(1)]) {
    const reply = await revoke(token, wrong);
    expect([wrong, reply.status, reply.body.code]).toEqual([wrong, 404, 'not_found']);
  }
  expect((await revoke(stranger.token, id)).status).toBe(404);
  expect((await sync(apiKey)).status).toBe(200);
  const replies = await Promise.all([1, 2, 3].map(() => revoke(token, id)));
  expect(replies.map(({ status }) => status).sort()).toEqual([200, 404, 404]);
});

test('a key that is over is refused, and stays listed until it is revoked', async () => {
  const { token } = await aPerson();
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const { apiKey, id, ...view } = (await create(token, { expiresAt })).body;
  expect(view).toMatchObject({ expiresAt });
  expect((await sync(apiKey)).status).toBe(200);
  await query(server.database.url, `UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = $1`, [id]);
  // One that has not looked at the key yet: a server trusts what it has just looked up.
  const refused = await sync(apiKey, (await aServer({ database: server.database })).url);
  expect([refused.status, refused.body.code]).toEqual([401, 'authentication_failed']);
  expect(await keysOf(token)).toMatchObject([{ id }]);
  expect((await revoke(token, id)).status).toBe(200);
});

test.each([
  ['no name', { name: undefined }],
  ['an empty name', { name: '' }],
  ['a name that is no text', { name: 5 }],
  ['a name of 201 characters', { name: 'x'.repeat(201) }],
  ['a scope that there is not', { scopes: ['sync', 'admin'] }],
  ['no scope at all', { scopes: [] }],
  ['a scope twice', { scopes: ['sync', 'sync'] }],
  ['scopes that are no list', { scopes: 'sync' }],
  ['an expiry in the past', { expiresAt: '2020-01-01T00:00:00Z' }],
  ['an expiry that is no date', { expiresAt: 'tomorrow' }],
  ['an expiry beyond what can be stored', { expiresAt: '+200000-01-01T00:00:00Z' }],
  ['an expiry that is an object', { expiresAt: {} }],
])('%s: 400, and no key', async (_what, body) => {
  const { token } = await aPerson();
  const reply = await create(token, body);
  expect([reply.status, reply.body.code]).toEqual([400, 'bad_request']);
  expect(await keysOf(token)).toEqual([]);
});

test('nulls are as good as nothing, and a name may be anything', async () => {
  const { token } = await aPerson();
  const made = await create(token, { name: 'a\0 \ud800 😀', scopes: null, expiresAt: null });
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({ name: 'a\0 \ud800 😀', scopes: ['sync', 'changes'], expiresAt: null });
});

test('an account has so many keys and no more, however many are made at once', async () => {
  const small = await aServer({ limits: { ...limits, apiKeys: 3 } });
  const { token } = await aPerson(small);
  const replies = await Promise.all(Array.from({ length: 12 }, () => create(token, {}, small.url)));
  expect(replies.filter(({ status }) => status === 201)).toHaveLength(3);
  expect(new Set(replies.flatMap(({ status, body }) => (status === 201 ? [] : [`${status} ${body.code}`])))).toEqual(
    new Set(['409 keys_full']),
  );
  const [first] = await keysOf(token, small.url);
  await revoke(token, first.id, small.url);
  expect((await create(token, {}, small.url)).status).toBe(201);
});

test('wrong keys are counted by address', async () => {
  const strict = await aServer({ limits: { ...limits, wrongTokensPerMinute: 3 } });
  const wrong = () => sync(`plk_${'x'.repeat(43)}`, strict.url);
  expect((await Promise.all([1, 2, 3].map(wrong))).map(({ status }) => status)).toEqual([401, 401, 401]);
  expect((await wrong()).body).toMatchObject({ code: 'rate_limited', retryAfter: expect.any(Number) });
  const { token } = await aPerson(strict);
  const { apiKey } = (await create(token, {}, strict.url)).body;
  // Who has a right one is not locked out.
  expect((await sync(apiKey, strict.url)).status).toBe(200);
});

test('a key that is over is refused, and locks nobody out', async () => {
  const strict = await aServer({ limits: { ...limits, wrongTokensPerMinute: 3 } });
  const { token } = await aPerson(strict);
  const { apiKey, id } = (await create(token, { expiresAt: '2999-01-01T00:00:00Z' }, strict.url)).body;
  await query(strict.database.url, `UPDATE api_keys SET expires_at = now() WHERE id = $1`, [id]);
  for (let i = 0; i < 5; i++)
    expect(await sync(apiKey, strict.url)).toMatchObject({ status: 401, body: { code: 'authentication_failed' } });
  // What never was a key still counts, from the first one on.
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await sync(`plk_${'x'.repeat(43)}`, strict.url)).status);
  expect(statuses).toEqual([401, 401, 401, 429]);
});

test('keys are kept as a hash, their names sealed', async () => {
  const { token } = await aPerson();
  const { apiKey } = (await create(token, { name: 'Nobody reads this' })).body;
  const rows = await query(server.database.url, `SELECT row_to_json(k)::text, encode(content, 'escape') AS content FROM api_keys k`); // prettier-ignore
  const stored = JSON.stringify(rows);
  expect(stored).not.toContain('Nobody reads this');
  expect(stored).not.toContain(apiKey.slice(4));
  expect(stored).not.toContain(Buffer.from(apiKey).toString('hex'));
});

test('what happens to keys is in the account’s events', async () => {
  const { token, account } = await aPerson();
  const { id } = (await create(token)).body;
  await revoke(token, id);
  expect(await server.app.get(AccountEvents).list(account, 2)).toMatchObject([
    { event: 'key.revoked', id },
    { event: 'key.created', id, name: 'Backup' },
  ]);
});

test('a phone and the browsers it let in make keys for their account too', async () => {
  const handset = await phone(server.url);
  later(() => handset.close());
  const token = await pair(server.url, handset);
  for (const device of [handset.deviceToken, token]) expect((await create(device)).status).toBe(201);
  expect(await keysOf(token)).toHaveLength(2);
});

test('a key of a realm with a database of its own is good for that account', async () => {
  const other = await createTestDatabase();
  later(() => other.drop());
  const open = { registration: 'open' as const };
  const realms = [
    { slug: 'default', name: 'Pairline', ...open },
    { slug: 'clinic', name: 'Clinic', ...open, databaseUrl: other.url },
  ];
  const started = await aServer({ limits, realms });
  const { token } = await aPerson(started, 'clinic');
  const made = await create(token, {}, started.url);
  expect(made.status).toBe(201);
  const { apiKey, id } = made.body;
  const changes = await call(started.url, '/api/changes', { token: apiKey });
  expect([changes.status, changes.body.changes]).toMatchObject([200, [{ kind: 'device' }]]);
  expect((await revoke(token, id, started.url)).status).toBe(200);
  expect((await call(started.url, '/api/changes', { token: apiKey })).status).toBe(401);
});
