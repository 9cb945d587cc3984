import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { cleanUp } from './support/database.js';
import { aGroup, aPair, CHEAP, invite, KEY, people, post, rowsOf, sealed, type Person } from './support/people.js';
import { TestServer } from './support/server.js';
import { bySnapshot, byDelta, View } from './support/views.js';

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start(CHEAP);
  url = server.url;
});
afterAll(() => server.stop());
afterEach(cleanUp);

describe('a conversation of two', () => {
  test('begins with an invitation, and both write in it', async () => {
    const [ada, bob] = await people(url, 2);
    const { status, body } = await ada!.ask('POST', '/api/conversations/invite', { pseudo: bob!.name, key: KEY });
    expect(status).toBe(201);
    expect(body).toEqual({ invitation_id: expect.any(String), conversation_id: expect.any(String) });
    const { invitations } = await bob!.get('/api/conversations/invitations');
    expect(invitations).toEqual([
      {
        invitation_id: body.invitation_id,
        conversation_id: body.conversation_id,
        name: null,
        group: false,
        inviter: { user_id: ada!.id, pseudo: ada!.name, public_key: ada!.publicKey },
        key: KEY,
        created_at: expect.any(Number),
      },
    ]);
    const answered = await bob!.ask('POST', `/api/conversations/invitations/${body.invitation_id}/respond`, {
      response: 'accepted',
    });
    expect(answered).toMatchObject({
      status: 201,
      body: { message: expect.any(String), conversation_id: body.conversation_id },
    });
    expect((await bob!.get('/api/conversations/invitations')).invitations).toEqual([]);

    const first = await post(ada!, body.conversation_id, 'hello');
    const second = await post(bob!, body.conversation_id, 'hi');
    expect(second.number).toBeGreaterThan(first.number);
    for (const reader of [ada!, bob!]) {
      const { messages } = await reader.get(`/api/conversations/${body.conversation_id}/messages`);
      expect(messages).toEqual([
        {
          message_id: second.message_id,
          conversation_id: body.conversation_id,
          sender: { user_id: bob!.id, pseudo: bob!.name },
          messageContent: second.messageContent,
          timestamp: expect.any(Number),
          number: second.number,
        },
        expect.objectContaining({ message_id: first.message_id, messageContent: first.messageContent }),
      ]);
    }
  });

  test('who invites somebody that has invited them accepts: there is one, also when both do at once', async () => {
    const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
    const first = await invite(ada, bob);
    const reply = await bob.ask('POST', '/api/conversations/invite', { pseudo: ada.name, key: KEY });
    expect([reply.status, reply.body]).toEqual([200, first]);
    const [one, other] = await Promise.all([invite(bob, cleo), invite(cleo, bob)]);
    expect(one).toEqual(other);
    for (const [person, count] of [
      [ada, 1],
      [bob, 2],
      [cleo, 1],
    ] as const) {
      expect((await person.get('/api/conversations')).conversations).toHaveLength(count);
      expect((await person.get('/api/conversations/invitations')).invitations).toEqual([]);
    }
  });

  test('native clients read the same from changes as from a snapshot', async () => {
    const [ada, bob] = await people(url, 2);
    const id = await aPair(ada!, bob!);
    const { message_id } = await post(ada!, id, 'one');
    await post(bob!, id, 'two');
    await bob!.do('PUT', `/api/conversations/${id}/messages/${message_id}/reaction`, { content: sealed('+1') });
    await ada!.do('PATCH', `/api/conversations/${id}/messages/${message_id}`, { messageContent: sealed('edited') });
    for (const person of [ada!, bob!]) {
      const replayed = await byDelta(url, person.token, new View());
      expect(replayed.lines()).toEqual((await bySnapshot(url, person.token)).lines());
      expect([...rowsOf(replayed, 'chat.member', id).keys()].sort()).toEqual([ada!.id, bob!.id].sort());
      expect(rowsOf(replayed, 'chat.message', id).size).toBe(2);
      expect(rowsOf(replayed, 'chat.reaction', id).size).toBe(1);
    }
  });
});

describe('a group', () => {
  test('has an owner, and members that are invited', async () => {
    const [ada, bob, cleo] = await people(url, 3);
    const id = await aGroup(ada!, bob!, cleo!);
    const { members } = await cleo!.get(`/api/conversations/${id}/members`);
    expect(members.map(({ pseudo, role, state }: Record<string, string>) => [pseudo, role, state])).toEqual([
      [ada!.name, 'owner', 'accepted'],
      [bob!.name, 'member', 'accepted'],
      [cleo!.name, 'member', 'accepted'],
    ]);
  });
});
