import { randomUUID } from 'node:crypto';
import pino from 'pino';
import type { LoggerService } from '@nestjs/common';
import type { Request, RequestHandler } from 'express';
import type { Env } from './env.js';

export type Log = pino.Logger;

/** The injection token of `Log`. */
export const LOG = Symbol('log');

/**
 * JSON lines. What may be logged: ids of requests, counts, codes, durations. Never a body, a number, a name or a token;
 * where a library hands over a whole request or error, the serializers below keep what is safe.
 */
export function createLog(env: Pick<Env, 'logLevel'>, destination?: pino.DestinationStream): Log {
  const options: pino.LoggerOptions = {
    level: env.logLevel,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { err: safeError, error: safeError },
  };
  return destination ? pino(options, destination) : pino(options);
}

/** A database error's message and detail can quote the row it was about; its code and stack frames cannot. */
function safeError(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  const quotesRows = severity !== undefined || error.name.startsWith('Prisma');
  return {
    type: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    message: quotesRows ? undefined : error.message,
    stack: error.stack?.split('\n').filter((line) => /^\s+at /.test(line)).slice(0, 12).join('\n'), // prettier-ignore
    cause: error.cause === undefined ? undefined : safeError(error.cause),
  };
}

/**
 * One line a request: what was asked, how it ended, how long it took. The query and headers stay out: they hold tokens. Each
 * has an id, the one that it came with or a new one, which its answer names.
 */
export function logRequests(log: Log): RequestHandler {
  return (request: Request & { id?: string }, response, next) => {
    const since = performance.now();
    const given = request.headers['x-request-id'];
    const id = typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
    request.id = id;
    response.setHeader('X-Request-Id', id);
    // Once it is answered, and also when whoever asked hung up first.
    response.once('close', () => {
      const level = response.statusCode >= 500 ? 'warn' : 'debug';
      if (!log.isLevelEnabled(level)) return;
      // As the route is written: a path that was asked for may hold ids, and one that leads nowhere anything at all.
      const { path: route } = (request.route as { path: string } | undefined) ?? {};
      const { method } = request;
      const responseTime = Math.round(performance.now() - since);
      const res = { statusCode: response.statusCode };
      log[level]({ req: { id, method }, route, res, responseTime }, response.writableFinished ? 'request completed' : 'request aborted'); // prettier-ignore
    });
    next();
  };
}

/** What Nest says of itself, in our log; its account of every route at every start is for debugging. */
export function nestLogger(log: Log): LoggerService {
  const at = (level: 'debug' | 'warn' | 'error' | 'fatal') => (message: unknown, context?: unknown) =>
    log[level]({ context: typeof context === 'string' ? context : undefined }, String(message));
  return {
    log: at('debug'),
    debug: at('debug'),
    verbose: at('debug'),
    warn: at('warn'),
    error: at('error'),
    fatal: at('fatal'),
  };
}
