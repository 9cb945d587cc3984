// End-to-end encryption: docs/encryption.md tells it in words, protocol/vectors/ shows it in values.
export { newCode, readCode, serverPart, type NewCode } from './code.js';
export { epochOf, type SealedKind } from './epoch.js';
export { newDevice, type DeviceKeys } from './hpke.js';
export { Keyring, supersedes, type Learned, type SavedKeyring } from './keyring.js';
