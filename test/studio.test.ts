import { afterEach, expect, test } from '@jest/globals';
import { openForStudio } from '../src/database/studio-database.js';
import { parseEnv } from '../src/env.js';
import { cleanUp, later, listeningLog, query, temporaryFolder } from './support/database.js';
import { runTypeScript } from './support/spawn.js';

// How `npm run studio` finds the database; what it shows of it is Prisma's.

afterEach(cleanUp);

const OUTSIDE = 'postgresql://pairline:secret@db.example.org:5432/pairline';
const CLINIC = 'postgresql://clinic:secret@db.example.org:5432/clinic';

async function studio(env: NodeJS.ProcessEnv, ...args: string[]) {
  const unset = { DATABASE_URL: '', REALMS: '', NODE_ENV: '', LOG_LEVEL: 'warn' };
  const child = runTypeScript('src/studio.ts', { args, env: { ...unset, ...env } });
  later(() => child.end());
  return { code: await child.exited, said: child.output() };
}

test('an outside database is the one of the settings', async () => {
  expect(await studio({ DATABASE_URL: OUTSIDE }, '--url')).toEqual({ code: 0, said: OUTSIDE });
});

test('a realm with a database of its own has that one, another the server’s', async () => {
  const REALMS = JSON.stringify([{ slug: 'clinic', databaseUrl: CLINIC }, { slug: 'school' }]);
  const env = { DATABASE_URL: OUTSIDE, REALMS };
  expect(await studio(env, '--url', '--realm', 'clinic')).toEqual({ code: 0, said: CLINIC });
  expect(await studio(env, '--url', '--realm', 'school')).toEqual({ code: 0, said: OUTSIDE });
  expect(await studio(env, '--url', '--realm', 'nowhere')).toEqual({
    code: 1,
    said: 'There is no realm "nowhere"; REALMS names those there are.',
  });
});

test('the embedded database of a running server is shared with it', async () => {
  const DATA_DIR = temporaryFolder();
  const env = { DATABASE_URL: '', DATA_DIR, JWT_SECRET: '', ENCRYPTION_KEY: '', HOST: '127.0.0.1', PORT: '0' };
  const server = runTypeScript('src/main.ts', { env: { ...env, NODE_ENV: '', REALMS: '', LOG_LEVEL: 'warn' } });
  later(() => server.end());
  await server.line((line) => line.startsWith('Pairline is ready'));

  const { code, said } = await studio({ DATA_DIR }, '--url');
  expect(code).toBe(0);
  expect(await query(said, 'SELECT count(*)::int AS count FROM accounts')).toEqual([{ count: 0 }]);
});

test('without a server the embedded database is started, for as long as it is looked at', async () => {
  const dataDir = temporaryFolder();
  expect(await studio({ DATA_DIR: dataDir }, '--url')).toEqual({
    code: 1,
    said: 'No server runs on this folder: start it first.',
  });
  const database = await openForStudio(parseEnv({ DATA_DIR: dataDir }), listeningLog(), 'default');
  later(() => database.stop());
  expect(database.from).toBe('this process');
  expect(await query(database.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await database.stop();
  await expect(query(database.url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
});

test('a wrong option is told with the right ones', async () => {
  expect(await studio({}, '--relm')).toEqual({
    code: 1,
    said: "Unknown option '--relm'. Usage: npm run studio -- [--realm SLUG] [--port 5555] [--url]",
  });
});
