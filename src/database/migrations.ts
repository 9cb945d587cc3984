import { createHash, randomUUID } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { Log } from '../log.js';
import { StartupError } from './startup-error.js';

// As deep in dist/ as in src/.
const FOLDER = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

/** The number that `prisma migrate` locks too: it and we never migrate at the same time. */
const LOCK = 72707369;

// Letter for letter what `prisma migrate deploy` creates, so that either can go on where the other stopped.
const CREATE_TABLE = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id                  VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum            VARCHAR(64) NOT NULL,
  finished_at         TIMESTAMPTZ,
  migration_name      VARCHAR(255) NOT NULL,
  logs                TEXT,
  rolled_back_at      TIMESTAMPTZ,
  started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
  applied_steps_count INTEGER NOT NULL DEFAULT 0
)`;

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

interface MigrationRow {
  migration_name: string;
  checksum: string;
  finished_at: Date | null;
}

export interface MigrateOptions {
  url: string;
  log: Pick<Log, 'info' | 'warn'>;
  /** Where the migrations are, if not in the package. */
  folder?: string;
}

/** Brings the database to this version's schema. Safe to call from several processes at once. */
export async function migrate({ url, log, folder = FOLDER }: MigrateOptions): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'pairline-migrate' });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    await client.query(CREATE_TABLE);
    const { pending, unknown } = compare(await readMigrations(folder), await readRows(client));
    if (unknown.length > 0) log.warn({ migrations: unknown }, 'The database was migrated by a newer version');
    for (const migration of pending) {
      await apply(client, migration);
      log.info({ migration: migration.name }, 'Applied a migration');
    }
  } finally {
    // Ending the session ends the lock.
    await client.end();
  }
}

/** The names of the migrations that the database lacks; refuses a database that no migration can bring further. */
export async function pendingMigrations(pool: pg.Pool | pg.Client, folder = FOLDER): Promise<string[]> {
  const table = await pool.query<{ found: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`);
  const rows = table.rows[0]?.found ? await readRows(pool) : [];
  return compare(await readMigrations(folder), rows).pending.map(({ name }) => name);
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: checksum(sql) };
    }),
  );
}

async function readRows(client: pg.Pool | pg.Client): Promise<MigrationRow[]> {
  const { rows } = await client.query<MigrationRow>(
    `SELECT migration_name, checksum, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL`,
  );
  return rows;
}

function compare(migrations: Migration[], rows: MigrationRow[]): { pending: Migration[]; unknown: string[] } {
  const failed = rows.find((row) => row.finished_at === null);
  if (failed) {
    throw new StartupError(
      `The migration ${failed.migration_name} failed earlier: repair the database, then say so with ` +
        `"npx prisma migrate resolve --rolled-back ${failed.migration_name}" (or --applied) and start again.`,
    );
  }
  const applied = new Map(rows.map((row) => [row.migration_name, row.checksum]));
  const pending = migrations.filter(({ name, sql }) => {
    const before = applied.get(name);
    // Git may have changed the line ends; Prisma forgives that too.
    if (before !== undefined && ![sql, toLf(sql), toCrLf(sql)].some((text) => checksum(text) === before))
      throw new StartupError(`The migration ${name} was changed after it was applied: put the original file back.`);
    return before === undefined;
  });
  const known = new Set(migrations.map(({ name }) => name));
  return { pending, unknown: [...applied.keys()].filter((name) => !known.has(name)) };
}

async function apply(client: pg.Client, { name, sql, checksum }: Migration): Promise<void> {
  const id = randomUUID();
  await client.query('INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ($1, $2, $3)', [
    id,
    checksum,
    name,
  ]);
  try {
    // One message with all statements: Postgres makes it one transaction.
    await client.query(sql);
  } catch (cause) {
    const why = (cause as Error).message;
    await client.query('UPDATE _prisma_migrations SET logs = $2 WHERE id = $1', [id, why]).catch(() => undefined);
    throw new StartupError(`The migration ${name} failed: ${why}.`, { cause });
  }
  await client.query(
    'UPDATE _prisma_migrations SET finished_at = now(), applied_steps_count = applied_steps_count + 1 WHERE id = $1',
    [id],
  );
}

const checksum = (text: string) => createHash('sha256').update(text).digest('hex');
const toLf = (text: string) => text.replaceAll('\r\n', '\n');
const toCrLf = (text: string) => toLf(text).replaceAll('\n', '\r\n');
