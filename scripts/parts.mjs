// What is built, from what, and how: for `npm run build`, and for whatever builds a part when its sources have changed.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const PACKAGES = ['protocol', 'client', 'phone'];
/** Lies in what was built; its time is that of the last whole build without errors. */
const STAMP = '.built';

/**
 * In the order in which one needs the other. `tool` is missing where only what was built is installed. A part that is
 * `swapped` is built into a folder of its own, which takes the place of the last one when it is whole: who reads it finds
 * one or the other, and builds that run side by side are not in each other's way.
 */
export const parts = {
  server: {
    name: 'the server',
    made: 'dist/main.js',
    sources: ['src', 'prisma/schema.prisma', 'tsconfig.json', 'tsconfig.build.json', 'nest-cli.json'],
    tool: '@nestjs/cli/bin/nest.js',
    commands: (nest) => [['scripts/generate.mjs'], [nest, 'build']],
  },
  packages: {
    name: 'the client library and the phone agent',
    made: 'phone/dist/cli.js',
    sources: ['tsconfig.packages.json', ...PACKAGES.flatMap((name) => [`${name}/src`, `${name}/tsconfig.json`])],
    tool: 'typescript/bin/tsc',
    commands: (tsc) => [[tsc, '--build', ...PACKAGES]],
  },
  web: {
    name: 'the web client',
    made: 'web/dist/index.html',
    sources: [
      'web/src',
      'web/build',
      'web/public',
      'web/index.html',
      'web/vite.config.ts',
      'client/src',
      'protocol/src',
    ],
    tool: 'vite/bin/vite.js',
    swapped: true,
    commands: (vite, folder) => [[vite, 'build', 'web', '--outDir', folder, '--logLevel', 'warn']],
  },
};

/** Builds a part when it is not there or its sources are newer. Answers what went wrong, in a sentence. */
export function buildWhenNeeded(part, { quiet = false } = {}) {
  const { made, sources } = part;
  const tool = findTool(part.tool);
  // An installation without sources or build tools runs what it was given.
  if (existsSync(made) && (tool === undefined || !sources.some((path) => existsSync(path)))) return undefined;
  if (existsSync(made) && newest(sources) <= changedAt(join(dirname(made), STAMP))) return undefined;
  if (tool === undefined)
    return `Not built yet: ${part.name}. Its build tools are not installed: run \`npm ci\` first.`;
  if (!quiet) console.log(`Building ${part.name} …`);
  return build(part, tool);
}

/** Builds a part whatever its state. Answers what went wrong, in a sentence. */
export function build(part, tool = findTool(part.tool)) {
  if (tool === undefined) return 'The build tools are not installed: run `npm ci` first.';
  const folder = dirname(part.made);
  if (!part.swapped) return make(part, tool, folder);
  const own = mkdtempSync(join(folder, '../.build-'));
  try {
    const made = resolve(own, 'dist');
    const problem = make(part, tool, made);
    if (problem === undefined) swap(made, folder, resolve(own, 'before'));
    return problem;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

function make(part, tool, folder) {
  const began = new Date();
  for (const command of part.commands(tool, folder)) {
    const { status } = spawnSync(process.execPath, command, { stdio: ['ignore', 'inherit', 'inherit'] });
    if (status !== 0) return `${part.name[0].toUpperCase()}${part.name.slice(1)} could not be built; see above.`;
  }
  const stamp = join(folder, STAMP);
  writeFileSync(stamp, '');
  utimesSync(stamp, began, began); // What changed meanwhile is newer.
  return undefined;
}

/** Puts a folder in the place of another, which goes to `before`. */
function swap(made, folder, before) {
  for (;;) {
    try {
      if (existsSync(folder)) renameSync(folder, before);
      return renameSync(made, folder);
    } catch (error) {
      // Another build did the same at this moment: its folder is there, or the old one just went.
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error;
      rmSync(before, { recursive: true, force: true });
    }
  }
}

export function findTool(path) {
  try {
    return createRequire(import.meta.url).resolve(path);
  } catch {
    return findUnexported(path);
  }
}

/** Some packages do not let their program be resolved. */
function findUnexported(path) {
  const file = join('node_modules', path);
  return existsSync(file) ? file : undefined;
}

function changedAt(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

/** The newest change below these paths; folders count too, so that a deleted file is noticed. */
function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    latest = Math.max(latest, changedAt(path));
    if (existsSync(path) && statSync(path).isDirectory())
      latest = Math.max(latest, newest(readdirSync(path).map((name) => join(path, name))));
  }
  return latest;
}
