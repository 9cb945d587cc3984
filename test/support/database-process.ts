// A server with nothing but its database: prepares it, says its address, and stops it on SIGTERM.
import { parseEnv } from '../../src/env.js';
import { prepareDatabase } from '../../src/database/prepare.js';

const log = { info: () => undefined, warn: console.error, error: console.error };
const { databaseUrl, stop } = await prepareDatabase(parseEnv(process.env), log, () => process.exit(1));
const idle = setInterval(() => undefined, 60_000);
process.once('SIGTERM', () => {
  clearInterval(idle);
  void stop();
});
console.log(databaseUrl);
