import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import { Server } from '@tus/server';
import type { Request as ExpressRequest, Response as ExpressResponse } from 'express';
import type { AccountKey } from '../changes/account-key.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError, type ErrorCode } from '../errors.js';
import { Concatenation, readConcat, type Whole } from './concatenation.js';
import type { Session } from '../sessions/session.js';
import { Storage, type Checksum } from './storage.js';
import { UploadLocks } from './upload-locks.js';
import { UploadStore } from './upload-store.js';
import { Uploads, type StoredUpload } from './uploads.js';

const VERSION = '1.0.0';
const PATH = '/api/files';
const OFFSET_STREAM = 'application/offset+octet-stream';
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
 * first bytes, parts, offset, termination, expiration. Checksums are checked as the bytes are written; what it does not do is
 * to join parts.
 */
@Injectable()
export class Tus {
  private readonly locks = new UploadLocks();

  constructor(
    private readonly uploads: Uploads,
    private readonly concatenation: Concatenation,
    private readonly storage: Storage,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /** Throws, besides what `Uploads` and `Concatenation` do, the errors of the catalogue's part on files. */
  async answer({ account }: Session, response: ExpressResponse, id?: string): Promise<void> {
    const { req: request } = response;
    const { method, headers } = request;
    response.set({ 'Tus-Resumable': VERSION, 'Cache-Control': 'no-store' });
    if (method !== 'OPTIONS' && headers['tus-resumable'] !== VERSION) {
      response.set('Tus-Version', VERSION);
      throw relayError('tus_version');
    }
    const creation = method === 'POST' ? await this.planned(account, request) : undefined;
    const checksum = readChecksum(request.get('Upload-Checksum'));
    const { uploads, concatenation, storage, env } = this;
    const wishes = { checksum, creation, adds: method === 'PATCH' };
    const store = new UploadStore(account, uploads, concatenation, storage, env.fileUploadTtlMs, wishes);
    let failure: Error | { status_code: number } | undefined;
    const server = new Server({
      path: PATH,
      datastore: store,
      locker: this.locks.for(method),
      maxSize: this.env.limits.fileBytes,
      relativeLocation: true,
      namingFunction: () => (typeof creation === 'object' ? creation.id : randomUUID()),
      // A request that has to make way stops at once; 0 would be the library's own 3 s.
      lockDrainTimeout: 1,
      onResponseError: (_, error) => void (failure = error),
    });
    const answer = await server.handleWeb(asWebRequest(request, id, creation));
    if (failure !== undefined && !('status_code' in failure)) throw failure;
    for (const [name, value] of answer.headers) if (/^(tus-|upload-|location|connection)/.test(name)) response.set(name, value); // prettier-ignore
    if (method === 'HEAD' && store.upload !== undefined) response.set(await this.concatOf(account, store.upload));
    if (method === 'OPTIONS') response.set('Tus-Checksum-Algorithm', Object.keys(DIGEST_BYTES).join(','));
    if (answer.status >= 500 && answer.status !== 501) throw new Error(`@tus/server answered ${answer.status}`);
    // Its sentences name headers and rules, never what a client sent.
    if (answer.status >= 400) throw relayError(ERRORS[answer.status] ?? 'bad_request', { detail: (await answer.text()).trim() }); // prettier-ignore
    response.status(answer.status).end();
  }

  /** What is to be created, where it is a part or joined from parts. */
  private async planned(account: AccountKey, request: ExpressRequest): Promise<'partial' | Whole | undefined> {
    const concat = readConcat(request.get('Upload-Concat'));
    if (typeof concat !== 'object') return concat;
    if (request.get('Upload-Length') !== undefined)
      throw relayError('bad_request', { detail: 'Upload-Length: what is joined is as long as its parts' });
    return this.concatenation.plan(account, concat.parts);
  }

  private async concatOf(account: AccountKey, { id, partial, joined }: StoredUpload): Promise<Record<string, string>> {
    if (partial) return { 'Upload-Concat': 'partial' };
    const parts = joined ? await this.concatenation.partsOf(account, id) : [];
    return parts.length === 0 ? {} : { 'Upload-Concat': `final;${parts.map((part) => `${PATH}/${part}`).join(' ')}` };
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

function asWebRequest(request: ExpressRequest, id: string | undefined, creation?: 'partial' | Whole): Request {
  const { method } = request;
  const url = `http://localhost${PATH}${id === undefined ? '' : `/${encodeURIComponent(id)}`}`;
  const headers = new Headers(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  // The library would refuse it, and knows it no further.
  headers.delete('upload-concat');
  if (typeof creation === 'object') {
    headers.set('upload-length', String(creation.size));
    headers.delete('content-type');
  }
  // Nothing else is read: not what a body parser has read already.
  const hasBytes = headers.get('content-type') === OFFSET_STREAM && ['POST', 'PATCH'].includes(method);
  const body = hasBytes ? (Readable.toWeb(request) as ReadableStream<Uint8Array>) : undefined;
  return new Request(url, { method, headers, body, duplex: 'half' } as RequestInit);
}
