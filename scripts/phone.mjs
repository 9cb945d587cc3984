// npm run phone -- [OPTION…]    builds the phone agent when something changed, then runs it
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildWhenNeeded, parts } from './parts.mjs';

// Relative paths on the command line are relative to where npm was called.
const calledFrom = process.env.INIT_CWD ?? process.cwd();
process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
const problem = buildWhenNeeded(parts.packages);
if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
process.chdir(calledFrom);
await import('../phone/dist/cli.js');
