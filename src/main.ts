import 'reflect-metadata';
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { createApp } from './app.setup.js';
import { prepareDatabase } from './database/prepare.js';
import { bootSecrets } from './database/secrets.js';
import { StartupError } from './database/startup-error.js';
import { EnvError, parseEnv } from './env.js';
import { createLog } from './log.js';
import { Metrics } from './metrics.js';

/** Starts the server; resolves with what stops it. */
async function start() {
  const env = parseEnv(process.env);
  const log = createLog(env);
  if (env.allowTokenlessPhones)
    log.warn('ALLOW_TOKENLESS_PHONES is on: whoever knows the deviceId of a phone can take its place');

  const onLost = () => {
    log.fatal('Another Pairline server took over the database while it was away: this one stops');
    onSignal();
  };
  const database = await prepareDatabase(env, log, onLost, asked.signal);
  try {
    // Not before the database is ours alone: rotate-key changes them.
    const secrets = bootSecrets(env);
    if ('encryptionKeyPrevious' in secrets && secrets.encryptionKeyPrevious)
      log.warn(
        'The encryption key is between two: finish the change with `npm run rotate-key` while this server is stopped',
      );
    const app = await createApp({ ...env, ...secrets, databaseUrl: database.databaseUrl }, log);
    app.get(Metrics).collectProcess();
    await app.init();
    // Not by `app.listen`, which would log in its own way what `explain` says.
    const server = app.getHttpServer() as Server;
    await once(server.listen(env.port, env.host), 'listening');
    const { port } = server.address() as AddressInfo;
    console.log(`Pairline is ready: ${env.publicUrl ?? `http://localhost:${port}`}`);
    return async () => {
      await app.close();
      await database.stop();
    };
  } catch (error) {
    await database.stop();
    throw error;
  }
}

/** What a person can mend is one sentence; anything else is a fault of ours and shows where. */
function explain(error: unknown): string {
  if (error instanceof EnvError || error instanceof StartupError) return error.message;
  const { code, port } = error as { code?: string; port?: number };
  if (code === 'EADDRINUSE') return `Port ${port} is taken: another program listens there. Set PORT to a free one.`;
  if (code === 'EACCES' && port !== undefined) return `Port ${port} needs more rights: set PORT to one above 1023.`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return 'HOST must be an address of this machine; 0.0.0.0 is all of them.';
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

let stop: (() => Promise<void>) | undefined;
const asked = new AbortController();

function onSignal(): void {
  if (asked.signal.aborted) return;
  asked.abort();
  if (stop !== undefined) void end(stop);
}

/** The last resort, when the database has gone without a word and nothing ends by itself. */
const STOP_WITHIN_MS = 25_000;

async function end(stopServer: () => Promise<void>): Promise<void> {
  setTimeout(() => {
    console.error('Pairline did not stop in time.');
    process.exit(1);
  }, STOP_WITHIN_MS).unref();
  try {
    await stopServer();
    console.log('Pairline has stopped.');
    process.exit(0);
  } catch (error) {
    console.error(explain(error));
    process.exit(1);
  }
}

process.on('SIGTERM', onSignal);
process.on('SIGINT', onSignal);
try {
  stop = await start();
  // Asked to stop while it was starting.
  if (asked.signal.aborted) await end(stop);
} catch (error) {
  if (asked.signal.aborted && (error as Error).name === 'AbortError') await end(async () => undefined);
  console.error(explain(error));
  process.exit(1);
}
