import { randomUUID } from 'node:crypto';
import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard, PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { ENV, type BootEnv } from '../env.js';
import { RelayError, relayError } from '../errors.js';
import { PUBLIC } from './auth.js';
import { Limits } from './limits.js';
import type { Session, SessionClaims } from './session.js';
import { jwtKey, Tokens } from './tokens.js';

/** Browsers' session tokens over REST. */
@Injectable()
export class SessionStrategy extends PassportStrategy(Strategy) {
  constructor(
    @Inject(ENV) env: BootEnv,
    private readonly tokens: Tokens,
  ) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      // The types know text only; a key object is what jsonwebtoken would make of it for every token.
      secretOrKey: jwtKey(env) as unknown as Buffer,
      algorithms: ['HS256'],
    });
    // Passport keeps strategies by name for the whole process: two servers in one would ask the later one's database.
    this.name = `session-${randomUUID()}`;
    passport.use(this);
  }

  async validate(claims: SessionClaims): Promise<Session> {
    const session = await this.tokens.byClaims(claims);
    if (session !== undefined) return session;
    // One that was away when it was removed learns it here, and can clear what it keeps.
    throw relayError((await this.tokens.isRemoved(claims)) ? 'device_revoked' : 'session_expired');
  }
}

/** The one guard: closed by default, opened by `@Public()`. Takes session tokens and phones' device tokens. */
@Injectable()
export class SessionGuard extends AuthGuard() implements CanActivate {
  constructor(
    strategy: SessionStrategy,
    private readonly reflector: Reflector,
    private readonly tokens: Tokens,
    private readonly limits: Limits,
  ) {
    super({ defaultStrategy: strategy.name });
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    if (this.reflector.getAllAndOverride<boolean>(PUBLIC, [context.getHandler(), context.getClass()])) return true;
    const request = context.switchToHttp().getRequest<Request & { user: Session }>();
    const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) throw relayError('not_authenticated');
    if (!token.includes('.')) {
      request.user = await this.tokens.authenticate(token, request.ip ?? '');
      return true;
    }
    try {
      return (await super.canActivate(context)) as boolean;
    } catch (error) {
      if (error instanceof RelayError && error.status === 401) await this.limits.wrongToken(request.ip ?? '');
      throw error;
    }
  }

  /** Passport's verdict in our words: its own faults pass through, a token that does not fit is an expired session. */
  override handleRequest<T>(error: unknown, user: T | false): T {
    if (error) throw error as Error;
    if (!user) throw relayError('session_expired');
    return user;
  }
}
