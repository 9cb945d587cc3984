import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { ClientBase, QueryResult } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { ChangedRow } from '../changes/chunk.js';
import type { Kind, Mutation, Numbered, Outcome, Planned, StoredRow, Written } from '../changes/kind.js';
import { splice } from '../changes/splice.js';
import { afterEdit, writeEdits, type Edited, type MessageEdit, type Stored } from './message.edits.js';
import {
  movesForward,
  statusOnceDeleted,
  toMessage,
  type Message,
  type MessageColumns,
  type MessageContent,
  type MessageRow,
} from './message.js';
import {
  find,
  forwarding,
  insertion,
  keysOf,
  toStored,
  update,
  type InsertedColumns,
  type MovedColumns,
  type Patched,
  type ReportItem,
  type WholeItem,
} from './message.statements.js';

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

type EditItem = Numbered<Mutation<'edit', MessageEdit>>;
type PatchingMutation = Exclude<MessageMutation, Mutation<'edit', MessageEdit>>;

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
