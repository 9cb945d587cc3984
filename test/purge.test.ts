import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Changes as Log } from '../src/changes/changes.js';
import { Purge } from '../src/changes/purge.js';
import { ExpiredBrowsers } from '../src/sessions/expired-browsers.js';
import { call, message, pair, phone, type Client, type PhoneClient } from './support/clients.js';
import { query } from './support/database.js';
import { TestServer } from './support/server.js';

let server: TestServer;
const clients: Client[] = [];

beforeAll(async () => {
  server = await TestServer.start({ tombstoneTtlMs: 1000, argon2: { memoryKib: 8, passes: 1, lanes: 1 } });
});
afterAll(async () => {
  for (const client of clients) client.close();
  await server.stop();
});

interface Changes {
  changes: { id: string; op: string; seq: number }[];
  cursor: number;
}

test('old tombstones go, what is left stays, and a cursor from before them has to start over', async () => {
  const handset = await phone(server.url);
  clients.push(handset);
  const [kept, gone] = [message(), message()];
  await handset.send('mobile:messages', { messages: [kept, gone] });
  const read = (after: number) =>
    call<Changes>(server.url, `/api/changes?after=${after}`, { token: handset.deviceToken });
  const before = (await read(0)).body;
  await handset.send('message:deleted', { messageId: gone.id });
  expect((await read(before.cursor)).body.changes).toMatchObject([{ id: gone.id, op: 'delete' }]);

  const purge = server.app.get(Purge);
  expect(await purge.run(Date.now() - 60_000)).toBe(0);
  expect(await purge.run(Date.now() + 60_000)).toBe(1);

  const old = await read(before.cursor);
  expect([old.status, (old.body as unknown as { code: string }).code]).toEqual([410, 'cursor_expired']);
  const fresh = (await read(0)).body;
  expect(fresh.changes.map(({ id }) => id)).toContain(kept.id);
  expect(fresh.changes.map(({ id }) => id)).not.toContain(gone.id);
  expect((await read(fresh.cursor)).status).toBe(200);
});

const DAY_MS = 86_400_000;

interface Session {
  token: string;
  userId: string;
  deviceId: string;
}

async function aLaptop() {
  const deviceInfo = { deviceId: randomUUID() as string, name: 'Laptop' };
  const body = { email: `${randomUUID()}@example.org`, password: 'correct horse', deviceInfo };
  const laptop = (await call(server.url, '/api/auth/register', { body })).body as Session;
  const again = async () => (await call(server.url, '/api/auth/login', { body })).body as Session;
  return { ...laptop, again };
}

async function aBrowser(handset: PhoneClient): Promise<Session> {
  const token = await pair(server.url, handset);
  const claims = Buffer.from(token.split('.')[1]!, 'base64url').toString();
  const { sub: userId, sid: deviceId } = JSON.parse(claims) as { sub: string; sid: string };
  return { token, userId, deviceId };
}

const statusOf = async (token: string) => (await call(server.url, '/api/account', { token })).status;
const remove = ({ deviceId }: Session, token: string) =>
  call(server.url, `/api/devices/${deviceId}`, { token, method: 'DELETE' });
const endedAgo = ({ userId, deviceId }: Session, ms: number) =>
  query(server.database.url, 'UPDATE devices SET expires_at = $3 WHERE account_id = $1 AND id = $2', [userId, deviceId, new Date(Date.now() - ms)]); // prettier-ignore

test('a removed device is remembered for as long as it could have tokens: when it comes back, those stay dead', async () => {
  const laptop = await aLaptop();
  await remove(laptop, laptop.token);
  await server.app.get(Purge).run(Date.now() + 60_000);
  const back = await laptop.again();
  expect(back.deviceId).toBe(laptop.deviceId);
  expect([await statusOf(back.token), await statusOf(laptop.token)]).toEqual([200, 401]);

  await remove(laptop, back.token);
  await endedAgo(laptop, 1000);
  await server.app.get(Purge).run(Date.now() + 60_000);
  expect(await query(server.database.url, 'SELECT 1 FROM devices WHERE account_id = $1', [laptop.userId])).toEqual([]);
});

test('a removed device leaves no refresh tokens, and those of others stay', async () => {
  const [laptop, tablet] = [await aLaptop(), await aLaptop()];
  for (const { userId, deviceId } of [laptop, tablet])
    await query(server.database.url, `INSERT INTO refresh_tokens (token_hash, account_id, device_id, family, generation, expires_at) VALUES ($1, $2, $3, $4, 0, now() + interval '1 day')`, [Buffer.from(randomUUID()), userId, deviceId, randomUUID()]); // prettier-ignore
  await remove(laptop, laptop.token);
  const left = await query(server.database.url, 'SELECT account_id FROM refresh_tokens');
  expect(left).toEqual([{ account_id: tablet.userId }]);
});

test('browsers go thirty days after their session, as if they were removed; phones and later ones stay', async () => {
  const handset = await phone(server.url);
  clients.push(handset);
  const [old, recent, living] = [await aBrowser(handset), await aBrowser(handset), await aBrowser(handset)];
  await endedAgo(old, 31 * DAY_MS);
  await endedAgo(recent, 29 * DAY_MS);
  const { cursor } = (await call<Changes>(server.url, '/api/changes', { token: living.token })).body;

  const expired = server.app.get(ExpiredBrowsers);
  expect(await expired.run()).toBe(1);
  const { changes } = (await call<Changes>(server.url, `/api/changes?after=${cursor}`, { token: living.token })).body;
  expect(changes).toMatchObject([{ kind: 'device', id: old.deviceId, op: 'delete' }]);
  const { devices } = (await call<{ devices: { id: string }[] }>(server.url, '/api/devices', { token: living.token })).body; // prettier-ignore
  expect(devices.map(({ id }) => id).sort()).toEqual([handset.deviceId, recent.deviceId, living.deviceId].sort());
  expect(await expired.run()).toBe(0);
});

test('a browser that comes back at the moment it would go stays', async () => {
  const laptop = await aLaptop();
  await endedAgo(laptop, 31 * DAY_MS);
  const changes = server.app.get(Log);
  const { submit } = changes;
  changes.submit = async (mutations) => {
    changes.submit = submit;
    await laptop.again();
    return submit.call(changes, mutations) as never;
  };
  expect(await server.app.get(ExpiredBrowsers).run()).toBe(0);
  expect(await statusOf(laptop.token)).toBe(200);
});
