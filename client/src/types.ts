import type { LocalStatus } from '@pairline/protocol';

// What applications see. Times are ms since 1970; numbers are E.164 where they are phone numbers at all.

/** Where a client is. `reason` is there when something went wrong that trying again will not mend by itself. */
export interface State {
  /**
   * - `signed-out`: there is no session on this device (or it was ended: see `reason`);
   * - `connecting`: trying, for the first time or again;
   * - `syncing`: connected and catching up;
   * - `live`: connected, and everything is here;
   * - `offline`: the last attempt failed; the next one comes by itself.
   */
  phase: 'signed-out' | 'connecting' | 'syncing' | 'live' | 'offline';
  /** When the next attempt is due (phase `offline`). */
  retryAt?: number;
  /** The account's phone, as far as is known. */
  phone: { here: boolean; lastSeen?: number };
  /** Messages written here that the phone has not taken yet. */
  waiting: number;
  /** How far catching up is: rows received so far. */
  synced?: number;
  /**
   * Why there is no session, or why the last attempt failed: an error code of the server, `removed` when this device was or
   * the others went on without it, `replaced` when the phone's store is in use elsewhere, `failed` when the store here does
   * not take what comes.
   */
  reason?: string;
  /** Whether what this account says is end-to-end encrypted. */
  encrypted: boolean;
}

export interface Conversation {
  id: string;
  /** The other side. Empty when it cannot be decrypted. */
  number: string;
  name?: string;
  lastText: string;
  lastTime: number;
  lastType?: 'sent' | 'received';
  lastStatus?: LocalStatus;
  unread: number;
  pinned: boolean;
  archived: boolean;
  draft: string;
  /** False when nothing of it can be decrypted here. */
  readable: boolean;
}

/**
 * Why a row cannot be shown as it is: its key is not here (`no-key`), it was changed on the way (`tampered`), or it came
 * in the clear into an encrypted account (`not-sealed`).
 */
export type Fault = 'no-key' | 'tampered' | 'not-sealed';

export interface Message {
  id: string;
  conversationId: string;
  number: string;
  /** Empty when `fault` is there. */
  text: string;
  timestamp: number;
  type: 'sent' | 'received';
  /** `waiting`: written here, and not yet with the server. */
  status?: LocalStatus;
  read: boolean;
  fault?: Fault;
}

export interface Device {
  id: string;
  kind: 'phone' | 'browser';
  name: string;
  model?: string;
  createdAt: number;
  lastSeen: number;
  /** This device. */
  current: boolean;
  /** Whether it holds the account's keys. */
  verified: boolean;
}

export interface Contact {
  name: string;
  numbers: string[];
}

/** What a pairing shows while it goes on. A code that expires is renewed by itself. */
export interface PairingState {
  /**
   * - `loading`: no code yet; `waiting`: show the code; `scanned`: a device answered, the rest follows;
   * - `done`: signed in; `failed`: see `problem`, then call `retry()`.
   */
  step: 'loading' | 'waiting' | 'scanned' | 'done' | 'failed';
  /** What the QR code says. */
  code?: string;
  /** The same as an address, to paste where there is no camera. */
  link?: string;
  /** An error code. */
  problem?: string;
}

export interface Pairing {
  readonly state: PairingState;
  on(event: 'state', listener: (state: PairingState) => void): () => void;
  retry(): void;
  cancel(): void;
}

/** What a browser-side client tells. Each listener can be taken off by the function that `on` answers. */
export interface ClientEvents {
  state: [state: State];
  /** The list changed: read it again. */
  conversations: [];
  /**
   * Messages of a conversation changed: read what is shown again. `since`: the time of the oldest that did, ms since 1970;
   * Infinity when no text did, only whether it was read, or went.
   */
  messages: [conversationId: string, since: number];
  devices: [];
  /** A message came in while the client was live: for notifications. */
  incoming: [message: Message, conversation: Conversation];
}

/** A browser (or any program that is not the phone) of an account. */
export interface WebClient {
  readonly state: State;
  on<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): () => void;

  /** Shows a code for a phone to scan. `remember: false` keeps everything in memory: gone with the tab. */
  pair(options: { deviceName: string; remember: boolean }): Pairing;
  /** Lets another browser in: `code` is what its QR code says, or the link beside it. */
  approve(code: string): Promise<void>;

  /** Pinned ones first, then the newest first; archived ones are in it, marked. */
  conversations(): Promise<Conversation[]>;
  conversation(id: string): Promise<Conversation | undefined>;
  /** The newest `limit` messages, or those before (older than) a message; oldest first. */
  messages(conversationId: string, options?: { limit?: number; before?: Message }): Promise<Message[]>;
  /** The messages around one, for jumping to it: half before, it, half after; oldest first. */
  around(messageId: string, limit: number): Promise<Message[]>;
  /** The messages right after (newer than) one; oldest first. */
  after(message: Message, limit: number): Promise<Message[]>;
  /** Every readable message, newest first, in pieces: for a search index. */
  texts(): AsyncIterable<{ id: string; conversationId: string; text: string; timestamp: number }[]>;
  message(id: string): Promise<Message | undefined>;
  contacts(): Promise<Contact[]>;

  /** Kept in the outbox before it resolves; goes when there is a connection. Resolves with what the thread shows. */
  send(to: { conversationId: string } | { number: string }, text: string): Promise<Message>;
  /** Sends a failed message again, as a new one. */
  retry(messageId: string): Promise<Message>;
  deleteMessage(messageId: string): Promise<void>;
  markRead(conversationId: string): Promise<void>;
  setFlags(conversationId: string, flags: { pinned?: boolean; archived?: boolean }): Promise<void>;
  saveDraft(conversationId: string, text: string): Promise<void>;

  devices(): Promise<Device[]>;
  renameDevice(id: string, name: string): Promise<void>;
  /** Its tokens end at once, and what is written from now on is sealed with a key it does not have. */
  removeDevice(id: string): Promise<void>;
  /** Words to compare with the ones the other device shows; undefined when one of the two has no keys. */
  safetyWords(deviceId: string): Promise<string[] | undefined>;
  /** Removes this device and everything stored on it; where nobody is signed in any more, what was left there. */
  signOut(): Promise<void>;
  /** Removes every browser of the account, this one too. */
  signOutEverywhere(): Promise<void>;

  /** Tries at once instead of at `retryAt`. */
  reconnect(): void;
  close(): Promise<void>;
}

/** A message that the account's phone is to send. */
export interface Wanted {
  /** The same message again has the same id. */
  id: string;
  number: string;
  text: string;
  conversationId?: string;
}

export interface PhoneEvents {
  state: [state: State];
  /** A device joined or went, or got the keys. */
  devices: [];
  /** A browser read a conversation. */
  read: [conversationId: string];
  /** A message was deleted, now or while there was no connection. */
  deleted: [messageId: string];
  /** A browser would like to have what is new. */
  syncWanted: [];
  /** Something was not done because it could not be trusted or decrypted. */
  refused: [what: { id: string; fault: Fault }];
}

export interface ToldConversation {
  id: string;
  number: string;
  name?: string;
  lastTime?: number;
  unread?: number;
}

export interface ToldMessage {
  id: string;
  conversationId: string;
  number: string;
  text: string;
  timestamp: number;
  type: 'sent' | 'received';
  status?: 'sending' | 'sent' | 'delivered' | 'failed';
  read?: boolean;
}

/** The phone of an account. Every promise resolves when the server has what it was told on disk; rejects with a `ClientError`. */
export interface PhoneClient {
  readonly state: State;
  on<E extends keyof PhoneEvents>(event: E, listener: (...args: PhoneEvents[E]) => void): () => void;
  /**
   * Called for each message to send, one at a time, in order; again after a reconnect for those whose promise did not
   * resolve. When it resolves the server is told that the phone has it, so it must be kept by then.
   */
  onSend(take: (wanted: Wanted) => Promise<void>): void;

  /** Lets in the browser that shows this code (its text, or the link beside it). */
  pair(code: string): Promise<void>;
  /** Up to any number; sent in batches. Waits while there is no connection. */
  putConversations(conversations: ToldConversation[]): Promise<void>;
  putMessages(messages: ToldMessage[]): Promise<void>;
  putContacts(contacts: Contact[]): Promise<void>;
  status(messageId: string, status: 'sending' | 'sent' | 'delivered' | 'failed'): Promise<void>;
  deleteMessage(messageId: string): Promise<void>;

  devices(): Promise<Device[]>;
  removeDevice(id: string): Promise<void>;
  safetyWords(deviceId: string): Promise<string[] | undefined>;
  /** Removes the phone from the server, with what is stored here. */
  unpair(): Promise<void>;
  reconnect(): void;
  close(): Promise<void>;
}

/** `code` is one of the server's, or `offline`, `timeout`, `bad_code`, `wrong_server`, `not_paired`, `no_keys`. */
export class ClientError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly retryAfter?: number,
  ) {
    super(message);
    this.name = 'ClientError';
  }
}
