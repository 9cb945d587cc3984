import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { Disk } from './disk.js';
import { readMetadata } from './file-metadata.js';
import { Uploads } from './uploads.js';

/** Files as they were uploaded. */
@Injectable()
export class Downloads {
  constructor(
    private readonly uploads: Uploads,
    private readonly disk: Disk,
  ) {}

  /**
   * The bytes, or those of one range (RFC 9110), as fast as they are taken. Throws `not_found`, for an upload that is not
   * complete too, and `range_unsatisfiable`.
   */
  async send({ account }: Session, response: Response, id: string): Promise<void> {
    const upload = await this.uploads.find(account, id);
    if (!upload.complete) throw relayError('not_found');
    // RFC 6266 and RFC 8187. It is for saving: whatever it is, no browser is to show or run it as a page of this server.
    response.attachment(readMetadata(upload.metadata, upload.size).fileName);
    response.set({
      'Content-Type': 'application/octet-stream',
      'Cache-Control': 'private, no-cache',
      // The bytes of an id never change.
      ETag: `"${id}"`,
    });
    // `sendFile` refuses the last n bytes of a file that has fewer: RFC 9110, section 14.1.2, has the whole sent.
    const { headers } = response.req;
    if (Number(/^bytes=-(\d+)$/.exec(headers.range ?? '')?.[1]) > upload.size) headers.range = 'bytes=0-';
    try {
      await this.stream(response, id);
    } catch (error) {
      for (const name of ['Content-Type', 'Content-Disposition', 'ETag']) response.removeHeader(name);
      throw error;
    }
  }

  private stream(response: Response, id: string): Promise<void> {
    const options = { root: this.disk.folder, lastModified: false, cacheControl: false };
    return new Promise((resolve, reject) => {
      response.sendFile(this.disk.placeOf(id), options, (error?: Error & { status?: number; code?: string }) => {
        // Whoever hung up wants no more of it.
        if (error === undefined || error.code === 'ECONNABORTED' || error.code === 'EPIPE') resolve();
        else if (error.status === 416) reject(relayError('range_unsatisfiable'));
        else reject(error.status === 404 ? relayError('not_found') : error);
      });
    });
  }
}
