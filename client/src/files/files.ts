import { KEY_BYTES, FILE_SALT_BYTES, type FileReference } from '@pairline/protocol';
import { fromBase64url, keyBytes, randomBytes, toBase64url } from '../keys/bytes.js';
import { ClientError } from '../types.js';
import { FileCipher, headerOf, largestSize, sealedSize } from './cipher.js';
import { FileServer } from './file-server.js';
import { Bell, patiently } from './patience.js';
import { previewOf } from './preview.js';
import { Receiving } from './receiving.js';
import { plainName, plainType, UNKNOWN_TYPE } from './reference.js';
import { Sending, type Way } from './sending.js';
import { changed } from './streamed.js';
import type { FilesClient, FileSource, OpenOptions, SavedUpload, TransferOptions, UploadOptions } from './types.js'; // prettier-ignore

/** Chunks of a whole file after which what has come is handed to the browser, which may keep it on disk. */
const HANDED_ON = 128;
/** What a browser shows and does not run: of these types a file of somebody else may be. */
const HARMLESS = /^(?:image\/(?:avif|bmp|gif|jpeg|png|webp)|(?:audio|video)\/[\w.+-]+)$/;

export class Files implements FilesClient {
  private readonly server: FileServer;
  private readonly bell = new Bell();
  private readonly closing = new AbortController();

  /** `token`: of the session; throws a `ClientError` when there is none. */
  constructor(url: string, token: () => string) {
    this.server = new FileServer(url, token);
  }

  /** What waits tries again at once. */
  hurry(): void {
    this.bell.ring();
  }

  /** What is under way ends with `offline`; uploads that were kept can be resumed. */
  close(): void {
    this.closing.abort(new ClientError('offline', 'Closed'));
  }

  async maxSize(): Promise<number> {
    return largestSize(await this.server.maxBytes());
  }

  async upload(file: FileSource, { keep, ...options }: UploadOptions = {}): Promise<FileReference> {
    const way = this.wayOf(options);
    const { server, signal, onProgress } = way;
    const { size, lastModified: modified } = file;
    const preview = await previewOf(file);
    const begin = async () => {
      if (sealedSize(size) > (await server.maxBytes(signal))) throw new ClientError('file_too_large', 'The file is too large'); // prettier-ignore
      return server.create(sealedSize(size), signal);
    };
    const id = await patiently(begin, { ...way, waiting: () => onProgress?.({ done: 0, size, waiting: true }) });
    const [name, type] = [plainName(file.name), plainType(file.type)];
    const reference = { id, key: toBase64url(randomBytes(KEY_BYTES)), name, type, size, ...preview };
    const saved = {
      reference,
      salt: toBase64url(randomBytes(FILE_SALT_BYTES)),
      ...(modified === undefined ? {} : { modified }),
    };
    let kept = false;
    try {
      await keep?.(saved);
      kept = keep !== undefined;
      return await this.send(saved, file, way, 0);
    } catch (error) {
      if (!kept || options.signal?.aborted) await this.giveUp(id);
      throw error;
    }
  }

  async resume(saved: SavedUpload, file: FileSource, options: TransferOptions = {}): Promise<FileReference> {
    const { reference, modified } = saved;
    // Something else under the same key would give the key away: where no time tells, it may be something else.
    if (file.size !== reference.size || modified === undefined || file.lastModified !== modified)
      throw changed('its size or time is another one');
    try {
      return await this.send(saved, file, this.wayOf(options));
    } catch (error) {
      if (options.signal?.aborted) await this.giveUp(reference.id);
      throw isGone(error) ? new ClientError('upload_expired', 'There is nothing to go on with') : error;
    }
  }

  open(
    reference: FileReference,
    { start = 0, end = reference.size, signal }: OpenOptions = {},
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    const over = new AbortController();
    const way = this.wayOf({ signal: signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]) });
    const parts = new Receiving(reference, way).read(Math.max(0, start), Math.min(reference.size, end));
    return new ReadableStream(
      {
        async pull(controller) {
          const { done, value } = await parts.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: () => over.abort(),
      },
      // Nothing is asked for before it is wanted.
      { highWaterMark: 0 },
    );
  }

  async blob(reference: FileReference, options: TransferOptions = {}): Promise<Blob> {
    const { size, type } = reference;
    const tell = (more: { waiting?: true } = {}) => options.onProgress?.({ done, size, ...more });
    const way = { ...this.wayOf(options), waiting: () => tell({ waiting: true }) };
    let done = 0;
    const before: Blob[] = [];
    let parts: Uint8Array<ArrayBuffer>[] = [];
    for await (const bytes of new Receiving(reference, way).read(0, size)) {
      parts.push(bytes);
      if (parts.length === HANDED_ON) {
        before.push(new Blob(parts));
        parts = [];
      }
      done += bytes.length;
      tell();
    }
    return new Blob([...before, ...parts], { type: HARMLESS.test(type) ? type : UNKNOWN_TYPE });
  }

  async remove(id: string): Promise<void> {
    await this.server.remove(id).catch((error: unknown) => {
      if (!isGone(error)) throw error;
    });
  }

  private async send(saved: SavedUpload, file: FileSource, way: Way, offset?: number): Promise<FileReference> {
    const { reference, salt } = saved;
    const [key, bytes] = [keyBytes(reference.key), fromBase64url(salt)];
    if (key === undefined || bytes === undefined)
      throw new ClientError('bad_request', 'This is no upload that was kept');
    const cipher = await FileCipher.of(key, headerOf(bytes), reference.size);
    await new Sending(way, reference.id, file, cipher, offset).run();
    return reference;
  }

  /** Whether the server hears of it or not: it expires. */
  private async giveUp(id: string): Promise<void> {
    await this.server.remove(id).catch((error: unknown) => {
      if (!(error instanceof ClientError)) throw error;
    });
  }

  private wayOf({ signal, onProgress }: TransferOptions): Way {
    const { server, bell, closing } = this;
    const both = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
    return { server, bell, signal: both, ...(onProgress && { onProgress }) };
  }
}

function isGone(error: unknown): boolean {
  return error instanceof ClientError && ['not_found', 'upload_expired'].includes(error.code);
}
