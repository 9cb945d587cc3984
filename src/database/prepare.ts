import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Env } from '../env.js';
import type { Log } from '../log.js';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { isConnectionError } from './faults.js';
import { migrate, pendingMigrations } from './migrations.js';
import { ServerLock } from './server-lock.js';
import { StartupError } from './startup-error.js';

export interface PreparedDatabase {
  databaseUrl: string;
  /** Those of realms that have one of their own. */
  realmUrls: string[];
  /** To be called after the last query. */
  stop(): Promise<void>;
}

/**
 * The databases that this process alone serves, with the schema of this version. `onLost` is called when, after an outage of
 * an outside database, another server got it first. `signal` ends the wait for a database that is not there yet.
 */
export async function prepareDatabase(
  env: Env,
  log: Pick<Log, 'info' | 'warn' | 'error'>,
  onLost: () => void,
  signal?: AbortSignal,
): Promise<PreparedDatabase> {
  const own = env.realms.flatMap(({ slug, databaseUrl }) => (databaseUrl ? [{ slug, databaseUrl }] : []));
  const opened: Opened[] = [];
  const stop = async () => {
    for (const database of opened.toReversed()) await database.stop();
  };
  try {
    const open = (which: string, url: string) => outside(which, url, env, log, onLost, signal);
    opened.push(
      env.databaseUrl === undefined ? await embedded(env, log) : await open('at DATABASE_URL', env.databaseUrl),
    );
    for (const { slug, databaseUrl } of own)
      if (opened.every(({ url }) => url !== databaseUrl)) opened.push(await open(`of the realm ${slug}`, databaseUrl));
    for (const { url } of opened) await (env.migrateOnStart ? migrate({ url, log }) : refusePending(url));
    const [databaseUrl, ...realmUrls] = opened.map(({ url }) => url);
    return { databaseUrl: databaseUrl!, realmUrls, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Opened {
  url: string;
  stop(): Promise<void>;
}

async function embedded(env: Env, log: Pick<Log, 'info' | 'warn' | 'error'>): Promise<Opened> {
  const { dataDir, limits } = env;
  const postgres = await startEmbeddedPostgres({ dataDir, log, connections: limits.databaseConnections });
  return { url: postgres.url, stop: () => postgres.stop() };
}

/** `which`: as a person knows it. */
async function outside(
  which: string,
  url: string,
  { databaseWaitMs, redisUrl }: Env,
  log: Pick<Log, 'info' | 'warn'>,
  onLost: () => void,
  signal?: AbortSignal,
): Promise<Opened> {
  const deadline = Date.now() + databaseWaitMs;
  // The two are often started together, and Postgres takes longer.
  for (let attempt = 1; ; attempt++) {
    try {
      const lock = await ServerLock.take({ url, which, log, shared: redisUrl !== undefined, onLost });
      return { url, stop: () => lock.release() };
    } catch (error) {
      if (!isConnectionError(error) || isMissing(error)) throw refusal(which, error);
      if (Date.now() >= deadline) throw new StartupError(`The database ${which} cannot be reached.`, { cause: error });
      if (attempt === 1) log.info('Waiting for the database');
      await delay(500, undefined, { signal });
    }
  }
}

/** No such database: nobody will make it while we wait. */
function isMissing(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '3D000';
}

/** Postgres is there and will not have us: a wrong password, a database that does not exist. */
function refusal(which: string, error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  return new StartupError(`The database ${which} refuses this server: ${error.message}.`, { cause: error });
}

async function refusePending(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const pending = await pendingMigrations(client);
    if (pending.length === 0) return;
    const names = pending.join(', ');
    throw new StartupError(`MIGRATE_ON_START is false and migrations are missing (${names}): apply them first.`);
  } finally {
    await client.end();
  }
}
