import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { browser, follower, message, pair, phone, type Client, type PhoneClient } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';
import { bySnapshot } from './support/views.js';

// Native clients put envelopes where texts and names are, and aliases where numbers are (protocol/src/envelope.ts). The
// server takes them as it takes any.

const ALIAS = '~0123456789abcdef0123456789abcdef';
const OTHER = '~0123456789abcdef0123456789abcdee';
const NAME = `pl1.1.${'A1_-'.repeat(2000)}`;
const BODY = 'pl1.1.c2VhbGVkLWJvZHk';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits: { maxTextLength: 65_536 } });
});
afterEach(cleanUp);
afterAll(() => server.stop());

async function aPair(): Promise<{ handset: PhoneClient; web: Client; token: string }> {
  const handset = await phone(server.url);
  later(() => handset.close());
  const token = await pair(server.url, handset);
  const web = await browser(server.url, token);
  later(() => web.close());
  return { handset, web, token };
}

const sealed = (fields: object = {}) => message({ conversationId: 't1', phoneNumber: ALIAS, body: BODY, ...fields });
const told = (handset: PhoneClient, fields: object = {}) =>
  handset.send('mobile:conversations', { conversations: [{ id: 't1', phoneNumber: ALIAS, contactName: NAME, lastMessage: '', ...fields }] }); // prettier-ignore
const rowsOf = async (token: string, kind: string) => (await bySnapshot(server.url, token)).of<Record<string, unknown>>(kind); // prettier-ignore

test('a sealed name longer than any name, an alias and a sealed text come out as they went in', async () => {
  const { handset, token } = await aPair();
  const following = follower(server.url, token);
  later(() => following.close());
  expect(await told(handset)).toMatchObject({ ok: true });
  expect(await handset.send('mobile:messages', { messages: [sealed({ id: 'm1' })] })).toMatchObject({ ok: true });
  expect(await rowsOf(token, 'conversation')).toMatchObject([{ id: 't1', phoneNumber: ALIAS, contactName: NAME }]);
  expect(await rowsOf(token, 'message')).toMatchObject([{ id: 'm1', phoneNumber: ALIAS, body: BODY }]);
  await following.until(() => JSON.stringify(following.all('changes')).includes(BODY));
  expect(JSON.stringify(following.all('changes'))).toContain(NAME);
});

test('a name has the bound of a text', async () => {
  const { handset } = await aPair();
  expect(await told(handset, { contactName: 'x'.repeat(65_536) })).toMatchObject({ ok: true });
  expect(await told(handset, { contactName: 'x'.repeat(65_537) })).toMatchObject({ ok: false });
});

test('what a browser writes to an alias goes into the conversation that the phone told with it', async () => {
  const { handset, web, token } = await aPair();
  await told(handset);
  expect(await web.send('web:send-message', { phoneNumber: ALIAS, message: BODY, tempId: 'w1' })).toMatchObject({ ok: true }); // prettier-ignore
  expect(await handset.next('send:message')).toEqual({ phoneNumber: ALIAS, message: BODY, tempId: 'w1' });
  expect(await rowsOf(token, 'message')).toMatchObject([{ id: 'w1', conversationId: 't1', phoneNumber: ALIAS }]);
  expect(await rowsOf(token, 'conversation')).toHaveLength(1);
});

test('a conversation that a browser begins with an alias becomes the phone’s own', async () => {
  const { handset, web, token } = await aPair();
  await web.send('web:send-message', { phoneNumber: ALIAS, message: BODY, tempId: 'w1' });
  expect((await rowsOf(token, 'conversation'))[0]!.id).toMatch(/^new:/);
  await handset.send('mobile:message-status', { messageId: 'w1', status: 'sent' });
  await handset.send('mobile:messages', { messages: [sealed({ id: 'm1' })] });
  expect(await rowsOf(token, 'conversation')).toMatchObject([{ id: 't1', phoneNumber: ALIAS }]);
  const messages = await rowsOf(token, 'message');
  expect(messages.map(({ id, conversationId }) => [id, conversationId]).sort()).toEqual([['m1', 't1'], ['w1', 't1']]); // prettier-ignore
});

test('a native phone tells a message that a browser wrote under its tempId: it stays one message', async () => {
  const { handset, web, token } = await aPair();
  await told(handset);
  await web.send('web:send-message', { phoneNumber: ALIAS, message: BODY, tempId: 'w1' });
  // Sealed anew, it is another text: it is known by its id.
  const again = sealed({ id: 'w1', type: 'sent', status: 'delivered', body: 'pl1.1.YW5vdGhlcg' });
  expect(await handset.send('mobile:messages', { messages: [again] })).toMatchObject({ ok: true, new: 0 });
  expect(await rowsOf(token, 'message')).toMatchObject([{ id: 'w1', body: BODY, status: 'delivered' }]);
});

test('aliases that differ in one digit are two numbers', async () => {
  const { handset, web, token } = await aPair();
  await told(handset);
  await web.send('web:send-message', { phoneNumber: OTHER, message: BODY, tempId: 'w1' });
  const numbers = (await rowsOf(token, 'conversation')).map(({ phoneNumber }) => phoneNumber);
  expect(numbers.sort()).toEqual([OTHER, ALIAS].sort());
});
