import type { AccountKey } from '../changes/account-key.js';
import {
  shown,
  toMessage,
  type Message,
  type MessageContent,
  type MessageStatus,
  type MessageType,
} from './message.js';
import { rowPages } from './row-pages.js';

interface Columns {
  seq: string;
  id: string;
  conversation_id: string;
  type: MessageType;
  status: MessageStatus | null;
  read: boolean;
  timestamp: string;
  origin: string | null;
  valid_until: string | null;
  content: Buffer;
}

/** What browsers wrote and waits for the phone, in the order it was written, a page at a time. */
export function queuedMessages(account: AccountKey): AsyncGenerator<Message[]> {
  return pages(account, `status = 'queued' AND NOT deleted`, 0);
}

/**
 * The newest messages in the order of their last change, a page at a time, for a client that keeps nothing. `readUpTo`:
 * how far each conversation was read in a browser.
 */
export async function* latestMessages(
  account: AccountKey,
  limit: number,
  readUpTo: Map<string, number>,
): AsyncGenerator<Message[]> {
  const { rows } = await account.home.database.pool.query<{ seq: string }>(
    `SELECT coalesce(min(seq), 1) AS seq FROM
       (SELECT seq FROM messages WHERE account_id = $1 AND NOT deleted ORDER BY seq DESC LIMIT $2) newest`,
    [account.id, limit],
  );
  for await (const page of pages(account, 'NOT deleted', Number(rows[0]!.seq) - 1))
    yield page.map((message) => shown(message, readUpTo.get(message.conversationId)));
}

async function* pages(account: AccountKey, where: string, after: number): AsyncGenerator<Message[]> {
  const columns = 'seq, id, conversation_id, type, status, read, timestamp, origin, valid_until, content';
  // One that changes meanwhile is met again, further on.
  const found = rowPages<Columns>(account, { columns, from: 'messages', where }, after, Number.MAX_SAFE_INTEGER);
  for await (const rows of found) yield rows.map((row) => view(account, row));
}

function view(account: AccountKey, row: Columns): Message {
  const { id, type, status, read, origin } = row;
  const columns = {
    ...{ type, status, read, origin },
    conversationId: row.conversation_id,
    timestamp: Number(row.timestamp),
    phoneMessageId: null,
    validUntil: row.valid_until === null ? null : Number(row.valid_until),
  };
  return toMessage(id, columns, JSON.parse(account.open('message', id, row.content)) as MessageContent);
}
