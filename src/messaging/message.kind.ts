import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase, QueryConfig, QueryResult } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { ChangedRow, Kind, Mutation, Numbered, Outcome, Planned, StoredRow, Written } from '../changes/kind.js';
import { splice } from '../changes/splice.js';
import { afterEdit, writeEdits, type Edited, type MessageEdit, type Stored } from './message.edits.js';
import {
  movesForward,
  statusOnceDeleted,
  toMessage,
  type Message,
  type MessageColumns,
  type MessageContent,
  type MessageStatus,
  type MessageType,
} from './message.js';

/** A whole message: `put` by the phone, `send` by a browser. A second one of the same id changes no content. */
export interface MessageRow extends MessageColumns {
  content: MessageContent;
  sealed: Buffer;
}

/** What may happen to a stored message; each field is optional. */
export interface MessagePatch {
  status?: MessageColumns['status'];
  read?: true;
  phoneMessageId?: string;
  conversationId?: string;
  /** Queue a failed one again, until then. */
  requeueUntil?: number;
  /** Fail it if it still waits and its time was over by then: decided under the lock, as the phone may just take it. */
  expireAt?: number;
  remove?: true;
}

/** The message as it stands after a mutation. */
export interface MessageState {
  id: string;
  /** Null once it is deleted. */
  readonly message: Message | null;
  /** Whether this mutation brought it. */
  isNew: boolean;
  /** The browser that wrote it. */
  origin: string | null;
  /** The phone's own id of it, once it is known. */
  phoneMessageId: string | null;
  /** How far its conversation was read in a browser: 0 for one that is new. */
  readUpTo: number;
}

export type MessageMutation =
  Mutation<'put' | 'send', MessageRow> | Mutation<'patch', MessagePatch> | Mutation<'edit', MessageEdit>;

type Patched = { item: Numbered; next: Stored };
type WholeItem = Numbered<Mutation<'put' | 'send', MessageRow>>;
type EditItem = Numbered<Mutation<'edit', MessageEdit>>;
type PatchingMutation = Exclude<MessageMutation, Mutation<'edit', MessageEdit>>;
/** No more than a status. */
type ReportItem = Numbered<Mutation<'patch', { status: MessageStatus }>>;

@Injectable()
export class MessageKind implements Kind, OnModuleInit {
  readonly name = 'message';

  constructor(private readonly changes: Changes) {}

  onModuleInit(): void {
    this.changes.register(this);
  }

  /** New messages and statuses, which is nearly everything, need no look at what is stored. */
  plan(items: Numbered[]): Planned {
    const whole = items.filter(isWhole);
    const reports = items.filter(isReport);
    const queries = [
      ...(whole.length > 0 ? [insertion(whole)] : []),
      ...(reports.length > 0 ? [forwarding(reports)] : []),
    ];
    return {
      queries,
      read: (results) => {
        const inserted = whole.length > 0 ? keysOf(results.shift() as QueryResult<InsertedColumns>) : new Set<string>();
        const moved = new Map<string, MovedColumns>();
        if (reports.length > 0)
          for (const row of results[0]!.rows as MovedColumns[]) moved.set(`${row.account_id}:${row.seq}`, row);

        const changed: ChangedRow[] = [];
        const outcomes = items.map((item) => {
          const key = `${item.mutation.account.id}:${item.seq}`;
          if (inserted.has(key)) return applied(item, fresh(item as WholeItem), changed);
          const row = moved.get(key);
          return row && applied(item, stateOf(item, toStored(row, (item as ReportItem).mutation.row.status)), changed);
        });
        return { outcomes, changed };
      },
    };
  }

  async write(client: ClientBase, items: Numbered[]): Promise<Written<MessageState>> {
    const changed: ChangedRow[] = [];
    const outcomes = new Map<Numbered, Outcome<MessageState>>();

    const whole = items.filter(isWhole);
    const inserted = whole.length > 0 ? keysOf(await client.query(insertion(whole))) : new Set<string>();
    for (const item of whole)
      if (inserted.has(`${item.mutation.account.id}:${item.seq}`))
        outcomes.set(item, applied(item, fresh(item), changed));

    const others = items.filter((item) => !outcomes.has(item));
    const stored = await find(client, others);
    const patched: Patched[] = [];
    const edited: Edited[] = [];
    others.forEach((item, i) => {
      const row = stored[i];
      if (isEdit(item)) {
        const next = afterEdit(item, row);
        if (next === undefined)
          return outcomes.set(item, { result: 'stale', seq: row!.seq, state: stateOf(item, row!) });
        edited.push({ item, next });
        return outcomes.set(item, applied(item, stateOf(item, next, row === undefined), changed));
      }
      if (row === undefined) return outcomes.set(item, { result: 'missing' });
      const next = row.deleted ? undefined : apply(row, patchOf(item.mutation as PatchingMutation), item.mutation.at);
      if (next === undefined) {
        const result =
          item.mutation.op === 'patch' && !sameStatus(row, item.mutation.row as MessagePatch) ? 'stale' : 'duplicate';
        return outcomes.set(item, {
          result: row.deleted ? 'stale' : result,
          seq: row.seq,
          state: stateOf(item, row),
        });
      }
      patched.push({ item, next });
      return outcomes.set(item, applied(item, stateOf(item, next), changed));
    });
    if (patched.length > 0) await update(client, patched);
    if (edited.length > 0) await writeEdits(client, edited);

    return { outcomes: items.map((item) => outcomes.get(item)!), changed };
  }

  readonly table = 'messages';
  readonly idsAreLocal = true;
  readonly refersTo = { column: 'conversation_id', table: 'conversations' };
  readonly fields = [
    'conversation_id',
    'timestamp::text',
    'type::text',
    'read::text',
    'status::text',
    'origin',
    'valid_until::text',
  ];

  view({ id, content, fields }: StoredRow, account: AccountKey): string {
    const [conversationId, timestamp, type, read, status, origin, validUntil] = fields;
    const key = JSON.stringify(id);
    let head = `{"id":${key},"conversationId":${JSON.stringify(conversationId)},"timestamp":${timestamp},"type":"${type}","read":${read}`;
    if (status !== null) head += `,"status":"${status}"`;
    if (origin !== null) head += `,"tempId":${key}`;
    if (validUntil !== null) head += `,"validUntil":${validUntil}`;
    return splice(`${head}}`, account.open('message', id, content!));
  }
}

/**
 * The numbers of the batch's accounts, looked up once: their rows were counted on and locked by this transaction. Null, which no
 * row takes, for one that was joined to another meanwhile.
 */
const SEQS = `(SELECT array_agg(a.seq ORDER BY u.place) FROM unnest($1::uuid[]) WITH ORDINALITY u(id, place) LEFT JOIN accounts a ON a.id = u.id AND a.joined_into IS NULL)`;
/** An item's number, where `account` is the place of its account among them. */
const SEQ = `${SEQS}[i.account] - i.later`;

/** The accounts of these items, and the place of each item's among them, from 1 on. */
function accountsOf(items: Numbered[]): { accounts: string[]; places: number[] } {
  const seen = new Map<string, number>();
  const places = items.map(({ mutation: { account } }) => {
    if (!seen.has(account.id)) seen.set(account.id, seen.size + 1);
    return seen.get(account.id)!;
  });
  return { accounts: [...seen.keys()], places };
}

type InsertedColumns = [account: string, seq: string];

/** Stores those that are new, and answers which. */
function insertion(items: WholeItem[]): QueryConfig {
  const of = <T>(field: (item: WholeItem) => T) => items.map(field);
  // The sealed values go as one binary parameter and are cut apart there: an array of bytea would go as hex.
  const sizes = of((item) => item.mutation.row.sealed.length);
  let end = 0;
  const starts = sizes.map((size) => (end += size) - size + 1);
  const { accounts, places } = accountsOf(items);
  return {
    name: 'message-insert',
    text: `INSERT INTO messages (account_id, id, seq, at, conversation_id, type, status, read, timestamp, origin, valid_until, content)
           SELECT ($1::uuid[])[i.account], i.id, ${SEQ}, i.at, i.conversation_id, i.type, i.status, i.read, i.timestamp, i.origin, i.valid_until,
                  substring($12::bytea FROM i.start FOR i.size)
           FROM unnest($15::int[], $2::text[], $3::int[], $4::bigint[], $5::text[], $6::message_type[], $7::message_status[],
                       $8::boolean[], $9::bigint[], $10::text[], $11::bigint[], $13::int[], $14::int[])
             AS i(account, id, later, at, conversation_id, type, status, read, timestamp, origin, valid_until, start, size)
           -- A message is written once: the same id again is a retry or a re-sync, and goes the way of a patch.
           ON CONFLICT (account_id, id) DO NOTHING
           RETURNING account_id, seq`,
    values: [
      accounts,
      of((i) => i.mutation.id),
      of((i) => i.later),
      of((i) => i.mutation.at),
      of((i) => i.mutation.row.conversationId),
      of((i) => i.mutation.row.type),
      of((i) => i.mutation.row.status),
      of((i) => i.mutation.row.read),
      of((i) => i.mutation.row.timestamp),
      of((i) => i.mutation.row.origin),
      of((i) => i.mutation.row.validUntil),
      Buffer.concat(of((i) => i.mutation.row.sealed)),
      starts,
      sizes,
      places,
    ],
    rowMode: 'array',
  } as QueryConfig;
}

function keysOf({ rows }: QueryResult<InsertedColumns>): Set<string> {
  return new Set(rows.map(([account, seq]) => `${account}:${seq}`));
}

interface MovedColumns extends Omit<FoundColumns, 'place' | 'at' | 'edited_at' | 'deleted' | 'status' | 'read_up_to'> {
  account_id: string;
}

function isWhole(item: Numbered): item is WholeItem {
  return item.mutation.op === 'put' || item.mutation.op === 'send';
}

function isEdit(item: Numbered): item is EditItem {
  return item.mutation.op === 'edit';
}

function isReport(item: Numbered): item is ReportItem {
  const { op, row } = item.mutation as MessageMutation;
  return op === 'patch' && row.status != null && Object.keys(row).length === 1;
}

/** Moves statuses forward where they move (`movesForward` in SQL), and answers those rows. */
function forwarding(items: ReportItem[]): QueryConfig {
  const of = <T>(field: (item: ReportItem) => T) => items.map(field);
  const { accounts, places } = accountsOf(items);
  return {
    name: 'message-forward',
    text: `UPDATE messages m SET seq = ${SEQ}, at = i.at, status = i.status
           FROM unnest($6::int[], $2::text[], $3::int[], $4::bigint[], $5::message_status[]) AS i(account, id, later, at, status)
           WHERE m.account_id = ($1::uuid[])[i.account] AND m.id = i.id AND NOT m.deleted
             AND (m.status IS NULL OR m.status < CASE i.status WHEN 'failed' THEN 'delivered' WHEN 'cancelled' THEN 'sent' ELSE i.status END)
           RETURNING m.account_id, m.seq, m.conversation_id, m.type, m.read, m.timestamp, m.phone_message_id, m.origin,
             m.valid_until, m.content`,
    values: [
      accounts,
      of((i) => i.mutation.id),
      of((i) => i.later),
      of((i) => i.mutation.at),
      of((i) => i.mutation.row.status),
      places,
    ],
  };
}

interface FoundColumns {
  place: string;
  seq: string;
  at: string;
  edited_at: string | null;
  deleted: boolean;
  conversation_id: string;
  type: MessageType;
  status: MessageStatus | null;
  read: boolean;
  timestamp: string;
  phone_message_id: string | null;
  origin: string | null;
  valid_until: string | null;
  content: Buffer | null;
  read_up_to: string | null;
}

/** The stored rows of these mutations, each in its place. */
async function find(client: ClientBase, items: Numbered[]): Promise<(Stored | undefined)[]> {
  const found = new Array<Stored | undefined>(items.length).fill(undefined);
  if (items.length === 0) return found;
  const { rows } = await client.query<FoundColumns>({
    name: 'message-find',
    // LATERAL with LIMIT 1 walks the key once a row; a plain join got a bad cached plan.
    text: `SELECT i.place, m.*, (
             SELECT c.read_up_to FROM conversations c
             WHERE c.account_id = i.account_id AND c.id = coalesce(i.moves_to, m.conversation_id)) AS read_up_to
           FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS i(account_id, id, moves_to, place)
           CROSS JOIN LATERAL (
             SELECT seq, at, edited_at, deleted, conversation_id, type, status, read, timestamp, phone_message_id, origin, valid_until, content
             FROM messages m WHERE m.account_id = i.account_id AND m.id = i.id LIMIT 1) m`,
    values: [
      items.map((i) => i.mutation.account.id),
      items.map((i) => i.mutation.id),
      items.map((i) => (isEdit(i) ? i.mutation.row.conversationId : null)),
    ],
  });
  for (const row of rows)
    found[Number(row.place) - 1] = {
      ...toStored(row, row.status),
      deleted: row.deleted,
      at: Number(row.at),
      editedAt: row.edited_at === null ? null : Number(row.edited_at),
      readUpTo: Number(row.read_up_to ?? 0),
    };
  return found;
}

function toStored(row: Omit<MovedColumns, 'account_id'>, status: MessageStatus | null): Stored {
  return {
    seq: Number(row.seq),
    deleted: false,
    conversationId: row.conversation_id,
    type: row.type,
    status,
    read: row.read,
    timestamp: Number(row.timestamp),
    phoneMessageId: row.phone_message_id,
    origin: row.origin,
    validUntil: row.valid_until === null ? null : Number(row.valid_until),
    content: row.content,
    at: 0,
    editedAt: null,
    readUpTo: 0,
  };
}

async function update(client: ClientBase, patched: Patched[]): Promise<void> {
  const of = <T>(field: (p: Patched) => T) => patched.map(field);
  await client.query({
    name: 'message-update',
    text: `UPDATE messages m SET seq = i.seq, at = i.at, status = i.status, read = i.read, conversation_id = i.conversation_id,
             phone_message_id = i.phone_message_id, valid_until = i.valid_until, deleted = i.deleted, edited_at = i.edited_at,
             content = CASE WHEN i.deleted THEN NULL ELSE m.content END
           FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::message_status[], $6::boolean[], $7::text[],
                       $8::text[], $9::bigint[], $10::boolean[], $11::bigint[])
             AS i(account_id, id, seq, at, status, read, conversation_id, phone_message_id, valid_until, deleted, edited_at)
           WHERE m.account_id = i.account_id AND m.id = i.id`,
    values: [
      of((p) => p.item.mutation.account.id),
      of((p) => p.item.mutation.id),
      of((p) => p.item.seq),
      of((p) => p.item.mutation.at),
      of((p) => p.next.status),
      of((p) => p.next.read),
      of((p) => p.next.conversationId),
      of((p) => p.next.phoneMessageId),
      of((p) => p.next.validUntil),
      of((p) => p.next.deleted),
      of((p) => p.next.editedAt),
    ],
  });
}

/** A whole message that is known already says no more than its status and whether it was read. */
function patchOf(mutation: PatchingMutation): MessagePatch {
  if (mutation.op === 'patch') return mutation.row;
  if (mutation.op === 'send') return {};
  return { status: mutation.row.status, ...(mutation.row.read ? { read: true } : {}) };
}

/** The row after the patch, or undefined when the patch says nothing new. */
function apply(row: Stored, patch: MessagePatch, at: number): Stored | undefined {
  if (patch.remove) {
    // No edit from before brings it back.
    const editedAt = Math.max(at, row.editedAt ?? 0);
    return { ...row, deleted: true, status: statusOnceDeleted(row), content: null, editedAt };
  }
  const next = { ...row };
  if (patch.status && movesForward(row.status, patch.status)) next.status = patch.status;
  if (patch.expireAt !== undefined && row.status === 'queued' && (row.validUntil ?? 0) <= patch.expireAt)
    next.status = 'failed';
  if (patch.requeueUntil !== undefined && row.status === 'failed') {
    next.status = 'queued';
    next.validUntil = patch.requeueUntil;
  }
  if (patch.read) next.read = true;
  if (patch.phoneMessageId !== undefined) next.phoneMessageId ??= patch.phoneMessageId;
  if (patch.conversationId !== undefined) next.conversationId = patch.conversationId;
  const fields = ['status', 'read', 'validUntil', 'phoneMessageId', 'conversationId'] as const;
  return fields.some((field) => next[field] !== row[field]) ? next : undefined;
}

function sameStatus(row: Stored, patch: MessagePatch): boolean {
  return patch.status === undefined || patch.status === row.status;
}

/** A new message's state: all of it is in the mutation. */
function fresh({ mutation: { id, row } }: WholeItem): MessageState {
  const message = toMessage(id, row, row.content);
  return { id, message, isNew: true, origin: row.origin, phoneMessageId: null, readUpTo: 0 };
}

/** A stored message's state. Its content is opened when somebody wants to see it. */
function stateOf({ mutation: { account, id } }: Numbered, row: Stored, isNew = false): MessageState {
  const { origin, phoneMessageId, deleted, content, readUpTo } = row;
  let message: Message | null | undefined;
  return {
    id,
    get message() {
      if (message === undefined)
        message =
          deleted || content === null
            ? null
            : toMessage(id, row, JSON.parse(account.open('message', id, content)) as MessageContent);
      return message;
    },
    isNew,
    origin,
    phoneMessageId,
    readUpTo,
  };
}

/** Notes the change, and answers the outcome. */
function applied(item: Numbered, state: MessageState, changed: ChangedRow[]): Outcome<MessageState> {
  const { account, id, at } = item.mutation;
  const row = () => state.message && JSON.stringify(state.message);
  changed.push({ account: account.id, seq: item.seq, kind: 'message', id, at, row });
  return { result: 'applied', seq: item.seq, state };
}
