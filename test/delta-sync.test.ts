import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { Purge } from '../src/changes/purge.js';
import { Conversations } from '../src/messaging/conversations.service.js';
import { Accounts } from '../src/sessions/accounts.service.js';
import { Devices } from '../src/sessions/devices.service.js';
import { Tokens } from '../src/sessions/tokens.js';
import { browser, call, follower, message, pair, phone, type Client } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { bySnapshot, keep, newest, View } from './support/views.js';

const limits = { registrationsPerHour: 0, qrCodesPerMinute: 0, sendsPerMinute: 0 };
let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits });
});
afterEach(cleanUp);
afterAll(() => server.stop());

const kept = <T extends Client>(client: T): T => (later(() => client.close()), client);

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start(options);
  later(() => started.stop());
  return started;
}

/** The session token of a person that signed in. */
async function aPerson({ app }: TestServer = server, realm = 'default'): Promise<string> {
  const account = await app.get(Accounts).create(realm, { email: `${randomUUID()}@example.org` });
  const until = new Date(Date.now() + 3_600_000);
  const { session, generation } = await app.get(Devices).signIn(account, { name: 'Laptop' }, until);
  return app.get(Tokens).sign(session, generation);
}

async function aHousehold() {
  const handset = kept(await phone(server.url));
  const token = await pair(server.url, handset);
  return { handset, token, web: kept(await browser(server.url, token)) };
}

interface DeltaRow {
  id: string;
  conversation_id?: string;
  name?: string;
  content?: string;
  updated_at: number | string;
  is_deleted: 0 | 1;
}

interface Delta {
  server_changes: { conversations: DeltaRow[]; messages: DeltaRow[] };
  new_sync_timestamp: number;
}

const post = (token: string, body: unknown, url = server.url) => call(url, '/api/sync', { token, body });

async function sync(token: string, after = 0, changes: object = {}, url = server.url): Promise<Delta> {
  const reply = await post(token, { last_sync_timestamp: after, client_changes: changes }, url);
  if (reply.status !== 200) throw new Error(`/api/sync answered ${reply.status}: ${JSON.stringify(reply.body)}`);
  return reply.body as Delta;
}

/** Dates in the tests' past. */
const T = Date.UTC(2026, 0, 1);
const conv = (fields: object = {}) => ({ id: 'c1', name: 'Ann', updated_at: T, is_deleted: 0, ...fields });
const msg = (fields: object = {}) => ({ id: 'd1', conversation_id: 'c1', content: 'Hello', updated_at: T, is_deleted: 0, ...fields }); // prettier-ignore
const both = { conversations: [conv()], messages: [msg()] };
const NOTHING = { conversations: [], messages: [] };
/** What a client that knows nothing is answered. */
const all = async (token: string, url = server.url) => (await sync(token, 0, {}, url)).server_changes;

describe('conversations and messages are those of everybody else', () => {
  test('what is pushed shows at once in browsers, by event and by cursor, and goes out to nobody', async () => {
    const { handset, token, web } = await aHousehold();
    const following = kept(follower(server.url, token));
    await sync(token, 0, both);
    const row = {
      id: 'd1',
      conversationId: 'c1',
      phoneNumber: '',
      body: 'Hello',
      timestamp: T,
      type: 'sent',
      read: true,
    };
    expect(await web.next('messages:sync', ({ messages }) => messages.length > 0)).toEqual({ messages: [row] });
    expect(await web.next('conversations:sync')).toEqual({
      conversations: [
        { id: 'c1', phoneNumber: '', contactName: 'Ann', lastMessage: 'Hello', lastMessageTime: T, unreadCount: 0 },
      ],
    });
    await following.until(() => following.all('changes').some(({ changes }) => changes.some(({ id }: DeltaRow) => id === 'd1'))); // prettier-ignore
    const view = await bySnapshot(server.url, token);
    expect(view.of('message')).toEqual([row]);
    expect(view.of('conversation')).toMatchObject([{ id: 'c1', phoneNumber: '', contactName: 'Ann' }]);
    await handset.settled();
    expect(handset.all('send:message')).toEqual([]);
    expect(web.all('message:new')).toEqual([]);
  });

  test('what a phone and a browser write comes back in the next answer', async () => {
    const { handset, token, web } = await aHousehold();
    const { new_sync_timestamp: before } = await sync(token);
    await handset.send('mobile:messages', { messages: [message({ id: 'p1', body: 'From the phone', timestamp: T })] });
    await web.send('web:send-message', { phoneNumber: '+15550100', message: 'From the web', tempId: 'w1' });
    const next = await sync(token, before);
    expect(next.server_changes).toEqual({
      conversations: [{ id: 'thread-1', name: '+15550100', updated_at: expect.any(Number), is_deleted: 0 }],
      messages: [
        { id: 'p1', conversation_id: 'thread-1', content: 'From the phone', updated_at: T, is_deleted: 0 },
        {
          id: 'w1',
          conversation_id: 'thread-1',
          content: 'From the web',
          updated_at: expect.any(Number),
          is_deleted: 0,
        },
      ],
    });
    await handset.send('mobile:conversations', {
      conversations: [{ id: 'thread-1', phoneNumber: '+15550100', contactName: 'Ann' }],
    });
    const last = await sync(token, next.new_sync_timestamp);
    expect(last.server_changes).toMatchObject({ conversations: [{ id: 'thread-1', name: 'Ann' }], messages: [] });
    expect((await sync(token, last.new_sync_timestamp)).server_changes).toEqual(NOTHING);
  });

  test('a message in a conversation of the phone is with its number', async () => {
    const { handset, token } = await aHousehold();
    await handset.send('mobile:messages', { messages: [message()] });
    await sync(token, 0, { messages: [msg({ conversation_id: 'thread-1' })] });
    const rows = (await bySnapshot(server.url, token)).of<{ id: string; phoneNumber: string }>('message');
    expect(rows.find(({ id }) => id === 'd1')).toMatchObject({ phoneNumber: '+15550100', conversationId: 'thread-1' });
  });

  test('a message without a conversation brings one, which any edit of it replaces', async () => {
    const token = await aPerson();
    const first = await sync(token, 0, { messages: [msg()] });
    expect(first.server_changes).toEqual(NOTHING);
    expect((await bySnapshot(server.url, token)).of('conversation')).toMatchObject([{ id: 'c1', phoneNumber: '' }]);
    await sync(token, first.new_sync_timestamp, { conversations: [conv({ updated_at: 1 })] });
    expect((await all(token)).conversations).toEqual([conv({ updated_at: 1 })]);
  });

  test('a program with a key and a person with a session see the same', async () => {
    const token = await aPerson();
    const { apiKey } = (await call(server.url, '/api/keys', { token, body: { name: 'Sync', scopes: ['sync'] } })).body;
    await sync(apiKey, 0, both);
    expect(await all(token)).toEqual(both);
  });

  test('an edit of the phone’s message changes its text and nothing else, and the phone does not undo it', async () => {
    const { handset, token } = await aHousehold();
    const told = message({ id: 'p1', type: 'sent', status: 'sent', timestamp: T });
    await handset.send('mobile:messages', { messages: [told] });
    await sync(token, 0, {
      messages: [msg({ id: 'p1', conversation_id: 'thread-1', content: 'Edited', updated_at: T + 1 })],
    });
    await handset.send('mobile:message-status', { messageId: 'p1', status: 'delivered' });
    await handset.send('mobile:messages', { messages: [told] });
    const [row] = (await bySnapshot(server.url, token)).of('message');
    expect(row).toEqual({ ...told, body: 'Edited', status: 'delivered', read: false });
  });

  test('an edit of what a browser wrote keeps the phone’s id of it', async () => {
    const { handset, token, web } = await aHousehold();
    await web.send('web:send-message', { phoneNumber: '+15550100', message: 'From the web', tempId: 'w1' });
    const at = Date.now();
    await handset.send('mobile:messages', { messages: [message({ id: 'sms-1', type: 'sent', status: 'sent', body: 'From the web', timestamp: at })] }); // prettier-ignore
    await sync(token, 0, {
      messages: [msg({ id: 'w1', conversation_id: 'thread-1', content: 'Edited', updated_at: at + 60_000 })],
    });
    await handset.send('mobile:message-status', { messageId: 'sms-1', status: 'delivered' });
    const rows = (await bySnapshot(server.url, token)).of('message');
    expect(rows).toMatchObject([{ id: 'w1', tempId: 'w1', body: 'Edited', status: 'delivered' }]);
  });

  test('a queued message that is deleted is not sent, and the phone is told', async () => {
    const { handset, token, web } = await aHousehold();
    await web.send('web:send-message', { phoneNumber: '+15550100', message: 'From the web', tempId: 'w1' });
    await sync(token, 0, { messages: [{ id: 'w1', updated_at: Date.now() + 1000, is_deleted: true }] });
    expect(await handset.next('delete:message')).toEqual({ messageId: 'w1' });
    expect(await web.next('message:deleted')).toEqual({ messageId: 'w1' });
    const again = kept(await phone(server.url, handset));
    await again.settled();
    expect(again.all('send:message')).toEqual([]);
  });

  test('a message that was read is not shown unread because it was edited', async () => {
    const { handset, token, web } = await aHousehold();
    await handset.send('mobile:messages', { messages: [message({ id: 'p1', timestamp: T })] });
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    web.forget();
    await sync(token, 0, { messages: [msg({ id: 'p1', conversation_id: 'thread-1', updated_at: T + 1 })] });
    expect(await web.next('messages:sync')).toMatchObject({ messages: [{ id: 'p1', body: 'Hello', read: true }] });
  });

  test('what is pushed makes no answer of the phone look read', async () => {
    const { handset, token, web } = await aHousehold();
    await handset.send('mobile:messages', { messages: [message({ id: 'p1', timestamp: T })] });
    await sync(token, 0, { messages: [msg({ conversation_id: 'thread-1', updated_at: T + 60_000 })] });
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    // The phone's clock is behind.
    await handset.send('mobile:messages', { messages: [message({ id: 'p2', timestamp: T + 30_000 })] });
    const [row] = (await bySnapshot(server.url, token)).of<{ readUpTo: number }>('conversation');
    expect(row!.readUpTo).toBe(T);
  });

  test('a conversation that was deleted comes back with the phone’s next message', async () => {
    const { handset, token } = await aHousehold();
    await handset.send('mobile:messages', { messages: [message()] });
    await sync(token, 0, { conversations: [{ id: 'thread-1', updated_at: Date.now() + 1000, is_deleted: 1 }] });
    expect((await bySnapshot(server.url, token)).of('conversation')).toEqual([]);
    await handset.send('mobile:messages', { messages: [message()] });
    expect((await bySnapshot(server.url, token)).of('conversation')).toMatchObject([{ id: 'thread-1', phoneNumber: '+15550100' }]); // prettier-ignore
  });

  test('a name given here stands until the phone calls it something new', async () => {
    const { handset, token } = await aHousehold();
    const tell = (contactName: string, more: object = {}) => handset.send('mobile:conversations', { conversations: [{ id: 'c1', phoneNumber: '+1', contactName, lastMessageTime: T, ...more }] }); // prettier-ignore
    const name = async () => {
      const [row] = (await bySnapshot(server.url, token)).of<Record<string, unknown>>('conversation');
      expect(Object.keys(row!)).not.toContain('toldName');
      const [delta] = (await all(token)).conversations;
      expect(delta!.name).toBe(row!.contactName);
      return row!.contactName;
    };
    await tell('Ann');
    await sync(token, 0, { conversations: [conv({ name: 'Sister', updated_at: Date.now() + 1000 })] });
    await tell('Ann', { lastMessage: 'New', lastMessageTime: T + 1 });
    expect(await name()).toBe('Sister');
    await tell('Ann B.');
    expect(await name()).toBe('Ann B.');
  });

  test('what happens in a conversation does not make an edit of its name an old one', async () => {
    const { handset, token, web } = await aHousehold();
    const tell = (more: object = {}) => handset.send('mobile:conversations', { conversations: [{ id: 'c1', phoneNumber: '+1', contactName: 'Ann', lastMessageTime: T, ...more }] }); // prettier-ignore
    await tell();
    const [{ updated_at: named }] = (await all(token)).conversations as [DeltaRow];
    await tell({ lastMessage: 'New', lastMessageTime: T + 1, unreadCount: 3 });
    await web.send('web:mark-read', { conversationId: 'c1' });
    expect((await all(token)).conversations).toMatchObject([{ updated_at: named }]);
  });

  test('what native clients sealed goes out as it is stored', async () => {
    const { handset, token } = await aHousehold();
    await handset.send('mobile:messages', { messages: [message({ id: 'p1', body: 'pl1.1.c2VhbGVk' })] });
    expect((await all(token)).messages).toMatchObject([{ id: 'p1', content: 'pl1.1.c2VhbGVk' }]);
  });

  test('a realm with a database of its own has its own rows', async () => {
    const other = await createTestDatabase();
    later(() => other.drop());
    const realm = { slug: 'clinic', name: 'Clinic', registration: 'open' as const };
    const realms = [
      { ...realm, slug: 'default' },
      { ...realm, databaseUrl: other.url },
    ];
    const started = await aServer({ limits, realms });
    const [here, there] = [await aPerson(started), await aPerson(started, 'clinic')];
    await sync(there, 0, both, started.url);
    expect(await all(there, started.url)).toEqual(both);
    expect(await all(here, started.url)).toEqual(NOTHING);
    expect(await query(other.url, 'SELECT id FROM messages')).toEqual([{ id: 'd1' }]);
    expect(await query(started.database.url, 'SELECT id FROM messages')).toEqual([]);

    // And so have the lists, the outbox and its deadlines, and what a browser that signs in is sent.
    const web = kept(await browser(started.url, there));
    const list = [{ id: 'c1', phoneNumber: '', contactName: 'Ann', lastMessage: 'Hello', lastMessageTime: T, unreadCount: 0 }]; // prettier-ignore
    expect(await web.next('conversations:sync')).toEqual({ conversations: list });
    expect(await web.next('messages:sync')).toMatchObject({ messages: [{ id: 'd1' }] });
    await sync(there, 0, { conversations: [conv({ name: 'Ann B.', updated_at: T + 1 })] }, started.url);
    const [row] = list;
    expect(await web.next('conversations:sync', undefined, 2)).toEqual({ conversations: [{ ...row, contactName: 'Ann B.' }] }); // prettier-ignore
    const send = { phoneNumber: '+15550100', message: 'From the web', tempId: 'w1', validUntil: Date.now() + 300 };
    expect(await web.send('web:send-message', send)).toMatchObject({ ok: true, status: 'queued' });
    expect(await web.next('message:status')).toEqual({ messageId: 'w1', status: 'failed' });
    await web.send('web:mark-read', { conversationId: 'c1' });
    const next = kept(await browser(started.url, there));
    expect(await next.next('messages:sync')).toMatchObject({
      messages: [{ id: 'd1' }, { id: 'w1', status: 'failed' }],
    });
  });

  test.each(['queued', 'sending'])(
    'a text that waits to be sent and is %s cannot be changed by a program',
    async (status) => {
      const { handset, token, web } = await aHousehold();
      await web.send('web:send-message', { phoneNumber: '+15550100', message: 'Pay 10', tempId: 'w1' });
      if (status === 'sending') await handset.send('mobile:message-status', { messageId: 'w1', status });
      handset.close();
      await web.next('mobile:disconnected');
      const [row] = (await all(token)).messages as [DeltaRow];
      while (Date.now() <= Number(row.updated_at));
      const edit = { ...row, content: 'Pay 9999', updated_at: Date.now() };
      expect((await sync(token, 0, { messages: [edit] })).server_changes.messages).toEqual([row]);
      const view = await bySnapshot(server.url, token);
      expect(view.of('message')).toMatchObject([{ id: 'w1', body: 'Pay 10', status }]);
    },
  );

  test('a batch of edits takes a number for each, and no more', async () => {
    const token = await aPerson();
    const { new_sync_timestamp: before } = await sync(token, 0, { conversations: [conv()] });
    const { new_sync_timestamp: after } = await sync(token, before, { messages: [msg(), msg({ id: 'd2' })] });
    expect(after - before).toBe(2);
  });
});

describe('who follows by events', () => {
  /** Lets the next list wait: resolves once it has been read. */
  function heldList(): { read: Promise<void>; release: () => void } {
    const conversations = server.app.get(Conversations);
    const list = conversations.all.bind(conversations);
    let release!: () => void;
    const released = new Promise<void>((resolve) => (release = resolve));
    const read = new Promise<void>((resolve) => {
      const spy = jest.spyOn(conversations, 'all').mockImplementationOnce(async (...args) => {
        const result = await list(...args);
        resolve();
        await released;
        return result;
      });
      later(() => spy.mockRestore());
    });
    return { read, release };
  }
  const edit = (text: string, updated_at: number) => ({
    conversations: [conv({ name: text, updated_at })],
    messages: [msg({ content: text, updated_at })],
  });

  async function aBrowserOf(token: string): Promise<Client> {
    const web = kept(await browser(server.url, token));
    await web.next('messages:sync');
    await web.settled();
    web.forget();
    return web;
  }

  test('is told of messages and of lists in the order in which they were stored', async () => {
    const token = await aPerson();
    await sync(token, 0, both);
    const web = await aBrowserOf(token);
    const { read, release } = heldList();
    const first = sync(token, 0, edit('one', T + 1));
    await read;
    await sync(token, 0, edit('two', T + 2));
    await sync(token, 0, { messages: [msg({ is_deleted: 1, updated_at: T + 3 })] });
    release();
    await first;
    await web.until(() => web.all('conversations:sync').some(({ conversations: [c] }) => c.contactName === 'two'));
    const told = web.received.filter(({ event }) => event.startsWith('message'));
    expect(told.map(({ payload }) => payload.messages?.[0].body ?? payload.messageId)).toEqual(['one', 'two', 'd1']);
    const names = web.all('conversations:sync').map(({ conversations: [c] }) => c.contactName);
    expect(names).toEqual([...names].sort());
  });

  test('is told of messages although the list cannot be read', async () => {
    const token = await aPerson();
    await sync(token, 0, both);
    const web = await aBrowserOf(token);
    const spy = jest
      .spyOn(server.app.get(Conversations), 'all')
      .mockRejectedValueOnce(new Error('The database is away'));
    later(() => spy.mockRestore());
    await sync(token, 0, edit('one', T + 1));
    expect(await web.next('messages:sync')).toMatchObject({ messages: [{ body: 'one' }] });
  });

  test('nobody, then no list is read', async () => {
    const token = await aPerson();
    const following = kept(follower(server.url, token));
    await following.connected();
    const spy = jest.spyOn(server.app.get(Conversations), 'all');
    later(() => spy.mockRestore());
    await sync(token, 0, both);
    expect(spy).not.toHaveBeenCalled();
    const web = await aBrowserOf(token);
    spy.mockClear();
    await sync(token, 0, edit('one', T + 1));
    await web.next('conversations:sync');
    expect(spy).toHaveBeenCalledTimes(1);
  });
});

describe('the newer edit of a row wins', () => {
  test.each([
    ['newer', 1, 'B'],
    ['equally old', 0, 'A'],
    ['older', -1, 'A'],
  ])('a second edit that is %s', async (_what, later, winner) => {
    const token = await aPerson();
    const edit = (text: string, updated_at: number) => ({
      conversations: [conv({ name: text, updated_at })],
      messages: [msg({ content: text, updated_at })],
    });
    await sync(token, 0, edit('A', T));
    // Wherever its cursor is: who lost is told, who won knows.
    const { new_sync_timestamp: cursor } = await sync(token, 0);
    const { server_changes } = await sync(token, cursor, edit('B', T + later));
    expect(server_changes).toEqual(winner === 'A' ? edit('A', T) : NOTHING);
    expect(await all(token)).toEqual(edit(winner, winner === 'A' ? T : T + later));
  });

  test('one of equal age that says the same is a repeat, and is not told', async () => {
    const token = await aPerson();
    const first = await sync(token, 0, both);
    expect(first.server_changes).toEqual(NOTHING);
    expect((await sync(token, 0, both)).server_changes).toEqual(NOTHING);
    expect((await sync(token, first.new_sync_timestamp, both)).server_changes).toEqual(NOTHING);
  });

  test('of a row that one request names twice, whichever stands first', async () => {
    const token = await aPerson();
    const of = (id: string) => msg({ id, content: `of ${T + 1}`, updated_at: T + 1 });
    let { new_sync_timestamp: before } = await sync(token, 0, { conversations: [conv()] });
    for (const [id, dates] of [
      ['x', [T, T + 1]],
      ['y', [T + 1, T]],
    ] as const) {
      const messages = dates.map((updated_at) => msg({ id, content: `of ${updated_at}`, updated_at }));
      const { server_changes, new_sync_timestamp } = await sync(token, before, { messages });
      expect(server_changes).toEqual(NOTHING);
      expect((await all(token)).messages).toContainEqual(of(id));
      before = new_sync_timestamp;
    }
    // Of equal age the later one, and all of it as one change.
    const many = Array.from({ length: 1000 }, (_, n) => msg({ id: 'z', updated_at: T + (n % 2), content: `${n}` }));
    const { new_sync_timestamp: cursor } = await sync(token, before, { messages: many });
    expect((await sync(token, before)).server_changes.messages).toEqual([msg({ id: 'z', updated_at: T + 1, content: '999' })]); // prettier-ignore
    expect(cursor - before).toBe(1);
  });

  test('deletes reach others, and are undone by newer edits alone', async () => {
    const token = await aPerson();
    const { new_sync_timestamp: cursor } = await sync(token, 0, both);
    const gone = { conversations: [conv({ name: '', updated_at: T + 2, is_deleted: 1 })], messages: [msg({ content: '', updated_at: T + 2, is_deleted: 1 })] }; // prettier-ignore
    const deleting = await sync(token, cursor, {
      conversations: [{ id: 'c1', updated_at: T + 2, is_deleted: 1 }],
      messages: [{ id: 'd1', updated_at: T + 2, is_deleted: true, content: null }],
    });
    expect(deleting.server_changes).toEqual(NOTHING);
    expect((await sync(token, cursor)).server_changes).toEqual(gone);
    expect(await all(token)).toEqual(NOTHING);
    const older = { conversations: [conv({ updated_at: T + 1 })], messages: [msg({ updated_at: T + 1 })] };
    // Also to a client that begins with nothing but this.
    for (const after of [0, deleting.new_sync_timestamp])
      expect((await sync(token, after, older)).server_changes).toEqual(gone);
    expect((await bySnapshot(server.url, token)).of('message')).toEqual([]);
    const newer = {
      conversations: [conv({ updated_at: T + 3 })],
      messages: [msg({ updated_at: T + 3, content: 'Back' })],
    };
    expect((await sync(token, deleting.new_sync_timestamp, newer)).server_changes).toEqual(NOTHING);
    expect(await all(token)).toEqual(newer);
    expect((await bySnapshot(server.url, token)).of('message')).toMatchObject([{ id: 'd1', body: 'Back' }]);
  });

  test('what was deleted before it was ever stored stays deleted', async () => {
    const token = await aPerson();
    await sync(token, 0, { messages: [msg({ is_deleted: 1, updated_at: T + 1 })] });
    const { server_changes } = await sync(token, 0, both);
    expect(server_changes.messages).toEqual([msg({ is_deleted: 1, updated_at: T + 1, content: '' })]);
    expect((await all(token)).messages).toEqual([]);
  });

  test.each(['a phone', 'a browser'])('what %s deletes is not brought back by an edit from before', async (who) => {
    const { handset, token, web } = await aHousehold();
    await sync(token, 0, both);
    const before = Date.now() - 1000;
    const delivered = who === 'a phone' ? handset.send('message:deleted', { messageId: 'd1' }) : web.send('web:delete-message', { messageId: 'd1' }); // prettier-ignore
    expect(await delivered).toMatchObject({ ok: true });
    const { server_changes } = await sync(token, 0, { messages: [msg({ updated_at: before, content: 'Late' })] });
    expect(server_changes.messages).toMatchObject([{ id: 'd1', is_deleted: 1, content: '' }]);
    expect(Number(server_changes.messages[0]!.updated_at)).toBeGreaterThan(before);
    expect((await all(token)).messages).toEqual([]);
  });

  test('a date from the future counts as now: it does not win for ever', async () => {
    const token = await aPerson();
    const future = Date.UTC(2999, 0, 1);
    const before = Date.now();
    const { server_changes } = await sync(token, 0, { messages: [msg({ updated_at: future, content: 'Future' })] });
    // The client is told the date that counts.
    const [told] = server_changes.messages as [DeltaRow];
    expect(told).toEqual(msg({ content: 'Future', updated_at: expect.any(Number) }));
    expect(told.updated_at).toBeGreaterThanOrEqual(before);
    expect(told.updated_at).toBeLessThanOrEqual(Date.now());
    while (Date.now() <= Number(told.updated_at));
    await sync(token, 0, { messages: [msg({ updated_at: Date.now(), content: 'Now' })] });
    expect((await all(token)).messages).toMatchObject([{ content: 'Now' }]);
  });

  test('nor does the clock of a phone that is ahead', async () => {
    const { handset, token } = await aHousehold();
    await handset.send('mobile:messages', { messages: [message({ id: 'p1', timestamp: Date.UTC(2999, 0, 1) })] });
    const [{ updated_at }] = (await all(token)).messages as [DeltaRow];
    while (Date.now() <= Number(updated_at));
    await sync(token, 0, { messages: [msg({ id: 'p1', conversation_id: 'thread-1', updated_at: Date.now() })] });
    expect((await all(token)).messages).toMatchObject([{ id: 'p1', content: 'Hello' }]);
  });

  test('another account’s ids are simply other rows', async () => {
    const [one, two] = [await aPerson(), await aPerson()];
    await sync(one, 0, both);
    const theirs = { conversations: [conv({ name: 'Mine', updated_at: T + 5 })], messages: [msg({ content: 'Mine', updated_at: T + 5 })] }; // prettier-ignore
    expect((await sync(two, 0, theirs)).server_changes).toEqual(NOTHING);
    await sync(two, 0, { messages: [msg({ is_deleted: 1, updated_at: T + 6 })] });
    expect(await all(one)).toEqual(both);
  });
});

describe('the cursor', () => {
  test('is no clock: an edit that comes late, of an old date, is told', async () => {
    const token = await aPerson();
    await sync(token, 0, { messages: [msg({ id: 'new', updated_at: T + 1000 })] });
    const { new_sync_timestamp: cursor } = await sync(token);
    await sync(token, 0, { messages: [msg({ id: 'late', updated_at: T - 86_400_000 })] });
    expect((await sync(token, cursor)).server_changes.messages).toMatchObject([{ id: 'late' }]);
  });

  test('nothing is skipped that others write at the same time', async () => {
    const token = await aPerson();
    const seen = new Set<string>();
    const writers = Array.from({ length: 40 }, (_, n) => sync(token, 0, { messages: [msg({ id: `m${n}` })] }));
    let writing = true;
    const written = Promise.all(writers).then(() => (writing = false));
    for (let cursor = 0, last = false; !last;) {
      last = !writing;
      const delta = await sync(token, cursor, { messages: [msg({ id: 'own', updated_at: T + cursor })] });
      for (const { id } of delta.server_changes.messages) seen.add(id);
      cursor = delta.new_sync_timestamp;
    }
    await written;
    seen.delete('own');
    expect(seen.size).toBe(40);
  });

  test('one that is older than the tombstones kept is answered with everything living', async () => {
    const started = await aServer({ limits, tombstoneTtlMs: 1000 });
    const token = await aPerson(started);
    const { url } = started;
    const { new_sync_timestamp: old } = await sync(token, 0, { messages: [msg(), msg({ id: 'gone' })] }, url);
    await sync(token, old, { messages: [msg({ id: 'gone', is_deleted: 1, updated_at: T + 1 })] }, url);
    expect(await started.app.get(Purge).run(Date.now() + 60_000)).toBe(1);
    await sync(token, 0, { messages: [msg({ id: 'later', is_deleted: 1 })] }, url);
    const { server_changes, new_sync_timestamp } = await sync(token, old, {}, url);
    expect(server_changes.messages).toEqual([msg(), msg({ id: 'later', is_deleted: 1, content: '' })]);
    expect((await sync(token, new_sync_timestamp, {}, url)).server_changes).toEqual(NOTHING);
  });

  test('one ahead of the account, of another server or an earlier backup, is answered with everything', async () => {
    const token = await aPerson();
    await sync(token, 0, both);
    const { server_changes, new_sync_timestamp } = await sync(token, Date.now());
    expect(server_changes).toEqual(both);
    expect(new_sync_timestamp).toBeLessThan(1000);
  });

  test.each([
    [{}],
    [undefined],
    [{ last_sync_timestamp: null, client_changes: null }],
    [{ client_changes: { messages: null } }],
  ])('a request may say nothing: %j', async (body) => {
    const token = await aPerson();
    await sync(token, 0, both);
    const reply = await call(server.url, '/api/sync', { token, method: 'POST', body });
    expect([reply.status, reply.body.server_changes]).toEqual([200, both]);
  });
});

describe('dates', () => {
  const MS = T + 123;
  test.each([
    ['2026-01-01T00:00:00.123Z'],
    ['2026-01-01T00:00:00.123456Z'],
    ['2026-01-01T00:00:00.123'],
    ['2026-01-01 00:00:00.123'],
    ['2026-01-01T01:00:00.123+01:00'],
    ['2025-12-31T19:00:00.123-0500'],
  ])('%s is read as what it says and answered as ISO 8601', async (updated_at) => {
    const token = await aPerson();
    await sync(token, 0, { conversations: [conv({ updated_at: MS })] });
    const { server_changes } = await sync(token, 0, { messages: [msg({ updated_at })] });
    expect(server_changes).toEqual({ conversations: [conv({ updated_at: new Date(MS).toISOString() })], messages: [] });
    expect((await all(token)).messages).toEqual([msg({ updated_at: MS })]);
  });

  test('a day alone is its beginning', async () => {
    const token = await aPerson();
    await sync(token, 0, { messages: [msg({ updated_at: '2026-01-01' })] });
    expect((await all(token)).messages).toEqual([msg()]);
  });
});

describe('what does not fit', () => {
  const LONG = 'x'.repeat(65_537);
  test.each([
    ['no id', { messages: [msg({ id: undefined })] }, 'messages.0: id'],
    ['an empty id', { conversations: [conv({ id: '' })] }, 'conversations.0: id'],
    ['an id that is a number', { messages: [msg({ id: 5 })] }, 'messages.0: id'],
    ['an id of 256 characters', { messages: [msg({ id: 'x'.repeat(256) })] }, 'messages.0: id'],
    ['an id with NUL', { messages: [msg({ id: 'a\0' })] }, 'messages.0: id'],
    ['an id with half a character', { messages: [msg({ id: '\ud800' })] }, 'messages.0: id'],
    ['a message of no conversation', { messages: [msg({ conversation_id: null })] }, 'messages.0: conversation_id'],
    [
      'a deleted message of an odd conversation',
      { messages: [msg({ conversation_id: 7, is_deleted: 1 })] },
      'messages.0: conversation_id',
    ],
    ['no content', { messages: [msg({ content: null })] }, 'messages.0: content'],
    ['a content that is too long', { messages: [msg({ content: LONG })] }, 'messages.0: content'],
    ['no name', { conversations: [conv({ name: undefined })] }, 'conversations.0: name'],
    ['a name that is an object', { conversations: [conv({ name: {} })] }, 'conversations.0: name'],
    ['no date', { messages: [msg({ updated_at: undefined })] }, 'messages.0: updated_at'],
    ['a date that is a word', { messages: [msg({ updated_at: 'yesterday' })] }, 'messages.0: updated_at'],
    ['a thirteenth month', { messages: [msg({ updated_at: '2026-13-01T00:00:00Z' })] }, 'messages.0: updated_at'],
    ['a day that is in no calendar', { messages: [msg({ updated_at: '2026-02-31' })] }, 'messages.0: updated_at'],
    [
      'a 29 February of no leap year',
      { messages: [msg({ updated_at: '2026-02-29T10:00:00+01:00' })] },
      'messages.0: updated_at',
    ],
    ['a date before 1970', { messages: [msg({ updated_at: -1 })] }, 'messages.0: updated_at'],
    ['a date past all dates', { messages: [msg({ updated_at: 1e300 })] }, 'messages.0: updated_at'],
    ['a deletion that is neither', { messages: [msg({ is_deleted: 2 })] }, 'messages.0: is_deleted'],
    ['a deletion in words', { messages: [msg({ is_deleted: 'yes' })] }, 'messages.0: is_deleted'],
    ['a row that is none', { messages: [null] }, 'messages.0'],
  ])('%s: the whole request is refused and names the row', async (_what, changes, place) => {
    const token = await aPerson();
    const good = { conversations: [conv({ id: 'good' })], messages: [msg({ id: 'good' })] };
    for (const [before, index] of [
      [0, '0'],
      [2, '2'],
    ] as const) {
      const filled = Object.entries(changes).map(([kind, rows]) => [kind, [...Array.from({ length: before }, () => good[kind as 'messages'][0]), ...(rows as unknown[])]]); // prettier-ignore
      const reply = await post(token, { client_changes: { ...good, ...Object.fromEntries(filled) } });
      expect([reply.status, reply.body.code]).toEqual([400, 'row_invalid']);
      expect(reply.body.message).toContain(place.replace('0', index));
      expect(reply.body.message).not.toContain('yesterday');
    }
    expect(await all(token)).toEqual(NOTHING);
  });

  test.each([
    ['a body that is a list', [], 'bad_request'],
    ['changes that are a list', { client_changes: [] }, 'bad_request'],
    ['messages that are no list', { client_changes: { messages: {} } }, 'bad_request'],
    ['a cursor that is a text', { last_sync_timestamp: '2026-01-01T00:00:00Z' }, 'bad_request'],
    ['a negative cursor', { last_sync_timestamp: -1 }, 'bad_request'],
    ['half a cursor', { last_sync_timestamp: 0.5 }, 'bad_request'],
    [
      'more rows than a batch may have',
      { client_changes: { messages: Array.from({ length: 1001 }, () => ({})) } },
      'batch_too_large',
    ],
  ])('%s: 400', async (_what, body, code) => {
    const reply = await post(await aPerson(), body);
    expect([reply.status, reply.body.code]).toEqual([400, code]);
  });

  test('a body over 1 MiB: 413', async () => {
    const messages = Array.from({ length: 20 }, (_, n) => msg({ id: `m${n}`, content: 'x'.repeat(60_000) }));
    const reply = await post(await aPerson(), { client_changes: { messages } });
    expect([reply.status, reply.body.code]).toEqual([413, 'payload_too_large']);
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream'])(
    'a body of the type %s is refused, not taken for one that says nothing',
    async (type) => {
      const token = await aPerson();
      const text = JSON.stringify({ client_changes: both });
      const chunked = new ReadableStream({ start: (c) => (c.enqueue(new TextEncoder().encode(text)), c.close()) });
      for (const body of [text, chunked]) {
        const reply = await fetch(`${server.url}/api/sync`, {
          ...{ method: 'POST', body, duplex: 'half' },
          headers: { Authorization: `Bearer ${token}`, 'Content-Type': type },
        });
        expect([reply.status, await reply.json()]).toMatchObject([400, { code: 'bad_request' }]);
      }
      expect(await all(token)).toEqual(NOTHING);
    },
  );

  test('nobody without a token', async () => {
    const reply = await call(server.url, '/api/sync', { body: {} });
    expect([reply.status, reply.body.code]).toEqual([401, 'not_authenticated']);
  });
});

test('any text and any id comes back as it was', async () => {
  const token = await aPerson();
  const odd = ['a "quote\\"', '\u2028 \ud83d\ude00', 'toldName":', '', '\ud800 \0 é'];
  const rows = odd.map((text, n) => ({
    conversation: conv({ id: `i"d\\\u2028😀${n}`, name: text }),
    message: msg({ id: `i"d\\\u2028😀${n}`, conversation_id: `i"d\\\u2028😀${n}`, content: text }),
  }));
  const pushed = { conversations: rows.map((row) => row.conversation), messages: rows.map((row) => row.message) };
  expect((await sync(token, 0, pushed)).server_changes).toEqual(NOTHING);
  expect(await all(token)).toEqual(pushed);
});

test('more than a page by rows and by bytes comes whole, once and in order', async () => {
  const token = await aPerson();
  const ids = Array.from({ length: 1300 }, (_, n) => `m${n}`);
  for (const part of [ids.slice(0, 700), ids.slice(700)]) {
    await sync(token, 0, { messages: part.map((id) => msg({ id })), conversations: part.map((id) => conv({ id })) });
  }
  const long = 'é'.repeat(32_768);
  for (let n = 0; n < 60; n += 10)
    await sync(token, 0, {
      messages: Array.from({ length: 10 }, (_, i) => msg({ id: `long${n + i}`, content: long })),
    });
  const { conversations, messages } = await all(token);
  expect(conversations.map(({ id }) => id)).toEqual(['c1', ...ids].sort((a, b) => order(a) - order(b)));
  expect(messages.map(({ id }) => id)).toEqual([...ids, ...Array.from({ length: 60 }, (_, n) => `long${n}`)]);
  expect(messages.filter(({ content }) => content === long)).toHaveLength(60);
  // What a client lost is told wherever it is.
  const { new_sync_timestamp: cursor } = await sync(token, 0);
  const lost = await sync(token, cursor, {
    messages: ids.slice(0, 900).map((id) => msg({ id, content: 'Old', updated_at: 1 })),
  });
  expect(lost.server_changes.messages.map(({ id }) => id)).toEqual(ids.slice(0, 900));

  /** `c1` was begun by the first request. */
  function order(id: string): number {
    return id === 'c1' ? -1 : Number(id.slice(1));
  }
});

test('nothing of it is in the tables in the clear', async () => {
  const token = await aPerson();
  const texts = ['Nobody calls it this', 'Nobody reads this'];
  await sync(token, 0, { conversations: [conv({ name: texts[0] })], messages: [msg({ content: texts[1] })] });
  await sync(token, 0, { conversations: [conv({ name: `${texts[0]}!`, updated_at: T + 1 })], messages: [msg({ content: `${texts[1]}!`, updated_at: T + 1 })] }); // prettier-ignore
  const rows = await query(
    server.database.url,
    `SELECT row_to_json(c)::text || encode(coalesce(content, ''), 'escape') AS text FROM conversations c UNION ALL
     SELECT row_to_json(m)::text || encode(coalesce(content, ''), 'escape') FROM messages m`,
  );
  for (const text of texts) {
    expect(JSON.stringify(rows)).not.toContain(text);
    expect(JSON.stringify(rows)).not.toContain(Buffer.from(text).toString('hex'));
  }
});

describe('clients that edit as they like', () => {
  /** As existing clients are: it pushes what it changed, and takes what it is told as it is. */
  class Store {
    readonly rows = new Map<string, DeltaRow>();
    private readonly dirty = new Set<string>();
    private cursor = 0;

    constructor(private readonly token: string) {}

    edit(kind: 'conversations' | 'messages', row: DeltaRow): void {
      this.rows.set(`${kind}:${row.id}`, row);
      this.dirty.add(`${kind}:${row.id}`);
    }

    async sync(): Promise<void> {
      const changed = (kind: string) =>
        [...this.dirty].filter((key) => key.startsWith(kind)).map((key) => this.rows.get(key));
      const changes = { conversations: changed('conversations'), messages: changed('messages') };
      const { server_changes, new_sync_timestamp } = await sync(this.token, this.cursor, changes);
      this.dirty.clear();
      for (const [kind, rows] of Object.entries(server_changes) as ['messages', DeltaRow[]][])
        for (const row of rows) this.rows.set(`${kind}:${row.id}`, row);
      this.cursor = new_sync_timestamp;
    }

    living(): string[] {
      const rows = [...this.rows].filter(([, row]) => row.is_deleted === 0);
      return rows.map(([key, row]) => `${key} ${JSON.stringify(row, Object.keys(row).sort())}`).sort();
    }
  }

  const action = fc.record({
    who: fc.nat(1),
    what: fc.constantFrom(
      'sync',
      'sync together',
      'conversation',
      'message',
      'message',
      'browser deletes',
      'browser writes',
    ),
    id: fc.constantFrom('1', '2', '3'),
    place: fc.constantFrom('1', '2', '3'),
    // Also of the future, and some alike.
    age: fc.constantFrom(-86_400_000, 0, 1, 2, 3, 500, 1000),
    deleted: fc.constantFrom(0, 0, 1),
    text: fc.constantFrom('', 'a', 'b', '+15550100'),
  });

  test('end with what the others have, and with what the server has', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 30 }), async (actions) => {
        const { token, web } = await aHousehold();
        const stores = [new Store(token), new Store(token)] as const;
        const failures: unknown[] = [];
        const following = kept(follower(server.url, token));
        const view = keep(following, new View(), failures);
        for (const { who, what, id, place, age, deleted, text } of actions) {
          const store = stores[who as 0 | 1];
          const row = { id, updated_at: T - age, is_deleted: deleted };
          if (what === 'sync') await store.sync();
          else if (what === 'sync together') await Promise.all(stores.map((each) => each.sync()));
          else if (what === 'conversation') store.edit('conversations', { ...row, name: text });
          else if (what === 'message') {
            // It writes in no conversation that it does not have.
            if (!store.rows.has(`conversations:${place}`))
              store.edit('conversations', { ...row, id: place, name: 'New' });
            store.edit('messages', { ...row, conversation_id: place, content: text });
          } else if (what === 'browser deletes') await web.send('web:delete-message', { messageId: id });
          else await web.send('web:send-message', { phoneNumber: '+15550100', message: 'x', tempId: id });
        }
        for (const store of [...stores, ...stores]) await store.sync();
        const fresh = new Store(token);
        await fresh.sync();
        expect(stores[0].living()).toEqual(fresh.living());
        expect(stores[1].living()).toEqual(fresh.living());
        // And so has everybody who follows.
        const snapshot = await bySnapshot(server.url, token);
        const last = await newest(server.url, token);
        await following.until(() => view.seq >= last);
        expect(failures).toEqual([]);
        expect(view.lines()).toEqual(snapshot.lines());
        const shown = snapshot.of<{ id: string; body: string; conversationId: string }>('message');
        expect(shown.map(({ id, body, conversationId }) => `${id} ${conversationId} ${body}`).sort()).toEqual(
          [...fresh.rows].filter(([key]) => key.startsWith('messages')).map(([, m]) => `${m.id} ${m.conversation_id} ${m.content}`).sort(), // prettier-ignore
        );
        await cleanUp();
      }),
      { numRuns: 40 },
    );
  }, 120_000);
});
