import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { cleanUp } from './support/database.js';
import { aGroup, CHEAP, invite, people, respond, rowsOf, type Person } from './support/people.js';
import { TestServer } from './support/server.js';

// What members sign of each other is kept beside who is in a conversation, and passed on as it is.

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start(CHEAP);
  url = server.url;
});
afterAll(() => server.stop());
afterEach(cleanUp);

/** Asks until the answer fits: others hear of a new key a moment later. */
async function until<T>(look: () => Promise<T>, fits: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (fits(seen)) return seen;
  }
}

async function memberOf(person: Person, id: string, of: Person) {
  return rowsOf(await person.snapshot(), 'chat.member', id).get(of.id);
}

test('who invites signs who is invited, and who accepts signs back, for all members to see', async () => {
  const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
  const id = await aGroup(ada, bob);
  const { invitation_id } = await invite(ada, cleo, id, { vouch: 'Cleo, says Ada' });
  expect(await memberOf(cleo, id, cleo)).toMatchObject({ state: 'invited', vouch: 'Cleo, says Ada' });
  await cleo.do('POST', `/api/conversations/invitations/${invitation_id}/respond`, { response: 'accepted', vouch: 'Ada, says Cleo' }); // prettier-ignore
  const signed = { vouch: 'Cleo, says Ada', vouchBack: 'Ada, says Cleo' };
  for (const person of [ada, bob, cleo]) expect(await memberOf(person, id, cleo)).toMatchObject(signed);
  // Whatever else changes of them.
  await ada.do('PATCH', `/api/conversations/${id}/members/${cleo.id}`, { role: 'admin' });
  await cleo.do('PUT', '/api/profile/public-key', { public_key: 'another key' });
  for (const person of [ada, bob, cleo]) {
    const member = await until(() => memberOf(person, id, cleo), ({ publicKey }) => publicKey === 'another key'); // prettier-ignore
    expect(member).toMatchObject({ ...signed, role: 'admin' });
  }
  // Who is invited anew is as new.
  await ada.do('DELETE', `/api/conversations/${id}/members/${cleo.id}`);
  await respond(cleo, (await invite(ada, cleo, id)).invitation_id);
  const again = await memberOf(bob, id, cleo);
  expect(again).not.toHaveProperty('vouch');
  expect(again).not.toHaveProperty('vouchBack');
});

test('who signs nothing, or declines, is as ever; what is too long is refused', async () => {
  const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
  const id = await aGroup(ada, bob);
  expect(await memberOf(ada, id, bob)).not.toHaveProperty('vouch');
  const { invitation_id } = await invite(ada, cleo, id, { vouch: null });
  const answer = `/api/conversations/invitations/${invitation_id}/respond`;
  for (const vouch of ['', 'v'.repeat(513), 'a\nb', 7, ['v']]) {
    const body = { pseudo: bob.name, key: 'k', conversationId: id, vouch };
    expect((await ada.ask('POST', '/api/conversations/invite', body)).status).toBe(400);
    expect((await cleo.ask('POST', answer, { response: 'accepted', vouch })).status).toBe(400);
  }
  await cleo.do('POST', answer, { response: 'declined', vouch: 'Ada, says Cleo' });
  expect(await memberOf(ada, id, cleo)).toMatchObject({ state: 'declined' });
  expect(await memberOf(ada, id, cleo)).not.toHaveProperty('vouchBack');
});
