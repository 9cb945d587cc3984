import type { MessageBody } from '@pairline/protocol';
import { isPassing } from '../connection.js';
import { newId } from '../ids.js';
import type { ChatMessageRecord, ChatRecord, ChatsNews, ChatWish, OutboxRecord, Reading, Writing } from '../store.js';
import { ClientError } from '../types.js';
import type { ChatKeys, SealingKey, WaitFor } from './chat-keys.js';
import { asDeleted } from './entry.js';
import { ask, within, type Host } from './host.js';
import { sealChat } from './sealing.js';
import { summarize } from './summary.js';
import type { ChatMessage, Draft } from './types.js';
import { readMessage } from './views.js';

/** Behind every number of the server's. */
const WAITING = 2 ** 52;
const TRIES = 3;

type Op<Name extends ChatWish['op']> = Extract<ChatWish, { op: Name }>;

/** What people write. It is kept, and shown, at once; the server hears of it from the outbox, when there is a connection. */
export class Posts {
  /** How often what was done, by its order in the outbox, has waited in vain for a key. */
  private readonly late = new Map<string, number>();

  constructor(
    private readonly host: Host,
    private readonly keys: ChatKeys,
    private readonly waitFor: WaitFor,
    private readonly tellNews: (news: ChatsNews) => void,
  ) {}

  async send(chatId: string, draft: Draft): Promise<ChatMessage> {
    const messageId = newId();
    await this.change(chatId, async (tx, chat) => {
      const body: MessageBody = { ...contentOf(draft), sent: Date.now() };
      const timestamp = Math.max(body.sent, chat.last?.timestamp ?? 0);
      const id = within(chatId, messageId);
      const record: ChatMessageRecord = { id, chatId, messageId, place: WAITING + timestamp, authorId: chat.me, timestamp, body, state: 'waiting', round: 0 }; // prettier-ignore
      await tx.put('chatMessages', [record]);
      await wish(tx, `post ${id}`, { kind: 'chat', op: 'post', chatId, messageId, body });
    });
    return (await readMessage(this.host.store, chatId, messageId))!;
  }

  async retry(chatId: string, messageId: string): Promise<ChatMessage> {
    await this.change(chatId, async (tx) => {
      const record = await tx.get('chatMessages', within(chatId, messageId));
      if (record?.state !== 'failed' || record.body === undefined)
        throw new ClientError('message_not_found', 'No such message has failed');
      const place = WAITING + Date.now();
      await tx.put('chatMessages', [{ ...record, state: 'waiting', problem: undefined, place }]);
      await wish(tx, `post ${record.id}`, { kind: 'chat', op: 'post', chatId, messageId, body: record.body });
    });
    return (await readMessage(this.host.store, chatId, messageId))!;
  }

  edit(chatId: string, messageId: string, draft: Omit<Draft, 'replyTo'>): Promise<void> {
    return this.change(chatId, async (tx, chat) => {
      const record = await tx.get('chatMessages', within(chatId, messageId));
      if (record?.body === undefined || record.authorId !== chat.me) throw new ClientError('message_not_found', 'No such message of one’s own is here'); // prettier-ignore
      const { id, body: before } = record;
      const content = contentOf({ ...draft, ...(before.replyTo && { replyTo: before.replyTo }) });
      // Nobody has seen it yet. One that waits may be on its way already.
      if (record.state === 'failed')
        return tx.put('chatMessages', [{ ...record, body: { ...content, sent: before.sent } }]);
      const body = { ...content, sent: before.sent, edit: (before.edit ?? 0) + 1 };
      const earlier = (await tx.get('outbox', `chat edit ${id}`))?.wish as Op<'edit'> | undefined;
      await tx.put('chatMessages', [{ ...record, body, editedAt: Date.now() }]);
      await wish(tx, `edit ${id}`, { kind: 'chat', op: 'edit', chatId, messageId, body, before: earlier?.before ?? record }); // prettier-ignore
    });
  }

  delete(chatId: string, messageId: string): Promise<void> {
    return this.change(chatId, async (tx) => {
      const id = within(chatId, messageId);
      const record = await tx.get('chatMessages', id);
      if (record === undefined || record.deleted) return;
      await tx.delete('outbox', [`chat post ${id}`, `chat edit ${id}`]);
      // It may have reached the server without its answer reaching this device.
      if (record.state !== undefined) await tx.delete('chatMessages', [id]);
      else await tx.put('chatMessages', [asDeleted(record)]);
      await wish(tx, `delete ${id}`, { kind: 'chat', op: 'delete', chatId, messageId, before: record });
    });
  }

  react(chatId: string, messageId: string, emoji: string | undefined): Promise<void> {
    return this.change(chatId, async (tx, chat) => {
      const message = within(chatId, messageId);
      if ((await tx.get('chatMessages', message)) === undefined) throw new ClientError('message_not_found', 'There is no such message'); // prettier-ignore
      const id = within(message, chat.me);
      const before = await tx.get('chatReactions', id);
      const version = Math.max(Date.now(), (before?.version ?? 0) + 1);
      const epoch = Math.max(before?.epoch ?? 0, chat.row!.epoch);
      await tx.put('chatReactions', [{ id, chatId, message, userId: chat.me, epoch, version, round: chat.round, ...(emoji && { emoji }) }]); // prettier-ignore
      await wish(tx, `react ${id}`, { kind: 'chat', op: 'react', chatId, messageId, version, ...(emoji && { emoji }), ...(before && { before }) }); // prettier-ignore
    });
  }

  /** Marks are numbers of messages; what is behind what was marked before changes nothing. */
  async mark(chatId: string, { delivered = 0, read = 0 }: { delivered?: number; read?: number }): Promise<void> {
    const isNews = await this.host.store.read(async (tx) => {
      if ((await membershipIn(tx, chatId)) !== 'accepted') return false;
      const mark = await tx.get('chatMarks', within(chatId, (await tx.get('chats', chatId))!.me));
      return read > (mark?.read ?? 0) || delivered > (mark?.delivered ?? 0);
    });
    if (!isNews) return;
    await this.change(chatId, async (tx, chat) => {
      const id = within(chatId, chat.me);
      const old = await tx.get('chatMarks', id);
      const next = { delivered: Math.max(delivered, read, old?.delivered ?? 0), read: Math.max(read, old?.read ?? 0) };
      await tx.put('chatMarks', [{ id, chatId, userId: chat.me, ...next, round: chat.round }]);
      await wish(tx, `mark ${chatId}`, { kind: 'chat', op: 'mark', chatId, ...next });
    });
  }

  async markRead(chatId: string, upTo?: ChatMessage): Promise<void> {
    const read = await this.host.store.read(async (tx) => {
      const place = upTo?.place ?? WAITING;
      const [newest] = await tx.thread({ chatId, before: { place: Math.min(place, WAITING - 1), id: '\uffff\uffff' }, limit: 1 }); // prettier-ignore
      return newest?.place ?? 0;
    });
    await this.mark(chatId, { read });
  }

  /** For the outbox. Rejects with what passes; what is refused for good is shown so. */
  async tell({ id, order }: OutboxRecord, told: ChatWish): Promise<void> {
    try {
      await this.perform(told);
    } catch (error) {
      if (!(error instanceof ClientError) || error.code === 'stale_page') throw error;
      const { code } = error;
      if (code === 'not_paired') throw new ClientError('offline', 'Nobody is signed in any more');
      if (code === 'timeout' ? !this.isTooLate(order) : isPassing(error)) throw error;
      await this.take(told, async (tx) => {
        // More may have been done since: what stands now is not what was refused.
        if ((await tx.get('outbox', id))?.order === order) await giveWay(tx, told, code);
      });
    }
  }

  /** A key that does not come must not hold up everything else that waits. */
  private isTooLate(order: string): boolean {
    const times = (this.late.get(order) ?? 0) + 1;
    this.late.set(order, times);
    return times === TRIES;
  }

  private async perform(told: ChatWish): Promise<void> {
    const { chatId } = told;
    const messages = `/api/conversations/${chatId}/messages`;
    if (told.op === 'mark') {
      const { delivered, read } = told;
      await ask(this.host, `/api/conversations/${chatId}/marks`, { method: 'PUT', body: { delivered, read } });
      return;
    }
    const path = `${messages}/${encodeURIComponent(told.messageId)}`;
    if (told.op === 'delete') await ask(this.host, path, { method: 'DELETE' }).catch(unlessGone);
    else if (told.op === 'edit') {
      await this.sealed(chatId, async (key) =>
        ask(this.host, path, { method: 'PATCH', body: { messageContent: await seal(told, key), epoch: key.epoch } }),
      );
    } else if (told.op === 'react') {
      const { emoji, version } = told;
      if (emoji === undefined) await ask(this.host, `${path}/reaction`, { method: 'DELETE' }).catch(unlessGone);
      else
        await this.sealed(chatId, async (key) => {
          const context = { kind: 'reaction', chatId, id: told.messageId, userId: key.me, epoch: key.epoch } as const;
          const content = await sealChat(key.key, key.own.signing.privateKey, context, { emoji, version });
          return ask(this.host, `${path}/reaction`, { method: 'PUT', body: { content, epoch: key.epoch } });
        });
    } else {
      const { messageId, body } = told;
      const files = body.files?.map((file) => file.id);
      const { number } = await this.sealed(chatId, async (key) =>
        ask<{ number: number }>(this.host, messages, {
          body: { messageContent: await seal(told, key), messageId, epoch: key.epoch, ...(files?.length ? { files } : {}) }, // prettier-ignore
        }),
      );
      await this.take(told, async (tx) => {
        const record = await tx.get('chatMessages', within(chatId, messageId));
        if (record?.state === undefined) return;
        await tx.put('chatMessages', [{ ...record, state: undefined, problem: undefined, place: number }]);
      });
    }
  }

  /** With the newest key: where another one has begun, the same again with that one. */
  private async sealed<T>(chatId: string, work: (key: SealingKey) => Promise<T>): Promise<T> {
    // After a reload a page that keeps nothing has what it was about to send before it has the conversation.
    await this.waitFor(async () => (await this.host.store.read((tx) => tx.get('chats', chatId)))?.row !== undefined);
    for (let attempt = 0; ; attempt++) {
      const key = await this.keys.current(chatId);
      try {
        return await work(key);
      } catch (error) {
        if (!(error instanceof ClientError) || error.code !== 'key_outdated' || attempt === TRIES) throw error;
        await this.waitFor(async () => ((await this.host.store.read((tx) => tx.get('chats', chatId)))?.row?.epoch ?? 0) > key.epoch); // prettier-ignore
      }
    }
  }

  /** Something of this device's own in a chat that one is in: in one transaction, and shown. */
  private async change(chatId: string, work: (tx: Writing, chat: ChatRecord) => Promise<void>): Promise<void> {
    await this.host.change(async (_books, tx) => {
      await work(tx, await ownChat(tx, chatId));
      await refresh(tx, chatId);
    });
    this.tellNews({ list: true, chats: [chatId] });
  }

  /** What came of something. */
  private async take({ chatId }: ChatWish, work: (tx: Writing) => Promise<void>): Promise<void> {
    await this.host.store.write(async (tx) => {
      await work(tx);
      await refresh(tx, chatId);
    });
    this.tellNews({ list: true, chats: [chatId] });
  }
}

/** Undefined for a chat that is not known here. */
export async function membershipIn(tx: Reading, chatId: string): Promise<string | undefined> {
  const chat = await tx.get('chats', chatId);
  const mine = chat?.row && (await tx.get('chatMembers', within(chatId, chat.me)));
  return mine?.row.state;
}

/** Rejects with `conversation_not_found` where one is not in it, or not any more. */
export async function ownChat(tx: Reading, chatId: string): Promise<ChatRecord> {
  if ((await membershipIn(tx, chatId)) !== 'accepted')
    throw new ClientError('conversation_not_found', 'There is no such conversation');
  return (await tx.get('chats', chatId))!;
}

async function refresh(tx: Writing, chatId: string): Promise<void> {
  const chat = await tx.get('chats', chatId);
  if (chat !== undefined) await tx.put('chats', [await summarize(tx, chat)]);
}

/** A later one about the same takes its place. */
async function wish(tx: Writing, id: string, told: ChatWish): Promise<void> {
  await tx.put('outbox', [{ id: `chat ${id}`, order: newId(), wish: told }]);
}

async function giveWay(tx: Writing, told: ChatWish, problem: string): Promise<void> {
  if (told.op === 'mark') return;
  const id = within(told.chatId, told.messageId);
  const record = await tx.get('chatMessages', id);
  if (told.op === 'post') {
    if (record?.state === 'waiting') await tx.put('chatMessages', [{ ...record, state: 'failed', problem }]);
    await tx.delete('outbox', [`chat edit ${id}`]);
  } else if (told.op === 'react') {
    const chat = await tx.get('chats', told.chatId);
    if (told.before !== undefined) await tx.put('chatReactions', [told.before]);
    else if (chat !== undefined) await tx.delete('chatReactions', [within(id, chat.me)]);
  } else if (told.op === 'edit') {
    const { body, editedAt } = told.before;
    if (record?.body !== undefined && record.body.edit === told.body.edit)
      await tx.put('chatMessages', [{ ...record, body, editedAt }]);
  } else if (told.before.state === undefined) {
    await tx.put('chatMessages', [told.before]);
  }
}

function seal({ op: _op, chatId, messageId, body }: Op<'post'> | Op<'edit'>, key: SealingKey): Promise<string> {
  const context = { kind: 'message', chatId, id: messageId, userId: key.me, epoch: key.epoch } as const;
  return sealChat(key.key, key.own.signing.privateKey, context, body);
}

function contentOf({ text, replyTo, mentions, files }: Draft): Omit<MessageBody, 'sent'> {
  if (!text && !files?.length) throw new ClientError('bad_request', 'There is nothing to send');
  return {
    ...(text && { text }),
    ...(replyTo === undefined ? {} : { replyTo }),
    ...(mentions?.length ? { mentions } : {}),
    ...(files?.length ? { files } : {}),
  };
}

/** What was to go is not there. */
function unlessGone(error: unknown): void {
  if (!(error instanceof ClientError) || error.code !== 'message_not_found') throw error;
}
