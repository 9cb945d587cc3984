import type { ConversationRow, DeviceRow, LocalStatus, MessageRow, RecordRow, StateRow } from '@pairline/protocol';
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
}

export interface Session {
  token: string;
  accountId: string;
  /** This device. */
  deviceId: string;
  /** The phone that let this device in; empty for one that signed in. */
  phoneId: string;
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
  last?: Pick<MessageRecord, 'id' | 'timestamp' | 'text' | 'type' | 'status' | 'alias' | 'fault'>;
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
    | { kind: 'delete'; messageId: string }
    | { kind: 'put'; key: string; value: unknown }
    | RowWish;
}

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

export interface Tables {
  conversations: ConversationRecord;
  devices: DeviceRecord;
  states: StateRecord;
  records: RecordRecord;
  outbox: OutboxRecord;
  drafts: DraftRecord;
  moves: MoveRecord;
  messages: MessageRecord;
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

export interface Reading {
  value<K extends keyof Values>(name: K): Promise<Values[K]>;
  get<T extends keyof Tables>(table: T, id: string): Promise<Tables[T] | undefined>;
  /** Each in the place of its id. */
  getMany<T extends keyof Tables>(table: T, ids: string[]): Promise<(Tables[T] | undefined)[]>;
  all<T extends Exclude<keyof Tables, 'messages'>>(table: T): Promise<Tables[T][]>;
  /** Oldest first. */
  range(range: Range): Promise<MessageRecord[]>;
  /** Those with this fault, by id. */
  faulty(fault: Fault, afterId: string, limit: number): Promise<MessageRecord[]>;
  /** The records of one of the app's tables. */
  inTable(table: string): Promise<RecordRecord[]>;
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
}
