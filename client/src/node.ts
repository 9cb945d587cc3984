import { chmod, mkdir, open, readFile, rename, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MemoryStore, type Change } from './memory-store.js';
import type { Store } from './store.js';

/** A journal is written anew once it is this many times as long as what it says. */
const GROWTH = 3;
const SMALL_BYTES = 1_048_576;

/**
 * Keeps a client in one file that only its owner can read (0600): all of it in memory, and each transaction as a line that
 * is on disk before it counts. For one process at a time. `open()` rejects when the file is damaged or not to be written.
 */
export function fileStore(path: string): Store {
  return new FileStore(path);
}

class FileStore extends MemoryStore {
  private file!: FileHandle;
  /** Bytes of whole lines. */
  private size = 0;
  /** Bytes after it was written anew. */
  private base = 0;

  constructor(private readonly path: string) {
    super();
  }

  override async open(): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    this.file = await open(this.path, 'a', 0o600);
    try {
      await chmod(this.path, 0o600);
      await this.load();
    } catch (error) {
      await this.file.close();
      throw error;
    }
  }

  override async close(): Promise<void> {
    await super.close();
    await this.file.close();
  }

  private async load(): Promise<void> {
    const text = await readFile(this.path, 'utf8');
    // Where the power went out in the middle of a line, the transaction did not happen.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    for (const [i, line] of whole.split('\n').slice(0, -1).entries()) this.apply(this.parse(line, i + 1));
    this.size = this.base = Buffer.byteLength(whole);
    await this.file.truncate(this.size);
  }

  protected override async keep(changes: Change[]): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(changes)}\n`);
    if (this.size + line.length > Math.max(SMALL_BYTES, GROWTH * this.base)) return this.rewrite();
    try {
      await this.file.appendFile(line);
      await this.file.datasync();
    } catch (error) {
      // Half a line would spoil the next one.
      await this.file.truncate(this.size);
      throw error;
    }
    this.size += line.length;
  }

  private async rewrite(): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(this.everything())}\n`);
    const next = `${this.path}.new`;
    const file = await open(next, 'w', 0o600);
    try {
      await file.writeFile(line);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, this.path);
    await this.file.close();
    this.file = await open(this.path, 'a', 0o600);
    this.size = this.base = line.length;
    const folder = await open(dirname(this.path), 'r');
    await folder.sync();
    await folder.close();
  }

  private parse(line: string, number: number): Change[] {
    try {
      return JSON.parse(line) as Change[];
    } catch {
      throw new Error(`${this.path} is damaged in line ${number}`);
    }
  }
}
