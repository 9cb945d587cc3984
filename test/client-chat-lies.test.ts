import { randomUUID } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { memoryStore } from '@pairline/client';
import { newIdentity, publicKeyOf, wrap } from '../client/src/chats/identity.js';
import { newChatKey, sealChat, type ChatContext } from '../client/src/chats/sealing.js';
import type { Middleman } from './support/client-between.js';
import { until, webAt } from './support/client-ends.js';
import { change, group, keyOf, signerOf, type Person } from './support/client-group.js';
import { call } from './support/clients.js';
import { cleanUp } from './support/database.js';
import { chatOn, deviceOf, said, says, seen } from './support/client-people.js';

afterEach(cleanUp);

// What a server, or a member with the help of one, can do to what people write, and that it is noticed.

test('what two messages say cannot be swapped, nor moved to another author', async () => {
  const { id, ann, bob, rest, between } = await group(1);
  const contents: string[] = [];
  change(between, 'chat.message', ({ content, userId }) => {
    contents.push(content);
    if (contents.length === 2) return { content: contents[0] };
    return contents.length === 3 ? { userId: userId === ann.userId ? rest[0]!.userId : ann.userId } : undefined;
  });
  for (const text of ['One', 'Two', 'Three', 'Four']) await ann.device.chats.send(id, { text });
  await says(bob.device, id, ['One', 'tampered', 'tampered', 'Four']);
  expect(await said(ann.device, id)).toEqual(['One', 'Two', 'Three', 'Four']);
});

test('a member who writes in another one’s name is noticed, though the key is the same', async () => {
  const { url, id, ann, bob, rest, between } = await group(1);
  const [cid] = rest as [Person];
  const heard: string[] = [];
  bob.device.chats.on('incoming', ({ text }) => heard.push(text));
  const { epoch } = (await cid.device.store.read((tx) => tx.get('chats', id)))!.row!;
  const messageId = randomUUID();
  const context: ChatContext = { kind: 'message', chatId: id, id: messageId, userId: ann.userId, epoch };
  const messageContent = await sealChat(await keyOf(cid, id, epoch), await signerOf(cid), context, { text: 'I quit', sent: 1 }); // prettier-ignore
  change(between, 'chat.message', (row) => (row.id === messageId ? { userId: ann.userId } : undefined));
  const { token } = (await cid.device.store.read((tx) => tx.value('session')))!;
  const body = { messageContent, messageId, epoch };
  expect((await call(url, `/api/conversations/${id}/messages`, { token, method: 'POST', body })).status).toBe(201);
  await ann.device.chats.send(id, { text: 'By Ann' });
  await says(bob.device, id, ['wrong-author', 'By Ann']);
  // Who is told the truth sees that it is not by Cid, either.
  await says(ann.device, id, ['tampered', 'By Ann']);
  await seen(bob.device, async () => heard.length > 0, 'the other message');
  expect(heard).toEqual(['By Ann']);
});

test('an edit that was replaced does not come back', async () => {
  const { id, ann, bob, between } = await group();
  const { chats } = ann.device;
  const sent = await chats.send(id, { text: 'At five' });
  await says(bob.device, id, ['At five']);
  const first = await contentOf(bob, id, between, () => chats.edit(id, sent.id, { text: 'At six' }));
  await says(bob.device, id, ['At six']);
  await chats.edit(id, sent.id, { text: 'At seven' });
  await says(bob.device, id, ['At seven']);
  change(between, 'chat.message', (row) => (row.id === sent.id ? { content: first } : undefined));
  await chats.edit(id, sent.id, { text: 'At eight' });
  await chats.send(id, { text: 'Agreed?' });
  await says(bob.device, id, ['At seven', 'Agreed?']);
});

/** The content of the next row of a message that comes to Bob. */
async function contentOf(bob: Person, id: string, between: Middleman, act: () => Promise<void>): Promise<string> {
  let content = '';
  change(between, 'chat.message', (row) => {
    content = row.content;
    return undefined;
  });
  await act();
  await seen(bob.device, async () => content !== '' && (await said(bob.device, id)).length > 0, 'a row');
  return content;
}

test('a key that the server puts in somebody’s place is not believed, and nothing is sealed to it', async () => {
  const { id, ann, bob, between } = await group();
  const fake = await newIdentity();
  change(
    between,
    'chat.member',
    (row) =>
    row.userId === ann.userId ? { publicKey: publicKeyOf(fake), previousKey: row.publicKey, keySignature: 'AAAA' } : undefined, // prettier-ignore
  );
  const before = (await bob.device.chats.person(ann.userId))!.fingerprint;
  await ann.device.chats.setRole(id, bob.userId, 'admin');
  await ann.device.chats.handOver(id, bob.userId);
  await seen(bob.device, async () => (await chatOn(bob.device, id)).warning, 'a warning');
  expect(await bob.device.chats.person(ann.userId)).toMatchObject({ keyChanged: 'unsigned', fingerprint: before });
  // Both go on with what they trust.
  await ann.device.chats.send(id, { text: 'Still me' });
  await says(bob.device, id, ['Still me']);
  await bob.device.chats.renewKeys();
  await bob.device.chats.send(id, { text: 'Read me' });
  await says(ann.device, id, ['Still me', 'Read me']);
  between.lies = {};
});

test('a key that no member wrapped is none', async () => {
  const { id, ann, bob, rest, between } = await group(1);
  const fake = await newIdentity();
  const publicKey = await bob.device.store.read((tx) => tx.value('published'));
  const forged = newChatKey();
  const wraps = new Map<number, string>();
  for (let epoch = 1; epoch < 20; epoch++)
    wraps.set(epoch, (await wrap(forged, publicKey!, { chatId: id, epoch, from: ann.userId, to: bob.userId }, fake))!);
  change(between, 'chat.key', (row) => ({ key: wraps.get(row.epoch) }));
  await ann.device.chats.remove(id, rest[0]!.userId);
  await ann.device.chats.send(id, { text: 'For Bob' });
  await says(bob.device, id, ['no-key']);
  // Bob begins a key of his own rather than to write with that one.
  between.lies = {};
  await bob.device.chats.send(id, { text: 'What?' });
  await says(ann.device, id, ['For Bob', 'What?']);
});

test('who was removed cannot go on writing with the old key, though the server lets it through', async () => {
  const { id, ann, bob, rest, between } = await group(1);
  const [cid] = rest as [Person];
  const { epoch } = (await cid.device.store.read((tx) => tx.get('chats', id)))!.row!;
  await ann.device.chats.remove(id, cid.userId);
  const sent = await ann.device.chats.send(id, { text: 'Is he gone?' });
  await says(bob.device, id, ['Is he gone?']);
  const next = randomUUID();
  const context: ChatContext = { kind: 'message', chatId: id, id: next, userId: cid.userId, epoch };
  const content = await sealChat(await keyOf(cid, id, epoch), await signerOf(cid), context, { text: 'No', sent: 1 });
  change(between, 'chat.message', (row) => (row.id === sent.id ? undefined : { id: next, userId: cid.userId, epoch, content })); // prettier-ignore
  await ann.device.chats.send(id, { text: 'Yes' });
  await says(bob.device, id, ['Is he gone?', 'tampered']);
});

test('a reaction is nobody else’s, and of a message alone', async () => {
  const { id, ann, bob, between } = await group();
  const [one, two] = [await ann.device.chats.send(id, { text: 'Buy?' }), await ann.device.chats.send(id, { text: 'Sell?' })]; // prettier-ignore
  await says(bob.device, id, ['Buy?', 'Sell?']);
  change(between, 'chat.reaction', () => ({ messageId: two.id, id: `${two.id}:${ann.userId}` }));
  await ann.device.chats.react(id, one.id, '👍');
  await ann.device.chats.send(id, { text: 'So?' });
  await says(bob.device, id, ['Buy?', 'Sell?', 'So?']);
  expect((await bob.device.chats.messages(id)).flatMap(({ reactions }) => reactions)).toEqual([]);
});

test('new keys that somebody signed with the old ones are theirs', async () => {
  const { id, ann, bob } = await group();
  const words = async () => [await ann.device.chats.safetyWords(bob.userId), await bob.device.chats.safetyWords(ann.userId)]; // prettier-ignore
  const [mine, theirs] = await words();
  expect(mine).toHaveLength(12);
  expect(mine).toEqual(theirs);
  await bob.device.chats.trust(ann.userId, { verified: true });
  expect((await bob.device.chats.person(ann.userId))!.verified).toBe(true);
  await ann.device.chats.send(id, { text: 'Before' });
  await says(bob.device, id, ['Before']);

  await ann.device.chats.renewKeys();
  await seen(bob.device, async () => (await bob.device.chats.person(ann.userId))!.keyChanged === 'signed', 'a signed key'); // prettier-ignore
  expect(await bob.device.chats.person(ann.userId)).toMatchObject({ verified: false });
  expect((await chatOn(bob.device, id)).warning).toBe(false);
  await ann.device.chats.send(id, { text: 'After' });
  await says(bob.device, id, ['Before', 'After']);
  await bob.device.chats.send(id, { text: 'I see' });
  await says(ann.device, id, ['Before', 'After', 'I see']);
  const [now, others] = await words();
  expect(now).toEqual(others);
  expect(now).not.toEqual(mine);
  await bob.device.chats.trust(ann.userId);
  expect((await bob.device.chats.person(ann.userId))!.keyChanged).toBeUndefined();
});

test('new keys that nobody signed are warned of, and good for nothing until somebody trusts them', async () => {
  const { url, id, ann, bob } = await group();
  await ann.device.chats.send(id, { text: 'Before' });
  await says(bob.device, id, ['Before']);
  // She has lost her device, and with it her keys.
  const store = memoryStore();
  const web = await webAt(url, { store });
  await web.signIn({ name: ann.name, password: 'a long password', deviceName: 'Another', remember: true });
  await until(() => web.state.keys === 'elsewhere' && web.state.phase === 'live', (again) => [web.on('state', again)], 'no keys'); // prettier-ignore
  await web.startOver();
  const device = await deviceOf(web, store);
  const { chats } = device;
  await seen(bob.device, async () => (await chatOn(bob.device, id)).warning, 'a warning');
  await seen(device, async () => (await chats.chat(id)) !== undefined, 'the group');
  expect(await said(device, id)).toEqual(['no-key']);
  // What she signed of Bob is gone with her keys.
  expect(await chatOn(device, id)).toMatchObject({ strangers: true });
  await chats.vouch(id, [bob.userId]);
  await chats.send(id, { text: 'It is me' });
  await says(bob.device, id, ['Before', 'no-key']);
  await bob.device.chats.trust(ann.userId);
  await says(bob.device, id, ['Before', 'It is me']);
  expect((await chatOn(bob.device, id)).warning).toBe(false);
  await bob.device.chats.send(id, { text: 'Welcome back' });
  await says(device, id, ['no-key', 'It is me', 'Welcome back']);
});
