import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { openWebClient, type Store } from '@pairline/client';
import { fileStore } from '@pairline/client/node';
import { Cutter } from './support/client-between.js';
import { eager, inPhase } from './support/client-ends.js';
import { accept, deviceOf, personAt, said, says, seen } from './support/client-people.js';
import { browserStore, tabStorage, webLocks } from './support/client-tab.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

/* What people write to each other, in the stores that outlive a page or a process. */

afterEach(cleanUp);

async function start(): Promise<TestServer> {
  const server = await TestServer.start();
  later(() => server.stop());
  return server;
}

const AS = { password: 'a long password', deviceName: 'A browser' };
const newName = () => `p${randomUUID().slice(0, 13)}`;

/** A client that is not closed at the end of a test: the test does so, or lets it go on. */
async function open(url: string, store: Store) {
  const web = eager(await openWebClient({ url, store }));
  return web;
}

test('two tabs of a browser show the same, write one after the other, and nothing stands twice', async () => {
  const { url } = await start();
  tabStorage();
  webLocks();
  const bob = (await personAt(url)).devices[0]!;
  const database = randomUUID();
  const [one, other] = [browserStore(database), browserStore(database)];
  const first = await open(url, one);
  later(() => first.close());
  await first.register({ ...AS, name: newName(), remember: true });
  const here = await deviceOf(first, one);
  const second = await open(url, other);
  later(() => second.close());
  const there = await deviceOf(second, other);
  const { name } = await bob.chats.profile();
  const id = await here.chats.begin({ name });
  await accept(bob);
  await here.chats.send(id, { text: 'From one' });
  await says(there, id, ['From one']);
  await there.chats.send(id, { text: 'From the other' });
  await bob.chats.send(id, { text: 'To both' });
  for (const device of [here, there, bob])
    await seen(device, async () => JSON.stringify((await said(device, id)).sort()) === '["From one","From the other","To both"]', 'all three'); // prettier-ignore
  expect(await said(here, id)).toEqual(await said(bob, id));
  expect(await said(there, id)).toEqual(await said(bob, id));
  await there.chats.markRead(id);
  await seen(here, async () => (await here.chats.chat(id))!.unread === 0, 'the mark of the other tab');
});

test('a page that is not remembered keeps over a reload what was written and not sent, and whom it trusts', async () => {
  const { url } = await start();
  tabStorage();
  const bob = (await personAt(url)).devices[0]!;
  const line = await Cutter.start(url);
  const store = browserStore(randomUUID());
  const page = await open(line.url, store);
  await page.register({ ...AS, name: newName(), remember: false });
  const device = await deviceOf(page, store);
  const id = await device.chats.begin({ name: (await bob.chats.profile()).name });
  await accept(bob);
  // What it does not know of yet it cannot write in.
  await seen(device, async () => (await device.chats.chat(id))?.membership === 'accepted', 'the chat');
  const { userId } = await bob.chats.profile();
  await device.chats.trust(userId, { verified: true });
  line.close();
  await inPhase(page, 'offline');
  await device.chats.send(id, { text: 'Kept' });
  await page.close();
  line.open();
  const reloaded = await open(line.url, store);
  later(() => reloaded.close());
  const again = await deviceOf(reloaded, store);
  await says(bob, id, ['Kept']);
  await says(again, id, ['Kept']);
  expect(await again.chats.person(userId)).toMatchObject({ verified: true });
});

test('a program that ends and starts again goes on where it was', async () => {
  const { url } = await start();
  const folder = await mkdtemp(join(tmpdir(), 'pairline-'));
  later(() => rm(folder, { recursive: true }));
  const line = await Cutter.start(url);
  const bob = (await personAt(url)).devices[0]!;
  const store = fileStore(join(folder, 'bot'));
  const bot = await open(line.url, store);
  await bot.register({ ...AS, name: newName(), remember: true });
  const device = await deviceOf(bot, store);
  const id = await device.chats.createGroup('Weather');
  await device.chats.invite(id, { name: (await bob.chats.profile()).name });
  await accept(bob);
  line.close();
  await inPhase(bot, 'offline');
  const sent = await device.chats.send(id, { text: 'Sunny' });
  await device.chats.edit(id, sent.id, { text: 'Rain' });
  await bot.close();
  await bob.chats.send(id, { text: 'And now?' });

  line.open();
  const next = fileStore(join(folder, 'bot'));
  const restarted = await open(line.url, next);
  later(() => restarted.close());
  const again = await deviceOf(restarted, next);
  await says(bob, id, ['And now?', 'Rain']);
  await says(again, id, ['And now?', 'Rain']);
  expect((await again.chats.chat(id))!.name).toBe('Weather');
});
