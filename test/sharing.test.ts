import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { ClientBase } from 'pg';
import type { AccountKey } from '../src/changes/account-key.js';
import { AccountKeys } from '../src/changes/account-keys.js';
import { Changes } from '../src/changes/changes.js';
import { Erasure } from '../src/changes/erasure.js';
import type { Mutation, Numbered, Writer, Written } from '../src/changes/kind.js';
import { Purge } from '../src/changes/purge.js';
import { share, type SharedChange } from '../src/changes/sharing.js';
import { call, follower, phone as register, type Client } from './support/clients.js';
import { query } from './support/database.js';
import { TestServer } from './support/server.js';
import { byDelta, byLongPoll, bySnapshot, keep, View, type Change } from './support/views.js';

// What the log does for rows that several accounts share, with the least of kinds: notes, each with its readers.

/** `rows`: notes by their id, or null for one that goes; each is told to `to`. */
type Note = Mutation<'write', { rows: Record<string, string | null>; to: string[]; fails?: boolean }>;

class Notes implements Writer {
  readonly name = 'note';
  readonly supersedes = true;

  async write(client: ClientBase, items: Numbered<Note>[]): Promise<Written> {
    const told: SharedChange[] = [];
    for (const { mutation, seq } of items) {
      const { account: chat, at, row, numbers } = mutation;
      for (const [i, [id, text]] of Object.entries(row.rows).entries()) {
        const number = seq - numbers! + 1 + i;
        const { rows } = await client.query<{ seq: string; born: string }>(
          "SELECT seq, born FROM shared_rows WHERE account_id = $1 AND kind = 'note' AND id = $2",
          [chat.id, id],
        );
        const born = Number(rows[0]?.born ?? number);
        const content = text === null ? null : chat.seal('note', id, JSON.stringify({ text }));
        await client.query(
          `INSERT INTO shared_rows (account_id, kind, id, seq, at, deleted, born, content)
           VALUES ($1, 'note', $2, $3, $4, $5, $6, $7)
           ON CONFLICT (account_id, kind, id) DO UPDATE SET seq = $3, at = $4, deleted = $5, content = $7`,
          [chat.id, id, number, at, text === null, born, content],
        );
        const view = () => (text === null ? null : JSON.stringify({ chatId: chat.id, id, number: born, text }));
        const replaces = rows[0] && Number(rows[0].seq);
        told.push({ chat, number, replaces, kind: 'note', id, at, row: view, to: row.to });
      }
    }
    const shared = await share(client, told);
    if (items.some(({ mutation }) => mutation.row.fails)) throw new Error('after all was written');
    const outcomes = items.map(({ seq }) => ({ result: 'applied', seq, state: null }) as const);
    return { outcomes, changed: [], shared };
  }
}

let server: TestServer;
let log: Changes;
const clients: Client[] = [];

beforeAll(async () => {
  server = await TestServer.start({ argon2: { memoryKib: 8, passes: 1, lanes: 1 } });
  log = server.app.get(Changes);
  log.registerShared(new Notes());
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(() => server.stop());

interface Person {
  token: string;
  userId: string;
}

async function aPerson(): Promise<Person> {
  const body = { email: `${randomUUID()}@example.org`, password: 'correct horse' };
  return (await call(server.url, '/api/auth/register', { body })).body as Person;
}

async function aPhone(): Promise<Person> {
  const handset = await register(server.url);
  clients.push(handset);
  const [row] = await query(server.database.url, 'SELECT account_id FROM devices WHERE phone_id = $1', [
    handset.deviceId,
  ]);
  return { token: handset.deviceToken, userId: row!.account_id as string };
}

async function aChat(): Promise<AccountKey> {
  const { account, wrapped } = server.app.get(AccountKeys).create();
  await account.home.database.prisma.account.create({ data: { id: account.id, dataKey: Buffer.from(wrapped) } });
  return account;
}

const write = (chat: AccountKey, rows: Record<string, string | null>, to: Person[], more: { fails?: boolean } = {}) =>
  log.submit([
    {
      account: chat,
      kind: 'note',
      id: chat.id,
      op: 'write',
      row: { rows, to: to.map(({ userId }) => userId), ...more },
      at: Date.now(),
      bytes: 256,
      numbers: Object.keys(rows).length,
    },
  ]);

interface SharedNote {
  chatId: string;
  id: string;
  number: number;
  text: string;
}
const notesOf = (view: View) => view.of<SharedNote>('note').map(({ text }) => text);
const read = async ({ token }: Person) => notesOf(await byDelta(server.url, token, new View()));

test('all who share rows read them in the order of the chat, by every view, and a row that changed once', async () => {
  const [ada, ben] = [await aPerson(), await aPerson()];
  const chat = await aChat();
  const failures: unknown[] = [];
  const client = follower(server.url, ben.token);
  clients.push(client);
  const live = keep(client, new View(), failures);
  await write(chat, { a: 'one', b: 'two' }, [ada, ben]);
  await Promise.all(['c', 'd', 'e', 'f'].map((id) => write(chat, { [id]: id }, [ada, ben])));
  await write(chat, { a: 'one, corrected' }, [ada, ben]);
  const { seq } = await byDelta(server.url, ada.token, new View());
  await client.until(() => live.of('note').length === 6 && notesOf(live).includes('one, corrected'));
  for (const person of [ada, ben]) {
    const delta = await byDelta(server.url, person.token, new View());
    expect(notesOf(delta)).toEqual(['two', 'c', 'd', 'e', 'f', 'one, corrected']);
    expect((await bySnapshot(server.url, person.token)).lines()).toEqual(delta.lines());
    expect((await byDelta(server.url, person.token, new View(), 2)).lines()).toEqual(delta.lines());
  }
  expect(notesOf(await byLongPoll(server.url, ada.token, new View(), seq))).toEqual(notesOf(live));
  expect(live.of<SharedNote>('note').map(({ number }) => number)).toEqual([2, 3, 4, 5, 6, 1]);
  expect(failures).toEqual([]);
});

test('who is left out when a row is written anew has seen the last of it', async () => {
  const [ada, ben] = [await aPerson(), await aPerson()];
  const chat = await aChat();
  await write(chat, { a: 'for both', b: 'stays' }, [ada, ben]);
  const before = await byDelta(server.url, ben.token, new View());
  await write(chat, { a: 'not for Ben' }, [ada]);
  expect(notesOf(await byDelta(server.url, ben.token, before))).toEqual(['for both', 'stays']);
  expect(await read(ben)).toEqual(['stays']);
  expect(notesOf(await bySnapshot(server.url, ben.token))).toEqual(['stays']);
  expect(await read(ada)).toEqual(['stays', 'not for Ben']);
});

test('a row that is deleted is a delete to those who had it', async () => {
  const ada = await aPerson();
  const chat = await aChat();
  await write(chat, { a: 'one' }, [ada]);
  const view = await byDelta(server.url, ada.token, new View());
  await write(chat, { a: null }, [ada]);
  expect(await byDelta(server.url, ada.token, view)).toBe(view);
  expect(notesOf(view)).toEqual([]);
});

test('rows of two chats with one id are two rows', async () => {
  const ada = await aPerson();
  await write(await aChat(), { a: 'here' }, [ada]);
  await write(await aChat(), { a: 'there' }, [ada]);
  expect(await read(ada)).toEqual(['here', 'there']);
});

test('a row that has the id of its chat is still named with it', async () => {
  const ada = await aPerson();
  const chat = await aChat();
  await write(chat, { [chat.id]: 'one' }, [ada]);
  const { body } = await call(server.url, '/api/changes?after=0', { token: ada.token });
  expect(body.changes.filter(({ kind }: Change) => kind === 'note')).toEqual([
    expect.objectContaining({ id: `${chat.id}:${chat.id}` }),
  ]);
});

test('readers of several chats in one commit get each row once, numbered without a gap', async () => {
  const people = await Promise.all([aPerson(), aPerson(), aPerson()]);
  const chats = await Promise.all([aChat(), aChat()]);
  const of = (i: number) => people.filter((_, person) => (i + person) % 3 !== 0);
  await Promise.all(Array.from({ length: 60 }, (_, i) => write(chats[i % 2]!, { [`n${i}`]: String(i) }, of(i))));
  for (const [person, { token, userId }] of people.entries()) {
    const rows = notesOf(await byDelta(server.url, token, new View()));
    const due = Array.from({ length: 60 }, (_, i) => i).filter((i) => (i + person) % 3 !== 0);
    expect([...rows].sort()).toEqual(due.map(String).sort());
    const [gaps] = await query(
      server.database.url,
      'SELECT max(seq) - min(seq) + 1 - count(*) AS gaps FROM pointers WHERE account_id = $1',
      [userId],
    );
    expect(gaps).toEqual({ gaps: '0' });
  }
});

test('what fails after the rows were written leaves nothing behind', async () => {
  const ada = await aPerson();
  const chat = await aChat();
  await expect(write(chat, { a: 'never' }, [ada], { fails: true })).rejects.toThrow('after all was written');
  await write(chat, { b: 'later' }, [ada]);
  expect(await read(ada)).toEqual(['later']);
});

test('an account that was joined to another takes along what it shares', async () => {
  const [ada, ben] = [await aPerson(), await aPerson()];
  const chat = await aChat();
  await write(chat, { a: 'before' }, [ada, ben]);
  const phone = await aPhone();
  await write(chat, { b: 'for the phone, too' }, [ada, phone]);
  const joined = await call(server.url, '/api/account/join', {
    token: ada.token,
    body: { token: phone.token, currentPassword: 'correct horse' },
  });
  expect(joined.body).toMatchObject({ userId: phone.userId });
  const after = { token: phone.token, userId: phone.userId };
  expect((await read(after)).sort()).toEqual(['before', 'for the phone, too']);
});

test('once a chat has ended its rows are nobody’s any more', async () => {
  const ada = await aPerson();
  const chat = await aChat();
  await write(chat, { a: 'one' }, [ada]);
  await query(server.database.url, 'DELETE FROM accounts WHERE id = $1', [chat.id]);
  server.app.get(AccountKeys).forget(chat.id);
  expect(await read(ada)).toEqual([]);
  await server.app.get(Erasure).erase(chat.home.database, [chat.id]);
  for (const sql of ['shared_rows WHERE account_id = $1', 'pointers WHERE shared_id = $1'])
    expect(await query(server.database.url, `SELECT FROM ${sql}`, [chat.id])).toEqual([]);
});

test('once an old deletion is forgotten, who has not seen it starts over', async () => {
  const ada = await aPerson();
  const chat = await aChat();
  await write(chat, { a: 'one', b: 'two' }, [ada]);
  const { cursor } = await byDelta(server.url, ada.token, new View());
  await write(chat, { a: null }, [ada]);
  await server.app.get(Purge).run(Date.now() + 400 * 86_400_000);
  await write(chat, { c: 'three' }, [ada]);
  const old = await call(server.url, `/api/changes?after=${cursor}`, { token: ada.token });
  expect([old.status, old.body.code]).toEqual([410, 'cursor_expired']);
  expect(notesOf(await bySnapshot(server.url, ada.token))).toEqual(['two', 'three']);
});
