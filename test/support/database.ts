import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createTestDatabase } from './postgres.js';

const cleanups: (() => unknown)[] = [];

/** Done after the test, the last one first. */
export function later(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pairline-test-'));
  later(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function temporaryDatabase(options?: { migrated: boolean }): Promise<string> {
  const { url, drop } = await createTestDatabase(options);
  later(drop);
  return url;
}

/** A log whose sentences can be waited for. */
export function listeningLog() {
  const waiting = new Map<string, () => void>();
  const tell = (...words: unknown[]) => waiting.get(String(words.at(-1)))?.();
  const told = (sentence: string) => new Promise<void>((resolve) => waiting.set(sentence, resolve));
  return { info: tell, warn: tell, error: tell, told };
}

export async function query(url: string, sql: string, values?: unknown[]): Promise<pg.QueryResultRow[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<pg.QueryResultRow>(sql, values);
    return rows;
  } finally {
    await client.end();
  }
}
