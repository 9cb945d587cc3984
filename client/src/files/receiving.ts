import { FILE_CHUNK_BYTES, type FileReference } from '@pairline/protocol';
import { keyBytes, type Bytes } from '../keys/bytes.js';
import { ClientError } from '../types.js';
import { damaged, FileCipher, HEADER_BYTES, placeOf, sealedSize } from './cipher.js';
import type { FileServer } from './file-server.js';
import { patiently, type Bell } from './patience.js';

/** How long a server may say nothing, ms. */
const STALL_MS = 30_000;
/** How often in a row nothing may come. */
const TRIES = 5;

interface Way {
  server: FileServer;
  bell: Bell;
  signal: AbortSignal;
  waiting?: () => void;
}

/** A file that is on the server, chunk by chunk, each verified. A connection that breaks is followed by another one. */
export class Receiving {
  private readonly bytes: number;
  private cipher: FileCipher | undefined;
  private body: Body | undefined;
  /** The chunk that comes next on it. */
  private next = 0;

  constructor(
    private readonly reference: FileReference,
    private readonly way: Way,
  ) {
    this.bytes = sealedSize(reference.size);
  }

  /** The bytes `start` up to `end` of the file. */
  async *read(start: number, end: number): AsyncGenerator<Bytes, void, undefined> {
    if (start >= end && this.reference.size > 0) return;
    const first = Math.floor(start / FILE_CHUNK_BYTES);
    // Of an empty file there is a chunk to be verified, too.
    const last = Math.max(first, Math.ceil(end / FILE_CHUNK_BYTES) - 1);
    try {
      for (let chunk = first; chunk <= last; chunk++) {
        const bytes = await patiently(() => this.chunk(chunk, last), { ...this.way, most: TRIES });
        const at = chunk * FILE_CHUNK_BYTES;
        yield bytes.subarray(Math.max(0, start - at), end - at);
      }
    } finally {
      this.body?.end();
    }
  }

  private async chunk(chunk: number, last: number): Promise<Bytes> {
    try {
      const cipher = (this.cipher ??= await this.begin(chunk, last));
      this.body ??= await this.request(placeOf(chunk), this.endOf(last));
      return await cipher.open(chunk, await this.body.take(this.endOf(chunk) - placeOf(chunk)));
    } catch (error) {
      this.body?.end();
      this.body = undefined;
      throw error;
    }
  }

  /** The header; what comes behind it is the first chunk. */
  private async begin(chunk: number, last: number): Promise<FileCipher> {
    const { key, size } = this.reference;
    const fileKey = keyBytes(key);
    if (fileKey === undefined) throw damaged();
    const body = await this.request(0, chunk === 0 ? this.endOf(last) : HEADER_BYTES);
    try {
      const cipher = await FileCipher.of(fileKey, await body.take(HEADER_BYTES), size);
      if (chunk === 0) this.body = body;
      return cipher;
    } finally {
      if (this.body !== body) body.end();
    }
  }

  private endOf(chunk: number): number {
    return Math.min(this.bytes, placeOf(chunk + 1));
  }

  private async request(from: number, to: number): Promise<Body> {
    const { server, signal } = this.way;
    const over = new AbortController();
    const request = server.read(this.reference.id, from, to, AbortSignal.any([signal, over.signal]));
    const { body, total } = await request.catch((error: ClientError) => {
      throw error.code === 'range_unsatisfiable' ? damaged() : error;
    });
    const reading = new Body(body.getReader(), over);
    if (total === this.bytes) return reading;
    reading.end();
    throw damaged();
  }
}

/** The bytes of an answer, as many at a time as are asked for. */
class Body {
  private held: Bytes = new Uint8Array();

  constructor(
    private readonly reader: ReadableStreamDefaultReader<Bytes>,
    private readonly over: AbortController,
  ) {}

  async take(length: number): Promise<Bytes> {
    const taken = new Uint8Array(length);
    for (let at = 0; at < length;) {
      if (this.held.length === 0) this.held = await this.read();
      const part = this.held.subarray(0, length - at);
      taken.set(part, at);
      at += part.length;
      this.held = this.held.subarray(part.length);
    }
    return taken;
  }

  end(): void {
    this.over.abort();
  }

  private async read(): Promise<Bytes> {
    const timer = setTimeout(() => this.over.abort(), STALL_MS);
    try {
      const { done, value } = await this.reader.read();
      if (!done) return value;
    } catch {
      // Broken, in whatever words of the engine.
    } finally {
      clearTimeout(timer);
    }
    throw new ClientError('offline', 'The connection broke off');
  }
}
