import type { Keyring } from './keys/index.js';
import type { Members } from './members.js';
import type { Reader } from './reading.js';

/** What a phone has of its account from the moment on in which the server knows it. */
export interface PhoneAccount {
  reader: Reader;
  keyring: Keyring;
  members: Members;
}
