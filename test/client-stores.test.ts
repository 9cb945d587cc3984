import { appendFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type Store } from '@pairline/client';
import { fileStore } from '@pairline/client/node';
import { browserStore, tabStorage, webLocks } from './support/client-tab.js';
import { cleanUp, later, temporaryFolder } from './support/database.js';

afterEach(cleanUp);

let names = 0;

/** Each kind of store, and how to open the same one again; undefined for one that does not outlive its process. */
const STORES: [string, () => { store: Store; again?: () => Store }][] = [
  ['memory', () => ({ store: memoryStore() })],
  [
    'file',
    () => {
      const path = join(temporaryFolder(), 'folder', 'store');
      return { store: fileStore(path), again: () => fileStore(path) };
    },
  ],
  [
    'browser',
    () => {
      tabStorage();
      const name = `store ${++names}`;
      return { store: browserStore(name), again: () => browserStore(name) };
    },
  ],
];

async function opened(store: Store): Promise<Store> {
  await store.open();
  later(() => store.close());
  return store;
}

const SESSION = { token: 'secret', accountId: 'a', deviceId: 'd', phoneId: 'p' };

function message(id: string, timestamp: number, fields: object = {}) {
  return { id, conversationId: 't1', number: '+1', text: `Text ${id}`, timestamp, type: 'received' as const, read: false, round: 1, ...fields }; // prettier-ignore
}

test.each(STORES)('a %s store finds the records of one table', async (_, make) => {
  const store = await opened(make().store);
  const record = (id: string, table: string) => ({ id, table, data: { id }, round: 1 });
  await store.write(async (tx) => {
    await tx.put('records', [record('a', 'notes'), record('b', 'lists'), record('c', 'notes'), record('d', 'notes')]);
    await tx.delete('records', ['c']);
    await tx.put('records', [record('d', 'lists')]);
  });
  const inTable = (which: Store, table: string) =>
    which.read(async (tx) => (await tx.where('records', 'table', table)).map(({ id }) => id).join(''));
  expect([await inTable(store, 'notes'), await inTable(store, 'lists'), await inTable(store, 'x')]).toEqual(['a', 'bd', '']); // prettier-ignore
  await store.write((tx) => tx.clear());
  expect(await inTable(store, 'lists')).toBe('');
});

test.each(STORES)('a %s store reads threads by time and id, from any place in either direction', async (_, make) => {
  const store = await opened(make().store);
  const [a, b, c, d] = [message('a', 1), message('c', 2), message('b', 2), message('d', 3)];
  await store.write((tx) => tx.put('messages', [d, b, a, c, message('x', 2, { conversationId: 't2' })]));
  const ids = (range: object) =>
    store.read(async (tx) => (await tx.range({ limit: 10, ...range })).map(({ id }) => id).join(''));
  expect(await ids({ conversationId: 't1' })).toBe('abcd');
  expect(await ids({ conversationId: 't1', limit: 2 })).toBe('cd');
  expect(await ids({ conversationId: 't1', before: b, limit: 2 })).toBe('ab');
  expect(await ids({ conversationId: 't1', after: c })).toBe('cd');
  expect(await ids({ conversationId: 't1', after: c, limit: 1 })).toBe('c');
  expect(await ids({ conversationId: 't1', after: { timestamp: 2, id: '\uffff' }, limit: Infinity })).toBe('d');
  expect(await ids({})).toBe('abcxd');
  expect(await ids({ before: d, limit: 2 })).toBe('cx');
  expect(await ids({ conversationId: 'none' })).toBe('');
  // One that moves in time or to another thread leaves its old place.
  await store.write((tx) => tx.put('messages', [{ ...a, timestamp: 9 }, { ...b, conversationId: 't2' }])); // prettier-ignore
  expect(await ids({ conversationId: 't1' })).toBe('bda');
  expect(await ids({ conversationId: 't2' })).toBe('cx');
  await store.write((tx) => tx.delete('messages', ['a', 'b', 'nobody']));
  expect(await ids({})).toBe('cxd');
});

test.each(STORES)('a %s store finds what could not be opened, by id', async (_, make) => {
  const store = await opened(make().store);
  const faulty = ['b', 'a', 'c'].map((id) => message(id, 1, { fault: 'no-key' }));
  await store.write((tx) => tx.put('messages', [...faulty, message('d', 1, { fault: 'tampered' }), message('e', 1)]));
  const ids = (after: string, limit: number) =>
    store.read(async (tx) => (await tx.faulty('no-key', after, limit)).map(({ id }) => id));
  expect(await ids('', 2)).toEqual(['a', 'b']);
  expect(await ids('b', 2)).toEqual(['c']);
});

test.each(STORES)('a transaction of a %s store that fails leaves nothing behind', async (_, make) => {
  const { store, again } = make();
  await store.open();
  await store.write(async (tx) => {
    await tx.set('session', SESSION);
    await tx.put('messages', [message('a', 1), message('b', 2)]);
    await tx.put('drafts', [{ id: 't1', text: 'Draft' }]);
  });
  const failing = store.write(async (tx) => {
    await tx.set('session', undefined);
    await tx.put('messages', [message('a', 5), message('new', 7)]);
    await tx.delete('messages', ['b']);
    await tx.delete('drafts', ['t1']);
    await tx.clear();
    await tx.put('messages', [message('other', 1)]);
    throw new Error('No');
  });
  await expect(failing).rejects.toThrow('No');
  const look = (from: Store) =>
    from.read(async (tx) => ({
      session: await tx.value('session'),
      messages: (await tx.range({ conversationId: 't1', limit: 10 })).map(({ id }) => id),
      drafts: await tx.all('drafts'),
    }));
  const before = { session: SESSION, messages: ['a', 'b'], drafts: [{ id: 't1', text: 'Draft' }] };
  expect(await look(store)).toEqual(before);
  await store.close();
  if (again !== undefined) expect(await look(await opened(again()))).toEqual(before);
});

test.each(STORES)('writes of a %s store happen one at a time', async (_, make) => {
  const store = await opened(make().store);
  const count = async () => (await store.read((tx) => tx.get('drafts', 'count')))?.text;
  await Promise.all(
    Array.from({ length: 20 }, () =>
      store.write(async (tx) => {
        const before = Number((await tx.get('drafts', 'count'))?.text ?? 0);
        await tx.put('drafts', [{ id: 'count', text: String(before + 1) }]);
      }),
    ),
  );
  expect(await count()).toBe('20');
});

test('a file store is readable by its owner alone, whatever it was before', async () => {
  const path = join(temporaryFolder(), 'store');
  writeFileSync(path, '', { mode: 0o644 });
  const store = await opened(fileStore(path));
  await store.write((tx) => tx.set('session', SESSION));
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a file store drops a line that was cut off in a crash, and nothing before it', async () => {
  const path = join(temporaryFolder(), 'store');
  const store = fileStore(path);
  await store.open();
  await store.write((tx) => tx.set('session', SESSION));
  await store.write((tx) => tx.put('drafts', [{ id: 't1', text: 'Kept' }]));
  const whole = readFileSync(path).length;
  await store.write((tx) => tx.put('drafts', [{ id: 't1', text: 'Lost' }]));
  await store.close();
  for (let size = readFileSync(path).length - 1; size >= whole; size -= 7) {
    truncateSync(path, size);
    const after = fileStore(path);
    await after.open();
    expect(await after.read((tx) => tx.get('drafts', 't1'))).toEqual({ id: 't1', text: 'Kept' });
    await after.close();
  }
  const after = await opened(fileStore(path));
  await after.write((tx) => tx.put('drafts', [{ id: 't1', text: 'New' }]));
  expect(await after.read((tx) => tx.value('session'))).toEqual(SESSION);
});

test('a file store that is damaged in the middle says so instead of guessing', async () => {
  const path = join(temporaryFolder(), 'store');
  const store = fileStore(path);
  await store.open();
  await store.write((tx) => tx.set('session', SESSION));
  await store.close();
  appendFileSync(path, 'rubbish\n[]\n');
  await expect(fileStore(path).open()).rejects.toThrow('damaged in line 2');
});

test('the file of a file store does not grow with what is overwritten', async () => {
  const path = join(temporaryFolder(), 'store');
  const store = fileStore(path);
  await store.open();
  const text = 'x'.repeat(100_000);
  for (let i = 0; i < 60; i++) await store.write((tx) => tx.put('drafts', [{ id: 't1', text: `${i}${text}` }]));
  expect(statSync(path).size).toBeLessThan(1_200_000);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await store.close();
  expect(existsSync(`${path}.new`)).toBe(false);
  const again = await opened(fileStore(path));
  expect((await again.read((tx) => tx.get('drafts', 't1')))?.text).toBe(`59${text}`);
});

test('what is not remembered survives a reload of its tab as far as it is not on the server, and no other tab', async () => {
  const items = tabStorage();
  const name = `store ${++names}`;
  const store = browserStore(name);
  await store.open();
  await store.remember(false);
  await store.write(async (tx) => {
    await tx.set('session', SESSION);
    await tx.set('sync', { accountId: 'a', cursor: 7, round: 1, waiting: 1 });
    const own = [message('own', 2, { status: 'waiting' }), message('failed', 3, { status: 'failed' })];
    await tx.put('messages', [message('known', 1, { born: 3 }), ...own]);
    await tx.put('outbox', [{ id: 'own', order: '1', wish: { kind: 'read', conversationId: 't1', upTo: 1 } }]);
  });
  await store.close();

  const reloaded = await opened(browserStore(name));
  const { session, sync, messages, outbox } = await reloaded.read(async (tx) => ({
    session: await tx.value('session'),
    sync: await tx.value('sync'),
    messages: await tx.range({ limit: 10 }),
    outbox: await tx.all('outbox'),
  }));
  expect(session).toEqual(SESSION);
  expect(sync).toMatchObject({ accountId: 'a', cursor: 0, snapshot: { next: 0 }, waiting: 1 });
  expect(messages.map(({ id }) => id)).toEqual(['own', 'failed']);
  expect(outbox).toHaveLength(1);
  const kept = new Map(items);

  tabStorage();
  const other = await opened(browserStore(name));
  expect(await other.read((tx) => tx.value('session'))).toBeUndefined();
  // Signing out leaves nothing in the tab either.
  await reloaded.write((tx) => tx.clear());
  expect(kept.size).toBe(1);
});

test('two tabs of one browser share what is remembered, take turns, and hear of each other', async () => {
  tabStorage();
  webLocks();
  const name = `store ${++names}`;
  const [one, two] = [await opened(browserStore(name)), await opened(browserStore(name))];
  await one.write((tx) => tx.set('session', SESSION));
  expect(await two.read((tx) => tx.value('session'))).toEqual(SESSION);
  const heard = new Promise((resolve) => two.onNews(resolve));
  one.announce({ conversations: [['t1', 0]] });
  expect(await heard).toEqual({ conversations: [['t1', 0]] });
  const steps: string[] = [];
  const work = (store: Store, tab: string) =>
    store.exclusive('x', async () => {
      steps.push(`${tab} in`);
      await store.read((tx) => tx.value('session'));
      steps.push(`${tab} out`);
    });
  await Promise.all([work(one, 'one'), work(two, 'two')]);
  expect(steps).toEqual(['one in', 'one out', 'two in', 'two out']);
});

test('a browser store of an earlier version is taken over with what it has', async () => {
  tabStorage();
  const name = `store ${++names}`;
  const { Dexie } = await import('dexie');
  const before = new Dexie(name);
  const byId = Object.fromEntries(['conversations', 'devices', 'states', 'outbox', 'drafts', 'moves'].map((table) => [table, 'id'])); // prettier-ignore
  const messages = 'id, [conversationId+timestamp+id], [timestamp+id], [fault+id]';
  before.version(1).stores({ values: '', ...byId, messages });
  await before.table('values').put(SESSION, 'session');
  await before.table('messages').put(message('a', 1));
  before.close();

  const store = await opened(browserStore(name));
  await store.write((tx) => tx.put('records', [{ id: 'r', table: 'notes', data: 1, round: 1 }]));
  const there = await store.read(async (tx) => [await tx.value('session'), await tx.range({ limit: 1 }), await tx.where('records', 'table', 'notes')]); // prettier-ignore
  expect(there).toMatchObject([SESSION, [{ id: 'a' }], [{ id: 'r', data: 1 }]]);
});
