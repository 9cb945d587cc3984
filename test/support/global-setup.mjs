import { mkdtempSync } from 'node:fs';
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
  const dataDir = mkdtempSync(join(tmpdir(), 'pairline-test-'));
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
