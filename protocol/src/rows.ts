// Rows as the native door tells them (docs/protocol.md, section F). Times are ms since 1970. A `string` marked
// "sealed" holds an envelope (envelope.ts) when it comes from a native client, and plain text otherwise.

/** A change of one row of the account. `row` is there unless the row is gone. */
export type Change = RowChange | ChatChange;

export type RowChange = ChangeOf<'conversation', ConversationRow> | ChangeOf<'message', MessageRow> | ChangeOf<'device', DeviceRow> | ChangeOf<'state', StateRow> | ChangeOf<'record', RecordRow>; // prettier-ignore

/** A change in a conversation between accounts: its id is that of the chat, or that, a colon, and the row's. */
export type ChatChange = ChangeOf<'chat', ChatRow> | ChangeOf<'chat.member', ChatMemberRow> | ChangeOf<'chat.key', ChatKeyRow> | ChangeOf<'chat.message', ChatMessageRow> | ChangeOf<'chat.reaction', ChatReactionRow> | ChangeOf<'chat.mark', ChatMarkRow> | ChangeOf<'block', BlockRow>; // prettier-ignore

interface ChangeOf<Kind extends string, Row> {
  /** The account's number of the change: unique, and in the order in which changes happened. */
  seq: number;
  kind: Kind;
  id: string;
  op: 'put' | 'delete';
  at: number;
  row?: Row;
}

/** What `GET /api/changes` and the event `changes` carry. */
export interface ChangesPage {
  changes: Change[];
  /** What to pass as `after` next. */
  cursor: number;
  /** Absent on the event. */
  more?: boolean;
}

/** What `GET /api/snapshot` answers: pass `next` as `after` until `more` is false, then follow from `cursor`. */
export interface SnapshotPage {
  changes: Change[];
  cursor: number;
  next: number;
  more: boolean;
}

export interface ConversationRow {
  id: string;
  /** The other side's number; an alias of it (envelope.ts) from a native client. */
  phoneNumber: string;
  /** Sealed: `SealedConversation`. */
  contactName?: string;
  /** As the phone told it; native clients leave it empty. */
  lastMessage?: string;
  lastMessageTime: number;
  /** Unread messages up to `countedUpTo`; later unread ones count besides. */
  unreadCount: number;
  countedUpTo: number;
  /** Every message up to here was read in a browser. */
  readUpTo: number;
}

export type MessageStatus = 'queued' | 'sending' | 'sent' | 'delivered' | 'read' | 'failed' | 'cancelled';

export interface MessageRow {
  id: string;
  conversationId: string;
  /** As in `ConversationRow`. */
  phoneNumber: string;
  /** Sealed: `SealedMessage`. */
  body: string;
  timestamp: number;
  type: 'sent' | 'received';
  status?: MessageStatus;
  read: boolean;
  /** The id a browser gave a message that it wrote. */
  tempId?: string;
  /** Until when the phone may take a queued message. */
  validUntil?: number;
}

export interface DeviceRow {
  id: string;
  kind: 'phone' | 'browser';
  name: string;
  model?: string;
  /** For a browser: the phone of its session. */
  pairedWith?: string;
  createdAt: number;
}

/** A value that devices of an account share under a name. The server does not look into it. */
export interface StateRow {
  id: string;
  value: unknown;
}

/** A row of an app's table (docs/table-sync.md). The server does not look into it. */
export interface RecordRow {
  /** A UUID. */
  id: string;
  table: string;
  /** Sealed: `SealedRecord`. */
  data: unknown;
  /** When it was written, by the writer's clock, in the form in which it was pushed: ms since 1970, or ISO 8601. */
  clientDate: number | string;
  /** The device that wrote it. */
  origin: string;
}

/** What the rows of a chat have in common. */
interface RowOfChat {
  chatId: string;
  /** Within the chat. */
  id: string;
  /** Of the chat's own count: all its members have the same. Rows keep that with which they came first. */
  number: number;
}

/** Gone when the chat has ended: all that was in it is gone too. */
export interface ChatRow extends RowOfChat {
  /** False: two people, and nobody else ever. */
  group: boolean;
  /** Sealed (chat.ts). */
  name?: string;
  /** Of the newest key. */
  epoch: number;
  createdAt: number;
  createdBy: string;
}

/** A person in a chat; `id` is the user id. */
export interface ChatMemberRow extends RowOfChat {
  userId: string;
  name: string;
  /** Of native clients: see chat.ts. */
  publicKey: string;
  fingerprint: string;
  /** By the key before, for this one. */
  keySignature?: string;
  previousKey?: string;
  role: 'owner' | 'admin' | 'member';
  state: 'invited' | 'accepted' | 'declined' | 'left' | 'removed';
  invitedBy?: string;
  invitationId?: string;
  history?: boolean;
  /** Of native clients (chat.ts): by who invited them, of them; and by them, of who did. */
  vouch?: string;
  vouchBack?: string;
}

/** The key of an epoch for this person alone; `id` is the epoch, a colon, and the user id. */
export interface ChatKeyRow extends RowOfChat {
  epoch: number;
  userId: string;
  /** Wrapped (chat.ts). */
  key: string;
  /** The user id of who wrapped it. */
  by: string;
}

export interface ChatMessageRow extends RowOfChat {
  userId: string;
  /** Sealed (chat.ts). */
  content: string;
  /** Absent in what clients wrote that know of none. */
  epoch?: number;
  /** Ids of uploads. */
  files?: string[];
  timestamp: number;
  editedAt?: number;
}

/** `id` is that of the message, a colon, and the user id; `number` is the message's. */
export interface ChatReactionRow extends RowOfChat {
  messageId: string;
  userId: string;
  content: string;
  epoch?: number;
  timestamp: number;
}

/** Up to which numbers a person's devices have messages, and the person has seen them; `id` is the user id. */
export interface ChatMarkRow extends RowOfChat {
  userId: string;
  delivered: number;
  read: number;
}

/** Somebody whom this person blocks; the id is their user id. */
export interface BlockRow {
  id: string;
}

/** A device as `GET /api/devices` lists it. */
export interface ListedDevice extends Omit<DeviceRow, 'pairedWith'> {
  lastSeen: number;
  /** Whether it is the one that asks. */
  current: boolean;
}

/** The body of every error, and with `ok: false` every negative acknowledgement. */
export interface ErrorBody {
  success: false;
  /** Stable, snake_case; docs/protocol.md lists them. */
  code: string;
  message: string;
  error: string;
  requestId: string;
  /** Seconds. */
  retryAfter?: number;
}
