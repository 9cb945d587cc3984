import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { memoryStore, type ClientError, type Store, type WebClient } from '@pairline/client';
import { AccountKeys } from '../src/changes/account-keys.js';
import type { RealmSettings } from '../src/env.js';
import { Tokens } from '../src/sessions/tokens.js';
import { Cutter, Middleman } from './support/client-between.js';
import { eager, inPhase, until, webAt } from './support/client-ends.js';
import { call } from './support/clients.js';
import { cleanUp, query } from './support/database.js';
import { createTestDatabase, type TestDatabase } from './support/postgres.js';
import { TestServer } from './support/server.js';
import { change, TableClient } from './support/table-client.js';

/* Records by the client library in another realm than `default`, with a database of its own (docs/client.md). */

let server: TestServer;
let clinic: TestDatabase;

beforeAll(async () => {
  clinic = await createTestDatabase();
  const OPEN = { registration: 'open' as const };
  const realms: RealmSettings[] = [
    { slug: 'default', name: 'Pairline', ...OPEN },
    { slug: 'clinic', name: 'Clinic', ...OPEN, databaseUrl: clinic.url },
    { slug: 'staff', name: 'Staff', registration: 'invite', inviteToken: 'come in', databaseUrl: clinic.url },
  ];
  server = await TestServer.start({ realms, argon2: { memoryKib: 8, passes: 1, lanes: 1 } });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  await clinic.drop();
});

const AS = { deviceName: 'A browser', remember: true };

function person(realm?: string) {
  return { email: `${randomUUID()}@example.org`, password: 'pass:wörd', ...AS, ...(realm === undefined ? {} : { realm }) }; // prettier-ignore
}

/** Somebody new in the clinic, live. */
async function aPatient({ url = server.url, store = memoryStore() } = {}) {
  const ann = person('clinic');
  const web = await webAt(url, { store });
  await web.register(ann);
  await inPhase(web, 'live');
  return { ann, web, store };
}

/** Resolves once a record is, in the eyes of a browser, what it should be. */
function record(web: WebClient, id: string, wanted: unknown): Promise<unknown> {
  const look = async () => JSON.stringify((await web.record(id))?.data) === JSON.stringify(wanted);
  return until(look, (again) => [web.on('records', again)], `${id}: ${JSON.stringify(wanted)}`);
}

function sessionOf(store: Store) {
  return store.read(async (tx) => (await tx.value('session'))!);
}

async function tablesOf(store: Store): Promise<TableClient> {
  const { token, deviceId } = await sessionOf(store);
  return TableClient.withToken(server.url, 'clinic', deviceId, token);
}

/** What a store has a token for that was good until a second ago: as after an hour. */
async function outlive(store: Store): Promise<string> {
  const session = await sessionOf(store);
  const account = (await server.app.get(AccountKeys).find(session.accountId, 'clinic'))!;
  const device = { account, kind: 'browser' as const, deviceId: session.deviceId, phoneId: '' };
  const token = server.app.get(Tokens).sign(device, 0, Date.now() - 1000);
  await store.write((tx) => tx.set('session', { ...session, token }));
  return token;
}

/** The refusal of something that is not to be had. */
function refusal(work: () => unknown): Promise<ClientError> {
  return (async () => work())().then(
    () => Promise.reject(new Error('It was done')),
    (error: ClientError) => error,
  );
}

test('a person registers in a realm and signs in on another device; records go both ways, live', async () => {
  const { ann, web: one, store } = await aPatient();
  const other = await webAt(server.url);
  await other.signIn(ann);
  await inPhase(other, 'live');
  const id = await one.putRecord('notes', { text: 'Milk' });
  await record(other, id, { text: 'Milk' });
  await other.putRecord('notes', { text: 'Bread' }, id);
  await record(one, id, { text: 'Bread' });
  expect(await one.records('notes')).toEqual([{ id, table: 'notes', data: { text: 'Bread' } }]);
  expect((await other.devices()).map(({ name, current }) => [name, current])).toEqual(
    expect.arrayContaining([
      ['A browser', true],
      ['A browser', false],
    ]),
  );

  // Clients without the library see the same rows, and are seen.
  const tables = await tablesOf(store);
  expect((await tables.pull()).data.map(({ rowguid, rowData }) => [rowguid, rowData])).toEqual([[id, { text: 'Bread' }]]); // prettier-ignore
  const guid = randomUUID();
  await tables.push(0, [change(guid, Date.now(), { text: 'Tea' })]);
  await record(other, guid, { text: 'Tea' });
  await other.deleteRecord(id);
  await record(one, id, undefined);
});

test('what is written in a realm is in its database alone, and the same email in default is somebody else', async () => {
  const { ann, web, store } = await aPatient();
  const namesake = { ...ann, realm: undefined };
  const stranger = await webAt(server.url);
  expect(await refusal(() => stranger.signIn(namesake))).toMatchObject({ code: 'wrong_credentials' });
  await stranger.register({ ...namesake, realm: 'default' });
  await inPhase(stranger, 'live');

  const id = await web.putRecord('notes', 'Milk');
  const tables = await tablesOf(store);
  await until(async () => (await tables.pull()).data.length === 1, (again) => [web.on('records', again), every(again)], 'the push'); // prettier-ignore
  const count = async (url: string) => (await query(url, 'SELECT FROM records WHERE id = $1', [id])).length;
  expect([await count(clinic.url), await count(server.database.url)]).toEqual([1, 0]);
  expect(await stranger.records('notes')).toEqual([]);
  await stranger.setValue('theme', 'dark');
  expect(await stranger.value('theme')).toBe('dark');
});

/** Looks again whenever the event loop is idle: nothing tells of a request. */
function every(again: () => void): () => void {
  const timer = setInterval(again, 20);
  return () => clearInterval(timer);
}

test('who cannot come in is told why in the server’s codes, and stays outside', async () => {
  const ann = person('clinic');
  const web = await webAt(server.url);
  const code = async (work: () => unknown) => (await refusal(work)).code;
  expect(await code(() => web.signIn(ann))).toBe('email_unknown');
  await (await webAt(server.url)).register(ann);
  expect(await code(() => web.register(ann))).toBe('email_taken');
  expect(await code(() => web.signIn({ ...ann, password: 'another one' }))).toBe('sign_in_refused');
  for (const realm of ['nowhere', 'Clinic', '../api'])
    expect([realm, await code(() => web.signIn({ ...ann, realm }))]).toEqual([realm, 'realm_unknown']);
  const { email, password } = ann;
  expect(await code(() => web.register({ name: 'ann', password, realm: 'clinic', ...AS }))).toBe('bad_request');
  expect(await code(() => web.signInByCode({ email, code: '123456', realm: 'clinic', ...AS }))).toBe('bad_request');
  const bea = person('staff');
  expect(await code(() => web.register(bea))).toBe('invite_required');
  expect(web.state.phase).toBe('signed-out');
  await web.register({ ...bea, inviteToken: 'come in' });
  await inPhase(web, 'live');
});

test('a token whose time is over is refreshed, by one of several tabs, and nobody has to sign in again', async () => {
  const between = await Middleman.start(server.url);
  const { web, store } = await aPatient({ url: between.url });
  const id = await web.putRecord('notes', 'Milk');
  await record(web, id, 'Milk');
  await web.close();
  const over = await outlive(store);
  const { refreshToken } = (await sessionOf(store)).realm!;

  const tabs = await Promise.all([webAt(between.url, { store }), webAt(between.url, { store })]);
  await Promise.all(tabs.map((tab) => inPhase(tab, 'live')));
  expect(between.sent.filter((sent) => sent.includes('/login/clinic/refreshToken'))).toHaveLength(1);
  const now = await sessionOf(store);
  expect(now.token).not.toBe(over);
  expect(now.realm!.refreshToken).not.toBe(refreshToken);
  await tabs[0].putRecord('notes', 'Bread', id);
  await record(tabs[1], id, 'Bread');
});

test('a client that is closed while it refreshes keeps the next token', async () => {
  const between = await Middleman.start(server.url);
  const { web, store } = await aPatient({ url: between.url });
  await web.close();
  await outlive(store);
  const { refreshToken } = (await sessionOf(store)).realm!;
  const again = await webAt(between.url, { store });
  const closed = new Promise<void>((resolve) => {
    between.lies = {
      reply: (path) => {
        if (path.endsWith('/refreshToken')) void again.close().then(resolve);
      },
    };
  });
  await closed;
  expect((await sessionOf(store)).realm!.refreshToken).not.toBe(refreshToken);
});

test('a push that finds its token over is pushed again with the next one, and stands once', async () => {
  const between = await Middleman.start(server.url);
  const { web, store } = await aPatient({ url: between.url });
  const before = await sessionOf(store);
  let refused = 0;
  between.lies = {
    reply: (path) =>
      path === '/push/clinic' && refused++ === 0
        ? { success: false, code: 'token_expired', message: 'x', error: 'x', requestId: 'x' }
        : undefined,
  };
  const id = await web.putRecord('notes', 'Milk');
  await until(() => refused === 2, (again) => [every(again)], 'a second push'); // prettier-ignore
  expect((await sessionOf(store)).realm!.refreshToken).not.toBe(before.realm!.refreshToken);
  expect((await (await tablesOf(store)).pull()).data.map(({ rowguid }) => rowguid)).toEqual([id]);
  expect(web.state.phase).toBe('live');
});

test('when somebody else used the refresh token, the session is over; what was written is kept, and goes after signing in', async () => {
  const line = await Cutter.start(server.url);
  const { ann, web, store } = await aPatient({ url: line.url });
  line.close();
  await inPhase(web, 'offline');
  const id = await web.putRecord('notes', 'Milk');
  await web.close();
  const { refreshToken } = (await sessionOf(store)).realm!;
  expect((await call(server.url, '/login/clinic/refreshToken', { body: { refreshToken } })).status).toBe(200);
  await outlive(store);

  line.open();
  const again = await webAt(line.url, { store });
  await inPhase(again, 'signed-out');
  expect(again.state.reason).toBe('session_expired');
  await again.signIn(ann);
  await inPhase(again, 'live');
  const tables = await tablesOf(store);
  await until(async () => (await tables.pull()).data[0]?.rowguid === id, (look) => [every(look)], 'the record on the server'); // prettier-ignore
  expect(await again.records('notes')).toEqual([{ id, table: 'notes', data: 'Milk' }]);
});

test('a record that is older than the one that stands in the realm gives way to it', async () => {
  const line = await Cutter.start(server.url);
  const { ann, web: one, store } = await aPatient();
  const other = eager(await webAt(line.url));
  await other.signIn(ann);
  const id = await one.putRecord('notes', 'First');
  await record(other, id, 'First');
  line.close();
  await inPhase(other, 'offline');
  await other.putRecord('notes', 'Older', id);
  await one.putRecord('notes', 'Newer', id);
  const tables = await tablesOf(store);
  await until(async () => (await tables.pull()).data[0]?.rowData === 'Newer', (again) => [every(again)], 'the newer record'); // prettier-ignore
  line.open();
  other.reconnect();
  await record(other, id, 'Newer');
  expect((await one.record(id))?.data).toBe('Newer');
});

test('what only the realm default has is refused with wrong_role, and nothing of it is done', async () => {
  const { web, store } = await aPatient();
  const message = {
    id: 'a',
    conversationId: '1',
    number: '',
    text: '',
    timestamp: 0,
    type: 'sent' as const,
    read: true,
  };
  const DEFAULT_ONLY: Record<string, () => unknown> = {
    send: () => web.send({ number: '+12025550101' }, 'Hello'),
    retry: () => web.retry('a'),
    deleteMessage: () => web.deleteMessage('a'),
    markRead: () => web.markRead('1'),
    setFlags: () => web.setFlags('1', { pinned: true }),
    saveDraft: () => web.saveDraft('1', 'Hello'),
    conversations: () => web.conversations(),
    conversation: () => web.conversation('1'),
    messages: () => web.messages('1'),
    around: () => web.around('a', 10),
    after: () => web.after(message, 10),
    texts: () => web.texts(),
    message: () => web.message('a'),
    contacts: () => web.contacts(),
    value: () => web.value('theme'),
    values: () => web.values(),
    setValue: () => web.setValue('theme', 'dark'),
    deleteValue: () => web.deleteValue('theme'),
    files: () => web.files(),
    chats: () => web.chats(),
    startOver: () => web.startOver(),
    approve: () => web.approve('a code'),
    addLogin: () => web.addLogin({ name: 'ann', password: 'a long password' }),
  };
  for (const [name, work] of Object.entries(DEFAULT_ONLY)) {
    const { code, message } = await refusal(work);
    expect([name, code, message]).toEqual([name, 'wrong_role', expect.stringContaining('realm clinic')]);
  }
  expect(await store.read((tx) => tx.all('outbox'))).toEqual([]);
  expect(web.state).toMatchObject({ phase: 'live', encrypted: false });
});

test('a device of a realm is renamed and removed; the removed one drops its records and is out', async () => {
  const { ann, web: one } = await aPatient();
  const other = await webAt(server.url);
  await other.signIn(ann);
  await inPhase(other, 'live');
  const id = await one.putRecord('notes', 'Milk');
  await record(other, id, 'Milk');
  const device = (await one.devices()).find(({ current }) => !current)!;
  await one.renameDevice(device.id, 'Tablet');
  expect((await other.devices()).find(({ current }) => current)!.name).toBe('Tablet');
  await one.removeDevice(device.id);
  await inPhase(other, 'signed-out');
  expect(other.state.reason).toBe('removed');
  expect(await other.record(id)).toBeUndefined();
  expect(await one.devices()).toHaveLength(1);
});

test('signing out of a realm clears what is here, with a token whose time is over, too', async () => {
  const { ann, web, store } = await aPatient();
  const other = await webAt(server.url);
  await other.signIn(ann);
  await inPhase(other, 'live');
  await web.close();
  await outlive(store);
  const again = await webAt(server.url, { store });
  await again.signOut();
  expect(await other.devices()).toHaveLength(1);
  expect(await store.read((tx) => tx.value('session'))).toBeUndefined();
  // And what was refused there is there in default.
  await again.register({ ...ann, realm: undefined });
  await again.setValue('theme', 'dark');
  expect(await again.value('theme')).toBe('dark');
});
