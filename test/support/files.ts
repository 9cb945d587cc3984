import { randomUUID } from 'node:crypto';
import { call } from './clients.js';
import { encode, OFFSET_STREAM, send, type TusReply, type TusRequest } from './tus.js';
import { bySnapshot } from './views.js';

/** Somebody who signed in, and their files as they ask for them over plain HTTP. */
export class FileOwner {
  private constructor(
    readonly url: string,
    readonly token: string,
    readonly account: string,
  ) {}

  static async register(url: string): Promise<FileOwner> {
    const email = `ann-${randomUUID()}@example.org`;
    const { body } = await call(url, '/api/auth/register', { body: { email, password: PASSWORD } });
    return new FileOwner(url, body.token, body.userId);
  }

  /** Who is signed in already. */
  static as(url: string, { token, id }: { token: string; id: string }): FileOwner {
    return new FileOwner(url, token, id);
  }

  /** The same, at a server that was started again, or with another token. */
  at(url: string, token = this.token): FileOwner {
    return new FileOwner(url, token, this.account);
  }

  ask(method: string, path: string, request: TusRequest = {}): Promise<TusReply> {
    return send(this.url, method, path, { token: this.token, ...request });
  }

  /** Without `size`, as what is joined is created. */
  create(size?: number, headers: TusRequest['headers'] = {}): Promise<TusReply> {
    return this.ask('POST', '/api/files', {
      headers: { ...(size !== undefined && { 'Upload-Length': size }), ...headers },
    });
  }

  add(path: string, offset: number, body: TusRequest['body'], headers: TusRequest['headers'] = {}): Promise<TusReply> {
    return this.ask('PATCH', path, { body, headers: { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': offset, ...headers } }); // prettier-ignore
  }

  get(path: string, headers: TusRequest['headers'] = {}): Promise<TusReply> {
    return this.ask('GET', path, { headers, tus: false });
  }

  /** The path of a new upload with these bytes: a file, unless it is a part. */
  async file(bytes: Buffer, metadata: Record<string, string> = {}, headers: TusRequest['headers'] = {}) {
    const said = Object.keys(metadata).length > 0 && { 'Upload-Metadata': encode(metadata) };
    const reply = await this.create(bytes.length, { ...said, ...headers });
    if (reply.status !== 201) throw new Error(`No upload: ${reply.status} ${reply.body.toString()}`);
    const path = reply.headers.location!;
    const { status } = await this.add(path, 0, bytes);
    if (status !== 204) throw new Error(`Not taken: ${status}`);
    return path;
  }

  /** The file rows of the account, read anew. */
  async rows(): Promise<Record<string, unknown>[]> {
    return (await bySnapshot(this.url, this.token)).of<Record<string, unknown>>('file');
  }
}

export const PASSWORD = 'correct horse battery';
export const idOf = (path: string) => path.split('/').at(-1)!;
export const told = ({ status, code }: TusReply) => [status, code];

export async function expectSoon(look: () => boolean): Promise<void> {
  for (const end = Date.now() + 15_000; !look(); await new Promise((resolve) => setImmediate(resolve)))
    if (Date.now() > end) throw new Error('It never came to be');
}
