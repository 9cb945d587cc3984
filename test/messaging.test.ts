import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Conversation } from '../src/messaging/conversation.js';
import { movesForward, type Message, type MessageStatus } from '../src/messaging/message.js';
import { browser, Client, message, pair, phone, type PhoneClient } from './support/clients.js';
import { query } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer } from './support/server.js';

const limits = { registrationsPerHour: 0, qrCodesPerMinute: 0 };
let server: TestServer;
const clients: Client[] = [];
const kept = <T extends Client>(client: T): T => (clients.push(client), client);
const aPhone = async (known?: PhoneClient, url = server.url) => kept(await phone(url, known));
const aBrowser = async (token: string, url = server.url) => kept(await browser(url, token));

/** A phone, a browser that it let in, and the browser's token. */
async function aPair(url = server.url): Promise<{ handset: PhoneClient; web: Client; token: string }> {
  const handset = await aPhone(undefined, url);
  const token = await pair(url, handset);
  return { handset, web: await aBrowser(token, url), token };
}

/** What a browser is sent that signs in now: of an account that has messages. */
async function fresh(token: string, url = server.url): Promise<{ messages: Message[]; conversations: Conversation[] }> {
  const web = await aBrowser(token, url);
  const { conversations } = await web.next<{ conversations: Conversation[] }>('conversations:sync');
  const { messages } = await web.next<{ messages: Message[] }>('messages:sync');
  web.close();
  return { messages, conversations };
}

/** What phones answer that know of acknowledgements. */
function acknowledge(handset: PhoneClient, event: string): void {
  handset.socket.on(event, (_payload: unknown, ack: (reply: unknown) => void) => ack({ ok: true }));
}

const tell = (handset: PhoneClient, ...messages: unknown[]) => handset.send('mobile:messages', { messages });
const write = (web: Client, fields: Record<string, unknown> = {}) =>
  web.send('web:send-message', { phoneNumber: '+15550100', message: 'From the web', tempId: 't1', ...fields });
const report = (handset: PhoneClient, messageId: string, status: MessageStatus) =>
  handset.send('mobile:message-status', { messageId, status });
const conversation = (fields: Record<string, unknown> = {}) => ({
  id: 'thread-1',
  phoneNumber: '+15550100',
  lastMessage: 'Told by the phone',
  lastMessageTime: 0,
  unreadCount: 0,
  ...fields,
});

beforeAll(async () => {
  server = await TestServer.start({ limits });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(() => server.stop());

describe('messages of the phone', () => {
  test('a batch of 1,000 is stored whole and reaches a browser that signs in later', async () => {
    const { handset, token } = await aPair();
    const batch = Array.from({ length: 1000 }, (_, i) => message({ body: `Number ${i}` }));
    expect(await tell(handset, ...batch)).toEqual({ ok: true, stored: 1000, new: 1000 });

    const later = await aBrowser(token);
    await later.next('messages:sync', undefined, 2);
    const synced = later.all<{ messages: Message[] }>('messages:sync').flatMap(({ messages }) => messages);
    expect(synced.map(({ body }) => body)).toEqual(batch.map(({ body }) => body));
  });

  test('a browser that signs in is sent the newest 1,000 messages in the order of their last change', async () => {
    const { handset, web, token } = await aPair();
    const batch = Array.from({ length: 1003 }, (_, i) => message({ body: `${i}`.padEnd(i < 40 ? 60_000 : 1, '.') }));
    for (const [from, to] of [[0, 15], [15, 30], [30, 40], [40, 1003]]) await tell(handset, ...batch.slice(from, to)); // prettier-ignore
    await write(web, { validUntil: 4e12 });
    await handset.send('message:deleted', { messageId: batch[500]!.id });
    await tell(handset, { ...batch[20], status: 'delivered' });
    await handset.send('message:deleted', { messageId: batch[2]!.id });
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    const unread = message({ id: 'unread' });
    await tell(handset, unread);
    // Whatever else the account has is not looked at.
    await web.send('state:put', { key: 'layout', value: 1 });
    const { sub } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sub: string };
    await query(server.database.url, `UPDATE states SET content = 'damaged' WHERE account_id = $1`, [sub]);

    const later = await aBrowser(token);
    await later.next('messages:sync', ({ messages }) => messages.at(-1).id === 'unread');
    const synced = later.all<{ messages: Message[] }>('messages:sync').flatMap(({ messages }) => messages);
    const sent = { ...message({ id: 't1', type: 'sent', body: 'From the web', status: 'queued' }), tempId: 't1', validUntil: 4e12 }; // prettier-ignore
    const wanted = [
      ...batch.filter((_, i) => i > 3 && i !== 20 && i !== 500).map((row) => ({ ...row, read: true })),
      { ...sent, read: true, conversationId: expect.any(String), timestamp: expect.any(Number) },
      { ...batch[20]!, read: true, status: 'delivered' },
      unread,
    ];
    expect(synced.map(({ id }) => id)).toEqual(wanted.map(({ id }) => id));
    expect(synced).toEqual(wanted);
    expect(synced).toHaveLength(1000);
  });

  test('a batch of 1,001 is refused whole', async () => {
    const { handset, web } = await aPair();
    const batch = Array.from({ length: 1001 }, () => message());
    expect(await tell(handset, ...batch)).toMatchObject({ ok: false, code: 'batch_too_large' });
    const conversations = batch.map(({ id }) => conversation({ id }));
    expect(await handset.send('mobile:conversations', { conversations })).toMatchObject({ code: 'batch_too_large' });
    expect(await tell(handset, batch[0])).toEqual({ ok: true, stored: 1, new: 1 });
    await web.settled();
    expect(web.all('messages:sync')).toEqual([{ messages: [batch[0]] }]);
  });

  test('the same batch many times, also at the same time, is stored once', async () => {
    const { handset, web, token } = await aPair();
    const batch = Array.from({ length: 300 }, () => message());
    const acks = await Promise.all([1, 2, 3, 4, 5].map(() => tell(handset, ...batch)));
    expect(acks.reduce((sum, ack) => sum + (ack.new as number), 0)).toBe(300);
    expect(acks.every((ack) => ack.stored === 300)).toBe(true);
    await web.settled();
    expect(web.all('message:new')).toHaveLength(300);
    expect((await fresh(token)).messages).toHaveLength(300);
  });

  test('the same id twice in one batch is one message, as far as either got', async () => {
    const { handset, web, token } = await aPair();
    const sent = message({ type: 'sent', status: 'sent', read: false });
    expect(await tell(handset, sent, { ...sent, status: 'delivered', read: true }, sent)).toMatchObject({ new: 1 });
    expect((await fresh(token)).messages).toEqual([{ ...sent, status: 'delivered', read: true }]);
    await web.settled();
    expect(web.all('message:new')).toEqual([]);
  });

  test('a message that is told again keeps its text and moves on in status and read', async () => {
    const { handset, token } = await aPair();
    const first = message();
    await tell(handset, first);
    await tell(handset, { ...first, body: 'Another text', read: true });
    await tell(handset, first);
    expect((await fresh(token)).messages).toEqual([{ ...first, read: true }]);
  });

  test('messages of several conversations in one batch each show in their own', async () => {
    const { handset, token } = await aPair();
    await tell(
      handset,
      message({ conversationId: 'a', phoneNumber: '+1000001', body: 'To a' }),
      message({ conversationId: 'b', phoneNumber: '+1000002', body: 'To b' }),
      message({ conversationId: 'a', phoneNumber: '+1000001', body: 'To a again' }),
    );
    expect((await fresh(token)).conversations).toMatchObject([
      { id: 'a', phoneNumber: '+1000001', lastMessage: 'To a again', unreadCount: 2 },
      { id: 'b', phoneNumber: '+1000002', lastMessage: 'To b', unreadCount: 1 },
    ]);
  });
});

describe('statuses', () => {
  const STATUSES = ['queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'cancelled'] as const;
  const FORWARD: Record<MessageStatus, MessageStatus[]> = {
    queued: ['sending', 'sent', 'delivered', 'read', 'failed', 'cancelled'],
    sending: ['sent', 'delivered', 'read', 'failed', 'cancelled'],
    sent: ['delivered', 'read', 'failed'],
    delivered: ['read'],
    read: [],
    failed: [],
    cancelled: [],
  };
  test.each(STATUSES)('from %s a message only moves forward', (from) => {
    expect(STATUSES.filter((to) => movesForward(from, to))).toEqual(FORWARD[from]);
  });

  test('a message without a status takes any', () => {
    expect(STATUSES.every((to) => movesForward(null, to))).toBe(true);
  });

  test('a late status does not undo a newer one', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    for (const status of ['sent', 'delivered', 'sending', 'sent', 'failed', 'queued'] as const)
      expect(await report(handset, 't1', status)).toEqual({ ok: true, known: true });
    await web.settled();
    expect(web.all('message:status').map(({ status }) => status)).toEqual(['sent', 'delivered']);
    expect((await fresh(token)).messages).toMatchObject([{ id: 't1', status: 'delivered' }]);
  });

  test('statuses that arrive all at once leave the furthest', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    await Promise.all((['delivered', 'sent', 'sending'] as const).map((status) => report(handset, 't1', status)));
    expect((await fresh(token)).messages).toMatchObject([{ id: 't1', status: 'delivered' }]);
    await web.settled();
    expect(web.all('message:status').at(-1)).toEqual({ messageId: 't1', status: 'delivered' });
  });

  test('after the phone named a message by an id of its own, that id reports its status too', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    const own = message({ id: 'sms-7', type: 'sent', body: 'From the web', status: 'sent', timestamp: Date.now() });
    await tell(handset, own);
    await report(handset, 'sms-7', 'delivered');
    expect(await web.next('message:status', (fact) => fact.status === 'delivered')).toEqual({
      messageId: 'sms-7',
      tempId: 't1',
      status: 'delivered',
    });
    expect((await fresh(token)).messages).toMatchObject([{ id: 't1', status: 'delivered' }]);
  });

  test('a status of a message that nobody told of is passed on', async () => {
    const { handset, web } = await aPair();
    expect(await report(handset, 'unheard-of', 'delivered')).toEqual({ ok: true, known: false });
    expect(await web.next('message:status')).toEqual({ messageId: 'unheard-of', status: 'delivered' });
  });

  test('message:sent is stored and routed', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    const fact = { phoneNumber: '+15550100', messageId: 't1' };
    expect(await handset.send('message:sent', fact)).toEqual({ ok: true, known: true });
    expect(await web.next('message:sent')).toEqual(fact);
    expect(await web.next('message:status')).toEqual({ messageId: 't1', status: 'sent' });
    expect((await fresh(token)).messages).toMatchObject([{ id: 't1', status: 'sent' }]);
  });

  test('message:sent with an id of the phone’s own names the oldest message to that number', async () => {
    const { handset, web, token } = await aPair();
    await write(web, { message: 'First' });
    await write(web, { message: 'Second', tempId: 't2' });
    await report(handset, 't1', 'sending');
    await handset.send('message:sent', { phoneNumber: '+1 555 0100', messageId: 'sms-1' });
    await handset.send('message:sent', { phoneNumber: '+1 555 0100', messageId: 'sms-2' });
    await report(handset, 'sms-2', 'delivered');
    const { messages } = await fresh(token);
    expect(new Map(messages.map(({ id, status }) => [id, status]))).toEqual(
      new Map([
        ['t1', 'sent'],
        ['t2', 'delivered'],
      ]),
    );
  });
});

describe('deleting', () => {
  test('message:deleted of the phone is routed, stored, and stays so when the phone tells it again', async () => {
    const { handset, web, token } = await aPair();
    const [gone, left] = [message(), message()];
    await tell(handset, gone, left);
    expect(await handset.send('message:deleted', { messageId: gone.id })).toEqual({ ok: true });
    expect(await web.next('message:deleted')).toEqual({ messageId: gone.id });

    web.forget();
    expect(await tell(handset, gone, left)).toEqual({ ok: true, stored: 1, new: 0 });
    expect(await web.next('messages:sync')).toEqual({ messages: [left] });
    expect((await fresh(token)).messages).toEqual([left]);
    expect(await report(handset, gone.id, 'delivered')).toMatchObject({ ok: true });
    expect((await fresh(token)).messages).toEqual([left]);
  });

  test('a message that is not there cannot be deleted', async () => {
    const { handset, web } = await aPair();
    expect(await handset.send('message:deleted', { messageId: 'x' })).toMatchObject({ code: 'message_not_found' });
    expect(await web.send('web:delete-message', { messageId: 'x' })).toMatchObject({ code: 'message_not_found' });
  });

  test('a browser deletes: the phone and the other browsers are told once', async () => {
    const { handset, web, token } = await aPair();
    const other = await aBrowser(await pair(server.url, handset));
    const tab = await aBrowser(token);
    const gone = message();
    await tell(handset, gone, message());
    expect(await web.send('web:delete-message', { messageId: gone.id })).toEqual({ ok: true });
    expect(await web.send('web:delete-message', { messageId: gone.id })).toEqual({ ok: true });
    expect(await handset.next('delete:message')).toEqual({ messageId: gone.id });
    await Promise.all([handset, other, tab, web].map((client) => client.settled()));
    expect(handset.all('delete:message')).toHaveLength(1);
    for (const seeing of [other, tab]) expect(seeing.all('message:deleted')).toEqual([{ messageId: gone.id }]);
    expect((await fresh(token)).messages).toHaveLength(1);
  });

  test('a queued message that is deleted is not sent any more', async () => {
    const { handset, web } = await aPair();
    handset.close();
    await web.next('mobile:disconnected');
    await write(web);
    await write(web, { tempId: 't2', message: 'Still to go' });
    await web.send('web:delete-message', { messageId: 't1' });
    const back = await aPhone(handset);
    await back.next('send:message');
    await back.settled();
    expect(back.all('send:message')).toMatchObject([{ tempId: 't2' }]);
  });

  test('a conversation shows the newest message that is left, and counts no deleted one', async () => {
    const { handset, token } = await aPair();
    const [first, second] = [message({ body: 'First' }), message({ body: 'Second' })];
    await tell(handset, first, second);
    await handset.send('message:deleted', { messageId: second.id });
    expect((await fresh(token)).conversations).toMatchObject([
      { lastMessage: 'First', lastMessageTime: first.timestamp, unreadCount: 1 },
    ]);
  });
});

describe('what a browser wrote and the phone tells of under an id of its own', () => {
  const sms = (fields: Record<string, unknown> = {}) =>
    message({ type: 'sent', status: 'sent', read: true, body: 'From the web', timestamp: Date.now(), ...fields });

  test('it is the browser’s message', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    expect(await tell(handset, sms({ id: 'sms-1', phoneNumber: '+1 (555) 01-00' }))).toMatchObject({ new: 0 });
    expect(await tell(handset, sms({ id: 'sms-1', status: 'delivered' }))).toMatchObject({ new: 0 });
    expect((await fresh(token)).messages).toMatchObject([{ id: 't1', tempId: 't1', status: 'delivered' }]);
  });

  test('two equal texts stay two', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    await write(web, { tempId: 't2' });
    await tell(handset, sms({ id: 'sms-1' }), sms({ id: 'sms-2' }));
    await tell(handset, sms({ id: 'sms-2' }), sms({ id: 'sms-1' }));
    const { messages } = await fresh(token);
    expect(messages.map(({ id }) => id).sort()).toEqual(['t1', 't2']);
    expect(await tell(handset, sms({ id: 'sms-3' }))).toMatchObject({ new: 1 });
  });

  test('two equal texts stay two when the phone tells of them at the same time', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    await write(web, { tempId: 't2' });
    await Promise.all([tell(handset, sms({ id: 'sms-1' })), tell(handset, sms({ id: 'sms-2' }))]);
    expect((await fresh(token)).messages.map(({ id }) => id).sort()).toEqual(['t1', 't2']);
  });

  test('the same one told twice at the same time is one', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    await Promise.all([1, 2, 3].map(() => tell(handset, sms({ id: 'sms-1' }))));
    expect((await fresh(token)).messages.map(({ id }) => id)).toEqual(['t1']);
  });

  test('an equal text that was written on the phone long before is not swallowed', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    expect(await tell(handset, sms({ id: 'old', timestamp: Date.now() - 3_600_000 }))).toMatchObject({ new: 1 });
    const { messages } = await fresh(token);
    expect(messages.map(({ id }) => id).sort()).toEqual(['old', 't1']);
    expect(messages.find(({ id }) => id === 't1')).toMatchObject({ status: 'queued' });
  });

  test('an equal text to another number is another message', async () => {
    const { handset, web } = await aPair();
    await write(web);
    expect(await tell(handset, sms({ phoneNumber: '+15550999', conversationId: 'other' }))).toMatchObject({ new: 1 });
  });
});

describe('sending', () => {
  test('a phone that acknowledges nothing is offered it on every connection until it reports a status', async () => {
    const { handset, web } = await aPair();
    await write(web);
    await handset.next('send:message');
    for (let connection = 0; connection < 3; connection++) {
      const again = await aPhone(handset);
      expect(await again.next('send:message')).toEqual({
        phoneNumber: '+15550100',
        message: 'From the web',
        tempId: 't1',
      });
    }
    const last = await aPhone(handset);
    await last.next('send:message');
    await report(last, 't1', 'sent');
    const after = await aPhone(handset);
    await write(web, { tempId: 't2' });
    await after.next('send:message', ({ tempId }) => tempId === 't2');
    expect(after.all('send:message')).toHaveLength(1);
  });

  test('a phone that acknowledges is offered it once', async () => {
    const { handset, web } = await aPair();
    acknowledge(handset, 'send:message');
    await write(web);
    expect(await web.next('message:status')).toEqual({ messageId: 't1', status: 'sending' });
    const again = await aPhone(handset);
    await write(web, { tempId: 't2' });
    await again.next('send:message', ({ tempId }) => tempId === 't2');
    expect(again.all('send:message')).toHaveLength(1);
  });

  test('what was written while the phone was away arrives in the order it was written', async () => {
    const { handset, web } = await aPair();
    handset.close();
    await web.next('mobile:disconnected');
    const wanted = Array.from({ length: 30 }, (_, i) => `t-${i}`);
    for (const tempId of wanted) await write(web, { tempId, message: tempId });
    const back = await aPhone(handset);
    await back.next('send:message', undefined, 30);
    expect(back.all('send:message').map(({ tempId }) => tempId)).toEqual(wanted);
  });

  test('nothing is offered twice on one connection, also while the phone is arriving', async () => {
    const { handset, web } = await aPair();
    handset.close();
    await web.next('mobile:disconnected');
    const wanted = Array.from({ length: 20 }, (_, i) => `t-${i}`);
    const writing = wanted.map((tempId) => write(web, { tempId, message: tempId }));
    const back = await aPhone(handset);
    await Promise.all(writing);
    await Promise.all(wanted.map((tempId) => write(web, { tempId, message: tempId })));
    await back.next('send:message', undefined, 20);
    await back.settled();
    const offered = back.all('send:message').map(({ tempId }) => tempId as string);
    expect(offered.sort()).toEqual(wanted.sort());
  });

  test('the same send again is the same message', async () => {
    const { handset, web, token } = await aPair();
    const acks = await Promise.all([write(web), write(web), write(web)]);
    expect(acks.every(({ ok, messageId }) => ok && messageId === 't1')).toBe(true);
    const tab = await aBrowser(token);
    expect(await write(tab, { phoneNumber: '+1 555 0100' })).toMatchObject({ ok: true, messageId: 't1' });
    await handset.next('send:message');
    await handset.settled();
    expect(handset.all('send:message')).toHaveLength(1);
    expect((await fresh(token)).messages).toHaveLength(1);
    await report(handset, 't1', 'sent');
    expect(await write(web)).toEqual({ ok: true, messageId: 't1', status: 'sent' });
  });

  test('a tempId that names another message is refused', async () => {
    const { handset, web, token } = await aPair();
    await write(web);
    expect(await write(web, { message: 'Another text' })).toMatchObject({ ok: false, code: 'temp_id_taken' });
    expect(await write(web, { phoneNumber: '+15550999' })).toMatchObject({ ok: false, code: 'temp_id_taken' });
    const other = await aBrowser(await pair(server.url, handset));
    expect(await write(other)).toMatchObject({ ok: false, code: 'temp_id_taken' });
    const received = message({ body: 'From the web' });
    await tell(handset, received);
    expect(await write(web, { tempId: received.id })).toMatchObject({ ok: false, code: 'temp_id_taken' });
    await web.send('web:delete-message', { messageId: 't1' });
    expect(await write(web)).toMatchObject({ ok: false, code: 'temp_id_taken' });
    expect((await fresh(token)).messages).toMatchObject([{ id: received.id }]);
  });

  test('the same tempId in two accounts is two messages', async () => {
    const [one, other] = [await aPair(), await aPair()];
    expect(await write(one.web, { message: 'One' })).toMatchObject({ ok: true });
    expect(await write(other.web, { message: 'Other' })).toMatchObject({ ok: true });
    expect(await one.handset.next('send:message')).toMatchObject({ message: 'One' });
    expect(await other.handset.next('send:message')).toMatchObject({ message: 'Other' });
  });

  test('what nobody took in time fails visibly, is not offered any more, and can be sent again', async () => {
    const { handset, web, token } = await aPair();
    handset.close();
    await web.next('mobile:disconnected');
    expect(await write(web, { validUntil: Date.now() + 300 })).toMatchObject({ ok: true, status: 'queued' });
    expect(await web.next('message:status')).toEqual({ messageId: 't1', status: 'failed' });
    expect((await fresh(token)).messages).toMatchObject([{ id: 't1', status: 'failed' }]);

    const back = await aPhone(handset);
    await write(web, { tempId: 't2' });
    await back.next('send:message', ({ tempId }) => tempId === 't2');
    expect(back.all('send:message')).toHaveLength(1);

    expect(await write(web)).toEqual({ ok: true, messageId: 't1', status: 'queued' });
    expect(await back.next('send:message', ({ tempId }) => tempId === 't1')).toMatchObject({ message: 'From the web' });
    expect((await fresh(token)).messages.find(({ id }) => id === 't1')).toMatchObject({ status: 'queued' });
  });

  test('what failed under the eyes of a phone is offered to it again when it is sent again', async () => {
    const { handset, web } = await aPair();
    await write(web, { validUntil: Date.now() + 300 });
    await handset.next('send:message');
    await web.next('message:status', ({ status }) => status === 'failed');
    await write(web);
    await handset.next('send:message', undefined, 2);
    await report(handset, 't1', 'failed');
    await write(web);
    await handset.next('send:message', undefined, 3);
    await handset.settled();
    expect(handset.all('send:message')).toHaveLength(3);
  });

  test('a deadline that has passed already is refused', async () => {
    const { web } = await aPair();
    expect(await write(web, { validUntil: Date.now() - 1 })).toMatchObject({ ok: false, code: 'valid_until_passed' });
  });
});

describe('marking read', () => {
  test('the other browsers get the counts, the browser that read gets nothing twice', async () => {
    const { handset, web, token } = await aPair();
    const other = await aBrowser(await pair(server.url, handset));
    const tab = await aBrowser(token);
    await tell(handset, message(), message(), message({ conversationId: 'b', phoneNumber: '+15550200' }));
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    for (const seeing of [other, tab]) {
      const { conversations } = await seeing.next<{ conversations: Conversation[] }>('conversations:sync');
      expect(new Map(conversations.map(({ id, unreadCount }) => [id, unreadCount]))).toEqual(
        new Map([
          ['b', 1],
          ['thread-1', 0],
        ]),
      );
      await seeing.settled();
      expect(seeing.all('conversations:sync')).toHaveLength(1);
    }
  });

  test('what was read stays read, and what comes later counts', async () => {
    const { handset, web, token } = await aPair();
    const [first, second] = [message(), message()];
    await tell(handset, first, second);
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    web.forget();
    await tell(handset, first, second); // the phone does not know yet
    expect((await web.next('messages:sync')).messages).toMatchObject([{ read: true }, { read: true }]);
    let now = await fresh(token);
    expect(now.conversations).toMatchObject([{ unreadCount: 0 }]);
    expect(now.messages.map(({ read }) => read)).toEqual([true, true]);

    await tell(handset, message());
    now = await fresh(token);
    expect(now.conversations).toMatchObject([{ unreadCount: 1 }]);
    expect(now.messages.map(({ read }) => read)).toEqual([true, true, false]);
  });

  test('a phone’s snapshot from before does not bring the count back', async () => {
    const { handset, web, token } = await aPair();
    const sent = message();
    await tell(handset, sent);
    const told = conversation({ lastMessageTime: sent.timestamp, unreadCount: 4 });
    await handset.send('mobile:conversations', { conversations: [told] });
    expect((await fresh(token)).conversations).toMatchObject([{ unreadCount: 4 }]);
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    await handset.send('mobile:conversations', { conversations: [told] });
    expect((await fresh(token)).conversations).toMatchObject([{ unreadCount: 0 }]);
    const newer = { ...told, lastMessageTime: sent.timestamp + 1, unreadCount: 1 };
    await handset.send('mobile:conversations', { conversations: [newer] });
    expect((await fresh(token)).conversations).toMatchObject([{ unreadCount: 1 }]);
  });

  test('the browsers are sent no unread count of the phone’s from before', async () => {
    const { handset, web } = await aPair();
    const sent = message();
    await tell(handset, sent);
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    const told = conversation({ lastMessageTime: sent.timestamp, unreadCount: 4 });
    await handset.send('mobile:conversations', { conversations: [told] });
    await web.settled();
    expect(web.all('conversations:sync').at(-1).conversations).toMatchObject([{ id: 'thread-1', unreadCount: 0 }]);
  });

  test('a phone that was away learns of it on each connection until it acknowledges', async () => {
    const { handset, web } = await aPair();
    await tell(handset, message());
    handset.close();
    await web.next('mobile:disconnected');
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    const first = await aPhone(handset);
    expect(await first.next('mark:read')).toEqual({ conversationId: 'thread-1' });

    // This one acknowledges. The server takes note in its own time: some later connection is told no more.
    const { deviceId, deviceToken } = handset;
    const second = kept(new Client(server.url)) as PhoneClient;
    acknowledge(second, 'mark:read');
    await second.send('mobile:register', { deviceId, deviceToken });
    await second.next('mark:read');
    for (let told = true; told;) {
      const later = await aPhone(handset);
      const tempId = randomUUID();
      await write(web, { tempId });
      await later.next('send:message', (offer) => offer.tempId === tempId);
      told = later.all('mark:read').length > 0;
    }
  });

  test('a late acknowledgement of one reading does not stand for a later one', async () => {
    const { handset, web } = await aPair();
    let acknowledgeFirst: (reply: { ok: boolean }) => void;
    const offered = new Promise<void>((resolve) =>
      handset.socket.once('mark:read', (_: unknown, reply: typeof acknowledgeFirst) => {
        acknowledgeFirst = reply;
        resolve();
      }),
    );
    await tell(handset, message());
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    await offered;
    await tell(handset, message());
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    acknowledgeFirst!({ ok: true });
    await handset.settled();
    // Whatever the acknowledgement does is done once the phone's next look at the same row is.
    await handset.send('mobile:conversations', { conversations: [conversation({ unreadCount: 1 })] });
    handset.close();
    await web.next('mobile:disconnected');
    const again = await aPhone(handset);
    expect(await again.next('mark:read')).toEqual({ conversationId: 'thread-1' });
  });

  test('a phone that acknowledges nothing learns of it until its own count says so', async () => {
    const { handset, web } = await aPair();
    const sent = message();
    await tell(handset, sent);
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    const again = await aPhone(handset);
    await again.next('mark:read');
    const told = conversation({ lastMessageTime: sent.timestamp, unreadCount: 0 });
    await again.send('mobile:conversations', { conversations: [told] });
    const last = await aPhone(handset);
    await write(web);
    await last.next('send:message');
    expect(last.all('mark:read')).toEqual([]);
  });

  test('a conversation that is not there cannot be read', async () => {
    const { web } = await aPair();
    expect(await web.send('web:mark-read', { conversationId: 'x' })).toMatchObject({ code: 'conversation_not_found' });
  });

  test('messages of the same moment each count', async () => {
    const { handset, web, token } = await aPair();
    const timestamp = message().timestamp;
    const same = [1, 2, 3].map(() => message({ timestamp }));
    await tell(handset, same[0]);
    await tell(handset, same[1], same[2]);
    expect((await fresh(token)).conversations).toMatchObject([{ unreadCount: 3 }]);
    await tell(handset, { ...same[1], read: true });
    expect((await fresh(token)).conversations).toMatchObject([{ unreadCount: 2 }]);
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    const { conversations, messages } = await fresh(token);
    expect(conversations).toMatchObject([{ unreadCount: 0 }]);
    expect(messages.every(({ read }) => read)).toBe(true);
  });

  test('a reply counts although the phone’s clock is behind what a browser wrote', async () => {
    const { handset, web, token } = await aPair();
    const first = message({ timestamp: Date.now() - 60_000 });
    await tell(handset, first);
    await write(web);
    await web.send('web:mark-read', { conversationId: 'thread-1' });
    await tell(handset, message({ timestamp: Date.now() - 5_000, body: 'The reply' }));
    const { conversations, messages } = await fresh(token);
    expect(conversations).toMatchObject([{ unreadCount: 1 }]);
    expect(messages.find(({ body }) => body === 'The reply')).toMatchObject({ read: false });
  });

  test('history that the phone fills in does not count again', async () => {
    const { handset, web, token } = await aPair();
    const newest = message();
    const history = Array.from({ length: 5 }, (_, i) => message({ timestamp: newest.timestamp - 1000 * (i + 1) }));
    const told = conversation({ lastMessageTime: newest.timestamp, unreadCount: 2 });
    await handset.send('mobile:conversations', { conversations: [told] });
    await tell(handset, newest, ...history);
    expect((await fresh(token)).conversations).toMatchObject([{ unreadCount: 2 }]);

    await web.send('web:mark-read', { conversationId: 'thread-1' });
    await tell(handset, ...history.map(({ timestamp }) => message({ timestamp: timestamp - 100 })));
    expect((await fresh(token)).conversations).toMatchObject([{ unreadCount: 0 }]);
  });

  test('messages that are read or deleted on the phone stop counting', async () => {
    const { handset, token } = await aPair();
    const [one, two, three] = [message(), message(), message()];
    await tell(handset, one, two, three);
    await tell(handset, { ...one, read: true });
    await handset.send('message:deleted', { messageId: two.id });
    expect((await fresh(token)).conversations).toMatchObject([{ unreadCount: 1 }]);
  });
});

describe('a conversation that a browser begins', () => {
  test('becomes the phone’s own once a message names it', async () => {
    const { handset, web, token } = await aPair();
    await write(web, { phoneNumber: '+15550300' });
    const before = await fresh(token);
    expect(before.conversations).toMatchObject([{ phoneNumber: '+15550300', lastMessage: 'From the web' }]);
    expect(before.messages[0]!.conversationId).toBe(before.conversations[0]!.id);

    await tell(handset, message({ conversationId: 'thread-9', phoneNumber: '+1 (555) 03-00', body: 'Yes?' }));
    const { conversations, messages } = await fresh(token);
    expect(conversations).toMatchObject([{ id: 'thread-9', unreadCount: 1 }]);
    expect(messages.map(({ conversationId, body }) => `${conversationId} ${body}`).sort()).toEqual([
      'thread-9 From the web',
      'thread-9 Yes?',
    ]);
    // A browser that was there all along learns where its message is now.
    await web.next<{ messages: Message[] }>('messages:sync', ({ messages }) =>
      messages.some(({ id, conversationId }) => id === 't1' && conversationId === 'thread-9'),
    );
  });

  test('becomes the phone’s own once the phone tells of it', async () => {
    const { handset, web, token } = await aPair();
    await write(web, { phoneNumber: '+15550300' });
    await write(web, { phoneNumber: '+15550300', tempId: 't2', message: 'And more' });
    const told = conversation({ id: 'thread-9', phoneNumber: '+15550300', contactName: 'Ann' });
    await handset.send('mobile:conversations', { conversations: [told] });
    await write(web, { phoneNumber: '+1 555 0300', tempId: 't3', message: 'And the last' });
    const { conversations, messages } = await fresh(token);
    expect(conversations).toMatchObject([{ id: 'thread-9', contactName: 'Ann', lastMessage: 'And the last' }]);
    expect(messages.map(({ conversationId }) => conversationId)).toEqual(['thread-9', 'thread-9', 'thread-9']);
  });

  test('becomes the phone’s own while browsers go on writing to it', async () => {
    const { handset, web, token } = await aPair();
    const tempIds = Array.from({ length: 24 }, (_, i) => `t-${i}`);
    const writing = tempIds.slice(0, 12).map((tempId) => write(web, { phoneNumber: '+15550300', tempId }));
    await writing[0];
    const naming = tell(handset, message({ conversationId: 'thread-9', phoneNumber: '+15550300' }));
    const more = tempIds.slice(12).map((tempId) => write(web, { phoneNumber: '+15550300', tempId }));
    const acks = await Promise.all([...writing, ...more, naming]);
    expect(acks.every(({ ok }) => ok)).toBe(true);
    const { conversations, messages } = await fresh(token);
    expect(conversations.map(({ id }) => id)).toEqual(['thread-9']);
    expect(messages.map(({ conversationId }) => conversationId)).toEqual(Array(25).fill('thread-9'));
  });

  test('becomes the phone’s own also after the server was started anew', async () => {
    const database = await createTestDatabase();
    let own = await TestServer.start({ database, limits });
    try {
      const { handset, web, token } = await aPair(own.url);
      await write(web, { phoneNumber: '+15550300' });
      await own.stop();
      own = await TestServer.start({ database, limits });
      const back = await aPhone(handset, own.url);
      expect(await back.next('send:message')).toMatchObject({ tempId: 't1' });
      await tell(back, message({ conversationId: 'thread-9', phoneNumber: '+15550300' }));
      const { conversations, messages } = await fresh(token, own.url);
      expect(conversations.map(({ id }) => id)).toEqual(['thread-9']);
      expect(messages.map(({ conversationId }) => conversationId)).toEqual(['thread-9', 'thread-9']);
    } finally {
      await own.stop();
      await database.drop();
    }
  });

  test('a known number needs no new conversation, however it is written', async () => {
    const { handset, web, token } = await aPair();
    await tell(handset, message({ conversationId: 'thread-4', phoneNumber: '0015550400' }));
    await write(web, { phoneNumber: '+1 555-0400' });
    const { conversations, messages } = await fresh(token);
    expect(conversations.map(({ id }) => id)).toEqual(['thread-4']);
    expect(messages.map(({ conversationId }) => conversationId)).toEqual(['thread-4', 'thread-4']);
  });
});

describe('several browsers and tabs', () => {
  test('each sees everything once, and what it did itself not again', async () => {
    const { handset, web, token } = await aPair();
    const tab = await aBrowser(token);
    const other = await aBrowser(await pair(server.url, handset));
    const received = [message(), message(), message()];
    for (const one of received) await tell(handset, one);
    await write(web);
    await report(handset, 't1', 'sent');
    await Promise.all([web, tab, other].map((client) => client.settled()));

    for (const client of [web, tab, other]) {
      expect(client.all('message:new')).toEqual(received);
      expect(client.all('message:status')).toEqual([{ messageId: 't1', status: 'sent' }]);
    }
    const written = (client: Client) =>
      client.all<{ messages: Message[] }>('messages:sync').flatMap(({ messages }) => messages).filter(({ id }) => id === 't1'); // prettier-ignore
    expect([web, tab, other].map((client) => written(client).length)).toEqual([0, 1, 1]);
    expect(handset.all('send:message')).toHaveLength(1);
  });

  test('a tab that closes takes nothing from the others', async () => {
    const { handset, web, token } = await aPair();
    const tab = await aBrowser(token);
    tab.close();
    await tab.next('disconnect');
    const sent = message();
    await tell(handset, sent);
    expect(await web.next('message:new')).toEqual(sent);
  });

  test('each is sent the same when it signs in', async () => {
    const { handset, web, token } = await aPair();
    const other = await pair(server.url, handset);
    await tell(handset, message(), message({ conversationId: 'b', phoneNumber: '+15550200' }));
    await write(web);
    expect(await fresh(token)).toEqual(await fresh(other));
  });

  test('what happens while a browser is sent its snapshot comes after it', async () => {
    const { handset, token } = await aPair();
    await tell(handset, ...Array.from({ length: 900 }, () => message()));
    const telling = Array.from({ length: 20 }, () => message());
    const arriving = aBrowser(token);
    await Promise.all(telling.map((one) => tell(handset, one)));
    const web = await arriving;
    const seen = () =>
      new Set(
        web.all<{ messages: Message[] }>('messages:sync').flatMap(({ messages }) => messages.map(({ id }) => id)),
      );
    await web.until(() => telling.every(({ id }) => seen().has(id)) && seen().size === 920, 'all messages');
  });
});

describe('asking the phone for a sync', () => {
  test('a phone that is there is asked', async () => {
    const { handset, web } = await aPair();
    await handset.next('request:sync');
    handset.forget();
    expect(await web.send('web:request-sync')).toEqual({ ok: true });
    expect(await handset.next('request:sync')).toEqual({});
  });

  test('a phone that is away is asked once it is back, and the browser is told', async () => {
    const { handset, web } = await aPair();
    handset.close();
    await web.next('mobile:disconnected');
    expect(await web.send('web:request-sync')).toMatchObject({
      ok: false,
      code: 'phone_away',
      message: 'Mobile device not connected',
    });
    web.socket.emit('web:request-sync');
    expect(await web.next('error')).toMatchObject({ code: 'phone_away', message: 'Mobile device not connected' });
    const back = await aPhone(handset);
    await back.next('request:sync');
    await back.settled();
    expect(back.all('request:sync')).toHaveLength(1);
  });
});
