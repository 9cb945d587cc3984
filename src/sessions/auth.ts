import { createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import type { Session } from './session.js';

export const PUBLIC = Symbol('public');

/** Opens a route to everybody. All others need a session: the guard is global. */
export const Public = () => SetMetadata(PUBLIC, true);

/** The session of the request, put there by the guard. */
export const Auth = createParamDecorator(
  (_: unknown, context: ExecutionContext): Session =>
    context.switchToHttp().getRequest<Request & { user: Session }>().user,
);

/** The address a request came from, as TRUST_PROXY lets us see it. */
export const Address = createParamDecorator(
  (_: unknown, context: ExecutionContext): string => context.switchToHttp().getRequest<Request>().ip ?? '',
);
