import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { RunAs } from './postgres-binaries.js';
import { StartupError } from './startup-error.js';

/** What lies in `<dataDir>/postgres`. */
export interface PostgresFolder {
  /** Postgres' own data. */
  cluster: string;
  password: string;
  /** Stands in the command line of this folder's Postgres processes and of no other's. */
  marker: string;
}

/**
 * How a Postgres that was started inside `folder` names it. As root the folders above may be closed to Postgres' user; its own
 * working directory it can always enter, and this link leads there by no other folder.
 */
export function fromInside(folder: string): string {
  return process.platform === 'linux' ? '/proc/self/cwd' : folder;
}

/** Nothing of our environment (it holds secrets) is for Postgres; messages in English are read by the code. */
export const POSTGRES_ENV = { LC_ALL: 'C', TZ: 'UTC' };

/** Makes the folder and finds its owner, who runs Postgres: it refuses to run as root. */
export function claimFolder(folder: string): RunAs {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new StartupError(`The data folder ${folder} cannot be made (${(cause as Error).message}).`, { cause });
  }
  if (process.platform === 'win32') return {};
  const { uid, gid } = statSync(folder);
  const self = process.getuid?.();
  if (self !== 0) {
    if (uid === self) return {};
    throw new StartupError(`${folder} belongs to another user (${uid}): start the server as that user, or as root.`);
  }
  if (uid !== 0) return { uid, gid };
  const runAs = nobody();
  giveTo(folder, runAs);
  return runAs;
}

function nobody(): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { stdio: 'pipe' }).toString());
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch (cause) {
    const remedy = 'start the server as an ordinary user, or set DATABASE_URL';
    throw new StartupError(`Postgres does not run as root and there is no user "nobody": ${remedy}.`, { cause });
  }
}

/** All of it: a backup that root put back belongs to root. The folder itself comes last, so an interrupted pass is repeated. */
function giveTo(folder: string, { uid, gid }: { uid: number; gid: number }): void {
  try {
    for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
      lchownSync(join(folder, path), uid, gid);
    chownSync(folder, uid, gid);
  } catch (cause) {
    const remedy = 'start the server as an ordinary user, set DATA_DIR to another disk, or set DATABASE_URL';
    throw new StartupError(`${folder} cannot be given to the user "nobody" who would run Postgres: ${remedy}.`, {
      cause,
    });
  }
}

/** Creates the cluster on the first start. */
export function openFolder(folder: string, programs: string, runAs: RunAs): PostgresFolder {
  const cluster = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  if (!existsSync(cluster)) createCluster({ folder, cluster, passwordFile, programs, runAs });
  if (!existsSync(passwordFile)) throw new StartupError(`${passwordFile} is missing: put it back from a backup.`);
  const password = readFileSync(passwordFile, 'utf8').trim();
  const marker = `pairline-${createHash('sha256').update(password).digest('hex').slice(0, 16)}`;
  return { cluster, password, marker };
}

interface NewCluster {
  folder: string;
  cluster: string;
  passwordFile: string;
  programs: string;
  runAs: RunAs;
}

function createCluster({ folder, cluster, passwordFile, programs, runAs }: NewCluster): void {
  // Made under another name and renamed when it is whole: a first start that is cut off leaves nothing half-made behind.
  const unfinished = `${cluster}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true, maxRetries: 5 });
  rmSync(passwordFile, { force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  writeFileSync(passwordFile, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600, flush: true });
  const { uid, gid } = runAs;
  if (uid !== undefined && gid !== undefined) {
    for (const path of [unfinished, passwordFile]) chownSync(path, uid, gid);
  }
  const options = [
    '--username=pairline',
    '--pwfile=../password',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--no-locale',
  ];
  try {
    execFileSync(join(programs, 'bin/initdb'), ['-D', fromInside(unfinished), ...options], {
      ...runAs,
      cwd: unfinished,
      env: POSTGRES_ENV,
      stdio: 'pipe',
    });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: Buffer };
    const why = (stderr?.toString() || message).trim().split('\n').join(' ');
    throw new StartupError(`The embedded Postgres could not be created in ${folder}: ${why}`, { cause: error });
  }
  renameSync(unfinished, cluster);
}
