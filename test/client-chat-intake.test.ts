import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type Store } from '@pairline/client';
import { fileStore } from '@pairline/client/node';
import type { ChatChange } from '@pairline/protocol';
import { Books } from '../client/src/books.js';
import { Intake } from '../client/src/chats/intake.js';
import { freshSync } from '../client/src/sync.js';
import { cleanUp, later } from './support/database.js';

afterEach(cleanUp);

// Rows of chats from the inbox on, without a server.

const session = { token: 't', accountId: 'me', deviceId: 'd', phoneId: '' };

const chat = (seq: number, epoch: number) => ({ seq, kind: 'chat', id: 'c', op: 'put', at: seq, row: { chatId: 'c', id: 'c', number: 1, group: true, epoch, createdAt: 1, createdBy: 'me' } }) as const; // prettier-ignore
const member = (seq: number, userId: string, state: 'accepted' | 'removed') => ({ seq, kind: 'chat.member', id: `c:${userId}`, op: 'put', at: seq, row: { chatId: 'c', id: userId, number: seq, userId, name: userId, publicKey: '', fingerprint: '', role: 'member', state } }) as const; // prettier-ignore

async function holding(store: Store, changes: ChatChange[]): Promise<Intake> {
  await store.write(async (tx) => {
    await tx.set('session', session);
    await tx.put('inbox', changes.map((change) => ({ id: `${change.kind} ${change.id}`, seq: change.seq, change, round: 1 }))); // prettier-ignore
  });
  return new Intake(store, () => 'me');
}

test('a device that comes new follows the key that somebody has who was removed since it began', async () => {
  const spentAfter = async (...changes: ChatChange[]) => {
    const store = memoryStore();
    await (await holding(store, changes)).take();
    return (await store.read((tx) => tx.get('chats', 'c')))!.spent;
  };
  expect(await spentAfter(chat(1, 3), member(2, 'me', 'accepted'), member(3, 'cid', 'removed'))).toBe(3);
  expect(await spentAfter(member(2, 'me', 'accepted'), member(3, 'cid', 'removed'), chat(4, 4))).toBeUndefined();
});

test('nothing that is being opened stays behind when somebody signs out', async () => {
  const store = memoryStore();
  await holding(store, [chat(1, 2), member(2, 'me', 'accepted')]);
  const write: Store['write'] = async (work) => {
    await store.write((tx) => tx.clear());
    return store.write(work);
  };
  const late = Object.create(store, { write: { value: write } }) as Store;
  expect(await new Intake(late, () => 'me').take()).toBeUndefined();
  expect(await store.read((tx) => tx.all('chats'))).toEqual([]);
});

test('the end of a snapshot comes after its rows, also when the process ended in between', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pairline-'));
  later(() => rm(folder, { recursive: true }));
  const path = join(folder, 'client');
  let store = fileStore(path);
  await store.open();
  await holding(store, [chat(1, 2)]);
  await store.write((tx) => new Books(tx, { ...freshSync('me'), round: 2 }).sweep());
  await store.close();
  store = fileStore(path);
  later(() => store.close());
  await store.open();
  expect((await store.read((tx) => tx.inbox(2))).map(({ id }) => id)).toEqual(['chat c', 'sweep']);
});

test('what a snapshot tells anew while the same is being opened is opened again, and not swept', async () => {
  const store = memoryStore();
  const rows = [chat(1, 2), member(2, 'me', 'accepted')];
  await holding(store, rows);
  const write: Store['write'] = async (work) => {
    await store.write(async (tx) => {
      await tx.put('inbox', rows.map((change) => ({ id: `${change.kind} ${change.id}`, seq: change.seq, change, round: 2 }))); // prettier-ignore
      await new Books(tx, { ...freshSync('me'), round: 2 }).sweep();
    });
    return store.write(work);
  };
  await new Intake(Object.create(store, { write: { value: write } }) as Store, () => 'me').take();
  const intake = new Intake(store, () => 'me');
  while ((await intake.take()) !== undefined);
  expect((await store.read((tx) => tx.all('chats'))).map(({ id, round }) => [id, round])).toEqual([['c', 2]]);
});
