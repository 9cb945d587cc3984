import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 32 random bytes as text, and what is stored of them. */
export function newToken(): { token: string; hash: Buffer<ArrayBuffer> } {
  const token = randomBytes(32).toString('base64url');
  return { token, hash: hashToken(token) };
}

export function hashToken(token: string): Buffer<ArrayBuffer> {
  return Buffer.from(createHash('sha256').update(token).digest());
}

export function sameToken(token: string, hash: Uint8Array | null): boolean {
  return hash !== null && timingSafeEqual(hashToken(token), hash);
}
