import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { pairAt } from './support/accounts.js';
import { call, Client } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { aPair, CHEAP, invite, KEY, people, post, respond, rowsOf, sealed, type Person } from './support/people.js';
import { TestServer } from './support/server.js';
import { WsClient } from './support/ws.js';

// A person is blocked with all the accounts that became theirs, whichever was named and whenever they were joined; and whoever
// blocks does so with all of their own.

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start(CHEAP);
  url = server.url;
});
afterAll(() => server.stop());
afterEach(cleanUp);

const path = (id: string, rest = '') => `/api/conversations/${id}${rest}`;

/** An account that a phone made, in the browser that it let in. */
async function aPhones(): Promise<Pick<Person, 'id' | 'token' | 'ask' | 'do'>> {
  const { token, userId: id } = await pairAt(url);
  const ask: Person['ask'] = (method, at, body) => call(url, at, { method, token, body });
  const must: Person['do'] = async (method, at, body) => {
    const reply = await ask(method, at, body);
    if (reply.status > 299) throw new Error(`${method} ${at} answered ${reply.status}`);
    return reply.body;
  };
  return { id, token, ask, do: must };
}

const join = (person: Person, phones: { token: string }) =>
  person.do('POST', '/api/account/join', { token: phones.token, currentPassword: person.password });

/** A group that the account began, with the guest in it. */
async function groupOf(host: Pick<Person, 'do'>, guest: Person): Promise<string> {
  const { conversation_id: id } = await host.do<{ conversation_id: string }>('POST', '/api/conversations', { name: 'Team' }); // prettier-ignore
  const body = { pseudo: guest.name, key: KEY, conversationId: id };
  const { invitation_id } = await host.do<{ invitation_id: string }>('POST', '/api/conversations/invite', body);
  await respond(guest, invitation_id);
  return id;
}

/** What a person hears of one conversation, by every way there is. */
async function hearing({ token, get, snapshot }: Person, id: string) {
  const socket = new Client(url, { auth: { token } });
  const plain = new WsClient(url, { query: { token } });
  const follower = new Client(url, { auth: { token, after: (await snapshot()).cursor } });
  for (const client of [socket, plain, follower]) later(() => client.close());
  await Promise.all([socket.connected(), plain.send('joinConversation', { conversationId: id }), follower.connected()]);
  return async () => {
    await Promise.all([socket.settled(), follower.settled(), plain.send('joinConversation', { conversationId: id })]);
    const { messages } = await get(path(id, '/messages'));
    const { conversations } = await get('/api/conversations');
    const events = ['newMessage', 'messageEdited', 'reaction', 'userTyping'];
    const told = (client: Client | WsClient) => events.flatMap((event) => client.all(event).map(() => event));
    return {
      rest: messages.map((m: { message_id: string }) => m.message_id),
      reactions: messages.flatMap((m: { reactions?: unknown[] }) => m.reactions ?? []).length,
      unread: conversations.find((c: { conversation_id: string }) => c.conversation_id === id).unread_count,
      log: [...rowsOf(await snapshot(), 'chat.message', id).keys()],
      followed: follower.all('changes').flatMap(({ changes }) => changes.filter(isWritten)).length,
      socket: told(socket),
      ws: told(plain),
    };
  };
}

const isWritten = ({ kind }: { kind: string }) => kind === 'chat.message' || kind === 'chat.reaction';
const NOTHING = { rest: [], reactions: 0, unread: 0, log: [], followed: 0, socket: [], ws: [] };

/** Writes, reacts and types in it. */
async function beLoud(token: string, id: string, ask: Person['do'], about?: string): Promise<void> {
  const { message_id } = await ask('POST', path(id, '/messages'), { messageContent: sealed('unwanted') });
  await ask('PATCH', path(id, `/messages/${message_id}`), { messageContent: sealed('edited') });
  await ask('PUT', path(id, `/messages/${about ?? message_id}/reaction`), { content: sealed() });
  const typist = new Client(url, { auth: { token } });
  later(() => typist.close());
  await typist.connected();
  expect(await typist.send('userTyping', { conversationId: id })).toMatchObject({ ok: true });
}

test('who blocked one account hears nothing of one that it was joined to afterwards', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const phones = await aPhones();
  const id = await groupOf(phones, ada);
  await ada.do('PUT', `/api/blocks/${bob.id}`);
  await join(bob, phones);
  const heard = await hearing(ada, id);
  await beLoud(phones.token, id, phones.do);
  expect(await heard()).toEqual(NOTHING);
  expect((await ada.snapshot()).of('block')).toEqual([{ id: bob.id }]);
});

test('who blocks one of two accounts that are one hears nothing of the other', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const phones = await aPhones();
  const id = await aPair(ada, bob);
  await join(bob, phones);
  await ada.do('PUT', `/api/blocks/${phones.id}`);
  const heard = await hearing(ada, id);
  await beLoud(bob.token, id, bob.do);
  expect(await heard()).toEqual(NOTHING);
});

test('what was theirs before they were blocked stays', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const phones = await aPhones();
  const id = await aPair(ada, bob);
  const { message_id } = await post(bob, id, 'before');
  await join(bob, phones);
  await ada.do('PUT', `/api/blocks/${phones.id}`);
  await post(bob, id, 'unwanted');
  expect(await (await hearing(ada, id))()).toEqual({ ...NOTHING, rest: [message_id], unread: 1, log: [message_id] });
});

test('whoever lets one of two accounts through that are one lets the person through', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const phones = await aPhones();
  const id = await aPair(ada, bob);
  await ada.do('PUT', `/api/blocks/${bob.id}`);
  await join(bob, phones);
  await ada.do('PUT', `/api/blocks/${phones.id}`);
  await ada.do('DELETE', `/api/blocks/${phones.id}`);
  expect(await ada.get('/api/blocks')).toEqual({ blocks: [] });
  const { message_id } = await post(bob, id, 'welcome');
  expect(rowsOf(await ada.snapshot(), 'chat.message', id).has(message_id)).toBe(true);
});

test('an invitation by a person who is blocked by another account of theirs is not shown', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const phones = await aPhones();
  const { invitation_id } = await invite(bob, ada);
  await join(bob, phones);
  expect((await ada.get('/api/conversations/invitations')).invitations).toMatchObject([{ invitation_id }]);
  await ada.do('PUT', `/api/blocks/${phones.id}`);
  expect((await ada.get('/api/conversations/invitations')).invitations).toEqual([]);
});

test('who accepts an invitation with history gets nothing of it that one wrote whom they block', async () => {
  const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
  const phones = await aPhones();
  const id = await groupOf(phones, ada);
  await phones.do('PATCH', path(id, `/members/${ada.id}`), { role: 'admin' });
  await cleo.do('PUT', `/api/blocks/${bob.id}`);
  await join(bob, phones);
  await post(bob, id, 'unwanted');
  const { message_id } = await post(ada, id, 'wanted');
  await bob.do('PUT', path(id, `/messages/${message_id}/reaction`), { content: sealed() });
  await respond(cleo, (await invite(ada, cleo, id, { history: true })).invitation_id);
  const view = await cleo.snapshot();
  expect([...rowsOf(view, 'chat.message', id).keys()]).toEqual([message_id]);
  expect(rowsOf(view, 'chat.reaction', id).size).toBe(0);
});

test('whom one blocked stays blocked while the rest of the account is still moving', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const phones = await aPhones();
  const id = await aPair(ada, bob);
  await ada.do('PUT', `/api/blocks/${bob.id}`);
  await join(ada, phones);
  // As it is when the server dies in between.
  await query(server.database.url, 'UPDATE blocks SET account_id = $1 WHERE account_id = $2', [ada.id, phones.id]);
  const heard = await hearing(ada, id);
  await beLoud(bob.token, id, bob.do);
  expect(await heard()).toEqual(NOTHING);
});
