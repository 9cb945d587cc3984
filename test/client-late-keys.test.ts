import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type PhoneClient, type WebClient } from '@pairline/client';
import { Cutter } from './support/client-between.js';
import { eager, inPhase, letIn, paired, phoneAt, shownCode, shows, texts, told, webAt } from './support/client-ends.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

afterEach(cleanUp);

// A device that joins in the very moment in which another one is removed, by somebody who does not know of it yet.

interface Setting {
  url: string;
  phone: PhoneClient;
  phoneStore: ReturnType<typeof memoryStore>;
  /** Removes a device. */
  web: WebClient;
  /** Is removed. */
  lost: WebClient;
}

async function setting(): Promise<Setting> {
  const server = await TestServer.start();
  later(() => server.stop());
  const { url } = server;
  const phoneStore = memoryStore();
  const phone = await phoneAt(url, { store: phoneStore });
  const [web, lost] = [await webAt(url), await webAt(url)];
  for (const each of [web, lost]) {
    await letIn(phone, each);
    await inPhase(each, 'live');
  }
  await shows(web, async () => (await web.devices()).every(({ verified }) => verified));
  return { url, phone, phoneStore, web, lost };
}

/** A browser whose code was claimed and not yet collected: what happens before `collect` it does not know. */
async function claimed(url: string, claim: (code: string) => Promise<void>) {
  const cutter = await Cutter.start(url);
  const store = memoryStore();
  const joining = eager(await webAt(cutter.url, { store }));
  const pairing = joining.pair({ deviceName: 'Joining', remember: true });
  const code = await shownCode(pairing);
  cutter.close();
  await claim(code);
  const collect = async () => {
    cutter.open();
    await paired(pairing);
    await inPhase(joining, 'live');
  };
  return { joining, store, cutter, collect };
}

async function idOf(web: WebClient): Promise<string> {
  return (await web.devices()).find(({ current }) => current)!.id;
}

function says(web: WebClient, ...written: string[]): Promise<unknown> {
  const isWritten = async () => texts(await web.messages('t1')).join() === written.join();
  return shows(web, isWritten, written.join());
}

function epochOf(store: ReturnType<typeof memoryStore>): Promise<number> {
  return store.read(async (tx) => Object.keys((await tx.value('keyring'))?.epochs ?? {}).length);
}

test('a browser that was claimed by the phone before a key was made without it reads and writes with that key', async () => {
  const { url, phone, web, lost } = await setting();
  phone.onSend(async () => undefined);
  const { joining, store, collect } = await claimed(url, (code) => phone.pair(code));
  await web.removeDevice(await idOf(lost));
  await phone.putConversations([{ id: 't1', number: '+15550100' }]);
  await phone.putMessages([told('Under the new key')]);
  await collect();
  await shows(joining, async () => (await epochOf(store)) === 2);
  await says(joining, 'Under the new key');
  const { id } = await joining.send({ conversationId: 't1' }, 'And back');
  await shows(joining, async () => (await joining.message(id))?.status === 'sending');
  await says(web, 'Under the new key', 'And back');
  // Everybody who stays knows of it, and it of them.
  for (const each of [web, joining])
    await shows(each, async () => (await each.devices()).length === 3 && (await each.devices()).every(({ verified }) => verified)); // prettier-ignore
  expect(joining.state.reason).toBeUndefined();
});

test('a browser that another one let in gets the key from that one, while the phone is away', async () => {
  const { url, phone, phoneStore, web, lost } = await setting();
  const host = await webAt(url);
  await letIn(phone, host);
  await inPhase(host, 'live');
  await shows(web, async () => (await web.devices()).every(({ verified }) => verified));
  await phone.close();
  const { joining, store, collect } = await claimed(url, (code) => host.approve(code));
  await web.removeDevice(await idOf(lost));
  await collect();
  await shows(joining, async () => (await epochOf(store)) === 2);
  const back = await phoneAt(url, { store: phoneStore });
  await back.putMessages([told('Among us')]);
  await says(joining, 'Among us');
});

test('until the key comes it says so and sends nothing, and what it wrote goes then', async () => {
  const { url, phone, phoneStore, web, lost } = await setting();
  await phone.putConversations([{ id: 't1', number: '+15550100' }]);
  await phone.putMessages([told('Before')]);
  const { joining, store, collect } = await claimed(url, (code) => phone.pair(code));
  // Who knows of the new one is away.
  await phone.close();
  await web.removeDevice(await idOf(lost));
  await collect();
  await shows(joining, () => joining.state.reason === 'left_out');
  expect(joining.state.phase).toBe('live');
  await says(joining, 'Before');
  const { id } = await joining.send({ conversationId: 't1' }, 'With which key?');
  const { id: other } = await web.send({ conversationId: 't1' }, 'With mine');
  await shows(joining, async () => (await joining.message(other)) !== undefined);
  expect(await joining.message(id)).toMatchObject({ status: 'waiting' });

  const back = await phoneAt(url, { store: phoneStore });
  back.onSend(async () => undefined);
  await shows(joining, async () => (await joining.message(id))?.status === 'sending');
  expect(await epochOf(store)).toBeGreaterThan(1);
  expect(joining.state.reason).toBeUndefined();
  await shows(web, async () => (await web.message(id))?.text === 'With which key?');
});

test('who was removed is given nothing, though its session should live on', async () => {
  const { url, phone, web, lost } = await setting();
  const { joining, store, collect } = await claimed(url, (code) => phone.pair(code));
  const lostId = await idOf(lost);
  await web.removeDevice(lostId);
  await collect();
  await shows(joining, async () => (await epochOf(store)) === 2);
  const { token } = (await store.read((tx) => tx.value('session')))!;
  const response = await fetch(`${url}/api/changes?limit=1000`, { headers: { Authorization: `Bearer ${token}` } });
  const { changes } = (await response.json()) as { changes: { id: string; op: string }[] };
  // The key came with its epoch when the phone made that one, and late when the browser did, who did not know of the new one.
  const given = changes.filter(({ id }) => id === 'e2e/epoch/2' || id.startsWith('e2e/late/'));
  expect(JSON.stringify(given)).toContain(await idOf(joining));
  expect(JSON.stringify(given)).not.toContain(lostId);
});
