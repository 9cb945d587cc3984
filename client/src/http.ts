import type { ErrorBody } from '@pairline/protocol';
import { ClientError } from './types.js';

const TIMEOUT_MS = 30_000;

export interface Request {
  token?: string;
  /** Instead of a token. */
  authorization?: string;
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
  signal?: AbortSignal;
  /** How long the answer may take, ms. */
  timeout?: number;
}

/**
 * The JSON that a route answers. Rejects with a `ClientError`: the server's, `offline` when it cannot be reached, or
 * `wrong_server` when what answers does not speak like one.
 */
export async function call<T>(url: string, path: string, request: Request = {}): Promise<T> {
  const { token, body, signal, timeout = TIMEOUT_MS } = request;
  const authorization = request.authorization ?? (token === undefined ? undefined : `Bearer ${token}`);
  const limit = AbortSignal.timeout(timeout);
  let response: Response;
  let text: string;
  try {
    response = await fetch(new URL(path, url), {
      method: request.method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(authorization === undefined ? {} : { Authorization: authorization }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      cache: 'no-store',
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    text = await response.text();
  } catch (error) {
    // What fetch throws differs from engine to engine; all of it means that no whole answer came.
    throw new ClientError('offline', `The server cannot be reached: ${(error as Error).message}`);
  }
  const answer = parse(text);
  if (response.ok && answer !== undefined) return answer as T;
  if (isErrorBody(answer)) throw new ClientError(answer.code, answer.message, answer.retryAfter);
  // A proxy answers for a server that is away.
  if (response.status >= 500) throw new ClientError('unavailable', `The server answers ${response.status}`);
  throw new ClientError('wrong_server', `There is no Pairline server at ${url}`);
}

export function isErrorBody(value: unknown): value is ErrorBody {
  const { code, message } = (value ?? {}) as Partial<ErrorBody>;
  return typeof code === 'string' && typeof message === 'string';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
