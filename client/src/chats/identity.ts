import { CHAT_KEY_INFO, IDENTITY_CHANGE_INFO, IDENTITY_PREFIX, type IdentityKeys } from '@pairline/protocol';
import { keyBytes, toBase64url, utf8 } from '../keys/bytes.js';
import { newDevice, openFrom, sealTo } from '../keys/hpke.js';
import { newSigner, sign, verifies } from './signing.js';

// What people know each other by (protocol/src/chat.ts): one pair of keys to wrap the keys of chats with, one to sign with.

export interface PublicIdentity {
  exchange: string;
  signing: string;
}

/** Whose key, for whom and where: what a wrapped key is bound to. */
export interface Wrapping {
  chatId: string;
  epoch: number;
  /** User ids. */
  from: string;
  to: string;
}

export async function newIdentity(): Promise<IdentityKeys> {
  return { exchange: await newDevice(), signing: await newSigner() };
}

/** As it is published. */
export function publicKeyOf({ exchange, signing }: IdentityKeys): string {
  return `${IDENTITY_PREFIX}${exchange.publicKey}.${signing.publicKey}`;
}

/** Undefined for a public key of another app. */
export function readPublicKey(text: string): PublicIdentity | undefined {
  if (!text.startsWith(IDENTITY_PREFIX)) return undefined;
  const [exchange, signing, ...rest] = text.slice(IDENTITY_PREFIX.length).split('.');
  if (rest.length > 0 || !keyBytes(exchange) || !keyBytes(signing)) return undefined;
  return { exchange: exchange!, signing: signing! };
}

export async function fingerprintOf(publicKey: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(publicKey)));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function signChange(old: IdentityKeys, next: string): Promise<string> {
  return sign(old.signing.privateKey, changeOf(publicKeyOf(old), next));
}

/** Whether who had the old public key says that they have the new one now. */
export async function isSignedChange(old: string, next: string, signature: unknown): Promise<boolean> {
  const signer = readPublicKey(old);
  return signer !== undefined && verifies(signer.signing, changeOf(old, next), signature);
}

/** Undefined for a public key to which nothing can be wrapped. */
export async function wrap(
  key: string,
  publicKey: string,
  wrapping: Wrapping,
  own: IdentityKeys,
): Promise<string | undefined> {
  const to = readPublicKey(publicKey);
  return to && sealTo(to.exchange, keyBytes(key)!, purposeOf(wrapping), own.exchange);
}

/** The key, base64url, and which of these public keys wrapped it; undefined where none has, for one of these own keys. */
export async function unwrap(
  wrapped: string,
  senders: string[],
  wrapping: Wrapping,
  own: IdentityKeys[],
): Promise<{ key: string; sender: string } | undefined> {
  // The newest first: the others are tried where somebody had new keys.
  for (const sender of senders.toReversed())
    for (const { exchange } of own.toReversed()) {
      const by = readPublicKey(sender);
      const bytes = by && (await openFrom(wrapped, exchange, purposeOf(wrapping), by.exchange));
      if (bytes?.length === 32) return { key: toBase64url(bytes), sender };
    }
  return undefined;
}

function changeOf(old: string, next: string): string {
  return [IDENTITY_CHANGE_INFO, old, next].join('|');
}

function purposeOf({ chatId, epoch, from, to }: Wrapping) {
  return { info: CHAT_KEY_INFO, aad: [chatId, epoch, from, to].join('|') };
}
