import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Cluster } from '../src/cluster/cluster.js';
import { parseEnv } from '../src/env.js';
import { browser, call, Client, follower, generateQr, message, pair, phone, waitPairing } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { aPair, CHEAP, people, post, sealed, type Person } from './support/people.js';
import { createTestDatabase, type TestDatabase } from './support/postgres.js';
import { isInstalled } from './support/programs.js';
import { REDIS, startRedis, type RedisServer } from './support/redis.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { change } from './support/table-client.js';
import { WsClient } from './support/ws.js';

// Several servers on one database, with a real Redis between them: each test has people at one and at the other.

const there = isInstalled('redis-server', REDIS) ? describe : describe.skip;

const kept = <T extends { close(): void }>(client: T): T => (later(() => client.close()), client);

there('two servers on one database', () => {
  let redis: RedisServer;
  let database: TestDatabase;
  let one: TestServer;
  let other: TestServer;
  const start = (options: ServerOptions = {}) =>
    TestServer.start({ ...CHEAP, database, redisUrl: redis.url, ...options });

  beforeAll(async () => {
    redis = await startRedis();
    database = await createTestDatabase();
    [one, other] = [await start(), await start()];
  });
  afterEach(cleanUp);
  afterAll(async () => {
    await Promise.all([one.stop(), other.stop()]);
    await redis.kill();
    await database.drop();
  });

  /** A phone at one, its browser at the other. */
  async function apart() {
    const handset = kept(await phone(one.url));
    const token = await pair(one.url, handset);
    const web = kept(await browser(other.url, token));
    return { handset, token, web };
  }

  /** Two devices of section B of one account, one at each. */
  async function liveApart() {
    const [person] = (await people(one.url, 1)) as [Person];
    const at = async (url: string, name: string) => {
      const body = { pseudo: person.name, password: person.password, deviceInfo: { name } };
      const { token, deviceId } = (await call(url, '/api/auth/login', { body })).body;
      const client = kept(new Client(url, { auth: { token }, query: { deviceInfo: JSON.stringify({ name }) } }));
      await client.next('session-restored');
      return { client, token: token as string, deviceId: deviceId as string };
    };
    return { person, laptop: await at(one.url, 'Laptop'), tablet: await at(other.url, 'Tablet') };
  }

  test('a phone at one and a browser at the other: messages both ways, statuses, and what was read', async () => {
    const { handset, web } = await apart();
    const text = message({ id: 'm-1' });
    await handset.send('mobile:messages', { messages: [text] });
    expect(await web.next('message:new')).toMatchObject({ id: 'm-1', body: text.body });
    const conversation = { id: text.conversationId, phoneNumber: text.phoneNumber, lastMessage: text.body };
    await handset.send('mobile:conversations', { conversations: [{ ...conversation, lastMessageTime: text.timestamp, unreadCount: 1 }] }); // prettier-ignore
    await web.next('conversations:sync');
    await web.send('web:send-message', { phoneNumber: text.phoneNumber, message: 'Hello', tempId: 't-1' });
    expect(await handset.next('send:message')).toMatchObject({ message: 'Hello', tempId: 't-1' });
    await handset.send('mobile:message-status', { messageId: 't-1', status: 'delivered' });
    await web.next('message:status', ({ messageId, status }) => messageId === 't-1' && status === 'delivered');
    await web.send('web:mark-read', { conversationId: text.conversationId });
    expect(await handset.next('mark:read')).toEqual({ conversationId: text.conversationId });
    await web.send('web:delete-message', { messageId: 'm-1' });
    expect(await handset.next('delete:message')).toEqual({ messageId: 'm-1' });
  });

  test('what a browser began at the other server moves to the conversation that the phone names at this one', async () => {
    const { handset, web, token } = await apart();
    await web.send('web:send-message', { phoneNumber: '+15550001111', message: 'First', tempId: 'first' });
    await handset.next('send:message');
    await handset.send('mobile:messages', { messages: [message({ id: 'named', conversationId: 'c-9', phoneNumber: '+15550001111' })] }); // prettier-ignore
    await web.next('messages:sync', ({ messages }) => messages.some(({ id, conversationId }: { id: string; conversationId: string }) => id === 'first' && conversationId === 'c-9')); // prettier-ignore
    await web.send('web:send-message', { phoneNumber: '+15550001111', message: 'Second', tempId: 'second' });
    const { body } = await call(other.url, '/api/snapshot', { token });
    const rows = (body.changes as { kind: string; row: { id: string; conversationId: string } }[]).filter(({ kind }) => kind === 'message'); // prettier-ignore
    expect(new Set(rows.map(({ row }) => row.conversationId))).toEqual(new Set(['c-9']));
  });

  test('of two conversations with one number the servers tell each other once', async () => {
    const { handset, web } = await apart();
    await web.send('web:send-message', { phoneNumber: '+15550004444', message: 'Hi', tempId: 'hi' });
    await handset.next('send:message');
    const told: unknown[] = [];
    for (const { app } of [one, other])
      app.get(Cluster).hear('conversation.named', (...[, , place]: unknown[]) => told.push(place));
    const phoneNumber = '+15550004444';
    const messages = ['c-1', 'c-2'].map((conversationId) => message({ id: conversationId, conversationId, phoneNumber })); // prettier-ignore
    await handset.send('mobile:messages', { messages });
    await web.next('messages:sync', ({ messages: moved }) => moved.some(({ id }: { id: string }) => id === 'hi'));
    // Long enough for word to go to and fro many times.
    for (let n = 0; n < 50; n++) await Promise.all([handset.settled(), web.settled()]);
    expect(told).toHaveLength(2);
  });

  test('browsers are told whether the phone is there, wherever it is', async () => {
    const { handset, web, token } = await apart();
    expect(await web.next('mobile:connected')).toMatchObject({ deviceId: handset.deviceId });
    web.forget();
    handset.close();
    expect(await web.next('mobile:disconnected')).toMatchObject({ deviceId: handset.deviceId });
    const late = kept(await browser(other.url, token));
    expect(await late.next('mobile:disconnected')).toMatchObject({ deviceId: handset.deviceId });
    expect(await late.send('web:request-sync')).toMatchObject({ ok: false, code: 'phone_away' });
    const { deviceId, deviceToken } = handset;
    const back = kept(await phone(one.url, { deviceId, deviceToken }));
    expect(await late.next('mobile:connected')).toMatchObject({ deviceId });
    await back.next('request:sync');
    expect(await late.send('web:request-sync')).toEqual({ ok: true });
    await back.next('request:sync', undefined, 2);
  });

  test('a phone that comes to the other server leaves the first, and browsers see it stay', async () => {
    const { handset, web } = await apart();
    await web.next('mobile:connected');
    web.forget();
    const { deviceId, deviceToken } = handset;
    const moved = kept(await phone(other.url, { deviceId, deviceToken }));
    expect(await handset.next('error')).toMatchObject({ code: 'replaced' });
    await handset.next('disconnect');
    await web.send('web:send-message', { phoneNumber: '+15550002222', message: 'Where are you?', tempId: 'where' });
    await moved.next('send:message');
    await web.settled();
    expect(web.all('mobile:disconnected')).toEqual([]);
  });

  test('the change log, a long poll and a stream at one hear of a commit at the other, in its order', async () => {
    const { handset, token } = await apart();
    const socket = kept(follower(other.url, token));
    await socket.next('changes');
    const { cursor } = (await call(other.url, '/api/snapshot', { token })).body;
    const poll = call(other.url, `/api/changes?after=${cursor}&wait=60`, { token });
    await untilWaiting(other);
    for (const id of ['a', 'b', 'c']) await handset.send('mobile:messages', { messages: [message({ id })] });
    expect((await poll).body.changes.length).toBeGreaterThan(0);
    const ids = () => socket.all('changes').flatMap(({ changes }) => changes as { kind: string; id: string }[]).filter(({ kind }) => kind === 'message').map(({ id }) => id); // prettier-ignore
    await socket.until(() => ids().length === 3, 'three messages');
    expect(ids()).toEqual(['a', 'b', 'c']);
  });

  test('a code that is shown at one is scanned at the other', async () => {
    const handset = kept(await phone(one.url));
    const { qrData, token } = await generateQr(other.url);
    const waiting = waitPairing(other.url, token);
    await untilWaiting(other, 'pairing');
    expect(await handset.send('mobile:scan-qr', { qrData, deviceId: handset.deviceId })).toMatchObject({ ok: true });
    expect((await waiting).body).toMatchObject({ success: true });
  });

  test('session state, and what devices tell each other in passing, cross over', async () => {
    const { laptop, tablet } = await liveApart();
    expect(await laptop.client.next('device-connected')).toMatchObject({ deviceId: tablet.deviceId });
    await laptop.client.send('session-update', { sessionKey: 'scroll', state: { y: 7 } });
    expect(await tablet.client.next('session-updated')).toMatchObject({ sessionKey: 'scroll', state: { y: 7 } });
    await tablet.client.send('realtime-event', { type: 'cursor', payload: { x: 1 } });
    expect(await laptop.client.next('realtime-event')).toMatchObject({ type: 'cursor', sourceDeviceId: tablet.deviceId }); // prettier-ignore
    const targeted = { type: 'only-you', payload: 1, targetDeviceId: tablet.deviceId };
    await laptop.client.send('realtime-event', targeted);
    expect(await tablet.client.next('realtime-event')).toMatchObject({ type: 'only-you' });
    const sent = { targetDeviceId: tablet.deviceId, message: 'Psst' };
    expect(await laptop.client.send('device-message', sent)).toEqual({ ok: true });
    expect(await tablet.client.next('device-message')).toMatchObject({ message: 'Psst', sourceDeviceId: laptop.deviceId }); // prettier-ignore
    tablet.client.close();
    expect(await laptop.client.next('device-disconnected')).toMatchObject({ deviceId: tablet.deviceId });
    expect(await laptop.client.send('device-message', sent)).toMatchObject({ ok: false, code: 'not_found' });
  });

  test('people at two servers talk, over both transports, and see each other type', async () => {
    const [ada, bob] = (await people(one.url, 2)) as [Person, Person];
    const id = await aPair(ada, bob);
    const hers = kept(new Client(one.url, { auth: { token: ada.token } }));
    const his = kept(new WsClient(other.url, { query: { token: bob.token } }));
    await Promise.all([hers.connected(), his.connected()]);
    await Promise.all([hers.settled(), his.settled()]);
    await hers.send('userTyping', { conversationId: id });
    await his.next('userTyping');
    const messageContent = sealed('hello');
    await hers.send('sendMessage', { conversationId: id, messageContent, messageId: 'm-1', epoch: 1 });
    await his.next('userStoppedTyping');
    expect(await his.next('newMessage')).toMatchObject({ message_id: 'm-1', messageContent });
    await his.send('react', { conversationId: id, messageId: 'm-1', content: sealed('+') });
    expect(await hers.next('reaction')).toMatchObject({ message_id: 'm-1', user_id: bob.id });
    expect(await post(bob, id)).toMatchObject({ number: expect.any(Number) });
    await hers.next('newMessage');
  });

  test('two who invite each other at two servers in one moment have one conversation', async () => {
    for (let round = 0; round < 5; round++) {
      const [ada, bob] = (await people(one.url, 2)) as [Person, Person];
      const ask = (by: Person, url: string, whom: Person) =>
        call(url, '/api/conversations/invite', { token: by.token, body: { pseudo: whom.name, key: 'a wrapped key' } });
      const [hers, his] = await Promise.all([ask(ada, one.url, bob), ask(bob, other.url, ada)]);
      expect([hers.status, his.status].every((status) => status < 300)).toBe(true);
      expect(hers.body.conversation_id).toBe(his.body.conversation_id);
    }
  });

  test('writers of one account at both servers at once get one order, without a gap', async () => {
    const { handset, token, web } = await apart();
    const clientId = randomUUID();
    const [name, password] = [`ann-${clientId.slice(0, 8)}`, 'a long password'];
    await call(one.url, '/api/account/name', { token, method: 'PUT', body: { name, password } });
    const authorization = `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
    const { access_token: table } = (await call(other.url, '/login/default', { body: { clientId }, headers: { authorization } })).body; // prettier-ignore
    const from = async (n: number) => {
      await handset.send('mobile:messages', { messages: [message({ id: `m-${n}` })] });
    };
    const at = async (n: number) => {
      const { status } = await call(other.url, '/push/default', { token: table, body: { lastSync: 0, changes: [change(randomUUID(), Date.now(), n)] } }); // prettier-ignore
      expect(status).toBe(200);
    };
    const socket = kept(follower(other.url, token));
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    await Promise.all(numbers.flatMap((n) => [from(n), at(n), web.send('state:put', { key: `k-${n}`, value: n })]));
    const told = () => socket.all('changes').flatMap(({ changes }) => changes as { seq: number; kind: string }[]);
    const wanted = () => told().filter(({ kind }) => ['message', 'record', 'state'].includes(kind));
    await socket.until(() => wanted().length >= 60, 'all that was written');
    const seqs = told().map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
    expect(wanted()).toHaveLength(60);
  });

  test('who is removed at one is out at the other, and the token is no good there', async () => {
    const { token, web } = await apart();
    const { status } = await call(other.url, '/api/devices', { token });
    expect(status).toBe(200);
    const { sid } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
    await call(one.url, `/api/devices/${sid}`, { token, method: 'DELETE' });
    await web.next('disconnect');
    expect((await call(other.url, '/api/devices', { token })).status).toBe(401);
  });

  test('a search at one finds who registered, changed their name or went at the other', async () => {
    const [ada] = (await people(one.url, 1)) as [Person];
    const found = async (q: string) =>
      (await call(one.url, `/api/profile/search/${q}?method=startsWith`, { token: ada.token })).body as unknown;
    const q = `zz${randomUUID().slice(0, 8)}`;
    expect(JSON.stringify(await found(q))).not.toContain(q);
    const { body } = await call(other.url, '/api/auth/register', { body: { pseudo: `${q}-late`, public_key: sealed(), password: 'a long password' } }); // prettier-ignore
    await untilTrue(async () => JSON.stringify(await found(q)).includes(`${q}-late`));
    await call(other.url, '/api/account', { token: body.token, method: 'DELETE', body: { password: 'a long password' } }); // prettier-ignore
    await untilTrue(async () => !JSON.stringify(await found(q)).includes(`${q}-late`));
  });

  test('limits count what was done at both', async () => {
    // By another key, so that nothing has been counted yet.
    const own = await createTestDatabase();
    later(() => own.drop());
    const options = { database: own, encryptionKey: randomBytes(32), limits: { qrCodesPerMinute: 3 } };
    const [first, second] = [await start(options), await start(options)];
    later(() => Promise.all([first.stop(), second.stop()]));
    for (const { url } of [first, second, first]) expect((await call(url, '/api/auth/generate-qr')).status).toBe(200);
    expect((await call(second.url, '/api/auth/generate-qr')).status).toBe(429);
  });

  test('nothing of what is said is readable in Redis, and what others say there is not heard', async () => {
    const watcher = new Redis(redis.url);
    later(() => watcher.disconnect());
    const heard: Buffer[] = [];
    watcher.on('pmessageBuffer', (_: string, __: Buffer, sealedText: Buffer) => heard.push(sealedText));
    await watcher.psubscribe('*');
    const { handset, web } = await apart();
    await handset.send('mobile:messages', { messages: [message({ id: 'm', body: 'a secret of mine' })] });
    await web.next('message:new');
    expect(heard.length).toBeGreaterThan(0);
    expect(Buffer.concat(heard).includes('secret of mine')).toBe(false);

    const speaker = new Redis(redis.url);
    later(() => speaker.disconnect());
    await call(one.url, '/api/auth/login', { body: { pseudo: 'a-name-of-mine', password: 'a wrong password' } });
    const names = (await speaker.keys('*')).join(' ');
    expect(names).toContain(':wrong-sign-ins:');
    expect(names).not.toMatch(/a-name-of-mine|127\.0\.0\.1/);
    const { channel } = other.app.get(Cluster).shared as unknown as { channel: string };
    for (const forged of ['["x",[["gap",[]]]]', '', 'x'.repeat(100)]) await speaker.publish(channel, forged);
    await web.send('web:send-message', { phoneNumber: '+15550003333', message: 'Still here', tempId: 'still' });
    await handset.next('send:message');
    expect(web.all('disconnect')).toEqual([]);
  });

  test('a server that is gone without a word is noticed: its phone is told of as away', async () => {
    const third = await start();
    later(() => third.stop());
    const handset = kept(await phone(third.url));
    const token = await pair(third.url, handset);
    const web = kept(await browser(other.url, token));
    await web.next('mobile:connected');
    // As its end leaves things: it says nothing any more, and its sign of life is over.
    const cluster = third.app.get(Cluster);
    const { redis: link, prefix } = cluster.shared!;
    const { node } = cluster;
    link.disconnect();
    const cleaner = new Redis(redis.url);
    later(() => cleaner.disconnect());
    await cleaner.del(`${prefix}alive:${node}`);
    // Who looks before the others have cleared up takes nothing from what there is to tell.
    const early = kept(await browser(one.url, token));
    expect(await early.next('mobile:disconnected')).toMatchObject({ deviceId: handset.deviceId });
    expect(await web.next('mobile:disconnected')).toMatchObject({ deviceId: handset.deviceId });
  });

  test('a server that stops tells the others who has left it', async () => {
    const third = await start();
    const handset = kept(await phone(third.url));
    const token = await pair(third.url, handset);
    const web = kept(await browser(other.url, token));
    await web.next('mobile:connected');
    await third.stop();
    expect(await web.next('mobile:disconnected')).toMatchObject({ deviceId: handset.deviceId });
  });

  test('connections to Redis that carry nothing any more, and say nothing, are made anew; what was missed is read', async () => {
    const gate = await openGate(redis.url);
    const third = await start({ redisUrl: gate.url });
    later(() => third.stop());
    const handset = kept(await phone(one.url));
    const token = await pair(one.url, handset);
    const web = kept(await browser(third.url, token));
    await web.next('mobile:connected');
    gate.silence();
    await handset.send('mobile:messages', { messages: [message({ id: 'unheard' })] });
    expect(await web.next('error')).toMatchObject({ code: 'resume_required' });
    const again = kept(await browser(third.url, token));
    await again.next('messages:sync', ({ messages }) => messages.some(({ id }: { id: string }) => id === 'unheard'));
  });

  test('with Redis gone each goes on by itself; once it is back everybody begins anew, and nothing is lost', async () => {
    const { handset, token, web } = await apart();
    await web.next('mobile:connected');
    await redis.kill();
    expect(await handset.send('mobile:messages', { messages: [message({ id: 'meanwhile' })] })).toMatchObject({ ok: true }); // prettier-ignore
    const reply = await call(one.url, '/readyz');
    expect([reply.status, reply.body]).toEqual([200, expect.objectContaining({ ready: true, redis: false })]);
    await redis.start();
    expect(await web.next('error')).toMatchObject({ code: 'resume_required' });
    await handset.next('error', ({ code }) => code === 'resume_required');
    const again = kept(await browser(other.url, token));
    await again.next('messages:sync', ({ messages }) => messages.some(({ id }: { id: string }) => id === 'meanwhile'));
    const { deviceId, deviceToken } = handset;
    const back = kept(await phone(one.url, { deviceId, deviceToken }));
    await back.send('mobile:messages', { messages: [message({ id: 'afterwards' })] });
    await again.next('message:new', ({ id }) => id === 'afterwards');
  });
});

test('REDIS_URL wants what several servers share', () => {
  const set = (more: object) => () => parseEnv({ REDIS_URL: 'redis://127.0.0.1', ...more });
  expect(set({})).toThrow('DATABASE_URL, JWT_SECRET and ENCRYPTION_KEY must be set when REDIS_URL is');
  expect(set({ REDIS_URL: 'http://127.0.0.1' })).toThrow('REDIS_URL must be an address that begins with redis://');
});

/** A way to Redis. `silence`: what went by it so far goes no further, and no end of it is told; new connections pass. */
async function openGate(redisUrl: string) {
  const { hostname, port } = new URL(redisUrl);
  const open = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [socket, other] of [[near, far], [far, near]] as const) {
      socket.on('error', () => undefined).on('close', () => other.destroy());
      socket.pipe(other);
      open.add(socket);
    }
  }).listen(0, '127.0.0.1'); // prettier-ignore
  await once(server, 'listening');
  later(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const silence = () => {
    for (const socket of open) socket.unpipe().pause();
  };
  return { url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`, silence };
}

/** Resolves when a long poll waits at this server. */
async function untilWaiting({ url }: TestServer, what = 'changes'): Promise<void> {
  await untilTrue(async () => {
    const { body } = await call<string>(url, '/metrics');
    return new RegExp(`pairline_long_polls\\{what="${what}"\\} [1-9]`).test(body);
  });
}

async function untilTrue(look: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 15_000; !(await look());) if (Date.now() > end) throw new Error('never came true');
}
