import type { PairingCode } from '@pairline/protocol';
import { ClientError } from '../types.js';
import { fromBase64url, fromJson, keyBytes, randomBytes, toBase64url, utf8 } from './bytes.js';
import type { DeviceKeys } from './hpke.js';

// The code that a browser shows: as JSON in a QR code, or in a link (protocol/src/pairing.ts).

const MARK = '#pair=';
/** A code of ours has about 300 characters. */
const LONGEST = 4096;

/** A code to show. */
export interface NewCode {
  code: PairingCode;
  /** What the QR code says. */
  text: string;
  /** The same behind the `#` of the page's address, for where there is no camera. */
  link(page: string): string;
}

/**
 * A code with this device's key and a fresh secret. `qrData` is what the server gave: of it only what the server has a say
 * in is taken, so a key that it put there counts for nothing. Rejects with `wrong_server` when it is no offer at all.
 */
export function newCode(qrData: string, device: DeviceKeys): NewCode {
  const { token, timestamp, expiresIn, url } = fieldsOf(fromJson(utf8(qrData))) ?? {};
  if (!isToken(token) || typeof timestamp !== 'number' || typeof expiresIn !== 'number' || !isAddress(url)) {
    throw new ClientError('wrong_server', 'The server did not offer a pairing code that this page understands.');
  }
  const secret = toBase64url(randomBytes(32));
  const code = { token, timestamp, expiresIn, url, key: device.publicKey, secret };
  const text = JSON.stringify(code);
  return {
    code,
    text,
    link(page) {
      const address = new URL(page);
      address.hash = `${MARK.slice(1)}${toBase64url(utf8(text))}`;
      return address.href;
    },
  };
}

/**
 * What a QR code or the link beside it says. `key` and `secret` are both there, or both missing in a code from a page
 * without end-to-end encryption. Throws a `ClientError` `bad_code` whose sentence says what is wrong with it.
 */
export function readCode(text: string): PairingCode {
  const given = text.trim();
  if (given === '') throw bad('This is empty: paste the link that stands beside the QR code.');
  if (given.length > LONGEST) throw bad('This is too long for a pairing code.');
  const mark = given.indexOf(MARK);
  if (mark < 0 && /^https?:/i.test(given)) {
    throw bad(`This link has no pairing code in it: the part from ${MARK} on is missing. Copy the whole link.`);
  }
  // Links break over lines where they are sent around.
  const bytes = mark < 0 ? utf8(given) : fromBase64url(given.slice(mark + MARK.length).replace(/\s+/g, ''));
  const code = bytes && fieldsOf(fromJson(bytes));
  if (code === undefined) {
    throw bad(mark < 0 ? 'This is not a pairing code.' : 'This link is cut off or misspelt. Copy the whole link.');
  }
  const { token, timestamp, expiresIn, url, key, secret } = code;
  if (!isToken(token)) throw bad('This is not a pairing code: it has no token.');
  if (!isAddress(url)) throw bad('This code does not say where the server is.');
  if (typeof timestamp !== 'number' || typeof expiresIn !== 'number') {
    throw bad('This code does not say how long it is good for.');
  }
  if (key === undefined && secret === undefined) return { token, timestamp, expiresIn, url };
  if (keyBytes(key) === undefined || keyBytes(secret) === undefined) {
    throw bad('The key in this code is damaged. Scan it again, or copy the whole link.');
  }
  return { token, timestamp, expiresIn, url, key: key as string, secret: secret as string };
}

/** The part of a code that may be sent to the server, as JSON: the token alone, never the key or the secret. */
export function serverPart({ token }: PairingCode): string {
  return JSON.stringify({ token });
}

function fieldsOf(value: unknown): Partial<Record<keyof PairingCode, unknown>> | undefined {
  return typeof value === 'object' && value !== null ? value : undefined;
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 200;
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && /^https?:/.test(value) && URL.canParse(value);
}

function bad(sentence: string): ClientError {
  return new ClientError('bad_code', sentence);
}
