import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { AccountKeys } from '../src/changes/account-keys.js';
import { Changes } from '../src/changes/changes.js';
import { call, pair, phone } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { expectSoon, FileOwner, idOf, PASSWORD, told } from './support/files.js';
import { aGroup, invite, people as members, post, respond, type Person } from './support/people.js';
import { TestServer } from './support/server.js';
import { encode, type TusReply } from './support/tus.js';
import { byDelta, View } from './support/views.js';

// Files of a conversation are their uploader's; its accepted members may read them.

const limits = { qrCodesPerMinute: 0, registrationsPerHour: 0, wrongTokensPerMinute: 0, wrongSignInsPerMinute: 0 };

let server: TestServer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pairline-conversation-files-'));
  server = await TestServer.start({ limits, argon2: { memoryKib: 8, passes: 1, lanes: 1 }, dataDir: folder });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

type State = 'invited' | 'accepted' | 'declined' | 'left' | 'removed';

/** Who is in which conversation, as the database has it: what invitations do is none of the files' business. */
async function aConversation(members: [FileOwner, State][]): Promise<string> {
  const id = randomUUID();
  for (const [{ account }, state] of members)
    await query(
      server.database.url,
      `INSERT INTO chat_members (chat_id, user_id, account_id, role, state, visible_from) VALUES ($1, $2, $2, 'member', $3, 0)`,
      [id, account, state],
    );
  return id;
}

const become = (chat: string, { account }: FileOwner, state: State) =>
  query(server.database.url, 'UPDATE chat_members SET state = $3::chat_state WHERE chat_id = $1 AND user_id = $2', [chat, account, state]); // prettier-ignore

const people = (count: number) => Promise.all(Array.from({ length: count }, () => FileOwner.register(server.url)));
const placeOf = (path: string) => join(folder, 'files', idOf(path).slice(0, 2), idOf(path));
const rowsOf = ({ account }: FileOwner) =>
  query(server.database.url, 'SELECT u.*, f.seq FROM uploads u LEFT JOIN files f ON f.id = u.id::text WHERE u.account_id = $1', [account]); // prettier-ignore

/** By every way of reading there is. */
async function readings(reader: FileOwner, path: string): Promise<TusReply[]> {
  const link = await reader.ask('POST', `${path}/link`, { tus: false });
  return [await reader.get(path), await reader.ask('HEAD', path, { tus: false }), await reader.get(path, { Range: 'bytes=0-1' }), link]; // prettier-ignore
}

async function expectUnreadable(reader: FileOwner, path: string): Promise<void> {
  expect((await readings(reader, path)).map(({ status }) => status)).toEqual([404, 404, 404, 404]);
}

test('members read a file of their conversation; who uploaded it has the row', async () => {
  const [ann, bob] = (await people(2)) as [FileOwner, FileOwner];
  const chat = await aConversation([[ann, 'accepted'], [bob, 'accepted']]); // prettier-ignore
  const bytes = randomBytes(1000);
  const path = await ann.file(bytes, { fileName: 'plan.pdf', conversationId: chat });
  const whole = await bob.get(path);
  expect([whole.status, whole.headers['content-disposition']]).toEqual([200, 'attachment; filename=plan.pdf']);
  expect(whole.body.equals(bytes)).toBe(true);
  expect((await readings(bob, path)).map(({ status }) => status)).toEqual([200, 200, 206, 201]);
  expect(await ann.rows()).toMatchObject([{ id: idOf(path), fileName: 'plan.pdf', conversationId: chat }]);
  expect(await bob.rows()).toEqual([]);
});

test('from an invitation to a removal, and to the end of the conversation', async () => {
  const [ada, bob, cleo] = (await members(server.url, 3)) as [Person, Person, Person];
  const [hers, his, theirs] = [ada, bob, cleo].map((person) => FileOwner.as(server.url, person)) as [FileOwner, FileOwner, FileOwner]; // prettier-ignore
  const chat = await aGroup(ada, bob);
  const { invitation_id } = await invite(ada, cleo, chat);
  const path = await hers.file(Buffer.from('12345'), { conversationId: chat });
  const { message_id } = await post(ada, chat, 'look', { files: [idOf(path)] });
  expect((await his.get(path)).body.toString()).toBe('12345');
  await expectUnreadable(theirs, path);
  await respond(cleo, invitation_id);
  expect((await theirs.get(path)).status).toBe(200);
  expect((await ada.ask('DELETE', `/api/conversations/${chat}/members/${bob.id}`)).status).toBe(200);
  await expectUnreadable(his, path);
  const other = await theirs.file(Buffer.from('67890'), { conversationId: chat });
  expect((await ada.ask('DELETE', `/api/conversations/${chat}/messages/${message_id}`)).status).toBe(200);
  for (const reader of [hers, theirs]) expect((await reader.get(path)).status).toBe(404);
  await expectSoon(() => !existsSync(placeOf(path)));
  expect((await ada.ask('DELETE', `/api/conversations/${chat}`)).status).toBe(200);
  await expectUnreadable(hers, other);
  expect((await theirs.get(other)).body.toString()).toBe('67890');
});

test('a message goes together with its files, or not at all', async () => {
  const [ada, bob] = (await members(server.url, 2)) as [Person, Person];
  const hers = FileOwner.as(server.url, ada);
  const chat = await aGroup(ada, bob);
  const path = await hers.file(Buffer.from('12345'), { conversationId: chat });
  const { message_id } = await post(ada, chat, 'look', { files: [idOf(path)] });
  const remove = () => ada.ask('DELETE', `/api/conversations/${chat}/messages/${message_id}`);
  const before = (await ada.snapshot()).lines();
  // All else of the deletion can be written, the file's row cannot.
  const { url } = server.database;
  await query(
    url,
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`,
  );
  await query(url, 'CREATE TRIGGER refuse BEFORE UPDATE ON files FOR EACH ROW EXECUTE FUNCTION refuse()');
  try {
    expect((await remove()).status).toBe(500);
  } finally {
    await query(url, 'DROP FUNCTION refuse CASCADE');
  }
  expect((await ada.snapshot()).lines()).toEqual(before);
  expect((await hers.get(path)).body.toString()).toBe('12345');
  const follower = await byDelta(server.url, ada.token, new View());
  expect((await remove()).status).toBe(200);
  expect((await ada.snapshot()).of('file')).toEqual([]);
  expect((await byDelta(server.url, ada.token, follower)).lines()).toEqual((await ada.snapshot()).lines());
  await expectSoon(() => !existsSync(placeOf(path)));
});

test('files that several messages name go with the first, with all that are named, and nobody else’s', async () => {
  const [ada, bob] = (await members(server.url, 2)) as [Person, Person];
  const [hers, his] = [FileOwner.as(server.url, ada), FileOwner.as(server.url, bob)];
  const chat = await aGroup(ada, bob);
  const bytes = Buffer.from('12345');
  const [one, two, kept] = [await hers.file(bytes), await hers.file(bytes), await hers.file(bytes)];
  const theirs = await his.file(bytes);
  const part = await hers.file(bytes, {}, { 'Upload-Concat': 'partial' });
  const whole = (await hers.create(undefined, { 'Upload-Concat': `final;${part}` })).headers.location!;
  const named = [[one, two], [two, whole, theirs], [`/api/files/${randomUUID()}`]];
  const posted = await Promise.all(named.map((paths) => post(ada, chat, '', { files: paths.map(idOf) })));
  const remove = ({ message_id }: { message_id: string }) => bob.ask('DELETE', `/api/conversations/${chat}/messages/${message_id}`); // prettier-ignore
  await ada.do('PATCH', `/api/conversations/${chat}/members/${bob.id}`, { role: 'admin' });
  for (const { status } of await Promise.all(posted.map(remove))) expect(status).toBe(200);
  expect((await hers.rows()).map(({ id }) => id)).toEqual([idOf(kept)]);
  for (const path of [one, two, whole]) expect((await hers.get(path)).status).toBe(404);
  expect((await his.get(theirs)).body.toString()).toBe('12345');
  await expectSoon(() => [one, two, whole, part].every((path) => !existsSync(placeOf(path))));
});

test('nobody else reads it: not the invited, those who declined, left or were removed, nor strangers', async () => {
  const [ann, ...others] = (await people(6)) as [FileOwner, ...FileOwner[]];
  const states: State[] = ['invited', 'declined', 'left', 'removed'];
  const chat = await aConversation([[ann, 'accepted'], ...states.map((state, i): [FileOwner, State] => [others[i]!, state])]); // prettier-ignore
  await aConversation([[ann, 'accepted'], ...others.map((other): [FileOwner, State] => [other, 'accepted'])]);
  const path = await ann.file(randomBytes(10), { conversationId: chat });
  const before = await rowsOf(ann);
  for (const other of others) {
    await expectUnreadable(other, path);
    expect((await other.ask('HEAD', path)).status).toBe(404);
    expect(told(await other.add(path, 10, Buffer.from('x')))).toEqual([404, 'not_found']);
    expect(told(await other.ask('DELETE', path))).toEqual([404, 'not_found']);
  }
  expect(await rowsOf(ann)).toEqual(before);
  expect((await ann.get(path)).status).toBe(200);
});

test('who is removed, or leaves, reads no more at that moment; by a link neither', async () => {
  const [ann, bob] = (await people(2)) as [FileOwner, FileOwner];
  for (const state of ['removed', 'left'] as const) {
    const chat = await aConversation([[ann, 'accepted'], [bob, 'accepted']]); // prettier-ignore
    const path = await ann.file(Buffer.from('12345'), { conversationId: chat });
    const { body } = await bob.ask('POST', `${path}/link`, { tus: false });
    const { url } = JSON.parse(body.toString()) as { url: string };
    const byLink = () => bob.ask('GET', url, { token: undefined, tus: false });
    expect((await byLink()).body.toString()).toBe('12345');
    await become(chat, bob, state);
    await expectUnreadable(bob, path);
    expect(told(await byLink())).toEqual([404, 'not_found']);
    await become(chat, bob, 'accepted');
    expect((await bob.get(path)).status).toBe(200);
  }
});

test('only its uploader adds to it and deletes it, and before it is whole nobody reads it', async () => {
  const [ann, bob] = (await people(2)) as [FileOwner, FileOwner];
  const chat = await aConversation([[ann, 'accepted'], [bob, 'accepted']]); // prettier-ignore
  const path = (await ann.create(5, { 'Upload-Metadata': encode({ conversationId: chat }) })).headers.location!;
  await expectUnreadable(bob, path);
  expect(told(await bob.add(path, 0, Buffer.from('other')))).toEqual([404, 'not_found']);
  expect((await ann.add(path, 0, Buffer.from('12345'))).status).toBe(204);
  expect((await bob.get(path)).body.toString()).toBe('12345');
  expect(told(await bob.ask('DELETE', path))).toEqual([404, 'not_found']);
  expect((await bob.ask('HEAD', path)).status).toBe(404);
  expect((await ann.ask('DELETE', path)).status).toBe(204);
  await expectUnreadable(bob, path);
});

test('only a member uploads to it, and nothing is kept of another’s try', async () => {
  const [ann, bob, eve] = (await people(3)) as [FileOwner, FileOwner, FileOwner];
  const chat = await aConversation([[ann, 'accepted'], [bob, 'invited']]); // prettier-ignore
  for (const conversationId of [chat, randomUUID(), 'not an id', "'; DROP TABLE uploads"])
    for (const other of [bob, eve]) {
      const said = { 'Upload-Metadata': encode({ conversationId }) };
      expect(told(await other.create(5, said))).toEqual([404, 'conversation_not_found']);
      const part = await other.file(Buffer.from('12345'), {}, { 'Upload-Concat': 'partial' });
      expect(told(await other.create(undefined, { ...said, 'Upload-Concat': `final;${part}` }))).toEqual([404, 'conversation_not_found']); // prettier-ignore
      expect((await other.ask('DELETE', part)).status).toBe(204);
    }
  expect([await rowsOf(bob), await rowsOf(eve)]).toEqual([[], []]);
});

test('a file of a conversation that its uploader left stays theirs, and its members’', async () => {
  const [ann, bob] = (await people(2)) as [FileOwner, FileOwner];
  const chat = await aConversation([[ann, 'accepted'], [bob, 'accepted']]); // prettier-ignore
  const path = await ann.file(Buffer.from('12345'), { conversationId: chat });
  await become(chat, ann, 'left');
  for (const reader of [ann, bob]) expect((await reader.get(path)).body.toString()).toBe('12345');
  await query(server.database.url, 'DELETE FROM chat_members WHERE chat_id = $1', [chat]);
  await expectUnreadable(bob, path);
  expect((await ann.get(path)).status).toBe(200);
  expect((await ann.ask('DELETE', path)).status).toBe(204);
});

test('the files of an account that was joined to another are read by the members as before', async () => {
  const [ann, bob] = (await people(2)) as [FileOwner, FileOwner];
  const chat = await aConversation([[ann, 'accepted'], [bob, 'accepted']]); // prettier-ignore
  const [hers, his] = [
    await ann.file(Buffer.from('hers'), { conversationId: chat }),
    await bob.file(Buffer.from('his'), { conversationId: chat }),
  ];
  const handset = await phone(server.url);
  later(() => handset.close());
  const web = await pair(server.url, handset);
  const { status } = await call(server.url, '/api/account/join', { token: web, body: { token: ann.token, currentPassword: PASSWORD } }); // prettier-ignore
  expect(status).toBe(200);
  expect((await bob.get(hers)).body.toString()).toBe('hers');
  const joined = ann.at(server.url, web);
  expect((await joined.get(hers)).body.toString()).toBe('hers');
  expect((await joined.get(his)).body.toString()).toBe('his');
});

test('a file that something else deletes loses its bytes at once', async () => {
  const ann = await FileOwner.register(server.url);
  const [path, other] = [await ann.file(Buffer.from('12345')), await ann.file(Buffer.from('67890'))];
  const account = (await server.app.get(AccountKeys, { strict: false }).find(ann.account))!;
  const changes = server.app.get(Changes, { strict: false });
  // As a message that is deleted takes its files along.
  await changes.submit([
    { account, kind: 'file', id: idOf(path), op: 'delete', row: null, at: Date.now(), bytes: 128 },
  ]);
  expect((await ann.get(path)).status).toBe(404);
  await expectSoon(() => !existsSync(placeOf(path)));
  expect((await ann.rows()).map(({ id }) => id)).toEqual([idOf(other)]);
  expect((await ann.get(other)).body.toString()).toBe('67890');
});
