import { STATE, type ContactsValue, type FlagsValue } from '@pairline/protocol';
import type { ConversationRecord, MessageRecord, Reading, Store } from './store.js';
import type { Contact, Conversation, Message } from './types.js';

// From what is kept to what is shown.

const PIECE = 500;
const CONTACTS = STATE.contacts(0).slice(0, -1);

export interface Text {
  id: string;
  conversationId: string;
  text: string;
  timestamp: number;
}

export async function listConversations(store: Store): Promise<Conversation[]> {
  const list = await store.read(async (tx) => {
    const drafts = new Map((await tx.all('drafts')).map(({ id, text }) => [id, text]));
    const records = (await tx.all('conversations')).filter(isShown);
    const keys = records.map(({ id }) => STATE.flags(id));
    const flags = await tx.getMany('states', keys);
    return records.map((record, i) => toConversation(record, flags[i]?.value, drafts.get(record.id)));
  });
  return list.sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.lastTime - a.lastTime);
}

export function readConversation(store: Store, id: string): Promise<Conversation | undefined> {
  return store.read(async (tx) => {
    const record = await find(tx, id);
    if (record === undefined) return undefined;
    const flags = await tx.get('states', STATE.flags(record.id));
    return toConversation(record, flags?.value, (await tx.get('drafts', record.id))?.text);
  });
}

export function readMessage(store: Store, id: string): Promise<Message | undefined> {
  return store.read(async (tx) => {
    const message = await tx.get('messages', id);
    return message && toMessage(message, await tx.get('conversations', message.conversationId));
  });
}

/** The newest messages, or those before one; oldest first. */
export function readThread(store: Store, id: string, limit: number, before?: Message): Promise<Message[]> {
  return store.read(async (tx) => {
    const record = await find(tx, id);
    const messages = await tx.range({ conversationId: record?.id ?? id, limit, ...(before && { before }) });
    return messages.map((message) => toMessage(message, record));
  });
}

export function readAfter(store: Store, message: Message, limit: number): Promise<Message[]> {
  return store.read(async (tx) => {
    const record = await find(tx, message.conversationId);
    const conversationId = record?.id ?? message.conversationId;
    return (await tx.range({ conversationId, after: message, limit })).map((each) => toMessage(each, record));
  });
}

export function readAround(store: Store, messageId: string, limit: number): Promise<Message[]> {
  return store.read(async (tx) => {
    const message = await tx.get('messages', messageId);
    if (message === undefined) return [];
    const { conversationId } = message;
    const half = Math.floor(limit / 2);
    const older = await tx.range({ conversationId, before: message, limit: half });
    const newer = await tx.range({ conversationId, after: message, limit: half });
    const record = await tx.get('conversations', conversationId);
    return [...older, message, ...newer].map((each) => toMessage(each, record));
  });
}

/** Newest first, in pieces. */
export async function* readTexts(store: Store): AsyncGenerator<Text[]> {
  for (let before: MessageRecord | undefined, more = true; more;) {
    const piece = await store.read((tx) => tx.range({ limit: PIECE, ...(before && { before }) }));
    before = piece[0];
    more = piece.length === PIECE;
    const texts = piece.filter(({ text }) => text !== '').map(toText);
    if (texts.length > 0) yield texts.reverse();
  }
}

export async function listContacts(store: Store): Promise<Contact[]> {
  const states = await store.read((tx) => tx.all('states'));
  const pieces = states.filter(({ id }) => id.startsWith(CONTACTS));
  return pieces.flatMap(({ value }) => (value as ContactsValue | undefined)?.contacts ?? []);
}

/** How many messages wait, whether something is sealed with keys that are not here, and whether the account has no phone any more: known once all that there is has come. */
export function readStanding(store: Store): Promise<{ waiting: number; sealed: boolean; phoneGone: boolean }> {
  return store.read(async (tx) => {
    const sync = await tx.value('sync');
    const isWhole = sync !== undefined && sync.snapshot === undefined;
    const phones = isWhole ? (await tx.all('devices')).filter(({ kind }) => kind === 'phone') : [];
    // Keys that are being made here, or were made and are about to be used, are not others'.
    const isElsewhere = sync?.sealed === true && !((await tx.value('founding')) ?? (await tx.value('keyring')));
    return { waiting: sync?.waiting ?? 0, sealed: isElsewhere, phoneGone: isWhole && phones.length === 0 };
  });
}

/** A conversation by any name it had. */
export async function find(tx: Reading, id: string): Promise<ConversationRecord | undefined> {
  const record = await tx.get('conversations', id);
  if (record !== undefined) return record;
  const move = await tx.get('moves', id);
  return move && find(tx, move.to);
}

export function toMessage(message: MessageRecord, conversation: ConversationRecord | undefined): Message {
  const { id, conversationId, timestamp, type, status } = message;
  const fault = isMisplaced(message, conversation) ? 'tampered' : message.fault;
  return {
    id,
    conversationId,
    number: message.number,
    text: fault === undefined ? message.text : '',
    ...(fault === undefined && message.files && { files: message.files }),
    timestamp,
    type,
    read: message.read || timestamp <= (conversation?.row?.readUpTo ?? 0),
    ...(status === undefined ? {} : { status }),
    ...(fault === undefined ? {} : { fault }),
    ...(fault === 'not-sealed' && message.unsealed !== undefined ? { unsealed: message.unsealed } : {}),
  };
}

function toConversation(record: ConversationRecord, flags: unknown, draft = ''): Conversation {
  const { id, number, name, row, last, unread, fault } = record;
  const { pinned, archived } = (flags ?? {}) as Partial<FlagsValue>;
  const told = row?.lastMessage;
  // The rule of docs/protocol.md: the newest message, unless the phone told of a newer one.
  const newest =
    told === undefined || (last !== undefined && last.timestamp >= row!.lastMessageTime) ? last : undefined;
  return {
    id,
    number,
    ...(name === undefined ? {} : { name }),
    lastText: newest === undefined ? (told ?? '') : isMisplaced(newest, record) ? '' : newest.text,
    lastTime: Math.max(row?.lastMessageTime ?? 0, last?.timestamp ?? 0),
    ...(newest?.file !== undefined && !isMisplaced(newest, record) && { lastFile: newest.file }),
    ...(newest === undefined ? {} : { lastType: newest.type }),
    ...(newest?.status === undefined ? {} : { lastStatus: newest.status }),
    ...(newest?.fault === undefined ? {} : { lastFault: newest.fault }),
    unread: (row?.unreadCount ?? 0) + unread,
    pinned: pinned === true,
    archived: archived === true,
    draft,
    readable: number !== '',
    ...(fault === undefined ? {} : { fault }),
  };
}

/** One of which only messages came is not shown before they say whose it is. */
function isShown({ row, number }: ConversationRecord): boolean {
  return row !== undefined || number !== '';
}

/** Whether the server put a message elsewhere than its envelope says. */
function isMisplaced({ alias }: Pick<MessageRecord, 'alias'>, conversation: ConversationRecord | undefined): boolean {
  return alias !== undefined && conversation?.row !== undefined && conversation.row.phoneNumber !== alias;
}

function toText({ id, conversationId, text, timestamp }: MessageRecord): Text {
  return { id, conversationId, text, timestamp };
}
