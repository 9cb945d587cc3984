import type { FileReference } from './file.js';
import type { MessageStatus } from './rows.js';

// How native clients seal what the server must not read. docs/protocol.md tells it in words; vectors/ shows it in values.
//
//   envelope = "pl1." epoch "." base64url( iv(12) || AES-256-GCM ciphertext || tag(16) )
//   key      = HKDF-SHA256(epoch key, salt "", info "pairline/1 content", 32 bytes)
//   AAD      = UTF-8 of "pairline/1|" account id "|" kind "|" row id
//   alias    = "~" hex( HMAC-SHA256(alias key, the number in E.164, or as it is when it is no number), first 16 bytes )
//   alias key = HKDF-SHA256(key of epoch 1, salt "", info "pairline/1 alias", 32 bytes)
//
// The plaintext is JSON. What the server could change beside it (ids, times, the direction) is in the plaintext too, and
// a reader takes it from there or rejects the row when the two differ.

export const ENVELOPE_PREFIX = 'pl1.';
export const CONTENT_INFO = 'pairline/1 content';
export const ALIAS_INFO = 'pairline/1 alias';
export const ALIAS_PREFIX = '~';
export const AAD_PREFIX = 'pairline/1';
export const KEY_BYTES = 32;
export const IV_BYTES = 12;

/** In the body of a message. AAD kind `message`; for a message that a browser wrote, the id is its tempId. */
export interface SealedMessage {
  /** The other side's number as the phone or the person gave it, E.164 where it is one. */
  number: string;
  text: string;
  type: 'sent' | 'received';
  timestamp: number;
  /** What came with it (MMS), in its order. The text may be empty then. Who knows of no files shows the text. */
  files?: FileReference[];
  /** Absent in the first message to a number that has no conversation yet. */
  conversationId?: string;
  /**
   * In what a browser wrote: the phone is asked to send it. A phone sends nothing without it, so what it told of itself
   * cannot be handed back to it as a wish.
   */
  wanted?: true;
}

/** In the contactName of a conversation. AAD kind `conversation`. A reader never goes back to a lower `version`. */
export interface SealedConversation {
  number: string;
  name?: string;
  /** Grows with every change of this conversation: ms since 1970 by the writer's clock, but always more than before. */
  version: number;
}

/** Values of `state` rows are envelopes too: AAD kind `state`, id the key of the row. */
export const STATE = {
  /** An epoch's key for each device: `EpochValue`, written once (`ifAbsent`). No envelope. */
  epoch: (epoch: number) => `e2e/epoch/${epoch}`,
  /** An epoch's key for a device that had joined without its maker knowing: `LateKeyValue`. No envelope either. */
  lateKey: (epoch: number, deviceId: string) => `e2e/late/${epoch}/${deviceId}`,
  /** A device that joined, sealed under the current epoch: `MemberValue`. */
  member: (deviceId: string) => `e2e/member/${deviceId}`,
  /** What people set for a conversation, or a chat: `FlagsValue`. */
  flags: (conversationId: string) => `e2e/flags/${conversationId}`,
  /** The phone's address book, in pieces: `ContactsValue`. */
  contacts: (piece: number) => `e2e/contacts/${piece}`,
  /** Of an account without a phone, the device that made its keys: `FirstValue` (chat.ts), written once. No envelope. */
  first: 'e2e/first',
  /** What the person speaks to others with: `IdentityValue` (chat.ts). */
  identity: 'e2e/identity',
  /** New keys for the person, after so many: `IdentityValue` with these alone, written once. Of two devices that renew, one does. */
  renewal: (before: number) => `e2e/identity/${before}`,
} as const;

/** A state of an app's, under a name that is none of these. A reader never goes back to a lower `version`. */
export interface SealedValue {
  value: unknown;
  /** As in `SealedConversation`. */
  version: number;
}

/** In the data of a record. AAD kind `record`, id the id of the row. A reader never goes back to a lower `version`. */
export interface SealedRecord {
  table: string;
  data: unknown;
  /** The clientDate that it was pushed with, ms since 1970. */
  version: number;
}

/** `key` is the X25519 public key of the device, base64url. */
export interface MemberValue {
  deviceId: string;
  key: string;
}

export interface FlagsValue {
  pinned?: boolean;
  archived?: boolean;
  /** Of a chat. */
  muted?: boolean;
  version: number;
}

export interface ContactsValue {
  contacts: { name: string; numbers: string[] }[];
  version: number;
}

/**
 * A new epoch, made when a device was removed. `keys[deviceId]` is the epoch's key sealed to that device (HPKE, mode auth,
 * the sender's key being that of the member `by`, info and AAD below); `members` is an envelope under the new epoch
 * holding the list of those who are in it.
 */
export interface EpochValue {
  by: string;
  keys: Record<string, string>;
  members: string;
}

/**
 * The key of an epoch for a device that stands neither in the epoch's list nor among those it leaves out. `key` is sealed as
 * in `EpochValue`, with the name of this row as AAD, by a member `by` of the epoch. It counts only if it opens the list in
 * the epoch's own row, and after that row.
 */
export interface LateKeyValue {
  by: string;
  key: string;
}

export const EPOCH_INFO = 'pairline/1 epoch';

/**
 * Safety words of two devices: SHA-256 of UTF-8 "pairline/1 safety|" account id "|" key "|" key, the keys in base64url and in
 * ASCII order; its first 66 bits, 11 for each word of BIP 39's English list.
 */
export const SAFETY_INFO = 'pairline/1 safety';
export const DEVICE_SAFETY_WORDS = 6;

/** The plaintext of `EpochValue.members`. AAD kind `state`, id the key of the row. */
export interface EpochMembers {
  epoch: number;
  members: MemberValue[];
  /** Ids of the devices that were to be left out. Of whoever else is missing, the maker did not know. */
  without?: string[];
}

/** How far a message is on its way, beyond what the server knows. */
export type LocalStatus = MessageStatus | 'waiting';
