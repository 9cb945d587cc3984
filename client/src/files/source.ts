import { FILE_CHUNK_BYTES } from '@pairline/protocol';
import type { Bytes } from '../keys/bytes.js';
import { ClientError } from '../types.js';
import { chunkAt, HEADER_BYTES, placeOf, type FileCipher } from './cipher.js';
import { changed } from './streamed.js';
import type { FileSource } from './types.js';

/**
 * The bytes `from` up to `to` of the encrypted file; `to` is the end of a chunk. They are the same each time, or it
 * rejects with `file_changed`.
 */
export async function readSealed(source: FileSource, cipher: FileCipher, from: number, to: number): Promise<Bytes> {
  const [first, end] = [chunkAt(from), chunkAt(to - 1) + 1];
  const start = first * FILE_CHUNK_BYTES;
  const plaintext = await read(source, start, Math.min(cipher.size, end * FILE_CHUNK_BYTES));
  const sealed = await Promise.all(
    Array.from({ length: end - first }, (_, i) =>
      cipher.seal(first + i, plaintext.subarray(i * FILE_CHUNK_BYTES, (i + 1) * FILE_CHUNK_BYTES)),
    ),
  );
  const begin = first === 0 ? 0 : placeOf(first);
  const all = new Uint8Array(to - begin);
  if (first === 0) all.set(cipher.header);
  let at = first === 0 ? HEADER_BYTES : 0;
  for (const chunk of sealed) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all.subarray(from - begin);
}

async function read(source: FileSource, start: number, end: number): Promise<Bytes> {
  let bytes: Bytes;
  try {
    bytes = new Uint8Array(await source.slice(start, end).arrayBuffer());
  } catch (error) {
    // A browser does not read a file on disk that is another one by now.
    throw error instanceof ClientError ? error : changed((error as Error).message);
  }
  if (bytes.length !== end - start) throw changed('it is shorter');
  return bytes;
}
