import { rmSync } from 'node:fs';

export default async function globalTeardown() {
  await globalThis.testPostgres?.stop();
  rmSync(process.env.TEST_POSTGRES_DIR, { recursive: true, force: true });
}
