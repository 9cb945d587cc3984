import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { browser, call, Client, follower, message, pair, phone } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { basic } from './support/parties.js';
import { TestServer } from './support/server.js';
import { change } from './support/table-client.js';
import { byDelta, byLongPoll, bySnapshot, byStream, keep, View, type Change, type Page } from './support/views.js';

// Doors to the same rows: whatever came in by one is in the one order of all.

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ argon2: { memoryKib: 8, passes: 1, lanes: 1 } });
});
afterEach(cleanUp);
afterAll(() => server.stop());

const kept = <T extends Client>(client: T): T => (later(() => client.close()), client);

async function taken(path: string, init: Parameters<typeof call>[2]) {
  const { status, body } = await call(server.url, path, init);
  if (status > 201) throw new Error(`${path} answered ${status}: ${JSON.stringify(body)}`);
  return body;
}

/** One account and a device of it at every door: A, B, C and D of wire.md. */
async function aHousehold() {
  const { url } = server;
  const handset = kept(await phone(url));
  const token = await pair(url, handset);
  const [name, password, clientId] = [`ann-${randomUUID()}`, 'a long password', randomUUID()];
  await taken('/api/account/name', { token, method: 'PUT', body: { name, password } });

  const signedIn = await taken('/api/auth/login', { body: { pseudo: name, password, deviceInfo: { name: 'Laptop' } } });
  const live = kept(new Client(url, { auth: { token: signedIn.token }, query: { deviceInfo: '{"name":"Laptop"}' } }));
  await live.next('session-restored');
  const { access_token: table } = await taken('/login/default', { body: { clientId }, headers: basic(name, password) });
  const { apiKey } = await taken('/api/keys', { token, body: { name: 'A program' } });

  const from = {
    A: (id: string) => handset.send('mobile:messages', { messages: [message({ id })] }),
    B: (id: string) => live.send('session-update', { sessionKey: id, state: { of: id } }),
    C: (id: string) => taken('/push/default', { token: table, body: { lastSync: 0, changes: [change(id, Date.now(), { of: id })] } }), // prettier-ignore
    D: (id: string) => taken('/api/sync', { token: apiKey, body: delta(id) }),
  };
  return { token, apiKey, web: kept(await browser(url, token)), from };
}

const delta = (id: string) => ({
  client_changes: { messages: [{ id, conversation_id: 'notes', content: id, updated_at: Date.now(), is_deleted: 0 }] },
});

const KINDS = { A: 'message', B: 'state', C: 'record', D: 'message' } as const;
type Door = keyof typeof KINDS;

/** The rows of a view that came in here, in the order of their changes: `kind:id`. */
const ordered = (view: View, wanted: string[]) => [...view.rows.keys()].filter((key) => wanted.includes(key));

test('a message put in through D, a state through B and a record through C all arrive at one browser over one socket in one order', async () => {
  const { token, apiKey, from } = await aHousehold();
  const { cursor } = await bySnapshot(server.url, token);
  const following = kept(follower(server.url, token, cursor));
  await following.connected();
  const failures: unknown[] = [];
  const seen = keep(following, Object.assign(new View(), { cursor }), failures);
  const polled = Object.assign(new View(), { cursor });
  const streamed = Object.assign(new View(), { cursor });

  const doors: Door[] = ['D', 'B', 'C', 'A', 'C', 'B', 'D', 'D', 'C', 'A', 'B', 'C'];
  const put: string[] = [];
  for (const door of doors) {
    const id = randomUUID();
    await from[door](id);
    put.push(`${KINDS[door]}:${id}`);
  }

  const last = put.at(-1)!.split(':')[1];
  const newest = await following.until(() =>
    following.all<Page>('changes').flatMap(({ changes }) => changes).find(({ id }: Change) => id === last),
  ); // prettier-ignore
  expect(failures).toEqual([]);
  expect(ordered(seen, put)).toEqual(put);

  // Whichever way one reads, it is the same order and the same rows to the letter.
  const { url } = server;
  await Promise.all([byLongPoll(url, token, polled, newest.seq, 3), byStream(url, token, streamed, newest.seq)]);
  const read = await byDelta(url, apiKey, Object.assign(new View(), { cursor }), 2);
  for (const view of [polled, streamed, read]) {
    expect(ordered(view, put)).toEqual(put);
    expect(view.lines()).toEqual(seen.lines());
  }
  const whole = await bySnapshot(url, token, 4);
  expect(ordered(whole, put)).toEqual(put);
  expect(whole.lines()).toEqual(expect.arrayContaining(seen.lines()));
});

test('what comes in by all doors at once is in one order for everybody', async () => {
  const { token, apiKey, from, web } = await aHousehold();
  const { url } = server;
  const failures: unknown[] = [];
  const followers = [token, token].map((one) => kept(follower(url, one)));
  const views = followers.map((one) => keep(one, new View(), failures));

  const put = (Object.keys(KINDS) as Door[]).flatMap((door) =>
    Array.from({ length: 15 }, () => ({ door, id: randomUUID() })),
  );
  await Promise.all(put.map(({ door, id }) => from[door](id)));
  const wanted = put.map(({ door, id }) => `${KINDS[door]}:${id}`);

  const whole = await byDelta(url, apiKey, new View(), 7);
  const order = ordered(whole, wanted);
  expect([...order].sort()).toEqual([...wanted].sort());
  for (const [i, view] of views.entries()) {
    await followers[i]!.until(() => view.seq >= whole.seq, 'the newest row');
    expect(ordered(view, wanted)).toEqual(order);
    expect(view.lines()).toEqual(whole.lines());
  }
  expect(ordered(await bySnapshot(url, token), wanted)).toEqual(order);
  expect(failures).toEqual([]);

  // One who knows nothing of changes has the messages too.
  const ids = put.flatMap(({ door, id }) => (KINDS[door] === 'message' ? [id] : []));
  await web.settled();
  const told = web.all<{ messages: { id: string }[] }>('messages:sync').flatMap(({ messages }) => messages.map(({ id }) => id)); // prettier-ignore
  expect(new Set(told)).toEqual(new Set(ids));
});
