import type { AccountKey } from '../changes/account-key.js';

/** Who speaks: a device of an account. Every query takes its account from here. */
export interface Session {
  account: AccountKey;
  /** `browser` is what a phone let in or who signed in; `key` is a program with an API key. */
  kind: 'phone' | 'browser' | 'key';
  /** The device's id within its account; of a program, its key's. */
  deviceId: string;
  /** The id that the account's phone gave itself; existing clients know the pair by it. Empty for one that signed in. */
  phoneId: string;
  /** What a program may do. Devices may do all. */
  scopes?: Scope[];
  /** ms since 1970; phones do not expire. */
  expiresAt?: number;
}

/** What an API key may open: `POST /api/sync`, and reading the change log. */
export const SCOPES = ['sync', 'changes'] as const;
export type Scope = (typeof SCOPES)[number];

/** The claims of a session token (wire.md, section A: `deviceId`, `iat`, `exp`); only good while its device row exists. */
export interface SessionClaims {
  sub: string;
  /** The browser's device id. */
  sid: string;
  deviceId: string;
  /** Absent for `default`. */
  realm?: string;
  /** The device's generation; absent for 0. */
  gen?: number;
  iat: number;
  exp: number;
}
