import type {
  ChatChange,
  ChatKeyRow,
  ChatMemberRow,
  ChatMessageRow,
  ChatReactionRow,
  ChatRow,
  ConversationRow,
  DeviceRow,
  FileReference,
  LocalStatus,
  MessageBody,
  MessageRow,
  RecordRow,
  StateRow,
} from '@pairline/protocol';
import type { ChatFault } from './chats/types.js';
import type { SavedKeyring } from './keys/index.js';
import type { Fault } from './types.js';

// What a client keeps, and the one interface behind which it is kept. A store holds the secrets of its device: who reads
// it reads everything.

/** The small things, each under its name. */
export interface Values {
  /** Absent while nobody is signed in. */
  session?: Session;
  /** Of an account without end-to-end encryption there is none. */
  keyring?: SavedKeyring;
  sync?: SyncState;
  /** What the phone side keeps besides. */
  phone?: PhoneState;
  /** Keys for an account that has none yet, until it is sure that no other device was first. */
  founding?: SavedKeyring;
  /** The public key that the server was last told. */
  published?: string;
}

export interface Session {
  /** In another realm than `default` it is refreshed from time to time. */
  token: string;
  accountId: string;
  /** This device. */
  deviceId: string;
  /** The phone that let this device in; empty for one that signed in. */
  phoneId: string;
  /** Absent in `default`. The refresh token is good once. */
  realm?: { slug: string; refreshToken: string };
}

export interface SyncState {
  /** Whose rows these are. They outlive a session that ran out. */
  accountId: string;
  /** Everything up to this change is here. */
  cursor: number;
  /** Grows with each start over; rows of an older round are gone from the server. */
  round: number;
  /** A snapshot that is being read: where to go on, and, after its first page, the cursor to follow from then. */
  snapshot?: { next: number; cursor?: number };
  /** Messages with status `waiting` or `queued`. */
  waiting: number;
  /** Whether something sealed came that this device has no keys for. */
  sealed?: boolean;
}

export interface PhoneState {
  deviceId: string;
  deviceToken?: string;
  accountId?: string;
  cursor: number;
  /** The highest version given to anything yet. */
  version: number;
  /** A digest of each piece of the address book as it was told last. */
  contacts: string[];
}

/** A message as it is shown, and what is needed to keep it right. */
export interface MessageRecord {
  id: string;
  conversationId: string;
  number: string;
  text: string;
  files?: FileReference[];
  timestamp: number;
  type: 'sent' | 'received';
  status?: LocalStatus;
  read: boolean;
  fault?: Fault;
  /** What a message in the clear says, in an account with keys. */
  unsealed?: string;
  /** The row, while it cannot be opened: its key may come. */
  row?: MessageRow;
  /**
   * For a message whose envelope names no conversation: the alias it was sent to. It belongs where the conversation has
   * the same one.
   */
  alias?: string;
  /** The number of the change that brought it here first; absent while only this device knows it. */
  born?: number;
  round: number;
}

/** A conversation: its row, and what its messages make of it (docs/protocol.md, "Conversations in the change log"). */
export interface ConversationRecord {
  id: string;
  number: string;
  /** What the server knows it by, where the number was learned from a message. */
  alias?: string;
  name?: string;
  /** Of the sealed part. */
  version?: { epoch: number; version: number };
  /** Absent while only messages of it have come. */
  row?: ConversationRow;
  fault?: Fault;
  /** The newest message. */
  last?: Pick<MessageRecord, 'id' | 'timestamp' | 'text' | 'type' | 'status' | 'alias' | 'fault'> & {
    /** The type of its first file. */
    file?: string;
  };
  /** Unread received messages that the row's own count does not have. */
  unread: number;
  round: number;
}

export interface DeviceRecord extends DeviceRow {
  round: number;
}

export interface StateRecord {
  id: string;
  value?: unknown;
  version?: { epoch: number; version: number };
  /** The row, while it cannot be opened. */
  row?: StateRow;
  round: number;
}

/** A row of an app's table. */
export interface RecordRecord {
  id: string;
  table: string;
  data?: unknown;
  /** When it was written, ms since 1970; epoch 0: in the clear. Absent when there is no data that could be opened. */
  version?: { epoch: number; version: number };
  /** The row, while it cannot be opened. */
  row?: RecordRow;
  round: number;
}

/** Something done here that the server does not know yet. Worked off in the order of `order`. */
export interface OutboxRecord {
  /** What it is about: a later one about the same takes its place. */
  id: string;
  order: string;
  wish:
    | { kind: 'send'; number: string; text: string; timestamp: number; conversationId?: string; sealed?: Sealed }
    | { kind: 'read'; conversationId: string; upTo: number }
    /** `files`: ids of its files, which go after it. */
    | { kind: 'delete'; messageId: string; files?: string[] }
    | { kind: 'put'; key: string; value: unknown }
    | RowWish
    | ChatWish;
}

/** What was done in a chat. What is sealed is sealed as it goes: with the newest key. */
export type ChatWish = { kind: 'chat'; chatId: string } & (
  | { op: 'post'; messageId: string; body: MessageBody }
  /** `before`: what stands when it is refused. */
  | { op: 'edit'; messageId: string; body: MessageBody; before: ChatMessageRecord }
  | { op: 'delete'; messageId: string; before: ChatMessageRecord }
  | { op: 'react'; messageId: string; emoji?: string; version: number; before?: ChatReactionRecord }
  | { op: 'mark'; delivered: number; read: number }
);

/** What an app wrote: without `value` or `data` it is to be deleted. */
export type RowWish =
  | { kind: 'value'; key: string; value?: unknown; version: number }
  | { kind: 'record'; recordId: string; table: string; data?: unknown; version: number };

/** As it went out: a repeat has to be the same to the byte. */
export interface Sealed {
  phoneNumber: string;
  message: string;
}

export interface DraftRecord {
  id: string;
  text: string;
}

/** Where a conversation went that had no name of the phone's yet. */
export interface MoveRecord {
  id: string;
  to: string;
}

/** A row of a chat, or what ends a snapshot (no change), until somebody has opened it. */
export interface InboxRecord {
  /** The kind and the id of the row. */
  id: string;
  seq: number;
  change?: ChatChange;
  round: number;
}

export interface ChatRecord {
  id: string;
  /** Absent while only other rows of it have come. */
  row?: ChatRow;
  /** As it was opened; of an older one nothing is believed. */
  name?: { text: string; epoch: number; version: number };
  nameFault?: ChatFault;
  /** The user id by which others know this person there. */
  me: string;
  last?: ChatMessageRecord;
  unread: number;
  mentioned: boolean;
  /** The epoch whose key somebody has who is not in it any more. */
  spent?: number;
  round: number;
}

export interface ChatMemberRecord {
  id: string;
  chatId: string;
  row: ChatMemberRow;
  /** Somebody whom this device believes vouched for them, or the person here did, since they are in it. */
  vouched?: true;
  /** The epoch in which they went, when they did. */
  out?: number;
  round: number;
}

export interface ChatKeyRecord {
  id: string;
  chatId: string;
  epoch: number;
  /** Who wrapped it, and, of a key that could be opened, with which public key. */
  by: string;
  sender?: string;
  /** Base64url. */
  key?: string;
  /** The number in the chat from which on it counts. */
  from: number;
  /** The row, while it cannot be opened. */
  row?: ChatKeyRow;
}

export interface ChatMessageRecord {
  id: string;
  chatId: string;
  messageId: string;
  /** The server's number; of those that wait, one behind all of those. */
  place: number;
  authorId: string;
  timestamp: number;
  editedAt?: number;
  /** Absent when it could not be opened, or was deleted. */
  body?: MessageBody;
  epoch?: number;
  deleted?: true;
  fault?: ChatFault;
  unverified?: true;
  /** Only this device has it. */
  state?: 'waiting' | 'failed';
  problem?: string;
  /** The row and, to find it by, the id of the chat: while it cannot be opened or verified. */
  row?: ChatMessageRow;
  closed?: string;
  round: number;
}

export interface ChatReactionRecord {
  id: string;
  chatId: string;
  /** The id of the message's record. */
  message: string;
  userId: string;
  /** Absent when it was taken back, or could not be opened. */
  emoji?: string;
  epoch: number;
  version: number;
  /** As in a message. */
  row?: ChatReactionRow;
  closed?: string;
  round: number;
}

export interface ChatMarkRecord {
  id: string;
  chatId: string;
  userId: string;
  delivered: number;
  read: number;
  round: number;
}

/** What is known of somebody, and which keys are believed to be theirs. */
export interface PersonRecord {
  id: string;
  name: string;
  /** Those that were trusted here, the oldest first. */
  keys: string[];
  keyChanged?: 'signed' | 'unsigned';
  /** The key that the server says is theirs, while it is not trusted. */
  offered?: string;
  /** The key for which the safety words were compared. */
  verified?: string;
}

export interface BlockRecord {
  id: string;
  round: number;
}

export interface Tables {
  conversations: ConversationRecord;
  devices: DeviceRecord;
  states: StateRecord;
  records: RecordRecord;
  outbox: OutboxRecord;
  drafts: DraftRecord;
  moves: MoveRecord;
  messages: MessageRecord;
  inbox: InboxRecord;
  chats: ChatRecord;
  chatMembers: ChatMemberRecord;
  chatKeys: ChatKeyRecord;
  chatMessages: ChatMessageRecord;
  chatReactions: ChatReactionRecord;
  chatMarks: ChatMarkRecord;
  people: PersonRecord;
  blocks: BlockRecord;
}

/** By which fields records are looked up, besides their ids. */
export interface Fields {
  records: 'table';
  chatMembers: 'chatId';
  chatKeys: 'chatId';
  chatMessages: 'closed';
  chatReactions: 'message' | 'closed';
  chatMarks: 'chatId';
}

export const TABLES = [
  'conversations',
  'devices',
  'states',
  'records',
  'outbox',
  'drafts',
  'moves',
  'messages',
  'inbox',
  'chats',
  'chatMembers',
  'chatKeys',
  'chatMessages',
  'chatReactions',
  'chatMarks',
  'people',
  'blocks',
] as const;

/** A place in a thread. Messages are in the order of their time, and of their ids where that is the same. */
export type Place = Pick<MessageRecord, 'timestamp' | 'id'>;

/** Behind every id. */
export const LAST_ID = '\uffff';

export interface Range {
  /** All conversations without it. */
  conversationId?: string;
  /** The newest ones older than this. */
  before?: Place;
  /** The oldest ones newer than this. Without either: the newest. */
  after?: Place;
  limit: number;
}

/** Messages of a chat, as in `Range`. */
export interface ChatRange {
  chatId: string;
  before?: ChatPlace;
  after?: ChatPlace;
  limit: number;
}

/** Messages of a chat are in the order of their places, and of their ids where those are the same. */
export type ChatPlace = Pick<ChatMessageRecord, 'place' | 'id'>;

export interface Reading {
  value<K extends keyof Values>(name: K): Promise<Values[K]>;
  get<T extends keyof Tables>(table: T, id: string): Promise<Tables[T] | undefined>;
  /** Each in the place of its id. */
  getMany<T extends keyof Tables>(table: T, ids: string[]): Promise<(Tables[T] | undefined)[]>;
  all<T extends Exclude<keyof Tables, 'messages' | 'chatMessages'>>(table: T): Promise<Tables[T][]>;
  /** Oldest first. */
  range(range: Range): Promise<MessageRecord[]>;
  /** Those with this fault, by id. */
  faulty(fault: Fault, afterId: string, limit: number): Promise<MessageRecord[]>;
  where<T extends keyof Fields>(table: T, field: Fields[T], value: string): Promise<Tables[T][]>;
  /** Oldest first. */
  thread(range: ChatRange): Promise<ChatMessageRecord[]>;
  /** What came first. */
  inbox(limit: number): Promise<InboxRecord[]>;
}

export interface Writing extends Reading {
  set<K extends keyof Values>(name: K, value: Values[K]): Promise<void>;
  put<T extends keyof Tables>(table: T, records: Tables[T][]): Promise<void>;
  delete(table: keyof Tables, ids: string[]): Promise<void>;
  /** Everything goes, values too. */
  clear(): Promise<void>;
}

/**
 * Keeps a client's data. `memoryStore()` is one, `browserStore(name)` and `fileStore(path)` outlive their process. What
 * comes out of it must not be changed in place.
 */
export interface Store {
  /** Called once, before anything else. */
  open(): Promise<void>;
  /** Where what is written from now on is kept; what is not remembered goes with the tab. Drops the other place's data. */
  remember(yes: boolean): Promise<void>;
  read<T>(work: (tx: Reading) => Promise<T>): Promise<T>;
  /**
   * All or nothing, and one at a time, whichever tab or client writes. The work may wait for nothing but the transaction;
   * it must not use a transaction after it ended.
   */
  write<T>(work: (tx: Writing) => Promise<T>): Promise<T>;
  /** One at a time over all clients (tabs) of this store. */
  exclusive<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Tells the other clients of this store that something was written that the server will not tell them of. */
  announce(news: News): void;
  onNews(listener: (news: News) => void): () => void;
  close(): Promise<void>;
}

/** What another client of the same store did. */
export interface News {
  /** Somebody signed in or out. */
  session?: true;
  /** Conversations whose messages, draft or flags changed, and since when: the time of the oldest message that did. */
  conversations?: [id: string, since: number][];
  /** Values of the app. */
  values?: true;
  /** Tables of the app. */
  records?: string[];
  /** There is something to send. */
  outbox?: true;
  /** Rows of chats came. */
  inbox?: true;
  /** What of chats changed. */
  chats?: ChatsNews;
}

export interface ChatsNews {
  list?: true;
  chats?: string[];
  invitations?: true;
  people?: true;
}

/** The order of messages in a thread. */
export function isBefore(a: Place, b: Place): boolean {
  return a.timestamp < b.timestamp || (a.timestamp === b.timestamp && a.id < b.id);
}
