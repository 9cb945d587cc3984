import { afterEach, expect, test } from '@jest/globals';
import { STATE } from '@pairline/protocol';
import { Middleman } from './support/client-between.js';
import { eager } from './support/client-ends.js';
import { accept, chatOn, personAt, said, says, seen, type Device } from './support/client-people.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

afterEach(cleanUp);

// New keys for a person, whatever happens on the way.

/** Ann with two devices, the second of which a middleman serves, and Bob, in a conversation. */
async function start() {
  const server = await TestServer.start();
  later(() => server.stop());
  const between = await Middleman.start(server.url);
  const [ann, bob] = [await personAt(server.url, between.url), await personAt(server.url)];
  const [one, other] = ann.devices as [Device, Device];
  const theirs = bob.devices[0]!;
  eager(other.web);
  const id = await one.chats.begin(bob);
  await accept(theirs);
  await one.chats.send(id, { text: 'Before' });
  for (const device of [theirs, other]) await says(device, id, ['Before']);
  return { between, one, other, theirs, id, userId: (await one.chats.profile()).userId };
}

const epochOn = async ({ store }: Device, id: string) => (await store.read((tx) => tx.get('chats', id)))!.row!.epoch;

test('of two devices that renew the person’s keys in the same moment one does, and nobody is warned', async () => {
  const { between, one, other, theirs, id, userId } = await start();
  const first = (await one.chats.profile()).fingerprint;
  // The other one has not heard of it.
  between.lies = { event: (event) => (event === 'changes' ? null : undefined) };
  const warned: unknown[] = [];
  theirs.chats.on('people', () => void theirs.chats.person(userId).then((person) => warned.push(person?.keyChanged)));
  await one.chats.renewKeys();
  await other.chats.renewKeys();
  between.lies = {};
  between.interrupt();
  await seen(theirs, async () => (await theirs.chats.person(userId))!.keyChanged === 'signed', 'new keys');
  const { fingerprint } = await one.chats.profile();
  expect(fingerprint).not.toBe(first);
  expect((await other.chats.profile()).fingerprint).toBe(fingerprint);
  expect((await theirs.chats.person(userId))!.fingerprint).toBe(fingerprint);
  for (const device of [one, other]) await device.chats.send(id, { text: 'After' });
  for (const device of [one, other, theirs]) await says(device, id, ['Before', 'After', 'After']);
  expect(warned).not.toContain('unsigned');
  expect((await chatOn(theirs, id)).warning).toBe(false);
  // Next time there are others.
  await other.chats.renewKeys();
  await seen(theirs, async () => ![first, fingerprint].includes((await theirs.chats.person(userId))!.fingerprint), 'newer ones'); // prettier-ignore
  await seen(theirs, async () => (await theirs.chats.person(userId))!.keyChanged === 'signed', 'signed ones');
});

test('new keys that were cut short are finished: the same ones, and every conversation with another key', async () => {
  const { between, other, theirs, id, userId } = await start();
  const refused = { ok: false, success: false, code: 'unavailable', message: 'x', error: 'x', requestId: 'x' };
  const failing = (stop: string) => {
    // The server has it; the device ends before it hears so.
    between.lies = { ack: (event, _answer, payload: { key?: string }) => (event === 'state:put' && payload.key === stop ? refused : undefined) }; // prettier-ignore
  };
  const before = await epochOn(other, id);
  for (const stop of [STATE.renewal(1), STATE.identity]) {
    failing(stop);
    await expect(other.chats.renewKeys()).rejects.toMatchObject({ code: 'unavailable' });
  }
  between.lies = {};
  between.interrupt();
  // The second one got to the server: whichever device hears of it goes on from there.
  await seen(theirs, async () => (await theirs.chats.person(userId))!.keyChanged === 'signed', 'new keys');
  await seen(other, async () => (await epochOn(other, id)) > before, 'another key');
  await other.chats.send(id, { text: 'After' });
  await says(theirs, id, ['Before', 'After']);
  expect(await said(theirs, id)).toHaveLength(2);
  expect((await other.store.read((tx) => tx.get('states', STATE.identity)))!.value).toMatchObject({
    keys: { length: 2 },
  });
});
