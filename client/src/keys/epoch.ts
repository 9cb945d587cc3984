import {
  AAD_PREFIX,
  ALIAS_INFO,
  ALIAS_PREFIX,
  CONTENT_INFO,
  ENVELOPE_PREFIX,
  IV_BYTES,
  KEY_BYTES,
} from '@pairline/protocol';
import type { Fault } from '../types.js';
import { fromBase64url, fromJson, randomBytes, toBase64url, utf8, type Bytes } from './bytes.js';

// What one epoch's key does: envelopes and aliases (protocol/src/envelope.ts).

/** What an envelope can stand for; part of its associated data. */
export type SealedKind = 'message' | 'conversation' | 'state' | 'record';

export type Opened<T> = { ok: true; value: T; epoch: number } | { ok: false; fault: Fault };

type Key = Awaited<ReturnType<typeof crypto.subtle.importKey>>;
type DerivedKey = Parameters<typeof crypto.subtle.deriveKey>[2];

const TAG_BYTES = 16;
const ALIAS_BYTES = 16;
const EMPTY = new Uint8Array();
/** One spelling for each number; up to 9 digits. */
const NUMBER = /^[1-9]\d{0,8}$/;

/** A positive whole number as it stands in names of epochs; undefined for anything else. */
export function epochNumber(text: string): number | undefined {
  return NUMBER.test(text) ? Number(text) : undefined;
}

/** The epoch that an envelope says it is sealed under; undefined for what is no envelope. Nothing is verified. */
export function epochOf(envelope: unknown): number | undefined {
  if (typeof envelope !== 'string' || !envelope.startsWith(ENVELOPE_PREFIX)) return undefined;
  const dot = envelope.indexOf('.', ENVELOPE_PREFIX.length);
  return dot < 0 ? undefined : epochNumber(envelope.slice(ENVELOPE_PREFIX.length, dot));
}

/** Whether a value is or claims to be an envelope. */
export function isEnvelope(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith(ENVELOPE_PREFIX);
}

/** The key of one epoch. What is derived from it is derived once. */
export class EpochKey {
  readonly #raw: Bytes;
  #content: Promise<Key> | undefined;
  #alias: Promise<Key> | undefined;

  /** `raw`: 32 bytes. */
  constructor(
    readonly epoch: number,
    raw: Bytes,
  ) {
    this.#raw = raw;
  }

  text(): string {
    return toBase64url(this.#raw);
  }

  bytes(): Bytes {
    return this.#raw;
  }

  async seal(context: string, value: unknown): Promise<string> {
    const json = JSON.stringify(value) as string | undefined;
    if (json === undefined) throw new TypeError('Only what JSON can say can be sealed');
    const iv = randomBytes(IV_BYTES);
    const ciphertext = await crypto.subtle.encrypt(
      { name: 'AES-GCM', iv, additionalData: utf8(context) },
      await this.#contentKey(),
      utf8(json),
    );
    const whole = new Uint8Array(IV_BYTES + ciphertext.byteLength);
    whole.set(iv);
    whole.set(new Uint8Array(ciphertext), IV_BYTES);
    return `${ENVELOPE_PREFIX}${this.epoch}.${toBase64url(whole)}`;
  }

  /** `envelope` must be one of this epoch, as `epochOf` tells. */
  async open<T>(context: string, envelope: string): Promise<Opened<T>> {
    const whole = fromBase64url(envelope, envelope.indexOf('.', ENVELOPE_PREFIX.length) + 1);
    if (whole === undefined || whole.length < IV_BYTES + TAG_BYTES) return { ok: false, fault: 'tampered' };
    const algorithm = { name: 'AES-GCM', iv: whole.subarray(0, IV_BYTES), additionalData: utf8(context) };
    const key = await this.#contentKey();
    let plaintext: ArrayBuffer;
    try {
      plaintext = await crypto.subtle.decrypt(algorithm, key, whole.subarray(IV_BYTES));
    } catch {
      return { ok: false, fault: 'tampered' };
    }
    const value = fromJson(plaintext);
    return value === undefined ? { ok: false, fault: 'tampered' } : { ok: true, value: value as T, epoch: this.epoch };
  }

  async alias(number: string): Promise<string> {
    this.#alias ??= this.#derive(ALIAS_INFO, { name: 'HMAC', hash: 'SHA-256', length: 8 * KEY_BYTES }, ['sign']);
    const code = new Uint8Array(await crypto.subtle.sign('HMAC', await this.#alias, utf8(number)));
    return (
      ALIAS_PREFIX + Array.from(code.subarray(0, ALIAS_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join('')
    );
  }

  #contentKey(): Promise<Key> {
    return (this.#content ??= this.#derive(CONTENT_INFO, { name: 'AES-GCM', length: 8 * KEY_BYTES }, [
      'encrypt',
      'decrypt',
    ]));
  }

  async #derive(info: string, algorithm: DerivedKey, uses: ('encrypt' | 'decrypt' | 'sign')[]) {
    const base = await crypto.subtle.importKey('raw', this.#raw, 'HKDF', false, ['deriveKey']);
    const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: EMPTY, info: utf8(info) };
    return crypto.subtle.deriveKey(hkdf, base, algorithm, false, uses);
  }
}

/** The associated data of an envelope. */
export function contextOf(accountId: string, kind: SealedKind, id: string): string {
  return `${AAD_PREFIX}|${accountId}|${kind}|${id}`;
}
