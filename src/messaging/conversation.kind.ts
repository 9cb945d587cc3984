import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { ChangedRow } from '../changes/chunk.js';
import type { Kind, Mutation, Numbered, Outcome, StoredRow, Written } from '../changes/kind.js';
import { splice } from '../changes/splice.js';
import {
  afterReading,
  afterTelling,
  nameOf,
  numberIndex,
  renamed,
  retold,
  shownContent,
  toConversationRow,
  UNTOLD,
  type Conversation,
  type ConversationColumns,
  type ConversationContent,
  type ConversationRow,
} from './conversation.js';

/** As a client of delta sync has it. */
export interface ConversationEdit {
  name: string;
  /** When it was edited, ms since 1970, never later than our clock. 0 makes one, and changes none that is there. */
  editedAt: number;
  deleted: boolean;
}

/**
 * `begin`: its first message shows that it exists. `tell`: the phone told of it. `read`: a browser read it all. `edit`: a
 * client of delta sync wrote it, and an older or equally old edit is stale.
 */
export type ConversationMutation =
  | Mutation<'begin', { content: ConversationContent; numberIndex: Buffer }>
  | Mutation<
      'tell',
      { content: ConversationContent; numberIndex: Buffer; told: Pick<Conversation, 'lastMessageTime' | 'unreadCount'> }
    >
  | Mutation<'edit', ConversationEdit>
  | Mutation<'read', null>
  | Mutation<'delete', null>;

export type ConversationState = Pick<ConversationRow, 'readUpTo'>;

interface Stored extends ConversationColumns {
  seq: number;
  deleted: boolean;
  content: Buffer | null;
  numberIndex: Buffer | null;
  /** When what clients of delta sync see of it changed last; null for when the row did. */
  editedAt: number | null;
  /** The same as a date. */
  date: number;
  /** The time of its newest message. */
  newest: number;
}

type Write = { item: Numbered; next: Stored };

@Injectable()
export class ConversationKind implements Kind, OnModuleInit {
  readonly name = 'conversation';

  constructor(private readonly changes: Changes) {}

  onModuleInit(): void {
    this.changes.register(this);
  }

  async write(client: ClientBase, items: Numbered[]): Promise<Written<ConversationState>> {
    const stored = await find(client, items);
    const changed: ChangedRow[] = [];
    const writes: Write[] = [];
    const outcomes = items.map((item, i): Outcome<ConversationState> => {
      const old = stored[i];
      const next = apply(item.mutation as ConversationMutation, old);
      if (next === undefined)
        return old === undefined
          ? { result: 'missing' }
          : {
              result: item.mutation.op === 'edit' ? 'stale' : 'duplicate',
              seq: old.seq,
              state: { readUpTo: old.readUpTo },
            };
      writes.push({ item, next });
      changed.push(toChange(item, next));
      return { result: 'applied', seq: item.seq, state: { readUpTo: next.readUpTo } };
    });
    if (writes.length > 0) await upsert(client, writes);
    return { outcomes, changed };
  }

  readonly table = 'conversations';
  readonly idsAreLocal = true;
  readonly keyed = {
    column: 'number_index',
    of: (content: string, account: AccountKey) => {
      const { phoneNumber } = JSON.parse(content) as ConversationContent;
      // Delta sync knows no numbers.
      return phoneNumber === '' ? null : numberIndex(account, phoneNumber);
    },
  };
  readonly fields = ['last_message_time::text', 'unread_count::text', 'counted_up_to::text', 'read_up_to::text'];

  view({ id, content, fields }: StoredRow, account: AccountKey): string {
    const [lastMessageTime, unreadCount, countedUpTo, readUpTo] = fields;
    const head = `{"id":${JSON.stringify(id)},"lastMessageTime":${lastMessageTime},"unreadCount":${unreadCount},"countedUpTo":${countedUpTo},"readUpTo":${readUpTo}}`;
    const text = account.open('conversation', id, content!);
    if (!text.includes('"toldName":')) return splice(head, text);
    return splice(head, JSON.stringify(shownContent(JSON.parse(text) as ConversationContent)));
  }
}

interface FoundColumns {
  place: string;
  seq: string;
  deleted: boolean;
  content: Buffer | null;
  number_index: Buffer | null;
  last_message_time: string;
  unread_count: number;
  counted_up_to: string;
  read_up_to: string;
  read_pending: boolean;
  at: string;
  edited_at: string | null;
  newest: string | null;
}

/** The stored rows of these mutations, each in its place. */
async function find(client: ClientBase, items: Numbered[]): Promise<(Stored | undefined)[]> {
  const { rows } = await client.query<FoundColumns>({
    name: 'conversation-find',
    text: `SELECT i.place, c.* FROM unnest($1::uuid[], $2::text[], $3::boolean[]) WITH ORDINALITY AS i(account_id, id, newest, place)
           CROSS JOIN LATERAL (
             SELECT c.*, CASE WHEN i.newest THEN (
               -- By the phone's clock alone: a reply may be stamped before what a browser wrote by ours.
               SELECT max(m.timestamp) FROM messages m
               WHERE m.account_id = c.account_id AND m.conversation_id = c.id AND m.origin IS NULL
                 AND (m.type = 'received' OR m.edited_at IS NULL)) END AS newest
             FROM conversations c WHERE c.account_id = i.account_id AND c.id = i.id LIMIT 1) c`,
    values: [
      items.map((i) => i.mutation.account.id),
      items.map((i) => i.mutation.id),
      items.map((i) => i.mutation.op === 'read'),
    ],
  });
  const found = new Array<Stored | undefined>(items.length).fill(undefined);
  for (const row of rows)
    found[Number(row.place) - 1] = {
      seq: Number(row.seq),
      deleted: row.deleted,
      content: row.content,
      numberIndex: row.number_index,
      lastMessageTime: Number(row.last_message_time),
      unreadCount: row.unread_count,
      countedUpTo: Number(row.counted_up_to),
      readUpTo: Number(row.read_up_to),
      readPending: row.read_pending,
      editedAt: row.edited_at === null ? null : Number(row.edited_at),
      date: Number(row.edited_at ?? row.at),
      newest: Number(row.newest ?? 0),
    };
  return found;
}

/** The row after the mutation, or undefined when it says nothing new. */
function apply(mutation: ConversationMutation, old: Stored | undefined): Stored | undefined {
  const { account, id, at } = mutation;
  if (mutation.op === 'edit') return afterEdit(account, id, mutation.row, old);
  const current = old?.deleted === false ? old : undefined;
  if (mutation.op === 'delete')
    return current && { ...current, deleted: true, content: null, editedAt: Math.max(at, current.date) };
  if (mutation.op === 'read')
    return current && { ...current, ...afterReading(current, current.newest), editedAt: current.date };

  if (mutation.op === 'begin' && current !== undefined) return undefined;
  const { numberIndex } = mutation.row;
  const columns = mutation.op === 'tell' ? afterTelling(current ?? UNTOLD, mutation.row.told) : UNTOLD;
  const before = current && account.open('conversation', id, current.content!);
  const known = before === undefined ? undefined : (JSON.parse(before) as ConversationContent);
  const content = known === undefined ? mutation.row.content : retold(known, mutation.row.content);
  const text = JSON.stringify(content);
  if (current !== undefined && before === text) {
    const fields = ['lastMessageTime', 'unreadCount', 'countedUpTo', 'readPending'] as const;
    if (fields.every((field) => current[field] === columns[field])) return undefined;
  }
  const sealed = account.seal('conversation', id, text);
  // That a message came, or was read, makes no edit of its name an older one.
  const editedAt = known !== undefined && nameOf(known) === nameOf(content) ? current!.date : null;
  return { ...columns, ...NEW, content: sealed, numberIndex, editedAt };
}

const NEW = { seq: 0, deleted: false, date: 0, newest: 0 };

function afterEdit(
  account: AccountKey,
  id: string,
  { name, editedAt, deleted }: ConversationEdit,
  old: Stored | undefined,
): Stored | undefined {
  if (old !== undefined && editedAt <= old.date) return undefined;
  const base = old ?? { ...UNTOLD, ...NEW, numberIndex: null };
  if (deleted) return { ...base, deleted, content: null, editedAt };
  const text = old?.content ? account.open('conversation', id, old.content) : '{"phoneNumber":""}';
  const content = renamed(JSON.parse(text) as ConversationContent, name);
  return { ...base, deleted, content: account.seal('conversation', id, JSON.stringify(content)), editedAt };
}

async function upsert(client: ClientBase, writes: Write[]): Promise<void> {
  const of = <T>(field: (write: Write) => T) => writes.map(field);
  await client.query({
    name: 'conversation-upsert',
    text: `INSERT INTO conversations (account_id, id, seq, at, deleted, content, number_index, last_message_time,
             unread_count, counted_up_to, read_up_to, read_pending, edited_at)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::bytea[], $7::bytea[],
             $8::bigint[], $9::int[], $10::bigint[], $11::bigint[], $12::boolean[], $13::bigint[])
           -- The row was read under the account's lock, so what is written here is what follows from it.
           ON CONFLICT (account_id, id) DO UPDATE SET seq = excluded.seq, at = excluded.at, deleted = excluded.deleted,
             content = excluded.content, number_index = excluded.number_index, last_message_time = excluded.last_message_time,
             unread_count = excluded.unread_count, counted_up_to = excluded.counted_up_to,
             read_up_to = excluded.read_up_to, read_pending = excluded.read_pending,
             edited_at = excluded.edited_at`,
    values: [
      of((w) => w.item.mutation.account.id),
      of((w) => w.item.mutation.id),
      of((w) => w.item.seq),
      of((w) => w.item.mutation.at),
      of((w) => w.next.deleted),
      of((w) => w.next.content),
      of((w) => w.next.numberIndex),
      of((w) => w.next.lastMessageTime),
      of((w) => w.next.unreadCount),
      of((w) => w.next.countedUpTo),
      of((w) => w.next.readUpTo),
      of((w) => w.next.readPending),
      of((w) => w.next.editedAt),
    ],
  });
}

function toChange(item: Numbered, next: Stored): ChangedRow {
  const { account, id, at } = item.mutation;
  const row = () => {
    if (next.content === null) return null;
    const content = JSON.parse(account.open('conversation', id, next.content)) as ConversationContent;
    return JSON.stringify(toConversationRow(id, next, content));
  };
  return { account: account.id, seq: item.seq, kind: 'conversation', id, at, row };
}
