import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Client } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { aGroup, aPair, CHEAP, KEY, people, post, respond, rowsOf, sealed, type Person } from './support/people.js';
import { TestServer } from './support/server.js';

// Who blocks somebody hears nothing of them; who is blocked notices nothing.

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start(CHEAP);
  url = server.url;
});
afterAll(() => server.stop());
afterEach(cleanUp);

const path = (id: string, rest = '') => `/api/conversations/${id}${rest}`;
/* eslint-disable @typescript-eslint/no-explicit-any -- replies are looked at by `expect` */

async function connected({ token }: Person): Promise<Client> {
  const client = new Client(url, { auth: { token } });
  later(() => client.close());
  await client.connected();
  return client;
}

test('what somebody writes who is blocked reaches the others alone', async () => {
  const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
  const id = await aGroup(ada, bob, cleo);
  const before = await post(bob, id, 'before');
  await ada.do('PUT', `/api/blocks/${bob.id}`);
  const [hers, cleos] = [await connected(ada), await connected(cleo)];
  const posted = await post(bob, id, 'unwanted');
  const own = await post(ada, id, 'mine');
  await bob.do('PUT', path(id, `/messages/${own.message_id}/reaction`), { content: sealed() });
  await (await connected(bob)).send('userTyping', { conversationId: id });
  await cleos.next('userTyping');
  expect(cleos.all('newMessage').map((m) => m.message_id)).toEqual([posted.message_id, own.message_id]);
  await hers.settled();
  expect(hers.all('newMessage').map((m) => m.message_id)).toEqual([own.message_id]);
  expect([...hers.all('userTyping'), ...hers.all('reaction')]).toEqual([]);
  const ids = async (person: Person) =>
    (await person.get(path(id, '/messages'))).messages.map((m: any) => m.message_id);
  expect(await ids(ada)).toEqual([own.message_id, before.message_id]);
  expect(await ids(cleo)).toEqual([own.message_id, posted.message_id, before.message_id]);
  expect((await ada.get(path(id, '/messages'))).messages[0].reactions).toBeUndefined();
  const view = await ada.snapshot();
  expect([...rowsOf(view, 'chat.message', id).keys()]).toEqual([before.message_id, own.message_id]);
  expect(rowsOf(view, 'chat.reaction', id).size).toBe(0);
  expect((await ada.get(path(id))).unread_count).toBe(0);
  // Page by page, the wanted ones fill the page.
  for (let i = 0; i < 12; i++) await post(bob, id);
  expect((await ada.get(path(id, '/messages?limit=2'))).messages).toHaveLength(2);
  // What is deleted goes for her too.
  await bob.do('DELETE', path(id, `/messages/${before.message_id}`));
  expect([...rowsOf(await ada.snapshot(), 'chat.message', id).keys()]).toEqual([own.message_id]);

  await ada.do('DELETE', `/api/blocks/${bob.id}`);
  const again = await post(bob, id, 'welcome');
  expect(rowsOf(await ada.snapshot(), 'chat.message', id).has(again.message_id)).toBe(true);
});

test('an invitation by somebody who is blocked is never heard of, and looks like any other', async () => {
  const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
  await bob.do('PUT', `/api/blocks/${ada.id}`);
  const client = await connected(bob);
  const ask = (more: object = {}) =>
    ada.ask('POST', '/api/conversations/invite', { pseudo: bob.name, key: KEY, ...more });
  const first = await ask();
  expect(first).toMatchObject({ status: 201, body: { invitation_id: expect.any(String) } });
  expect(await ask()).toMatchObject({ status: 200, body: first.body });
  const { conversation_id: id, invitation_id } = first.body;
  await post(ada, id);
  const group = await aGroup(ada, cleo);
  expect((await ask({ conversationId: group })).status).toBe(201);
  await ada.do('POST', path(group, '/keys'), { epoch: 2, keys: [ada, bob, cleo].map(({ id: userId }) => ({ userId, key: 'k' })) }); // prettier-ignore
  await ada.do('PATCH', path(group), { name: 'Renamed' });
  expect((await ada.get(path(id, '/members'))).members).toEqual([
    expect.objectContaining({ user_id: ada.id, state: 'accepted' }),
    expect.objectContaining({ user_id: bob.id, state: 'invited' }),
  ]);
  expect((await bob.get('/api/conversations/invitations')).invitations).toEqual([]);
  expect((await bob.ask('POST', `/api/conversations/invitations/${invitation_id}/respond`, { response: 'accepted' })).body.code).toBe('invitation_not_found'); // prettier-ignore
  await ada.do('DELETE', path(group, `/members/${bob.id}`));
  const view = await bob.snapshot();
  for (const kind of ['chat', 'chat.member', 'chat.key', 'chat.message']) expect(view.of(kind)).toEqual([]);
  await client.settled();
  for (const event of ['pendingNotifications', 'memberChanged', 'conversationChanged'])
    expect(client.all(event)).toEqual([]);

  // Let through again, the next one comes; the inviter sees the same.
  await bob.do('DELETE', `/api/blocks/${ada.id}`);
  expect((await bob.get('/api/conversations/invitations')).invitations).toEqual([]);
  expect((await ask()).body).toEqual(first.body);
  await respond(bob, invitation_id);
  expect((await bob.ask('GET', path(id))).status).toBe(200);
});

test('who is blocked in a conversation of two writes to nobody, and is not told', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const id = await aPair(ada, bob);
  await ada.do('PUT', `/api/blocks/${bob.id}`);
  expect((await bob.ask('POST', path(id, '/messages'), { messageContent: sealed() })).status).toBe(201);
  expect((await ada.get(path(id, '/messages'))).messages).toEqual([]);
  expect((await bob.get(path(id, '/messages'))).messages).toHaveLength(1);
  const cursor = (await ada.snapshot()).cursor;
  await post(bob, id);
  expect((await ada.snapshot()).cursor).toBe(cursor);
});
