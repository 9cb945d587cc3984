import { request as httpRequest, type ClientRequest, type IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { Upload, type UploadOptions } from 'tus-js-client';

/** A reply to plain HTTP, with its bytes. */
export interface TusReply {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** Of an error. */
  code?: string;
}

export interface TusRequest {
  token?: string;
  headers?: Record<string, string | number>;
  body?: Buffer | Readable;
  /** Sent without being asked for? Then false. */
  tus?: boolean;
}

export const TUS = { 'Tus-Resumable': '1.0.0' };
export const OFFSET_STREAM = 'application/offset+octet-stream';

/** Begins a request, and leaves its body to who asked. */
export function open(
  url: string,
  method: string,
  path: string,
  { token, headers = {}, tus = true }: TusRequest,
): { request: ClientRequest; reply: Promise<TusReply> } {
  const request = httpRequest(url + path, {
    method,
    agent: false,
    headers: { ...(tus ? TUS : {}), ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }), ...headers },
  });
  const reply = new Promise<TusReply>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      buffer(response).then((body) => {
        const isJson = response.headers['content-type']?.includes('/json');
        const { code } = isJson && body.length > 0 ? (JSON.parse(body.toString()) as { code?: string }) : {};
        resolve({ status: response.statusCode!, headers: response.headers, body, code });
      }, reject);
    });
  });
  return { request, reply };
}

export function send(url: string, method: string, path: string, options: TusRequest = {}): Promise<TusReply> {
  const { request, reply } = open(url, method, path, options);
  if (options.body instanceof Readable) options.body.pipe(request);
  else request.end(options.body);
  return reply;
}

export function encode(metadata: Record<string, string>): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    .join(',');
}

/** Uploads with the real client of tus; resolves with the address. */
export function upload(
  url: string,
  token: string,
  bytes: Buffer | Readable,
  options: Partial<UploadOptions> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const upload = new Upload(bytes, {
      endpoint: `${url}/api/files`,
      headers: { Authorization: `Bearer ${token}` },
      retryDelays: null,
      ...options,
      onSuccess: () => resolve(upload.url!),
      onError: reject,
    });
    upload.start();
  });
}
