import type { LocalStatus } from '@pairline/protocol';
import type { FileReference, FilesClient } from './files/types.js';
import type { Chats } from './chats/types.js';

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
  /** The account's phone, as far as is known. `gone`: none is on the account; it was taken off, or there never was one. */
  phone: { here: boolean; lastSeen?: number; gone?: true };
  /** Messages written here that the phone has not taken yet. */
  waiting: number;
  /** How far catching up is: rows received so far. */
  synced?: number;
  /**
   * Why there is no session, or why the last attempt failed: an error code of the server, `removed` when this device was,
   * `left_out` while the others have gone on to a key that this device has not got yet, `replaced` when the phone's store is in
   * use elsewhere, `failed` when the store here does not take what comes.
   */
  reason?: string;
  /** Whether what this account says is end-to-end encrypted. */
  encrypted: boolean;
  /**
   * Where the account's keys are. `none`: there are none yet; `chats()` makes them. `elsewhere`: on other devices alone: show the code of
   * `pair()` for one of them to `approve`; where all of those are lost, `startOver()`.
   */
  keys: 'none' | 'here' | 'elsewhere';
}

export interface Conversation {
  id: string;
  /** The other side. Empty when it cannot be decrypted. */
  number: string;
  name?: string;
  lastText: string;
  lastTime: number;
  /** The type of the first file that came with the last message, as in `Content-Type`. */
  lastFile?: string;
  lastType?: 'sent' | 'received';
  lastStatus?: LocalStatus;
  /** Why the last message cannot be shown; `lastText` is empty then. */
  lastFault?: Fault;
  unread: number;
  pinned: boolean;
  archived: boolean;
  draft: string;
  /** False when nothing of it can be decrypted here. */
  readable: boolean;
  /** Why its name and number are not known, or not the newest. */
  fault?: Fault;
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
  /** Empty when `fault` is there, and where there are only files. */
  text: string;
  /** Pictures and other files that came with it (MMS). */
  files?: FileReference[];
  timestamp: number;
  type: 'sent' | 'received';
  /** `waiting`: written here, and not yet with the server. */
  status?: LocalStatus;
  read: boolean;
  fault?: Fault;
  /**
   * What a message with the fault `not-sealed` says. Whoever runs the server, or got into it, can have written it, in
   * anybody's name: it is not to be shown as if it were from who it says, nor as if it were encrypted.
   */
  unsealed?: string;
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

/** What a person signs in with, and what the device is called from then on. */
export type Credentials = SignInAs & { password: string } & ({ email: string } | { name: string });

export interface SignInAs {
  deviceName: string;
  /** As in `pair`. */
  remember: boolean;
  /**
   * Another one than `default` (docs/table-sync.md), which is signed in to by email and password. It has records alone: what else is
   * asked for there rejects with `wrong_role`.
   */
  realm?: string;
}

/** A row of an app's table. */
export interface AppRecord {
  /** A UUID. */
  id: string;
  table: string;
  /** Any JSON. */
  data: unknown;
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
  /** A message came in while the client was live: for notifications. None that may be forged. */
  incoming: [message: Message, conversation: Conversation];
  /** Values of the app changed: read them again. */
  values: [];
  /** Records of a table changed: read it again. Without a table: somebody signed in or out, read all. */
  records: [table?: string];
}

/** A browser (or any program that is not the phone) of an account. */
export interface WebClient {
  readonly state: State;
  on<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): () => void;

  /** Shows a code for a phone to scan. `remember: false` keeps everything in memory: gone with the tab. */
  pair(options: { deviceName: string; remember: boolean }): Pairing;
  /** Makes an account and signs in to it. Rejects with the server's codes (docs/accounts.md): `email_taken`, `name_taken`, … */
  register(credentials: Credentials & { inviteToken?: string }): Promise<void>;
  /**
   * Rejects with `wrong_credentials` and the server's other codes. A new device reads nothing that is end-to-end encrypted
   * before it is paired; one that has the account's keys still goes on with them. But where the account has a phone, it rejects
   * with `no_keys` then: pair it again.
   */
  signIn(credentials: Credentials): Promise<void>;
  /** Sends a code of six digits to an email. Rejects with `mail_unavailable` where the server sends none. */
  requestCode(email: string): Promise<void>;
  /** Signs in by that code; an email without an account gets one. Rejects with `wrong_code`, and as `signIn`. */
  signInByCode(by: SignInAs & { email: string; code: string }): Promise<void>;
  /** Gives an account that a phone made a name and a password: others find it by that, and it can be signed in to. Rejects with `name_taken`. */
  addLogin(login: { name: string; password: string }): Promise<void>;
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
  /** With the files that came with it. */
  deleteMessage(messageId: string): Promise<void>;
  markRead(conversationId: string): Promise<void>;
  setFlags(conversationId: string, flags: { pinned?: boolean; archived?: boolean }): Promise<void>;
  saveDraft(conversationId: string, text: string): Promise<void>;

  /** What devices of the account share under a name (docs/live-state.md); undefined when there is nothing, or it cannot be decrypted. */
  value(key: string): Promise<unknown>;
  /** All of them by name, but for those that clients keep for themselves. */
  values(): Promise<Map<string, unknown>>;
  /**
   * Any JSON but for undefined, up to 256 KiB with what encrypting adds. Kept in the outbox before it resolves; the one that reaches
   * the server last stands. One that the server refuses gives way to what stands. Rejects with `bad_request`,
   * `payload_too_large`, and `no_keys` in an encrypted account without them.
   */
  setValue(key: string, value: unknown): Promise<void>;
  deleteValue(key: string): Promise<void>;
  /** The records of a table of the app (docs/table-sync.md) that can be decrypted, by id: those of `putRecord` as they were made. */
  records(table: string): Promise<AppRecord[]>;
  record(id: string): Promise<AppRecord | undefined>;
  /**
   * Puts a record in place of what has its id (a UUID; without one it is new), and resolves with the id. Kept in the outbox before
   * it resolves; of two devices' records the one written later stands, and another one, or one that the server
   * refuses, gives way to it. Rejects as `setValue`; the size is the server's `MAX_PUSH_BYTES`.
   */
  putRecord(table: string, data: unknown, id?: string): Promise<string>;
  deleteRecord(id: string): Promise<void>;

  /** Files, end-to-end encrypted whether the account is or not. Loads its part of the library when it is first called. */
  files(this: void): Promise<FilesClient>;

  /**
   * Private conversations and groups: a part of the library that is loaded when it is asked for, and kept. In an account whose first
   * device this is, it makes the keys.
   */
  chats(): Promise<Chats>;
  /**
   * New keys for an account whose other devices are all lost: they are removed, and what was encrypted for them stays unreadable.
   * Others are warned that one's key is another. Rejects with `not_paired`, and `bad_request` where the keys are here.
   */
  startOver(): Promise<void>;

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

  /** Tries at once instead of at `retryAt`; files that wait for a connection, too. */
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
  /** Pictures and other files that came with it, uploaded by `files()` before. */
  files?: FileReference[];
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
  /** Its files are told apart from it: remove them by `files()`. */
  deleteMessage(messageId: string): Promise<void>;
  /** As `WebClient.files`. Waits until the server knows this phone. */
  files(this: void): Promise<FilesClient>;

  devices(): Promise<Device[]>;
  removeDevice(id: string): Promise<void>;
  safetyWords(deviceId: string): Promise<string[] | undefined>;
  /** Removes the phone from the server, with what is stored here. */
  unpair(): Promise<void>;
  reconnect(): void;
  close(): Promise<void>;
}

/**
 * `code` is one of the server's, or `offline`, `timeout`, `bad_code`, `wrong_server`, `not_paired`, `no_keys`, `file_changed`,
 * `damaged_file`.
 */
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
