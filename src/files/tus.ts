import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import { Server } from '@tus/server';
import type { Request as ExpressRequest, Response as ExpressResponse } from 'express';
import { ENV, type BootEnv } from '../env.js';
import { relayError, type ErrorCode } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { Disk, type Checksum } from './disk.js';
import { UploadLocks } from './upload-locks.js';
import { UploadStore } from './upload-store.js';
import { Uploads } from './uploads.js';

const VERSION = '1.0.0';
const PATH = '/api/files';
const DIGEST_BYTES = { sha1: 20, sha256: 32 };

/** What `@tus/server` says by status alone. */
const ERRORS: Record<number, ErrorCode> = {
  404: 'not_found',
  409: 'wrong_offset',
  410: 'upload_expired',
  413: 'file_too_large',
  501: 'extension_unsupported',
};

/**
 * Uploads by tus 1.0 (https://tus.io/protocols/resumable-upload), whose rules `@tus/server` knows: creation, also with the
 * first bytes, parts, offset, termination, expiration. Checksums are checked as the bytes are written.
 */
@Injectable()
export class Tus {
  private readonly locks = new UploadLocks();

  constructor(
    private readonly uploads: Uploads,
    private readonly disk: Disk,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /** Throws, besides what `Uploads` does, the errors of the catalogue's part on files. */
  async answer({ account }: Session, request: ExpressRequest, response: ExpressResponse, id?: string): Promise<void> {
    const { method, headers } = request;
    response.set({ 'Tus-Resumable': VERSION, 'Cache-Control': 'no-store' });
    if (method !== 'OPTIONS' && headers['tus-resumable'] !== VERSION) {
      response.set('Tus-Version', VERSION);
      throw relayError('tus_version');
    }
    const checksum = readChecksum(request.get('Upload-Checksum'));
    const store = new UploadStore(account, this.uploads, this.disk, this.env.fileUploadTtlMs, checksum);
    let failure: Error | { status_code: number } | undefined;
    const server = new Server({
      path: PATH,
      datastore: store,
      locker: this.locks.for(method),
      maxSize: this.env.limits.fileBytes,
      relativeLocation: true,
      namingFunction: () => randomUUID(),
      // A request that has to make way stops at once; 0 would be the library's own 3 s.
      lockDrainTimeout: 1,
      onResponseError: (_, error) => void (failure = error),
    });
    const answer = await server.handleWeb(asWebRequest(request, id));
    if (failure !== undefined && !('status_code' in failure)) throw failure;
    for (const [name, value] of answer.headers) if (/^(tus-|upload-|location|connection)/.test(name)) response.set(name, value); // prettier-ignore
    if (method === 'OPTIONS') response.set('Tus-Checksum-Algorithm', Object.keys(DIGEST_BYTES).join(','));
    if (answer.status >= 500 && answer.status !== 501) throw new Error(`@tus/server answered ${answer.status}`);
    // Its sentences name headers and rules, never what a client sent.
    if (answer.status >= 400) throw relayError(ERRORS[answer.status] ?? 'bad_request', { detail: (await answer.text()).trim() }); // prettier-ignore
    response.status(answer.status).end();
  }
}

/** Throws `bad_request`. */
function readChecksum(header: string | undefined): Checksum | undefined {
  if (header === undefined) return undefined;
  const [, algorithm, base64] = /^(sha1|sha256) ([A-Za-z0-9+/]+=*)$/.exec(header) ?? [];
  const digest = Buffer.from(base64 ?? '', 'base64');
  if (algorithm === undefined || digest.length !== DIGEST_BYTES[algorithm as Checksum['algorithm']])
    throw relayError('bad_request', { detail: 'Upload-Checksum must be sha1 or sha256 and a digest in base64' });
  return { algorithm: algorithm as Checksum['algorithm'], digest };
}

function asWebRequest(request: ExpressRequest, id: string | undefined): Request {
  const { method, headers } = request;
  const url = `http://localhost${PATH}${id === undefined ? '' : `/${encodeURIComponent(id)}`}`;
  const named = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
  // Nothing else is read: not what a body parser has read already.
  const hasBytes = headers['content-type'] === 'application/offset+octet-stream' && ['POST', 'PATCH'].includes(method);
  const body = hasBytes ? (Readable.toWeb(request) as ReadableStream<Uint8Array>) : undefined;
  return new Request(url, { method, headers: named, body, duplex: 'half' } as RequestInit);
}
