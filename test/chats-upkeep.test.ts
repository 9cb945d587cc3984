import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { AccountKeys } from '../src/changes/account-keys.js';
import { Changes } from '../src/changes/changes.js';
import { Purge } from '../src/changes/purge.js';
import { ChatSweep } from '../src/chats/chat-sweep.js';
import { call } from './support/clients.js';
import { pairAt } from './support/accounts.js';
import { cleanUp, query } from './support/database.js';
import { aGroup, aPair, CHEAP, invite, people, post, respond, rowsOf, sealed, type Person } from './support/people.js';
import { TestServer } from './support/server.js';
import { byDelta, View } from './support/views.js';

// Conversations follow the accounts of their members, and leave nothing behind.

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start(CHEAP);
  url = server.url;
});
afterAll(() => server.stop());
afterEach(cleanUp);

const path = (id: string, rest = '') => `/api/conversations/${id}${rest}`;

/** Asks until the answer fits: what follows an account's end comes a moment later. */
async function until<T>(look: () => Promise<T>, fits: (seen: T) => boolean): Promise<T> {
  for (;;) {
    const seen = await look();
    if (fits(seen)) return seen;
  }
}

const statesIn = async (person: Person, id: string): Promise<string[]> =>
  [...rowsOf(await person.snapshot(), 'chat.member', id).values()].map((m) => `${m.name} ${m.role} ${m.state}`).sort();

async function leftOf(id: string): Promise<Record<string, number>> {
  const tables = { accounts: 'id', shared_rows: 'account_id', pointers: 'shared_id', chat_members: 'chat_id' };
  const counts: Record<string, number> = {};
  for (const [table, column] of Object.entries(tables)) {
    const [row] = await query(server.database.url, `SELECT count(*)::int AS n FROM ${table} WHERE ${column} = $1`, [
      id,
    ]);
    counts[table] = row!.n as number;
  }
  return counts;
}

test('whose account is deleted has left everywhere, and a group of theirs has another owner', async () => {
  const [ada, bob, cleo, dan] = (await people(url, 4)) as [Person, Person, Person, Person];
  const group = await aGroup(ada, bob, cleo);
  const two = await aPair(ada, dan);
  await ada.do('PATCH', path(group, `/members/${cleo.id}`), { role: 'admin' });
  await post(ada, group);
  await ada.do('DELETE', '/api/account', { confirm: true, password: ada.password });
  await until(
    () => statesIn(dan, two),
    (states) => states.includes(`${ada.name} owner left`),
  );
  const states = await until(() => statesIn(bob, group), (all) => all.includes(`${cleo.name} owner accepted`)); // prettier-ignore
  expect(states).toEqual(
    [`${ada.name} owner left`, `${bob.name} member accepted`, `${cleo.name} owner accepted`].sort(),
  );
  expect((await bob.get(path(group, '/messages'))).messages).toHaveLength(1);
  await post(bob, group);
  // Alone, the other one can write on.
  await post(dan, two);
});

test('a new name and a new key are told to all who share a conversation', async () => {
  const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
  const id = await aGroup(ada, bob);
  await invite(ada, cleo, id);
  const { public_key } = await ada.do('PUT', '/api/profile/public-key', { public_key: Buffer.alloc(32, 7).toString('base64') }).then(() => ({ public_key: Buffer.alloc(32, 7).toString('base64') })); // prettier-ignore
  const keyOf = async (person: Person) => rowsOf(await person.snapshot(), 'chat.member', id).get(ada.id).publicKey;
  for (const person of [ada, bob, cleo]) await until(() => keyOf(person), (key) => key === public_key); // prettier-ignore
  const renamed = `${ada.name}-2`;
  await ada.do('PUT', '/api/account/name', { name: renamed, currentPassword: ada.password });
  await until(async () => (await bob.get(path(id, '/members'))).members[0].pseudo, (name) => name === renamed); // prettier-ignore
  await post(ada, id);
  expect((await bob.get(path(id, '/messages'))).messages[0].sender.pseudo).toBe(renamed);
  expect((await byDelta(url, bob.token, new View())).lines()).toEqual((await bob.snapshot()).lines());
});

test('two accounts that are one now are in a conversation once, with the most that either may', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const { token } = await pairAt(url);
  const ask = (method: string, at: string, body?: unknown) => call(url, at, { method, token, body });
  const { body } = await ask('POST', '/api/conversations', { name: 'Team' });
  const id = body.conversation_id as string;
  for (const guest of [ada, bob])
    await respond(guest, (await ask('POST', '/api/conversations/invite', { pseudo: guest.name, key: 'k', conversationId: id })).body.invitation_id); // prettier-ignore
  await ada.do('POST', '/api/account/join', { token, currentPassword: ada.password });
  for (let n = 0; n < 2; n++) {
    const { conversations } = await ada.get('/api/conversations');
    expect(conversations).toEqual([expect.objectContaining({ conversation_id: id, role: 'owner' })]);
    await ada.do('PATCH', path(id), { name: `Team ${n}` });
  }
});

test('who blocked an account that is theirs now hears themselves all the same', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const { token, userId } = await pairAt(url);
  const id = await aPair(ada, bob);
  // As if it had had a name when it was blocked.
  const account = (await server.app.get(AccountKeys).find(ada.id))!;
  await server.app.get(Changes).submit([{ account, kind: 'block', id: userId, op: 'put', row: null, at: Date.now(), bytes: 128 }]); // prettier-ignore
  await ada.do('POST', '/api/account/join', { token, currentPassword: ada.password });
  const { message_id } = await post(ada, id);
  for (const person of [ada, bob])
    expect([...rowsOf(await person.snapshot(), 'chat.message', id).keys()]).toEqual([message_id]);
});

test('of a conversation that has ended nothing stays but that it has, and in time not even that', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const id = await aGroup(ada, bob);
  const { message_id } = await post(ada, id);
  await bob.do('PUT', path(id, `/messages/${message_id}/reaction`), { content: sealed() });
  const away = await byDelta(url, bob.token, new View());
  await ada.do('DELETE', path(id));
  const kinds = await query(server.database.url, 'SELECT DISTINCT kind FROM shared_rows WHERE account_id = $1 ORDER BY 1', [id]); // prettier-ignore
  expect(kinds.map(({ kind }) => kind as string)).toEqual(['chat', 'chat.member']);
  // Who was away learns of it.
  await byDelta(url, bob.token, away);
  expect(rowsOf(away, 'chat', id).size).toBe(0);
  expect(rowsOf(away, 'chat.member', id).get(bob.id)).toMatchObject({ state: 'removed' });
  const sweep = server.app.get(ChatSweep);
  await sweep.run();
  expect((await leftOf(id)).accounts).toBe(1);
  await server.app.get(Purge).run(Date.now() + 91 * 86_400_000);
  await sweep.run();
  expect(await leftOf(id)).toEqual({ accounts: 0, shared_rows: 0, pointers: 0, chat_members: 0 });
  expect((await bob.ask('GET', path(id))).body.code).toBe('conversation_not_found');
});

test('what was to be a conversation when the server died is cleared away, and nothing else is', async () => {
  const { account, wrapped } = server.app.get(AccountKeys).create();
  const add = (id: string, createdAt: Date) =>
    account.home.database.prisma.account.create({ data: { id, dataKey: Buffer.from(wrapped), createdAt } });
  await add(account.id, new Date(Date.now() - 2 * 3_600_000));
  const young = server.app.get(AccountKeys).create().account;
  await add(young.id, new Date());
  const [ada] = (await people(url, 1)) as [Person];
  await query(server.database.url, `UPDATE accounts SET created_at = now() - interval '2 hours' WHERE id = $1`, [
    ada.id,
  ]);
  const id = await aGroup(ada);
  await query(server.database.url, `UPDATE accounts SET created_at = now() - interval '2 hours' WHERE id = $1`, [id]);
  await server.app.get(ChatSweep).run();
  const left = await query(server.database.url, 'SELECT id FROM accounts WHERE id = ANY ($1)', [[account.id, young.id, ada.id, id]]); // prettier-ignore
  expect(left.map((row) => row.id as string).sort()).toEqual([young.id, ada.id, id].sort());
});

test('deleting a message is one step: when it fails half-way, nothing of it has happened', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const id = await aPair(ada, bob);
  const { message_id } = await post(ada, id);
  for (const person of [ada, bob]) await person.do('PUT', path(id, `/messages/${message_id}/reaction`), { content: sealed() }); // prettier-ignore
  const before = (await bob.snapshot()).lines();
  // The message's row can be written; of the pointers that tell of it, none.
  const { url: database } = server.database;
  await query(database, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`); // prettier-ignore
  await query(database, 'CREATE TRIGGER refuse BEFORE INSERT ON pointers FOR EACH ROW EXECUTE FUNCTION refuse()');
  try {
    expect((await ada.ask('DELETE', path(id, `/messages/${message_id}`))).status).toBe(500);
  } finally {
    await query(database, 'DROP FUNCTION refuse CASCADE');
  }
  expect((await bob.snapshot()).lines()).toEqual(before);
  await ada.do('DELETE', path(id, `/messages/${message_id}`));
  const after = await bob.snapshot();
  expect(rowsOf(after, 'chat.message', id).size + rowsOf(after, 'chat.reaction', id).size).toBe(0);
});
