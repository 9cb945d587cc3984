// Writes the Prisma client into src/generated when the schema is newer than it (or with --force).
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';

const made = 'src/generated/prisma/client.ts';
const current = existsSync(made) && statSync(made).mtimeMs > statSync('prisma/schema.prisma').mtimeMs;
if (current && !process.argv.includes('--force')) process.exit(0);

// Generating needs no schema engine, yet the CLI would download one: any executable named here stops that.
// (Never set it for `prisma migrate`, which does need the engine.)
const env = { PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1', ...process.env };
const cli = createRequire(import.meta.url).resolve('prisma/build/index.js');
const { status } = spawnSync(process.execPath, [cli, 'generate'], { env, stdio: ['ignore', 'ignore', 'inherit'] });
process.exit(status ?? 1);
