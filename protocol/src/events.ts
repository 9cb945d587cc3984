import type { ChangesPage, ErrorBody, MessageRow, MessageStatus } from './rows.js';

// Socket.IO events that native clients use. All take an acknowledgement, answered once the effect is on disk.

/** The acknowledgement of an event. */
export type Ack<Reply = object> = ({ ok: true } & Reply) | ({ ok: false } & ErrorBody);

/** The handshake's `auth`: a session token or device token, and the cursor to follow the account's changes from. */
export interface Handshake {
  token?: string;
  after?: number;
}

export interface PhoneRegistration {
  deviceId: string;
  deviceName?: string;
  deviceModel?: string;
  /** Missing only on the first registration. */
  deviceToken?: string;
  inviteToken?: string;
}

/** What a phone tells of a message. */
export type PhoneMessage = Omit<MessageRow, 'tempId' | 'validUntil'>;

/** What a phone tells of a conversation. */
export interface PhoneConversation {
  id: string;
  phoneNumber: string;
  contactName?: string;
  lastMessage?: string;
  lastMessageTime?: number;
  unreadCount?: number;
}

type Event<Payload, Reply = object> = (payload: Payload, ack: (answer: Ack<Reply>) => void) => void;

export interface PhoneToServer {
  'mobile:register': Event<PhoneRegistration, { deviceId: string; accountId: string; deviceToken?: string }>;
  /** `keys`: what the phone hands the browser that showed the code (pairing.ts). */
  'mobile:scan-qr': Event<{ qrData: string; deviceId: string; keys?: string }, { sessionId: string }>;
  'mobile:messages': Event<{ messages: PhoneMessage[] }>;
  'mobile:conversations': Event<{ conversations: PhoneConversation[] }>;
  'mobile:message-status': Event<{ messageId: string; status: MessageStatus }>;
  'message:deleted': Event<{ messageId: string }>;
}

export interface BrowserToServer {
  'web:send-message': Event<{ phoneNumber: string; message: string; tempId: string; validUntil?: number }>;
  'web:mark-read': Event<{ conversationId: string }>;
  'web:delete-message': Event<{ messageId: string }>;
  'web:request-sync': Event<object>;
  userTyping: Event<{ conversationId: string }>;
}

/** Phones and browsers alike. */
export interface DeviceToServer {
  /** With `ifAbsent`, a value that is there already stands and the answer is `state_exists`. */
  'state:put': Event<{ key: string; value: unknown; ifAbsent?: boolean }, { seq: number }>;
  'state:delete': Event<{ key: string }, { seq: number }>;
}

/** Who types in a chat, with their name. */
export interface Typing {
  conversationId: string;
  user_id: string;
  pseudo: string;
}

export interface ServerToClient {
  changes: (page: ChangesPage) => void;
  error: (error: ErrorBody) => void;
  'mobile:connected': (presence: { deviceId: string; lastSeen: number }) => void;
  'mobile:disconnected': (presence: { deviceId: string; lastSeen: number }) => void;
  /** To a phone. Acknowledged with `{ok: true}` once the phone has it on disk; offered again on each connection until then. */
  'send:message': (wanted: { phoneNumber: string; message: string; tempId: string }, ack: (answer: { ok: boolean }) => void) => void; // prettier-ignore
  'mark:read': (read: { conversationId: string }, ack: (answer: { ok: boolean }) => void) => void;
  'delete:message': (gone: { messageId: string }) => void;
  'request:sync': (nothing: object) => void;
  userTyping: (typing: Typing) => void;
  userStoppedTyping: (typing: Typing) => void;
}
