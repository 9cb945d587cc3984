import { afterEach, expect, test } from '@jest/globals';
import { memoryStore } from '@pairline/client';
import { Cutter } from './support/client-between.js';
import { eager, inPhase, letIn, webAt } from './support/client-ends.js';
import { cleanUp, later } from './support/database.js';
import { accept, chatOn, deviceOf, personAt, said, says, seen, type Device } from './support/client-people.js';
import { TestServer, type ServerOptions } from './support/server.js';

/* Private conversations and groups by the client library: people with several devices, against a real server. */

afterEach(cleanUp);

async function start(options?: ServerOptions): Promise<TestServer> {
  const server = await TestServer.start(options);
  later(() => server.stop());
  return server;
}

/** People with one device each. */
async function people(url: string, count: number): Promise<{ name: string; device: Device; userId: string }[]> {
  const all = [];
  for (let i = 0; i < count; i++) {
    const { name, devices } = await personAt(url);
    all.push({ name, device: devices[0]!, userId: (await devices[0]!.chats.profile()).userId });
  }
  return all;
}

/** A group that the first one began, and in which all of them are. */
async function group(members: { name: string; device: Device }[], name = 'Friends'): Promise<string> {
  const [owner, ...others] = members;
  const { chats } = owner!.device;
  const id = await chats.createGroup(name);
  for (const other of others) await chats.invite(id, other);
  for (const { device } of others) expect(await accept(device)).toBe(id);
  for (const { device } of members)
    await seen(device, async () => (await device.chats.chat(id))?.members === members.length, 'all members');
  return id;
}

/** Resolves once a message is so far with its author. */
function isSo(device: Device, chatId: string, messageId: string, state: string): Promise<unknown> {
  return seen(device, async () => (await device.chats.message(chatId, messageId))?.state === state, state);
}

test('two people with two devices each talk, and every device shows the same', async () => {
  const { url } = await start();
  const [ann, bob] = [await personAt(url, url), await personAt(url, url)];
  const [desk, lap] = ann.devices as [Device, Device];
  const [theirs, other] = bob.devices as [Device, Device];
  const id = await desk.chats.begin(bob);
  expect(await desk.chats.begin(bob)).toBe(id);
  const sent = await desk.chats.send(id, { text: 'Hello Bob' });
  expect(sent).toMatchObject({ text: 'Hello Bob', mine: true, state: 'waiting' });
  const [invitation] = await seen(theirs, async () => (await theirs.chats.invitations()).length === 1 && theirs.chats.invitations()); // prettier-ignore
  expect(invitation).toMatchObject({ group: false, from: { name: ann.name } });
  expect(await theirs.chats.list()).toEqual([]);
  // Who begins with somebody who has begun already has accepted.
  expect(await theirs.chats.begin(ann)).toBe(id);
  const answer = await theirs.chats.send(id, { text: 'Hello Ann', replyTo: sent.id });
  for (const device of [desk, lap, theirs, other]) await says(device, id, ['Hello Bob', 'Hello Ann']);
  expect(await chatOn(other, id)).toMatchObject({ group: false, name: ann.name, members: 2, unread: 1 });
  expect(await chatOn(lap, id)).toMatchObject({ group: false, name: bob.name, unread: 1, last: { text: 'Hello Ann' } });
  expect(await lap.chats.message(id, answer.id)).toMatchObject({
    authorName: bob.name,
    mine: false,
    replyTo: { id: sent.id, text: 'Hello Bob', authorName: ann.name },
  });
  expect(await other.chats.message(id, answer.id)).toMatchObject({ mine: true });
});

test('what was written is delivered and read, and each device knows how far it is', async () => {
  const { url } = await start();
  const [ann, bob, cid] = (await people(url, 3)) as [P, P, P];
  const id = await group([ann, bob, cid]);
  const { chats } = ann.device;
  const sent = await chats.send(id, { text: 'Who is in?' });
  await isSo(ann.device, id, sent.id, 'delivered');
  await says(bob.device, id, ['Who is in?']);
  expect((await chatOn(bob.device, id)).unread).toBe(1);
  await bob.device.chats.markRead(id);
  expect((await chatOn(bob.device, id)).unread).toBe(0);
  const states = async () => (await chats.receipts(id, sent.id)).map(({ name, state }) => [name === bob.name ? 'bob' : 'cid', state]).sort(); // prettier-ignore
  await seen(ann.device, async () => JSON.stringify(await states()) === '[["bob","read"],["cid","delivered"]]', 'Bob’s mark'); // prettier-ignore
  expect((await chats.message(id, sent.id))!.state).toBe('delivered');
  await says(cid.device, id, ['Who is in?']);
  await cid.device.chats.markRead(id);
  await isSo(ann.device, id, sent.id, 'read');
});

type P = Awaited<ReturnType<typeof people>>[0];

test('reactions, edits and deletions are everybody’s; mentions and unread counts are one’s own', async () => {
  const { url } = await start();
  const [ann, bob] = (await people(url, 2)) as [P, P];
  const id = await group([ann, bob]);
  const { chats } = ann.device;
  const first = await chats.send(id, { text: '@bob at six?', mentions: [{ userId: bob.userId, at: 0, length: 4 }] });
  await chats.send(id, { text: 'Or not' });
  await says(bob.device, id, ['@bob at six?', 'Or not']);
  expect(await chatOn(bob.device, id)).toMatchObject({ name: 'Friends', unread: 2, mentioned: true, role: 'member' });
  await bob.device.chats.react(id, first.id, '👍');
  await chats.react(id, first.id, '🎉');
  await seen(ann.device, async () => (await chats.message(id, first.id))!.reactions.length === 2, 'reactions');
  await bob.device.chats.react(id, first.id, '🎉');
  const reactions = async ({ device }: P) => (await device.chats.message(id, first.id))!.reactions;
  for (const each of [ann, bob])
    await seen(each.device, async () => JSON.stringify((await reactions(each)).map(({ emoji, mine, people }) => [emoji, mine, people.length])) === '[["🎉",true,2]]', 'one reaction of both'); // prettier-ignore
  await chats.react(id, first.id);
  await seen(bob.device, async () => (await bob.device.chats.message(id, first.id))!.reactions[0]?.people.length === 1, 'a reaction taken back'); // prettier-ignore

  await chats.edit(id, first.id, { text: 'At seven' });
  await says(bob.device, id, ['At seven', 'Or not']);
  expect((await bob.device.chats.message(id, first.id))!.editedAt).toBeGreaterThan(0);
  expect(await chatOn(bob.device, id)).toMatchObject({ mentioned: false });
  await expect(bob.device.chats.edit(id, first.id, { text: 'Mine' })).rejects.toMatchObject({ code: 'message_not_found' }); // prettier-ignore
  await chats.delete(id, first.id);
  await says(ann.device, id, ['deleted', 'Or not']);
  await says(bob.device, id, ['deleted', 'Or not']);
  expect(await chatOn(bob.device, id)).toMatchObject({ unread: 1 });
});

test('what the server refuses gives way: an edit that comes too late, a message of somebody who is out', async () => {
  const { url } = await start({ limits: { chatEditMs: 1 } });
  const [ann, bob] = (await people(url, 2)) as [P, P];
  const id = await group([ann, bob]);
  const { chats } = ann.device;
  const sent = await chats.send(id, { text: 'As it was' });
  await isSo(ann.device, id, sent.id, 'delivered');
  await chats.edit(id, sent.id, { text: 'As it should have been' });
  expect(await said(ann.device, id)).toEqual(['As it should have been']);
  await says(ann.device, id, ['As it was']);
  expect(await said(bob.device, id)).toEqual(['As it was']);
});

test('who is removed reads nothing that is written then, and who comes later reads from then on', async () => {
  const { url } = await start();
  const [ann, bob, cid] = (await people(url, 3)) as [P, P, P];
  const id = await group([ann, bob]);
  const { chats } = ann.device;
  await chats.send(id, { text: 'For Bob' });
  await says(bob.device, id, ['For Bob']);
  const before = await chats.receipts(id, (await chats.messages(id))[0]!.id);
  expect(before).toHaveLength(1);
  const epochs = () => bob.device.store.read(async (tx) => (await tx.where('chatKeys', 'chatId', id)).length);
  const had = await epochs();
  await chats.remove(id, bob.userId);
  await seen(bob.device, async () => (await chatOn(bob.device, id)).membership === 'removed', 'removed');
  await chats.send(id, { text: 'Not for Bob' });
  await chats.invite(id, cid);
  await accept(cid.device);
  await chats.send(id, { text: 'For Cid' });
  await says(cid.device, id, ['For Cid']);
  await says(ann.device, id, ['For Bob', 'Not for Bob', 'For Cid']);
  expect(await said(bob.device, id)).toEqual(['For Bob']);
  expect(await epochs()).toBe(had);
  await expect(bob.device.chats.send(id, { text: 'Let me in' })).rejects.toMatchObject({ code: 'conversation_not_found' }); // prettier-ignore
  expect((await chatOn(cid.device, id)).name).toBe('Friends');
});

test('who is invited with the history reads it, and may leave; whoever stays goes on without them', async () => {
  const { url } = await start();
  const [ann, bob, cid] = (await people(url, 3)) as [P, P, P];
  const id = await group([ann, bob]);
  const { chats } = ann.device;
  const first = await chats.send(id, { text: 'Long ago' });
  await says(bob.device, id, ['Long ago']);
  await bob.device.chats.react(id, first.id, '❤️');
  await chats.remove(id, bob.userId);
  await chats.send(id, { text: 'Yesterday' });
  await chats.invite(id, cid, { history: true });
  await accept(cid.device);
  await says(cid.device, id, ['Long ago', 'Yesterday']);
  expect((await chatOn(cid.device, id)).unread).toBe(0);

  const epochOf = () => ann.device.store.read(async (tx) => (await tx.get('chats', id))!.row!.epoch);
  const was = await epochOf();
  await cid.device.chats.leave(id);
  expect((await chatOn(cid.device, id)).membership).toBe('left');
  await seen(ann.device, async () => (await epochOf()) > was, 'another key');
  await chats.send(id, { text: 'Alone' });
  await says(ann.device, id, ['Long ago', 'Yesterday', 'Alone']);
  expect(await said(cid.device, id)).toEqual(['Long ago', 'Yesterday']);
});

test('roles are handed on, groups renamed and ended', async () => {
  const { url } = await start();
  const [ann, bob] = (await people(url, 2)) as [P, P];
  const id = await group([ann, bob], '');
  expect((await chatOn(bob.device, id)).name).toBe('');
  await ann.device.chats.rename(id, 'Café');
  await seen(bob.device, async () => (await chatOn(bob.device, id)).name === 'Café', 'the name');
  await expect(bob.device.chats.rename(id, 'Mine')).rejects.toMatchObject({ code: 'role_missing' });
  await expect(ann.device.chats.leave(id)).rejects.toMatchObject({ code: 'owner_must_hand_over' });
  await ann.device.chats.setRole(id, bob.userId, 'admin');
  await ann.device.chats.handOver(id, bob.userId);
  const roles = async ({ device }: P) => (await device.chats.members(id)).map(({ role, me }) => [role, me]);
  await seen(bob.device, async () => (await chatOn(bob.device, id)).role === 'owner', 'the owner');
  expect(await roles(bob)).toEqual([['owner', true], ['admin', false]]); // prettier-ignore
  await bob.device.chats.end(id);
  await seen(ann.device, async () => (await ann.device.chats.chat(id)) === undefined, 'the end');
  expect(await ann.device.chats.messages(id)).toEqual([]);
});

test('what is written without a connection waits, also over a reload, and goes once and in order', async () => {
  const { url } = await start();
  const line = await Cutter.start(url);
  const [ann, bob] = [await personAt(line.url), (await people(url, 1))[0]!];
  const device = ann.devices[0]!;
  eager(device.web);
  const id = await device.chats.begin(bob);
  await accept(bob.device);
  const there = await device.chats.send(id, { text: 'Zero' });
  await isSo(device, id, there.id, 'delivered');
  line.close();
  await inPhase(device.web, 'offline');
  const [one] = [await device.chats.send(id, { text: 'One' }), await device.chats.send(id, { text: 'Two' })];
  await device.chats.edit(id, one.id, { text: 'First' });
  await device.chats.react(id, there.id, '🙂');
  const gone = await device.chats.send(id, { text: 'Never mind' });
  await device.chats.delete(id, gone.id);
  expect(await said(device, id)).toEqual(['Zero', 'First', 'Two']);
  expect((await device.chats.messages(id)).at(-1)!.state).toBe('waiting');
  await bob.device.chats.send(id, { text: 'Meanwhile' });
  line.open();
  await says(bob.device, id, ['Zero', 'Meanwhile', 'First', 'Two']);
  await says(device, id, ['Zero', 'Meanwhile', 'First', 'Two']);
  await seen(bob.device, async () => (await bob.device.chats.message(id, there.id))!.reactions.length === 1, 'the reaction'); // prettier-ignore
});

test('a key that ended while somebody was away is followed: what they wrote is sealed anew', async () => {
  const { url } = await start();
  const line = await Cutter.start(url);
  const [ann, bob, cid] = [await personAt(line.url), ...(await people(url, 2))] as [Awaited<ReturnType<typeof personAt>>, P, P]; // prettier-ignore
  const device = eagerly(ann.devices[0]!);
  const owner = { name: ann.name, device };
  const id = await group([owner, bob, cid]);
  await device.chats.setRole(id, bob.userId, 'admin');
  await seen(bob.device, async () => (await chatOn(bob.device, id)).role === 'admin', 'an admin');
  line.close();
  await inPhase(device.web, 'offline');
  await device.chats.send(id, { text: 'From the train' });
  await bob.device.chats.remove(id, cid.userId);
  await bob.device.chats.send(id, { text: 'Cid is out' });
  line.open();
  await says(bob.device, id, ['Cid is out', 'From the train']);
  await says(device, id, ['Cid is out', 'From the train']);
  expect(await said(cid.device, id)).toEqual([]);
});

function eagerly(device: Device): Device {
  eager(device.web);
  return device;
}

test('who types is shown to the others, and not for long', async () => {
  const { url } = await start();
  const [ann, bob] = (await people(url, 2)) as [P, P];
  const id = await group([ann, bob]);
  const typed: string[] = [];
  bob.device.chats.on('typing', (chatId, who) => typed.push(`${chatId === id} ${who.map(({ name }) => name).join()}`));
  ann.device.chats.typing(id);
  await new Promise<void>((resolve) => bob.device.chats.on('typing', () => resolve()));
  await ann.device.chats.send(id, { text: 'Done' });
  await says(bob.device, id, ['Done']);
  await seen(bob.device, async () => typed.length === 2, 'the end of it');
  expect(typed).toEqual([`true ${ann.name}`, 'true ']);
});

test('people are found by name unless they hide; blocked ones write into the void', async () => {
  const { url } = await start();
  const [ann, bob] = (await people(url, 2)) as [P, P];
  const { chats } = ann.device;
  expect(await chats.people(bob.name.slice(0, 9))).toMatchObject([
    { name: bob.name, usable: true, userId: bob.userId },
  ]);
  await expect(chats.begin({ name: 'nobody-of-this-name' })).rejects.toMatchObject({ code: 'person_not_found' });
  await bob.device.chats.hide(true);
  expect((await bob.device.chats.profile()).hidden).toBe(true);
  expect(await chats.people(bob.name)).toEqual([]);
  await bob.device.chats.hide(false);
  const id = await chats.begin(bob);
  await accept(bob.device);
  await bob.device.chats.block(ann.userId);
  expect(await bob.device.chats.blocked()).toMatchObject([{ name: ann.name, blocked: true }]);
  const sent = await chats.send(id, { text: 'Are you there?' });
  await isSo(ann.device, id, sent.id, 'sent');
  await bob.device.chats.unblock(ann.userId);
  await chats.send(id, { text: 'Hello?' });
  await says(bob.device, id, ['Hello?']);
});

test('a device that is let in later reads all that the person may read', async () => {
  const { url } = await start();
  const [ann, bob] = [await personAt(url), (await people(url, 1))[0]!];
  const device = ann.devices[0]!;
  const id = await device.chats.begin(bob);
  await accept(bob.device);
  const sent = await device.chats.send(id, { text: 'From before' });
  await says(bob.device, id, ['From before']);
  await bob.device.chats.react(id, sent.id, '👍');
  await bob.device.chats.send(id, { text: 'Yes' });
  await says(device, id, ['From before', 'Yes']);
  const store = memoryStore();
  const web = await webAt(url, { store });
  await letIn(device.web, web);
  const later = await deviceOf(web, store);
  await says(later, id, ['From before', 'Yes']);
  await seen(later, async () => (await later.chats.message(id, sent.id))!.reactions.length === 1, 'the reaction');
  expect((await later.chats.message(id, sent.id))!).toMatchObject({ mine: true, state: 'delivered' });
});

test('pins, drafts and silence of a chat are the person’s on all devices, but for drafts', async () => {
  const { url } = await start();
  const ann = await personAt(url, url);
  const [desk, lap] = ann.devices as [Device, Device];
  const id = await desk.chats.createGroup('Notes');
  await seen(lap, () => lap.chats.chat(id), 'the group');
  await desk.chats.setFlags(id, { pinned: true, muted: true });
  await desk.chats.saveDraft(id, 'Milk');
  expect(await chatOn(desk, id)).toMatchObject({ pinned: true, muted: true, draft: 'Milk', members: 1 });
  await seen(lap, async () => (await chatOn(lap, id)).pinned, 'the pin');
  expect(await chatOn(lap, id)).toMatchObject({ muted: true, archived: false, draft: '' });
});
