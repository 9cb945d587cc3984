import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type WebClient } from '@pairline/client';
import { io } from 'socket.io-client';
import { Keyring, newDevice } from '../client/src/keys/index.js';
import { Cutter, Middleman } from './support/client-between.js';
import { household, inPhase, letIn, phoneAt, shows, texts, told, until, webAt } from './support/client-ends.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

afterEach(cleanUp);

async function start(): Promise<string> {
  const server = await TestServer.start();
  later(() => server.stop());
  return server.url;
}

function epochOf(store: ReturnType<typeof memoryStore>): Promise<number> {
  return store.read(async (tx) => Object.keys((await tx.value('keyring'))?.epochs ?? {}).length);
}

async function idOf(web: WebClient): Promise<string> {
  return (await web.devices()).find(({ current }) => current)!.id;
}

function says(web: WebClient, text: string, id = 't1'): Promise<unknown> {
  return shows(web, async () => texts(await web.messages(id, { limit: 100 })).includes(text), text);
}

test('a removed browser is signed out and emptied, and its keys do not open what is written afterwards', async () => {
  const url = await start();
  const phoneStore = memoryStore();
  const phone = await phoneAt(url, { store: phoneStore });
  const [stolen, kept] = [memoryStore(), memoryStore()];
  const thief = await webAt(url, { store: stolen });
  const web = await webAt(url, { store: kept });
  for (const each of [thief, web]) await letIn(phone, each);
  await phone.putMessages([told('Before')]);
  await says(thief, 'Before');
  await says(web, 'Before');
  // Whoever has the computer may have copied its keys.
  const copy = (await stolen.read((tx) => tx.value('keyring')))!;

  await web.removeDevice(await idOf(thief));
  await inPhase(thief, 'signed-out');
  expect(thief.state.reason).toBe('removed');
  expect(await thief.conversations()).toEqual([]);
  expect(await stolen.read((tx) => tx.value('keyring'))).toBeUndefined();
  expect(await epochOf(kept)).toBe(2);

  await until(async () => (await epochOf(phoneStore)) === 2, (again) => [phone.on('devices', again)]); // prettier-ignore
  const after = told('Afterwards');
  await phone.putMessages([after]);
  await says(web, 'Afterwards');
  // The thief is given the rows by a server that helps it.
  const rows = await fetchRows(url, await kept.read(async (tx) => (await tx.value('session'))!.token));
  const keyring = Keyring.load(copy);
  const body = rows.find(({ id }) => id === after.id)!.row!.body!;
  expect(await keyring.open('message', after.id, body)).toEqual({ ok: false, fault: 'no-key' });
  for (const { kind, id, row } of rows) if (kind === 'state') await keyring.learn(id, row?.value);
  expect(await keyring.open('message', after.id, body)).toEqual({ ok: false, fault: 'no-key' });
});

async function fetchRows(url: string, token: string) {
  const response = await fetch(`${url}/api/changes?limit=1000`, { headers: { Authorization: `Bearer ${token}` } });
  return ((await response.json()) as { changes: { kind: string; id: string; row?: { body?: string; value?: unknown } }[] }).changes; // prettier-ignore
}

test('everybody who stays goes on reading and writing, who was away too', async () => {
  const url = await start();
  const cutter = await Cutter.start(url);
  const phone = await phoneAt(url);
  phone.onSend(async () => undefined);
  const away = await webAt(cutter.url);
  const [web, thief] = [await webAt(url), await webAt(url)];
  for (const each of [away, web, thief]) await letIn(phone, each);
  await phone.putConversations([{ id: 't1', number: '+15550100' }]);
  await shows(away, () => away.conversation('t1'));
  await shows(web, () => web.conversation('t1'));
  cutter.close();
  await inPhase(away, 'offline');
  const queued = await away.send({ conversationId: 't1' }, 'Written under the old key');

  await web.removeDevice(await idOf(thief));
  const { id } = await web.send({ conversationId: 't1' }, 'Written under the new key');
  await shows(web, async () => (await web.message(id))?.status === 'sending', 'sent under the new key');
  cutter.open();
  away.reconnect();
  await says(away, 'Written under the new key');
  // It is sealed again, or the phone would refuse it.
  await shows(away, async () => (await away.message(queued.id))?.status === 'sending', 'sealed again');
  await says(web, 'Written under the old key');
});

test('a browser that signs out by itself is shut out by the phone, which may have been away', async () => {
  const url = await start();
  const store = memoryStore();
  const phone = await phoneAt(url, { store });
  const [leaving, staying] = [await webAt(url), await webAt(url)];
  for (const each of [leaving, staying]) await letIn(phone, each);
  await inPhase(staying, 'live');
  await phone.close();
  await leaving.signOut();
  expect(await epochOf(store)).toBe(1);
  const back = await phoneAt(url, { store });
  await until(async () => (await epochOf(store)) === 2, (again) => [back.on('state', again), back.on('devices', again)]); // prettier-ignore
  await back.putMessages([told('Among us')]);
  await says(staying, 'Among us');
});

test('two devices that remove a third at once agree on who has the keys', async () => {
  const url = await start();
  const { phone, webs } = await household(url, 4);
  const [one, two, three, four] = webs as [WebClient, WebClient, WebClient, WebClient];
  const [third, fourth] = [await idOf(three), await idOf(four)];
  await Promise.all([one.removeDevice(third), two.removeDevice(fourth)]);
  await phone.putMessages([told('Among us three')]);
  for (const web of [one, two]) {
    await says(web, 'Among us three');
    const devices = await shows(web, async () => {
      const list = await web.devices();
      return list.length === 3 && list;
    });
    expect(devices.every(({ verified }) => verified)).toBe(true);
  }
  for (const web of [three, four]) expect(web.state).toMatchObject({ phase: 'signed-out', reason: 'removed' });
});

test('signing out everywhere leaves the phone alone with a new key', async () => {
  const url = await start();
  const store = memoryStore();
  const phone = await phoneAt(url, { store });
  const [one, two] = [await webAt(url), await webAt(url)];
  for (const each of [one, two]) await letIn(phone, each);
  await one.signOutEverywhere();
  await inPhase(two, 'signed-out');
  expect(one.state.phase).toBe('signed-out');
  // One new epoch, or two.
  const members = () => store.read(async (tx) => (await tx.value('keyring'))!.members.length);
  await until(async () => (await members()) === 1, (again) => [phone.on('devices', again)]); // prettier-ignore
  expect(await epochOf(store)).toBeGreaterThan(1);
  expect(await phone.devices()).toHaveLength(1);
});

test('an unpaired phone forgets its keys and registers as a new one', async () => {
  const url = await start();
  const store = memoryStore();
  const phone = await phoneAt(url, { store });
  const web = await webAt(url);
  await letIn(phone, web);
  await inPhase(web, 'live');
  await phone.unpair();
  expect(phone.state).toMatchObject({ phase: 'signed-out' });
  expect(await store.read((tx) => tx.value('keyring'))).toBeUndefined();
  await expect(phone.putMessages([told('Nobody hears')])).rejects.toMatchObject({ name: 'ClientError' });
  const again = await phoneAt(url, { store });
  expect(await again.devices()).toHaveLength(1);
});

type Saved = ReturnType<typeof memoryStore>;

function idIn(store: Saved): Promise<string> {
  return store.read(async (tx) => (await tx.value('session'))!.deviceId);
}

/** Puts a row in the name of a device. */
async function putAs(url: string, store: Saved, key: string, value: unknown): Promise<void> {
  const { token } = (await store.read((tx) => tx.value('session')))!;
  const socket = io(url, { transports: ['websocket'], forceNew: true, auth: { token, after: 0 } });
  later(() => socket.disconnect());
  expect(await socket.timeout(10_000).emitWithAck('state:put', { key, value })).toMatchObject({ ok: true });
}

/** Who has the key of the second epoch. */
async function secondEpoch(url: string, store: Saved): Promise<string[]> {
  const { token } = (await store.read((tx) => tx.value('session')))!;
  const row = (await fetchRows(url, token)).findLast(({ id }) => id === 'e2e/epoch/2')!.row!;
  return Object.keys((row.value as { keys: object }).keys).sort();
}

test('a tab that was asleep while another one learned of a device does not shut that device out', async () => {
  const url = await start();
  const cutter = await Cutter.start(url);
  const [phoneStore, store, innocent] = [memoryStore(), memoryStore(), memoryStore()];
  const phone = await phoneAt(url, { store: phoneStore });
  const asleep = await webAt(cutter.url, { store });
  await letIn(phone, asleep);
  await inPhase(asleep, 'live');
  const awake = await webAt(url, { store });
  await inPhase(awake, 'live');
  cutter.close();
  await inPhase(asleep, 'offline');
  const [stays, goes] = [await webAt(url, { store: innocent }), await webAt(url)];
  for (const each of [stays, goes]) await letIn(phone, each);
  const known = () => store.read(async (tx) => (await tx.value('keyring'))!.members.length);
  await shows(awake, async () => (await known()) === 4);
  await phone.close();
  cutter.open();
  asleep.reconnect();
  await inPhase(asleep, 'live');
  await asleep.removeDevice(await idOf(goes));

  const phoneId = (await phoneStore.read((tx) => tx.value('phone')))!.deviceId;
  expect(await secondEpoch(url, store)).toEqual([phoneId, await idIn(store), await idIn(innocent)].sort());
  const back = await phoneAt(url, { store: phoneStore });
  await back.putMessages([told('Among us')]);
  await says(stays, 'Among us');
});

test('a row that stands in the way of the next epoch is cleared away', async () => {
  const url = await start();
  const [phoneStore, store, stolen] = [memoryStore(), memoryStore(), memoryStore()];
  const phone = await phoneAt(url, { store: phoneStore });
  const [web, thief] = [await webAt(url, { store }), await webAt(url, { store: stolen })];
  for (const each of [web, thief]) await letIn(phone, each);
  for (const each of [web, thief]) await inPhase(each, 'live');
  await putAs(url, stolen, 'e2e/epoch/2', 'nonsense');
  await phone.putMessages([told('Before')]);
  await says(web, 'Before');
  // Who learned of it before a restart has not forgotten.
  await phone.close();
  const back = await phoneAt(url, { store: phoneStore });
  await inPhase(back, 'live');
  const thiefId = await idIn(stolen);
  await web.removeDevice(thiefId);
  expect(await epochOf(store)).toBe(2);
  expect(await secondEpoch(url, store)).not.toContain(thiefId);
  await back.putMessages([told('Among us')]);
  await says(web, 'Among us');
});

test('an epoch without them, made up, puts no phone out of service and empties no browser', async () => {
  const url = await start();
  const [phoneStore, store, stolen] = [memoryStore(), memoryStore(), memoryStore()];
  const phone = await phoneAt(url, { store: phoneStore });
  const [web, thief] = [await webAt(url, { store }), await webAt(url, { store: stolen })];
  for (const each of [web, thief]) await letIn(phone, each);
  await phone.putMessages([told('Before')]);
  for (const each of [web, thief]) await says(each, 'Before');
  for (const each of [web, thief]) await inPhase(each, 'live');
  const thiefId = await idIn(stolen);
  await shows(web, async () => (await web.devices()).every(({ verified }) => verified));
  await putAs(url, stolen, 'e2e/epoch/2', { by: thiefId, keys: {}, members: '' });
  // It may have been left out, and it may not: it stays, and writes nothing with a key that the others may have given up.
  await shows(web, () => web.state.reason === 'left_out');
  const { id } = await web.send({ conversationId: 't1' }, 'Is anybody there?');
  expect(web.state.phase).toBe('live');
  // The phone clears it away, and everybody goes on with what is there.
  await phone.removeDevice(thiefId);
  phone.onSend(async () => undefined);
  await shows(web, async () => (await web.message(id))?.status === 'sending');
  await phone.putMessages([told('After')]);
  await says(web, 'After');
  expect(web.state.reason).toBeUndefined();
  expect(await epochOf(store)).toBe(2);
});

test('a device that a removed one made up does not get the new key', async () => {
  const url = await start();
  const [phoneStore, store, stolen] = [memoryStore(), memoryStore(), memoryStore()];
  const phone = await phoneAt(url, { store: phoneStore });
  const [web, thief] = [await webAt(url, { store }), await webAt(url, { store: stolen })];
  for (const each of [web, thief]) await letIn(phone, each);
  for (const each of [web, thief]) await inPhase(each, 'live');
  const keyring = Keyring.load((await stolen.read((tx) => tx.value('keyring')))!);
  const key = 'e2e/member/ghost';
  const ghost = { deviceId: 'ghost', key: (await newDevice()).publicKey };
  await putAs(url, stolen, key, await keyring.seal('state', key, ghost));
  const known = () => store.read(async (tx) => (await tx.value('keyring'))!.members.length);
  await shows(web, async () => (await known()) === 4);
  await phone.close();
  await web.removeDevice(await idIn(stolen));
  const phoneId = (await phoneStore.read((tx) => tx.value('phone')))!.deviceId;
  expect(await secondEpoch(url, store)).toEqual([phoneId, await idIn(store)].sort());
});

test('a phone that could not see the list of devices looks again, without a new connection', async () => {
  const url = await start();
  const middleman = await Middleman.start(url);
  const store = memoryStore();
  const phone = await phoneAt(middleman.url);
  const [leaving, staying] = [await webAt(url), await webAt(url, { store })];
  for (const each of [leaving, staying]) await letIn(phone, each);
  for (const each of [phone, leaving, staying]) await inPhase(each, 'live');
  let refused = 0;
  middleman.lies.reply = (path) =>
    path === '/api/devices' && refused++ === 0 ? { success: false, code: 'unavailable', message: 'Later' } : undefined;
  const phases: string[] = [];
  phone.on('state', ({ phase }) => phases.push(phase));
  await leaving.signOut();
  await shows(staying, async () => (await epochOf(store)) === 2);
  expect(refused).toBeGreaterThan(1);
  expect(phases).toEqual([]);
});

test('a tab that wakes up late does not end the session that another one has begun', async () => {
  const url = await start();
  const cutter = await Cutter.start(url);
  const phone = await phoneAt(url);
  const store = memoryStore();
  const asleep = await webAt(cutter.url, { store });
  await letIn(phone, asleep);
  await inPhase(asleep, 'live');
  const first = await idIn(store);
  cutter.close();
  await inPhase(asleep, 'offline');
  const awake = await webAt(url, { store });
  await letIn(phone, awake);
  await phone.removeDevice(first);
  cutter.open();
  asleep.reconnect();
  // Its own token is refused by now, until it has the other one.
  await shows(asleep, async () => (await idOf(asleep).catch(() => first)) !== first && asleep.state.phase === 'live');
  expect(asleep.state.reason).toBeUndefined();
  await phone.putMessages([told('Both hear it')]);
  // Of two tabs one takes a page over, and tells of it; in this store the other one does not hear of that.
  const hasIt = async () => texts(await asleep.messages('t1')).includes('Both hear it');
  await until(hasIt, (again) => [asleep.on('messages', again), awake.on('messages', again)]);
  for (const each of [asleep, awake]) await inPhase(each, 'live');
});
