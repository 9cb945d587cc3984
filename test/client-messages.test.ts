import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type Message, type Wanted, type WebClient } from '@pairline/client';
import { fileStore } from '@pairline/client/node';
import { join } from 'node:path';
import { cleanUp, later, temporaryFolder } from './support/database.js';
import { Cutter, Middleman } from './support/client-between.js';
import { household, inPhase, letIn, phoneAt, shows, texts, told, until, webAt } from './support/client-ends.js';
import { TestServer } from './support/server.js';

afterEach(cleanUp);

async function server(options?: Parameters<typeof TestServer.start>[0]): Promise<TestServer> {
  const started = await TestServer.start(options);
  later(() => started.stop());
  return started;
}

async function one(url: string) {
  const { phone, webs } = await household(url);
  const sent: Wanted[] = [];
  phone.onSend(async (wanted) => void sent.push(wanted));
  return { phone, web: webs[0]!, sent };
}

/** The thread, once it has as many messages. */
function thread(web: WebClient, count: number, id = 't1'): Promise<Message[]> {
  return shows(web, async () => {
    const messages = await web.messages(id);
    return messages.length === count && messages;
  });
}

function status(web: WebClient, id: string, wanted: string): Promise<unknown> {
  return shows(web, async () => (await web.message(id))?.status === wanted, `${wanted} of ${id}`);
}

const BEA = { id: 't1', number: '+15550100', name: 'Bea' };

test('what the phone tells is shown in the browser, and what is written there is sent by the phone', async () => {
  const { url } = await server();
  const { phone, web, sent } = await one(url);
  await phone.putConversations([BEA]);
  await phone.putMessages([told('Hello'), told('Are you there?')]);
  expect(texts(await thread(web, 2))).toEqual(['Hello', 'Are you there?']);
  expect(await web.conversations()).toMatchObject([
    { id: 't1', number: '+15550100', name: 'Bea', lastText: 'Are you there?', unread: 2, readable: true },
  ]);

  const message = await web.send({ conversationId: 't1' }, 'Yes!');
  expect(message).toMatchObject({ text: 'Yes!', type: 'sent', conversationId: 't1', number: '+15550100' });
  await status(web, message.id, 'sending');
  expect(sent).toEqual([{ id: message.id, number: '+15550100', text: 'Yes!', conversationId: 't1' }]);
  for (const step of ['sent', 'delivered'] as const) {
    await phone.status(message.id, step);
    await status(web, message.id, step);
  }
  expect(texts(await web.messages('t1'))).toEqual(['Hello', 'Are you there?', 'Yes!']);
  expect(await web.conversations()).toMatchObject([{ lastText: 'Yes!', lastType: 'sent', lastStatus: 'delivered' }]);
});

test('messages written at once are sent, and stand, in the order they were written', async () => {
  const { url } = await server();
  const { phone, web, sent } = await one(url);
  await phone.putConversations([BEA]);
  await shows(web, () => web.conversation('t1'));
  const written = Array.from({ length: 30 }, (_, i) => `Number ${i}`);
  await Promise.all(written.map((text) => web.send({ conversationId: 't1' }, text)));
  const messages = await thread(web, 30);
  expect(texts(messages)).toEqual(written);
  await status(web, messages.at(-1)!.id, 'sending');
  expect(sent.map(({ text }) => text)).toEqual(written);
  expect(new Set(sent.map(({ id }) => id)).size).toBe(30);
  expect(texts(await web.messages('t1'))).toEqual(written);
});

test('what is written while the phone is away waits, visibly, and goes when it is back', async () => {
  const { url } = await server();
  const store = memoryStore();
  const phone = await phoneAt(url, { store });
  const web = await webAt(url);
  await letIn(phone, web);
  await inPhase(web, 'live');
  await phone.putConversations([BEA]);
  await shows(web, () => web.conversation('t1'));
  await phone.close();
  await shows(web, () => !web.state.phone.here && web.state.phone.lastSeen);
  const { id } = await web.send({ conversationId: 't1' }, 'When you are back');
  await web.send({ conversationId: 't1' }, 'And this');
  await status(web, id, 'queued');
  await shows(web, () => web.state.waiting === 2);

  const back = await phoneAt(url, { store });
  const sent: Wanted[] = [];
  back.onSend(async (wanted) => void sent.push(wanted));
  await shows(web, () => web.state.phone.here && web.state.waiting === 0);
  expect(sent.map(({ text }) => text)).toEqual(['When you are back', 'And this']);
});

test('what is written offline is shown at once, outlives the process, and goes once', async () => {
  const { url } = await server();
  const cutter = await Cutter.start(url);
  const phone = await phoneAt(url);
  const sent: Wanted[] = [];
  phone.onSend(async (wanted) => void sent.push(wanted));
  const path = join(temporaryFolder(), 'browser');
  const web = await webAt(cutter.url, { store: fileStore(path) });
  await letIn(phone, web);
  await inPhase(web, 'live');
  await phone.putConversations([BEA]);
  await phone.putMessages([told('Hello')]);
  await thread(web, 1);

  cutter.close();
  await inPhase(web, 'offline');
  const { id } = await web.send({ conversationId: 't1' }, 'Written offline');
  expect(await web.message(id)).toMatchObject({ status: 'waiting', text: 'Written offline' });
  await shows(web, () => web.state.waiting === 1);
  await web.close();

  const reopened = await webAt(cutter.url, { store: fileStore(path) });
  expect(texts(await reopened.messages('t1'))).toEqual(['Hello', 'Written offline']);
  expect(reopened.state).toMatchObject({ waiting: 1, encrypted: true });
  cutter.open();
  reopened.reconnect();
  await status(reopened, id, 'sending');
  expect(sent.map((wanted) => wanted.id)).toEqual([id]);
  expect(texts(await reopened.messages('t1'))).toEqual(['Hello', 'Written offline']);
  await shows(reopened, () => reopened.state.waiting === 0);
});

test('a message that the server refuses for good shows as failed, and can be sent again', async () => {
  const { url } = await server({ limits: { maxTextLength: 2000 } });
  const { phone, web, sent } = await one(url);
  await phone.putConversations([BEA]);
  await shows(web, () => web.conversation('t1'));
  const { id } = await web.send({ conversationId: 't1' }, 'x'.repeat(3000));
  const next = await web.send({ conversationId: 't1' }, 'Short');
  await status(web, id, 'failed');
  await status(web, next.id, 'sending');
  expect(await web.conversations()).toMatchObject([{ lastText: 'Short' }]);

  await phone.status(next.id, 'failed');
  await status(web, next.id, 'failed');
  const again = await web.retry(next.id);
  expect(again.id).not.toBe(next.id);
  await status(web, again.id, 'sending');
  expect(sent.map(({ text }) => text)).toEqual(['Short', 'Short']);
  await web.deleteMessage(id);
  expect(texts(await web.messages('t1'))).toEqual(['Short']);
  await expect(web.retry(again.id)).rejects.toMatchObject({ code: 'message_not_found' });
});

test('a message to a new number begins a conversation, which keeps its thread and draft when the phone names it', async () => {
  const { url } = await server();
  const { phone, web, sent } = await one(url);
  const first = await web.send({ number: '+15550199' }, 'Hi, this is Ann');
  expect(await web.conversations()).toMatchObject([{ id: first.conversationId, number: '+15550199', lastText: 'Hi, this is Ann' }]); // prettier-ignore
  await web.saveDraft(first.conversationId, 'One more thing');
  await status(web, first.id, 'sending');
  expect(sent).toEqual([{ id: first.id, number: '+15550199', text: 'Hi, this is Ann' }]);
  const second = await web.send({ number: '+15550199' }, 'And this');
  await status(web, second.id, 'sending');

  await phone.putMessages([told('Hello Ann', { conversationId: 't9', number: '+15550199' })]);
  await shows(web, async () => texts(await web.messages('t9')).length === 3);
  const conversations = await web.conversations();
  expect(conversations).toMatchObject([{ id: 't9', number: '+15550199', draft: 'One more thing', unread: 1 }]);
  // Whoever has the thread open under its first name goes on in it, also with what is being written.
  await web.saveDraft(first.conversationId, 'One more thing to say');
  expect(await web.conversation('t9')).toMatchObject({ draft: 'One more thing to say' });
  expect((await web.conversation(first.conversationId))?.id).toBe('t9');
  expect(new Set(texts(await web.messages(first.conversationId)))).toEqual(new Set(['Hi, this is Ann', 'And this', 'Hello Ann'])); // prettier-ignore
});

test('reading in one browser counts in the other and reaches the phone; flags, deletions and contacts too', async () => {
  const { url } = await server();
  const { phone, webs } = await household(url, 2);
  const [one, two] = webs as [WebClient, WebClient];
  const read: string[] = [];
  const deleted: string[] = [];
  phone.on('read', (id) => read.push(id));
  phone.on('deleted', (id) => deleted.push(id));
  const gone = told('Delete me');
  await phone.putConversations([BEA, { id: 't2', number: '+15550101', name: 'Cem' }]);
  await phone.putMessages([told('Hello'), gone, told('Hi', { conversationId: 't2', number: '+15550101' })]);
  await thread(one, 2);

  await one.markRead('t1');
  expect(await one.conversation('t1')).toMatchObject({ unread: 0 });
  await shows(two, async () => (await two.conversation('t1'))?.unread === 0);
  expect((await two.messages('t1')).every((message) => message.read)).toBe(true);
  await one.setFlags('t1', { pinned: true });
  await two.setFlags('t2', { archived: true });
  await one.deleteMessage(gone.id);
  expect(texts(await one.messages('t1'))).toEqual(['Hello']);
  await phone.putContacts([{ name: 'Bea', numbers: ['+15550100'] }]);
  for (const web of [one, two]) {
    const list = await shows(web, async () => {
      const conversations = await web.conversations();
      const done = conversations[0]?.pinned && conversations[1]?.archived && (await web.contacts()).length === 1;
      return done && texts(await web.messages('t1')).length === 1 && conversations;
    });
    expect(list).toMatchObject([{ id: 't1', pinned: true, archived: false, lastText: 'Hello' }, { id: 't2', archived: true }]); // prettier-ignore
    expect(await web.contacts()).toEqual([{ name: 'Bea', numbers: ['+15550100'] }]);
  }
  expect(read).toEqual(['t1']);
  expect(deleted).toEqual([gone.id]);
  // A shorter address book takes the place of a longer one; the same one again is not told.
  await phone.putContacts([]);
  await shows(one, async () => (await one.contacts()).length === 0);
});

test('a message that comes while the browser is live is announced once, one that it catches up with is not', async () => {
  const { url } = await server();
  const { phone, webs } = await household(url);
  const web = webs[0]!;
  await phone.putConversations([BEA]);
  await phone.putMessages([told('Live')]);
  const announced: string[] = [];
  web.on('incoming', ({ text }, { name }) => announced.push(`${name}: ${text}`));
  await thread(web, 1);
  const late = told('Live too');
  await phone.putMessages([late]);
  await until(() => announced.length > 0, (again) => [web.on('incoming', again)]); // prettier-ignore
  await phone.putMessages([{ ...late, read: true }]);
  await phone.putMessages([told('Mine', { type: 'sent' })]);
  await thread(web, 3);
  expect(announced.filter((text) => text !== 'Bea: Live')).toEqual(['Bea: Live too']);
});

test('a phone that did not keep a message is offered it again; one that did is told once', async () => {
  const { url } = await server();
  const cutter = await Cutter.start(url);
  const phone = await phoneAt(cutter.url);
  const web = await webAt(url);
  await letIn(phone, web);
  await inPhase(web, 'live');
  await phone.putConversations([BEA]);
  await shows(web, () => web.conversation('t1'));
  const tries: string[] = [];
  let failed!: () => void;
  const failing = new Promise<void>((resolve) => (failed = resolve));
  phone.onSend(async ({ text }) => {
    tries.push(text);
    failed();
    if (tries.length === 1) throw new Error('The disk is full');
  });
  const { id } = await web.send({ conversationId: 't1' }, 'Keep me');
  await failing;
  await status(web, id, 'queued');
  cutter.cut();
  await inPhase(phone, 'offline');
  phone.reconnect();
  await status(web, id, 'sending');
  expect(tries).toEqual(['Keep me', 'Keep me']);
});

test('one row that the server refuses does not hold up the others of its call', async () => {
  const { url } = await server({ limits: { maxTextLength: 2000 } });
  const { phone, web } = await one(url);
  const messages = Array.from({ length: 20 }, (_, i) => told(i === 7 ? 'x'.repeat(3000) : `Text ${i}`));
  await expect(phone.putMessages(messages)).rejects.toMatchObject({ code: 'string_too_long' });
  const all = await thread(web, 19);
  expect(texts(all)).not.toContain('x'.repeat(3000));
});

test('calls of a phone wait for a connection, and are told in batches', async () => {
  const { url } = await server({ limits: { maxBatch: 500, maxFrameBytes: 1_000_000 } });
  const cutter = await Cutter.start(url);
  const phone = await phoneAt(cutter.url);
  const web = await webAt(url);
  await letIn(phone, web);
  await inPhase(web, 'live');
  cutter.close();
  await inPhase(phone, 'offline');
  const history = Array.from({ length: 1300 }, (_, i) => told(`Text ${i} ${'.'.repeat(i % 900)}`));
  const telling = phone.putMessages(history);
  cutter.open();
  phone.reconnect();
  await telling;
  const last = await shows(web, async () => {
    const messages = await web.messages('t1', { limit: 2000 });
    return messages.length === 1300 && messages;
  });
  expect(texts(last)).toEqual(history.map(({ text }) => text));
  const found = await web.around(history[600]!.id, 10);
  expect(texts(found)).toEqual(history.slice(595, 606).map(({ text }) => text));
  expect(texts(await web.after(found.at(-1)!, 3))).toEqual(history.slice(606, 609).map(({ text }) => text));
  expect(texts(await web.messages('t1', { limit: 2, before: found[0]! }))).toEqual(history.slice(593, 595).map(({ text }) => text)); // prettier-ignore
  const seen: string[] = [];
  for await (const piece of web.texts()) seen.push(...piece.map(({ text }) => text));
  expect(seen).toEqual(history.map(({ text }) => text).reverse());
});

test('a message that is deleted while it waits for its turn is not sent', async () => {
  const { url } = await server();
  const middleman = await Middleman.start(url);
  const cutter = await Cutter.start(middleman.url);
  const phone = await phoneAt(url);
  const sent: string[] = [];
  phone.onSend(async ({ text }) => void sent.push(text));
  const web = await webAt(cutter.url);
  await letIn(phone, web);
  await inPhase(web, 'live');
  await phone.putConversations([BEA]);
  await shows(web, () => web.conversation('t1'));
  cutter.close();
  await inPhase(web, 'offline');
  await web.send({ conversationId: 't1' }, 'First');
  const regretted = await web.send({ conversationId: 't1' }, 'Regretted');
  const last = await web.send({ conversationId: 't1' }, 'Last');

  // The server is busy with the first one for as long as it takes to change one's mind.
  let deleting: Promise<void> | undefined;
  let deleted = false;
  middleman.lies.ack = (event) => {
    if (event !== 'web:send-message' || deleted) return undefined;
    deleting ??= web.deleteMessage(regretted.id).then(() => void (deleted = true));
    return { ok: false, code: 'busy', message: 'Later' };
  };
  cutter.open();
  web.reconnect();
  await status(web, last.id, 'sending');
  expect(sent).toEqual(['First', 'Last']);
  expect(texts(await web.messages('t1'))).toEqual(['First', 'Last']);
});

test('what came while a browser was away is not marked as read because it had read what was before', async () => {
  const { url } = await server();
  const cutter = await Cutter.start(url);
  const phone = await phoneAt(url);
  phone.onSend(async () => undefined);
  const [away, other] = [await webAt(cutter.url), await webAt(url)];
  for (const web of [away, other]) await letIn(phone, web);
  await phone.putConversations([BEA]);
  await phone.putMessages([told('Seen')]);
  for (const web of [away, other]) await thread(web, 1);
  cutter.close();
  await inPhase(away, 'offline');
  await away.markRead('t1');
  const { id } = await away.send({ conversationId: 't1' }, 'Behind it in the outbox');
  await phone.putMessages([told('Nobody has seen this', { timestamp: Date.now() + 60_000 })]);
  await thread(other, 2);
  cutter.open();
  away.reconnect();
  await status(other, id, 'sending');
  for (const web of [away, other])
    expect((await web.messages('t1')).find(({ text }) => text === 'Nobody has seen this')).toMatchObject({ read: false }); // prettier-ignore
  // Whoever sees it now reads it.
  await away.markRead('t1');
  await shows(other, async () => (await other.conversation('t1'))?.unread === 0);
});

test('a failed message is sent again once, however often that is asked for at once', async () => {
  const { url } = await server();
  const { phone, web, sent } = await one(url);
  await phone.putConversations([BEA]);
  await shows(web, () => web.conversation('t1'));
  const { id } = await web.send({ conversationId: 't1' }, 'Once more');
  await status(web, id, 'sending');
  await phone.status(id, 'failed');
  await status(web, id, 'failed');
  const tries = await Promise.allSettled([web.retry(id), web.retry(id)]);
  expect(tries.filter((each) => each.status === 'fulfilled')).toHaveLength(1);
  expect(tries.find((each) => each.status === 'rejected')).toMatchObject({ reason: { code: 'message_not_found' } });
  const last = await web.send({ conversationId: 't1' }, 'Last');
  await status(web, last.id, 'sending');
  expect(sent.map(({ text }) => text)).toEqual(['Once more', 'Once more', 'Last']);
  expect(texts(await web.messages('t1'))).toEqual(['Once more', 'Last']);
});

test('a conversation that was begun here keeps its flags when it is named, and gives no number away with them', async () => {
  const { url } = await server();
  const middleman = await Middleman.start(url);
  const phone = await phoneAt(url);
  phone.onSend(async () => undefined);
  const cutter = await Cutter.start(middleman.url);
  const [web, other] = [await webAt(cutter.url), await webAt(url)];
  for (const each of [web, other]) await letIn(phone, each);
  for (const each of [web, other]) await inPhase(each, 'live');
  cutter.close();
  await inPhase(web, 'offline');
  const { conversationId } = await web.send({ number: '+15550199' }, 'Hello');
  await web.setFlags(conversationId, { pinned: true });
  expect(await web.conversation(conversationId)).toMatchObject({ pinned: true });
  cutter.open();
  web.reconnect();
  await phone.putMessages([told('Hi', { conversationId: 't9', number: '+15550199' })]);
  await shows(other, async () => (await other.conversation('t9'))?.pinned);
  await shows(web, async () => (await web.conversation('t9'))?.pinned);
  // The first name goes on standing for it.
  await web.setFlags(conversationId, { archived: true });
  expect(await web.conversation('t9')).toMatchObject({ pinned: true, archived: true });
  await shows(other, async () => (await other.conversation('t9'))?.archived);
  expect(middleman.sent.join('\n')).not.toContain('15550199');
});
