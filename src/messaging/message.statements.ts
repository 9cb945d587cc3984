import type { ClientBase, QueryConfig, QueryResult } from 'pg';
import { accountsOf, packed, SEQ } from '../changes/batch.js';
import type { Mutation, Numbered } from '../changes/kind.js';
import type { MessageEdit, Stored } from './message.edits.js';
import type { MessageRow, MessageStatus, MessageType } from './message.js';

// The statements by which batches of messages are written and found.

export type WholeItem = Numbered<Mutation<'put' | 'send', MessageRow>>;
/** No more than a status. */
export type ReportItem = Numbered<Mutation<'patch', { status: MessageStatus }>>;

/** A stored row as it is to stand. */
export interface Patched {
  item: Numbered;
  next: Stored;
}

export type InsertedColumns = [account: string, seq: string];

/** Stores those that are new, and answers which. */
export function insertion(items: WholeItem[]): QueryConfig {
  const of = <T>(field: (item: WholeItem) => T) => items.map(field);
  const { accounts, places } = accountsOf(items);
  const { bytes, starts, sizes } = packed(of((i) => i.mutation.row.sealed));
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
      bytes,
      starts,
      sizes,
      places,
    ],
    rowMode: 'array',
  } as QueryConfig;
}

export function keysOf({ rows }: QueryResult<InsertedColumns>): Set<string> {
  return new Set(rows.map(([account, seq]) => `${account}:${seq}`));
}

/** Moves statuses forward where they move (`movesForward` in SQL), and answers those rows. */
export function forwarding(items: ReportItem[]): QueryConfig {
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

export interface MovedColumns extends Omit<
  FoundColumns,
  'place' | 'at' | 'edited_at' | 'deleted' | 'status' | 'read_up_to'
> {
  account_id: string;
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
export async function find(client: ClientBase, items: Numbered[]): Promise<(Stored | undefined)[]> {
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
      items.map(({ mutation }) => (mutation.op === 'edit' ? (mutation.row as MessageEdit).conversationId : null)),
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

export function toStored(row: Omit<MovedColumns, 'account_id'>, status: MessageStatus | null): Stored {
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

export async function update(client: ClientBase, patched: Patched[]): Promise<void> {
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
