import { relayError } from '../errors.js';
import { normalizeEmail } from '../sessions/accounts.service.js';

// No list of addresses, no name beside the address, nothing that could end a header.
const EMAIL = /^[^\s@\p{Cc}\p{Cf}\p{Cs}"(),:;<>[\\\]]+@[^\s@\p{Cc}\p{Cf}\p{Cs}"(),:;<>[\\\]]+$/u;
const MAX_EMAIL = 254;
const NAME = /^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u;
const MIN_PASSWORD = 6;
const MAX_PASSWORD = 1024;
// Line breaks are what PEM has.
const PUBLIC_KEY = /^(?:[^\p{C}\p{Zl}\p{Zp}]|\r?\n)+$/u;
export const MAX_PUBLIC_KEY = 8192;

// What people type to be known by, as it is kept. Each throws `bad_request` with a sentence that says what would do.

export function checkedEmail(email: string): string {
  const kept = email.trim().normalize('NFKC');
  if (kept.length > MAX_EMAIL || !EMAIL.test(normalizeEmail(kept)))
    throw relayError('bad_request', { detail: `email must be an address like ann@example.org, of at most ${MAX_EMAIL} characters` }); // prettier-ignore
  return kept;
}

/** Names stand beside emails where either will do, so none looks like one. */
export function checkedName(name: string): string {
  const kept = name.trim().normalize('NFC');
  if (!NAME.test(kept)) throw relayError('bad_request', { detail: 'the name must have 1 to 64 printable characters' });
  if (EMAIL.test(kept)) throw relayError('bad_request', { detail: 'the name must not look like an email' });
  return kept;
}

export function checkedNewPassword(password: string): string {
  if (password.length < MIN_PASSWORD)
    throw relayError('bad_request', { detail: `the password must have at least ${MIN_PASSWORD} characters` });
  return checkedPassword(password);
}

/** One to compare: it may be short, and then is wrong. */
export function checkedPassword(password: string): string {
  if (password.length > MAX_PASSWORD)
    throw relayError('bad_request', { detail: `the password must have at most ${MAX_PASSWORD} characters` });
  if (!password.isWellFormed() || password.includes('\0'))
    throw relayError('bad_request', { detail: 'the password holds characters that no keyboard types' });
  return password;
}

/** As it was typed: its fingerprint is that of each character. */
export function checkedPublicKey(publicKey: string): string {
  if (publicKey.length < 1 || publicKey.length > MAX_PUBLIC_KEY || !PUBLIC_KEY.test(publicKey))
    throw relayError('bad_request', { detail: `public_key must have 1 to ${MAX_PUBLIC_KEY} printable characters` }); // prettier-ignore
  return publicKey;
}
