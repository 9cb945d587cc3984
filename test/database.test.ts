import { afterEach, describe, expect, test } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { Database } from '../src/database/database.js';
import { isConnectionError, isUniqueViolation } from '../src/database/faults.js';
import { migrate, pendingMigrations } from '../src/database/migrations.js';
import { prepareDatabase } from '../src/database/prepare.js';
import { bootSecrets } from '../src/database/secrets.js';
import { ServerLock } from '../src/database/server-lock.js';
import { StartupError } from '../src/database/startup-error.js';
import { parseEnv, type BootEnv, type Env } from '../src/env.js';
import { cleanUp, later, listeningLog, query, temporaryDatabase, temporaryFolder } from './support/database.js';

afterEach(cleanUp);

const quiet = listeningLog();
const MIGRATIONS = readdirSync('prisma/migrations')
  .filter((name) => name !== 'migration_lock.toml')
  .sort();

function copyOfMigrations(): string {
  const folder = temporaryFolder();
  cpSync('prisma/migrations', folder, { recursive: true });
  return folder;
}

function addMigration(folder: string, name: string, sql: string): void {
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, 'migration.sql'), sql);
}

async function openDatabase(): Promise<Database> {
  const env = parseEnv({ DATABASE_URL: await temporaryDatabase() }) as BootEnv;
  const database = new Database(env.databaseUrl, env.limits.databaseConnections);
  later(() => database.close());
  return database;
}

async function faultOf(attempt: () => PromiseLike<unknown>): Promise<unknown> {
  try {
    return await attempt();
  } catch (error) {
    return error;
  }
}

test('migrating writes the rows that prisma migrate deploy would', async () => {
  const url = await temporaryDatabase({ migrated: false });
  await migrate({ url, log: quiet });
  const rows = await query(url, 'SELECT * FROM _prisma_migrations ORDER BY migration_name');
  expect(rows).toEqual(
    MIGRATIONS.map((name) => ({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      checksum: createHash('sha256')
        .update(readFileSync(`prisma/migrations/${name}/migration.sql`))
        .digest('hex'),
      finished_at: expect.any(Date),
      migration_name: name,
      logs: null,
      rolled_back_at: null,
      started_at: expect.any(Date),
      applied_steps_count: 1,
    })),
  );
});

test('migrating again, or from two processes at once, applies nothing twice', async () => {
  const url = await temporaryDatabase({ migrated: false });
  await Promise.all([migrate({ url, log: quiet }), migrate({ url, log: quiet })]);
  const before = await query(url, 'SELECT * FROM _prisma_migrations');
  await migrate({ url, log: quiet });
  expect(before).toHaveLength(MIGRATIONS.length);
  expect(await query(url, 'SELECT * FROM _prisma_migrations')).toEqual(before);
});

test('a migration that was changed after it was applied is refused, other line ends are not', async () => {
  const [name] = MIGRATIONS;
  const url = await temporaryDatabase();
  const folder = copyOfMigrations();
  const file = join(folder, name!, 'migration.sql');
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('\n', '\r\n'));
  await migrate({ url, log: quiet, folder });
  appendFileSync(file, '-- one more thing');
  await expect(migrate({ url, log: quiet, folder })).rejects.toThrow(
    `The migration ${name} was changed after it was applied`,
  );
});

test('a migration that fails changes nothing, and stays in the way until somebody has looked at it', async () => {
  const url = await temporaryDatabase();
  const folder = copyOfMigrations();
  addMigration(folder, '29990101000000_broken', 'CREATE TABLE half (); SELECT nonsense;');
  await expect(migrate({ url, log: quiet, folder })).rejects.toThrow('The migration 29990101000000_broken failed: ');
  await expect(migrate({ url, log: quiet, folder })).rejects.toThrow(
    'The migration 29990101000000_broken failed earlier: repair the database, then say so with ' +
      '"npx prisma migrate resolve --rolled-back 29990101000000_broken" (or --applied) and start again.',
  );
  expect(await query(url, "SELECT to_regclass('half') AS half")).toEqual([{ half: null }]);

  // What the command does.
  await query(url, 'UPDATE _prisma_migrations SET rolled_back_at = now() WHERE finished_at IS NULL');
  writeFileSync(join(folder, '29990101000000_broken/migration.sql'), 'CREATE TABLE whole ();');
  await migrate({ url, log: quiet, folder });
  expect(await query(url, "SELECT to_regclass('whole')::text AS whole")).toEqual([{ whole: 'whole' }]);
});

test('with MIGRATE_ON_START=false a server refuses a database that lacks migrations', async () => {
  const url = await temporaryDatabase({ migrated: false });
  const env = parseEnv({ DATABASE_URL: url, MIGRATE_ON_START: 'false' });
  const prepare = () => prepareDatabase(env, quiet, () => undefined);
  await expect(prepare()).rejects.toThrow(
    `MIGRATE_ON_START is false and migrations are missing (${MIGRATIONS.join(', ')})`,
  );
  await migrate({ url, log: quiet });
  const { databaseUrl, stop } = await prepare();
  expect(databaseUrl).toBe(url);
  await stop();
});

describe('realms with a database of their own', () => {
  const AWAY = 'postgresql://nobody@127.0.0.1:1/none';
  const settings = (url: string, ...realms: object[]) =>
    parseEnv({ DATABASE_URL: url, REALMS: JSON.stringify(realms), DATABASE_WAIT_SECONDS: '0' });
  const prepare = (env: Env) => prepareDatabase(env, quiet, () => undefined);
  const takeAndRelease = async (url: string) =>
    (await ServerLock.take({ url, log: quiet, onLost: () => undefined })).release();

  test('all are migrated and taken, one that two realms name once, and stopping gives all back', async () => {
    const [main, own] = [await temporaryDatabase({ migrated: false }), await temporaryDatabase({ migrated: false })];
    const realms = [{ slug: 'clinic', databaseUrl: own }, { slug: 'lab', databaseUrl: own }, { slug: 'school' }];
    const { databaseUrl, realmUrls, stop } = await prepare(settings(main, ...realms));
    expect([databaseUrl, realmUrls]).toEqual([main, [own]]);
    for (const url of [main, own]) {
      expect(await query(url, 'SELECT * FROM _prisma_migrations')).toHaveLength(MIGRATIONS.length);
      await expect(takeAndRelease(url)).rejects.toThrow('Another Pairline server is using this database');
    }
    await stop();
    for (const url of [main, own]) await takeAndRelease(url);
  });

  test("a realm in the server's own database takes nothing twice", async () => {
    const url = await temporaryDatabase();
    const { realmUrls, stop } = await prepare(settings(url, { slug: 'clinic', databaseUrl: url }));
    expect(realmUrls).toEqual([]);
    await stop();
  });

  test.each([
    ['is away', async () => AWAY, 'The database of the realm clinic cannot be reached.'],
    [
      'does not exist',
      async () => (await temporaryDatabase()).replace(/\w+$/, 'no_such_database'),
      'The database of the realm clinic refuses this server: database "no_such_database" does not exist.',
    ],
    [
      'is used by another server',
      async () => {
        const url = await temporaryDatabase();
        const { stop } = await prepare(parseEnv({ DATABASE_URL: url }));
        later(stop);
        return url;
      },
      'Another Pairline server is using this database (the one of the realm clinic): ' +
        'stop it first, give this one a database of its own, or set REDIS_URL for both.',
    ],
  ])('one that %s is told in one sentence, and what was taken is given back', async (_what, aDatabase, sentence) => {
    const main = await temporaryDatabase();
    const env = settings(main, { slug: 'clinic', databaseUrl: await aDatabase() });
    const fault = await faultOf(() => prepare(env));
    expect(fault).toBeInstanceOf(StartupError);
    expect((fault as Error).message).toBe(sentence);
    await takeAndRelease(main);
  });

  test('with MIGRATE_ON_START=false each of them has to be migrated', async () => {
    const [main, own] = [await temporaryDatabase(), await temporaryDatabase({ migrated: false })];
    const env = { ...settings(main, { slug: 'clinic', databaseUrl: own }), migrateOnStart: false };
    await expect(prepare(env)).rejects.toThrow('MIGRATE_ON_START is false and migrations are missing');
    for (const url of [main, own]) await takeAndRelease(url);
  });
});

test('pending migrations are told by name', async () => {
  const { pool } = await openDatabase();
  const folder = copyOfMigrations();
  expect(await pendingMigrations(pool, folder)).toEqual([]);
  addMigration(folder, '29990101000000_next', 'SELECT 1;');
  expect(await pendingMigrations(pool, folder)).toEqual(['29990101000000_next']);
});

test('secrets that are not set are generated once, for the owner only', () => {
  const dataDir = join(temporaryFolder(), 'data');
  const first = bootSecrets(parseEnv({ DATA_DIR: dataDir }));
  expect(first.jwtSecret.length).toBeGreaterThanOrEqual(32);
  expect(first.encryptionKey).toHaveLength(32);
  expect(bootSecrets(parseEnv({ DATA_DIR: dataDir }))).toEqual(first);
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  expect(statSync(join(dataDir, 'secrets.json')).mode & 0o777).toBe(0o600);
  expect(readdirSync(dataDir)).toEqual(['secrets.json']);
});

test('secrets that are set are used and not written down', () => {
  const dataDir = join(temporaryFolder(), 'data');
  const jwtSecret = 'a-secret-that-nobody-will-ever-guess';
  const encryptionKey = createHash('sha256').update('key').digest();
  const env = parseEnv({ DATA_DIR: dataDir, JWT_SECRET: jwtSecret, ENCRYPTION_KEY: encryptionKey.toString('base64') });
  expect(bootSecrets(env)).toEqual({ jwtSecret, encryptionKey });
  expect(statSync(dataDir, { throwIfNoEntry: false })).toBeUndefined();
});

test.each(['', '{', '{"jwtSecret":"short"}', 'null'])(
  'a damaged secrets file (%j) is told and left as it is',
  (text) => {
    const dataDir = temporaryFolder();
    const file = join(dataDir, 'secrets.json');
    writeFileSync(file, text);
    expect(() => bootSecrets(parseEnv({ DATA_DIR: dataDir }))).toThrow(`${file} is damaged`);
    expect(readFileSync(file, 'utf8')).toBe(text);
  },
);

const LOCK_HOLDER =
  "FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
const BREAK_LOCK = `SELECT pg_terminate_backend(pid) ${LOCK_HOLDER} AND granted`;

test('a second server on one database is refused until the first is gone', async () => {
  const url = await temporaryDatabase();
  const take = () => ServerLock.take({ url, log: quiet, onLost: () => undefined });
  const first = await take();
  await expect(take()).rejects.toThrow('Another Pairline server is using this database');
  await first.release();
  await (await take()).release();
});

test('servers that share a database keep out one that is alone, and it them', async () => {
  const url = await temporaryDatabase();
  const take = (shared: boolean) => ServerLock.take({ url, shared, log: quiet, onLost: () => undefined });
  const [first, second] = [await take(true), await take(true)];
  await first.release();
  await expect(take(false)).rejects.toThrow('or set REDIS_URL for both');
  await second.release();
  const alone = await take(false);
  await expect(take(true)).rejects.toThrow('Another Pairline server is using this database');
  await alone.release();
});

test('a server whose lock connection broke takes the lock again', async () => {
  const url = await temporaryDatabase();
  const log = listeningLog();
  const lock = await ServerLock.take({ url, log, onLost: () => undefined });
  later(() => lock.release());
  const back = log.told('The database is back');
  await query(url, BREAK_LOCK);
  await back;
  await expect(ServerLock.take({ url, log, onLost: () => undefined })).rejects.toThrow('Another Pairline server');
});

test('a server is told when another one took over in an outage', async () => {
  const url = await temporaryDatabase();
  let lose!: () => void;
  const lost = new Promise<void>((resolve) => (lose = resolve));
  await ServerLock.take({ url, log: quiet, onLost: lose });
  const [key] = await query(url, `SELECT ((classid::bigint << 32) | objid::bigint) AS number ${LOCK_HOLDER}`);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  later(() => other.end());
  // It waits in line, so it has the lock in the moment the first one loses it.
  const { processID } = other as pg.Client & { processID: number };
  const taken = other.query('SELECT pg_advisory_lock($1)', [key!.number]);
  const inLine = `SELECT FROM pg_locks WHERE pid = $1 AND NOT granted`;
  while ((await query(url, inLine, [processID])).length === 0);
  await query(url, BREAK_LOCK);
  await Promise.all([taken, lost]);
});

test('a row that is there already is told as such by pg and by Prisma', async () => {
  const { pool, prisma } = await openDatabase();
  const data = { id: randomUUID(), dataKey: new Uint8Array(1) };
  await prisma.account.create({ data });
  const insert = `INSERT INTO accounts (id, data_key) VALUES ('${data.id}', '')`;
  const inserts = [
    () => prisma.account.create({ data }),
    () => prisma.$executeRawUnsafe(insert),
    () => pool.query(insert),
  ];
  for (const again of inserts) {
    const error = await faultOf(again);
    expect(isUniqueViolation(error)).toBe(true);
    expect(isConnectionError(error)).toBe(false);
  }
});

test('a database that is away is told as such by pg and by Prisma', async () => {
  const database = new Database('postgresql://nobody@127.0.0.1:1/none', 2);
  later(() => database.close());
  const { pool, prisma, quick } = database;
  const asks = [
    () => pool.query('SELECT 1'),
    () => quick.query({ text: 'SELECT 1' }),
    () => prisma.account.count(),
    () => prisma.$queryRaw`SELECT 1`,
  ];
  for (const ask of asks) {
    const error = await faultOf(ask);
    expect(isConnectionError(error)).toBe(true);
    expect(isUniqueViolation(error)).toBe(false);
  }
});

test('connections that break, idle or at work, are replaced', async () => {
  const { pool, prisma, quick } = await openDatabase();
  const breakAll =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pairline' AND datname = $1";
  const [here] = (await pool.query<{ name: string }>('SELECT current_database() AS name')).rows;
  const working = [pool.query('SELECT pg_sleep(60)'), quick.query({ text: 'SELECT pg_sleep(60)' })].map((asked) =>
    asked.catch((error: unknown) => error),
  );
  await prisma.account.count();
  const asleep = "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND datname = $1";
  while ((await query(process.env.TEST_POSTGRES_URL!, asleep, [here!.name])).length < working.length);
  await query(process.env.TEST_POSTGRES_URL!, breakAll, [here!.name]);
  for (const asked of working) expect(isConnectionError(await asked)).toBe(true);
  // The other end of an idle connection is noticed as soon as its socket is.
  while (pool.totalCount > 0) await new Promise(setImmediate);
  expect(await pool.query('SELECT 1 AS one')).toMatchObject({ rows: [{ one: 1 }] });
  expect(await quick.query({ text: 'SELECT 1 AS one' })).toMatchObject({ rows: [{ one: 1 }] });
  expect(await prisma.account.count()).toBe(0);
});

test('of quick reads that share a write each has its own answer, and one that fails fails alone', async () => {
  const { quick } = await openDatabase();
  const asked = ['1', '1/0', '2', 'nonsense', '3'].map((what) => quick.query({ text: `SELECT ${what} AS told` }));
  const told = (await Promise.allSettled(asked)).map((answer) =>
    answer.status === 'fulfilled' ? answer.value.rows : (answer.reason as { code: string }).code,
  );
  expect(told).toEqual([[{ told: 1 }], '22012', [{ told: 2 }], '42703', [{ told: 3 }]]);
});
