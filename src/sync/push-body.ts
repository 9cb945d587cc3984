import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { Inject, Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import type { Request } from 'express';
import { lastValueFrom, of, type Observable } from 'rxjs';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { Slots } from '../sessions/slots.js';

const INFLATERS = new Map([
  ['gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
]);
/** What every other route takes at once as well. */
const SMALL_BYTES = 1_048_576;
const LARGE_OF_ACCOUNT = 4;
/** A large body takes twenty times its room once it is parsed. */
const LARGE_AT_ONCE = 2;

/**
 * Reads the body of a push, which may be larger than all others: behind the guard, so that no stranger's is ever read.
 * Large ones (and packed ones, which may be) are received four at once of an account, then inflated, parsed and stored
 * two at once of all; a slow sender holds up nobody else. Throws `payload_too_large`, `malformed_json`, `bad_request`.
 */
@Injectable()
export class PushBody implements NestInterceptor {
  private readonly received = new Slots(LARGE_OF_ACCOUNT);
  private readonly parsed = new Slots(LARGE_AT_ONCE);
  private readonly maxBytes: number;

  constructor(@Inject(ENV) { limits }: BootEnv) {
    this.maxBytes = limits.maxPushBytes;
  }

  async intercept(context: ExecutionContext, next: CallHandler<unknown>): Promise<Observable<unknown>> {
    const request = context.switchToHttp().getRequest<Request & { user: Session }>();
    const answer = async (bytes: Buffer) => {
      request.body = await this.parse(bytes, request);
      return lastValueFrom(next.handle());
    };
    const answerInTurn = async () => {
      const bytes = await this.read(request);
      return this.parsed.take('', () => answer(bytes));
    };
    if (isSmall(request)) return of(await answer(await this.read(request)));
    return of(await this.received.take(request.user.account.id, answerInTurn));
  }

  private async read(request: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      // The connection stays when the rest is not wanted: the answer has yet to go out.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > this.maxBytes) break;
        chunks.push(chunk);
      }
    } catch (error) {
      throw relayError('bad_request', { detail: 'the body is not whole', cause: error });
    }
    if (length <= this.maxBytes) return Buffer.concat(chunks);
    request.resume();
    throw relayError('payload_too_large');
  }

  /** Undefined for what is no JSON: nothing was said. */
  private async parse(bytes: Buffer, { headers }: IncomingMessage): Promise<unknown> {
    const type = headers['content-type'] ?? '';
    if (!/^application\/json\s*(;|$)/i.test(type)) return undefined;
    // RFC 8259, section 8.1
    const [, charset = 'utf-8'] = /charset="?([^";]*)/i.exec(type) ?? [];
    if (charset.trim().toLowerCase() !== 'utf-8') throw relayError('bad_request', { detail: 'charset must be utf-8' });
    const text = new TextDecoder().decode(await this.inflated(bytes, encodingOf(headers)));
    try {
      return JSON.parse(text);
    } catch (error) {
      throw relayError('malformed_json', { cause: error });
    }
  }

  private async inflated(bytes: Buffer, encoding: string): Promise<Buffer> {
    if (encoding === 'identity') return bytes;
    const inflateAll = INFLATERS.get(encoding);
    if (inflateAll === undefined) throw relayError('bad_request', { detail: 'Content-Encoding' });
    try {
      return await inflateAll(bytes, { maxOutputLength: this.maxBytes });
    } catch (error) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      throw relayError(isTooLarge ? 'payload_too_large' : 'bad_request', { cause: error });
    }
  }
}

function encodingOf(headers: IncomingMessage['headers']): string {
  return (headers['content-encoding'] ?? 'identity').toLowerCase();
}

/** Says so, and will not grow: Node holds a request to its Content-Length. */
function isSmall({ headers }: IncomingMessage): boolean {
  return encodingOf(headers) === 'identity' && Number(headers['content-length']) <= SMALL_BYTES;
}
