import { isErrorBody } from '../http.js';
import type { Bytes } from '../keys/bytes.js';
import { ClientError } from '../types.js';

const PATH = '/api/files';
const VERSION = { 'Tus-Resumable': '1.0.0' };
const ANSWER_MS = 30_000;
/** For a part of a file: its size goes by how fast the ones before were. */
const PART_MS = 60_000;

/** Of answers that have no body. */
const CODES: Record<number, string> = {
  401: 'session_expired',
  404: 'not_found',
  409: 'wrong_offset',
  410: 'upload_expired',
  416: 'range_unsatisfiable',
  423: 'upload_locked',
  429: 'rate_limited',
};

interface Request {
  headers?: Record<string, string>;
  body?: Bytes;
  signal?: AbortSignal;
  /** How long the answer may take, ms. */
  timeout?: number;
  keepalive?: boolean;
}

/** What the server has of files (docs/files.md): encrypted bytes under ids. Each rejects with a `ClientError`. */
export class FileServer {
  private largest: number | undefined;

  constructor(
    private readonly url: string,
    private readonly token: () => string,
  ) {}

  /** Bytes that an upload may have. Infinity for a page of another origin, which is not told before it begins one. */
  async maxBytes(signal?: AbortSignal): Promise<number> {
    if (this.largest === undefined) {
      const { headers } = await this.ask('OPTIONS', PATH, { signal });
      this.largest = Number(headers.get('Tus-Max-Size') ?? Infinity);
    }
    return this.largest;
  }

  /** Begins an upload of so many bytes; answers its id. */
  async create(bytes: number, signal?: AbortSignal): Promise<string> {
    // Without metadata: the server knows it as `file`, and as bytes.
    const headers = { ...VERSION, 'Upload-Length': String(bytes) };
    const location = (await this.ask('POST', PATH, { headers, signal })).headers.get('Location');
    const id = location?.split('/').at(-1);
    if (!id) throw notOurs();
    return id;
  }

  /** How many bytes of an upload there are. */
  async offset(id: string, signal?: AbortSignal): Promise<number> {
    return numberIn(await this.ask('HEAD', pathOf(id), { headers: VERSION, signal }), 'Upload-Offset');
  }

  /** Adds bytes; answers how many there are then. */
  async add(id: string, offset: number, body: Bytes, signal?: AbortSignal): Promise<number> {
    const headers = {
      ...VERSION,
      'Upload-Offset': String(offset),
      'Content-Type': 'application/offset+octet-stream',
    };
    const request = { headers, body, signal, timeout: PART_MS };
    return numberIn(await this.ask('PATCH', pathOf(id), request), 'Upload-Offset');
  }

  async remove(id: string): Promise<void> {
    // It may be the last that a page does.
    await this.ask('DELETE', pathOf(id), { headers: VERSION, keepalive: true });
  }

  /** The bytes `from` up to `to`, and how many there are in all. */
  async read(
    id: string,
    from: number,
    to: number,
    signal?: AbortSignal,
  ): Promise<{ body: ReadableStream<Bytes>; total: number }> {
    const headers = { Range: `bytes=${from}-${to - 1}` };
    const response = await this.ask('GET', pathOf(id), { headers, signal });
    const total = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '');
    if (response.status !== 206 || Number(total?.[1]) !== from || response.body === null) throw notOurs();
    return { body: response.body, total: Number(total![2]) };
  }

  private async ask(method: string, path: string, request: Request): Promise<Response> {
    const { headers, body, signal, timeout = ANSWER_MS, keepalive = false } = request;
    // Over once the answer begins: how long its bytes take is for their reader to say.
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), timeout);
    try {
      const response = await fetch(new URL(path, this.url), {
        method,
        headers: { ...headers, Authorization: `Bearer ${this.token()}` },
        ...(body === undefined ? {} : { body }),
        cache: 'no-store',
        keepalive,
        signal: signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]),
      });
      if (response.ok) return response;
      throw await errorOf(response);
    } catch (error) {
      if (error instanceof ClientError) throw error;
      signal?.throwIfAborted();
      // What fetch throws differs from engine to engine; all of it means that no whole answer came.
      throw new ClientError('offline', `The server cannot be reached: ${(error as Error).message}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

function pathOf(id: string): string {
  return `${PATH}/${encodeURIComponent(id)}`;
}

async function errorOf(response: Response): Promise<ClientError> {
  const text = await response.text();
  try {
    const answer: unknown = JSON.parse(text);
    if (isErrorBody(answer)) return new ClientError(answer.code, answer.message, answer.retryAfter);
  } catch {
    // No JSON: from a proxy, or without a body.
  }
  const code = CODES[response.status] ?? (response.status >= 500 ? 'unavailable' : 'wrong_server');
  return new ClientError(code, `The server answers ${response.status}`);
}

function numberIn(response: Response, header: string): number {
  const text = response.headers.get(header) ?? '';
  if (!/^\d{1,16}$/.test(text)) throw notOurs();
  return Number(text);
}

function notOurs(): ClientError {
  return new ClientError('wrong_server', 'What answers is no Pairline server');
}
