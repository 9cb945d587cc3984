import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { browser, message, pair, phone, type Client, type PhoneClient } from './support/clients.js';
import { TestServer } from './support/server.js';

let server: TestServer;
const clients: Client[] = [];
const kept = <T extends Client>(client: T): T => (clients.push(client), client);
const aPhone = async (known?: { deviceId: string; deviceToken: string }) => kept(await phone(server.url, known));
const aBrowser = async (token: string) => kept(await browser(server.url, token));

/** A phone and a browser that it let in. */
async function aPair(): Promise<{ handset: PhoneClient; web: Client; token: string }> {
  const handset = await aPhone();
  const token = await pair(server.url, handset);
  return { handset, web: await aBrowser(token), token };
}

beforeAll(async () => {
  server = await TestServer.start();
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(() => server.stop());

test('a message of the phone reaches the browser as messages:sync and, being new, as message:new', async () => {
  const { handset, web } = await aPair();
  const sent = message({ body: 'Hi', phoneNumber: '+15550111' });
  expect(await handset.send('mobile:messages', { messages: [sent] })).toEqual({ ok: true, stored: 1, new: 1 });
  expect(await web.next('messages:sync')).toEqual({ messages: [sent] });
  expect(await web.next('message:new')).toEqual(sent);
});

test('a message sent again is synced again but not new again', async () => {
  const { handset, web } = await aPair();
  const sent = message();
  await handset.send('mobile:messages', { messages: [sent] });
  expect(await handset.send('mobile:messages', { messages: [sent] })).toEqual({ ok: true, stored: 1, new: 0 });
  await web.next('messages:sync', undefined, 2);
  await web.settled();
  expect(web.all('message:new')).toHaveLength(1);
});

test('conversations of the phone reach the browser as they came', async () => {
  const { handset, web } = await aPair();
  const conversation = {
    id: 't1',
    phoneNumber: '+15550112',
    contactName: 'Ann',
    lastMessage: 'Yes',
    lastMessageTime: 1000,
    unreadCount: 2,
  };
  expect(await handset.send('mobile:conversations', { conversations: [conversation] })).toMatchObject({ ok: true });
  expect(await web.next('conversations:sync')).toEqual({ conversations: [conversation] });
});

test('a browser sends, the phone gets it with the same body, and its statuses come back', async () => {
  const { handset, web } = await aPair();
  const wanted = { phoneNumber: '+15550113', message: 'On my way', tempId: 'temp-1' };
  expect(await web.send('web:send-message', wanted)).toEqual({ ok: true, messageId: 'temp-1', status: 'queued' });
  expect(await handset.next('send:message')).toEqual(wanted);
  await handset.send('mobile:message-status', { messageId: 'temp-1', status: 'sent' });
  expect(await web.next('message:status')).toEqual({ messageId: 'temp-1', status: 'sent' });
});

test('a message waits for a phone that is away, and is offered until the phone takes it', async () => {
  const { handset, web } = await aPair();
  handset.close();
  await web.next('mobile:disconnected');
  await web.send('web:send-message', { phoneNumber: '+15550114', message: 'Later', tempId: 'temp-2' });

  const back = await aPhone(handset);
  expect(await back.next('send:message')).toMatchObject({ tempId: 'temp-2', message: 'Later' });
  back.close();
  const again = await aPhone(handset);
  again.socket.on('send:message', (_: unknown, ack: (reply: unknown) => void) => ack({ ok: true }));
  await again.next('send:message');
  expect(await web.next('message:status')).toEqual({ messageId: 'temp-2', status: 'sending' });

  const third = await aPhone(handset);
  await third.settled();
  expect(third.all('send:message')).toEqual([]);
});

test('a browser that signs in gets what is stored, and the phone one request for the rest', async () => {
  const { handset, token } = await aPair();
  const sent = message({ body: 'Stored' });
  await handset.send('mobile:messages', { messages: [sent] });
  handset.forget();
  const second = await aBrowser(token);
  expect(await second.next('messages:sync')).toEqual({ messages: [sent] });
  expect((await second.next('conversations:sync')).conversations).toMatchObject([
    { id: 'thread-1', lastMessage: 'Stored', unreadCount: 1 },
  ]);
  await handset.settled();
  expect(handset.all('request:sync')).toHaveLength(1);
});

test('marking read in a browser counts to zero everywhere and tells the phone', async () => {
  const { handset, web, token } = await aPair();
  await handset.send('mobile:messages', { messages: [message(), message()] });
  expect(await web.send('web:mark-read', { conversationId: 'thread-1' })).toMatchObject({ ok: true });
  expect(await handset.next('mark:read')).toEqual({ conversationId: 'thread-1' });
  const second = await aBrowser(token);
  expect((await second.next('conversations:sync')).conversations[0]).toMatchObject({ unreadCount: 0 });
  expect((await second.next('messages:sync')).messages).toMatchObject([{ read: true }, { read: true }]);
});

test('a status sent right behind its message does not overtake it', async () => {
  const { handset, web } = await aPair();
  const sent = message({ type: 'sent', read: true, status: 'sending' });
  const acks = await Promise.all([
    handset.send('mobile:messages', { messages: [sent] }),
    handset.send('mobile:message-status', { messageId: sent.id, status: 'sent' }),
    handset.send('mobile:message-status', { messageId: sent.id, status: 'delivered' }),
  ]);
  expect(acks).toEqual([
    { ok: true, stored: 1, new: 1 },
    { ok: true, known: true },
    { ok: true, known: true },
  ]);
  expect(await web.next('message:status', undefined, 2)).toEqual({ messageId: sent.id, status: 'delivered' });
});

test('a message that the phone lists as sent is not offered to it again', async () => {
  const { handset, web } = await aPair();
  await web.send('web:send-message', { phoneNumber: '+15550115', message: 'Once', tempId: 'temp-3' });
  await handset.next('send:message');
  const listed = message({
    id: 'sms-1',
    type: 'sent',
    read: true,
    phoneNumber: '+15550115',
    body: 'Once',
    timestamp: Date.now(),
  });
  await handset.send('mobile:messages', { messages: [listed] });
  handset.close();
  const back = await aPhone(handset);
  await back.settled();
  expect(back.all('send:message')).toEqual([]);
  // What it was sent when it signed in may show the message as it was then.
  const isSent = ({ messages }: { messages: { status?: string }[] }) =>
    messages.some(({ status }) => status === 'sent');
  expect((await web.next('messages:sync', isSent)).messages).toMatchObject([
    { id: 'temp-3', tempId: 'temp-3', status: 'sent' },
  ]);
});
