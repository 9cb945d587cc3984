import { relayError } from '../errors.js';

/** AES-GCM: an IV of 12 bytes and a tag of 16, if nothing else. */
const LEAST_BYTES = 28;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** What is written in conversations is sealed by who wrote it: base64 of the standard alphabet. Throws `invalid_content`. */
export function checkedContent(content: unknown, maxLength: number): string {
  if (typeof content !== 'string' || content.length > maxLength) throw relayError('invalid_content');
  if (content.length % 4 !== 0 || !BASE64.test(content)) throw relayError('invalid_content');
  if (Buffer.byteLength(content, 'base64') < LEAST_BYTES) throw relayError('invalid_content');
  return content;
}

/** An id is a part of a path, and these mean other paths, however they are escaped (RFC 3986, section 5.2.4). */
const DOTS = new Set(['.', '..']);

/** Throws `invalid_string`. */
export function checkedMessageId(id: string): string {
  if (DOTS.has(id)) throw relayError('invalid_string', { detail: 'messageId' });
  return id;
}
