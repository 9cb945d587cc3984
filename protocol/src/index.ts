export * from './chat.js';
export * from './envelope.js';
export * from './events.js';
export * from './file.js';
export * from './pairing.js';
export * from './rows.js';
