import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../env.js';
import { StartupError } from './startup-error.js';

export interface Secrets {
  jwtSecret: string;
  encryptionKey: Buffer;
  /** The key before, while a rotation has begun and not ended. */
  encryptionKeyPrevious?: Buffer;
}

/** The secrets from the settings; those that are not set are generated once and kept in `<dataDir>/secrets.json`. */
export function bootSecrets({ jwtSecret, encryptionKey, encryptionKeyPrevious, dataDir }: Env): Secrets {
  if (jwtSecret !== undefined && encryptionKey !== undefined) return { jwtSecret, encryptionKey };
  const kept = readSecrets(dataDir) ?? createSecrets(dataDir);
  return { ...kept, ...(jwtSecret && { jwtSecret }), ...(encryptionKey && { encryptionKey, encryptionKeyPrevious }) };
}

/** What is kept in the data folder; undefined when nothing is. */
export function readSecrets(dataDir: string): Secrets | undefined {
  const file = fileIn(dataDir);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StartupError(`${file} cannot be read (${(error as Error).message}).`, { cause: error });
  }
  const secrets = parseSecrets(text);
  if (secrets) return secrets;
  // New ones would end every session and leave every stored content sealed for good.
  const remedy = 'put it back from a backup, or set JWT_SECRET and ENCRYPTION_KEY to what it held';
  throw new StartupError(`${file} is damaged: ${remedy}.`);
}

/** Puts other secrets in the place of those that are kept: whole or not at all, whenever the power goes. */
export function replaceSecrets(dataDir: string, secrets: Secrets): void {
  const file = fileIn(dataDir);
  const draft = `${file}.new`;
  rmSync(draft, { force: true });
  write(draft, secrets);
  // Written by root, it is still for the user who runs the server.
  const { uid, gid } = statSync(file);
  if (process.getuid?.() === 0) chownSync(draft, uid, gid);
  renameSync(draft, file);
  syncFolder(dataDir);
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'secrets.json');
}

function parseSecrets(text: string): Secrets | undefined {
  try {
    const { jwtSecret, encryptionKey, encryptionKeyPrevious } = JSON.parse(text) as Record<string, unknown>;
    if (typeof jwtSecret !== 'string' || jwtSecret.length < 32) return undefined;
    const current = parseKey(encryptionKey);
    if (current === undefined || encryptionKeyPrevious === undefined)
      return current && { jwtSecret, encryptionKey: current };
    const previous = parseKey(encryptionKeyPrevious);
    return previous && { jwtSecret, encryptionKey: current, encryptionKeyPrevious: previous };
  } catch {
    return undefined;
  }
}

function parseKey(text: unknown): Buffer | undefined {
  const key = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined;
  return key?.length === 32 ? key : undefined;
}

function write(file: string, { jwtSecret, encryptionKey, encryptionKeyPrevious }: Secrets): void {
  const keys = {
    encryptionKey: encryptionKey.toString('base64'),
    encryptionKeyPrevious: encryptionKeyPrevious?.toString('base64'),
  };
  writeFileSync(file, `${JSON.stringify({ jwtSecret, ...keys }, null, 2)}\n`, { mode: 0o600, flush: true });
}

function createSecrets(dataDir: string): Secrets {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const file = fileIn(dataDir);
  const draft = `${file}.${process.pid}`;
  write(draft, { jwtSecret: randomBytes(32).toString('base64'), encryptionKey: randomBytes(32) });
  try {
    // Unlike a rename, a link does not replace what another process has just written.
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft);
  }
  syncFolder(dataDir);
  const kept = readSecrets(dataDir);
  if (!kept) throw new StartupError(`${file} was taken away while it was written.`);
  return kept;
}

/** A new name in a folder is lost with the power until the folder itself is on disk. */
function syncFolder(folder: string): void {
  // Windows cannot open folders and writes them at once.
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
