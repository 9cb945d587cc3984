import type { AccountKey } from '../changes/account-key.js';

/**
 * A conversation as a phone tells it, and as clients that follow by events are sent it (wire.md, section A). Times are
 * ms since 1970.
 */
export interface Conversation {
  id: string;
  phoneNumber: string;
  contactName?: string;
  lastMessage: string;
  lastMessageTime: number;
  unreadCount: number;
}

/**
 * A conversation as it is stored, and as clients that follow by cursor see it: what the phone told, and how far it was
 * read in a browser. Messages move it on without touching its row:
 * - its last message is the newest one, unless the phone told of a newer;
 * - a message is read when its own `read` says so or it is no newer than `readUpTo`;
 * - unread are `unreadCount` and the unread received messages newer than `countedUpTo`.
 */
export interface ConversationRow {
  id: string;
  phoneNumber: string;
  contactName?: string;
  /** Absent until the phone has told of the conversation. */
  lastMessage?: string;
  lastMessageTime: number;
  unreadCount: number;
  countedUpTo: number;
  readUpTo: number;
}

/** What of a conversation is stored in the clear. */
export interface ConversationColumns extends Pick<
  ConversationRow,
  'lastMessageTime' | 'unreadCount' | 'countedUpTo' | 'readUpTo'
> {
  /** A browser read it and the phone has not been seen to know. */
  readPending: boolean;
}

/** What of a conversation is sealed. */
export interface ConversationContent extends Pick<ConversationRow, 'phoneNumber' | 'contactName' | 'lastMessage'> {
  /** Once a client of delta sync gave it a name: the phone's own (null for none). Nobody sees it. */
  toldName?: string | null;
}

/** What of it everybody sees. */
export function shownContent(content: ConversationContent): Omit<ConversationContent, 'toldName'> {
  if (content.toldName === undefined) return content;
  const shown = { ...content };
  delete shown.toldName;
  return shown;
}

/** What a client of delta sync, which knows names alone, calls it. */
export function nameOf({ contactName, phoneNumber }: ConversationContent): string {
  return contactName ?? phoneNumber;
}

/** The content once a client of delta sync has named it. */
export function renamed(content: ConversationContent, name: string): ConversationContent {
  const { contactName, toldName = contactName ?? null, ...others } = content;
  return { ...others, ...(name === '' || name === content.phoneNumber ? {} : { contactName: name }), toldName };
}

/** What a phone tells of it now. A name given here stands until the phone calls it something new. */
export function retold(old: ConversationContent, told: ConversationContent): ConversationContent {
  const { contactName, toldName } = old;
  if (toldName === undefined || toldName !== (told.contactName ?? null)) return told;
  return { ...told, contactName, toldName };
}

export function toConversationRow(
  id: string,
  columns: ConversationColumns,
  content: ConversationContent,
): ConversationRow {
  const { lastMessageTime, unreadCount, countedUpTo, readUpTo } = columns;
  return { id, lastMessageTime, unreadCount, countedUpTo, readUpTo, ...shownContent(content) };
}

/** What the messages of a conversation add to its row. */
export interface MovedOn {
  /** The newest one. */
  last: { body: string; timestamp: number } | null;
  /** Unread received ones newer than `countedUpTo`. */
  unread: number;
}

export function toConversation(row: ConversationRow, { last, unread }: MovedOn): Conversation {
  const newest =
    last !== null && (last.timestamp >= row.lastMessageTime || row.lastMessage === undefined) ? last : null;
  return {
    id: row.id,
    phoneNumber: row.phoneNumber,
    ...(row.contactName === undefined ? {} : { contactName: row.contactName }),
    lastMessage: newest?.body ?? row.lastMessage ?? '',
    lastMessageTime: Math.max(row.lastMessageTime, newest?.timestamp ?? 0),
    unreadCount: row.unreadCount + unread,
  };
}

/** A conversation that nobody has told anything of yet. */
export const UNTOLD: ConversationColumns = {
  lastMessageTime: 0,
  unreadCount: 0,
  countedUpTo: 0,
  readUpTo: 0,
  readPending: false,
};

/**
 * The columns after a phone told of the conversation. What it told before it knew of a later reading in a browser does
 * not make the conversation unread again; what it told out of turn is left aside.
 */
export function afterTelling(
  old: ConversationColumns,
  told: Pick<Conversation, 'lastMessageTime' | 'unreadCount'>,
): ConversationColumns {
  if (told.lastMessageTime < old.lastMessageTime) return old;
  const readHere = told.lastMessageTime <= old.readUpTo;
  return {
    lastMessageTime: told.lastMessageTime,
    unreadCount: readHere ? 0 : told.unreadCount,
    countedUpTo: readHere ? old.countedUpTo : told.lastMessageTime,
    readUpTo: old.readUpTo,
    readPending: old.readPending && readHere && told.unreadCount > 0,
  };
}

/** The columns after a browser read everything, the newest message being of `newest`. */
export function afterReading(old: ConversationColumns, newest: number): ConversationColumns {
  const readUpTo = Math.max(old.readUpTo, old.lastMessageTime, newest);
  return { ...old, unreadCount: 0, countedUpTo: readUpTo, readUpTo, readPending: true };
}

/** Finds a conversation by its number however it is written: "+1 (555) 010-0" and "+15550100" are one. */
export function numberIndex(account: AccountKey, phoneNumber: string): Buffer {
  return account.index('number', normalizeNumber(phoneNumber));
}

export function normalizeNumber(phoneNumber: string): string {
  const compact = phoneNumber.normalize('NFKC').replace(/[\s().\-/\u00ad\u2010-\u2015]/g, '');
  return (compact || phoneNumber).replace(/^00(?=\d{6})/, '+').toLowerCase();
}
