import type { AccountKey } from '../changes/account-key.js';

/** Who speaks: a device of an account. Every query takes its account from here. */
export interface Session {
  account: AccountKey;
  kind: 'phone' | 'browser';
  /** The device's id within its account. */
  deviceId: string;
  /** The id that the account's phone gave itself; existing clients know the pair by it. */
  phoneId: string;
  /** ms since 1970; phones do not expire. */
  expiresAt?: number;
}

/** The claims of a session token (wire.md, section A: `deviceId`, `iat`, `exp`); only good while its device row exists. */
export interface SessionClaims {
  sub: string;
  /** The browser's device id. */
  sid: string;
  deviceId: string;
  iat: number;
  exp: number;
}
