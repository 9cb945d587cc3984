import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type WebClient } from '@pairline/client';
import type { Change } from '@pairline/protocol';
import { Purge } from '../src/changes/purge.js';
import { Cutter, Middleman } from './support/client-between.js';
import { browserStore, tabStorage, webLocks } from './support/client-tab.js';
import { eager, inPhase, letIn, phoneAt, shows, texts, told, webAt } from './support/client-ends.js';
import { cleanUp, later } from './support/database.js';
import { TestServer, type ServerOptions } from './support/server.js';

afterEach(cleanUp);

async function start(options?: ServerOptions): Promise<TestServer> {
  const server = await TestServer.start(options);
  later(() => server.stop());
  return server;
}

const BEA = { id: 't1', number: '+15550100', name: 'Bea' };

function thread(web: WebClient, wanted: string[]): Promise<unknown> {
  return shows(web, async () => texts(await web.messages('t1', { limit: 100 })).join('|') === wanted.join('|'), wanted.join('|')); // prettier-ignore
}

test('a browser that was away for longer than deletions are remembered starts over, and keeps what is its own', async () => {
  const server = await start();
  const line = await Cutter.start(server.url);
  const phone = await phoneAt(server.url);
  const web = eager(await webAt(line.url));
  await letIn(phone, web);
  const [old, gone] = [told('Old'), told('To be deleted')];
  await phone.putConversations([BEA, { id: 't2', number: '+15550101' }]);
  await phone.putMessages([old, gone, told('Hi', { conversationId: 't2', number: '+15550101' })]);
  await web.saveDraft('t2', 'A draft');
  await thread(web, ['Old', 'To be deleted']);
  line.close();
  await inPhase(web, 'offline');
  await phone.deleteMessage(gone.id);
  await phone.putMessages([told('New')]);
  await server.app.get(Purge).run(Date.now() + 60_000);
  const { id } = await web.send({ conversationId: 't1' }, 'Mine');
  line.open();
  web.reconnect();
  await shows(web, async () => (await web.message(id))?.status === 'queued');
  await thread(web, ['Old', 'New', 'Mine']);
  const conversations = await web.conversations();
  expect(conversations).toMatchObject([
    { name: 'Bea', unread: 2 },
    { id: 't2', draft: 'A draft', lastText: 'Hi' },
  ]);
});

test('a row whose key has not come is kept, shown as such, and opened when the key comes', async () => {
  const server = await start();
  const middleman = await Middleman.start(server.url);
  const phone = await phoneAt(server.url);
  const web = eager(await webAt(middleman.url));
  const leaving = await webAt(server.url);
  for (const each of [web, leaving]) {
    await letIn(phone, each);
    await inPhase(each, 'live');
  }
  await phone.putConversations([BEA]);
  await phone.putMessages([told('Before')]);
  await thread(web, ['Before']);

  const withoutEpochs = (page: { changes: Change[] }) => ({
    ...page,
    changes: page.changes.filter(({ id }) => !id.startsWith('e2e/epoch/')),
  });
  middleman.lies = { event: (event, page) => (event === 'changes' ? withoutEpochs(page) : undefined) };
  await phone.removeDevice((await leaving.devices()).find(({ current }) => current)!.id);
  const last = told('Under a new key');
  await phone.putMessages([last]);
  await phone.putConversations([{ ...BEA, name: 'Beatrice' }]);
  await thread(web, ['Before', 'no-key']);
  expect(await web.message(last.id)).toMatchObject({ fault: 'no-key', text: '', timestamp: last.timestamp });
  expect(await web.conversation('t1')).toMatchObject({ name: 'Bea', lastText: '', unread: 2, readable: true });

  // Once more from the beginning, and this time nothing is kept back.
  middleman.lies = {
    reply: (path) => {
      if (!path.startsWith('/api/changes?')) return undefined;
      middleman.lies = {};
      return EXPIRED;
    },
  };
  middleman.interrupt();
  await thread(web, ['Before', 'Under a new key']);
  expect(await web.conversation('t1')).toMatchObject({ name: 'Beatrice', lastText: 'Under a new key' });
});

const EXPIRED = { success: false, code: 'cursor_expired', message: 'x', error: 'x', requestId: 'x' };

test('a session that ended leaves what was written, and goes on after pairing with the same account again', async () => {
  const first = await TestServer.start();
  const line = await Cutter.start(first.url);
  const [phoneStore, store] = [memoryStore(), memoryStore()];
  const phone = eager(await phoneAt(line.url, { store: phoneStore }));
  const web = eager(await webAt(line.url, { store }));
  await letIn(phone, web);
  await phone.putConversations([BEA]);
  await phone.putMessages([told('Hello')]);
  await thread(web, ['Hello']);
  line.close();
  await inPhase(web, 'offline');
  await web.send({ conversationId: 't1' }, 'Not lost');
  await first.app.close();

  const second = await start({
    database: first.database,
    jwtSecret: 'another secret, so that no session is good any more',
  });
  later(() => first.database.drop());
  line.lead(second.url);
  line.open();
  web.reconnect();
  await inPhase(web, 'signed-out');
  expect(web.state.reason).toBe('session_expired');
  await expect(web.send({ conversationId: 't1' }, 'Nobody there')).rejects.toMatchObject({ code: 'not_paired' });

  await letIn(phone, web);
  await inPhase(web, 'live');
  await thread(web, ['Hello', 'Not lost']);
  await shows(web, async () => (await web.messages('t1')).at(-1)?.status === 'queued');
});

test('pairing with another account leaves nothing of the one before', async () => {
  const { url } = await start();
  const [one, other] = [await phoneAt(url), await phoneAt(url)];
  const store = memoryStore();
  const web = await webAt(url, { store });
  await letIn(one, web);
  await one.putMessages([told('Private')]);
  await thread(web, ['Private']);
  await one.unpair();
  await shows(web, async () => !web.state.phone.here);
  await web.signOut();
  await letIn(other, web);
  await inPhase(web, 'live');
  expect(await web.conversations()).toEqual([]);
  expect(await web.messages('t1')).toEqual([]);
});

test('a store that is full for a while costs time, and no messages', async () => {
  const { url } = await start();
  const phone = await phoneAt(url);
  const store = memoryStore();
  const web = eager(await webAt(url, { store }));
  await letIn(phone, web);
  await inPhase(web, 'live');
  const write = store.write.bind(store);
  let refused = 0;
  store.write = (work) => (++refused <= 3 ? Promise.reject(new Error('QuotaExceededError')) : write(work));
  const reasons: (string | undefined)[] = [];
  web.on('state', ({ reason }) => reasons.push(reason));
  for (const text of ['One', 'Two', 'Three']) await phone.putMessages([told(text)]);
  await thread(web, ['One', 'Two', 'Three']);
  expect(refused).toBeGreaterThan(3);
  expect(reasons).toContain('failed');
  await inPhase(web, 'live');
});

test('a client that is closed leaves nothing running, at whatever point', async () => {
  const { url } = await start();
  const phone = await phoneAt(url);
  const store = memoryStore();
  const web = await webAt(url, { store });
  await letIn(phone, web);
  await web.close();
  for (const again of [await webAt(url, { store }), await webAt('http://127.0.0.1:1', { store })]) {
    again.reconnect();
    await again.close();
    await again.close();
  }
  await phone.close();
});

// Several tabs of one browser

async function tab(url: string, name: string): Promise<WebClient> {
  return eager(await webAt(url, { store: browserStore(name) }));
}

test('all tabs of a browser show the same, sign in and out together, and nothing is doubled', async () => {
  const { url } = await start();
  tabStorage();
  webLocks();
  const phone = await phoneAt(url);
  const wanted: string[] = [];
  phone.onSend(async ({ text }) => void wanted.push(text));
  const [one, two] = [await tab(url, 'tabs'), await tab(url, 'tabs')];
  await letIn(phone, one);
  for (const each of [one, two]) await inPhase(each, 'live');
  await phone.putConversations([BEA]);
  const history = Array.from({ length: 20 }, (_, i) => told(`Text ${i}`));
  for (const message of history) await phone.putMessages([message]);
  await Promise.all([shows(one, () => one.conversation('t1')), shows(two, () => two.conversation('t1'))]);
  await one.send({ conversationId: 't1' }, 'From one');
  await two.send({ conversationId: 't1' }, 'From two');
  const all = [...history.map(({ text }) => text), 'From one', 'From two'];
  const three = await tab(url, 'tabs');
  for (const each of [one, two, three]) {
    await thread(each, all);
    await shows(each, async () => (await each.messages('t1')).at(-1)?.status === 'sending' && each.state.waiting === 0);
    expect(await each.conversations()).toMatchObject([{ unread: 20, lastText: 'From two' }]);
  }
  expect(wanted).toEqual(['From one', 'From two']);
  expect((await phone.devices()).filter(({ kind }) => kind === 'browser')).toHaveLength(1);

  await two.saveDraft('t1', 'A draft');
  await shows(one, async () => (await one.conversation('t1'))?.draft === 'A draft');
  await one.signOut();
  for (const each of [two, three]) await inPhase(each, 'signed-out');
  expect(await two.conversations()).toEqual([]);
});

test('a tab that was asleep while another went on reads with the keys that came meanwhile', async () => {
  const { url } = await start();
  tabStorage();
  webLocks();
  const phone = await phoneAt(url);
  const line = await Cutter.start(url);
  const awake = await tab(url, 'asleep');
  await letIn(phone, awake);
  await inPhase(awake, 'live');
  const asleep = await tab(line.url, 'asleep');
  await inPhase(asleep, 'live');
  const leaving = await webAt(url);
  await letIn(phone, leaving);
  line.close();
  await inPhase(asleep, 'offline');
  await awake.removeDevice((await leaving.devices()).find(({ current }) => current)!.id);
  await phone.putConversations([BEA]);
  await phone.putMessages([told('Under a new key')]);
  await thread(awake, ['Under a new key']);
  line.open();
  asleep.reconnect();
  await inPhase(asleep, 'live');
  await phone.putMessages([told('And one more')]);
  for (const each of [awake, asleep]) await thread(each, ['Under a new key', 'And one more']);
  const { id } = await asleep.send({ conversationId: 't1' }, 'From the tab that slept');
  await shows(awake, async () => (await awake.message(id))?.status === 'queued');
});

test('a browser that is not to be remembered is signed in after a reload of its tab, and after that no more', async () => {
  const { url } = await start();
  const items = tabStorage();
  webLocks();
  const phone = await phoneAt(url);
  const web = await tab(url, 'forgetful');
  await letIn(phone, web, false);
  await inPhase(web, 'live');
  await phone.putMessages([told('Hello')]);
  await thread(web, ['Hello']);
  await web.close();
  const reloaded = await tab(url, 'forgetful');
  await thread(reloaded, ['Hello']);
  await reloaded.close();
  items.clear();
  const elsewhere = await tab(url, 'forgetful');
  expect(elsewhere.state.phase).toBe('signed-out');
  expect(await elsewhere.conversations()).toEqual([]);
});
