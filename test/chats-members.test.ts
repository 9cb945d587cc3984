import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { follower } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { aGroup, aPair, CHEAP, invite, people, post, respond, rowsOf, sealed, type Person } from './support/people.js';
import { TestServer } from './support/server.js';
import { byDelta, keep, View } from './support/views.js';

// What each member sees of a conversation: the same, in the same order, from when they are in until they are out.

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start({ ...CHEAP, limits: { postsPerMinute: 0, invitationsPerHour: 0, registrationsPerHour: 0 } }); // prettier-ignore
  url = server.url;
});
afterAll(() => server.stop());
afterEach(cleanUp);

const path = (id: string, rest = '') => `/api/conversations/${id}${rest}`;

/** The messages that a person's changes have, by the chat's numbers. */
async function replayed(person: Person, id: string, view = new View()) {
  await byDelta(url, person.token, view);
  return [...rowsOf(view, 'chat.message', id).values()].map(({ id: message, number }) => `${number} ${message}`);
}

test('all members have the same order, however many post at once', async () => {
  const all = (await people(url, 5)) as [Person, ...Person[]];
  const [owner, ...others] = all;
  const id = await aGroup(owner, ...others);
  const posted = await Promise.all(all.flatMap((author) => Array.from({ length: 30 }, () => post(author, id))));
  const order = posted.sort((a, b) => a.number - b.number).map(({ number, message_id }) => `${number} ${message_id}`);
  expect(new Set(posted.map(({ number }) => number)).size).toBe(150);
  for (const person of all) {
    expect(await replayed(person, id)).toEqual(order);
    const { messages } = await person.get(path(id, '/messages?limit=100'));
    expect(messages.map((m: any) => `${m.number} ${m.message_id}`)).toEqual(order.slice(-100).reverse()); // eslint-disable-line @typescript-eslint/no-explicit-any
  }
});

test('a follower who is there and one who comes back end with what a fresh snapshot has', async () => {
  const all = (await people(url, 3)) as [Person, Person, Person];
  const [ada, bob, cleo] = all;
  const id = await aGroup(ada, bob, cleo);
  const failures: unknown[] = [];
  const there = new Map(
    all.map((person) => {
      const client = follower(url, person.token);
      later(() => client.close());
      return [person, { client, view: keep(client, new View(), failures) }];
    }),
  );
  const away = await byDelta(url, cleo.token, new View());
  const ids = new Map<Person, string[]>(all.map((person) => [person, []]));
  await Promise.all(
    all.map(async (person, i) => {
      for (let n = 0; n < 15; n++) {
        const { message_id, number } = await post(person, id, `${n}`);
        ids.get(person)!.push(message_id);
        const other = ids.get(all[(i + 1) % 3]!)!.at(-1);
        if (other !== undefined)
          await person.ask('PUT', path(id, `/messages/${other}/reaction`), { content: sealed() });
        if (n % 3 === 1) await person.do('PATCH', path(id, `/messages/${message_id}`), { messageContent: sealed() });
        if (n % 5 === 2) await person.do('DELETE', path(id, `/messages/${ids.get(person)![n - 1]}`));
        if (n % 4 === 3) await person.do('PUT', path(id, '/marks'), { read: number });
      }
    }),
  );
  await ada.do('PATCH', path(id, `/members/${bob.id}`), { role: 'admin' });
  await bob.do('PATCH', path(id), { name: 'Renamed' });
  for (const [person, { client, view }] of there) {
    const fresh = await person.snapshot();
    await client.until(() => view.cursor >= fresh.cursor, 'the last change');
    expect(view.lines()).toEqual(fresh.lines());
    expect(rowsOf(fresh, 'chat.message', id).size).toBe(36);
  }
  await byDelta(url, cleo.token, away);
  expect(away.lines()).toEqual((await cleo.snapshot()).lines());
  expect(failures).toEqual([]);
});

describe('somebody who is removed, or leaves,', () => {
  test.each([['removed'], ['left']])('%s: sees that, and nothing more', async (how) => {
    const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aGroup(ada, bob, cleo);
    const before = await post(ada, id, 'for all');
    const reacted = await post(ada, id, 'for all');
    const client = follower(url, bob.token);
    later(() => client.close());
    const live = keep(client, new View());
    if (how === 'left') await bob.do('POST', path(id, '/leave'));
    else await ada.do('DELETE', path(id, `/members/${bob.id}`));
    const gone = await byDelta(url, bob.token, new View());
    await client.until(() => live.cursor >= gone.cursor, 'the last of it');
    expect(rowsOf(live, 'chat.member', id).get(bob.id)).toMatchObject({ state: how });

    await post(ada, id, 'not for bob');
    await ada.do('PATCH', path(id, `/messages/${before.message_id}`), { messageContent: sealed('not for bob either') });
    await cleo.do('PUT', path(id, `/messages/${reacted.message_id}/reaction`), { content: sealed() });
    await ada.do('PATCH', path(id), { name: 'Without' });
    await cleo.do('PUT', path(id, '/marks'), { read: reacted.number });
    await ada.do('POST', path(id, '/keys'), { epoch: 2, keys: [ada, cleo].map(({ id: userId }) => ({ userId, key: 'new' })) }); // prettier-ignore

    // No change came: the account's number stands where it stood.
    const after = await byDelta(url, bob.token, new View());
    expect(after.cursor).toBe(gone.cursor);
    const text = after.lines().join('\n') + (await bob.snapshot()).lines().join('\n');
    expect(text).not.toContain('Without');
    expect(rowsOf(after, 'chat.message', id).has(before.message_id)).toBe(false);
    expect(rowsOf(after, 'chat.key', id).has(`2:${bob.id}`)).toBe(false);
    expect(live.cursor).toBe(gone.cursor);
    for (const rest of ['', '/messages', '/members']) expect((await bob.ask('GET', path(id, rest))).status).toBe(404);
    expect(rowsOf(await cleo.snapshot(), 'chat.member', id).get(bob.id)).toMatchObject({ state: how });
  });
});

describe('somebody new', () => {
  test('gets what was written since the invitation', async () => {
    const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aGroup(ada, bob);
    const old = await post(ada, id, 'before');
    const { invitation_id } = await invite(ada, cleo, id);
    const since = await post(bob, id, 'since');
    await bob.do('PUT', path(id, `/messages/${since.message_id}/reaction`), { content: sealed() });
    await bob.do('PUT', path(id, `/messages/${old.message_id}/reaction`), { content: sealed() });
    await bob.do('PUT', path(id, '/marks'), { read: since.number });
    const invited = await cleo.snapshot();
    expect([...rowsOf(invited, 'chat', id).keys()]).toEqual([id]);
    expect([...rowsOf(invited, 'chat.member', id).keys()].sort()).toEqual([ada.id, cleo.id].sort());
    expect([...rowsOf(invited, 'chat.key', id).keys()]).toEqual([`1:${cleo.id}`]);
    expect(rowsOf(invited, 'chat.message', id).size).toBe(0);
    expect((await cleo.ask('GET', path(id, '/messages'))).status).toBe(404);

    await respond(cleo, invitation_id);
    // What is older is not theirs, also when it changes.
    await ada.do('PATCH', path(id, `/messages/${old.message_id}`), { messageContent: sealed() });
    await ada.do('PUT', path(id, `/messages/${old.message_id}/reaction`), { content: sealed() });
    const next = await post(ada, id, 'next');
    const view = await byDelta(url, cleo.token, new View());
    expect(view.lines()).toEqual((await cleo.snapshot()).lines());
    expect([...rowsOf(view, 'chat.message', id).keys()]).toEqual([since.message_id, next.message_id]);
    expect([...rowsOf(view, 'chat.reaction', id).values()].map(({ messageId }) => messageId)).toEqual([
      since.message_id,
    ]);
    expect(rowsOf(view, 'chat.member', id).size).toBe(3);
    expect(rowsOf(view, 'chat.mark', id).get(bob.id)).toMatchObject({ read: since.number });
    const { messages } = await cleo.get(path(id, '/messages'));
    expect(messages.map((m: any) => m.message_id)).toEqual([next.message_id, since.message_id]); // eslint-disable-line @typescript-eslint/no-explicit-any
    for (const [method, rest] of [['PUT', '/reaction'], ['PATCH', ''], ['DELETE', '']] as const)
      expect((await cleo.ask(method, path(id, `/messages/${old.message_id}${rest}`), { content: sealed(), messageContent: sealed() })).status).toBe(404); // prettier-ignore
  });

  test('with history gets all of it', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aGroup(ada);
    const posted = [await post(ada, id), await post(ada, id)];
    const keys = [{ epoch: 1, key: 'older' }];
    await ada.do('POST', path(id, '/keys'), { epoch: 2, keys: [{ userId: ada.id, key: 'k' }] });
    const { invitation_id } = await invite(ada, bob, id, { history: true, keys });
    await respond(bob, invitation_id);
    const view = await bob.snapshot();
    expect([...rowsOf(view, 'chat.message', id).keys()]).toEqual(posted.map(({ message_id }) => message_id));
    expect([...rowsOf(view, 'chat.key', id).keys()].sort()).toEqual([`1:${bob.id}`, `2:${bob.id}`]);
    expect((await bob.get(path(id, '/messages'))).messages).toHaveLength(2);
  });

  test('misses nothing that is posted as they accept', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aGroup(ada);
    const { invitation_id } = await invite(ada, bob, id);
    const work = Array.from({ length: 40 }, (_, i) => (i === 20 ? respond(bob, invitation_id) : post(ada, id)));
    await Promise.all(work);
    const view = await byDelta(url, bob.token, new View());
    expect(rowsOf(view, 'chat.message', id).size).toBe(39);
    expect([...rowsOf(view, 'chat.message', id).keys()].sort()).toEqual([...rowsOf(await ada.snapshot(), 'chat.message', id).keys()].sort()); // prettier-ignore
    expect(view.lines()).toEqual((await bob.snapshot()).lines());
  });

  test('who comes back after leaving sees what is written from then on', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aPair(ada, bob);
    const first = await post(ada, id);
    await bob.do('POST', path(id, '/leave'));
    const between = await post(ada, id);
    await respond(bob, (await invite(ada, bob)).invitation_id);
    const last = await post(ada, id);
    const ids = (await bob.get(path(id, '/messages'))).messages.map((m: any) => m.message_id); // eslint-disable-line @typescript-eslint/no-explicit-any
    expect(ids).toEqual([last.message_id]);
    const view = await bob.snapshot();
    expect(rowsOf(view, 'chat.message', id).has(between.message_id)).toBe(false);
    // What they had is still theirs to read.
    expect(rowsOf(view, 'chat.message', id).has(first.message_id)).toBe(true);
    expect(view.lines()).toEqual((await byDelta(url, bob.token, new View())).lines());
  });
});

test('a group of 500 is one like any other', async () => {
  const [owner, ...guests] = (await people(url, 500)) as [Person, ...Person[]];
  const id = await aGroup(owner);
  const invitations = await Promise.all(guests.map((guest) => invite(owner, guest, id)));
  await Promise.all(guests.map((guest, i) => respond(guest, invitations[i]!.invitation_id)));
  expect((await owner.get(path(id, '/members'))).members).toHaveLength(500);
  const { message_id } = await post(guests[7]!, id, 'to all');
  for (const guest of [owner, guests[0]!, guests[250]!, guests[498]!]) {
    const view = await guest.snapshot();
    expect(rowsOf(view, 'chat.member', id).size).toBe(500);
    expect([...rowsOf(view, 'chat.message', id).keys()]).toEqual([message_id]);
  }
  await owner.do('DELETE', path(id));
  for (const guest of [guests[0]!, guests[498]!])
    expect(rowsOf(await guest.snapshot(), 'chat.member', id).get(guest.id)).toMatchObject({ state: 'removed' });
}, 240_000);
