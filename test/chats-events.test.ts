import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { browser } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { aGroup, aPair, aPerson, CHEAP, invite, people, post, respond, rowsOf, sealed, type Person } from './support/people.js'; // prettier-ignore
import { TestServer } from './support/server.js';
import { View } from './support/views.js';
import { transports, type AnyClient, type Introduction } from './support/ws.js';

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start(CHEAP);
  url = server.url;
});
afterAll(() => server.stop());
afterEach(cleanUp);

/** Another device of the same person. */
async function signedIn({ name, password }: Person): Promise<string> {
  const reply = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ pseudo: name, password }),
  });
  return ((await reply.json()) as { token: string }).token;
}

describe.each(transports)('over $name', ({ open }) => {
  async function connect(token: string, said: Introduction = {}): Promise<AnyClient> {
    const client = open(url, { token, ...said });
    later(() => client.close());
    await client.connected();
    await client.settled();
    return client;
  }

  test('a message reaches every connection of every device of every member, but the one that sent it', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aPair(ada, bob);
    const sender = await connect(ada.token);
    const others = [
      await connect(ada.token),
      await connect(await signedIn(ada)),
      await connect(bob.token),
      await connect(bob.token),
      await connect(await signedIn(bob)),
    ];
    const byEvent = await browser(url, await signedIn(bob));
    later(() => byEvent.close());
    const messageContent = sealed('hello');
    const ack = await sender.send('sendMessage', { conversationId: id, messageContent, messageId: 'm-1', epoch: 1 });
    expect(ack).toEqual({ ok: true, message_id: 'm-1', number: expect.any(Number) });
    for (const client of [...others, byEvent])
      expect(await client.next('newMessage')).toEqual({
        conversationId: id,
        message_id: 'm-1',
        sender: { user_id: ada.id, pseudo: ada.name },
        messageContent,
        timestamp: expect.any(Number),
        number: ack.number,
        epoch: 1,
      });
    // The same again is the same message, and told once.
    expect(await sender.send('sendMessage', { conversationId: id, messageContent, messageId: 'm-1' })).toEqual(ack);
    await sender.settled();
    expect(sender.all('newMessage')).toEqual([]);
    await others[3]!.settled();
    expect(others[3]!.all('newMessage')).toHaveLength(1);
    // One that came over HTTP reaches the author's connections too.
    await post(ada, id);
    await sender.next('newMessage');
  });

  test('edits, reactions, deletions and marks are told', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aPair(ada, bob);
    const [one, other] = [await connect(ada.token), await connect(bob.token)];
    const { message_id } = await one.send('sendMessage', { conversationId: id, messageContent: sealed() });
    const named = { conversationId: id, messageId: message_id };
    const messageContent = sealed('edited');
    expect(await one.send('editMessage', { ...named, messageContent })).toEqual({ ok: true });
    expect(await other.next('messageEdited')).toMatchObject({ conversationId: id, message_id, messageContent, edited_at: expect.any(Number) }); // prettier-ignore
    const content = sealed('+1');
    expect(await other.send('react', { ...named, content })).toEqual({ ok: true });
    expect(await one.next('reaction')).toEqual({ conversationId: id, message_id, user_id: bob.id, content });
    expect(await other.send('react', { ...named, content: null })).toEqual({ ok: true });
    expect(await one.next('reaction', () => true, 2)).toMatchObject({ content: null });
    expect(await other.send('markConversation', { conversationId: id, read: 1e9 })).toEqual({ ok: true });
    const { read } = await one.next('conversationMarked', ({ user_id }) => user_id === bob.id);
    expect(read).toBeGreaterThan(0);
    expect(await one.send('deleteMessage', named)).toEqual({ ok: true });
    expect(await other.next('messageDeleted')).toEqual({ conversationId: id, message_id });
    await one.settled();
    expect(one.all('messageEdited')).toEqual([]);
    expect(one.all('messageDeleted')).toEqual([]);
  });

  test('who comes, goes and changes is told, and nothing more to who has gone', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aGroup(ada);
    const [one, other] = [await connect(ada.token), await connect(bob.token)];
    const { invitation_id } = await invite(ada, bob, id);
    const pending = await other.next('pendingNotifications');
    expect(pending).toEqual({
      invitations: [expect.objectContaining({ invitation_id, conversation_id: id, group: true })],
      conversations: [],
    });
    expect((await one.next('memberChanged')).member).toMatchObject({ user_id: bob.id, state: 'invited' });
    await respond(bob, invitation_id);
    await one.next('memberChanged', ({ member }) => member.state === 'accepted');
    expect((await other.next('conversationChanged')).conversation).toMatchObject({ conversation_id: id, name: 'Team' });
    await ada.do('PATCH', `/api/conversations/${id}`, { name: 'Other' });
    await other.next('conversationChanged', ({ conversation }) => conversation.name === 'Other');
    await (await connect(await signedIn(ada))).send('userTyping', { conversationId: id });
    await other.next('userTyping');
    await ada.do('DELETE', `/api/conversations/${id}/members/${bob.id}`);
    expect((await other.next('memberChanged', ({ member }) => member.state === 'removed')).member.user_id).toBe(bob.id);
    // Not even that she has stopped typing.
    const heard = other.all('userStoppedTyping').length;
    await post(ada, id);
    await other.settled();
    expect(other.all('userStoppedTyping')).toHaveLength(heard);
    expect(other.all('newMessage')).toEqual([]);
    for (const event of ['sendMessage', 'userTyping', 'joinConversation', 'markConversation'])
      expect(await other.send(event, { conversationId: id, messageContent: sealed() })).toMatchObject({ ok: false, code: 'conversation_not_found' }); // prettier-ignore
  });

  test('who connects hears what waits, and nothing when nothing does', async () => {
    const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aPair(ada, bob);
    await post(ada, id);
    await post(ada, id);
    const { invitation_id } = await invite(cleo, bob);
    const client = open(url, { token: bob.token });
    later(() => client.close());
    expect(await client.next('pendingNotifications')).toEqual({
      invitations: [expect.objectContaining({ invitation_id })],
      conversations: [{ conversation_id: id, unread_count: 2 }],
    });
    const nobody = await connect((await aPerson(url)).token);
    await nobody.settled();
    expect(nobody.all('pendingNotifications')).toEqual([]);
  });

  test('who types is told of until they post, or have not typed for three seconds', async () => {
    const [ada, bob, eve] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aPair(ada, bob);
    const [one, other, stranger] = [await connect(ada.token), await connect(bob.token), await connect(eve.token)];
    const follower = await connect(bob.token, { after: 0 });
    const told = { conversationId: id, user_id: ada.id, pseudo: ada.name };
    expect(await one.send('userTyping', { conversationId: id })).toEqual({ ok: true });
    for (const client of [other, follower]) expect(await client.next('userTyping')).toEqual(told);
    expect(await one.send('sendMessage', { conversationId: id, messageContent: sealed() })).toMatchObject({ ok: true });
    for (const client of [other, follower]) expect(await client.next('userStoppedTyping')).toEqual(told);
    await one.send('userTyping', { conversationId: id });
    const began = Date.now();
    await other.next('userStoppedTyping', () => true, 2);
    expect(Date.now() - began).toBeGreaterThan(2500);
    await stranger.settled();
    expect(stranger.all('userTyping')).toEqual([]);
    expect(one.all('userTyping')).toEqual([]);
  });

  test('who follows by a cursor gets changes in place of events', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aPair(ada, bob);
    const follower = await connect(bob.token, { after: 0 });
    const messageContent = sealed();
    const { message_id } = await post(ada, id, '', { messageContent });
    await follower.next('changes', ({ changes }) => changes.some((c: { kind: string }) => c.kind === 'chat.message'));
    const view = new View();
    for (const page of follower.all('changes')) view.apply(page);
    expect(rowsOf(view, 'chat.message', id).get(message_id)).toMatchObject({ userId: ada.id, content: messageContent });
    expect(view.lines()).toEqual((await bob.snapshot()).lines());
    expect(follower.all('newMessage')).toEqual([]);
  });

  test('members need not join, and may ask whether they are in', async () => {
    const [ada, bob, eve] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aPair(ada, bob);
    const [one, stranger] = [await connect(ada.token), await connect(eve.token)];
    expect(await one.send('joinConversation', { conversationId: id })).toEqual({ ok: true });
    for (const event of [
      'joinConversation',
      'userTyping',
      'sendMessage',
      'editMessage',
      'deleteMessage',
      'react',
      'markConversation',
    ])
      // prettier-ignore
      for (const conversationId of [id, 'x', ada.id]) {
        const payload = { conversationId, messageId: 'm', messageContent: sealed(), content: sealed(), read: 1 };
        expect(await stranger.send(event, payload)).toMatchObject({ ok: false, code: 'conversation_not_found' });
      }
    expect(await one.send('sendMessage', { conversationId: id, messageContent: 'plain' })).toMatchObject({ ok: false, code: 'invalid_content' }); // prettier-ignore
    expect(await one.send('sendMessage', { conversationId: id })).toMatchObject({ ok: false, code: 'invalid_payload' });
  });
});
