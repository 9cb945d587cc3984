import { createHash } from 'node:crypto';
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';

/** Bytes that go to the disk in one write. */
const AT_ONCE = 262_144;
/** Bytes after which they are flushed, so that the last flush of a large file does not keep others waiting. */
const FLUSH_EVERY = 16_777_216;

/** What a part of an upload has to amount to. */
export interface Checksum {
  algorithm: 'sha1' | 'sha256';
  digest: Buffer;
}

/**
 * The bytes of uploads, one file each under `DATA_DIR/files`, as the clients made them. What this answers is on disk: a
 * length that was told is still there after a power cut.
 */
@Injectable()
export class Disk {
  readonly folder: string;

  constructor(@Inject(ENV) { dataDir }: BootEnv) {
    this.folder = resolve(dataDir, 'files');
  }

  /** Where it is within `folder`. A folder for each first byte of the ids keeps them short. */
  placeOf(id: string): string {
    return join(id.slice(0, 2), id);
  }

  /** Throws `storage_full`. */
  async create(id: string): Promise<void> {
    const path = this.pathOf(id);
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await (await open(path, 'wx', 0o600)).close();
    } catch (error) {
      throw asFault(error);
    }
    for (const folder of [dirname(path), this.folder, dirname(this.folder)]) await flushFolder(folder);
  }

  /** How many bytes there are. Throws `not_found`. */
  async length(id: string): Promise<number> {
    return this.with(id, async (handle) => {
      // Those that came last before a crash of the server may not have been flushed.
      await handle.datasync();
      return (await handle.stat()).size;
    });
  }

  /**
   * Adds what comes until it ends, and resolves with the length then. What came before a fault stays, so that the client
   * can go on there; with a checksum it counts as a whole or not at all. Throws `checksum_mismatch`, `storage_full`.
   */
  async write(id: string, offset: number, parts: AsyncIterable<Buffer>, checksum?: Checksum): Promise<number> {
    return this.with(id, async (handle) => {
      const hash = checksum && createHash(checksum.algorithm);
      const writing = new Writing(handle, offset);
      try {
        try {
          for await (const part of parts) {
            hash?.update(part);
            await writing.add(part);
          }
        } finally {
          await writing.end();
        }
        if (hash !== undefined && !hash.digest().equals(checksum!.digest)) throw relayError('checksum_mismatch');
      } catch (error) {
        if (checksum !== undefined) await handle.truncate(offset);
        throw asFault(error);
      } finally {
        await handle.datasync();
      }
      return writing.position;
    });
  }

  /** Harmless when it is gone already. */
  async remove(id: string): Promise<void> {
    await rm(this.pathOf(id), { force: true });
  }

  private async with<T>(id: string, work: (handle: FileHandle) => Promise<T>): Promise<T> {
    const handle = await this.open(id);
    try {
      return await work(handle);
    } finally {
      await handle.close();
    }
  }

  private async open(id: string): Promise<FileHandle> {
    try {
      return await open(this.pathOf(id), 'r+');
    } catch (error) {
      throw asFault(error);
    }
  }

  private pathOf(id: string): string {
    return join(this.folder, this.placeOf(id));
  }
}

/** Gathers parts, which come by the packet, into larger writes. */
class Writing {
  private waiting: Buffer[] = [];
  private bytes = 0;
  private unflushed = 0;

  constructor(
    private readonly handle: FileHandle,
    public position: number,
  ) {}

  async add(part: Buffer): Promise<void> {
    this.waiting.push(part);
    this.bytes += part.length;
    if (this.bytes < AT_ONCE) return;
    await this.end();
    if (this.unflushed < FLUSH_EVERY) return;
    this.unflushed = 0;
    await this.handle.datasync();
  }

  async end(): Promise<void> {
    const { waiting, bytes } = this;
    if (bytes === 0) return;
    this.waiting = [];
    this.bytes = 0;
    const { bytesWritten } = await this.handle.writev(waiting, this.position);
    this.position += bytesWritten;
    // A disk that is nearly full takes a part; what is left meets the error.
    if (bytesWritten < bytes) await this.writeRest(Buffer.concat(waiting).subarray(bytesWritten));
    this.unflushed += bytes;
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
