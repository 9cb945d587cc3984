import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { AccountKey } from '../changes/account-key.js';
import { relayError } from '../errors.js';
import { readMetadata } from './file-metadata.js';
import { Storage } from './storage.js';
import { Uploads } from './uploads.js';

/** Files as they were uploaded. */
@Injectable()
export class Downloads {
  constructor(
    private readonly uploads: Uploads,
    private readonly storage: Storage,
  ) {}

  /**
   * The bytes, or those of one range (RFC 9110), as fast as they are taken. Throws `not_found`, for an upload that is not
   * complete too, and `range_unsatisfiable`.
   */
  async send(account: AccountKey, response: Response, id: string): Promise<void> {
    const { size, metadata } = await this.uploads.findFile(account, id);
    const { req: request } = response;
    // The bytes of an id never change.
    const etag = `"${id}"`;
    response.set({ ETag: etag, 'Accept-Ranges': 'bytes', 'Cache-Control': 'private, no-cache' });
    if (request.fresh) return void response.status(304).end();
    const range = readRange(request, size, etag);
    if (range === 'unsatisfiable') {
      response.removeHeader('ETag');
      response.set('Content-Range', `bytes */${size}`);
      throw relayError('range_unsatisfiable');
    }
    const [start, end] = range ?? [0, size];
    const bytes = await this.storage.read(id, start, request.method === 'HEAD' ? start : end);
    if (range !== undefined) response.status(206).set('Content-Range', `bytes ${start}-${end - 1}/${size}`);
    // RFC 6266 and RFC 8187. It is for saving: whatever it is, no browser is to show or run it as a page of this server.
    response.attachment(readMetadata(metadata, size).fileName);
    response.set({ 'Content-Type': 'application/octet-stream', 'Content-Length': String(end - start) });
    try {
      await pipeline(bytes, response);
    } catch (error) {
      // Whoever hung up wants no more of it.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    }
  }
}

/** From where until before where; undefined when all is wanted, which is what more than one range gets too. */
function readRange(request: Request, size: number, etag: string): [number, number] | 'unsatisfiable' | undefined {
  const { range: header, 'if-range': condition = etag } = request.headers;
  if (header === undefined || condition !== etag) return undefined;
  // The last n bytes of a file that has fewer are all of it: RFC 9110, section 14.1.2. The parser finds none.
  if (Number(/^bytes=-(\d+)$/.exec(header)?.[1]) > size && size > 0) return [0, size];
  const ranges = request.range(size);
  if (ranges === -1) return 'unsatisfiable';
  if (!Array.isArray(ranges) || ranges.type !== 'bytes' || ranges.length !== 1) return undefined;
  return [ranges[0]!.start, ranges[0]!.end + 1];
}
