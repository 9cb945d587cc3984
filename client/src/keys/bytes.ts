// base64url (RFC 4648, section 5, without padding) and UTF-8. History comes by the hundred thousand rows, so both ways go
// through tables, and the decoder takes one spelling only: what was altered must not decode to the same bytes.

export type Bytes = Uint8Array<ArrayBuffer>;

const ALPHABET = new TextEncoder().encode('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
const NONE = 0xff;
const VALUES = new Uint8Array(128).fill(NONE);
ALPHABET.forEach((letter, value) => (VALUES[letter] = value));

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** Undefined for what is not JSON in UTF-8. */
export function fromJson(bytes: Bytes | ArrayBuffer): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    return undefined;
  }
}

export function randomBytes(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

export function toBase64url(bytes: Uint8Array): string {
  const letters = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const three = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    letters[at++] = ALPHABET[three >> 18]!;
    letters[at++] = ALPHABET[(three >> 12) & 63]!;
    // The last group is two or three letters long; the array ends where it does.
    if (at < letters.length) letters[at++] = ALPHABET[(three >> 6) & 63]!;
    if (at < letters.length) letters[at++] = ALPHABET[three & 63]!;
  }
  return decoder.decode(letters);
}

/** The bytes from position `start` of the text on; undefined for anything that `toBase64url` would not have written. */
export function fromBase64url(text: string, start = 0): Bytes | undefined {
  const length = text.length - start;
  if (length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((length * 3) / 4));
  let at = 0;
  let held = 0;
  let bits = 0;
  for (let i = start; i < text.length; i++) {
    const value = VALUES[text.charCodeAt(i)] ?? NONE;
    if (value === NONE) return undefined;
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = held >> bits;
    }
  }
  const rest = held & ((1 << bits) - 1);
  return rest === 0 ? bytes : undefined;
}

/** A key of 32 bytes as base64url; undefined for anything else. */
export function keyBytes(text: unknown): Bytes | undefined {
  return typeof text === 'string' && text.length === 43 ? fromBase64url(text) : undefined;
}
