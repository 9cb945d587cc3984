import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Metrics } from '../src/metrics.js';
import { browser, call, follower, message, pair, phone, type Client, type PhoneClient } from './support/clients.js';
import { query } from './support/database.js';
import { TestServer } from './support/server.js';
import {
  bySnapshot,
  byDelta,
  byLongPoll,
  EventStream,
  keep,
  newest,
  View,
  type Change,
  type Page,
} from './support/views.js';

const limits = { registrationsPerHour: 0, qrCodesPerMinute: 0, sendsPerMinute: 0, wrongTokensPerMinute: 0 };
let server: TestServer;
const clients: Client[] = [];
const streams: EventStream[] = [];
const kept = <T extends Client>(client: T): T => (clients.push(client), client);
/** Quiet since the beginning of this file. */
let quiet: EventStream;

interface Account {
  handset: PhoneClient;
  /** A browser's token. */
  token: string;
}

async function anAccount(url = server.url): Promise<Account> {
  const handset = kept(await phone(url));
  return { handset, token: await pair(url, handset) };
}

async function aStream(...args: Parameters<typeof EventStream.open>): Promise<EventStream> {
  const stream = await EventStream.open(...args);
  streams.push(stream);
  return stream;
}

const tell = (handset: PhoneClient, ...messages: unknown[]) => handset.send('mobile:messages', { messages });
const get = <T = Page>(token: string, path: string, url = server.url) => call<T>(url, path, { token });
const cursorOf = async (token: string) => (await get(token, '/api/changes?limit=1000')).body.cursor;
const messagesOf = (changes: Change[]) => changes.filter(({ kind }) => kind === 'message').map(({ row }) => row.body);
/** The id of the browser that a session token belongs to. */
const browserId = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).sid as string;
const accountId = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).sub as string;

/** Resolves once so many long polls wait. */
async function polls(count: number, of = server): Promise<void> {
  const { longPolls } = of.app.get(Metrics);
  const waiting = async () =>
    (await longPolls.get()).values.find(({ labels }) => labels.what === 'changes')?.value ?? 0;
  while ((await waiting()) !== count) await new Promise(setImmediate);
}

/** Tombstones up to this number are gone. */
const forgetUpTo = (token: string, seq: number) =>
  query(server.database.url, 'UPDATE accounts SET horizon = $2 WHERE id = $1', [accountId(token), seq]);

beforeAll(async () => {
  server = await TestServer.start({ limits });
  const handset = await phone(server.url);
  quiet = await EventStream.open(server.url, handset.deviceToken, { after: 1 });
  handset.close();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const stream of streams.splice(0)) stream.close();
});
afterAll(async () => {
  quiet.close();
  await server.stop();
});

const BODY = { success: false, message: expect.any(String), error: expect.any(String), requestId: expect.any(String) };

describe('GET /api/changes', () => {
  test('tells of devices, conversations and messages from the beginning, in order', async () => {
    const { handset, token } = await anAccount();
    const sent = message({ body: 'Hi' });
    await tell(handset, sent);
    const { status, headers, body } = await get(token, '/api/changes');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toContain('application/json');
    const put = { op: 'put', seq: expect.any(Number), at: expect.any(Number) };
    expect(body).toEqual({
      changes: [
        {
          ...put,
          kind: 'device',
          id: handset.deviceId,
          row: {
            id: handset.deviceId,
            kind: 'phone',
            name: 'Test phone',
            model: 'T1',
            createdAt: expect.any(Number),
          },
        },
        {
          ...put,
          kind: 'device',
          id: browserId(token),
          row: {
            id: browserId(token),
            kind: 'browser',
            name: expect.any(String),
            pairedWith: handset.deviceId,
            createdAt: expect.any(Number),
          },
        },
        {
          ...put,
          kind: 'conversation',
          id: 'thread-1',
          row: {
            id: 'thread-1',
            phoneNumber: '+15550100',
            lastMessageTime: 0,
            unreadCount: 0,
            countedUpTo: 0,
            readUpTo: 0,
          },
        },
        { ...put, kind: 'message', id: sent.id, row: sent },
      ],
      cursor: expect.any(Number),
      more: false,
    });
    const seqs = body.changes.map(({ seq }) => seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(body.cursor).toBeGreaterThanOrEqual(seqs.at(-1)!);
  });

  test('tells from a cursor on what changed after it; a row that changed twice shows once, as it is now', async () => {
    const { handset, token } = await anAccount();
    const [first, second] = [message({ type: 'sent' }), message()];
    await tell(handset, first, second);
    const cursor = await cursorOf(token);
    expect((await get(token, `/api/changes?after=${cursor}`)).body).toEqual({ changes: [], cursor, more: false });
    await handset.send('mobile:message-status', { messageId: first.id, status: 'sent' });
    await handset.send('mobile:message-status', { messageId: first.id, status: 'delivered' });
    const { changes } = (await get(token, `/api/changes?after=${cursor}`)).body;
    expect(changes).toMatchObject([{ kind: 'message', id: first.id, row: { ...first, status: 'delivered' } }]);
  });

  test('tells of a deleted row by its id alone', async () => {
    const { handset, token } = await anAccount();
    const other = await pair(server.url, handset);
    const sent = message();
    await tell(handset, sent);
    const cursor = await cursorOf(token);
    await handset.send('message:deleted', { messageId: sent.id });
    await call(server.url, `/api/devices/${browserId(other)}`, { token, method: 'DELETE' });
    const { changes } = (await get(token, `/api/changes?after=${cursor}`)).body;
    expect(changes).toEqual([
      { kind: 'message', id: sent.id, op: 'delete', seq: expect.any(Number), at: expect.any(Number) },
      { kind: 'device', id: browserId(other), op: 'delete', seq: expect.any(Number), at: expect.any(Number) },
    ]);
  });

  test.each([1, 7, 1000])('in pages of %i it is the same', async (limit) => {
    const { handset, token } = await anAccount();
    await tell(handset, ...Array.from({ length: 40 }, () => message()));
    const whole = (await get(token, '/api/changes')).body;
    const pages: Page[] = [];
    for (let after = 0, more = true; more;) {
      const page = (await get(token, `/api/changes?after=${after}&limit=${limit}`)).body;
      expect(page.changes.length).toBeLessThanOrEqual(limit);
      pages.push(page);
      after = page.cursor;
      more = page.more!;
    }
    expect(pages.flatMap(({ changes }) => changes)).toEqual(whole.changes);
    expect(pages.at(-1)!.cursor).toBe(whole.cursor);
  });

  test('500 is the page when no limit is given', async () => {
    const { handset, token } = await anAccount();
    await tell(handset, ...Array.from({ length: 600 }, () => message()));
    const { changes, more } = (await get(token, '/api/changes')).body;
    expect([changes.length, more]).toEqual([500, true]);
  });

  test('shows nothing of another account', async () => {
    const [mine, other] = [await anAccount(), await anAccount()];
    await tell(other.handset, message({ body: 'Not yours' }));
    expect(JSON.stringify((await get(mine.token, '/api/changes')).body)).not.toContain('Not yours');
  });

  test('a phone reads with its device token', async () => {
    const { handset, token } = await anAccount();
    await tell(handset, message());
    const one = await get(handset.deviceToken, '/api/changes');
    expect(one.status).toBe(200);
    expect(one.body).toEqual((await get(token, '/api/changes')).body);
    expect((await get(handset.deviceToken, '/api/snapshot')).body.changes).toEqual(one.body.changes);
    const stream = await aStream(server.url, handset.deviceToken, { after: 0 });
    await stream.until(() => stream.events.length > 0);
    expect((stream.events[0]!.data as Page).changes).toEqual(one.body.changes);
  });

  test.each(['/api/changes', '/api/snapshot', '/api/changes/stream'])('%s is closed to strangers', async (path) => {
    const none = await call(server.url, path);
    expect([none.status, none.body]).toEqual([401, { ...BODY, code: 'not_authenticated' }]);
    const wrong = await get(`${'x'.repeat(20)}`, path);
    expect([wrong.status, wrong.body]).toEqual([401, { ...BODY, code: 'authentication_failed' }]);
  });

  test.each([
    'changes?after=-1',
    'changes?after=abc',
    'changes?after=1.5',
    'changes?after=9007199254740992',
    'changes?after=1&after=2',
    'changes?limit=0',
    'changes?limit=1001',
    'changes?limit=many',
    'changes?wait=-1',
    'changes?wait=61',
    'changes?wait=long',
    'snapshot?after=-1',
    'snapshot?limit=0',
    'snapshot?limit=1001',
    'changes/stream?after=-1',
    'changes/stream?after=abc',
  ])('/api/%s is refused', async (path) => {
    const { token } = await anAccount();
    const { status, body } = await get(token, `/api/${path}`);
    expect([status, body]).toEqual([400, { ...BODY, code: 'bad_request' }]);
  });
});

describe('a long poll', () => {
  test('is answered by the next commit', async () => {
    const { handset, token } = await anAccount();
    const cursor = await cursorOf(token);
    const polling = get(token, `/api/changes?after=${cursor}&wait=60`);
    await polls(1);
    await tell(handset, message({ body: 'Worth waiting for' }));
    const { status, body } = await polling;
    expect([status, messagesOf(body.changes)]).toEqual([200, ['Worth waiting for']]);
    expect(body.cursor).toBeGreaterThan(cursor);
  });

  test('is answered at once when there is something already', async () => {
    const { handset, token } = await anAccount();
    await tell(handset, message({ body: 'There' }));
    expect(messagesOf((await get(token, '/api/changes?wait=60')).body.changes)).toEqual(['There']);
  });

  test('is answered with nothing when its time is over', async () => {
    const { token } = await anAccount();
    const cursor = await cursorOf(token);
    const { status, body } = await get(token, `/api/changes?after=${cursor}&wait=1`);
    expect([status, body]).toEqual([200, { changes: [], cursor, more: false }]);
  });

  test('is not answered by another account’s commit', async () => {
    const [mine, other] = [await anAccount(), await anAccount()];
    const cursor = await cursorOf(mine.token);
    const polling = get(mine.token, `/api/changes?after=${cursor}&wait=60`);
    await polls(1);
    await tell(other.handset, message({ body: 'Not yours' }));
    await tell(mine.handset, message({ body: 'Mine' }));
    expect(messagesOf((await polling).body.changes)).toEqual(['Mine']);
  });

  test('ends when its session is revoked', async () => {
    const { handset, token } = await anAccount();
    const polling = get(token, `/api/changes?after=${await cursorOf(token)}&wait=60`);
    await polls(1);
    const id = browserId(token);
    await call(server.url, `/api/devices/${id}`, { token: handset.deviceToken, method: 'DELETE' });
    const { status, body } = await polling;
    expect([status, body]).toEqual([401, { ...BODY, code: 'device_revoked' }]);
    expect((await get(token, '/api/changes')).status).toBe(401);
  });

  test('ends when the server stops', async () => {
    const own = await TestServer.start({ limits });
    const { token } = await anAccount(own.url);
    const { cursor } = (await get(token, '/api/changes', own.url)).body;
    const polling = get(token, `/api/changes?after=${cursor}&wait=60`, own.url);
    await polls(1, own);
    await own.stop();
    const { status, body, headers } = await polling;
    expect([status, body]).toEqual([503, { ...BODY, code: 'stopping', retryAfter: expect.any(Number) }]);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  });

  test('that was given up leaves nothing behind', async () => {
    const { token } = await anAccount();
    const cursor = await cursorOf(token);
    const gone = new AbortController();
    const polling = call(server.url, `/api/changes?after=${cursor}&wait=60`, { token, signal: gone.signal });
    await polls(1);
    gone.abort();
    await expect(polling).rejects.toThrow();
    await polls(0);
  });
});

describe('GET /api/snapshot', () => {
  test('is everything there is, without what was deleted', async () => {
    const { handset, token } = await anAccount();
    const [gone, left] = [message(), message()];
    await tell(handset, gone, left);
    await handset.send('message:deleted', { messageId: gone.id });
    const { status, body } = await get<Page & { next?: number }>(token, '/api/snapshot');
    expect(status).toBe(200);
    expect(body.changes.map(({ kind }) => kind)).toEqual(['device', 'device', 'conversation', 'message']);
    expect(body.changes.at(-1)!.row).toEqual(left);
    expect([body.more, body.next]).toEqual([false, undefined]);
    expect(body.cursor).toBe(await cursorOf(token));
  });

  test('misses nothing that changes while it is read page by page', async () => {
    const { handset, token } = await anAccount();
    const sent = Array.from({ length: 20 }, () => message({ type: 'sent' }));
    await tell(handset, ...sent);
    const view = new View();
    const read = async (after: number) => {
      const { body } = await get<Page & { next?: number }>(token, `/api/snapshot?after=${after}&limit=5`);
      for (const { kind, id, row } of body.changes) view.rows.set(`${kind}:${id}`, row);
      return body;
    };
    const { cursor, next } = await read(0);
    view.cursor = cursor;
    await handset.send('message:deleted', { messageId: sent[0]!.id }); // read already
    await handset.send('message:deleted', { messageId: sent[15]!.id }); // not yet
    await handset.send('mobile:message-status', { messageId: sent[1]!.id, status: 'sent' });
    await tell(handset, message());
    for (let after = next; after !== undefined;) after = (await read(after)).next;
    await byDelta(server.url, token, view);
    expect(view.lines()).toEqual((await bySnapshot(server.url, token)).lines());
    expect(view.rows.has(`message:${sent[0]!.id}`)).toBe(false);
  });

  test('can be read in pages though tombstones of that time are gone', async () => {
    const { handset, token } = await anAccount();
    await tell(handset, ...Array.from({ length: 20 }, () => message()));
    const whole = (await bySnapshot(server.url, token)).lines();
    await forgetUpTo(token, await cursorOf(token));
    expect((await bySnapshot(server.url, token, 4)).lines()).toEqual(whole);
  });
});

describe('a cursor', () => {
  test('from before the oldest tombstone has expired', async () => {
    const { handset, token } = await anAccount();
    const sent = message();
    await tell(handset, sent, message());
    const cursor = await cursorOf(token);
    await forgetUpTo(token, cursor);
    for (const path of [
      `changes?after=${cursor - 1}`,
      `changes?after=${cursor - 1}&wait=60`,
      `changes/stream?after=${cursor - 1}`,
    ]) {
      const { status, body } = await get(token, `/api/${path}`);
      expect([status, body]).toEqual([410, { ...BODY, code: 'cursor_expired' }]);
    }
    expect((await aStream(server.url, token, { lastEventId: '1' })).response.status).toBe(410);
    const client = kept(follower(server.url, token, 1));
    expect(await client.next('error')).toEqual({ ...BODY, code: 'cursor_expired' });
    expect(await client.next('disconnect')).toBe('io server disconnect');

    expect((await get(token, `/api/changes?after=${cursor}`)).status).toBe(200);
    expect((await get(token, '/api/changes?after=0')).status).toBe(200);
    // Who keeps nothing needs no cursor.
    const web = kept(await browser(server.url, token));
    expect((await web.next('messages:sync')).messages).toHaveLength(2);
  });

  test('from the future of a database that was put back has expired', async () => {
    const { token } = await anAccount();
    const cursor = (await cursorOf(token)) + 1;
    for (const path of [
      `changes?after=${cursor}`,
      `changes?after=${cursor}&wait=60`,
      `changes/stream?after=${cursor}`,
      `snapshot?after=${cursor}`,
    ])
      // prettier-ignore
      expect((await get(token, `/api/${path}`)).status).toBe(410);
    const client = kept(follower(server.url, token, cursor));
    expect(await client.next('error')).toMatchObject({ code: 'cursor_expired' });
    await client.next('disconnect');
  });
});

describe('GET /api/changes/stream', () => {
  test('sends what was and what comes, each event with its cursor', async () => {
    const { handset, token } = await anAccount();
    await tell(handset, message({ body: 'Before' }));
    const stream = await aStream(server.url, token);
    expect(stream.response.headers.get('content-type')).toContain('text/event-stream');
    await stream.until(() => stream.events.length === 1);
    await tell(handset, message({ body: 'After' }));
    await stream.until(() => stream.events.length === 2);
    const pages = stream.events.map(({ data }) => data as Page);
    expect(pages.map(({ changes }) => messagesOf(changes))).toEqual([['Before'], ['After']]);
    for (const [i, { id }] of stream.events.entries()) expect(id).toBe(String(pages[i]!.cursor));
  });

  test('resumes after Last-Event-ID, which goes before `after`', async () => {
    const { handset, token } = await anAccount();
    const first = await aStream(server.url, token);
    await tell(handset, message({ body: 'One' }));
    await first.until(() => first.events.some(({ data }) => messagesOf((data as Page).changes).length > 0));
    const lastEventId = first.events.at(-1)!.id!;
    first.close();
    await tell(handset, message({ body: 'Two' }));
    const again = await aStream(server.url, token, { lastEventId, after: 0 });
    await again.until(() => again.events.length > 0);
    expect(messagesOf((again.events[0]!.data as Page).changes)).toEqual(['Two']);
  });

  test.each(['abc', '-1', '1.5', '1e99'])('a Last-Event-ID of %s is refused', async (lastEventId) => {
    const { token } = await anAccount();
    const stream = await aStream(server.url, token, { lastEventId });
    expect(stream.response.status).toBe(400);
    expect(await stream.response.json()).toEqual({ ...BODY, code: 'bad_request' });
  });

  test('ends, with the reason, when its session is revoked', async () => {
    const { handset, token } = await anAccount();
    const stream = await aStream(server.url, token);
    await stream.until(() => stream.comments.includes('connected'));
    const id = browserId(token);
    await call(server.url, `/api/devices/${id}`, { token: handset.deviceToken, method: 'DELETE' });
    await stream.until(() => stream.ended);
    expect(stream.events.at(-1)).toMatchObject({ event: 'error', data: { ...BODY, code: 'device_revoked' } });
  });

  test('ends, with the reason, when the server stops', async () => {
    const own = await TestServer.start({ limits });
    const { token } = await anAccount(own.url);
    const stream = await aStream(own.url, token);
    await stream.until(() => stream.comments.includes('connected'));
    await own.stop();
    await stream.until(() => stream.ended);
    expect(stream.events.at(-1)).toMatchObject({ event: 'error', data: { ...BODY, code: 'stopping' } });
  });
});

describe('a Socket.IO handshake with {token, after}', () => {
  const bodies = (client: Client) => client.all<Page>('changes').flatMap(({ changes }) => messagesOf(changes));

  test('sends the changes from there, then live', async () => {
    const { handset, token } = await anAccount();
    await tell(handset, message({ body: 'Before' }));
    const client = kept(follower(server.url, token));
    await client.until(() => bodies(client).length === 1);
    await tell(handset, message({ body: 'After' }));
    await client.until(() => bodies(client).length === 2);
    expect(bodies(client)).toEqual(['Before', 'After']);
    expect(client.all('messages:sync')).toEqual([]);
    expect(client.all('message:new')).toEqual([]);
  });

  test('resumes with what was missed, and nothing else', async () => {
    const { handset, token } = await anAccount();
    await tell(handset, message({ body: 'One' }));
    const first = kept(follower(server.url, token));
    await first.until(() => bodies(first).length === 1);
    first.close();
    await tell(handset, message({ body: 'Two' }), message({ body: 'Three' }));
    const again = kept(follower(server.url, token, first.all<Page>('changes').at(-1)!.cursor));
    await again.until(() => bodies(again).length === 2);
    await tell(handset, message({ body: 'Four' }));
    await again.until(() => bodies(again).length === 3);
    expect(bodies(again)).toEqual(['Two', 'Three', 'Four']);
    expect(again.all<Page>('changes').flatMap(({ changes }) => changes).every(({ kind }) => kind === 'message')).toBe(true); // prettier-ignore
  });

  test('a phone follows with its device token', async () => {
    const { handset } = await anAccount();
    await tell(handset, message({ body: 'Mine' }));
    const again = kept(follower(server.url, handset.deviceToken));
    await again.until(() => bodies(again).length === 1);
    expect(await again.send('mobile:messages', { messages: [message({ body: 'And this' })] })).toMatchObject({
      new: 1,
    });
    await again.until(() => bodies(again).length === 2);
  });

  test.each([-1, 1.5, 'abc', 2 ** 60])('after: %s is refused', async (after) => {
    const { token } = await anAccount();
    const client = kept(follower(server.url, token, after as number));
    expect(await client.next('error')).toEqual({ ...BODY, code: 'bad_request' });
  });

  test('a wrong token is refused', async () => {
    const client = kept(follower(server.url, 'not-a-token'));
    const error = await client.next('connect_error');
    expect([error.message, error.data.code]).toEqual(['Authentication failed', 'authentication_failed']);
  });
});

test('long messages make short pages, and nothing is left out between them', async () => {
  const { handset, token } = await anAccount();
  const sent = Array.from({ length: 60 }, (_, i) => message({ body: `${i}:`.padEnd(60_000, 'x') }));
  for (let i = 0; i < sent.length; i += 20) await handset.send('mobile:messages', { messages: sent.slice(i, i + 20) });
  const pages: Change[][] = [];
  for (let after = 0, more = true; more;) {
    const { body } = await call<Page & { more: boolean }>(server.url, `/api/changes?after=${after}&limit=1000`, {
      token,
    });
    pages.push(body.changes);
    after = body.cursor;
    more = body.more;
  }
  expect(pages.length).toBeGreaterThan(3);
  // The one that goes past 1 MiB is the last of its page.
  for (const page of pages) expect(JSON.stringify(page.slice(0, -1)).length).toBeLessThan(1_100_000);
  const bodies = pages.flat().filter(({ kind }) => kind === 'message').map(({ row }) => row!.body); // prettier-ignore
  expect(bodies).toEqual(sent.map(({ body }) => body));
});

test('twenty writers on one account: each follower sees every change, in order, once', async () => {
  const { handset, token } = await anAccount();
  const EACH = 25;
  const failures: unknown[] = [];
  const follow = () => {
    const client = kept(follower(server.url, token));
    return { client, view: keep(client, new View(), failures) };
  };
  const early = [follow(), follow()];
  const stream = await aStream(server.url, token);
  const writers = await Promise.all(Array.from({ length: 19 }, async () => kept(await browser(server.url, token))));
  const byBrowsers = writers.map(async (web, w) => {
    for (let i = 0; i < EACH; i++)
      expect(await web.send('web:send-message', { phoneNumber: `+1555${w}`, message: `${w}.${i}`, tempId: `${w}.${i}` })).toMatchObject({ ok: true }); // prettier-ignore
  });
  const byPhone = Array.from({ length: EACH }, (_, i) => tell(handset, message({ body: `phone.${i}` })));
  const late = follow();
  const done = Promise.all([...byBrowsers, ...byPhone]);
  const paging = byDelta(server.url, token, new View(), 7);
  await done;
  const last = await newest(server.url, token);

  const views = [...early, late];
  for (const { client, view } of views)
    await client.until(() => failures.length > 0 || view.seq >= last, 'the last change');
  expect(failures).toEqual([]);
  await stream.until(() => stream.events.some(({ data }) => (data as Page).changes.some(({ seq }) => seq >= last)));
  const streamed = new View();
  for (const { data } of stream.events) streamed.apply(data as Page);

  const expected = (await bySnapshot(server.url, token)).lines();
  expect(expected.filter((line) => line.startsWith('message:'))).toHaveLength(20 * EACH);
  for (const { view } of views) expect(view.lines()).toEqual(expected);
  expect(streamed.lines()).toEqual(expected);
  expect((await byLongPoll(server.url, token, await paging, last)).lines()).toEqual(expected);
});

test('a stream that has nothing to say says so every now and then', async () => {
  await quiet.until(() => quiet.comments.includes('keepalive'));
  expect(quiet.events).toEqual([]);
});

test('a stream that was ended while its client did not read takes the server nowhere', async () => {
  const own = await TestServer.start();
  const handset = kept(await phone(own.url));
  const token = await pair(own.url, handset);
  const body = 'x'.repeat(20_000);
  for (let batch = 0; batch < 8; batch++)
    await handset.send('mobile:messages', { messages: Array.from({ length: 50 }, () => message({ body })) });

  const { port } = new URL(own.url);
  const reader = connect(Number(port), '127.0.0.1');
  reader.pause();
  reader.on('error', () => undefined);
  reader.write(`GET /api/changes/stream HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  const figure = async () => (await call<string>(own.url, '/metrics')).body;
  while (!/pairline_sockets\{kind="stream"\} [1-9]/.test(await figure()));

  const { body: verified } = await call(own.url, '/api/auth/verify', { body: { sessionToken: token } });
  const { sessionId } = verified.data as { sessionId: string };
  await call(own.url, `/api/devices/${sessionId}`, { token: handset.deviceToken, method: 'DELETE' });
  // Over at once, though its last bytes are still under way: nothing is written to it any more.
  expect(await figure()).toMatch(/pairline_sockets\{kind="stream"\} 0/);
  await handset.send('mobile:messages', { messages: [message(), message()] });
  reader.destroy();
  expect((await call(own.url, '/healthz')).status).toBe(200);
  await own.stop();
});
