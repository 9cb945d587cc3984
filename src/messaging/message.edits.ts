import type { ClientBase } from 'pg';
import type { Mutation, Numbered } from '../changes/kind.js';
import { editDate, statusOnceDeleted, type MessageColumns, type MessageContent } from './message.js';

/** A message as a client of delta sync has it. */
export interface MessageEdit {
  conversationId: string;
  body: string;
  /** When it was edited, ms since 1970, never later than our clock. */
  editedAt: number;
  deleted: boolean;
  /** With whom, if it is new: that of its conversation. */
  phoneNumber: string;
}

/** A message as its row holds it. */
export interface Stored extends MessageColumns {
  seq: number;
  at: number;
  editedAt: number | null;
  deleted: boolean;
  content: Buffer | null;
  /** How far its conversation was read in a browser. */
  readUpTo: number;
}

export interface Edited {
  item: Numbered;
  next: Stored;
}

/**
 * The row after an edit, or undefined when what stands is to stay. What a phone or a browser knows of it (number,
 * status, ids) stays, and so does the text that waits to be sent: whoever wrote it is to have said it. One that is new was sent long ago as far as anybody here is concerned, so nobody sends it.
 */
export function afterEdit(
  { mutation }: Numbered<Mutation<'edit', MessageEdit>>,
  old: Stored | undefined,
): Stored | undefined {
  const { account, id, at, row: edit } = mutation;
  const { conversationId, body, editedAt, deleted } = edit;
  if (old !== undefined && editedAt <= editDate(old)) return undefined;
  if (old !== undefined && !deleted && isBeingSent(old)) return undefined;
  const base = old ?? { ...NEW, conversationId, at, timestamp: editedAt };
  if (deleted) {
    // A deletion need not say where it was.
    const place = conversationId || base.conversationId;
    return { ...base, conversationId: place, status: statusOnceDeleted(base), content: null, editedAt, deleted };
  }
  const known = old?.content ? (JSON.parse(account.open('message', id, old.content)) as MessageContent) : edit;
  const content: MessageContent = { phoneNumber: known.phoneNumber, body };
  return { ...base, conversationId, content: account.seal('message', id, JSON.stringify(content)), editedAt, deleted };
}

function isBeingSent({ origin, status }: Stored): boolean {
  return origin !== null && (status === 'queued' || status === 'sending');
}

const NEW = {
  seq: 0,
  type: 'sent',
  status: null,
  read: true,
  phoneMessageId: null,
  origin: null,
  validUntil: null,
  readUpTo: 0,
} as const;

export async function writeEdits(client: ClientBase, edited: Edited[]): Promise<void> {
  const of = <T>(field: (edited: Edited) => T) => edited.map(field);
  await client.query({
    name: 'message-edit',
    text: `INSERT INTO messages (account_id, id, seq, at, deleted, conversation_id, type, status, read, timestamp, edited_at, content)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::boolean[], $6::text[], $7::message_type[],
             $8::message_status[], $9::boolean[], $10::bigint[], $11::bigint[], $12::bytea[])
           -- The row was read under the account's lock, so what is written here is what follows from it.
           ON CONFLICT (account_id, id) DO UPDATE SET seq = excluded.seq, at = excluded.at, deleted = excluded.deleted,
             conversation_id = excluded.conversation_id, status = excluded.status, edited_at = excluded.edited_at,
             content = excluded.content`,
    values: [
      of((e) => e.item.mutation.account.id),
      of((e) => e.item.mutation.id),
      of((e) => e.item.seq),
      of((e) => e.item.mutation.at),
      of((e) => e.next.deleted),
      of((e) => e.next.conversationId),
      of((e) => e.next.type),
      of((e) => e.next.status),
      of((e) => e.next.read),
      of((e) => e.next.timestamp),
      of((e) => e.next.editedAt),
      of((e) => e.next.content),
    ],
  });
}
