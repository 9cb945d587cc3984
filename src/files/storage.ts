import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { relayError } from '../errors.js';

/** What the bytes of a request have to amount to. */
export interface Checksum {
  algorithm: 'sha1' | 'sha256';
  digest: Buffer;
}

/** Bytes that are being added to an upload. */
export interface Writing {
  /** How many there are, without those that `add` still gathers. */
  readonly position: number;
  add(part: Buffer): Promise<void>;
  /** Writes what was gathered. */
  flush(): Promise<void>;
  /** Takes all back that this added. */
  undo(): Promise<void>;
  /** Resolves when all of it is safe. */
  close(): Promise<void>;
}

/** Where the bytes of uploads are. What it answers is kept: a length that was told is still there after a power cut. */
export abstract class Storage {
  /** Makes a place for an upload, once or again. Throws `storage_full`. */
  abstract create(id: string): Promise<void>;

  /** How many bytes there are. Throws `not_found`. */
  abstract length(id: string): Promise<number>;

  /** The bytes from `start` until before `end`. Throws `not_found`. */
  abstract read(id: string, start: number, end: number): Promise<Readable>;

  /** Harmless when they are gone already. */
  abstract remove(id: string): Promise<void>;

  protected abstract begin(id: string, offset: number): Promise<Writing>;

  /**
   * Adds what comes until it ends, and resolves with the length then. What came before a fault stays, so that the client
   * can go on there; with a checksum it counts as a whole or not at all. Throws `checksum_mismatch`, `storage_full`.
   */
  async write(id: string, offset: number, parts: AsyncIterable<Buffer>, checksum?: Checksum): Promise<number> {
    const writing = await this.begin(id, offset);
    const hash = checksum && createHash(checksum.algorithm);
    try {
      try {
        for await (const part of parts) {
          hash?.update(part);
          await writing.add(part);
        }
      } finally {
        await writing.flush();
      }
      if (hash !== undefined && !hash.digest().equals(checksum!.digest)) throw relayError('checksum_mismatch');
    } catch (error) {
      if (checksum !== undefined) await writing.undo();
      throw error;
    } finally {
      await writing.close();
    }
    return writing.position;
  }
}
