import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type WebClient } from '@pairline/client';
import { Cutter } from './support/client-between.js';
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
  const { Keyring } = await import('../client/src/keys/index.js');
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
  await shows(web, async () => (await web.message(id))?.status === 'sending');
  cutter.open();
  away.reconnect();
  await says(away, 'Written under the new key');
  // It is sealed again, or the phone would refuse it.
  await shows(away, async () => (await away.message(queued.id))?.status === 'sending');
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
  await until(async () => (await epochOf(store)) === 3, (again) => [phone.on('devices', again), phone.on('state', again)]); // prettier-ignore
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
