import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, type Conversation } from '@pairline/client';
import type { Change, ConversationRow, MessageRow } from '@pairline/protocol';
import fc from 'fast-check';
import { Reader } from '../client/src/reading.js';
import { freshSync, Sync } from '../client/src/sync.js';
import { listConversations } from '../client/src/views.js';
import { cleanUp } from './support/database.js';

afterEach(cleanUp);

// What a client shows of conversations is kept up as their messages change. Here it is compared with the rule of
// docs/protocol.md applied to all rows at once.

const id = fc.integer({ min: 0, max: 11 });
const conversationId = fc.constantFrom('t1', 't2', 'new:3');
const time = fc.integer({ min: 1, max: 20 });

type Step =
  | { do: 'message'; id: number; conversationId: string; timestamp: number; received: boolean; read: boolean; status: 'queued' | 'sent' } // prettier-ignore
  | { do: 'conversation'; id: string; told: number; unread: number; counted: number; read: number; name: boolean }
  | { do: 'delete message'; id: number }
  | { do: 'delete conversation'; id: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('message' as const), id, conversationId, timestamp: time, received: fc.boolean(), read: fc.boolean(), status: fc.constantFrom('queued' as const, 'sent' as const) }) }, // prettier-ignore
  { weight: 3, arbitrary: fc.record({ do: fc.constant('conversation' as const), id: conversationId, told: time, unread: fc.integer({ min: 0, max: 3 }), counted: time, read: time, name: fc.boolean() }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete message' as const), id }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete conversation' as const), id: conversationId }) },
);

function toChange(step: Step, seq: number): Change {
  const head = { seq, at: 0 };
  if (step.do === 'delete message') return { ...head, kind: 'message', id: `m${step.id}`, op: 'delete' };
  if (step.do === 'delete conversation') return { ...head, kind: 'conversation', id: step.id, op: 'delete' };
  if (step.do === 'message') {
    const { conversationId, timestamp, received, read, status } = step;
    const row: MessageRow = { id: `m${step.id}`, conversationId, phoneNumber: `+${conversationId}`, body: `Text ${seq}`, timestamp, type: received ? 'received' : 'sent', read, ...(received ? {} : { status }) }; // prettier-ignore
    return { ...head, kind: 'message', id: row.id, op: 'put', row };
  }
  const row: ConversationRow = {
    id: step.id,
    phoneNumber: `+${step.id}`,
    ...(step.name ? { contactName: `Name ${seq}` } : {}),
    lastMessage: `Told ${seq}`,
    lastMessageTime: step.told,
    unreadCount: step.unread,
    countedUpTo: Math.max(step.counted, step.read),
    readUpTo: step.read,
  };
  return { ...head, kind: 'conversation', id: step.id, op: 'put', row };
}

/** The rule, applied to everything there is. */
function expected(changes: Change[]): Partial<Conversation>[] {
  const messages = new Map<string, MessageRow>();
  const conversations = new Map<string, ConversationRow>();
  for (const change of changes) {
    const rows: Map<string, unknown> = change.kind === 'message' ? messages : conversations;
    if (change.op === 'delete') rows.delete(change.id);
    else rows.set(change.id, change.row);
  }
  return [...conversations.values()]
    .map((row) => {
      const its = [...messages.values()].filter((message) => message.conversationId === row.id);
      const [last] = its.sort((a, b) => b.timestamp - a.timestamp || (a.id < b.id ? 1 : -1));
      const unread = its.filter(({ type, read, timestamp }) => type === 'received' && !read && timestamp > row.countedUpTo); // prettier-ignore
      const newest = last !== undefined && last.timestamp >= row.lastMessageTime ? last : undefined;
      return {
        id: row.id,
        number: row.phoneNumber,
        name: row.contactName,
        lastText: newest?.body ?? row.lastMessage!,
        lastTime: Math.max(row.lastMessageTime, last?.timestamp ?? 0),
        unread: row.unreadCount + unread.length,
      };
    })
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

test('the list of conversations is what their messages make of it, whatever happened in whatever order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 12 }), async (pages) => {
      const store = memoryStore();
      await store.open();
      await store.write((tx) => tx.set('sync', { ...freshSync('a'), snapshot: undefined }));
      const ignore = () => undefined;
      const sync = new Sync(
        store,
        new Reader(undefined),
        { token: 't', accountId: 'a', deviceId: 'd', phoneId: 'p' },
        { touched: ignore, progress: ignore, learned: ignore },
      );
      const all: Change[] = [];
      for (const steps of pages) {
        const before = all.length;
        const changes = steps.map((each, i) => toChange(each, before + i + 1));
        all.push(...changes);
        await sync.take({ changes, cursor: all.length }, before);
      }
      const told = (await listConversations(store)).filter(({ id }) => expected(all).some((each) => each.id === id));
      told.sort((a, b) => (a.id < b.id ? -1 : 1));
      const shown = told.map(({ id, number, name, lastText, lastTime, unread }) => ({ id, number, name, lastText, lastTime, unread })); // prettier-ignore
      expect(shown).toEqual(expected(all));
      const queued = new Map<string, boolean>();
      for (const { kind, id, op, row } of all)
        if (kind === 'message') queued.set(id, op === 'put' && (row as MessageRow).status === 'queued');
      const { waiting } = (await store.read((tx) => tx.value('sync')))!;
      expect(waiting).toBe([...queued.values()].filter(Boolean).length);
    }),
    { numRuns: 300 },
  );
});
