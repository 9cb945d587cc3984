import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  aGroup,
  aPair,
  CHEAP,
  invite,
  KEY,
  people,
  post,
  respond,
  rowsOf,
  sealed,
  type Person,
} from './support/people.js';
import { TestServer } from './support/server.js';

// Keys that members wrap for each other, and the epochs that they begin.

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start(CHEAP);
  url = server.url;
});
afterAll(() => server.stop());

const path = (id: string, rest = '') => `/api/conversations/${id}${rest}`;
const code = ({ status, body }: { status: number; body: { code?: string } }) => `${status} ${body.code}`;
const keysFor = (...all: Person[]) => all.map(({ id: userId, name }) => ({ userId, key: `new for ${name}` }));

test('each gets the key that is for them, and nobody that of another', async () => {
  const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
  const id = await aGroup(ada, bob, cleo);
  for (const person of [bob, cleo]) {
    const keys = rowsOf(await person.snapshot(), 'chat.key', id);
    expect([...keys.values()]).toEqual([
      { chatId: id, id: `1:${person.id}`, number: expect.any(Number), epoch: 1, userId: person.id, key: `${KEY} for ${person.name}`, by: ada.id }, // prettier-ignore
    ]);
    expect((await person.get(path(id))).key).toBe(`${KEY} for ${person.name}`);
  }
  // Who began it has it already, and can give it to their other devices.
  expect((await ada.get(path(id))).key).toBeUndefined();
  await ada.do('POST', path(id, '/history-keys'), { userId: ada.id, keys: [{ epoch: 1, key: 'own' }] });
  expect((await ada.get(path(id))).key).toBe('own');
});

test('of two new keys for an epoch the first wins, and all who are in or invited have it', async () => {
  const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
  const id = await aGroup(ada, bob);
  await invite(ada, cleo, id);
  const rotate = (by: Person, epoch: number, keys: unknown) => by.ask('POST', path(id, '/keys'), { epoch, keys });
  expect(code(await rotate(ada, 2, keysFor(ada, bob)))).toBe('409 keys_incomplete');
  expect(code(await rotate(ada, 2, [...keysFor(ada, bob, cleo), { userId: id, key: 'k' }]))).toBe(
    '409 keys_incomplete',
  );
  expect(code(await rotate(ada, 3, keysFor(ada, bob, cleo)))).toBe('400 epoch_unknown');
  const tried = await Promise.all([ada, bob, ada, bob].map((by) => rotate(by, 2, keysFor(ada, bob, cleo))));
  expect(tried.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  expect(tried.filter(({ status }) => status === 409).every(({ body }) => body.code === 'epoch_taken')).toBe(true);
  for (const person of [ada, bob, cleo]) {
    const view = await person.snapshot();
    expect(rowsOf(view, 'chat', id).get(id)).toMatchObject({ epoch: 2 });
    expect(rowsOf(view, 'chat.key', id).get(`2:${person.id}`)).toMatchObject({ key: `new for ${person.name}` });
  }
  expect((await cleo.get('/api/conversations/invitations')).invitations[0].key).toBe(`new for ${cleo.name}`);
});

test('nothing is posted by a key that is outdated', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const id = await aPair(ada, bob);
  const { message_id } = await post(ada, id, '', { epoch: 1 });
  await bob.do('POST', path(id, '/keys'), { epoch: 2, keys: keysFor(ada, bob) });
  const messageContent = sealed();
  const where = path(id, '/messages');
  expect(code(await ada.ask('POST', where, { messageContent, epoch: 1 }))).toBe('409 key_outdated');
  expect(code(await ada.ask('POST', where, { messageContent, epoch: 3 }))).toBe('400 epoch_unknown');
  expect(code(await ada.ask('PATCH', `${where}/${message_id}`, { messageContent, epoch: 1 }))).toBe('409 key_outdated');
  expect(code(await bob.ask('PUT', `${where}/${message_id}/reaction`, { content: messageContent, epoch: 1 }))).toBe('409 key_outdated'); // prettier-ignore
  expect((await ada.ask('POST', where, { messageContent, epoch: 2 })).status).toBe(201);
  // Clients without epochs have one key.
  expect((await ada.ask('POST', where, { messageContent })).status).toBe(201);
});

test('keys of before can be given to who has not got them, and replace none', async () => {
  const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
  const id = await aGroup(ada, bob);
  await ada.do('POST', path(id, '/keys'), { epoch: 2, keys: keysFor(ada, bob) });
  await respond(cleo, (await invite(ada, cleo, id)).invitation_id);
  const give = (userId: string, keys: object[]) => bob.ask('POST', path(id, '/history-keys'), { userId, keys });
  expect((await give(cleo.id, [{ epoch: 1, key: 'old' }, { epoch: 2, key: 'forged' }])).status).toBe(200); // prettier-ignore
  const keys = rowsOf(await cleo.snapshot(), 'chat.key', id);
  expect(keys.get(`1:${cleo.id}`)).toMatchObject({ key: 'old', by: bob.id });
  expect(keys.get(`2:${cleo.id}`)).toMatchObject({ key: `${KEY} for ${cleo.name}`, by: ada.id });
  expect(code(await give(cleo.id, [{ epoch: 3, key: 'k' }]))).toBe('400 epoch_unknown');
  expect(code(await give(id, [{ epoch: 1, key: 'k' }]))).toBe('404 person_not_found');
  for (const key of ['', 'x'.repeat(8193), 'a\nb', 7])
    expect((await give(cleo.id, [{ epoch: 1, key }])).status).toBe(400);
});
