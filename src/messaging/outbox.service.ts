import { Inject, Injectable, type OnApplicationBootstrap, type BeforeApplicationShutdown } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Changes } from '../changes/changes.js';
import type { Mutation } from '../changes/kind.js';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { LOG, type Log } from '../log.js';
import { Limits } from '../sessions/limits.js';
import type { Session } from '../sessions/session.js';
import { normalizeNumber } from './conversation.js';
import { Conversations } from './conversations.service.js';
import type { Message, MessageColumns, MessageContent, MessageRow, MessageStatus } from './message.js';
import type { MessageMutation, MessagePatch, MessageState } from './message.kind.js';
import { MessagingEvents } from './messaging.events.js';
import { queuedMessages } from './stored-messages.js';

/** What a browser wants sent (wire.md, section A: `web:send-message`). */
export interface Send {
  phoneNumber: string;
  message: string;
  tempId: string;
  /** ms since 1970; after it the message fails rather than going out late. */
  validUntil?: number;
}

const PAGE = 500;
const SWEEP_AT_MOST = 60_000;

/**
 * What browsers write and the phone is to send. A message waits as `queued`, is offered whenever the phone is there until
 * it takes it, and fails visibly once its time is over; then it can be sent again under the same tempId.
 */
@Injectable()
export class Outbox implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private timer: NodeJS.Timeout | undefined;
  private due = Infinity;
  private stopped = false;
  private sweeping: Promise<void> | undefined;

  constructor(
    private readonly databases: Databases,
    private readonly accounts: AccountKeys,
    private readonly changes: Changes,
    private readonly conversations: Conversations,
    private readonly events: MessagingEvents,
    private readonly limits: Limits,
    @Inject(ENV) private readonly env: BootEnv,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onApplicationBootstrap(): void {
    this.wakeAt(0);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.sweeping;
  }

  /** Resolves once it is on disk. The same tempId again is the same message; one that failed is queued again. */
  async send(session: Session, send: Send, by?: string): Promise<{ messageId: string; status: MessageStatus }> {
    const { account } = session;
    await this.limits.send(account.id);
    const now = Date.now();
    const validUntil = Math.floor(send.validUntil ?? now + this.env.messageTtlMs);
    if (validUntil <= now) throw relayError('valid_until_passed');

    const mutation = await this.toMutation(session, send, now, validUntil);
    const place = { conversationId: mutation.row.conversationId, phoneNumber: send.phoneNumber };
    const unknown = this.conversations.unknown(account, [place]);
    const beginning = this.conversations.beginnings(account, unknown, now);
    const outcome = (await this.changes.submit<MessageState>([...beginning, mutation])).at(-1);
    // Before anything is waited for: messages are offered to the phone in the order they were committed in.
    const queued = outcome?.result === 'applied' ? this.queue(account, outcome.state.message!, by) : undefined;
    await this.conversations.began(account, [place]);
    if (queued) return queued;
    if (!outcome || !('state' in outcome)) throw relayError('rejected');
    const { message } = outcome.state;

    if (message === null || outcome.state.origin !== session.deviceId || !sameText(message, send))
      throw relayError('temp_id_taken');
    // An earlier try may have been stored without its sender, or anybody, being told: to offer it again does no harm.
    if (message.status === 'queued') return this.queue(account, message, by);
    if (message.status !== 'failed') return { messageId: message.id, status: message.status! };
    const requeued = await this.patch(account, message.id, { requeueUntil: validUntil });
    return requeued ? this.queue(account, requeued, by) : { messageId: message.id, status: message.status };
  }

  /** What waits for the phone, in the order it was written; a page at a time is in memory. */
  async *queued(account: AccountKey): AsyncGenerator<Message> {
    for await (const page of queuedMessages(account)) yield* page;
  }

  /** The phone took it. */
  async taken(account: AccountKey, messageId: string): Promise<void> {
    const message = await this.patch(account, messageId, { status: 'sending' });
    if (message) this.events.emit('message.statusChanged', account.id, { messageId, status: 'sending' });
  }

  private queue(account: AccountKey, message: Message, by?: string) {
    this.wakeAt(message.validUntil!);
    this.events.emit('message.queued', account.id, { message, by });
    return { messageId: message.id, status: message.status! };
  }

  /** The message after the patch, or undefined when it changed nothing. */
  private async patch(account: AccountKey, id: string, row: MessagePatch): Promise<Message | undefined> {
    const mutation: MessageMutation = { account, kind: 'message', id, op: 'patch', row, at: Date.now(), bytes: 128 };
    const [outcome] = await this.changes.submit<MessageState>([mutation]);
    return outcome?.result === 'applied' ? (outcome.state.message ?? undefined) : undefined;
  }

  private async toMutation(
    { account, deviceId }: Session,
    send: Send,
    now: number,
    validUntil: number,
  ): Promise<Mutation<'send', MessageRow>> {
    const content: MessageContent = { phoneNumber: send.phoneNumber, body: send.message };
    const columns: MessageColumns = {
      conversationId: await this.conversations.idOf(account, send.phoneNumber),
      type: 'sent',
      status: 'queued',
      read: true,
      timestamp: now,
      phoneMessageId: null,
      origin: deviceId,
      validUntil,
    };
    const sealed = account.seal('message', send.tempId, JSON.stringify(content));
    const row = { ...columns, content, sealed };
    return { account, kind: 'message', id: send.tempId, op: 'send', row, at: now, bytes: 256 + sealed.length };
  }

  /** One timer, for the nearest deadline. */
  private wakeAt(time: number): void {
    if (time >= this.due || this.stopped) return;
    this.due = time;
    clearTimeout(this.timer);
    const delay = Math.min(Math.max(0, time - Date.now()), SWEEP_AT_MOST);
    this.timer = setTimeout(() => {
      this.sweeping = this.sweep();
    }, delay).unref();
  }

  /** Messages that nobody took in time fail, so that whoever wrote them sees it. */
  private async sweep(): Promise<void> {
    this.due = Infinity;
    const nearest = await Promise.all(this.databases.all().map((database) => this.sweepIn(database)));
    this.wakeAt(Math.min(Date.now() + SWEEP_AT_MOST, ...nearest));
  }

  /** Resolves with when to look again, ms since 1970: one database that is away keeps nobody else waiting. */
  private async sweepIn(database: Database): Promise<number> {
    const realms = this.env.realms.map(({ slug }) => slug).filter((realm) => this.databases.of(realm) === database);
    // The status stands in the text: as a parameter, which Prisma would make of it, it cannot use the index of the queued.
    const queued = `SELECT m.account_id, m.id, m.valid_until, a.realm FROM messages m JOIN accounts a ON a.id = m.account_id
                    WHERE m.status = 'queued' AND a.realm = ANY ($1)`;
    try {
      const { rows } = await database.pool.query<{ account_id: string; id: string; realm: string }>(
        `${queued} AND m.valid_until <= $2 ORDER BY m.valid_until LIMIT $3`,
        [realms, Date.now(), PAGE],
      );
      await Promise.all(rows.map((row) => this.fail(row.account_id, row.realm, row.id)));
      const nearest = await database.pool.query<{ valid_until: string }>(`${queued} ORDER BY m.valid_until LIMIT 1`, [
        realms,
      ]);
      return Number(nearest.rows[0]?.valid_until ?? Infinity);
    } catch (error) {
      this.log.warn({ err: error }, 'overdue messages could not be swept; trying again');
      return Date.now() + 1000;
    }
  }

  private async fail(accountId: string, realm: string, messageId: string): Promise<void> {
    const account = await this.accounts.find(accountId, realm);
    const message = account && (await this.patch(account, messageId, { expireAt: Date.now() }));
    if (message) this.events.emit('message.statusChanged', account.id, { messageId, status: 'failed' });
  }
}

function sameText(message: Message, send: Send): boolean {
  return message.body === send.message && normalizeNumber(message.phoneNumber) === normalizeNumber(send.phoneNumber);
}
