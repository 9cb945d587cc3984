import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ServiceException,
} from '@aws-sdk/client-s3';
import type { OnModuleInit } from '@nestjs/common';
import { StartupError } from '../database/startup-error.js';
import type { BucketSettings } from '../env.js';
import { relayError } from '../errors.js';
import { Storage, type Writing } from './storage.js';

/** Bytes of one object, and what an upload has in memory at most. */
const PIECE_BYTES = 4_194_304;
/** Objects of an upload that are removed at the same time. */
const AT_ONCE = 16;
/** So that names sort as numbers do. */
const DIGITS = 16;
const TIMEOUTS = { connectionTimeout: 5000, requestTimeout: 60_000 };

/** An object, and which bytes of its upload it stands for. */
interface Piece {
  key: string;
  start: number;
  end: number;
}

/**
 * An S3-compatible store. An upload is a row of objects, `<id>/<offset>`, each of which is there whole or not at all: what was
 * acknowledged is in the store, and nothing of it on this server.
 */
export class Bucket extends Storage implements OnModuleInit {
  private readonly client: S3Client;
  private readonly bucket: string;

  constructor({ bucket, endpoint, region, accessKeyId, secretAccessKey }: BucketSettings) {
    super();
    this.bucket = bucket;
    this.client = new S3Client({
      ...{ endpoint, region, credentials: { accessKeyId, secretAccessKey }, requestHandler: TIMEOUTS },
      // Names of buckets are not names of hosts everywhere, and checksums in trailers not known.
      ...{ forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' }, // prettier-ignore
    });
  }

  /** A store that is away for a moment is no reason not to start: what needs it fails until it is back. */
  async onModuleInit(): Promise<void> {
    try {
      await this.client.send(new HeadBucketCommand({ Bucket: this.bucket }));
    } catch (error) {
      const status = statusOf(error);
      if (status !== undefined && status < 500)
        throw new StartupError(`FILES_URL: the store answered ${status} for the bucket ${this.bucket}.`, { cause: error }); // prettier-ignore
    }
  }

  /** Nothing there is an upload of no bytes. A store that is away is to be told before one takes room. */
  async create(id: string): Promise<void> {
    await this.list(id);
  }

  async length(id: string): Promise<number> {
    return (await this.pieces(id)).at(-1)?.end ?? 0;
  }

  async read(id: string, start: number, end: number): Promise<Readable> {
    const pieces = start < end ? await this.pieces(id) : [];
    if (start < end && (pieces.at(-1)?.end ?? 0) < end) throw relayError('not_found');
    const wanted = pieces.filter((piece) => piece.start < end && piece.end > start);
    const parts = async function* (this: Bucket) {
      for (const piece of wanted) yield* await this.get(piece, Math.max(start, piece.start), Math.min(end, piece.end));
    };
    return Readable.from(parts.call(this), { objectMode: false });
  }

  async remove(id: string): Promise<void> {
    const keys = await this.list(id);
    for (let i = 0; i < keys.length; i += AT_ONCE)
      await Promise.all(keys.slice(i, i + AT_ONCE).map(({ key }) => this.delete(key)));
  }

  protected async begin(id: string, offset: number): Promise<Writing> {
    return new BucketWriting(this, id, offset);
  }

  put(key: string, body: Buffer): Promise<unknown> {
    return this.orFault(() => this.client.send(new PutObjectCommand({ Bucket: this.bucket, Key: key, Body: body })));
  }

  delete(key: string): Promise<unknown> {
    return this.orFault(() => this.client.send(new DeleteObjectCommand({ Bucket: this.bucket, Key: key })));
  }

  /**
   * What there is without a gap. One that reaches into the next counts until there: it was thought lost, and what came in
   * its place are the same bytes.
   */
  private async pieces(id: string): Promise<Piece[]> {
    const found = await this.list(id);
    const pieces = found.map(({ key, start, end }, i) => ({ key, start, end: Math.min(end, found[i + 1]?.start ?? end) })); // prettier-ignore
    const gap = pieces.findIndex(({ start }, i) => start !== (pieces[i - 1]?.end ?? 0));
    return gap === -1 ? pieces : pieces.slice(0, gap);
  }

  private async list(id: string): Promise<Piece[]> {
    const found: Piece[] = [];
    for (let token: string | undefined, more = true; more;) {
      const command = new ListObjectsV2Command({ Bucket: this.bucket, Prefix: `${id}/`, ContinuationToken: token });
      const page = await this.orFault(() => this.client.send(command));
      for (const { Key: key, Size: size } of page.Contents ?? []) {
        const start = Number(key!.slice(id.length + 1));
        found.push({ key: key!, start, end: start + size! });
      }
      token = page.NextContinuationToken;
      more = token !== undefined;
    }
    return found;
  }

  private async get(piece: Piece, start: number, end: number): Promise<Readable> {
    const Range = `bytes=${start - piece.start}-${end - piece.start - 1}`;
    const { Body } = await this.orFault(() =>
      this.client.send(new GetObjectCommand({ Bucket: this.bucket, Key: piece.key, Range })),
    );
    return Body as Readable;
  }

  private async orFault<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const status = statusOf(error);
      if (status === 507) throw relayError('storage_full', { cause: error });
      if (status === 404 && (error as Error).name === 'NoSuchKey') throw relayError('not_found', { cause: error });
      // Who may not, or asks for a bucket that is none, is told by the log.
      if (status !== undefined && status < 500 && status !== 429) throw error;
      throw relayError('storage_unavailable', { retryAfter: 1, cause: error });
    }
  }
}

class BucketWriting implements Writing {
  position: number;
  private readonly keys: string[] = [];
  private waiting: Buffer[] = [];
  private bytes = 0;

  constructor(
    private readonly bucket: Bucket,
    private readonly id: string,
    offset: number,
  ) {
    this.position = offset;
  }

  async add(part: Buffer): Promise<void> {
    this.waiting.push(part);
    this.bytes += part.length;
    if (this.bytes >= PIECE_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const { waiting, bytes } = this;
    if (bytes === 0) return;
    this.waiting = [];
    this.bytes = 0;
    const key = `${this.id}/${String(this.position).padStart(DIGITS, '0')}`;
    this.keys.push(key);
    await this.bucket.put(key, Buffer.concat(waiting));
    this.position += bytes;
  }

  async undo(): Promise<void> {
    for (const key of this.keys.reverse()) await this.bucket.delete(key);
  }

  async close(): Promise<void> {}
}

/** Of an answer; undefined when there was none. */
function statusOf(error: unknown): number | undefined {
  return (error as Partial<S3ServiceException>).$metadata?.httpStatusCode;
}
