import type { AccountKey } from '../changes/account-key.js';
import { nameOf, type ConversationContent } from './conversation.js';
import type { DeltaConversation, DeltaMessage } from './delta-sync.request.js';
import { editDate, type MessageContent } from './message.js';
import { rowPages } from './row-pages.js';

interface Columns {
  seq: string;
  id: string;
  at: string;
  deleted: boolean;
  edited_at: string | null;
  content: Buffer | null;
  conversation_id: string;
  timestamp: string;
}

/** A kind of row as clients of delta sync know it. */
interface DeltaTable<Row> {
  readonly table: string;
  /** Its columns beside those that all kinds have. */
  readonly columns: string;
  view(account: AccountKey, row: Columns): Row;
}

export const CONVERSATIONS: DeltaTable<DeltaConversation> = {
  table: 'conversations',
  columns: '',
  view: (account, { id, at, deleted, edited_at, content }) => ({
    id,
    name: content === null ? '' : nameOf(JSON.parse(account.open('conversation', id, content)) as ConversationContent),
    updatedAt: Number(edited_at ?? at),
    deleted,
  }),
};

export const MESSAGES: DeltaTable<DeltaMessage> = {
  table: 'messages',
  columns: ', conversation_id, timestamp',
  view: (account, { id, at, deleted, edited_at, content, conversation_id, timestamp }) => ({
    id,
    conversationId: conversation_id,
    content: content === null ? '' : (JSON.parse(account.open('message', id, content)) as MessageContent).body,
    updatedAt: editDate({
      editedAt: edited_at === null ? null : Number(edited_at),
      timestamp: Number(timestamp),
      at: Number(at),
    }),
    deleted,
  }),
};

export interface Range {
  /** Beyond this number… */
  after: number;
  /** …up to this one. */
  upTo: number;
  /** Whether those that were deleted are told too. */
  tombstones: boolean;
}

/**
 * The rows of a range in the order of their last change, a page at a time, and besides, wherever in it or before it, the
 * last state of those that `lost` names.
 */
export async function* readDelta<Row>(
  account: AccountKey,
  kind: DeltaTable<Row>,
  { after, upTo, tombstones }: Range,
  lost: string[],
): AsyncGenerator<Row[]> {
  const { table, columns } = kind;
  const fields = `seq, id, at, deleted, edited_at, content${columns}`;
  const read = async function* (from: string, where: string, beyond: number, to: number, values: unknown[]) {
    const pages = rowPages<Columns>(account, { columns: fields, from, where, values }, beyond, to);
    for await (const rows of pages) yield rows.map((row) => kind.view(account, row));
  };
  // LATERAL with LIMIT 1 goes by key; else Postgres may walk all numbers of the account in search of a few ids.
  const named = `unnest($4::text[]) AS u(wanted)
    CROSS JOIN LATERAL (SELECT * FROM ${table} WHERE account_id = $1 AND id = u.wanted LIMIT 1) named`;
  if (lost.length > 0) yield* read(named, 'true', 0, Math.min(after, upTo), [lost]);
  const told = `($5 OR NOT deleted OR id = ANY ($4::text[]))`;
  yield* read(table, told, after, upTo, [lost, tombstones]);
}
