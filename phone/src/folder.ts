import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, readFileSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What a person chose, kept so that the service starts without flags. */
export interface Settings {
  url?: string;
  driver?: string;
  name?: string;
  region?: string;
  /** What the phone said first: its conversations would be other ones if it changed its mind. */
  phoneRegion?: string;
  script?: string;
  modem?: string;
  gammuConfig?: string;
  /** ms since 1970; absent until the first browser was let in. */
  pairedAt?: number;
}

/** Another agent works on this folder. */
export class FolderInUse extends Error {
  constructor(
    path: string,
    readonly pid: number,
  ) {
    super(`Another pairline-phone (process ${pid}) works with ${path}. End it first, or choose another folder with --state.`); // prettier-ignore
  }
}

export function defaultFolder(env: NodeJS.ProcessEnv): string {
  return env.XDG_STATE_HOME ? join(env.XDG_STATE_HOME, 'pairline-phone') : join(homedir(), '.pairline-phone');
}

/** The folder where the agent keeps what must outlive it. Only its owner can read it. */
export class Folder {
  private locked = false;

  constructor(readonly path: string) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  read(name: string): string | undefined {
    try {
      return readFileSync(this.file(name), 'utf8');
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Whole or not at all, also when the machine loses power. */
  write(name: string, text: string | Buffer): void {
    const path = this.file(name);
    const file = openSync(`${path}.new`, 'w', 0o600);
    try {
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.new`, path);
    syncFolder(this.path);
  }

  remove(name: string): void {
    rmSync(this.file(name), { force: true, recursive: true });
  }

  get settings(): Settings {
    return JSON.parse(this.read('settings.json') ?? '{}') as Settings;
  }

  set settings(settings: Settings) {
    this.write('settings.json', `${JSON.stringify(settings, null, 2)}\n`);
  }

  /** From here on no other agent works with this folder, until this process ends. Throws `FolderInUse`. */
  lock(): void {
    const self = `${process.pid} ${startedAt(process.pid)}`;
    while (!this.tryLock(self)) {
      const holder = this.lockHolder();
      if (holder === undefined) continue;
      if (isAlive(holder)) throw new FolderInUse(this.path, pidOf(holder));
      this.breakLock(holder);
    }
    this.locked = true;
  }

  unlock(): void {
    if (this.locked) this.remove('lock');
    this.locked = false;
  }

  /** The process that works with this folder. */
  holder(): number | undefined {
    const holder = this.lockHolder();
    return holder !== undefined && isAlive(holder) ? pidOf(holder) : undefined;
  }

  /** The lock is a symbolic link: made in one step with what it says, and on Android too, where hard links are not. */
  private tryLock(holder: string): boolean {
    try {
      symlinkSync(holder, this.file('lock'));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  }

  private lockHolder(): string | undefined {
    try {
      return readlinkSync(this.file('lock'));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Takes a dead holder's lock away, and gives it back if another agent was quicker. */
  private breakLock(dead: string): void {
    const taken = this.file(`lock.${process.pid}`);
    try {
      renameSync(this.file('lock'), taken);
    } catch (error) {
      if (isMissing(error)) return;
      throw error;
    }
    const holder = readlinkSync(taken);
    if (holder !== dead) this.tryLock(holder);
    rmSync(taken, { force: true });
  }
}

/** Puts what happened to the names in a folder on disk. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/** `holder` is what a lock says: a process and when it started, since numbers of processes come again. */
function isAlive(holder: string): boolean {
  const [pid, started] = holder.split(' ');
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return started === '' || startedAt(Number(pid)) === started;
}

function pidOf(holder: string): number {
  return Number(holder.split(' ')[0]);
}

/** When a process started, where Linux tells; empty elsewhere. */
function startedAt(pid: number): string {
  try {
    // The second field is the program's name in parentheses, which can hold anything.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
