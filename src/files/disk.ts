import { mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import type { BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { Storage, type Writing } from './storage.js';

/** Bytes that go to the disk in one write. */
const AT_ONCE = 262_144;
/** Bytes after which they are flushed, so that the last flush of a large file does not keep others waiting. */
const FLUSH_EVERY = 16_777_216;
/** Bytes that a download has in memory. */
const READ_AHEAD = 262_144;

/** One file for each upload under `DATA_DIR/files`. */
export class Disk extends Storage {
  private readonly folder: string;

  constructor({ dataDir }: Pick<BootEnv, 'dataDir'>) {
    super();
    this.folder = resolve(dataDir, 'files');
  }

  async create(id: string): Promise<void> {
    const path = this.pathOf(id);
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await (await open(path, 'a', 0o600)).close();
    } catch (error) {
      throw asFault(error);
    }
    for (const folder of [dirname(path), this.folder, dirname(this.folder)]) await flushFolder(folder);
  }

  async length(id: string): Promise<number> {
    const handle = await this.open(id, 'r+');
    try {
      // Those that came last before a crash of the server may not have been flushed.
      await handle.datasync();
      return (await handle.stat()).size;
    } finally {
      await handle.close();
    }
  }

  async read(id: string, start: number, end: number): Promise<Readable> {
    const handle = await this.open(id, 'r');
    // `end` of a stream is its last byte.
    if (start < end) return handle.createReadStream({ start, end: end - 1, highWaterMark: READ_AHEAD });
    await handle.close();
    return Readable.from([]);
  }

  async remove(id: string): Promise<void> {
    await rm(this.pathOf(id), { force: true });
  }

  protected async begin(id: string, offset: number): Promise<Writing> {
    return new DiskWriting(await this.open(id, 'r+'), offset);
  }

  private async open(id: string, flags: string): Promise<FileHandle> {
    try {
      return await open(this.pathOf(id), flags);
    } catch (error) {
      throw asFault(error);
    }
  }

  /** A folder for each first byte of the ids keeps them short. */
  private pathOf(id: string): string {
    return join(this.folder, id.slice(0, 2), id);
  }
}

/** Gathers parts, which come by the packet, into larger writes. */
class DiskWriting implements Writing {
  position: number;
  private waiting: Buffer[] = [];
  private bytes = 0;
  private unflushed = 0;

  constructor(
    private readonly handle: FileHandle,
    private readonly offset: number,
  ) {
    this.position = offset;
  }

  async add(part: Buffer): Promise<void> {
    this.waiting.push(part);
    this.bytes += part.length;
    if (this.bytes < AT_ONCE) return;
    await this.flush();
    if (this.unflushed < FLUSH_EVERY) return;
    this.unflushed = 0;
    await this.handle.datasync();
  }

  async flush(): Promise<void> {
    const { waiting, bytes } = this;
    if (bytes === 0) return;
    this.waiting = [];
    this.bytes = 0;
    try {
      const { bytesWritten } = await this.handle.writev(waiting, this.position);
      this.position += bytesWritten;
      // A disk that is nearly full takes a part; what is left meets the error.
      if (bytesWritten < bytes) await this.writeRest(Buffer.concat(waiting).subarray(bytesWritten));
    } catch (error) {
      throw asFault(error);
    }
    this.unflushed += bytes;
  }

  async undo(): Promise<void> {
    await this.handle.truncate(this.offset);
  }

  async close(): Promise<void> {
    try {
      await this.handle.datasync();
    } finally {
      await this.handle.close();
    }
  }

  private async writeRest(rest: Buffer): Promise<void> {
    while (rest.length > 0) {
      const { bytesWritten } = await this.handle.write(rest, 0, rest.length, this.position);
      this.position += bytesWritten;
      rest = rest.subarray(bytesWritten);
    }
  }
}

/** What the operating system says, in our words where a client can do something about it. */
function asFault(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return relayError('storage_full', { cause: error });
  return code === 'ENOENT' ? relayError('not_found', { cause: error }) : error;
}

/** A new name is on disk only with its folder. Windows has no such thing to ask for. */
async function flushFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
