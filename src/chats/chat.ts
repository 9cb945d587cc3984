/*
 * What a chat is made of. A chat is an account of its own; all of its rows are in `shared_rows`, sealed by its key, and each
 * of its members is pointed to those that are theirs (src/changes/sharing.ts). Times are ms since 1970; numbers are the chat's.
 */

export type Role = 'owner' | 'admin' | 'member';
export type MemberState = 'invited' | 'accepted' | 'declined' | 'left' | 'removed';

/** Somebody who is, or was, in a chat, as far as it is plain. */
export interface Member {
  /** What others know them by. */
  userId: string;
  /** Where their rows go. */
  accountId: string;
  role: Role;
  state: MemberState;
  invitationId: string | null;
  /** Messages that were born before are not theirs. */
  visibleFrom: number;
}

const RANKS: Record<Role, number> = { owner: 0, admin: 1, member: 2 };

/** Once others were joined to it, one account may be in a chat as several users: it acts as the one with the most to say. */
export function foremost<M extends Pick<Member, 'role' | 'userId'>>(members: M[]): M | undefined {
  const [first] = [...members].sort((a, b) => RANKS[a.role] - RANKS[b.role] || (a.userId < b.userId ? -1 : 1));
  return first;
}

/** `visibleFrom` of an invitation by somebody whom the invited person blocks: they never hear of it. */
export const NEVER = Number.MAX_SAFE_INTEGER;

/** What others see of a person, as it was when it was last told. */
export interface Profile {
  name: string;
  /** Opaque; empty for somebody who has none. */
  publicKey: string;
  fingerprint: string;
  keySignature?: string;
  previousKey?: string;
}

/** The row `chat`. `name` is opaque: native clients seal it. */
export interface ChatContent {
  group: boolean;
  name?: string;
  /** Of the key that messages are sealed with, from 1 on. */
  epoch: number;
  createdAt: number;
  createdBy: string;
}

/** The rows `chat.member`, one for each user. */
export interface MemberContent extends Profile {
  userId: string;
  role: Role;
  state: MemberState;
  invitedBy?: string;
  invitationId?: string;
  /** They were invited to see what was written before, too. */
  history?: boolean;
  /** Opaque: what who invited them signed, and, once they accepted, what they signed of who did. */
  vouch?: string;
  vouchBack?: string;
  /** When they came to be in this state. */
  since: number;
}

/** The rows `chat.key`, one for each epoch and user: the chat's key, wrapped to that user's public key by another. */
export interface KeyContent {
  epoch: number;
  userId: string;
  key: string;
  by: string;
}

/** The rows `chat.message`. */
export interface MessageContent {
  userId: string;
  content: string;
  epoch?: number;
  /** Uploads of the author. */
  files?: string[];
  timestamp: number;
  editedAt?: number;
}

/** The rows `chat.reaction`, one for each message and user. They are born with their message. */
export interface ReactionContent {
  messageId: string;
  userId: string;
  content: string;
  epoch?: number;
  timestamp: number;
}

/** The rows `chat.mark`, one for each user: numbers of messages. */
export interface MarkContent {
  userId: string;
  delivered: number;
  read: number;
}

export interface Contents {
  chat: ChatContent;
  'chat.member': MemberContent;
  'chat.key': KeyContent;
  'chat.message': MessageContent;
  'chat.reaction': ReactionContent;
  'chat.mark': MarkContent;
}
export type RowKind = keyof Contents;

export function keyRowId(epoch: number, userId: string): string {
  return `${epoch}:${userId}`;
}

export function reactionRowId(messageId: string, userId: string): string {
  return `${messageId}:${userId}`;
}

/** The message of a reaction's row: user ids have 36 characters, whatever the message's id looks like. */
export function messageOfReaction(rowId: string): string {
  return rowId.slice(0, -37);
}

/** A conversation as REST and events have it. */
export interface ChatView {
  conversation_id: string;
  name: string | null;
  group: boolean;
  epoch: number;
  created_at: number;
}

export function toChatView(id: string, { name, group, epoch, createdAt }: ChatContent): ChatView {
  return { conversation_id: id, name: name ?? null, group, epoch, created_at: createdAt };
}

export interface MemberView {
  user_id: string;
  pseudo: string;
  public_key: string;
  fingerprint: string;
  role: Role;
  state: MemberState;
}

export function toMemberView({ userId, name, publicKey, fingerprint, role, state }: MemberContent): MemberView {
  return { user_id: userId, pseudo: name, public_key: publicKey, fingerprint, role, state };
}

export interface Sender {
  user_id: string;
  pseudo: string;
}

export interface MessageView {
  message_id: string;
  sender: Sender;
  messageContent: string;
  timestamp: number;
  edited_at?: number;
  number: number;
  epoch?: number;
  files?: string[];
}

export function toMessageView(id: string, number: number, message: MessageContent, pseudo: string): MessageView {
  const { userId, content, timestamp, editedAt, epoch, files } = message;
  return {
    message_id: id,
    sender: { user_id: userId, pseudo },
    messageContent: content,
    timestamp,
    number,
    ...(editedAt === undefined ? {} : { edited_at: editedAt }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(files === undefined ? {} : { files }),
  };
}
