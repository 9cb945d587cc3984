import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Env } from '../env.js';
import type { Log } from '../log.js';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { lockFolder } from './folder-lock.js';
import { StartupError } from './startup-error.js';

/** A database to look into, beside the server or without one. */
export interface LookedIntoDatabase {
  url: string;
  /** Whether a server, or this process, runs it; an outside one is run by somebody else. */
  from: 'outside' | 'running server' | 'this process';
  stop(): Promise<void>;
}

/**
 * The database of a realm as this server would use it. The embedded one that a running server has is shared with it;
 * when no server runs, it is started here, and no server can start on it meanwhile.
 */
export async function openForStudio(
  env: Pick<Env, 'databaseUrl' | 'realms' | 'dataDir'>,
  log: Pick<Log, 'info' | 'warn' | 'error'>,
  slug: string,
): Promise<LookedIntoDatabase> {
  const realm = env.realms.find((one) => one.slug === slug);
  if (realm === undefined) throw new StartupError(`There is no realm "${slug}"; REALMS names those there are.`);
  const url = realm.databaseUrl ?? env.databaseUrl;
  if (url !== undefined) return { url, from: 'outside', stop: () => Promise.resolve() };
  const running = await runningPostgres(resolve(env.dataDir, 'postgres'));
  if (running !== undefined) return { url: running, from: 'running server', stop: () => Promise.resolve() };
  const postgres = await startEmbeddedPostgres({ dataDir: env.dataDir, log });
  return { url: postgres.url, from: 'this process', stop: () => postgres.stop() };
}

/** The address of the Postgres that a living server has in this folder; undefined when no server lives there. */
async function runningPostgres(folder: string): Promise<string | undefined> {
  if (!existsSync(folder)) return undefined;
  const unlock = await lockFolder(folder);
  if (unlock !== undefined) {
    await unlock();
    return undefined;
  }
  // Postgres writes its port on the fourth line and, once it takes connections, its state on the eighth.
  const file = join(folder, 'data/postmaster.pid');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  if (lines[7]?.trim() !== 'ready') throw new StartupError('The server is just starting or stopping: try again.');
  const password = readFileSync(join(folder, 'password'), 'utf8').trim();
  return `postgresql://pairline:${password}@127.0.0.1:${lines[3]}/pairline`;
}
