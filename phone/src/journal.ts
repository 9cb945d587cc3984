import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';

const CHUNK = 1 << 16;

/**
 * A file of JSON lines that only grows. A line that `append` returned from is on disk; one that was cut off by a crash
 * never counted, and is taken away when the file is opened again.
 */
export class Journal<Entry> {
  private constructor(
    private readonly file: number,
    private size: number,
  ) {}

  /** Opens or makes it, and reads what is there, entry by entry. */
  static open<Entry>(path: string, each: (entry: Entry) => void): Journal<Entry> {
    const file = openSync(path, 'a+', 0o600);
    const chunk = Buffer.alloc(CHUNK);
    let rest = Buffer.alloc(0);
    let at = 0;
    for (let read; (read = readSync(file, chunk, 0, CHUNK, at)) > 0; at += read) {
      rest = Buffer.concat([rest, chunk.subarray(0, read)]);
      let start = 0;
      for (let end; (end = rest.indexOf(10, start)) >= 0; start = end + 1)
        each(JSON.parse(rest.toString('utf8', start, end)) as Entry);
      rest = rest.subarray(start);
    }
    if (rest.length > 0) ftruncateSync(file, at - rest.length);
    return new Journal<Entry>(file, at - rest.length);
  }

  append(entry: Entry): void {
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    try {
      for (let done = 0; done < line.length;) done += writeSync(this.file, line, done);
      fsyncSync(this.file);
    } catch (error) {
      // A full disk can leave half a line, and the next one must not be glued to it.
      ftruncateSync(this.file, this.size);
      throw error;
    }
    this.size += line.length;
  }

  close(): void {
    closeSync(this.file);
  }
}
