import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { memoryStore } from '@pairline/client';
import type { Change, ChatMessageRow, ChatReactionRow } from '@pairline/protocol';
import { wrap } from '../client/src/chats/identity.js';
import { newChatKey, sealChat, type ChatContext } from '../client/src/chats/sealing.js';
import { inPhase, letIn, webAt } from './support/client-ends.js';
import { change, group, keyOf, signerOf, type Person } from './support/client-group.js';
import { accept, chatOn, deviceOf, personAt, said, says, seen } from './support/client-people.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';
import { Middleman } from './support/client-between.js';

afterEach(cleanUp);

// What was once known is not forgotten because a server says something older, or something else.

async function epochOn({ device }: Person, id: string): Promise<number> {
  return (await device.store.read((tx) => tx.get('chats', id)))!.row!.epoch;
}

test('a key that was followed by another one is not written with again', async () => {
  const { id, ann, bob, rest, between } = await group(1);
  const old = await epochOn(bob, id);
  await ann.device.chats.remove(id, rest[0]!.userId);
  await ann.device.chats.send(id, { text: 'He is gone' });
  await says(bob.device, id, ['He is gone']);
  const current = await epochOn(bob, id);
  expect(current).toBeGreaterThan(old);
  change(between, 'chat', () => ({ epoch: old, createdAt: 5 }));
  await ann.device.chats.rename(id, 'Us');
  await seen(bob.device, async () => (await chatOn(bob.device, id)).createdAt === 5, 'the lie');
  expect(await epochOn(bob, id)).toBe(current);
});

test('nobody writes with a key that somebody began who is not in the chat any more', async () => {
  const { id, ann, bob, rest, between } = await group(1);
  const [cid] = rest as [Person];
  const theirs = newChatKey();
  const identity = (await cid.device.store.read((tx) => tx.get('states', 'e2e/identity')))!.value as { keys: never[] };
  const toBob = await bob.device.store.read((tx) => tx.value('published'));
  const wraps = new Map<number, string>();
  for (let epoch = 1; epoch < 20; epoch++)
    wraps.set(epoch, (await wrap(theirs, toBob!, { chatId: id, epoch, from: cid.userId, to: bob.userId }, identity.keys.at(-1)!))!); // prettier-ignore
  change(between, 'chat.key', (row) => ({ key: wraps.get(row.epoch), by: cid.userId }));
  await ann.device.chats.remove(id, cid.userId);
  const epoch = await epochOn(ann, id);
  await seen(bob.device, async () => (await bob.device.store.read((tx) => tx.get('chatKeys', `${id}:${epoch}`)))?.key === theirs, 'the key'); // prettier-ignore
  between.lies = {};
  await bob.device.chats.send(id, { text: 'Is he gone?' });
  await says(ann.device, id, ['Is he gone?']);
  expect(await epochOn(bob, id)).toBeGreaterThan(epoch);
});

test('what was edited does not come back after something that does not open, nor become somebody else’s', async () => {
  const { id, ann, bob, rest, between } = await group(1);
  const [cid] = rest as [Person];
  const rows: ChatMessageRow[] = [];
  change(between, 'chat.message', (row) => void rows.push(row));
  const sent = await ann.device.chats.send(id, { text: 'Pay 10' });
  await says(bob.device, id, ['Pay 10']);
  const [first] = rows as [ChatMessageRow];
  await ann.device.chats.edit(id, sent.id, { text: 'Pay 20' });
  await says(bob.device, id, ['Pay 20']);
  const next = async (lie: object, texts: string[]) => {
    change(between, 'chat.message', (row) => (row.id === sent.id ? lie : undefined));
    const other = await ann.device.chats.edit(id, sent.id, { text: 'Pay 30' }).then(() => ann.device.chats.send(id, { text: 'So?' })); // prettier-ignore
    await seen(bob.device, () => bob.device.chats.message(id, other.id), 'what came after it');
    expect((await said(bob.device, id))[0]).toBe(texts[0]);
  };
  await next({ content: first.content.replace(/^..../, 'AAAA') }, ['tampered']);
  await next({ content: first.content }, ['tampered']);
  const context: ChatContext = { kind: 'message', chatId: id, id: sent.id, userId: cid.userId, epoch: first.epoch! };
  const content = await sealChat(await keyOf(cid, id, first.epoch!), await signerOf(cid), context, { text: 'Pay Cid', sent: 1, edit: 9 }); // prettier-ignore
  await next({ userId: cid.userId, content }, ['tampered']);
  change(between, 'chat.message', () => undefined);
  await ann.device.chats.edit(id, sent.id, { text: 'Pay 40' });
  await seen(bob.device, async () => (await said(bob.device, id))[0] === 'Pay 40', 'the newest');
});

test('a reaction that was replaced or taken back does not come back', async () => {
  const { id, ann, bob, between } = await group();
  const { chats } = ann.device;
  const sent = await chats.send(id, { text: 'Well?' });
  await says(bob.device, id, ['Well?']);
  const rows: ChatReactionRow[] = [];
  change(between, 'chat.reaction', (row) => void rows.push(row));
  const shown = async () => (await bob.device.chats.messages(id))[0]!.reactions.map(({ emoji }) => emoji).join();
  const shows = (emoji: string) => seen(bob.device, async () => (await shown()) === emoji, emoji);
  await chats.react(id, sent.id, '👍');
  await shows('👍');
  await chats.react(id, sent.id, '👎');
  await shows('👎');
  const [up, down] = rows as [ChatReactionRow, ChatReactionRow];
  const next = async (lie: object, emoji: string) => {
    change(between, 'chat.reaction', () => lie);
    await chats.react(id, sent.id, '🎉');
    const other = await chats.send(id, { text: 'So?' });
    await seen(bob.device, () => bob.device.chats.message(id, other.id), 'what came after it');
    expect(await shown()).toBe(emoji);
  };
  // First one of which there is no key.
  await next({ epoch: 1 }, '👎');
  await next({ ...up }, '👎');
  between.lies = {};
  await chats.react(id, sent.id);
  await shows('');
  await next({ ...down }, '');
  await next({ ...down, id: `${sent.id}:another` }, '');
});

test('who was removed does not write on as if it were an edit', async () => {
  const { id, ann, bob, rest, between } = await group(1);
  const [cid] = rest as [Person];
  const epoch = await epochOn(cid, id);
  await ann.device.chats.remove(id, cid.userId);
  const sent = await ann.device.chats.send(id, { text: 'Is he gone?' });
  await says(bob.device, id, ['Is he gone?']);
  const next = randomUUID();
  const context: ChatContext = { kind: 'message', chatId: id, id: next, userId: cid.userId, epoch };
  const content = await sealChat(await keyOf(cid, id, epoch), await signerOf(cid), context, { text: 'No', sent: 1, edit: 1 }); // prettier-ignore
  change(between, 'chat.message', (row) => (row.id === sent.id ? undefined : { id: next, userId: cid.userId, epoch, content, editedAt: 5 })); // prettier-ignore
  await ann.device.chats.send(id, { text: 'Yes' });
  await says(bob.device, id, ['Is he gone?', 'tampered']);
});

test('a row in another chat’s place changes nothing there', async () => {
  const { id, ann, bob, between } = await group();
  const second = await ann.device.chats.createGroup('Others');
  await ann.device.chats.invite(second, bob);
  await accept(bob.device);
  const chat = () => bob.device.store.read((tx) => tx.get('chats', id));
  await seen(bob.device, async () => (await chat())?.name?.text === 'Friends', 'the name');
  between.lies = {
    event: (event, page: { changes: Change[] }) =>
      event !== 'changes' ? undefined : { ...page, changes: page.changes.map((item) => (item.kind === 'chat.message' ? { ...item, row: { ...item.row, chatId: id } } : item)) }, // prettier-ignore
  };
  await ann.device.chats.send(second, { text: 'Elsewhere' });
  await ann.device.chats.rename(second, 'The others');
  await seen(bob.device, async () => (await chatOn(bob.device, second)).name === 'The others', 'what came after it');
  expect((await chat())?.name?.text).toBe('Friends');
  expect(await said(bob.device, id)).toEqual([]);
});

test('nobody takes the place of one of two people', async () => {
  const server = await TestServer.start();
  later(() => server.stop());
  const between = await Middleman.start(server.url);
  const [ann, bob, eve] = [await personAt(between.url), await personAt(server.url), await personAt(server.url)];
  const [mine, theirs] = [ann.devices[0]!, bob.devices[0]!];
  const id = await mine.chats.begin(bob);
  await accept(theirs);
  await seen(mine, async () => (await chatOn(mine, id)).members === 2, 'both');
  await mine.chats.send(id, { text: 'Just us' });
  await says(theirs, id, ['Just us']);
  const userId = (await theirs.chats.profile()).userId;
  const other = (await eve.devices[0]!.chats.profile()).userId;
  const publicKey = await eve.devices[0]!.store.read((tx) => tx.value('published'));
  let told = false;
  between.lies = {
    event: (event, page: { changes: Change[]; cursor: number }) => {
      const mark = event === 'changes' ? page.changes.find(({ kind }) => kind === 'chat.message') : undefined;
      if (mark === undefined || told) return undefined;
      told = true;
      const row = { chatId: id, number: 1, publicKey, role: 'owner', fingerprint: '' };
      const member = (who: string, state: string) => ({ ...mark, kind: 'chat.member', id: `${id}:${who}`, row: { ...row, id: who, userId: who, name: who, state } }); // prettier-ignore
      return { ...page, changes: [member(userId, 'left'), member(other, 'accepted')] };
    },
  };
  await theirs.chats.send(id, { text: 'I am here' });
  await seen(mine, async () => told && (await mine.chats.members(id)).some((member) => member.userId === other), 'Eve'); // prettier-ignore
  const { id: messageId } = await mine.chats.send(id, { text: 'A secret' });
  await seen(mine, async () => (await mine.chats.message(id, messageId))?.state === 'failed', 'that it failed');
  expect((await mine.chats.message(id, messageId))!.problem).toBe('tampered');
});

test('words that were compared are not those of another key that came since', async () => {
  const { ann, bob } = await group();
  await bob.device.chats.safetyWords(ann.userId);
  await bob.device.store.write(async (tx) => {
    const person = (await tx.get('people', ann.userId))!;
    await tx.put('people', [{ ...person, keyChanged: 'unsigned', offered: `${person.keys[0]!.slice(0, -1)}A` }]);
  });
  await expect(bob.device.chats.trust(ann.userId, { verified: true })).rejects.toMatchObject({ code: 'key_changed' });
  expect(await bob.device.chats.person(ann.userId)).toMatchObject({ keyChanged: 'unsigned', verified: false });
});

test('what a new device reads of the past is no news', async () => {
  const { url, id, ann, bob } = await group();
  await bob.device.chats.send(id, { text: 'Long ago' });
  await says(ann.device, id, ['Long ago']);
  const store = memoryStore();
  const web = await webAt(url, { store });
  const heard: string[] = [];
  (await web.chats()).on('incoming', ({ text }) => heard.push(text));
  // What has come is opened when there is time.
  let open = () => {};
  const busy = store.exclusive('chats', () => new Promise<void>((resolve) => (open = resolve)));
  await letIn(ann.device.web, web);
  await inPhase(web, 'live');
  open();
  await busy;
  const device = await deviceOf(web, store);
  await says(device, id, ['Long ago']);
  await bob.device.chats.send(id, { text: 'Now' });
  await seen(device, async () => heard.includes('Now'), 'what is new');
  expect(heard).toEqual(['Now']);
});
