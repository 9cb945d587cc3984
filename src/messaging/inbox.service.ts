import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import type { Outcome } from '../changes/kind.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { normalizeNumber } from './conversation.js';
import { Conversations } from './conversations.service.js';
import { shown, type Message, type MessageContent, type MessageRow, type MessageStatus } from './message.js';
import type { MessageMutation, MessagePatch, MessageState } from './message.kind.js';
import { MessagingEvents } from './messaging.events.js';

/** A message as a phone tells it. */
export type PhoneMessage = Omit<Message, 'tempId' | 'validUntil'>;

/** How far a phone's clock may be behind ours when it reports what it sent for a browser. */
const CLOCK_SKEW_MS = 600_000;

/** How long after a browser wrote a message the phone may tell of it under an id of its own. */
const LINKABLE_MS = 30 * 86_400_000;

/** What comes from the phone: its messages, and what became of those it was given to send. */
@Injectable()
export class Inbox {
  constructor(
    private readonly changes: Changes,
    private readonly conversations: Conversations,
    private readonly events: MessagingEvents,
  ) {}

  /** Whether messages can be handed to the commit at once; otherwise what follows them has to wait for them. */
  isPlain({ account }: Session, messages: PhoneMessage[]): boolean {
    return (
      messages.every(({ type }) => type === 'received') && this.conversations.unknown(account, messages).length === 0
    );
  }

  /** Messages by the phone's own ids: the same one again changes nothing but its status and whether it is read. */
  async put({ account }: Session, messages: PhoneMessage[]): Promise<{ stored: number; new: number }> {
    const sent = messages.filter((message) => message.type === 'sent');
    const own = sent.length > 0 ? await this.linkSent(account, sent) : undefined;
    const at = Date.now();
    const unknown = this.conversations.unknown(account, messages);
    const outcomes = await this.changes.submit<MessageState>([
      ...this.conversations.beginnings(account, unknown, at),
      ...messages.map((message) => toMutation(account, message, own?.get(message), at)),
    ]);

    const stored: Message[] = [];
    const arrived: Message[] = [];
    for (const outcome of outcomes.slice(unknown.length)) {
      if (!('state' in outcome) || outcome.state.message === null) continue; // deleted here, and to stay so
      const { message, readUpTo, isNew } = outcome.state;
      // One that a browser read is not shown unread because the phone, which does not know yet, tells it again.
      stored.push(shown(message, readUpTo));
      if (isNew) arrived.push(message);
    }
    // What is committed is told, before anything is waited for and whatever failed besides.
    this.events.emit('messages.stored', account.id, { messages: stored, arrived });
    // Only now: what a browser began moves to the phone's conversation, and whoever listens hears of that last.
    const begun = unknown.filter((_, i) => outcomes[i]!.result !== 'rejected');
    if (begun.length > 0) await this.conversations.began(account, begun);
    if (outcomes.some(({ result }) => result === 'rejected')) throw relayError('rejected');
    return { stored: stored.length, new: arrived.length };
  }

  /** `messageId` is the phone's id or the `tempId` of a browser. A status only moves forward. */
  async reportStatus({ account }: Session, messageId: string, status: MessageStatus): Promise<{ known: boolean }> {
    const outcome = await this.patch(account, messageId, { status });
    if ('state' in outcome && outcome.result !== 'applied') return { known: true };
    // A browser's message has its tempId for an id; the phone may have named it by its own.
    const { origin, id } = 'state' in outcome ? outcome.state : { origin: null, id: messageId };
    const tempId = origin === null || id === messageId ? {} : { tempId: id };
    // A message the phone has not told of yet: its browsers may know more, and get the word as it came.
    this.events.emit('message.statusChanged', account.id, { messageId, status, ...tempId });
    return { known: 'state' in outcome };
  }

  /** The phone handed a message to the network; `messageId` may be its own new id for one that a browser wrote. */
  async reportSent(session: Session, phoneNumber: string, messageId: string): Promise<{ known: boolean }> {
    const { account } = session;
    const known = await this.find(account, messageId);
    if (known === undefined) await this.link(account, await this.unlinked(account, [{ phoneNumber }]), messageId);
    const reported = await this.reportStatus(session, messageId, 'sent');
    this.events.emit('message.sent', account.id, { phoneNumber, messageId });
    return reported;
  }

  /** From either side. Deleted stays deleted, also when the phone sends it again; a queued one is not sent any more. */
  async remove({ account }: Session, messageId: string, by?: string): Promise<void> {
    const outcome = await this.patch(account, messageId, { remove: true });
    if (outcome.result === 'missing') throw relayError('message_not_found');
    if (outcome.result === 'applied') this.events.emit('message.deleted', account.id, { messageId, by });
  }

  private async patch(account: AccountKey, messageId: string, row: MessagePatch): Promise<Outcome<MessageState>> {
    const submit = async (id: string) => {
      const mutation: MessageMutation = { account, kind: 'message', id, op: 'patch', row, at: Date.now(), bytes: 128 };
      return (await this.changes.submit<MessageState>([mutation]))[0]!;
    };
    const outcome = await submit(messageId);
    if (outcome.result !== 'missing') return outcome;
    const id = await this.find(account, messageId);
    return id === undefined ? outcome : submit(id);
  }

  /** The row of a message by its id, or by the phone's id of one that a browser wrote. */
  private async find(account: AccountKey, messageId: string): Promise<string | undefined> {
    const row = await account.home.database.prisma.message.findFirst({
      where: { accountId: account.id, OR: [{ id: messageId }, { phoneMessageId: messageId }] },
      select: { id: true },
    });
    return row?.id;
  }

  /**
   * A phone tells of what it sent for a browser under an id of its own. Such a message is the browser's row, not a new
   * one: known by that id already, or else the oldest still unlinked one with the same number and text. Each row is
   * taken once, so two equal texts stay two.
   */
  private async linkSent(account: AccountKey, sent: PhoneMessage[]): Promise<Map<PhoneMessage, string>> {
    const own = new Map<PhoneMessage, string>();
    const unlinked = await this.unlinked(account, sent);
    const linked = await account.home.database.prisma.message.findMany({
      where: { accountId: account.id, phoneMessageId: { in: sent.map((message) => message.id) } },
      select: { id: true, phoneMessageId: true },
    });
    const byPhoneId = new Map(linked.map((row) => [row.phoneMessageId, row.id]));
    const ids = new Set(unlinked.map((row) => row.id));
    const fresh =
      unlinked.length === 0 ? [] : sent.filter((message) => !byPhoneId.has(message.id) && !ids.has(message.id));
    const stored = fresh.length === 0 ? [] : await account.home.database.prisma.message.findMany({
      where: { accountId: account.id, id: { in: fresh.map((message) => message.id) } },
      select: { id: true },
    }); // prettier-ignore
    const known = new Set(stored.map((row) => row.id));
    for (const message of sent) {
      const id = byPhoneId.get(message.id);
      if (id !== undefined) own.set(message, id);
    }
    for (const message of fresh.filter(({ id }) => !known.has(id))) {
      const taken = new Set(own.values());
      const alike = unlinked.filter((row) => !taken.has(row.id) && row.body === message.body && row.number === normalizeNumber(message.phoneNumber) && message.timestamp >= row.timestamp - CLOCK_SKEW_MS); // prettier-ignore
      const id = await this.link(account, alike, message.id);
      if (id !== undefined) own.set(message, id);
    }
    return own;
  }

  /** Gives the phone's id to the first of the rows that has none: two told of at the same time do not take the same one. */
  private async link(account: AccountKey, rows: { id: string }[], phoneMessageId: string): Promise<string | undefined> {
    for (const { id } of rows) {
      const outcome = await this.patch(account, id, { phoneMessageId });
      if ('state' in outcome && outcome.state.phoneMessageId === phoneMessageId) return id;
    }
    return undefined;
  }

  /** What browsers wrote to these numbers and the phone has not given an id of its own yet, oldest first. */
  private async unlinked(account: AccountKey, places: { conversationId?: string; phoneNumber: string }[]) {
    const conversations = new Set<string>();
    for (const { conversationId, phoneNumber } of places)
      for (const id of [conversationId, ...(await this.conversations.idsOf(account, phoneNumber))])
        if (id !== undefined) conversations.add(id);
    const { rows } = await account.home.database.pool.query<{ id: string; timestamp: string; content: Buffer }>(
      `SELECT id, timestamp, content FROM messages
       WHERE account_id = $1 AND conversation_id = ANY ($2) AND timestamp > $3
         AND origin IS NOT NULL AND phone_message_id IS NULL AND NOT deleted AND status NOT IN ('failed', 'cancelled')
       ORDER BY timestamp, seq`,
      [account.id, [...conversations], Date.now() - LINKABLE_MS],
    );
    return rows.map(({ id, timestamp, content }) => {
      const { body, phoneNumber } = JSON.parse(account.open('message', id, content)) as MessageContent;
      return { id, timestamp: Number(timestamp), body, number: normalizeNumber(phoneNumber) };
    });
  }
}

function toMutation(
  account: AccountKey,
  message: PhoneMessage,
  ownId: string | undefined,
  at: number,
): MessageMutation {
  const id = ownId ?? message.id;
  const content: MessageContent = { phoneNumber: message.phoneNumber, body: message.body };
  const sealed = account.seal('message', id, JSON.stringify(content));
  const row: MessageRow = {
    conversationId: message.conversationId,
    type: message.type,
    // What the phone lists as sent for a browser was handed to the network at least.
    status: message.status ?? (ownId === undefined ? null : 'sent'),
    read: message.read,
    timestamp: message.timestamp,
    phoneMessageId: null,
    origin: null,
    validUntil: null,
    content,
    sealed,
  };
  return { account, kind: 'message', id, op: 'put', row, at, bytes: 256 + sealed.length };
}
