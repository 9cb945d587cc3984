import type {
  ChatKeyRow,
  ChatMessageRow,
  ChatReactionRow,
  IdentityKeys,
  MessageBody,
  NameBody,
  ReactionBody,
} from '@pairline/protocol';
import { readFileReference } from '../files/reference.js';
import type { ChatKeyRecord, ChatMessageRecord, ChatReactionRecord, ChatRecord, PersonRecord } from '../store.js';
import { within } from './host.js';
import { publicKeyOf, unwrap } from './identity.js';
import { openChat, readName, type ChatContext } from './sealing.js';
import { signersOf } from './trust.js';
import type { ChatFault } from './types.js';

// From rows of chats as the server tells them to records: opened, and checked against what the server could have changed.

/** What it takes to open rows. */
export interface Keys {
  identity: IdentityKeys[];
  /** The user id by which one is known in a chat. */
  me(chatId: string): string;
  key(chatId: string, epoch: number): ChatKeyRecord | undefined;
  person(userId: string): PersonRecord | undefined;
}

type Opened<T> = { value?: T; fault?: ChatFault; unverified?: true };
type Kept<T> = Omit<T, 'round'>;

export async function openKey(row: ChatKeyRow, keys: Keys): Promise<ChatKeyRecord> {
  const { chatId, epoch, userId, by, number } = row;
  const senders = by === userId ? keys.identity.map(publicKeyOf) : (keys.person(by)?.keys ?? []);
  const opened = await unwrap(row.key, senders, { chatId, epoch, from: by, to: userId }, keys.identity);
  const record = { id: within(chatId, epoch), chatId, epoch, by, from: number };
  return opened === undefined ? { ...record, row } : { ...record, ...opened };
}

export async function openMessage(row: ChatMessageRow, keys: Keys): Promise<Kept<ChatMessageRecord>> {
  const { chatId, id: messageId, userId, number, timestamp, editedAt, epoch } = row;
  const place: ChatContext = { kind: 'message', chatId, id: messageId, userId, epoch: epoch ?? 0 };
  const { value, ...opened } = await open(row.content, place, keys, isMessageBody);
  const record: Kept<ChatMessageRecord> = {
    id: within(chatId, messageId),
    chatId,
    messageId,
    place: number,
    authorId: userId,
    timestamp,
    ...(editedAt === undefined ? {} : { editedAt }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(value && {
      body: { ...value, ...(value.files && { files: value.files.flatMap((file) => readFileReference(file) ?? []) }) },
    }),
    ...opened,
  };
  // The server takes nothing under a key that another one has followed: who has it may have been removed.
  if (value && epoch !== undefined && number > (keys.key(chatId, epoch + 1)?.from ?? Infinity))
    return { ...record, body: undefined, fault: 'tampered' };
  return isToBeTriedAgain(opened) ? { ...record, row, closed: chatId } : record;
}

export async function openReaction(row: ChatReactionRow, keys: Keys): Promise<Kept<ChatReactionRecord>> {
  const { chatId, messageId, userId, epoch = 0 } = row;
  const { value, ...opened } = await open(row.content, { kind: 'reaction', chatId, id: messageId, userId, epoch }, keys, isReactionBody); // prettier-ignore
  return {
    id: within(within(chatId, messageId), userId),
    chatId,
    message: within(chatId, messageId),
    userId,
    epoch,
    version: value?.version ?? 0,
    // What nobody can vouch for is not shown in somebody's name.
    ...(value && !opened.unverified ? { emoji: value.emoji } : {}),
    ...(isToBeTriedAgain(opened) ? { row, closed: chatId } : {}),
  };
}

/** Nothing for a chat without a name. */
export async function openName(
  chatId: string,
  name: string | undefined,
  keys: Keys,
): Promise<Pick<ChatRecord, 'name' | 'nameFault'>> {
  if (name === undefined) return {};
  const read = readName(name);
  if (read === undefined) return { nameFault: 'no-key' };
  const { epoch, userId, content } = read;
  const { value, fault } = await open(content, { kind: 'name', chatId, id: chatId, userId, epoch }, keys, isNameBody);
  return value === undefined ? { nameFault: fault } : { name: { text: value.name, epoch, version: value.version } };
}

async function open<T>(
  content: string,
  context: ChatContext,
  keys: Keys,
  isBody: (value: unknown) => value is T,
): Promise<Opened<T>> {
  const { chatId, epoch, userId } = context;
  const key = keys.key(chatId, epoch)?.key;
  if (key === undefined) return { fault: 'no-key' };
  const opened = await openChat(key, context, content);
  if (opened === undefined || !isBody(opened.value)) return { fault: 'tampered' };
  const { value } = opened;
  const known = userId === keys.me(chatId) ? keys.identity.map(publicKeyOf) : keys.person(userId)?.keys;
  // Who left before this person came is nobody's acquaintance.
  if (known === undefined || known.length === 0) return { value, unverified: true };
  return (await opened.isBy(signersOf(known))) ? { value } : { fault: 'wrong-author' };
}

/** A key may come, or become trusted. */
function isToBeTriedAgain({ fault, unverified }: Opened<unknown>): boolean {
  return unverified === true || fault === 'no-key' || fault === 'wrong-author';
}

// What is inside was written by a member, who may have its own faults.

function isMessageBody(given: unknown): given is MessageBody {
  const { text, replyTo, mentions, files, sent, edit } = (given ?? {}) as Partial<MessageBody>;
  return (
    isTextOrNone(text) &&
    isTextOrNone(replyTo) &&
    (mentions === undefined || (Array.isArray(mentions) && mentions.every(isMention))) &&
    (files === undefined || (Array.isArray(files) && files.every((file) => readFileReference(file) !== undefined))) &&
    Number.isFinite(sent) &&
    (edit === undefined || Number.isSafeInteger(edit))
  );
}

function isMention(given: Partial<NonNullable<MessageBody['mentions']>[number]> | null): boolean {
  return typeof given?.userId === 'string' && [given.at, given.length].every((it) => Number.isSafeInteger(it) && it! >= 0); // prettier-ignore
}

function isReactionBody(given: unknown): given is ReactionBody {
  const { emoji, version } = (given ?? {}) as Partial<ReactionBody>;
  return typeof emoji === 'string' && emoji.length <= 64 && Number.isSafeInteger(version);
}

function isNameBody(given: unknown): given is NameBody {
  const { name, version } = (given ?? {}) as Partial<NameBody>;
  return typeof name === 'string' && Number.isSafeInteger(version);
}

function isTextOrNone(given: unknown): boolean {
  return given === undefined || typeof given === 'string';
}
