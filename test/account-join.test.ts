import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { AccountKeys } from '../src/changes/account-keys.js';
import { Adoption } from '../src/changes/adoption.js';
import { Changes } from '../src/changes/changes.js';
import { argon2, limits, PASSWORD, claimsOf, kept, pairAt, personAt, type Person } from './support/accounts.js';
import { browser, call, Client, follower, message, phone, type Reply } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { bySnapshot, keep, type View, type Page } from './support/views.js';

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

const join = (
  mine: string,
  theirs: string,
  url = server.url,
  more: object = { currentPassword: PASSWORD },
): Promise<Reply> =>
  // prettier-ignore
  call(url, '/api/account/join', { token: mine, body: { token: theirs, ...more } });
const changes = (token: string, after: number, url = server.url) => call<Page>(url, `/api/changes?after=${after}`, { token }); // prettier-ignore
const view = (token: string, url = server.url) => call(url, '/api/account', { token });
const sync = (token: string, client_changes: object, url = server.url) =>
  call(url, '/api/sync', { token, body: { last_sync_timestamp: 0, client_changes } });
const conversation = (id: string, name: string) => ({ id, name, updated_at: Date.now(), is_deleted: 0 });
const note = (id: string, conversation_id: string, content: string) => ({ id, conversation_id, content, updated_at: Date.now(), is_deleted: 0 }); // prettier-ignore

const aPerson = (url = server.url) => personAt(url);
const aPair = (url = server.url) => pairAt(url);

/** One record of an app's table, pushed by the person's own device. */
async function push({ token, deviceId }: Person, rowguid: string, rowData: object, url = server.url): Promise<void> {
  const change = { operation: 'I', rowguid, tablename: 'tasks', clientdate: new Date().toISOString(), rowData };
  const { status } = await call(url, '/push/default', { token, body: { clientId: deviceId, lastSync: 0, changes: [change] } }); // prettier-ignore
  expect(status).toBe(200);
}

/** A person with states, a record and notes of delta sync, and a phone with messages and a state. */
async function both(url = server.url) {
  const [person, phoneOf] = [await aPerson(url), await aPair(url)];
  const web = kept(new Client(url, { auth: { token: person.token } }));
  await web.send('state:put', { key: 'theme', value: 'dark' });
  const guid = randomUUID();
  await push(person, guid, { title: 'Milk' }, url);
  await sync(person.token, { conversations: [conversation('notes', 'My notes')], messages: [note('n1', 'notes', 'Remember')] }, url); // prettier-ignore
  const text = message({ body: 'From the phone' });
  await phoneOf.handset.send('mobile:messages', { messages: [text] });
  await phoneOf.handset.send('state:put', { key: 'ringtone', value: 3 });
  return { person, phoneOf, web, guid, text };
}

/** What a view holds besides devices, as `kind:id` lines. */
const idsOf = (of: View) => [...of.rows.keys()].filter((key) => !key.startsWith('device:')).sort();

async function rowsOf(account: string, url = server.database.url): Promise<Record<string, number>> {
  const tables = ['logins', 'devices', 'refresh_tokens', 'api_keys', 'account_events', 'pairings', 'conversations', 'messages', 'states', 'records', 'pending_pulls']; // prettier-ignore
  const counts = tables.map((table) => `(SELECT count(*)::int FROM ${table} WHERE account_id = $1) AS ${table}`);
  const [row] = await query(url, `SELECT ${counts.join(', ')}`, [account]);
  return Object.fromEntries(Object.entries(row as Record<string, number>).filter(([, count]) => count > 0));
}

describe('joining a person’s account and a phone’s', () => {
  test('puts every row of both under the account that has the phone, whichever of the two asks', async () => {
    for (const byPerson of [true, false]) {
      const { person, phoneOf, guid, text } = await both();
      const [mine, theirs] = byPerson ? [person.token, phoneOf.token] : [phoneOf.handset.deviceToken, person.token];
      expect((await join(mine, theirs)).body).toEqual({ userId: phoneOf.userId, joined: true });
      const seen = await bySnapshot(server.url, person.token);
      expect(idsOf(seen)).toEqual(
        ['conversation:notes', 'conversation:thread-1', 'message:n1', `message:${text.id}`, `record:${guid}`, 'state:ringtone', 'state:theme'].sort(), // prettier-ignore
      );
      expect(seen.rows.get(`message:${text.id}`)).toMatchObject({ body: 'From the phone' });
      expect(seen.rows.get('message:n1')).toMatchObject({ body: 'Remember', conversationId: 'notes' });
      expect(seen.rows.get('conversation:notes')).toMatchObject({ contactName: 'My notes' });
      expect(seen.rows.get('state:theme')).toMatchObject({ value: 'dark' });
      expect(seen.rows.get(`record:${guid}`)).toMatchObject({ data: { title: 'Milk' } });
      expect((await view(person.token)).body).toMatchObject({ userId: phoneOf.userId, email: person.email, devices: 3, phones: 1 }); // prettier-ignore
      expect(await rowsOf(person.userId)).toEqual({});
    }
  });

  test('lets every token, key and login of both go on, into the one account', async () => {
    const { person, phoneOf } = await both();
    const { apiKey } = (await call(server.url, '/api/keys', { token: person.token, body: { name: 'Backup' } })).body;
    await join(person.token, phoneOf.token);
    const shared = (await bySnapshot(server.url, phoneOf.token)).lines();
    for (const token of [person.token, phoneOf.handset.deviceToken, apiKey])
      expect((await bySnapshot(server.url, token)).lines()).toEqual(shared);
    const login = await call(server.url, '/api/auth/login', { body: { email: person.email, password: PASSWORD } });
    expect(login.body).toMatchObject({ userId: phoneOf.userId });
    expect((await call(server.url, '/api/keys', { token: phoneOf.token })).body.keys).toMatchObject([{ name: 'Backup' }]); // prettier-ignore
    // And each can be ended by itself.
    await call(server.url, `/api/devices/${claimsOf(phoneOf.token).sid}`, { token: person.token, method: 'DELETE' });
    expect((await view(phoneOf.token)).body.code).toBe('device_revoked');
    expect((await view(person.token)).status).toBe(200);
  });

  test('a refresh token of before brings the next pair, for the one account', async () => {
    const phoneOf = await aPair();
    const email = `ann-${randomUUID()}@example.org`;
    const clientId = randomUUID();
    await call(server.url, '/register/default', { body: { name: 'Ann', email, password: PASSWORD, clientId } });
    const headers = { Authorization: `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}` };
    const { body } = await call(server.url, '/login/default', { body: { clientId }, headers });
    await join(body.access_token, phoneOf.token);
    const next = await call(server.url, '/login/default/refreshToken', { body: { refreshToken: body.refresh_token } });
    expect(next.status).toBe(200);
    expect((await view(next.body.access_token)).body.userId).toBe(phoneOf.userId);
  });

  test('lets no cursor of before skip anything: it is refused, and a new one goes on', async () => {
    const { person, phoneOf } = await both();
    // One that is far ahead of the other.
    for (let n = 0; n < 30; n++) await phoneOf.handset.send('state:put', { key: `k${n}`, value: n });
    const cursors = await Promise.all([person.token, phoneOf.token].map(async (token) => (await changes(token, 0)).body.cursor)); // prettier-ignore
    await join(person.token, phoneOf.token);
    for (const cursor of cursors)
      for (const token of [person.token, phoneOf.token])
        expect(await changes(token, cursor)).toMatchObject({ status: 410, body: { code: 'cursor_expired' } });
    const seen = await bySnapshot(server.url, person.token);
    await phoneOf.handset.next('disconnect');
    const handset = kept(await phone(server.url, phoneOf.handset));
    await handset.send('state:put', { key: 'after', value: 1 });
    expect((await changes(person.token, seen.cursor)).body.changes).toMatchObject([{ id: 'after' }]);
  });

  test('ends what is open of both, to come again by itself with the token that it has', async () => {
    const { person, phoneOf, web, text } = await both();
    const paired = kept(await browser(server.url, phoneOf.token));
    const following = kept(follower(server.url, person.token));
    await following.connected();
    expect((await join(person.token, phoneOf.token)).status).toBe(200);
    for (const client of [web, paired, following, phoneOf.handset]) {
      // Not a disconnect by the server, after which Socket.IO clients stay away.
      expect(await client.next('disconnect')).toBe('transport close');
      expect(await client.next('error')).toMatchObject({ code: 'resume_required' });
    }
    const again = kept(await browser(server.url, person.token));
    expect((await again.next('messages:sync')).messages.map(({ id }: { id: string }) => id)).toContain(text.id);
  });

  test('a message that waited for a phone goes out by the one that came', async () => {
    const { person, phoneOf } = await both();
    const web = kept(await browser(server.url, person.token));
    await web.send('web:send-message', { phoneNumber: '+15550123', message: 'Hello', tempId: 'waited' });
    await join(person.token, phoneOf.token);
    await phoneOf.handset.next('disconnect');
    const handset = kept(await phone(server.url, phoneOf.handset));
    expect(await handset.next('send:message')).toMatchObject({ phoneNumber: '+15550123', message: 'Hello', tempId: 'waited' }); // prettier-ignore
    // Found by its number, of which the account that it came to keeps another hash.
    await handset.send('mobile:messages', { messages: [message({ phoneNumber: '+15550123', conversationId: 'thread-9' })] }); // prettier-ignore
    const [row] = await query(server.database.url, `SELECT number_index FROM conversations WHERE account_id = $1 AND id <> 'thread-9' AND number_index = (SELECT number_index FROM conversations WHERE account_id = $1 AND id = 'thread-9')`, [phoneOf.userId]); // prettier-ignore
    expect(row).toBeDefined();
  });

  test('keeps both audit lists as one, and says in it what happened', async () => {
    const { person, phoneOf } = await both();
    await join(person.token, phoneOf.token);
    const events = (await call(server.url, '/api/account/events', { token: phoneOf.token })).body.events;
    expect(events.map(({ event }: { event: string }) => event).sort()).toEqual(['account.created', 'account.created', 'accounts.joined', 'session.began', 'session.began']); // prettier-ignore
    expect(events).toContainEqual(expect.objectContaining({ event: 'session.began', name: 'Laptop' }));
  });

  test('again is harmless', async () => {
    const { person, phoneOf } = await both();
    await join(person.token, phoneOf.token);
    const before = (await bySnapshot(server.url, person.token)).lines();
    for (const [mine, theirs] of [
      [person.token, phoneOf.token],
      [phoneOf.token, person.token],
      [person.token, person.token],
    ] as const)
      // prettier-ignore
      expect(await join(mine, theirs)).toMatchObject({ status: 200, body: { userId: phoneOf.userId, joined: false } });
    expect((await bySnapshot(server.url, person.token)).lines()).toEqual(before);
  });

  test('asked for by both at once is done once', async () => {
    const { person, phoneOf } = await both();
    const replies = await Promise.all([join(person.token, phoneOf.token), join(phoneOf.token, person.token)]);
    expect(replies.filter(({ body }) => body.joined === true)).toHaveLength(1);
    for (const { status, body } of replies) expect(status === 200 || body.code === 'busy').toBe(true);
    expect(idsOf(await bySnapshot(server.url, person.token))).toHaveLength(7);
  });

  test('with an account, and that with a third, leads every token to the last one', async () => {
    const [first, second] = [await aPerson(), await aPair()];
    // A browser alone, whose phone was removed.
    const bare = await aPair();
    await call(server.url, `/api/devices/${bare.handset.deviceId}`, { token: bare.token, method: 'DELETE' });
    expect((await join(bare.token, first.token)).body).toMatchObject({ joined: true, userId: bare.userId });
    expect((await view(first.token)).body.userId).toBe(bare.userId);
    expect((await join(first.token, second.token)).body).toMatchObject({ joined: true, userId: second.userId });
    for (const token of [first.token, bare.token, second.token]) expect((await view(token)).body.userId).toBe(second.userId); // prettier-ignore
    expect(await rowsOf(first.userId)).toEqual({});
    expect(await rowsOf(bare.userId)).toEqual({});
    const deleted = await call(server.url, '/api/account', { token: bare.token, method: 'DELETE', body: { confirm: true, password: PASSWORD } }); // prettier-ignore
    expect(deleted.status).toBe(200);
    expect(await query(server.database.url, 'SELECT id FROM accounts WHERE id = ANY ($1)', [[first.userId, bare.userId, second.userId]])).toEqual([]); // prettier-ignore
  });
});

describe('rows of one id in both accounts', () => {
  test('of conversations and messages both stay, the one that comes under another id', async () => {
    const [person, phoneOf] = [await aPerson(), await aPair()];
    await sync(person.token, { conversations: [conversation('1', 'My notes')], messages: [note('1', '1', 'Mine'), note('2', '1', 'Mine too')] }); // prettier-ignore
    await phoneOf.handset.send('mobile:messages', { messages: [message({ id: '1', conversationId: '1', body: 'Theirs' })] }); // prettier-ignore
    await join(person.token, phoneOf.token);
    const other = `1~${person.userId.slice(0, 8)}`;
    const { rows } = await bySnapshot(server.url, person.token);
    expect(rows.get('message:1')).toMatchObject({ body: 'Theirs', conversationId: '1' });
    expect(rows.get(`message:${other}`)).toMatchObject({ body: 'Mine', conversationId: other });
    expect(rows.get('message:2')).toMatchObject({ body: 'Mine too', conversationId: other });
    expect(rows.get(`conversation:${other}`)).toMatchObject({ contactName: 'My notes' });
    expect(rows.get('conversation:1')).toMatchObject({ phoneNumber: '+15550100' });
  });

  test.each(['person', 'phone'] as const)('of states the newer stands: that of the %s', async (newer) => {
    const [person, phoneOf] = [await aPerson(), await aPair()];
    const web = kept(new Client(server.url, { auth: { token: person.token } }));
    const writers = newer === 'person' ? [phoneOf.handset, web] : [web, phoneOf.handset];
    for (const [n, writer] of writers.entries()) await writer.send('state:put', { key: 'k', value: n });
    // Deleted here, alive there: what lives stays.
    await web.send('state:put', { key: 'alive', value: 'theirs' });
    await phoneOf.handset.send('state:put', { key: 'alive', value: 'mine' });
    await (newer === 'person' ? web : phoneOf.handset).send('state:delete', { key: 'alive' });
    await join(person.token, phoneOf.token);
    expect((await bySnapshot(server.url, person.token)).of('state')).toEqual(
      expect.arrayContaining([
        { id: 'k', value: 1 },
        { id: 'alive', value: newer === 'person' ? 'mine' : 'theirs' },
      ]),
    );
    // And they are counted as what they are.
    const [counted] = await query(server.database.url, `SELECT state_keys, state_bytes::int, (SELECT count(*)::int FROM states WHERE account_id = $1 AND NOT deleted) AS keys, (SELECT sum(octet_length(content))::int FROM states WHERE account_id = $1) AS bytes FROM accounts WHERE id = $1`, [phoneOf.userId]); // prettier-ignore
    expect(counted).toMatchObject({ state_keys: 2, keys: 2, state_bytes: counted!.bytes });
  });

  test('of a device, its tokens of both accounts end: it signs in again', async () => {
    const deviceInfo = { deviceId: 'my-laptop', name: 'Laptop' };
    const phoneOf = await aPair();
    const body = { email: `ann-${randomUUID()}@example.org`, password: PASSWORD, deviceInfo };
    const person = (await call(server.url, '/api/auth/register', { body })).body as Person;
    // It has shown itself under the same id to the account of the phone.
    const query = { deviceInfo: JSON.stringify(deviceInfo) };
    const laptop = kept(new Client(server.url, { auth: { token: phoneOf.token }, query }));
    await laptop.connected();
    expect((await view(phoneOf.token)).body.devices).toBe(3);
    await join(phoneOf.token, person.token);
    expect((await view(phoneOf.token)).body.devices).toBe(3);
    expect((await view(person.token)).status).toBe(401);
    const again = (await call(server.url, '/api/auth/login', { body })).body as Person;
    expect(again).toMatchObject({ userId: phoneOf.userId, deviceId: 'my-laptop' });
    expect((await view(again.token)).status).toBe(200);
  });

  test('of a phone and a browser, the phone stays what it is', async () => {
    const phoneOf = await aPair();
    const deviceInfo = { deviceId: phoneOf.handset.deviceId, name: 'Laptop' };
    const body = { email: `ann-${randomUUID()}@example.org`, password: PASSWORD, deviceInfo };
    const person = (await call(server.url, '/api/auth/register', { body })).body as Person;
    expect(person.deviceId).toBe(phoneOf.handset.deviceId);
    await join(phoneOf.token, person.token);
    expect((await view(person.token)).status).toBe(401);
    expect((await view(phoneOf.handset.deviceToken)).body).toMatchObject({ phones: 1, devices: 2, email: body.email });
  });
});

describe('two accounts are not joined', () => {
  test('without the password of the one that has one, whichever of the two asks', async () => {
    const [person, phoneOf] = [await aPerson(), await aPair()];
    for (const [mine, theirs] of [
      [person.token, phoneOf.token],
      [phoneOf.token, person.token],
      [phoneOf.handset.deviceToken, person.token],
    ] as const)
      for (const more of [{}, { currentPassword: null }, { currentPassword: 'not the one' }])
        expect(await join(mine, theirs, server.url, more)).toMatchObject({ status: 401, body: { code: 'wrong_credentials' } }); // prettier-ignore
    expect((await view(person.token)).body.userId).toBe(person.userId);
    expect((await view(phoneOf.token)).body).not.toHaveProperty('email');
  });

  test('by more guesses at the password than signing in takes', async () => {
    const { url } = await aServer({ limits: { ...limits, wrongSignInsPerQuarterHour: 2 } });
    const [person, phoneOf] = [await aPerson(url), await aPair(url)];
    for (const status of [401, 401, 429])
      expect((await join(phoneOf.token, person.token, url, { currentPassword: 'not the one' })).status).toBe(status);
    expect(await join(phoneOf.token, person.token, url)).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
  });

  test('by a token that is none, or of an API key', async () => {
    const [person, phoneOf] = [await aPerson(), await aPair()];
    const { apiKey } = (await call(server.url, '/api/keys', { token: phoneOf.token, body: { name: 'k' } })).body;
    const forged = `${phoneOf.token.slice(0, -4)}AAAA`;
    for (const token of ['x', forged, apiKey, `${phoneOf.handset.deviceToken}x`])
      expect(await join(person.token, token)).toMatchObject({ status: 401, body: { code: 'authentication_failed' } });
    expect((await view(person.token)).body.userId).toBe(person.userId);
  });

  test('by a token that was revoked', async () => {
    const [person, phoneOf] = [await aPerson(), await aPair()];
    await call(server.url, `/api/devices/${claimsOf(phoneOf.token).sid}`, { token: phoneOf.token, method: 'DELETE' });
    expect((await join(person.token, phoneOf.token)).status).toBe(401);
  });

  test.each([
    ['each has a phone', async () => [(await aPair()).token, (await aPair()).token]],
    ['each has a login', async () => [(await aPerson()).token, (await aPerson()).token]],
    [
      'each has end-to-end encrypted contents, though one has lost its phone',
      async () => {
        const [one, other] = [await aPair(), await aPair()];
        await one.handset.send('state:put', { key: 'e2e/epoch/1', value: 'sealed' });
        await call(server.url, `/api/devices/${one.handset.deviceId}`, { token: one.token, method: 'DELETE' });
        return [one.token, other.token];
      },
    ],
  ] as const)('where %s', async (_what, accounts) => {
    const [mine, theirs] = (await accounts()) as [string, string];
    const { status, body } = await join(mine, theirs);
    expect([status, body.code]).toEqual([409, 'accounts_unjoinable']);
    expect(body.message).toMatch(/each has/);
    for (const token of [mine, theirs]) expect((await view(token)).body.userId).toBe(claimsOf(token).sub);
  });

  test('of different realms', async () => {
    const realms = ['default', 'clinic'].map((slug) => ({ slug, name: slug, registration: 'open' as const }));
    const { url } = await aServer({ realms });
    const phoneOf = await aPair(url);
    const [email, clientId] = ['ann@example.org', randomUUID()];
    await call(url, '/register/clinic', { body: { name: 'Ann', email, password: PASSWORD, clientId } });
    const headers = { Authorization: `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}` };
    const { body } = await call(url, '/login/clinic', { body: { clientId }, headers });
    expect(await join(phoneOf.token, body.access_token, url)).toMatchObject({ status: 409, body: { code: 'accounts_unjoinable' } }); // prettier-ignore
  });
});

describe('a join that is cut off', () => {
  test('goes on after a restart: nothing is lost, nothing is there twice', async () => {
    const database = await createTestDatabase();
    later(() => database.drop());
    const first = await TestServer.start({ database, argon2, limits });
    const { person, phoneOf } = await both(first.url);
    const notes = Array.from({ length: 900 }, (_, n) => note(`note-${n}`, 'notes', `Note ${n}`));
    await sync(person.token, { messages: notes }, first.url);
    const events = (await rowsOf(person.userId, database.url)).account_events;
    // The third piece finds the database gone, as the process would.
    const adoption = first.app.get(Adoption);
    const { move } = adoption;
    let pieces = 0;
    adoption.move = async (client, kind, ...accounts) => {
      if (kind === 'message' && ++pieces === 3) await client.query('SELECT pg_terminate_backend(pg_backend_pid())');
      return move.call(adoption, client, kind, ...accounts);
    };
    expect((await join(person.token, phoneOf.token, first.url)).body).toMatchObject({ joined: true });
    expect((await rowsOf(person.userId, database.url)).messages).toBe(901 - 400);
    await first.stop();

    const second = await aServer({ database });
    // Asked for again it goes on as well, and whoever is first has done it.
    expect((await join(person.token, phoneOf.token, second.url)).body).toMatchObject({ joined: false });
    expect(await rowsOf(person.userId, database.url)).toEqual({});
    const seen = await bySnapshot(second.url, person.token);
    expect(seen.of<{ id: string }>('message').filter(({ id }) => id.startsWith('note-'))).toHaveLength(900);
    expect(new Set(seen.of<{ body: string }>('message').map(({ body }) => body)).size).toBe(902);
    expect((await rowsOf(phoneOf.userId, database.url)).account_events).toBe(events! + 3);
  });

  test('shows what has come already, in order, to who follows meanwhile', async () => {
    const { person, phoneOf } = await both();
    const notes = Array.from({ length: 700 }, (_, n) => note(`note-${n}`, 'notes', `Note ${n}`));
    await sync(person.token, { messages: notes });
    const adoption = server.app.get(Adoption);
    const { move } = adoption;
    later(() => (adoption.move = move));
    const failures: unknown[] = [];
    let live: { view: View; client: Client } | undefined;
    adoption.move = async (client, kind, ...accounts) => {
      // Somebody who starts over in the middle of it.
      if (kind === 'message' && live === undefined) {
        const started = await bySnapshot(server.url, phoneOf.token);
        const socket = kept(follower(server.url, phoneOf.token, started.cursor));
        live = { view: keep(socket, started, failures), client: socket };
        await socket.connected();
      }
      return move.call(adoption, client, kind, ...accounts);
    };
    await join(person.token, phoneOf.token);
    await live!.client.until(() => live!.view.of('message').length === 702, 'all messages');
    expect(failures).toEqual([]);
    expect(live!.view.lines()).toEqual((await bySnapshot(server.url, person.token)).lines());
  });

  test('takes no write under the old account: it is answered as missing, and leaves no row', async () => {
    const { person, phoneOf } = await both();
    const old = (await server.app.get(AccountKeys).find(person.userId))!;
    await join(person.token, phoneOf.token);
    const at = Date.now();
    const row = { conversationId: 'c', type: 'received', status: null, read: false, timestamp: at, phoneMessageId: null, origin: null, validUntil: null, content: { phoneNumber: '1', body: 'late' }, sealed: old.seal('message', 'late', '{}') }; // prettier-ignore
    const submit = server.app.get(Changes);
    expect(await submit.submit([{ account: old, kind: 'message', id: 'late', op: 'put', row, at, bytes: 64 }])).toEqual([{ result: 'missing' }]); // prettier-ignore
    expect(await submit.submit([{ account: old, kind: 'state', id: 'late', op: 'put', row: { json: '1', ifAbsent: false }, at, bytes: 64 }])).toEqual([{ result: 'missing' }]); // prettier-ignore
    expect(await rowsOf(person.userId)).toEqual({});
    expect((await server.app.get(AccountKeys).find(person.userId))!.id).toBe(phoneOf.userId);
  });
});
