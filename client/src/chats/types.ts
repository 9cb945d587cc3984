import type { FileReference } from '@pairline/protocol';

// What applications see of private conversations and groups. Times are ms since 1970.

/** `owner`: one of each group, who begins it; of two people that talk to each other alone both are `owner`. */
export type Role = 'owner' | 'admin' | 'member';

/** Where somebody stands to a chat. */
export type Membership = 'invited' | 'accepted' | 'declined' | 'left' | 'removed';

/**
 * Why something cannot be shown: its key is not here (`no-key`: it opens by itself when the key comes), it was changed on the
 * way (`tampered`), or it is not by the one that the server says (`wrong-author`).
 */
export type ChatFault = 'no-key' | 'tampered' | 'wrong-author';

/** Somebody, as far as is known here. */
export interface Person {
  userId: string;
  /** The name that they sign in with. */
  name: string;
  /** Of the key that this device trusts: its SHA-256, 64 hexadecimal digits. */
  fingerprint: string;
  /**
   * Their key is another one than the one that was trusted here. `signed`: they made it themselves, and it is trusted. `unsigned`:
   * nobody can say whether it is theirs; warn, and go on with `trust()` once they said so: until then nothing is sealed
   * to it. Gone after `trust()`.
   */
  keyChanged?: 'signed' | 'unsigned';
  /** Whether somebody said here that the safety words are the same, for this very key. */
  verified: boolean;
  blocked: boolean;
}

export interface Member extends Person {
  role: Role;
  membership: Membership;
  /** Whether this is oneself. */
  me: boolean;
  /** The user id of who invited them. */
  invitedBy?: string;
  /**
   * Whether somebody who belongs to it said so of them, or the person here did (`vouch`). Until then they get no key: the server
   * may have made them up.
   */
  vouched: boolean;
}

export interface Profile {
  userId: string;
  name: string;
  /** Of one's own key; empty while there is none. */
  fingerprint: string;
  /** Whether nobody finds one by searching. */
  hidden: boolean;
}

/** Found by searching: not somebody who is known here yet. `usable` is false for those whose app encrypts in another way. */
export interface FoundPerson {
  userId: string;
  name: string;
  fingerprint: string;
  usable: boolean;
}

/** A conversation of two people, or a group. */
export interface Chat {
  id: string;
  group: boolean;
  /** Of a group its name, which may be empty; of two people the other one's. */
  name: string;
  /** Why the group's name is not known here. */
  fault?: ChatFault;
  /** Of two people, the other one. */
  with?: Person;
  role: Role;
  /** Whether one is in it: `left` and `removed` ones stay to be read. */
  membership: Membership;
  createdAt: number;
  /** How many are in it, oneself among them. */
  members: number;
  /** The newest message. */
  last?: ChatLine;
  /** When something was last written, or when it began. */
  lastTime: number;
  /** At most 1000. */
  unread: number;
  /** Whether one of the unread ones mentions oneself. */
  mentioned: boolean;
  pinned: boolean;
  archived: boolean;
  muted: boolean;
  draft: string;
  /** Somebody in it has an `unsigned` key. */
  warning: boolean;
  /** Somebody in it has a key, and nobody vouches for them: it is not used. */
  strangers: boolean;
}

/** A message in one line of the list. */
export interface ChatLine {
  id: string;
  authorId: string;
  authorName: string;
  mine: boolean;
  text: string;
  /** How many files. */
  files: number;
  timestamp: number;
  state?: ChatMessageState;
  deleted?: true;
  fault?: ChatFault;
}

/**
 * How far a message of one's own is. `waiting`: kept here, not yet with the server; `sent`: the server has it; `delivered`, `read`: on a
 * device of everybody else, seen by everybody else; `failed`: see `problem`, `retry` sends it again.
 */
export type ChatMessageState = 'waiting' | 'sent' | 'delivered' | 'read' | 'failed';

export interface ChatMessage {
  id: string;
  chatId: string;
  authorId: string;
  /** Empty where it is not known any more. */
  authorName: string;
  mine: boolean;
  /** Empty when `fault` or `deleted` is there. */
  text: string;
  /** When the server got it; while it waits, when it was written. */
  timestamp: number;
  editedAt?: number;
  /** Of one's own messages alone. */
  state?: ChatMessageState;
  /** Why it failed: an error code of the server. */
  problem?: string;
  /** What it answers; `text` is empty where that is not here, or was deleted. */
  replyTo?: { id: string; authorId?: string; authorName: string; text: string };
  mentions: Mention[];
  files: FileReference[];
  reactions: Reaction[];
  /** It was deleted for everyone; only its place is left. */
  deleted?: true;
  fault?: ChatFault;
  /** Who wrote it left before one came: that it is by this person cannot be verified. */
  unverified?: true;
  /** Where it stands in the thread: the server's number, or, while it waits, one behind all of those. */
  place: number;
}

/** `at` and `length` count UTF-16 units of the text, as JavaScript does. */
export interface Mention {
  userId: string;
  at: number;
  length: number;
}

export interface Reaction {
  emoji: string;
  people: { userId: string; name: string }[];
  /** Whether oneself is among them. */
  mine: boolean;
}

/** How far a message is with one of the others. */
export interface Receipt {
  userId: string;
  name: string;
  state: 'sent' | 'delivered' | 'read';
}

export interface Invitation {
  id: string;
  chatId: string;
  group: boolean;
  /** Of a group, if it can be decrypted. */
  name: string;
  from: Person;
  createdAt: number;
}

/** What to write. Something of it has to be there. */
export interface Draft {
  text?: string;
  /** The id of the message that it answers. */
  replyTo?: string;
  mentions?: Mention[];
  files?: FileReference[];
}

export interface ChatsEvents {
  /** The list changed: read it again. */
  chats: [];
  /** Messages, members, marks or reactions of a chat changed: read what is shown again. */
  chat: [chatId: string];
  /** Who types in a chat now; nobody when it is empty. */
  typing: [chatId: string, people: { userId: string; name: string }[]];
  invitations: [];
  /** Keys of people, or who is blocked, changed. */
  people: [];
  /** A message of somebody else came while the client was live: for notifications. None that may be forged. */
  incoming: [message: ChatMessage, chat: Chat];
}

/**
 * Private conversations and groups. Whatever rejects does so with a `ClientError`: `no_keys` where the account's keys are on
 * another device (`state.keys` is `elsewhere`), `not_paired`, `offline`, or a code of the server's.
 */
export interface Chats {
  on<E extends keyof ChatsEvents>(event: E, listener: (...args: ChatsEvents[E]) => void): () => void;

  // What is there: from the store, also without a connection

  /** Pinned ones first, then the newest first; archived ones are in it, marked. Invitations are not. */
  list(): Promise<Chat[]>;
  chat(chatId: string): Promise<Chat | undefined>;
  /** The newest `limit` (50) messages, or those before (older than) one; oldest first. */
  messages(chatId: string, options?: { before?: ChatMessage; limit?: number }): Promise<ChatMessage[]>;
  /** The messages right after (newer than) one; oldest first. */
  after(message: ChatMessage, limit: number): Promise<ChatMessage[]>;
  /** The messages around one, for jumping to it; oldest first. Empty when it is not here. */
  around(chatId: string, messageId: string, limit: number): Promise<ChatMessage[]>;
  message(chatId: string, messageId: string): Promise<ChatMessage | undefined>;
  /** How far one's own message is with each of the others. */
  receipts(chatId: string, messageId: string): Promise<Receipt[]>;
  /** Every readable message, newest first in each chat, in pieces: for a search index. */
  texts(): AsyncIterable<{ id: string; chatId: string; text: string; timestamp: number }[]>;
  /** The owner first, then admins, then by name; those who left or declined are not in it. */
  members(chatId: string): Promise<Member[]>;
  invitations(): Promise<Invitation[]>;

  // Writing: kept in the outbox before it resolves, shown at once; goes in order when there is a connection

  send(chatId: string, draft: Draft): Promise<ChatMessage>;
  /** Sends a failed message again, as the same one. */
  retry(chatId: string, messageId: string): Promise<ChatMessage>;
  edit(chatId: string, messageId: string, draft: Omit<Draft, 'replyTo'>): Promise<void>;
  /** For everyone; one that waits or failed just goes. */
  delete(chatId: string, messageId: string): Promise<void>;
  /** Without an emoji the one that stands is taken back. One a person and message. */
  react(chatId: string, messageId: string, emoji?: string): Promise<void>;
  /** Everything up to a message, or all that is here, has been seen. */
  markRead(chatId: string, upTo?: ChatMessage): Promise<void>;
  /** To be called while somebody types, as often as there is a key pressed. */
  typing(chatId: string): void;
  setFlags(chatId: string, flags: { pinned?: boolean; archived?: boolean; muted?: boolean }): Promise<void>;
  saveDraft(chatId: string, text: string): Promise<void>;

  // Who talks to whom: these need a connection

  /** Begins a conversation with one person, or finds the one that there is. Resolves with its id. */
  begin(person: { name: string }): Promise<string>;
  /** Begins a group; `name` may be empty. Resolves with its id. */
  createGroup(name: string): Promise<string>;
  /** By name. With `history` what was written before is theirs to read too. Rejects with `person_not_found`, `key_not_usable`, `key_changed`, `already_member`, … */
  invite(chatId: string, person: { name: string }, options?: { history?: boolean }): Promise<void>;
  answer(invitationId: string, response: 'accepted' | 'declined'): Promise<void>;
  /** Takes somebody out, or an invitation back; from then on they cannot read what is written. */
  remove(chatId: string, userId: string): Promise<void>;
  setRole(chatId: string, userId: string, role: 'admin' | 'member'): Promise<void>;
  /** Makes somebody else the owner; who it was is an admin then. */
  handOver(chatId: string, userId: string): Promise<void>;
  leave(chatId: string): Promise<void>;
  /** Ends a group for all. */
  end(chatId: string): Promise<void>;
  rename(chatId: string, name: string): Promise<void>;
  /** Says that people belong to it who are not vouched for; they get the next key. Needs no connection. */
  vouch(chatId: string, userIds: string[]): Promise<void>;

  // People

  profile(): Promise<Profile>;
  /** Whether one is found by searching. */
  hide(yes: boolean): Promise<void>;
  /** Those whose name begins so; at most 50. */
  people(search: string): Promise<FoundPerson[]>;
  person(userId: string): Promise<Person | undefined>;
  /** What a blocked person writes does not come, nor do their invitations. */
  block(userId: string): Promise<void>;
  unblock(userId: string): Promise<void>;
  blocked(): Promise<Person[]>;
  /** Twelve words that both see alike if each has the other's real key, and no server put its own in between. */
  safetyWords(userId: string): Promise<string[] | undefined>;
  /** Takes a key that changed for theirs; `verified` when the safety words were compared. */
  trust(userId: string, options?: { verified?: boolean }): Promise<void>;
  /** New keys for oneself, signed by the old ones, and for every chat: after a device was lost. */
  renewKeys(): Promise<void>;
}
