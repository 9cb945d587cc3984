import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { Outcome } from '../changes/kind.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import type { ConversationContent } from './conversation.js';
import type { ConversationMutation } from './conversation.kind.js';
import { Conversations } from './conversations.service.js';
import { CONVERSATIONS, MESSAGES, readDelta, type Range } from './delta-sync.reader.js';
import {
  parseDeltaRequest,
  type DeltaConversation,
  type DeltaMessage,
  type DeltaRequest,
} from './delta-sync.request.js';
import { shown } from './message.js';
import type { MessageMutation, MessageState } from './message.kind.js';
import { MessagingEvents } from './messaging.events.js';

type Row = DeltaConversation | DeltaMessage;

/** What the client said of a kind of row, and those of its edits that came to nothing. */
interface Said {
  /** By id. */
  rows: Map<string, Row>;
  lost: string[];
}

/**
 * Conversations and messages for clients that bring what they changed and take what else has changed (wire.md, section D).
 * Their rows are ours: what is pushed here shows in every browser and goes out to nobody as a text, what phones and
 * browsers write comes back in the next answer.
 *
 * - The newer `updated_at` of a row wins, decided under the account's lock; on a tie what is stored stands. One from the
 *   future counts as now. A row that lost, or is stored otherwise than sent, comes back in the answer, wherever the
 *   client's cursor is.
 * - A text that a browser wrote and that waits to be sent can be deleted, and not changed: an edit of it lost.
 * - `last_sync_timestamp` is the account's change number: the answer holds every row changed after it and up to
 *   `new_sync_timestamp`, but for those that stand as this very request says them.
 * - Native clients get 410 for a cursor that is older than the tombstones kept. These clients know no 410: they are
 *   answered with everything that is living, as for 0, and the tombstones that there still are.
 * - Deleting a conversation leaves its messages alone. A message of an unknown conversation brings one without a name,
 *   which any edit of it replaces; who wrote the message is not told of it, for it must have one.
 * - What native clients sealed end to end the server cannot open: it goes out as it is stored, an envelope for a text.
 */
@Injectable()
export class DeltaSync {
  constructor(
    private readonly changes: Changes,
    private readonly conversations: Conversations,
    private readonly events: MessagingEvents,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /**
   * Answers `{server_changes:{conversations,messages},new_sync_timestamp}`, as a stream: however much has changed, a page
   * of it is in memory. What was refused before the answer began throws `bad_request`, `batch_too_large` or `row_invalid`,
   * and nothing is stored.
   */
  async sync(session: Session, received: Request, response: Response): Promise<void> {
    const request = parseDeltaRequest(received, this.env.limits);
    const { account } = session;
    const said = await this.store(session, request);
    const range = await this.rangeOf(account, request.after);
    response.type('json');
    try {
      await pipeline(Readable.from(answer(account, range, said, request.iso)), response);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error; // else the client left
    }
  }

  /** Commits what the client changed, and tells of it. */
  private async store(session: Session, { conversations, messages }: DeltaRequest) {
    const now = Date.now();
    const { account } = session;
    const numbers = await this.numbersOf(account, messages);
    const ids = new Set(conversations.map(({ id }) => id));
    const begun = [...numbers].flatMap(([id, number]): DeltaConversation[] =>
      number === undefined && !ids.has(id) ? [{ id, name: '', updatedAt: 0, deleted: false }] : [],
    );
    const all = [...begun, ...conversations];
    const outcomes = await this.changes.submit([
      ...all.map((row) => conversationEdit(account, row, now)),
      ...messages.map((row) => messageEdit(account, row, numbers.get(row.conversationId) ?? '', now)),
    ]);
    const ofMessages = outcomes.slice(all.length) as Outcome<MessageState>[];
    // Before anything is waited for: who follows by events is told in the order of the commits.
    this.tell(session, all, outcomes.slice(0, all.length), ofMessages);
    if (outcomes.some(({ result }) => result === 'rejected')) throw relayError('rejected');
    if (outcomes.some(({ result }) => result === 'missing')) throw relayError('session_expired');
    return { conversations: saidOf(all, outcomes), messages: saidOf(messages, ofMessages) };
  }

  /** The phone numbers of the messages' conversations; undefined for one that is not there. */
  private async numbersOf(account: AccountKey, messages: DeltaMessage[]): Promise<Map<string, string | undefined>> {
    const ids = new Set(messages.flatMap(({ conversationId, deleted }) => (deleted ? [] : [conversationId])));
    const numbers = new Map<string, string | undefined>([...ids].map((id) => [id, undefined]));
    if (ids.size === 0) return numbers;
    const rows = await account.home.database.prisma.conversation.findMany({
      where: { accountId: account.id, id: { in: [...ids] }, deleted: false },
      select: { id: true, content: true },
    });
    for (const { id, content } of rows) {
      const text = account.open('conversation', id, Buffer.from(content!));
      numbers.set(id, (JSON.parse(text) as ConversationContent).phoneNumber);
    }
    return numbers;
  }

  /** To those who follow by events; who follows by cursor has it from the change log. */
  private tell(
    session: Session,
    conversations: DeltaConversation[],
    ofConversations: Outcome[],
    ofMessages: Outcome<MessageState>[],
  ): void {
    const { account, deviceId: by } = session;
    const changed = conversations.filter((_, i) => ofConversations[i]!.result === 'applied');
    this.conversations.forget(account, changed.flatMap(({ id, deleted }) => (deleted ? [id] : []))); // prettier-ignore
    const states = ofMessages.flatMap((outcome) => (outcome.result === 'applied' ? outcome.state : []));
    const stored = states.flatMap(({ message, readUpTo }) => (message ? shown(message, readUpTo) : []));
    const arrived = states.flatMap(({ isNew, message }) => (isNew && message) || []);
    if (stored.length > 0) this.events.emit('messages.stored', account.id, { messages: stored, arrived });
    for (const { id, message, isNew } of states)
      if (message === null && !isNew) this.events.emit('message.deleted', account.id, { messageId: id, by });
    if (changed.length > 0) this.events.emit('conversations.edited', account.id);
  }

  /** What is told to a client with this cursor. */
  private async rangeOf(account: AccountKey, after: number): Promise<Range> {
    const row = await account.home.database.prisma.account.findUnique({
      where: { id: account.id },
      select: { seq: true, horizon: true },
    });
    if (row === null) throw relayError('session_expired');
    const upTo = Number(row.seq);
    // Ahead of the account: the database was put back to an earlier day, or the number is of another server.
    const startsOver = after !== 0 && (after < Number(row.horizon) || after > upTo);
    return { after: startsOver ? 0 : after, upTo, tombstones: after !== 0 };
  }
}

function conversationEdit(account: AccountKey, row: DeltaConversation, at: number): ConversationMutation {
  const { id, name, updatedAt, deleted } = row;
  const edit = { name, editedAt: Math.min(updatedAt, at), deleted };
  return { account, kind: 'conversation', id, op: 'edit', row: edit, at, bytes: 256 + 2 * name.length };
}

function messageEdit(account: AccountKey, row: DeltaMessage, phoneNumber: string, at: number): MessageMutation {
  const { id, conversationId, content, updatedAt, deleted } = row;
  const edit = { conversationId, body: content, editedAt: Math.min(updatedAt, at), deleted, phoneNumber };
  return { account, kind: 'message', id, op: 'edit', row: edit, at, bytes: 256 + 2 * content.length };
}

function saidOf(rows: Row[], outcomes: Outcome[]): Said {
  const lost = rows.filter((_, i) => outcomes[i]!.result !== 'applied').map(({ id }) => id);
  return { rows: new Map(rows.map((row) => [row.id, row])), lost };
}

async function* answer(
  account: AccountKey,
  range: Range,
  { conversations, messages }: { conversations: Said; messages: Said },
  iso: boolean,
): AsyncGenerator<string> {
  yield '{"server_changes":{"conversations":[';
  yield* textOf(readDelta(account, CONVERSATIONS, range, conversations.lost), conversations, iso);
  yield '],"messages":[';
  yield* textOf(readDelta(account, MESSAGES, range, messages.lost), messages, iso);
  yield `]},"new_sync_timestamp":${range.upTo}}`;
}

/** The elements of a JSON array, without those that stand as the client says. */
async function* textOf(pages: AsyncIterable<Row[]>, said: Said, iso: boolean): AsyncGenerator<string> {
  let comma = '';
  for await (const page of pages) {
    const told = page.filter((row) => !isSame(row, said.rows.get(row.id)));
    if (told.length === 0) continue;
    yield comma + told.map((row) => JSON.stringify(toWire(row, iso))).join(',');
    comma = ',';
  }
}

function isSame(row: Row, said: Row | undefined): boolean {
  if (said === undefined || said.deleted !== row.deleted || said.updatedAt !== row.updatedAt) return false;
  // A deletion says no more than that.
  return row.deleted || isDeepStrictEqual(row, said);
}

function toWire({ id, updatedAt, deleted, ...row }: Row, iso: boolean) {
  const { conversationId, ...content } = { conversationId: undefined, ...row };
  return {
    id,
    conversation_id: conversationId,
    ...content,
    updated_at: iso ? new Date(updatedAt).toISOString() : updatedAt,
    is_deleted: deleted ? 1 : 0,
  };
}
