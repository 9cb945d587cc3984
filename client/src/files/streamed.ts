import { ClientError } from '../types.js';
import type { FileSource } from './types.js';

/**
 * A file of `size` bytes that comes as a stream, once, of which nothing is held but what has not arrived at the server. It
 * cannot be resumed after a reload.
 */
export function streamed(
  parts: AsyncIterable<Uint8Array>,
  file: { size: number; name?: string; type?: string },
): FileSource {
  const stream = new Passing(parts);
  return {
    ...file,
    slice: (start, end) => ({ arrayBuffer: () => stream.read(start, end, end === file.size) }),
  };
}

class Passing {
  private readonly parts: AsyncIterator<Uint8Array>;
  private held: Uint8Array[] = [];
  /** Where in the file what is held begins, and ends. */
  private start = 0;
  private end = 0;

  constructor(parts: AsyncIterable<Uint8Array>) {
    this.parts = parts[Symbol.asyncIterator]();
  }

  /** What is before `start` is never read again. */
  async read(start: number, end: number, last: boolean): Promise<ArrayBuffer> {
    if (start < this.start) throw changed('it has been read already');
    while (this.end < end || last) {
      const next = await this.parts.next();
      if (next.done) break;
      this.held.push(next.value);
      this.end += next.value.length;
      if (last && this.end > end) throw changed('it is longer');
    }
    for (; this.held.length > 0 && this.start + this.held[0]!.length <= start; this.held.shift())
      this.start += this.held[0]!.length;
    const bytes = new Uint8Array(Math.min(end, this.end) - start);
    let at = this.start - start;
    for (const part of this.held) {
      if (at >= bytes.length) break;
      bytes.set(part.subarray(Math.max(0, -at), bytes.length - at), Math.max(0, at));
      at += part.length;
    }
    return bytes.buffer;
  }
}

export function changed(how: string): ClientError {
  return new ClientError('file_changed', `The file is not the same any more: ${how}`);
}
