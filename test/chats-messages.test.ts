import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { aGroup, aPair, CHEAP, people, post, rowsOf, sealed, type Person } from './support/people.js';
import { TestServer } from './support/server.js';
import { WsClient } from './support/ws.js';

// What is written in conversations, over HTTP.

const DAY = 86_400_000;
let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await TestServer.start(CHEAP);
  url = server.url;
});
afterAll(() => server.stop());
afterEach(cleanUp);

const messagesOf = (id: string, rest = '') => `/api/conversations/${id}/messages${rest}`;
const code = ({ status, body }: { status: number; body: { code?: string } }) => `${status} ${body.code}`;

/** Moves the message into the past. */
async function aged(id: string, messageId: string, ms: number) {
  const keys = server.app.get((await import('../src/changes/account-keys.js')).AccountKeys);
  const chat = (await keys.find(id))!;
  const where = { accountId_kind_id: { accountId: id, kind: 'chat.message', id: messageId } };
  const { prisma } = chat.home.database;
  const { content } = await prisma.sharedRow.findUniqueOrThrow({ where });
  const message = JSON.parse(chat.open('chat.message', messageId, Buffer.from(content!))) as { timestamp: number };
  const older = JSON.stringify({ ...message, timestamp: message.timestamp - ms });
  await prisma.sharedRow.update({ where, data: { content: Buffer.from(chat.seal('chat.message', messageId, older)) } });
}

describe('a message', () => {
  test('is taken as it is, when it is base64 of at least 28 bytes', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aPair(ada, bob);
    const refused = [undefined, null, 7, {}, '', 'hello', 'A'.repeat(36), `${'A'.repeat(39)}!`, `${'A'.repeat(39)}-`, 'A'.repeat(41), `${'A'.repeat(37)}=A=`, 'A'.repeat(65_540)]; // prettier-ignore
    for (const messageContent of refused)
      expect(code(await ada.ask('POST', messagesOf(id), { messageContent }))).toBe('400 invalid_content');
    expect((await bob.get(messagesOf(id))).messages).toEqual([]);
    for (const messageContent of [`${'A'.repeat(38)}==`, 'A'.repeat(40), 'A'.repeat(65_536)])
      expect((await ada.ask('POST', messagesOf(id), { messageContent })).status).toBe(201);
  });

  test('with an id of the client is the same message, however often it is sent', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aPair(ada, bob);
    const messageId = 'mine: 1/☂';
    const all = await Promise.all(Array.from({ length: 5 }, () => post(ada, id, 'once', { messageId })));
    expect(new Set(all.map((reply) => `${reply.message_id} ${reply.number}`)).size).toBe(1);
    expect(all[0]!.message_id).toBe(messageId);
    expect(code(await bob.ask('POST', messagesOf(id), { messageContent: sealed(), messageId }))).toBe(
      '409 message_id_taken',
    );
    const { messages } = await bob.get(messagesOf(id));
    expect(messages).toHaveLength(1);
    for (const wrong of ['', 'x'.repeat(129), 'a\0b', '\ud800', 7])
      expect((await ada.ask('POST', messagesOf(id), { messageContent: sealed(), messageId: wrong })).status).toBe(400);
    // The same id in another conversation is another message.
    const [cleo] = (await people(url, 1)) as [Person];
    expect((await post(cleo, await aPair(cleo, ada), '', { messageId })).message_id).toBe(messageId);
  });

  test('is read page by page, the newest first', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aPair(ada, bob);
    const sent: string[] = [];
    for (let i = 0; i < 25; i++) sent.unshift((await post(i % 2 ? ada : bob, id)).message_id);
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    const ids = async (rest: string) => (await bob.get(messagesOf(id, rest))).messages.map((m: any) => m.message_id);
    expect(await ids('')).toEqual(sent.slice(0, 10));
    expect(await ids(`/${sent[9]}`)).toEqual(sent.slice(10, 20));
    expect(await ids(`/${sent[19]}?limit=100`)).toEqual(sent.slice(20));
    expect(await ids('?limit=25')).toEqual(sent);
    expect(code(await bob.ask('GET', messagesOf(id, '/no-such-message')))).toBe('404 message_not_found');
    for (const limit of ['0', '101', 'x', '1.5'])
      expect((await bob.ask('GET', messagesOf(id, `?limit=${limit}`))).status).toBe(400);
    // A place to go on from is still one when its message was deleted.
    await bob.do('DELETE', messagesOf(id, `/${sent[2]}`));
    expect(await ids(`/${sent[2]}?limit=2`)).toEqual(sent.slice(3, 5));
    expect(await ids('?limit=3')).toEqual([sent[0], sent[1], sent[3]]);
  });

  test('is edited by its author alone, for a day', async () => {
    const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aGroup(ada, bob, cleo);
    const { message_id, number } = await post(bob, id, 'typo');
    const where = messagesOf(id, `/${message_id}`);
    for (const other of [ada, cleo])
      expect(code(await other.ask('PATCH', where, { messageContent: sealed() }))).toBe('403 role_missing');
    expect(code(await bob.ask('PATCH', where, { messageContent: 'plain text' }))).toBe('400 invalid_content');
    const messageContent = sealed('right');
    await bob.do('PATCH', where, { messageContent });
    const [message] = (await cleo.get(messagesOf(id))).messages;
    expect(message).toMatchObject({ message_id, number, messageContent, edited_at: expect.any(Number) });
    await aged(id, message_id, DAY + 1000);
    expect(code(await bob.ask('PATCH', where, { messageContent: sealed() }))).toBe('409 message_too_old');
    expect(code(await bob.ask('PATCH', messagesOf(id, '/none'), { messageContent }))).toBe('404 message_not_found');
  });

  test('is deleted by its author for a day, by owner and admins of a group always', async () => {
    const [ada, bob, cleo] = (await people(url, 3)) as [Person, Person, Person];
    const id = await aGroup(ada, bob, cleo);
    const [first, second] = [await post(bob, id), await post(bob, id)];
    const where = ({ message_id }: { message_id: string }) => messagesOf(id, `/${message_id}`);
    expect(code(await cleo.ask('DELETE', where(first)))).toBe('403 role_missing');
    await bob.do('DELETE', where(first));
    await bob.do('DELETE', where(first));
    await aged(id, second.message_id, DAY + 1000);
    expect(code(await bob.ask('DELETE', where(second)))).toBe('409 message_too_old');
    await ada.do('DELETE', where(second));
    expect((await cleo.get(messagesOf(id))).messages).toEqual([]);
    expect(code(await bob.ask('PATCH', where(first), { messageContent: sealed() }))).toBe('404 message_not_found');
    // Whose it was nobody knows any more, so its id is taken.
    expect(code(await bob.ask('POST', messagesOf(id), { messageContent: sealed(), messageId: first.message_id }))).toBe('409 message_id_taken'); // prettier-ignore
    const two = await aPair(bob, cleo);
    const theirs = await post(cleo, two);
    expect(code(await bob.ask('DELETE', messagesOf(two, `/${theirs.message_id}`)))).toBe('403 role_missing');
  });

  test('goes with its reactions and its files', async () => {
    const [ada, bob] = (await people(url, 2)) as [Person, Person];
    const id = await aPair(ada, bob);
    const metadata = `fileName ${Buffer.from('a.bin').toString('base64')},fileSize ${Buffer.from('4').toString('base64')},fileType ${Buffer.from('application/octet-stream').toString('base64')}`; // prettier-ignore
    const upload = await fetch(`${url}/api/files`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${ada.token}`, 'Tus-Resumable': '1.0.0', 'Upload-Length': '4', 'Upload-Metadata': metadata, 'Content-Type': 'application/offset+octet-stream' }, // prettier-ignore
      body: 'abcd',
    });
    const file = upload.headers.get('Location')!.split('/').at(-1)!;
    expect((await ada.ask('GET', `/api/files/${file}`)).status).toBe(200);
    const shouted = { messageContent: sealed(), files: [file.toUpperCase()] };
    expect(code(await ada.ask('POST', messagesOf(id), shouted))).toBe('400 bad_request');
    const { message_id } = await post(ada, id, 'look', { files: [file] });
    await bob.do('PUT', messagesOf(id, `/${message_id}/reaction`), { content: sealed('+1') });
    expect((await bob.get(messagesOf(id))).messages[0]).toMatchObject({
      files: [file],
      reactions: [{ user_id: bob.id }],
    });
    await ada.do('DELETE', messagesOf(id, `/${message_id}`));
    expect((await ada.ask('GET', `/api/files/${file}`)).status).toBe(404);
    for (const person of [ada, bob]) {
      const view = await person.snapshot();
      expect(rowsOf(view, 'chat.message', id).size + rowsOf(view, 'chat.reaction', id).size).toBe(0);
      expect(view.of('file')).toEqual([]);
    }
  });
});

test('a person has one reaction to a message, and can take it back', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const id = await aPair(ada, bob);
  const { message_id } = await post(ada, id);
  const where = messagesOf(id, `/${message_id}/reaction`);
  const [first, second] = [sealed('1'), sealed('2')];
  for (const content of [first, second, second]) await bob.do('PUT', where, { content });
  await ada.do('PUT', where, { content: first });
  const reactions = async () => (await ada.get(messagesOf(id))).messages[0].reactions;
  expect(await reactions()).toEqual([
    { user_id: bob.id, content: second, timestamp: expect.any(Number) },
    { user_id: ada.id, content: first, timestamp: expect.any(Number) },
  ]);
  expect(code(await bob.ask('PUT', where, { content: 'thumbs up' }))).toBe('400 invalid_content');
  expect(code(await bob.ask('PUT', where, {}))).toBe('400 invalid_content');
  for (const person of [ada, bob, bob]) await person.do('DELETE', where);
  expect(await reactions()).toBeUndefined();
  await bob.do('PUT', where, { content: first });
  expect(await reactions()).toHaveLength(1);
  expect(code(await bob.ask('PUT', messagesOf(id, '/none/reaction'), { content: first }))).toBe(
    '404 message_not_found',
  );
});

test('ids that no path can hold are refused, by every way; all others name their message', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const id = await aPair(ada, bob);
  const socket = new Client(url, { auth: { token: ada.token } });
  const plain = new WsClient(url, { query: { token: ada.token } });
  for (const client of [socket, plain]) later(() => client.close());
  await Promise.all([socket.connected(), plain.next('connect')]);
  for (const messageId of ['.', '..']) {
    expect(code(await ada.ask('POST', messagesOf(id), { messageContent: sealed(), messageId }))).toBe('400 invalid_string'); // prettier-ignore
    for (const client of [socket, plain])
      expect(await client.send('sendMessage', { conversationId: id, messageContent: sealed(), messageId })).toMatchObject({ ok: false, code: 'invalid_string' }); // prettier-ignore
  }
  const ids = ['...', '.a', '%2e', '%2e%2e', '/', '../..', 'a/../b', '\\', ' ', '?', '#', '\t', 'é'];
  for (const messageId of ids) {
    await post(ada, id, '', { messageId });
    const at = messagesOf(id, `/${encodeURIComponent(messageId)}`);
    const reply = [messageId, code(await ada.ask('PATCH', at, { messageContent: sealed('edited') }))];
    expect(reply).toEqual([messageId, '200 undefined']);
    await ada.do('DELETE', at);
  }
  expect((await bob.get(messagesOf(id))).messages).toEqual([]);
});

test('marks go forward, never past what there is, and reading implies that it arrived', async () => {
  const [ada, bob] = (await people(url, 2)) as [Person, Person];
  const id = await aPair(ada, bob);
  const unread = async (person: Person) => (await person.get('/api/conversations')).conversations[0].unread_count;
  const posted = [await post(ada, id), await post(ada, id), await post(ada, id)];
  expect([await unread(ada), await unread(bob)]).toEqual([0, 3]);
  const mark = (marks: object) => bob.do('PUT', `/api/conversations/${id}/marks`, marks);
  const markOf = async () => rowsOf(await ada.snapshot(), 'chat.mark', id).get(bob.id);
  await mark({ delivered: posted[1]!.number });
  expect(await markOf()).toMatchObject({ userId: bob.id, delivered: posted[1]!.number, read: 0 });
  await mark({ read: posted[0]!.number });
  expect(await unread(bob)).toBe(2);
  await mark({ delivered: 1, read: posted[2]!.number });
  expect(await markOf()).toMatchObject({ delivered: posted[2]!.number, read: posted[2]!.number });
  await mark({ read: 1 });
  expect(await unread(bob)).toBe(0);
  await mark({ read: Number.MAX_SAFE_INTEGER });
  await post(ada, id);
  expect(await unread(bob)).toBe(1);
  // Who writes has read.
  await post(bob, id);
  expect([await unread(ada), await unread(bob)]).toEqual([1, 0]);
  for (const wrong of [-1, 1.5, 'x']) expect((await bob.ask('PUT', `/api/conversations/${id}/marks`, { read: wrong })).status).toBe(400); // prettier-ignore
});

test('a stranger learns nothing of a conversation, not even that it is there', async () => {
  const [ada, bob, eve] = (await people(url, 3)) as [Person, Person, Person];
  const id = await aPair(ada, bob);
  const { message_id } = await post(ada, id);
  const attempts: [string, string, unknown?][] = [
    ['GET', ''],
    ['PATCH', '', { name: 'Mine' }],
    ['DELETE', ''],
    ['POST', '/leave'],
    ['GET', '/members'],
    ['PATCH', `/members/${ada.id}`, { role: 'member' }],
    ['DELETE', `/members/${ada.id}`],
    ['POST', '/keys', { epoch: 2, keys: [{ userId: eve.id, key: 'k' }] }],
    ['POST', '/history-keys', { userId: eve.id, keys: [{ epoch: 1, key: 'k' }] }],
    ['POST', '/messages', { messageContent: sealed() }],
    ['POST', '/messages', { messageContent: sealed(), messageId: message_id }],
    ['GET', '/messages'],
    ['GET', `/messages/${message_id}`],
    ['PATCH', `/messages/${message_id}`, { messageContent: sealed() }],
    ['DELETE', `/messages/${message_id}`],
    ['PUT', `/messages/${message_id}/reaction`, { content: sealed() }],
    ['DELETE', `/messages/${message_id}/reaction`],
    ['PUT', '/marks', { read: 1 }],
  ];
  const before = (await ada.snapshot()).lines();
  // A conversation of others, one that is not there, the account of a person, and what is no id at all.
  for (const where of [id, randomUUID(), ada.id, eve.id, 'x', `${id}x`])
    for (const [method, rest, body] of attempts) {
      const reply = await eve.ask(method, `/api/conversations/${where}${rest}`, body);
      expect(`${method} ${rest} ${code(reply)}`).toBe(`${method} ${rest} 404 conversation_not_found`);
    }
  const asked = { pseudo: eve.name, key: 'k', conversationId: id };
  const [cleo] = (await people(url, 1)) as [Person];
  expect(code(await eve.ask('POST', '/api/conversations/invite', { ...asked, pseudo: cleo.name }))).toBe('404 conversation_not_found'); // prettier-ignore
  expect((await ada.snapshot()).lines()).toEqual(before);
  expect((await eve.snapshot()).of('chat')).toEqual([]);
});

test('who has written too much is refused where nothing is as well', async () => {
  const strict = await TestServer.start({ ...CHEAP, limits: { postsPerMinute: 1 } });
  try {
    const [ada, bob, eve] = (await people(strict.url, 3)) as [Person, Person, Person];
    const id = await aPair(ada, bob);
    await eve.ask('POST', messagesOf(randomUUID()), { messageContent: sealed() });
    const wrapped = { epoch: 2, keys: [{ userId: eve.id, key: 'k' }] };
    const attempts: [string, string, unknown?][] = [
      ['POST', '/messages', { messageContent: sealed() }],
      ['PATCH', '', { name: 'Mine' }],
      ['POST', '/keys', wrapped],
      ['POST', '/leave'],
      ['DELETE', ''],
      ['PATCH', `/members/${ada.id}`, { role: 'member' }],
      ['DELETE', `/members/${ada.id}`],
    ];
    for (const where of [id, randomUUID()])
      for (const [method, rest, body] of attempts) {
        const reply = await eve.ask(method, `/api/conversations/${where}${rest}`, body);
        expect(`${method} ${rest} ${code(reply)}`).toBe(`${method} ${rest} 429 rate_limited`);
      }
    const answer = await eve.ask('POST', `/api/conversations/invitations/${randomUUID()}/respond`, { response: 'accepted' }); // prettier-ignore
    const blocks = [await eve.ask('PUT', `/api/blocks/${ada.id}`), await eve.ask('DELETE', `/api/blocks/${ada.id}`)];
    expect([answer, ...blocks].map(code)).toEqual(Array.from({ length: 3 }, () => '429 rate_limited'));
  } finally {
    await strict.stop();
  }
});
