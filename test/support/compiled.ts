import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from '@swc/core';
// eslint-disable-next-line @typescript-eslint/ban-ts-comment
// @ts-ignore -- plain JavaScript, without types
import { swcOptions } from './typescript.mjs';

// Servers that a test starts by the dozen compile nothing and pass through no loader: they run this copy of the project.

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const COPIES = join(PROJECT, 'node_modules/.cache/compiled');
const DAY_MS = 86_400_000;
const SOURCES = ['src', 'protocol/src', 'client/src', 'phone/src', 'prisma', 'test/support'];
/** What the sources read beside them. */
const BESIDE = ['package.json', 'phone/package.json', 'phone/node_modules', 'prisma/migrations', 'web/dist'];

/** The folder with the project in JavaScript, as it is now: each file where its source is. Made when there is none. */
export function compiledProject(): string {
  const sources = SOURCES.flatMap((folder) =>
    readdirSync(join(PROJECT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => join(folder, path)),
  );
  const state = sources.map((path) => `${path} ${statSync(join(PROJECT, path)).mtimeMs}`);
  const made = [JSON.stringify(swcOptions), ...state.sort()].join('\n');
  const copy = join(COPIES, createHash('sha256').update(made).digest('hex').slice(0, 16));
  if (existsSync(copy)) return copy;

  mkdirSync(COPIES, { recursive: true });
  for (const old of readdirSync(COPIES).map((name) => join(COPIES, name)))
    if (ageOf(old) > DAY_MS) rmSync(old, { recursive: true, force: true });
  // Test files run side by side: each makes its own, and the first one that is whole stays.
  const own = mkdtempSync(`${copy}-`);
  for (const path of sources) write(own, path);
  for (const path of BESIDE) {
    mkdirSync(dirname(join(own, path)), { recursive: true });
    symlinkSync(join(PROJECT, path), join(own, path));
  }
  try {
    renameSync(own, copy);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code!)) throw error;
    rmSync(own, { recursive: true });
  }
  return copy;
}

/** In milliseconds; 0 when it has just got its last name. */
function ageOf(path: string): number {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? 0 : Date.now() - stats.mtimeMs;
}

function write(folder: string, path: string): void {
  const filename = join(PROJECT, path);
  const { code } = transformSync(readFileSync(filename, 'utf8'), { ...swcOptions, sourceMaps: false, filename });
  const target = join(folder, path.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(target), { recursive: true });
  // Our own packages, as they lie there: not as they were last built.
  const toOwn = (_: string, before: string, name: string, part = 'index') =>
    `${before}'${relative(dirname(target), join(folder, name, 'src', `${part}.js`))}'`;
  writeFileSync(target, code.replace(/(\bfrom |\bimport\(|\bimport )["']@pairline\/(protocol|client)(?:\/(\w+))?["']/g, toOwn)); // prettier-ignore
}
