import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type WebClient } from '@pairline/client';
import { Middleman } from './support/client-between.js';
import { eager, inPhase, letIn, paired, shownCode, until, webAt } from './support/client-ends.js';
import { phone as existingPhone } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';

/* The keys of an account without a phone: made once, by the first device that wants them (docs/encryption.md). */

afterEach(cleanUp);

async function start(): Promise<TestServer> {
  const server = await TestServer.start();
  later(() => server.stop());
  return server;
}

const AS = { deviceName: 'A browser', remember: true };
const person = () => ({ name: `p${randomUUID()}`, password: 'a long password', ...AS });

function keysOf(web: WebClient, keys: string): Promise<unknown> {
  return until(() => web.state.keys === keys, (again) => [web.on('state', again)], `keys ${keys}`); // prettier-ignore
}

async function signedUp(url: string, ann = person()): Promise<WebClient> {
  const web = await webAt(url);
  await web.register(ann);
  await inPhase(web, 'live');
  return web;
}

test('the first device makes the keys, the next one is let in by it, and reads what was sealed', async () => {
  const server = await start();
  const between = await Middleman.start(server.url);
  const ann = person();
  const one = await signedUp(between.url, ann);
  expect(one.state.keys).toBe('none');
  await one.chats();
  await keysOf(one, 'here');
  await inPhase(one, 'live');
  expect(one.state.encrypted).toBe(true);
  await one.setValue('plan', 'Lisbon');

  const other = await webAt(between.url);
  await other.signIn(ann);
  await keysOf(other, 'elsewhere');
  await other.chats();
  expect(await other.value('plan')).toBeUndefined();
  await expect((await other.chats()).createGroup('Friends')).rejects.toMatchObject({
    code: expect.stringMatching(/no_keys|offline/),
  });
  await letIn(one, other);
  await keysOf(other, 'here');
  await until(async () => (await other.value('plan')) === 'Lisbon', (again) => [other.on('values', again), other.on('state', again)], 'the value'); // prettier-ignore
  // The device that had signed in is the one that was let in.
  expect((await one.devices()).map(({ verified }) => verified)).toEqual([true, true]);
  expect(between.sent.join('\n')).not.toMatch(/Lisbon/);
});

test('of two devices that begin at once, one makes the keys', async () => {
  const { url } = await start();
  const ann = person();
  const one = await signedUp(url, ann);
  const other = await webAt(url);
  await other.signIn(ann);
  await inPhase(other, 'live');
  await Promise.all([one.chats(), other.chats()]);
  const settled = (web: WebClient) => until(() => web.state.keys !== 'none', (again) => [web.on('state', again)], 'keys'); // prettier-ignore
  await Promise.all([settled(one), settled(other)]);
  expect([one.state.keys, other.state.keys].sort()).toEqual(['elsewhere', 'here']);
});

test('keys whose announcement got through without its answer are the account’s', async () => {
  const server = await start();
  const between = await Middleman.start(server.url);
  const store = memoryStore();
  const one = eager(await webAt(between.url, { store }));
  await one.register(person());
  await inPhase(one, 'live');
  let lost = 0;
  between.lies = {
    ack: (event, _answer, payload: { key?: string }) =>
      event === 'state:put' && payload.key === 'e2e/first' && lost++ === 0
        ? { ok: false, success: false, code: 'unavailable', message: 'x', error: 'x', requestId: 'x' }
        : undefined,
  };
  await one.chats();
  // It may have tried again by itself before anybody looks.
  await until(() => lost > 0, (again) => [one.on('state', again), every(again)], 'an answer that is lost'); // prettier-ignore
  await one.chats();
  await keysOf(one, 'here');
});

/** Looks again whenever the event loop is idle: nothing tells of a request. */
function every(again: () => void): () => void {
  const timer = setInterval(again, 20);
  return () => clearInterval(timer);
}

test('who signs in again on the device that has the keys goes on with them', async () => {
  const { url } = await start();
  const ann = person();
  const store = memoryStore();
  const one = await webAt(url, { store });
  await one.register(ann);
  await inPhase(one, 'live');
  await one.chats();
  await keysOf(one, 'here');
  await one.setValue('plan', 'Lisbon');
  // As after a session that ran out.
  await one.signIn(ann);
  await inPhase(one, 'live');
  expect(one.state.keys).toBe('here');
  expect(await one.value('plan')).toBe('Lisbon');
  const other = await webAt(url);
  await letIn(one, other);
  await inPhase(other, 'live');
  await until(async () => (await other.value('plan')) === 'Lisbon', (again) => [other.on('values', again), other.on('state', again)], 'the value'); // prettier-ignore
});

test('who has lost all devices starts over: the others are out, and what was sealed stays so', async () => {
  const { url } = await start();
  const ann = person();
  const lost = await signedUp(url, ann);
  await lost.chats();
  await keysOf(lost, 'here');
  await lost.setValue('plan', 'Lisbon');
  await expect(lost.startOver()).rejects.toMatchObject({ code: 'bad_request' });

  const found = await webAt(url);
  await found.signIn(ann);
  await keysOf(found, 'elsewhere');
  await inPhase(found, 'live');
  await found.startOver();
  await keysOf(found, 'here');
  await inPhase(found, 'live');
  await until(() => lost.state.phase === 'signed-out', (again) => [lost.on('state', again)], 'signed out'); // prettier-ignore
  expect(await found.value('plan')).toBeUndefined();
  await found.setValue('plan', 'Porto');
  const next = await webAt(url);
  await letIn(found, next);
  await until(async () => (await next.value('plan')) === 'Porto', (again) => [next.on('values', again), next.on('state', again)], 'the value'); // prettier-ignore
});

test('where a phone is that does not encrypt, no keys are made that it could not read with', async () => {
  const { url } = await start();
  const phone = await existingPhone(url);
  later(() => phone.close());
  const web = await webAt(url);
  const pairing = web.pair({ deviceName: 'A browser', remember: true });
  await phone.send('mobile:scan-qr', { qrData: await shownCode(pairing), deviceId: phone.deviceId });
  await paired(pairing);
  await inPhase(web, 'live');
  const chats = await web.chats();
  await expect(chats.createGroup('Friends')).rejects.toMatchObject({ code: 'no_keys' });
  expect(web.state).toMatchObject({ keys: 'none', encrypted: false });
});
