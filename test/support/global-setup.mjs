import { existsSync, mkdtempSync, statfsSync } from 'node:fs';
import { register } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

// Jest compiles a setup in TypeScript to CommonJS, where the server's ES modules do not load: so this is JavaScript.
register('./typescript.mjs', import.meta.url);

/** One Postgres for the whole run, with a migrated database for tests to copy. */
export default async function globalSetup() {
  const { startEmbeddedPostgres } = await import('../../src/database/embedded-postgres.ts');
  const { migrate } = await import('../../src/database/migrations.ts');
  const log = { info: () => undefined, warn: () => undefined, error: console.error };
  const dataDir = mkdtempSync(join(fastFolder(), 'pairline-test-'));
  const postgres = await startEmbeddedPostgres({ dataDir, log, connections: 200 });
  globalThis.testPostgres = postgres;
  process.env.TEST_POSTGRES_URL = postgres.url;
  process.env.TEST_POSTGRES_DIR = dataDir;

  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query('CREATE DATABASE template_pairline');
  await client.end();
  const template = new URL(postgres.url);
  template.pathname = '/template_pairline';
  await migrate({ url: template.href, log });
}

const MEMORY = '/dev/shm';
const ROOM = 2 ** 31;

/**
 * Memory, where it can be had as a folder and has room (a container's often has none). Tests make and drop hundreds of databases of
 * hundreds of files each, which ext4 takes ten times as long for: it steps over every inode that was freed in the last minute.
 */
function fastFolder() {
  if (!existsSync(MEMORY)) return tmpdir();
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize > ROOM ? MEMORY : tmpdir();
}
