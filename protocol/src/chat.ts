// How native clients seal what people write to each other (rows.ts: `chat`, `chat.member`, `chat.key`, `chat.message`,
// `chat.reaction`, `chat.mark`). docs/encryption.md tells it in words; vectors/chat.json shows it in values.
//
//   public key = "pairline-id1." base64url(X25519 key) "." base64url(Ed25519 key)             each 32 bytes
//   wrapped    = "hpke1." base64url(enc) "." base64url(ciphertext)    HPKE as in pairing.ts, mode auth, both sides' X25519 keys;
//                info "pairline/1 chat key", AAD = UTF-8 of chat id "|" epoch "|" user id who wraps "|" user id for whom;
//                the plaintext is the epoch's key, 32 random bytes
//   content    = base64( iv(12) || AES-256-GCM ciphertext || tag(16) )                        standard alphabet, padded
//   key        = HKDF-SHA256(epoch key, salt "", info "pairline/1 chat", 32 bytes)
//   context    = kind "|" chat id "|" row id "|" user id of the author "|" epoch
//   AAD        = UTF-8 of "pairline/1 chat|" context
//   signature  = Ed25519( author's key, UTF-8 of "pairline/1 chat signature|" context "|" base64url(SHA-256(body)) )
//
// The plaintext is JSON, `SealedChat`: what was written as JSON text, signed just as it stands there. kind is `message` with the
// message's id, `reaction` with the id of the message, or `name` with the id of the chat.
//
//   name       = "pcn1." epoch "." user id of the author "." content
//
// Members of a group vouch for each other: who invites signs the public key of who is invited, and who accepts signs that of who
// invited them. `signature` is as above, kind `member`, the row's id the user id of who is vouched for, the author who vouches, and
// the body the public key. The epoch is the present one: who was out counts again only by a later one.
//
//   vouch      = "pcv1." epoch "." signature

import type { FileReference } from './file.js';

export const IDENTITY_PREFIX = 'pairline-id1.';
export const CHAT_NAME_PREFIX = 'pcn1.';
export const CHAT_VOUCH_PREFIX = 'pcv1.';
export const CHAT_KEY_INFO = 'pairline/1 chat key';
export const CHAT_INFO = 'pairline/1 chat';
export const CHAT_SIGNATURE_INFO = 'pairline/1 chat signature';

/**
 * What the old Ed25519 key signs when a person has new keys, base64url: UTF-8 of this, "|", the old public key, "|", the new one.
 * A change without it is nobody's word.
 */
export const IDENTITY_CHANGE_INFO = 'pairline/1 identity';

/**
 * Safety words of two people: those of envelope.ts, with this in place of the account id, with both public keys as they
 * are published, and twelve of them, of the first 132 bits. No secret of theirs stands behind the keys, as in a pairing: who
 * chose both could look for two that give the same words, if there were fewer.
 */
export const PEOPLE_SAFETY = 'people';
export const PEOPLE_SAFETY_WORDS = 12;

/**
 * A chat begins with epoch 1, which has no key: who begins it starts epoch 2 at once, when the chat has an id that the
 * keys can be bound to. What stands in the invitation that begins a conversation of two is this.
 */
export const NO_KEY = 'none';

/** In `content`, and in a chat's name. */
export interface SealedChat {
  /** `MessageBody`, `ReactionBody` or `NameBody` as JSON text. */
  body: string;
  /** base64url */
  signature: string;
}

export interface MessageBody {
  text?: string;
  /** The id of the message that this one answers. */
  replyTo?: string;
  /** `at` and `length` in UTF-16 units of the text. */
  mentions?: { userId: string; at: number; length: number }[];
  files?: FileReference[];
  /** When it was written, ms since 1970, by the author's clock. */
  sent: number;
  /** How often it was edited; a reader never goes back to a lower one. */
  edit?: number;
}

export interface ReactionBody {
  emoji: string;
  /** ms since 1970 by the author's clock, but always more than before: a reader never goes back. */
  version: number;
}

export interface NameBody {
  name: string;
  /** As in `ReactionBody`. */
  version: number;
}

/** A person's keys: X25519 to wrap and Ed25519 to sign with, 32 bytes each as base64url. */
export interface IdentityKeys {
  exchange: { privateKey: string; publicKey: string };
  signing: { privateKey: string; publicKey: string };
}

/** The plaintext of the state `STATE.identity`: all devices of a person have the same keys. The oldest first, the last ones count. */
export interface IdentityValue {
  keys: IdentityKeys[];
  /** As in `ReactionBody`. */
  version: number;
}

/** The value of the state `STATE.first`, in the clear: the device that made the account's keys, and its public key. */
export interface FirstValue {
  by: string;
  key: string;
}
