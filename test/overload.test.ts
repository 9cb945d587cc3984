import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import pg from 'pg';
import { Changes } from '../src/changes/changes.js';
import { Connections } from '../src/delivery/connections.js';
import { type Peer } from '../src/delivery/peer.js';
import type { SocketIoTransport } from '../src/delivery/socketio.transport.js';
import { browser, call, message, pair, phone, type Ack, type PhoneClient } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { Replica, type Change } from './support/load.js';
import { RawWebSocket } from './support/raw.js';
import { TestServer } from './support/server.js';

const MAX_QUEUED = 20;
const MAX_BUFFERED = 65_536;

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits: { maxQueuedRows: MAX_QUEUED, maxBufferedBytes: MAX_BUFFERED } });
  // What no kind of row checks by itself: Postgres refuses it in the middle of a batch.
  await query(server.database.url, `ALTER TABLE messages ADD CHECK (id NOT LIKE 'refused-%')`);
});
afterEach(cleanUp);
afterAll(() => server.stop());

async function aPhone(): Promise<PhoneClient> {
  const handset = await phone(server.url);
  later(() => handset.close());
  return handset;
}

async function aPair() {
  const handset = await aPhone();
  const token = await pair(server.url, handset);
  const web = await browser(server.url, token);
  later(() => web.close());
  await web.settled();
  return { handset, web, token };
}

/** Keeps every commit of the phone's account waiting until `release`. */
async function block(handset: PhoneClient): Promise<{ release: () => Promise<unknown> }> {
  const client = new pg.Client({ connectionString: server.database.url });
  await client.connect();
  later(() => client.end());
  await client.query('BEGIN');
  const lock = 'SELECT FROM accounts a JOIN devices d ON d.account_id = a.id WHERE d.phone_id = $1 FOR UPDATE OF a';
  await client.query(lock, [handset.deviceId]);
  return { release: () => client.query('ROLLBACK') };
}

async function stored(token: string): Promise<Map<string, Record<string, unknown>>> {
  const changes: Change[] = [];
  for (let after: number | undefined = 0; after !== undefined;) {
    const path = `/api/snapshot?limit=1000&after=${after}`;
    const page: { changes: Change[]; next?: number } = (await call(server.url, path, { token })).body;
    changes.push(...page.changes);
    after = page.next;
  }
  const messages = changes.filter(({ kind }) => kind === 'message');
  return new Map(messages.map(({ id, row }) => [id, row!]));
}

test('what does not fit in the queue is refused as busy with a time to come back, and the rest goes on', async () => {
  const { handset, token } = await aPair();
  await handset.send('mobile:messages', { messages: [message({ id: 'first' })] });
  const { release } = await block(handset);
  const put = (id: string) =>
    handset.send('mobile:messages', { messages: [message({ id, body: 'x'.repeat(10_000) })] });

  const ids = Array.from({ length: 500 }, (_, number) => `burst-${number}`);
  const refused: string[] = [];
  const taken: string[] = [];
  let allAnswered!: () => void;
  const busy = new Promise<void>((resolve) => (allAnswered = resolve));
  const acks = ids.map(async (id) => {
    const ack: Ack = await put(id);
    if (ack.ok) return taken.push(id);
    expect(ack).toMatchObject({ ok: false, code: 'busy', retryAfter: 1 });
    if (refused.push(id) === ids.length - MAX_QUEUED) allAnswered();
    return undefined;
  });
  await busy;
  const changes = server.app.get(Changes);
  expect(changes.queued().rows).toBe(MAX_QUEUED);
  expect(changes.queued().bytes).toBeLessThan(MAX_QUEUED * 11_000);
  expect(await call(server.url, '/readyz')).toMatchObject({ status: 503, body: { queue: { ok: false, rows: MAX_QUEUED } } }); // prettier-ignore
  // Over REST the same is a 503 with a header.
  const renamed = await call(server.url, `/api/devices/${handset.deviceId}`, { token, method: 'PATCH', body: { name: 'New' } }); // prettier-ignore
  expect(renamed).toMatchObject({ status: 503, body: { code: 'busy', retryAfter: 1 } });
  expect(renamed.headers.get('retry-after')).toBe('1');

  await release();
  await Promise.all(acks);
  expect(taken).toEqual(ids.slice(0, MAX_QUEUED));
  expect(changes.queued()).toEqual({ rows: 0, bytes: 0 });
  for (const id of refused) expect(await put(id)).toMatchObject({ ok: true, new: 1 });
  expect([...(await stored(token)).keys()]).toEqual(['first', ...ids]);
  expect((await call(server.url, '/readyz')).status).toBe(200);
});

test('a row that Postgres refuses fails alone: the others of its batch are stored, and told', async () => {
  const { handset, web, token } = await aPair();
  await handset.send('mobile:messages', { messages: [message({ id: 'before' })] });
  const other = await aPhone();
  const { release } = await block(handset);
  const put = (from: PhoneClient, ...ids: string[]) => from.send('mobile:messages', { messages: ids.map((id) => message({ id })) }); // prettier-ignore
  const first = put(handset, 'holds the lane');
  // All of these wait, and go together in the next batch.
  const answers = Promise.all([
    put(handset, 'good-1'),
    put(handset, 'refused-1'),
    put(handset, 'good-2', 'refused-2', 'good-3'),
    web.send('web:send-message', { phoneNumber: '+15550100', message: 'Fine', tempId: 'good-4' }),
    web.send('web:send-message', { phoneNumber: '+15550100', message: 'Not', tempId: 'refused-3' }),
    put(other, 'good-5'),
  ]);
  while ((await call(server.url, '/readyz')).body.queue.rows < 7);
  await release();

  expect(await first).toMatchObject({ ok: true });
  expect(await answers).toMatchObject([
    { ok: true, new: 1 },
    { ok: false, code: 'rejected' },
    { ok: false, code: 'rejected' },
    { ok: true, messageId: 'good-4' },
    { ok: false, code: 'rejected' },
    { ok: true, new: 1 },
  ]);
  const ids = ['before', 'holds the lane', 'good-1', 'good-2', 'good-3', 'good-4'];
  expect([...(await stored(token)).keys()].sort()).toEqual(ids.sort());
  for (const id of ['good-1', 'good-2', 'good-3']) await web.next<{ id: string }>('message:new', (told) => told.id === id); // prettier-ignore
  expect(await put(handset, 'good-6')).toMatchObject({ ok: true });
});

/** A browser without any library: it can stop reading. */
async function rawBrowser(auth?: object): Promise<RawWebSocket> {
  const raw = (await RawWebSocket.open(server.url))!;
  later(() => raw.close());
  raw.send(`40${auth === undefined ? '' : JSON.stringify(auth)}`);
  await raw.next((text) => text.startsWith('40'));
  return raw;
}

function eventsOf<T>(raw: RawWebSocket, event: string): T[] {
  const head = `42["${event}",`;
  return raw.messages.filter((text) => text.startsWith(head)).map((text) => JSON.parse(text.slice(head.length, -1)) as T); // prettier-ignore
}

/** Sends texts by the phone, and after each batch tells how much the server holds for browsers that do not read. */
async function flood(handset: PhoneClient, account: string, batches: number): Promise<{ ids: string[]; held: number }> {
  const connections = server.app.get(Connections);
  const ids: string[] = [];
  let held = 0;
  for (let batch = 0; batch < batches; batch++) {
    const messages = Array.from({ length: MAX_QUEUED - 2 }, () => message({ body: randomBytes(8192).toString('hex') }));
    expect(await handset.send('mobile:messages', { messages })).toMatchObject({ ok: true });
    ids.push(...messages.map(({ id }) => id));
    let now = 0;
    for (const peer of connections.of(account).browsers) now += bufferedFor(peer);
    held = Math.max(held, now);
  }
  return { ids, held };
}

/** All that waits in this process: in Engine.IO, and in the TCP socket below. */
function bufferedFor({ transport: used }: Peer): number {
  const { conn } = (used as SocketIoTransport).socket;
  const { writeBuffer, transport } = conn as unknown as {
    writeBuffer: { data?: string }[];
    transport: { socket: { _socket: Socket } };
  };
  const waiting = writeBuffer.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
  return waiting + transport.socket._socket.writableLength;
}

async function accountOf(handset: PhoneClient): Promise<string> {
  const [row] = await query(server.database.url, 'SELECT account_id FROM devices WHERE phone_id = $1', [handset.deviceId]); // prettier-ignore
  return row!.account_id as string;
}

test('a browser that stops reading is told to resume and let go, and the server holds little for it meanwhile', async () => {
  const { handset, token, web } = await aPair();
  web.close();
  const raw = await rawBrowser();
  raw.send(`42${JSON.stringify(['web:authenticate', { sessionToken: token }])}`);
  await raw.next((text) => text.startsWith('42["authenticated"'));
  raw.pause();

  const account = await accountOf(handset);
  const { ids, held } = await flood(handset, account, 90);
  expect(ids.length * 16_384).toBeGreaterThan(24_000_000);
  expect(held).toBeLessThan(2_000_000);

  raw.resume();
  await raw.next((text) => text.startsWith('42["error"'));
  expect(eventsOf(raw, 'error')).toMatchObject([{ code: 'resume_required' }]);
  await raw.next(() => false); // until it is closed
  expect(raw.closed).toBe(true);
  // What it did get is the beginning, without a gap: it knows where to go on from.
  const got = eventsOf<{ messages: { id: string }[] }>(raw, 'messages:sync').flatMap(({ messages }) => messages.map(({ id }) => id)); // prettier-ignore
  expect(got).toEqual(ids.slice(0, got.length));
  expect(got.length).toBeLessThan(ids.length);
});

test('a follower that stops reading stays behind, costs the server a page, and then gets everything in order', async () => {
  const { handset, token, web } = await aPair();
  web.close();
  const raw = await rawBrowser({ token, after: 0 });
  raw.pause();
  const { ids, held } = await flood(handset, await accountOf(handset), 90);
  expect(held).toBeLessThan(12_000_000);
  // What it says meanwhile is answered after the page that is on its way: that one is not what makes it slow.
  raw.send('427["no-such-event"]');
  await handset.settled();

  raw.resume();
  const last = ids.at(-1)!;
  await raw.next((text) => text.startsWith('42["changes"') && text.includes(`"${last}"`));
  const replica = new Replica();
  for (const page of eventsOf<{ changes: Change[]; cursor: number }>(raw, 'changes')) replica.take(page);
  expect(replica.faults).toEqual([]);
  expect(replica.arrived).toEqual(ids);
  expect(eventsOf(raw, 'error')).toEqual([]);
  expect(raw.messages.filter((text) => text.startsWith('437['))).toHaveLength(1);
});
