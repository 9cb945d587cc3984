import { applyDecorators, createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import { ApiSecurity } from '@nestjs/swagger';
import type { Request } from 'express';
import type { Scope, Session } from './session.js';

export const PUBLIC = Symbol('public');

/** Opens a route to everybody, in the API's description too. All others need a session: the guard is global. */
export const Public = () => applyDecorators(SetMetadata(PUBLIC, true), ApiSecurity({}));

export const SCOPE = Symbol('scope');

/** Opens a route to API keys that have the scope. Without it a route is for devices alone. */
export const Scoped = (scope: Scope) => SetMetadata(SCOPE, scope);

export const TABLE_SYNC = Symbol('table-sync');

/**
 * A route of wire.md, section C: its realm stands in the path, and a token that is wrong or over is a 403, upon which
 * its clients refresh.
 */
export const TableSync = () => SetMetadata(TABLE_SYNC, true);

/** The session of the request, put there by the guard. */
export const Auth = createParamDecorator(
  (_: unknown, context: ExecutionContext): Session =>
    context.switchToHttp().getRequest<Request & { user: Session }>().user,
);

/** When the guard began to look who it is, of `performance.now()`: what ended since then was still let in. */
export const Since = createParamDecorator(
  (_: unknown, context: ExecutionContext): number =>
    context.switchToHttp().getRequest<Request & { since: number }>().since,
);

/** The address a request came from, as TRUST_PROXY lets us see it. */
export const Address = createParamDecorator(
  (_: unknown, context: ExecutionContext): string => context.switchToHttp().getRequest<Request>().ip ?? '',
);
