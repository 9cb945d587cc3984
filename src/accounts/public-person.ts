import { createHash } from 'node:crypto';
import type { Login } from '../sessions/accounts.service.js';

/** What of a person others see. */
export interface PublicPerson {
  /** Their account's id. */
  userId: string;
  name: string;
  /** What others seal to: text that the server does not look into. */
  publicKey: string;
  /** @see fingerprintOf */
  fingerprint: string;
  /** The key before the last change, and what it signed of the present one. */
  previousKey?: string;
  keySignature?: string;
}

/** Undefined for somebody without a name or a key: nobody can write to them. */
export function publicPerson({ account, person }: Login): PublicPerson | undefined {
  const { name, publicKey, previousKey, keySignature } = person;
  if (name === undefined || publicKey === undefined) return undefined;
  return {
    userId: account.id,
    name,
    publicKey,
    fingerprint: fingerprintOf(publicKey),
    ...(previousKey === undefined ? {} : { previousKey }),
    ...(keySignature === undefined ? {} : { keySignature }),
  };
}

/** What people compare to know that a key is the right one: the SHA-256 of its text in UTF-8, in lowercase hex. */
export function fingerprintOf(publicKey: string): string {
  return createHash('sha256').update(publicKey).digest('hex');
}
