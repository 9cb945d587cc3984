import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { AccountKeys } from '../src/changes/account-keys.js';
import { call, pair, phone, type Reply } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { byDelta, bySnapshot, View, type Page } from './support/views.js';

/* Whom a person blocks: rows of their own account, and nobody else's business. */

const argon2 = { memoryKib: 8, passes: 1, lanes: 1 };
const limits = { wrongSignInsPerMinute: 0, registrationsPerHour: 0, qrCodesPerMinute: 0, wrongTokensPerMinute: 0 };
const PASSWORD = 'correct horse battery';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ argon2, limits });
});
afterEach(cleanUp);
afterAll(() => server.stop());

async function aServer(options: ServerOptions = {}): Promise<TestServer> {
  const started = await TestServer.start({ argon2, limits, ...options });
  later(() => started.stop());
  return started;
}

interface Person {
  token: string;
  user_id: string;
}

async function aPerson(at = server): Promise<Person> {
  const public_key = randomBytes(32).toString('base64');
  const body = { pseudo: `ann-${randomUUID()}`, public_key, password: PASSWORD };
  return (await call(at.url, '/api/auth/register', { body })).body as Person;
}

const block = ({ token }: Person, id: string, at = server): Promise<Reply> =>
  call(at.url, `/api/blocks/${id}`, { token, method: 'PUT' });
const unblock = ({ token }: Person, id: string, at = server): Promise<Reply> =>
  call(at.url, `/api/blocks/${id}`, { token, method: 'DELETE' });
const list = async ({ token }: Person, at = server) => (await call(at.url, '/api/blocks', { token })).body;
const listed = (...people: Person[]) => ({ blocks: people.map(({ user_id }) => ({ user_id })) });
const changes = async ({ token }: Person, after = 0) =>
  (await call<Page>(server.url, `/api/changes?after=${after}`, { token })).body;
const remove = ({ token }: Person) =>
  call(server.url, '/api/account', { token, method: 'DELETE', body: { confirm: true, password: PASSWORD } });

describe('blocking', () => {
  test('lists whom one blocks, the first one first, until they are let through again', async () => {
    const [ann, bea, cleo] = [await aPerson(), await aPerson(), await aPerson()];
    expect(await list(ann)).toEqual({ blocks: [] });
    for (const { user_id } of [bea, cleo]) expect(await block(ann, user_id)).toMatchObject({ status: 200, body: { success: true } }); // prettier-ignore
    expect(await list(ann)).toEqual(listed(bea, cleo));
    expect(await unblock(ann, bea.user_id)).toMatchObject({ status: 200, body: { success: true } });
    expect(await list(ann)).toEqual(listed(cleo));
    await block(ann, bea.user_id);
    expect(await list(ann)).toEqual(listed(cleo, bea));
    for (const other of [bea, cleo]) expect(await list(other)).toEqual({ blocks: [] });
  });

  test('is a row of the one who blocks, in changes and snapshot alike', async () => {
    const [ann, bea, cleo] = [await aPerson(), await aPerson(), await aPerson()];
    const [mine, theirs] = [await changes(ann), await changes(bea)];
    const view = await byDelta(server.url, ann.token, new View());
    await block(ann, bea.user_id);
    await block(ann, cleo.user_id);
    const { changes: put } = await changes(ann, mine.cursor);
    expect(put).toEqual(
      [bea, cleo].map(({ user_id: id }) => ({ seq: expect.any(Number), kind: 'block', id, op: 'put', at: expect.any(Number), row: { id } })), // prettier-ignore
    );
    await byDelta(server.url, ann.token, view);
    await unblock(ann, bea.user_id);
    await byDelta(server.url, ann.token, view);
    expect(view.of('block')).toEqual([{ id: cleo.user_id }]);
    expect(view.lines()).toEqual((await bySnapshot(server.url, ann.token)).lines());
    // Nothing of it is the other one's to see.
    expect(await changes(bea, theirs.cursor)).toMatchObject({ changes: [], cursor: theirs.cursor });
  });

  test('twice, and letting through who is not blocked, changes nothing', async () => {
    const [ann, bea] = [await aPerson(), await aPerson()];
    await unblock(ann, bea.user_id);
    await block(ann, bea.user_id);
    const { cursor } = await changes(ann);
    for (const id of [bea.user_id, bea.user_id.toUpperCase()]) expect((await block(ann, id)).status).toBe(200);
    expect(await list(ann)).toEqual(listed(bea));
    expect((await changes(ann, cursor)).changes).toEqual([]);
    expect((await unblock(ann, bea.user_id.toUpperCase())).status).toBe(200);
    const after = (await changes(ann)).cursor;
    for (const id of [bea.user_id, randomUUID()]) expect((await unblock(ann, id)).status).toBe(200);
    expect((await changes(ann, after)).changes).toEqual([]);
  });

  test('ten times at once is one row', async () => {
    const [ann, bea] = [await aPerson(), await aPerson()];
    const { cursor } = await changes(ann);
    const replies = await Promise.all(Array.from({ length: 10 }, () => block(ann, bea.user_id)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect((await changes(ann, cursor)).changes).toHaveLength(1);
  });

  test('is over with the account of the one who blocks, and stays when the other one goes', async () => {
    const [ann, bea, cleo] = [await aPerson(), await aPerson(), await aPerson()];
    await block(ann, bea.user_id);
    await block(bea, cleo.user_id);
    await remove(bea);
    expect(await query(server.database.url, 'SELECT FROM blocks WHERE account_id = $1', [bea.user_id])).toEqual([]);
    expect(await list(ann)).toEqual(listed(bea));
    expect((await unblock(ann, bea.user_id)).status).toBe(200);
    expect(await list(ann)).toEqual({ blocks: [] });
    expect((await block(ann, bea.user_id)).body.code).toBe('person_not_found');
  });

  test('lasts over a restart', async () => {
    const database = await createTestDatabase();
    later(() => database.drop());
    const first = await TestServer.start({ argon2, limits, database });
    const [ann, bea] = [await aPerson(first), await aPerson(first)];
    await block(ann, bea.user_id, first);
    await first.stop();
    expect(await list(ann, await aServer({ database }))).toEqual(listed(bea));
  });
});

describe('who cannot be blocked', () => {
  test('nobody: an unknown id, what is no id, the account of a phone alone', async () => {
    const ann = await aPerson();
    const handset = await phone(server.url);
    later(() => handset.close());
    const { body } = await call(server.url, '/api/account', { token: handset.deviceToken });
    for (const id of [randomUUID(), body.userId as string, 'ann', '1', '%27%20OR%201=1', 'null', 'x'.repeat(4000)]) {
      const { status, body: error } = await block(ann, id);
      expect([id, status, error.code]).toEqual([id, 404, 'person_not_found']);
    }
    expect((await block(ann, 'a%00b')).status).toBe(400);
    expect((await unblock(ann, 'ann')).status).toBe(404);
    expect(await list(ann)).toEqual({ blocks: [] });
  });

  test('oneself', async () => {
    const ann = await aPerson();
    expect(await block(ann, ann.user_id)).toMatchObject({ status: 400, body: { code: 'bad_request' } });
    expect(await list(ann)).toEqual({ blocks: [] });
  });

  test('somebody of another realm', async () => {
    const realms = ['default', 'clinic'].map((slug) => ({ slug, name: slug, registration: 'open' as const }));
    const at = await aServer({ realms });
    const ann = await aPerson(at);
    const body = { email: 'cleo@example.org', password: PASSWORD, name: 'Cleo', clientId: 'c1', newRegistration: true };
    await call(at.url, '/register/clinic', { body });
    const [there] = await query(at.database.url, `SELECT account_id AS id FROM logins WHERE realm = 'clinic'`);
    expect((await block(ann, there!.id as string, at)).status).toBe(404);
  });

  test.each(['GET', 'PUT', 'DELETE'])('by %s of an API key or a stranger: anybody', async (method) => {
    const [ann, bea] = [await aPerson(), await aPerson()];
    const key = await call(server.url, '/api/keys', { token: ann.token, body: { name: 'Program' } });
    const path = method === 'GET' ? '/api/blocks' : `/api/blocks/${bea.user_id}`;
    expect((await call(server.url, path, { method })).status).toBe(401);
    expect((await call(server.url, path, { method, token: key.body.apiKey })).body.code).toBe('scope_missing');
  });
});

test('a person whose account is joined to that of a phone blocks whom they did, and not themselves by either id', async () => {
  const [ann, bea] = [await aPerson(), await aPerson()];
  await block(ann, bea.user_id);
  const handset = await phone(server.url);
  later(() => handset.close());
  const paired = await pair(server.url, handset);
  const { body } = await call(server.url, '/api/account/join', { token: ann.token, body: { token: paired, currentPassword: PASSWORD } }); // prettier-ignore
  expect(body).toMatchObject({ joined: true, userId: expect.not.stringMatching(ann.user_id) });
  expect(await list(ann)).toEqual(listed(bea));
  for (const id of [ann.user_id, body.userId]) expect((await block(ann, id)).status).toBe(400);
  // Nor is somebody who was joined unknown by the id they came with.
  expect((await block(bea, ann.user_id)).status).toBe(200);
  expect(await list(bea)).toEqual(listed(ann));
});

test('a row of a block holds nothing but who it is', async () => {
  const [ann, bea] = [await aPerson(), await aPerson()];
  await block(ann, bea.user_id);
  const account = (await server.app.get(AccountKeys).find(ann.user_id))!;
  const [row] = await query(server.database.url, 'SELECT * FROM blocks WHERE account_id = $1', [ann.user_id]);
  expect(account.open('block', bea.user_id, row!.content as Buffer)).toBe('');
  await unblock(ann, bea.user_id);
  const [gone] = await query(server.database.url, 'SELECT * FROM blocks WHERE account_id = $1', [ann.user_id]);
  expect(gone).toMatchObject({ deleted: true, content: null });
});
