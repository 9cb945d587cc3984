import {
  Catch,
  HttpException,
  Inject,
  NotFoundException,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { asRelayError } from './database/as-relay-error.js';
import { RelayError, relayError, type ErrorCode } from './errors.js';
import { LOG, type Log } from './log.js';
import { Metrics } from './metrics.js';

/** What body-parser calls its errors. */
const BODY_ERRORS: Record<string, ErrorCode> = {
  'entity.too.large': 'payload_too_large',
  'entity.parse.failed': 'malformed_json',
};

/** Express' way to hear of errors. Stands right behind the body parser: Nest would make one bare 400 of most. */
export function nameBodyError(error: { type?: string }, _request: Request, _response: Response, next: NextFunction) {
  const code = BODY_ERRORS[error.type ?? ''];
  next(code === undefined ? error : relayError(code, { cause: error }));
}

/** Every error of REST in the one body of wire.md. */
@Catch()
export class HttpErrors implements ExceptionFilter {
  constructor(
    private readonly metrics: Metrics,
    @Inject(LOG) private readonly log: Log,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request & { id?: string }>();
    const response = host.switchToHttp().getResponse<Response>();
    const told = toRelayError(error);
    this.metrics.errors.inc({ code: told.code });
    if (told.code === 'internal') this.log.error({ err: error, requestId: request.id }, 'a request failed');
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (told.retryAfter !== undefined) response.set('Retry-After', String(told.retryAfter));
    response.status(told.status).json(told.toBody(request.id));
  }
}

function toRelayError(error: unknown): RelayError {
  if (error instanceof RelayError) return error; // first: it has a `status` too
  if (error instanceof NotFoundException) return relayError('route_not_found');
  const { status } = error as { status?: number };
  // Express, body-parser and Nest mark what the client did wrong (a bad escape in the path, an unknown charset) by status.
  const blamed = error instanceof HttpException ? error.getStatus() : status;
  if (blamed === 413) return relayError('payload_too_large', { cause: error });
  if (blamed !== undefined && blamed >= 400 && blamed < 500) return relayError('bad_request', { cause: error });
  return asRelayError(error);
}
