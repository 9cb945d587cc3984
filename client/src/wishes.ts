import { STATE, type FlagsValue } from '@pairline/protocol';
import { deletionOf, isProvisional, keepBooks, OWN, type Books, type Touched } from './books.js';
import { newId } from './ids.js';
import { seal } from './outbox.js';
import type { Reader } from './reading.js';
import type { ConversationRecord, OutboxRecord, Store, Writing } from './store.js';
import { ClientError, type Message } from './types.js';
import * as views from './views.js';
import { Turns } from './waiting.js';

type Addressee = { conversationId: string } | { number: string };

/** What people do. It is kept, and shown, at once; the server hears of it from the outbox, when there is a connection. */
export class Wishes {
  /** What is sealed meanwhile must not be overtaken: texts stand, and go, in the order in which they were written. */
  private readonly sendings = new Turns();

  constructor(
    private readonly store: Store,
    /** Throws a `ClientError`: `not_paired` when nobody is signed in, `wrong_role` in another realm than `default`. */
    private readonly reader: () => Reader,
    private readonly changed: (touched: Touched) => void,
  ) {}

  send(to: Addressee, text: string): Promise<Message> {
    return this.sendings.take(() => this.enterSending(to, text, async () => undefined));
  }

  retry(messageId: string): Promise<Message> {
    return this.sendings.take(() => this.sendAgain(messageId));
  }

  deleteMessage(messageId: string): Promise<void> {
    return this.change((books, tx) => remove(books, tx, messageId));
  }

  async markRead(conversationId: string): Promise<void> {
    this.reader();
    const { row: known, unread = 0 } = (await this.store.read((tx) => views.find(tx, conversationId))) ?? {};
    if (known === undefined || known.unreadCount + unread === 0) return;
    await this.change(async (books, tx) => {
      const conversation = await views.find(tx, conversationId);
      if (conversation?.row === undefined) return;
      const { id, row } = conversation;
      const upTo = Math.max(row.readUpTo, timeOf(conversation));
      const read = { ...row, unreadCount: 0, countedUpTo: upTo, readUpTo: upTo };
      await books.edit(id, (old) => ({ ...old, row: read, unread: 0 }));
      books.touched.threads.set(id, Infinity);
      await tx.put('outbox', [wished(`read ${id}`, { kind: 'read', conversationId: id, upTo })]);
    });
  }

  async setFlags(conversationId: string, flags: Omit<FlagsValue, 'version'>): Promise<void> {
    const { keyring } = this.reader();
    await this.change(async (books, tx) => {
      const id = (await views.find(tx, conversationId))?.id ?? conversationId;
      const key = STATE.flags(id);
      const old = (await tx.get('states', key))?.value as Partial<FlagsValue> | undefined;
      const version = Math.max(Date.now(), (old?.version ?? 0) + 1);
      const value: FlagsValue = { ...old, ...flags, version };
      const { round } = (await tx.value('sync'))!;
      await tx.put('states', [{ id: key, value, round, ...(keyring && { version: { epoch: keyring.epoch, version } }) }]); // prettier-ignore
      // The name that this device gave has the number in it. The flags go when there is one of the server's.
      if (!id.startsWith(OWN)) await tx.put('outbox', [wished(key, { kind: 'put', key, value })]);
      books.touched.list = true;
    });
  }

  async saveDraft(conversationId: string, text: string): Promise<void> {
    this.reader();
    await this.store.write(async (tx) => {
      // It may have got another name while this was written.
      const id = (await views.find(tx, conversationId))?.id ?? conversationId;
      await (text === '' ? tx.delete('drafts', [id]) : tx.put('drafts', [{ id, text }]));
    });
    this.changed({ threads: new Map(), list: true, devices: false });
  }

  private async sendAgain(messageId: string): Promise<Message> {
    this.reader();
    const message = failed(await views.readMessage(this.store, messageId));
    const { conversationId, number, text, files } = message;
    if (files !== undefined) throw new ClientError('bad_request', 'Files are not sent from here');
    const known = (await views.readConversation(this.store, conversationId))?.number === number;
    return this.enterSending(known ? { conversationId } : { number }, text, async (books, tx) => {
      // Somebody may have asked for the same in the meantime.
      failed(await tx.get('messages', messageId));
      await remove(books, tx, messageId);
    });
  }

  /** `before`: what else belongs into the same transaction. */
  private async enterSending(
    to: Addressee,
    text: string,
    before: (books: Books, tx: Writing) => Promise<void>,
  ): Promise<Message> {
    const reader = this.reader();
    if (text === '') throw new ClientError('bad_request', 'There is nothing to send');
    if (reader.keyring === undefined && (await this.store.read((tx) => tx.value('sync')))?.sealed)
      throw new ClientError('no_keys', 'This account is end-to-end encrypted, and its keys are not on this device');
    const conversation = await this.addressee(to);
    const { number } = conversation;
    if (number === '') throw new ClientError('no_keys', 'The number of this conversation cannot be decrypted here');

    const id = newId();
    // Not above what it answers, whatever the clocks say.
    const timestamp = Math.max(Date.now(), (conversation.last?.timestamp ?? 0) + 1);
    const place = isProvisional(conversation.id) ? {} : { conversationId: conversation.id };
    const content = { number, text, timestamp, ...place };
    const sealed = await seal(id, content, reader);
    const alias = isProvisional(conversation.id) ? { alias: sealed.phoneNumber } : {};
    await this.change(async (books, tx) => {
      await before(books, tx);
      const message = { id, conversationId: conversation.id, number, text, timestamp, ...alias };
      await books.enterMessages([
        { ...message, phoneNumber: sealed.phoneNumber, type: 'sent', status: 'waiting', read: true },
      ]);
      await tx.put('outbox', [{ id, order: newId(), wish: { kind: 'send', ...content, sealed } }]);
    });
    return (await views.readMessage(this.store, id))!;
  }

  /** The conversation to write in; one of this device's own for a number that has none. */
  private addressee(to: Addressee): Promise<ConversationRecord> {
    return this.store.read(async (tx) => {
      if ('conversationId' in to) {
        const found = await views.find(tx, to.conversationId);
        if (found === undefined) throw new ClientError('conversation_not_found', 'There is no such conversation');
        return found;
      }
      const number = to.number.trim();
      if (number === '') throw new ClientError('bad_request', 'There is no number to send to');
      const found = (await tx.all('conversations')).filter((conversation) => conversation.number === number);
      found.sort((a, b) => Number(isProvisional(a.id)) - Number(isProvisional(b.id)) || timeOf(b) - timeOf(a));
      return found[0] ?? { id: OWN + number, number, unread: 0, round: 0 };
    });
  }

  /** Something this device does itself: kept in one transaction, and shown. */
  async change(work: (books: Books, tx: Writing) => Promise<void>): Promise<void> {
    this.reader();
    await this.keep(work);
  }

  /** The same in every realm. */
  async keep(work: (books: Books, tx: Writing) => Promise<void>): Promise<void> {
    const touched = await keepBooks(this.store, work);
    this.store.announce({ outbox: true });
    this.changed({ ...touched, outbox: true });
  }
}

/** The message, if it has failed. */
function failed<Failed extends { status?: Message['status'] }>(message: Failed | undefined): Failed {
  if (message?.status !== 'failed') throw new ClientError('message_not_found', 'No such message has failed');
  return message;
}

async function remove(books: Books, tx: Writing, messageId: string): Promise<void> {
  const files = (await tx.get('messages', messageId))?.files?.map(({ id }) => id);
  await books.removeMessages([messageId]);
  await tx.delete('outbox', [messageId]);
  await tx.put('outbox', [wished(deletionOf(messageId), { kind: 'delete', messageId, ...(files && { files }) })]);
}

function wished(id: string, wish: OutboxRecord['wish']): OutboxRecord {
  return { id, order: newId(), wish };
}

function timeOf({ row, last }: ConversationRecord): number {
  return Math.max(row?.lastMessageTime ?? 0, last?.timestamp ?? 0);
}
