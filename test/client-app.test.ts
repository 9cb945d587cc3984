import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type Store, type WebClient } from '@pairline/client';
import { Cutter, Middleman } from './support/client-between.js';
import { eager, household, inPhase, letIn, phoneAt, until, webAt } from './support/client-ends.js';
import { call } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { MailServer } from './support/smtp.js';
import { change, TableClient } from './support/table-client.js';

/* What apps keep in an account by the client library: signing in, values and records (docs/client.md). */

afterEach(cleanUp);

async function start(options?: ServerOptions): Promise<TestServer> {
  const server = await TestServer.start(options);
  later(() => server.stop());
  return server;
}

const AS = { deviceName: 'A browser', remember: true };

function person() {
  return { email: `${randomUUID()}@example.org`, password: 'a long password', ...AS };
}

/** Two browsers of one person, both live; the second by another address of the server where there is one. */
async function two(url: string, otherUrl = url): Promise<[WebClient, WebClient]> {
  const ann = person();
  const [one, other] = [await webAt(url), eager(await webAt(otherUrl))];
  await one.register(ann);
  await other.signIn(ann);
  for (const web of [one, other]) await inPhase(web, 'live');
  return [one, other];
}

/** Resolves once a browser shows what is looked for among values and records. */
function holds(web: WebClient, look: () => Promise<unknown>, wanted: unknown): Promise<unknown> {
  const text = JSON.stringify(wanted);
  return until(async () => JSON.stringify(await look()) === text, (again) => [web.on('values', again), web.on('records', again)], text ?? 'nothing'); // prettier-ignore
}

function value(web: WebClient, key: string, wanted: unknown): Promise<unknown> {
  return holds(web, () => web.value(key), wanted);
}

function record(web: WebClient, id: string, wanted: unknown): Promise<unknown> {
  return holds(web, async () => (await web.record(id))?.data, wanted);
}

/** A client of table sync that is the device of a browser. */
async function tablesOf(url: string, store: Store): Promise<TableClient> {
  const { token, deviceId } = (await store.read((tx) => tx.value('session')))!;
  return TableClient.withToken(url, 'default', deviceId, token);
}

function outbox(store: Store): Promise<number> {
  return store.read(async (tx) => (await tx.all('outbox')).length);
}

test('a person signs up and in by email, and by name; what does not fit is said in the server’s codes', async () => {
  const { url } = await start();
  const ann = person();
  const [one, other] = [await webAt(url), await webAt(url)];
  await expect(one.signIn(ann)).rejects.toMatchObject({ code: 'wrong_credentials' });
  expect(one.state.phase).toBe('signed-out');
  await one.register(ann);
  await expect(other.register(ann)).rejects.toMatchObject({ code: 'email_taken' });
  await other.signIn(ann);
  await inPhase(other, 'live');
  expect((await other.devices()).map(({ kind, name, current }) => [kind, name, current])).toEqual(
    expect.arrayContaining([
      ['browser', 'A browser', false],
      ['browser', 'A browser', true],
    ]),
  );
  expect(other.state.encrypted).toBe(false);

  const named = { name: randomUUID(), password: 'a long password', ...AS };
  await (await webAt(url)).register(named);
  await (await webAt(url)).signIn(named);
});

test('a person signs in by a code from a mail, which is good once', async () => {
  const mail = await MailServer.start();
  later(() => mail.stop());
  const { url } = await start({ smtpUrl: mail.url() });
  const { email } = person();
  const web = await webAt(url);
  await web.requestCode(email);
  const code = await mail.codeFor(email);
  await web.signInByCode({ email, code, ...AS });
  await inPhase(web, 'live');
  await expect((await webAt(url)).signInByCode({ email, code, ...AS })).rejects.toMatchObject({ code: 'wrong_code' });
});

test('a value set on one device shows on the other, and goes from both', async () => {
  const { url } = await start();
  const [one, other] = await two(url);
  await one.setValue('theme', { dark: true });
  expect(await one.value('theme')).toEqual({ dark: true });
  await value(other, 'theme', { dark: true });
  await other.setValue('theme', 'light');
  await value(one, 'theme', 'light');
  expect(await one.values()).toEqual(new Map([['theme', 'light']]));
  await one.deleteValue('theme');
  await value(other, 'theme', undefined);
  expect(await other.values()).toEqual(new Map());
});

test('values are the states of clients that share them live', async () => {
  const { url } = await start();
  const store = memoryStore();
  const web = await webAt(url, { store });
  await web.register(person());
  await inPhase(web, 'live');
  const token = (await store.read((tx) => tx.value('session')))!.token;
  const { io } = await import('socket.io-client');
  const socket = io(url, { transports: ['websocket'], forceNew: true, auth: { token } });
  later(() => socket.disconnect());
  const said = { sessionKey: 'trip', state: { title: 'Camping' } };
  expect(await socket.timeout(10_000).emitWithAck('session-update', said)).toMatchObject({ ok: true });
  await value(web, 'trip', { title: 'Camping' });
  const told = new Promise((resolve) => socket.on('session-updated', resolve));
  await web.setValue('trip', { title: 'Sailing' });
  expect(await told).toMatchObject({ sessionKey: 'trip', state: { title: 'Sailing' } });
});

test('what the client keeps for itself is no value of an app, and a value that is too large is refused at once', async () => {
  const { url } = await start();
  const { webs } = await household(url);
  const [web] = webs as [WebClient];
  expect(await web.values()).toEqual(new Map());
  expect(await web.value('e2e/epoch/1')).toBeUndefined();
  for (const key of ['e2e/epoch/2', '', 'x'.repeat(256)])
    await expect(web.setValue(key, 1)).rejects.toMatchObject({ code: 'bad_request' });
  await expect(web.setValue('x', undefined)).rejects.toMatchObject({ code: 'bad_request' });
  await expect(web.setValue('x', 'x'.repeat(262_144))).rejects.toMatchObject({ code: 'payload_too_large' });
  await expect(web.putRecord('notes', 1, 'no UUID')).rejects.toMatchObject({ code: 'bad_request' });
});

test('records put and deleted on one device show on the other, and in table sync', async () => {
  const { url } = await start();
  const store = memoryStore();
  const ann = person();
  const [one, other] = [await webAt(url), await webAt(url, { store })];
  await one.register(ann);
  await other.signIn(ann);
  await inPhase(other, 'live');
  const tables = await tablesOf(url, store);

  const id = await one.putRecord('notes', { text: 'Milk' });
  const second = await one.putRecord('notes', { text: 'Bread' });
  await one.putRecord('lists', null);
  await record(other, second, { text: 'Bread' });
  expect(await other.records('notes')).toEqual([
    { id, table: 'notes', data: { text: 'Milk' } },
    { id: second, table: 'notes', data: { text: 'Bread' } },
  ]);
  await holds(other, async () => (await other.records('lists')).map(({ data }) => data), [null]);
  const pulled = (await tables.pull()).data;
  expect(pulled.map(({ tablename, rowData }) => [tablename, rowData])).toEqual([
    ['notes', { text: 'Milk' }],
    ['notes', { text: 'Bread' }],
    ['lists', null],
  ]);

  await other.deleteRecord(id);
  await record(one, id, undefined);
  const guid = randomUUID();
  await tables.push(0, [change(guid, Date.now(), { text: 'Tea' })]);
  await record(one, guid, { text: 'Tea' });
  expect(await one.record(guid)).toMatchObject({ table: 'todos' });
  expect(await other.records('notes')).toHaveLength(1);
});

test('what is written without a connection goes when it is back, once, and the last word of it alone', async () => {
  const server = await start();
  const line = await Cutter.start(server.url);
  const between = await Middleman.start(line.url);
  const [one, other] = await two(server.url, between.url);
  line.close();
  await inPhase(other, 'offline');
  await other.setValue('draft', 'Dear');
  await other.setValue('draft', 'Dear Bea');
  const id = await other.putRecord('notes', 'Milk');
  await other.putRecord('notes', 'Milk and bread', id);
  const gone = await other.putRecord('notes', 'Never mind');
  await other.deleteRecord(gone);
  expect((await other.records('notes')).map(({ data }) => data)).toEqual(['Milk and bread']);
  line.open();
  other.reconnect();
  await value(one, 'draft', 'Dear Bea');
  await record(one, id, 'Milk and bread');
  const told = between.sent.filter((sent) => sent.includes('state:put') || sent.includes('/push/default'));
  expect(told.filter((sent) => sent.includes('Dear'))).toHaveLength(1);
  expect(told.filter((sent) => sent.includes('Milk'))).toHaveLength(1);
  expect(await one.record(gone)).toBeUndefined();
});

test('a record whose answer was lost is pushed again and stands once', async () => {
  const server = await start();
  const between = await Middleman.start(server.url);
  const [one, other] = await two(server.url, between.url);
  let lost = 0;
  between.lies = {
    reply: (path) =>
      path === '/push/default' && lost++ === 0
        ? { success: false, code: 'unavailable', message: 'x', error: 'x', requestId: 'x' }
        : undefined,
  };
  const id = await other.putRecord('notes', 'Milk');
  await record(one, id, 'Milk');
  await until(() => lost === 2, (again) => [other.on('records', again), other.on('state', again), every(again)], 'a second push'); // prettier-ignore
  expect(await other.records('notes')).toEqual([{ id, table: 'notes', data: 'Milk' }]);
});

/** Looks again whenever the event loop is idle: nothing tells of a request. */
function every(again: () => void): () => void {
  const timer = setInterval(again, 20);
  return () => clearInterval(timer);
}

test('a record that is older than the one that stands gives way to it', async () => {
  const server = await start();
  const line = await Cutter.start(server.url);
  const store = memoryStore();
  const ann = person();
  const [one, other] = [await webAt(server.url), eager(await webAt(line.url, { store }))];
  await one.register(ann);
  await other.signIn(ann);
  const id = await one.putRecord('notes', 'First');
  await record(other, id, 'First');
  line.close();
  await inPhase(other, 'offline');
  await other.putRecord('notes', 'Older', id);
  await one.putRecord('notes', 'Newer', id);
  await until(async () => (await (await tablesOf(server.url, store)).pull()).data[0]?.rowData === 'Newer', (again) => [every(again)], 'the newer record'); // prettier-ignore
  line.open();
  other.reconnect();
  await until(async () => (await outbox(store)) === 0, (again) => [other.on('records', again), every(again)], 'an empty outbox'); // prettier-ignore
  expect([await one.record(id), await other.record(id)]).toEqual(Array(2).fill({ id, table: 'notes', data: 'Newer' }));
});

test('what the server refuses is taken back, and what stood shows again', async () => {
  const { url } = await start({ limits: { stateKeys: 1 } });
  const [one, other] = await two(url);
  await one.setValue('first', 1);
  await value(other, 'first', 1);
  await one.setValue('second', 2);
  await value(one, 'second', undefined);
  expect(await one.values()).toEqual(new Map([['first', 1]]));

  const id = await one.putRecord('notes', 'Good');
  await record(other, id, 'Good');
  let deep: unknown = 'deep';
  for (let i = 0; i < 40; i++) deep = [deep];
  await one.putRecord('notes', deep, id);
  expect((await one.record(id))!.data).toEqual(deep);
  await record(one, id, 'Good');
});

test('with a phone’s keys both browsers read values and records, and the server sees neither', async () => {
  const server = await start();
  const between = await Middleman.start(server.url);
  const phone = await phoneAt(server.url);
  const store = memoryStore();
  const [one, other] = [await webAt(between.url, { store }), await webAt(between.url)];
  for (const web of [one, other]) {
    await letIn(phone, web);
    await inPhase(web, 'live');
  }
  await one.setValue('plan', { secret: 'Lisbon' });
  await value(other, 'plan', { secret: 'Lisbon' });
  await other.setValue('plan', { secret: 'Porto' });
  await value(one, 'plan', { secret: 'Porto' });
  expect(await one.values()).toEqual(new Map([['plan', { secret: 'Porto' }]]));
  const id = await other.putRecord('places', { secret: 'Lisbon' });
  await record(one, id, { secret: 'Lisbon' });
  expect(between.sent.join('\n')).not.toMatch(/Lisbon|Porto/);

  // What comes in the clear, or of another table than it was written for, is nobody's.
  const tables = await tablesOf(server.url, store);
  const [pulled] = (await tables.pull()).data;
  expect(pulled!.rowData).toMatch(/^pl1\./);
  await tables.push(0, [change(id, Date.now() + 1000, { secret: 'Forged' })]);
  await tables.push(0, [change(randomUUID(), Date.now(), pulled!.rowData)]);
  const last = await other.putRecord('places', 'After those');
  await record(one, last, 'After those');
  expect((await one.records('places')).map(({ data }) => data)).toEqual([{ secret: 'Lisbon' }, 'After those']);
  expect(await one.records('todos')).toEqual([]);
});

test('signing out clears values and records, and others of the account keep theirs', async () => {
  const { url } = await start();
  const [one, other] = await two(url);
  await other.setValue('theme', 'dark');
  const id = await other.putRecord('notes', 'Milk');
  await record(one, id, 'Milk');
  await other.signOut();
  expect([await other.values(), await other.records('notes')]).toEqual([new Map(), []]);
  await expect(other.setValue('theme', 'light')).rejects.toMatchObject({ code: 'not_paired' });
  await expect(other.putRecord('notes', 'Bread')).rejects.toMatchObject({ code: 'not_paired' });
  expect([await one.value('theme'), (await one.record(id))?.data]).toEqual(['dark', 'Milk']);
});

test('a device that signs in to an end-to-end encrypted account reads and writes nothing of it without keys', async () => {
  const server = await start();
  const store = memoryStore();
  const phone = await phoneAt(server.url);
  const web = await webAt(server.url, { store });
  await letIn(phone, web);
  await inPhase(web, 'live');
  const { token } = (await store.read((tx) => tx.value('session')))!;
  const login = { name: randomUUID(), password: 'a long password' };
  expect((await call(server.url, '/api/account/name', { token, method: 'PUT', body: login })).status).toBe(200);
  await web.setValue('plan', 'Lisbon');
  const id = await web.putRecord('places', 'Lisbon');

  const stranger = await webAt(server.url);
  await stranger.signIn({ ...login, ...AS });
  await inPhase(stranger, 'live');
  expect(await stranger.value('plan')).toBeUndefined();
  expect(await stranger.record(id)).toBeUndefined();
  await expect(stranger.setValue('plan', 'Porto')).rejects.toMatchObject({ code: 'no_keys' });
  await expect(stranger.putRecord('places', 'Porto')).rejects.toMatchObject({ code: 'no_keys' });
  await expect(web.signIn({ ...login, ...AS })).rejects.toMatchObject({ code: 'no_keys' });
  expect(await web.value('plan')).toBe('Lisbon');
});
