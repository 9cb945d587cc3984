// npm run build [PART…]    builds the server, the packages and the web client (or just the named parts)
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, parts } from './parts.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts);
for (const key of wanted) {
  const problem =
    key in parts ? build(parts[key]) : `No such part: ${key}. There are: ${Object.keys(parts).join(', ')}.`;
  if (problem !== undefined) {
    console.error(problem);
    process.exit(1);
  }
}
