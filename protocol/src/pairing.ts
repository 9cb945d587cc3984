import type { MemberValue } from './envelope.js';

// How a device joins. The browser shows a code with a fresh public key and a secret; whoever reads it off the screen (the
// phone, or a browser of the account) seals the account's keys to that key, with the secret as HPKE's PSK. The server
// carries the sealed keys and never sees the secret: who scans sends it the token alone.
//
//   HPKE (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; mode PSK
//   psk = secret (32 bytes), psk_id = "pairline/1 pairing", info = "pairline/1 pairing", AAD = UTF-8 of the token
//   sealed = "hpke1." base64url(enc) "." base64url(ciphertext)

export const PAIRING_INFO = 'pairline/1 pairing';
export const HPKE_PREFIX = 'hpke1.';

/**
 * What a QR code says, as JSON. Existing phones read `token`; native ones need `key` and `secret` too.
 * The link beside the code is the page's address with `#pair=` and the same JSON as base64url: what is behind `#` is never
 * sent to a server.
 */
export interface PairingCode {
  token: string;
  timestamp: number;
  expiresIn: number;
  /** Where the phone finds the server. */
  url: string;
  /** The browser's X25519 public key, base64url. */
  key?: string;
  /** 32 random bytes, base64url. */
  secret?: string;
}

/** What is sealed to a device that joins. Keys are base64url. */
export interface Handover {
  accountId: string;
  /** The content keys by epoch. The highest is the current one. */
  epochs: Record<string, string>;
  /** The devices of the current epoch. */
  members: MemberValue[];
  /** The device that hands over. */
  by: string;
}

/** What `POST /api/auth/wait-pairing` answers. */
export interface Paired {
  sessionToken: string;
  /** The phone's id. */
  deviceId: string;
  /** The id of the browser that was let in. */
  sessionId: string;
  accountId: string;
  /** ms since 1970 */
  expiresAt: number;
  /** The sealed `Handover`; absent when an existing phone scanned the code, and nothing is end-to-end encrypted. */
  keys?: string;
}
