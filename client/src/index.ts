export { readCode } from './keys/index.js';
export { memoryStore } from './memory-store.js';
export { openPhone } from './phone-client.js';
export type { Store } from './store.js';
export * from './types.js';
export { openWebClient } from './web-client.js';
