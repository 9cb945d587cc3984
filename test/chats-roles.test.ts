import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { aGroup, aPair, CHEAP, invite, KEY, people, post, respond, sealed, type Person } from './support/people.js';
import { TestServer } from './support/server.js';

// Who may do what in a conversation, and how people come and go.

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start({ ...CHEAP, limits: { chatMembers: 6 } });
  url = server.url;
});
afterAll(() => server.stop());

const path = (id: string, rest = '') => `/api/conversations/${id}${rest}`;

/** Whether somebody may do something: `ok`, or the code. */
async function may(person: Person, method: string, where: string, body?: unknown): Promise<string> {
  const reply = await person.ask(method, where, body);
  return reply.status < 300 ? 'ok' : `${reply.status} ${reply.body.code}`;
}

const statesOf = async (person: Person, id: string) =>
  Object.fromEntries(
    (await person.get(path(id, '/members'))).members.map((m: Record<string, string>) => [
      m.pseudo,
      `${m.role} ${m.state}`,
    ]),
  );

describe('in a group', () => {
  test('owner and admins invite, rename and remove; members do not', async () => {
    const [owner, admin, member, other, guest] = (await people(url, 5)) as [Person, Person, Person, Person, Person];
    const id = await aGroup(owner, admin, member, other);
    expect(await may(admin, 'PATCH', path(id, `/members/${admin.id}`), { role: 'admin' })).toBe('403 role_missing');
    await owner.do('PATCH', path(id, `/members/${admin.id}`), { role: 'admin' });

    const asked = { pseudo: guest.name, key: KEY, conversationId: id };
    expect(await may(member, 'POST', '/api/conversations/invite', asked)).toBe('403 role_missing');
    expect(await may(member, 'PATCH', path(id), { name: 'Ours' })).toBe('403 role_missing');
    expect(await may(member, 'DELETE', path(id, `/members/${other.id}`))).toBe('403 role_missing');
    expect(await may(member, 'DELETE', path(id))).toBe('403 role_missing');
    expect(await may(admin, 'DELETE', path(id))).toBe('403 role_missing');
    expect(await may(admin, 'DELETE', path(id, `/members/${owner.id}`))).toBe('403 role_missing');

    expect(await may(admin, 'POST', '/api/conversations/invite', asked)).toBe('ok');
    expect(await may(admin, 'PATCH', path(id), { name: 'Ours' })).toBe('ok');
    expect((await member.get(path(id))).name).toBe('Ours');
    expect(await may(admin, 'DELETE', path(id, `/members/${other.id}`))).toBe('ok');
    expect(await may(owner, 'DELETE', path(id, `/members/${admin.id}`))).toBe('ok');
    expect(await statesOf(owner, id)).toEqual({
      [owner.name]: 'owner accepted',
      [member.name]: 'member accepted',
      [guest.name]: 'member invited',
    });
  });

  test('the owner leaves once the group is handed over', async () => {
    const [owner, heir] = (await people(url, 2)) as [Person, Person];
    const id = await aGroup(owner, heir);
    expect(await may(owner, 'POST', path(id, '/leave'))).toBe('409 owner_must_hand_over');
    expect(await may(owner, 'PATCH', path(id, `/members/${owner.id}`), { role: 'member' })).toBe(
      '409 owner_must_hand_over',
    );
    await owner.do('PATCH', path(id, `/members/${heir.id}`), { role: 'owner' });
    expect(await statesOf(heir, id)).toEqual({ [owner.name]: 'admin accepted', [heir.name]: 'owner accepted' });
    expect(await may(owner, 'POST', path(id, '/leave'))).toBe('ok');
    expect(await may(owner, 'GET', path(id))).toBe('404 conversation_not_found');
    // Alone, one may leave, and the group is over.
    expect(await may(heir, 'POST', path(id, '/leave'))).toBe('ok');
    expect(await may(heir, 'GET', path(id))).toBe('404 conversation_not_found');
  });

  test('of two hand-overs at once one counts', async () => {
    const [owner, one, other] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aGroup(owner, one, other);
    const tried = await Promise.all(
      [one, other].map((heir) => may(owner, 'PATCH', path(id, `/members/${heir.id}`), { role: 'owner' })),
    );
    expect(tried.sort()).toEqual(['403 role_missing', 'ok']);
    const roles = Object.values(await statesOf(owner, id));
    expect(roles.filter((role) => role === 'owner accepted')).toHaveLength(1);
  });

  test('takes as many as it may, and then nobody more', async () => {
    const all = await people(url, 7);
    const [owner, ...guests] = all as [Person, ...Person[]];
    const id = await aGroup(owner);
    for (const guest of guests.slice(0, 5)) await invite(owner, guest, id);
    const last = { pseudo: guests[5]!.name, key: KEY, conversationId: id };
    expect(await may(owner, 'POST', '/api/conversations/invite', last)).toBe('409 chat_full');
    await owner.do('DELETE', path(id, `/members/${guests[0]!.id}`));
    expect(await may(owner, 'POST', '/api/conversations/invite', last)).toBe('ok');
  });

  test('whoever ends it ends it for all', async () => {
    const [owner, member, invited] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aGroup(owner, member);
    const { invitation_id } = await invite(owner, invited, id);
    await post(member, id, 'last words');
    await owner.do('DELETE', path(id));
    for (const person of [owner, member, invited]) {
      expect(await may(person, 'GET', path(id, '/messages'))).toBe('404 conversation_not_found');
      expect((await person.get('/api/conversations')).conversations).toEqual([]);
    }
    expect((await invited.get('/api/conversations/invitations')).invitations).toEqual([]);
    expect(await may(invited, 'POST', `/api/conversations/invitations/${invitation_id}/respond`, { response: 'accepted' })).toBe('409 invitation_answered'); // prettier-ignore
  });
});

describe('an invitation', () => {
  test('is answered once, also when both answers come at once', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const { invitation_id } = await invite(ada, bob);
    const where = `/api/conversations/invitations/${invitation_id}/respond`;
    const tried = await Promise.all(
      ['accepted', 'declined', 'accepted'].map((response) => may(bob, 'POST', where, { response })),
    );
    expect(tried.sort()).toEqual(['409 invitation_answered', '409 invitation_answered', 'ok']);
    expect(await may(bob, 'POST', where, { response: 'accepted' })).toBe('409 invitation_answered');
    expect(await may(ada, 'POST', where, { response: 'accepted' })).toBe('404 invitation_not_found');
  });

  test('is the same one for who is invited already, also twice at once', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const ask = () => ada.ask('POST', '/api/conversations/invite', { pseudo: bob.name, key: KEY });
    const replies = await Promise.all([ask(), ask(), ask()]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 200, 201]);
    expect(new Set(replies.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect((await bob.get('/api/conversations/invitations')).invitations).toHaveLength(1);
    await respond(bob, replies[0].body.invitation_id);
    expect((await ask()).body.code).toBe('already_member');
  });

  test('that was declined can be followed by another', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const first = await invite(ada, bob);
    const declined = await bob.ask('POST', `/api/conversations/invitations/${first.invitation_id}/respond`, { response: 'declined' }); // prettier-ignore
    expect(declined).toMatchObject({ status: 200, body: { message: expect.any(String) } });
    expect(declined.body.conversation_id).toBeUndefined();
    expect(await may(bob, 'GET', path(first.conversation_id))).toBe('404 conversation_not_found');
    const second = await invite(ada, bob);
    expect(second.invitation_id).not.toBe(first.invitation_id);
    expect(second.conversation_id).toBe(first.conversation_id);
    await respond(bob, second.invitation_id);
    expect(await may(bob, 'GET', path(first.conversation_id))).toBe('ok');
  });

  test('needs somebody who is there, has a key, and is somebody else', async () => {
    const [ada] = (await people(url, 1)) as [Person];
    const ask = (pseudo: string) => may(ada, 'POST', '/api/conversations/invite', { pseudo, key: KEY });
    expect(await ask('nobody-of-that-name')).toBe('404 person_not_found');
    expect(await ask(ada.name)).toBe('400 bad_request');
    const name = `keyless-${ada.name}`;
    await ada.ask('POST', '/api/auth/register', { pseudo: name, password: 'long enough' });
    expect(await ask(name)).toBe('404 person_not_found');
  });
});

describe('a conversation of two', () => {
  test('has no name, no third, and two who are alike', async () => {
    const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aPair(ada, bob);
    for (const person of [ada, bob]) {
      expect(await may(person, 'PATCH', path(id), { name: 'Us' })).toBe('409 chat_direct');
      expect(await may(person, 'POST', '/api/conversations/invite', { pseudo: cleo.name, key: KEY, conversationId: id })).toBe('409 chat_direct'); // prettier-ignore
      expect((await person.get(path(id))).role).toBe('owner');
    }
    expect(await may(ada, 'PATCH', path(id, `/members/${bob.id}`), { role: 'member' })).toBe('409 chat_direct');
    expect(await may(ada, 'POST', path(id, '/leave'))).toBe('ok');
    expect(await may(ada, 'GET', path(id))).toBe('404 conversation_not_found');
    expect(await statesOf(bob, id)).toEqual({ [bob.name]: 'owner accepted' });
    // Asked back, it is the same conversation.
    const again = await invite(bob, ada);
    expect(again.conversation_id).toBe(id);
    await respond(ada, again.invitation_id);
    expect(await may(ada, 'POST', path(id, '/messages'), { messageContent: sealed() })).toBe('ok');
  });
});
