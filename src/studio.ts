import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { StartupError } from './database/startup-error.js';
import { openForStudio } from './database/studio-database.js';
import { DEFAULT_REALM, EnvError, parseEnv } from './env.js';
import { createLog } from './log.js';

/*
 * `npm run studio`: Prisma Studio on the server's database, embedded or outside, whether the server runs or not. `--realm`
 * takes that of a realm, `--port` another port than 5555, `--url` only prints the address of the database, for psql and
 * pg_dump. Contents are sealed there: docs/operations.md says which.
 */
async function look(): Promise<void> {
  const { realm, port, url: onlyUrl } = readArguments();
  const env = parseEnv(process.env);
  const database = await openForStudio(env, createLog({ ...env, logLevel: 'warn' }), realm);
  try {
    if (onlyUrl) {
      // It would be gone by the time that somebody uses it.
      if (database.from === 'this process') throw new StartupError('No server runs on this folder: start it first.');
      console.log(database.url);
      return;
    }
    if (database.from === 'this process')
      console.log('No server runs on this database; one can start when you have ended this by Ctrl-C.');
    await serve(database.url, port);
  } finally {
    await database.stop();
  }
}

/** Resolves when Studio has ended, by itself or with us. */
async function serve(url: string, port: string): Promise<void> {
  // By its settings, not by --url: arguments can be read by everybody on this machine, and the address has a password.
  const studio = spawn(process.execPath, [findPrisma(), 'studio', '--port', port, '--browser', 'none'], {
    env: { ...process.env, DATABASE_URL: url, CHECKPOINT_DISABLE: '1' }, // the latter: it asks nobody for news
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const end = () => studio.kill();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end);
  const [code] = (await once(studio, 'close')) as [number | null];
  if (code !== 0 && code !== null) throw new StartupError(`Prisma Studio ended (${code}); see above.`);
}

/** The program of the package `prisma`, which is there for development only. */
function findPrisma(): string {
  const { resolve } = createRequire(import.meta.url);
  try {
    return join(dirname(resolve('prisma/package.json')), 'build/index.js');
  } catch (cause) {
    throw new StartupError('Prisma Studio is not installed: run `npm ci` (without --omit=dev) first.', { cause });
  }
}

function readArguments() {
  try {
    return parseArgs({
      // npm's own script hands over what came before ours.
      args: process.argv.slice(2).filter((argument) => argument !== '--studio'),
      options: {
        realm: { type: 'string', default: DEFAULT_REALM },
        port: { type: 'string', default: '5555' },
        url: { type: 'boolean', default: false },
      },
    }).values;
  } catch (cause) {
    const usage = 'Usage: npm run studio -- [--realm SLUG] [--port 5555] [--url]';
    throw new StartupError(`${(cause as Error).message.split('.')[0]}. ${usage}`, { cause });
  }
}

try {
  await look();
  process.exit(0);
} catch (error) {
  const forPeople = error instanceof EnvError || error instanceof StartupError;
  console.error(forPeople ? error.message : error);
  process.exit(1);
}
