import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { ClientError, type FileReference, type FilesClient, type FileSource, type SavedUpload } from '@pairline/client';
import type { DriverFile } from './driver.js';
import { Journal } from './journal.js';

/** Of a file that was begun: `text` is the id of its text; `telling` that the server may have that text. */
interface Upload {
  text: string;
  saved: SavedUpload;
  telling?: true;
}

type Line = ({ begun: string } & Upload) | { telling: string[] } | { over: string[] };

/**
 * The files on their way to the server. Each is noted before its first byte goes, until its text is told: after a crash the upload goes
 * on, or counts if it was whole. What is here can be opened with what is in this journal.
 */
export class Uploads {
  private readonly begun = new Map<string, Upload>();
  private readonly journal: Journal<Line>;

  constructor(path: string) {
    const journal = Journal.open<Line>(path, (line) => this.apply(line));
    if (this.begun.size > 0) {
      this.journal = journal;
      return;
    }
    // All over: its lines, and the keys in them, need not stay.
    journal.close();
    rmSync(path);
    this.journal = Journal.open<Line>(path, () => undefined);
  }

  /** Uploads file number `nth` of a text, or goes on with it. Rejects with a `ClientError`. */
  async upload(files: FilesClient, text: string, nth: number, file: DriverFile): Promise<FileReference> {
    const source = sourceOf(file);
    // Other bytes must never go under the same key.
    const digest = createHash('sha256').update(file.bytes).digest('base64url');
    const key = `${text} ${nth} ${digest}`;
    const begun = this.begun.get(key);
    if (begun !== undefined)
      try {
        return await files.resume(begun.saved, source);
      } catch (error) {
        if (!(error instanceof ClientError) || error.code !== 'upload_expired') throw error;
      }
    return files.upload(source, { keep: (saved) => this.write({ begun: key, text, saved }) });
  }

  /** These texts are about to be told: from here on their files are theirs. */
  telling(texts: string[]): void {
    if (this.has(texts)) this.write({ telling: texts });
  }

  /** They are told, and that is noted. */
  over(texts: string[]): void {
    if (this.has(texts)) this.write({ over: texts });
  }

  /** Takes off the server what was begun for texts that never were told. */
  async removeRest(files: () => Promise<FilesClient>): Promise<void> {
    for (const { text, saved, telling } of [...this.begun.values()]) {
      if (telling) continue;
      await (await files()).remove(saved.reference.id);
      this.over([text]);
    }
  }

  close(): void {
    this.journal.close();
  }

  private has(texts: string[]): boolean {
    const among = new Set(texts);
    return [...this.begun.values()].some(({ text }) => among.has(text));
  }

  private write(line: Line): void {
    this.journal.append(line);
    this.apply(line);
  }

  private apply(line: Line): void {
    if ('begun' in line) {
      const { begun, ...upload } = line;
      this.begun.set(begun, upload);
      return;
    }
    const texts = new Set('telling' in line ? line.telling : line.over);
    for (const [key, upload] of this.begun) {
      if (!texts.has(upload.text)) continue;
      if ('telling' in line) this.begun.set(key, { ...upload, telling: true });
      else this.begun.delete(key);
    }
  }
}

function sourceOf({ name, type, bytes }: DriverFile): FileSource {
  const slice = (start: number, end: number) => ({
    arrayBuffer: () => Promise.resolve(new Uint8Array(bytes.subarray(start, end)).buffer),
  });
  // What says that they are the same bytes is the digest that the upload is noted under.
  return { size: bytes.length, lastModified: 0, name, type, slice };
}
