import { afterEach, expect, test } from '@jest/globals';
import { memoryStore } from '@pairline/client';
import type { Change, ChatMemberRow } from '@pairline/protocol';
import { newIdentity, publicKeyOf } from '../client/src/chats/identity.js';
import { inPhase, letIn, webAt } from './support/client-ends.js';
import { change, group, type Person } from './support/client-group.js';
import { accept, chatOn, deviceOf, personAt, said, says, seen, type Device } from './support/client-people.js';
import { call } from './support/clients.js';
import { cleanUp } from './support/database.js';

afterEach(cleanUp);

// Who belongs into a group is what its members have signed, not what the server says.

async function somebody(url: string): Promise<Person> {
  const { name, devices } = await personAt(url);
  return { name, device: devices[0]!, userId: (await devices[0]!.chats.profile()).userId };
}

/** Adds somebody as a server could that lies to all: in the name of a member, who signed nothing. */
async function smuggle(url: string, id: string, by: Person, { name }: Person): Promise<void> {
  const { token } = (await by.device.store.read((tx) => tx.value('session')))!;
  const body = { pseudo: name, key: 'none', conversationId: id };
  expect((await call(url, '/api/conversations/invite', { token, body })).status).toBe(201);
}

/** Whether somebody is in it on a device, and vouched for there; undefined while they are not. */
async function vouchedOn({ chats }: Device, id: string, { userId }: Person): Promise<boolean | undefined> {
  return (await chats.members(id)).find((member) => member.userId === userId)?.vouched;
}

function rowOn({ store }: Device, id: string, { userId }: Person): Promise<ChatMemberRow> {
  return store.read(async (tx) => (await tx.get('chatMembers', `${id}:${userId}`))!.row);
}

/** Another device of theirs, which has read nothing yet. */
async function another(url: string, { device }: Person): Promise<Device> {
  const store = memoryStore();
  const web = await webAt(url, { store });
  await letIn(device.web, web);
  await inPhase(web, 'live');
  return deviceOf(web, store);
}

test('a member whom nobody invited gets no key, is shown, and is let in when somebody says so', async () => {
  const { url, id, ann, bob } = await group();
  const eve = await somebody(url);
  await smuggle(url, id, ann, eve);
  await accept(eve.device);
  for (const { device } of [ann, bob]) {
    await seen(device, async () => (await vouchedOn(device, id, eve)) === false, 'a stranger');
    expect(await chatOn(device, id)).toMatchObject({ strangers: true });
  }
  expect(await vouchedOn(bob.device, id, ann)).toBe(true);
  expect(await vouchedOn(ann.device, id, bob)).toBe(true);
  // The next key is not theirs, whoever begins it; and what they begin themselves nobody writes with.
  await bob.device.chats.renewKeys();
  await bob.device.chats.send(id, { text: 'Who is Eve?' });
  await says(ann.device, id, ['Who is Eve?']);
  await says(eve.device, id, ['no-key']);
  await eve.device.chats.vouch(id, [ann.userId, bob.userId]);
  await eve.device.chats.send(id, { text: 'Me' });
  for (const { device } of [ann, bob]) await says(device, id, ['Who is Eve?', 'Me']);
  for (const { device } of [ann, bob]) await device.chats.send(id, { text: 'Not for you' });
  await says(bob.device, id, ['Who is Eve?', 'Me', 'Not for you', 'Not for you']);
  await says(eve.device, id, ['no-key', 'Me', 'no-key', 'no-key']);

  await bob.device.chats.vouch(id, [eve.userId]);
  expect(await vouchedOn(bob.device, id, eve)).toBe(true);
  expect(await chatOn(bob.device, id)).toMatchObject({ strangers: false });
  await bob.device.chats.send(id, { text: 'Welcome' });
  await says(eve.device, id, ['no-key', 'Me', 'no-key', 'no-key', 'Welcome']);
  await says(ann.device, id, ['Who is Eve?', 'Me', 'Not for you', 'Not for you', 'Welcome']);
  expect(await said(bob.device, id)).toHaveLength(5);
});

test('whoever was invited by a member is vouched for on every device, the new ones too', async () => {
  const { url, id, ann, bob, rest } = await group(1);
  const [cid] = rest as [Person];
  const [dan, eve] = [await somebody(url), await somebody(url)];
  await ann.device.chats.setRole(id, bob.userId, 'admin');
  await seen(bob.device, async () => (await chatOn(bob.device, id)).role === 'admin', 'the role');
  await bob.device.chats.invite(id, dan);
  await accept(dan.device);
  await ann.device.chats.invite(id, eve, { history: true });
  await accept(eve.device);
  const devices = [...[ann, bob, cid, dan, eve].map(({ device }) => device), await another(url, bob), await another(url, dan)]; // prettier-ignore
  for (const device of devices) {
    const members = () => device.chats.members(id);
    await seen(device, async () => (await members()).filter(({ vouched, membership }) => vouched && membership === 'accepted').length === 5, 'five who belong there'); // prettier-ignore
    expect(await chatOn(device, id)).toMatchObject({ strangers: false });
  }
});

test('what somebody signed of one who was removed since does not bring them back', async () => {
  const { url, id, ann, bob, rest, between } = await group(1);
  const [cid] = rest as [Person];
  const { vouch } = await rowOn(bob.device, id, cid);
  expect(vouch).toMatch(/^pcv1\.\d+\./);
  await ann.device.chats.remove(id, cid.userId);
  await seen(bob.device, async () => (await vouchedOn(bob.device, id, cid)) === undefined, 'that he is out');
  change(between, 'chat.member', ({ userId }) => (userId === cid.userId ? { vouch } : undefined));
  await ann.device.chats.send(id, { text: 'Is he gone?' });
  await says(bob.device, id, ['Is he gone?']);
  await smuggle(url, id, ann, cid);
  await seen(bob.device, async () => (await vouchedOn(bob.device, id, cid)) === false, 'a stranger');
  // Ann, who is told the truth, invites him herself.
  between.lies = {};
  await ann.device.chats.remove(id, cid.userId);
  await ann.device.chats.invite(id, cid);
  await seen(bob.device, async () => (await vouchedOn(bob.device, id, cid)) === true, 'that Ann says so');
});

test('a snapshot that says nothing of somebody does not make forgotten that they were removed', async () => {
  const { url, id, ann, bob, rest, between } = await group(1);
  const [cid] = rest as [Person];
  const { vouch } = await rowOn(bob.device, id, cid);
  await ann.device.chats.remove(id, cid.userId);
  await seen(bob.device, async () => (await vouchedOn(bob.device, id, cid)) === undefined, 'that he is out');
  const expired = { success: false, code: 'cursor_expired', message: 'x', error: 'x', requestId: 'x' };
  let isOver = false;
  between.lies = {
    reply: (path, body: { changes: Change[] }) => {
      if (path.startsWith('/api/changes')) return isOver ? undefined : expired;
      if (!path.startsWith('/api/snapshot')) return undefined;
      isOver = true;
      return { ...body, changes: body.changes.filter((item) => item.id !== `${id}:${cid.userId}`) };
    },
  };
  between.interrupt();
  await seen(bob.device, async () => isOver && ((await bob.device.store.read((tx) => tx.get('chats', id)))?.round ?? 0) > 1, 'the snapshot'); // prettier-ignore
  change(between, 'chat.member', ({ userId }) => (userId === cid.userId ? { vouch } : undefined));
  await smuggle(url, id, ann, cid);
  await seen(bob.device, async () => (await vouchedOn(bob.device, id, cid)) === false, 'a stranger');
  expect(await vouchedOn(bob.device, id, ann)).toBe(true);
});

test('a key of the server’s in the name of somebody who was invited is not the one that was vouched for', async () => {
  const { url, id, ann, bob, between } = await group();
  const cid = await somebody(url);
  const publicKey = publicKeyOf(await newIdentity());
  change(between, 'chat.member', ({ userId }) => (userId === cid.userId ? { publicKey } : undefined));
  await ann.device.chats.invite(id, cid);
  await accept(cid.device);
  await seen(bob.device, async () => (await vouchedOn(bob.device, id, cid)) === false, 'a stranger');
  expect(await vouchedOn(ann.device, id, cid)).toBe(true);
});

test('who has gone vouches for nobody any more, but on devices that have heard it', async () => {
  const { url, id, ann, bob, rest } = await group(1);
  const [cid] = rest as [Person];
  await ann.device.chats.handOver(id, bob.userId);
  await ann.device.chats.leave(id);
  await seen(cid.device, async () => (await vouchedOn(cid.device, id, ann)) === undefined, 'that she has gone');
  expect(await vouchedOn(cid.device, id, bob)).toBe(true);
  const device = await another(url, cid);
  await seen(device, async () => (await vouchedOn(device, id, bob)) === false, 'a stranger');
  await device.chats.vouch(id, [bob.userId]);
  expect(await vouchedOn(device, id, bob)).toBe(true);
  await device.chats.send(id, { text: 'Still here' });
  await says(bob.device, id, ['Still here']);
});

test('an invitation that nobody signed is answered with no word for who is said to invite', async () => {
  const { url, id, ann, rest } = await group(1);
  const [cid] = rest as [Person];
  const dan = await somebody(url);
  await smuggle(url, id, ann, dan);
  await accept(dan.device);
  await seen(dan.device, async () => (await dan.device.chats.members(id)).length === 4, 'all members');
  expect(await rowOn(dan.device, id, dan)).not.toHaveProperty('vouchBack');
  expect(await rowOn(cid.device, id, cid)).toHaveProperty('vouchBack');
  for (const each of [ann, cid]) expect(await vouchedOn(dan.device, id, each)).toBe(false);
});
