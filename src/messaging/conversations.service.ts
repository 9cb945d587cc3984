import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Changes } from '../changes/changes.js';
import { Cluster } from '../cluster/cluster.js';
import { relayError } from '../errors.js';
import { LOG, type Log } from '../log.js';
import type { Session } from '../sessions/session.js';
import {
  normalizeNumber,
  numberIndex,
  toConversation,
  toConversationRow,
  type Conversation,
  type ConversationContent,
} from './conversation.js';
import type { ConversationMutation, ConversationState } from './conversation.kind.js';
import type { Message, MessageContent } from './message.js';
import type { MessageMutation, MessageState } from './message.kind.js';
import { MessagingEvents, type ReadMark } from './messaging.events.js';

const CACHED = 50_000;

/** A conversation that a browser began with a number the phone has not told of: named by the number's keyed hash. */
const PROVISIONAL = 'new:';

/** Which conversation, with whom. */
type Place = Pick<Message, 'conversationId' | 'phoneNumber'>;

@Injectable()
export class Conversations implements OnModuleInit {
  /** account, conversation → true: those that are known to exist */
  private readonly known = new LRUCache<string, true>({ max: CACHED });
  /** account, number → conversation */
  private readonly byNumber = new LRUCache<string, string>({ max: CACHED });
  /** account → its last look-up by number */
  private readonly lookUps = new Map<string, Promise<string>>();

  constructor(
    private readonly changes: Changes,
    private readonly events: MessagingEvents,
    private readonly keys: AccountKeys,
    private readonly cluster: Cluster,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.cluster.hear(
      'conversation.named',
      (account: string, realm: string, place: Place) => void this.hear(account, realm, place),
    );
    this.cluster.hear('conversations.forgotten', (account: string, ids: string[]) => this.drop(account, ids));
    this.cluster.onGap(() => {
      this.known.clear();
      this.byNumber.clear();
    });
  }

  /** What a phone tells of its conversations. Resolves after the commit. */
  async tell({ account }: Session, conversations: Conversation[]): Promise<void> {
    const at = Date.now();
    const mutations = conversations.map((conversation): ConversationMutation => {
      const { id, phoneNumber, contactName, lastMessage, ...told } = conversation;
      const content = { phoneNumber, ...(contactName === undefined ? {} : { contactName }), lastMessage };
      const row = { content, numberIndex: numberIndex(account, phoneNumber), told };
      const bytes = 256 + 2 * (phoneNumber.length + (contactName?.length ?? 0) + lastMessage.length);
      return { account, kind: 'conversation', id, op: 'tell', row, at, bytes };
    });
    const outcomes = await this.changes.submit(mutations);
    if (outcomes.some(({ result }) => result === 'rejected')) throw relayError('rejected');
    await this.began(account, conversations.map(toPlace));
    // As they stand now: what the phone told may be older than what a browser read.
    const ids = conversations.map(({ id }) => id);
    const now = new Map((await this.all(account, ids)).conversations.map((stored) => [stored.id, stored]));
    this.events.emit('conversations.stored', account.id, { conversations: ids.flatMap((id) => now.get(id) ?? []) });
  }

  /** Those of the places whose conversations may not exist yet. */
  unknown(account: AccountKey, places: Place[]): Place[] {
    const unknown = new Map<string, Place>();
    for (const place of places)
      if (!this.known.has(knownKey(account, place.conversationId))) unknown.set(place.conversationId, place);
    return [...unknown.values()];
  }

  /** To be committed with their first messages: a message is never without its conversation. */
  beginnings(account: AccountKey, places: Place[], at: number): ConversationMutation[] {
    return places.map(({ conversationId, phoneNumber }) => {
      const row = { content: { phoneNumber }, numberIndex: numberIndex(account, phoneNumber) };
      return { account, kind: 'conversation', id: conversationId, op: 'begin', row, at, bytes: 256 };
    });
  }

  /** These conversations exist now. Where a browser began one with the same number, its messages move there. */
  async began(account: AccountKey, places: Place[]): Promise<void> {
    const tell = (place: Place) => this.cluster.tell('conversation.named', account.id, account.home.realm, place);
    for (const place of places) await this.exists(account, place, tell);
  }

  /** `tell`: to the other servers, when it is news here. */
  private async exists(account: AccountKey, place: Place, tell?: (place: Place) => void): Promise<void> {
    const { conversationId, phoneNumber } = place;
    const fresh = !this.known.has(knownKey(account, conversationId));
    this.known.set(knownKey(account, conversationId), true);
    const number = numberKey(account, phoneNumber);
    const named = this.byNumber.get(number);
    if (conversationId.startsWith(PROVISIONAL)) {
      // The phone named it while this was being written.
      if (named !== undefined && named !== conversationId) await this.settle(account, conversationId, named);
      return;
    }
    // The first time it is looked at in any case: a server that stopped may have left the move undone.
    if (named === conversationId && !fresh) return;
    this.byNumber.set(number, conversationId);
    tell?.({ conversationId, phoneNumber });
    try {
      await this.settle(account, provisionalId(account, phoneNumber), conversationId);
    } catch (error) {
      // The next message of it tries again.
      this.byNumber.delete(number);
      this.known.delete(knownKey(account, conversationId));
      throw error;
    }
  }

  /** These may not exist any more: the next message of each looks again. */
  forget({ id }: AccountKey, ids: string[]): void {
    if (ids.length === 0) return;
    this.drop(id, ids);
    this.cluster.tell('conversations.forgotten', id, ids);
  }

  private drop(account: string, ids: string[]): void {
    for (const id of ids) this.known.delete(knownKey({ id: account }, id));
  }

  /**
   * The phone named a conversation at another server: what a browser began here moves there. Nobody is told again: of two with one
   * number the servers would never be done.
   */
  private async hear(id: string, realm: string, place: Place): Promise<void> {
    // What is being looked up at this moment may have been read before.
    if (!this.byNumber.has(numberKey({ id }, place.phoneNumber)) && !this.lookUps.has(id)) return;
    try {
      const account = await this.keys.find(id, realm);
      if (account !== undefined) await this.exists(account, place);
    } catch (error) {
      this.log.warn({ err: error }, 'a conversation could not be moved; the next message of it tries again');
    }
  }

  private async settle(account: AccountKey, provisional: string, conversationId: string): Promise<void> {
    const where = { accountId: account.id, deleted: false };
    const begun = await account.home.database.prisma.conversation.findFirst({
      where: { ...where, id: provisional },
      select: { id: true },
    });
    const messages = await account.home.database.prisma.message.findMany({
      where: { ...where, conversationId: provisional },
      select: { id: true },
    });
    this.known.delete(knownKey(account, provisional));
    if (begun === null && messages.length === 0) return;
    const at = Date.now();
    const row = { conversationId };
    const moves = messages.map(({ id }): MessageMutation => ({
      account,
      kind: 'message',
      id,
      op: 'patch',
      row,
      at,
      bytes: 128,
    }));
    const outcomes = await this.changes.submit<MessageState>([
      ...moves,
      { account, kind: 'conversation', id: provisional, op: 'delete', row: null, at, bytes: 64 },
    ]);
    const moved = outcomes.flatMap((outcome) => ('state' in outcome && outcome.state?.message) || []);
    if (moved.length > 0) this.events.emit('messages.stored', account.id, { messages: moved, arrived: [] });
  }

  /** Every id that a browser's messages to a number may be under. */
  async idsOf(account: AccountKey, phoneNumber: string): Promise<string[]> {
    return [await this.idOf(account, phoneNumber), provisionalId(account, phoneNumber)];
  }

  /**
   * The conversation with a number, or a provisional id for one that does not exist yet. An account's look-ups end in the
   * order they began: of two messages the one that was written first is numbered first, and sent first.
   */
  async idOf(account: AccountKey, phoneNumber: string): Promise<string> {
    const look = () => this.lookUp(account, phoneNumber);
    const turn = this.lookUps.get(account.id)?.then(look, look) ?? look();
    this.lookUps.set(account.id, turn);
    try {
      return await turn;
    } finally {
      if (this.lookUps.get(account.id) === turn) this.lookUps.delete(account.id);
    }
  }

  private async lookUp(account: AccountKey, phoneNumber: string): Promise<string> {
    const number = numberKey(account, phoneNumber);
    const cached = this.byNumber.get(number);
    if (cached !== undefined) return cached;
    const rows = await account.home.database.prisma.conversation.findMany({
      where: { accountId: account.id, numberIndex: Buffer.from(numberIndex(account, phoneNumber)), deleted: false },
      orderBy: { lastMessageTime: 'desc' },
      select: { id: true },
    });
    // The phone may have named it while this was read.
    const named = this.byNumber.get(number);
    if (named !== undefined) return named;
    const id = rows.find((row) => !row.id.startsWith(PROVISIONAL))?.id ?? provisionalId(account, phoneNumber);
    this.byNumber.set(number, id);
    return id;
  }

  /** A browser read it all: it counts to 0, here and, once it is there, on the phone. */
  async markRead({ account }: Session, conversationId: string, by?: string): Promise<void> {
    const mutation: ConversationMutation = { account, kind: 'conversation', id: conversationId, op: 'read', row: null, at: Date.now(), bytes: 64 }; // prettier-ignore
    const [outcome] = await this.changes.submit<ConversationState>([mutation]);
    if (!('state' in outcome!)) throw relayError('conversation_not_found');
    this.events.emit('conversation.read', account.id, { conversationId, readUpTo: outcome.state.readUpTo, by });
  }

  /** Those that a browser read and the phone may not know of. */
  async readPending(account: AccountKey): Promise<ReadMark[]> {
    const where = { accountId: account.id, readPending: true, deleted: false };
    const rows = await account.home.database.prisma.conversation.findMany({
      where,
      select: { id: true, readUpTo: true },
    });
    return rows.map(({ id, readUpTo }) => ({ conversationId: id, readUpTo: Number(readUpTo) }));
  }

  /** The phone took note of this one: a browser may have read on meanwhile. No client sees this, so it takes no number. */
  async readTaken(account: AccountKey, { conversationId: id, readUpTo }: ReadMark): Promise<void> {
    await account.home.database.prisma.conversation.updateMany({
      where: { accountId: account.id, id, readUpTo: { lte: readUpTo } },
      data: { readPending: false },
    });
  }

  /** All of them, or some, as their messages have moved them on, newest first, and how far each was read in a browser. */
  async all(
    account: AccountKey,
    ids?: string[],
  ): Promise<{ conversations: Conversation[]; readUpTo: Map<string, number> }> {
    const { rows } = await account.home.database.pool.query<AllColumns>(
      `SELECT c.id, c.content, c.last_message_time, c.unread_count, c.counted_up_to, c.read_up_to, l.last_id, l.last_time, l.last,
         (SELECT count(*)::int FROM messages m WHERE m.account_id = c.account_id AND m.conversation_id = c.id
            AND m.timestamp > c.counted_up_to AND m.type = 'received' AND NOT m.read AND NOT m.deleted) AS unread
       FROM conversations c LEFT JOIN LATERAL (
         SELECT m.id AS last_id, m.timestamp AS last_time, m.content AS last FROM messages m
         WHERE m.account_id = c.account_id AND m.conversation_id = c.id AND NOT m.deleted
         ORDER BY m.timestamp DESC, m.seq DESC LIMIT 1) l ON true
       WHERE c.account_id = $1 AND NOT c.deleted AND ($2::text[] IS NULL OR c.id = ANY ($2))`,
      [account.id, ids ?? null],
    );
    const conversations = rows.map((row) => toMovedOn(account, row));
    conversations.sort((a, b) => b.lastMessageTime - a.lastMessageTime);
    return { conversations, readUpTo: new Map(rows.map((row) => [row.id, Number(row.read_up_to)])) };
  }
}

interface AllColumns {
  id: string;
  content: Buffer;
  last_message_time: string;
  unread_count: number;
  counted_up_to: string;
  read_up_to: string;
  last_id: string | null;
  last_time: string | null;
  last: Buffer | null;
  unread: number;
}

function toMovedOn(account: AccountKey, row: AllColumns): Conversation {
  const content = JSON.parse(account.open('conversation', row.id, row.content)) as ConversationContent;
  const columns = {
    lastMessageTime: Number(row.last_message_time),
    unreadCount: row.unread_count,
    countedUpTo: Number(row.counted_up_to),
    readUpTo: Number(row.read_up_to),
    readPending: false,
  };
  const last = row.last && {
    body: (JSON.parse(account.open('message', row.last_id!, row.last)) as MessageContent).body,
    timestamp: Number(row.last_time),
  };
  return toConversation(toConversationRow(row.id, columns, content), { last, unread: row.unread });
}

function toPlace({ id, phoneNumber }: Conversation): Place {
  return { conversationId: id, phoneNumber };
}

function provisionalId(account: AccountKey, phoneNumber: string): string {
  return PROVISIONAL + numberIndex(account, phoneNumber).toString('base64url');
}

function knownKey(account: Pick<AccountKey, 'id'>, conversationId: string): string {
  return `${account.id}:${conversationId}`;
}

function numberKey(account: Pick<AccountKey, 'id'>, phoneNumber: string): string {
  return `${account.id}:${normalizeNumber(phoneNumber)}`;
}
