import {
  CHAT_INFO,
  CHAT_NAME_PREFIX,
  CHAT_SIGNATURE_INFO,
  IV_BYTES,
  KEY_BYTES,
  type SealedChat,
} from '@pairline/protocol';
import { fromBase64url, fromJson, keyBytes, randomBytes, toBase64url, utf8, type Bytes } from '../keys/bytes.js';
import { epochNumber } from '../keys/epoch.js';
import { sign, verifies } from './signing.js';

// What is written in a chat, sealed with an epoch's key and signed by its author (protocol/src/chat.ts).

type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/** Where a content belongs: put elsewhere it does not open. */
export interface ChatContext {
  kind: 'message' | 'reaction' | 'name' | 'member';
  chatId: string;
  id: string;
  /** The author. */
  userId: string;
  epoch: number;
}

/** What was opened, by whoever has the key: `isBy` says whether it was the author. */
export interface OpenedChat {
  value: unknown;
  /** Any of the public keys for signing. */
  isBy(signers: string[]): Promise<boolean>;
}

const TAG_BYTES = 16;
const KEYS = 1000;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const NAME = new RegExp(`^${CHAT_NAME_PREFIX.replace('.', '\\.')}(\\d+)\\.([^.]+)\\.(.+)$`);

/** Derived once each. */
const contentKeys = new Map<string, Promise<Key>>();

/** `key`: of the epoch, base64url; `signer`: the author's private key. */
export async function sealChat(key: string, signer: string, context: ChatContext, value: object): Promise<string> {
  const body = JSON.stringify(value);
  const signature = await sign(signer, await signed(context, body));
  const iv = randomBytes(IV_BYTES);
  const algorithm = { name: 'AES-GCM', iv, additionalData: aadOf(context) };
  const plaintext = utf8(JSON.stringify({ body, signature } satisfies SealedChat));
  const ciphertext = new Uint8Array(await crypto.subtle.encrypt(algorithm, await contentKey(key), plaintext));
  const whole = new Uint8Array(IV_BYTES + ciphertext.length);
  whole.set(iv);
  whole.set(ciphertext, IV_BYTES);
  return toBase64(whole);
}

/** Undefined for what was not sealed with this key for this place. */
export async function openChat(key: string, context: ChatContext, content: string): Promise<OpenedChat | undefined> {
  const whole = fromBase64(content);
  if (whole === undefined || whole.length < IV_BYTES + TAG_BYTES) return undefined;
  const algorithm = { name: 'AES-GCM', iv: whole.subarray(0, IV_BYTES), additionalData: aadOf(context) };
  let plaintext: ArrayBuffer;
  try {
    plaintext = await crypto.subtle.decrypt(algorithm, await contentKey(key), whole.subarray(IV_BYTES));
  } catch {
    return undefined;
  }
  const { body, signature } = (fromJson(plaintext) ?? {}) as Partial<SealedChat>;
  if (typeof body !== 'string') return undefined;
  return {
    value: fromJson(utf8(body)),
    async isBy(signers) {
      const text = await signed(context, body);
      for (const signer of signers.toReversed()) if (await verifies(signer, text, signature)) return true;
      return false;
    },
  };
}

/** Of a chat's name: under which epoch, by whom, and the content. Undefined for a name of another app. */
export function readName(name: string): { epoch: number; userId: string; content: string } | undefined {
  const [, epoch, userId, content] = NAME.exec(name) ?? [];
  const number = epochNumber(epoch ?? '');
  return number === undefined ? undefined : { epoch: number, userId: userId!, content: content! };
}

export function nameOf({ epoch, userId }: Pick<ChatContext, 'epoch' | 'userId'>, content: string): string {
  return `${CHAT_NAME_PREFIX}${epoch}.${userId}.${content}`;
}

export function newChatKey(): string {
  return toBase64url(randomBytes(KEY_BYTES));
}

function contextOf({ kind, chatId, id, userId, epoch }: ChatContext): string {
  return [kind, chatId, id, userId, epoch].join('|');
}

function aadOf(context: ChatContext): Bytes {
  return utf8(`${CHAT_INFO}|${contextOf(context)}`);
}

/** What the author of something signs. */
export async function signed(context: ChatContext, body: string): Promise<string> {
  const digest = toBase64url(new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(body))));
  return `${CHAT_SIGNATURE_INFO}|${contextOf(context)}|${digest}`;
}

function contentKey(key: string): Promise<Key> {
  if (contentKeys.size >= KEYS) contentKeys.clear();
  const derived = contentKeys.get(key) ?? derive(keyBytes(key)!);
  contentKeys.set(key, derived);
  return derived;
}

async function derive(raw: Bytes): Promise<Key> {
  const base = await crypto.subtle.importKey('raw', raw, 'HKDF', false, ['deriveKey']);
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: utf8(CHAT_INFO) };
  return crypto.subtle.deriveKey(hkdf, base, { name: 'AES-GCM', length: 8 * KEY_BYTES }, false, ['encrypt', 'decrypt']);
}

function toBase64(bytes: Bytes): string {
  const text = toBase64url(bytes).replaceAll('-', '+').replaceAll('_', '/');
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

/** One spelling only, as with envelopes. */
function fromBase64(text: string): Bytes | undefined {
  if (text.length % 4 !== 0 || !BASE64.test(text)) return undefined;
  return fromBase64url(text.replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_'));
}
