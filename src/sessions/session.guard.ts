import { randomUUID } from 'node:crypto';
import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AuthGuard, PassportStrategy } from '@nestjs/passport';
import type { Request } from 'express';
import passport from 'passport';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { Databases } from '../database/databases.js';
import { ENV, type BootEnv } from '../env.js';
import { RelayError, relayError } from '../errors.js';
import { ApiKeys, isApiKey } from './api-keys.js';
import { PUBLIC, SCOPE, TABLE_SYNC } from './auth.js';
import { readBearer } from './authorization.js';
import { Limits } from './limits.js';
import type { Scope, Session, SessionClaims } from './session.js';
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

type SessionRequest = Request & { user: Session; since: number };

/** The one guard: closed by default, opened by `@Public()`. Takes session tokens, phones' device tokens and API keys. */
@Injectable()
export class SessionGuard extends AuthGuard() implements CanActivate {
  constructor(
    strategy: SessionStrategy,
    private readonly reflector: Reflector,
    private readonly tokens: Tokens,
    private readonly apiKeys: ApiKeys,
    private readonly databases: Databases,
    private readonly limits: Limits,
  ) {
    super({ defaultStrategy: strategy.name });
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const marked = <T>(mark: symbol) => this.reflector.getAllAndOverride<T>(mark, [context.getHandler(), context.getClass()]); // prettier-ignore
    const request = context.switchToHttp().getRequest<SessionRequest>();
    request.since = performance.now();
    const { realm } = request.params as { realm?: string };
    if (realm !== undefined && this.databases.of(realm) === undefined) throw relayError('realm_unknown');
    if (marked<true>(PUBLIC)) return true;
    try {
      await this.signIn(context, request);
    } catch (error) {
      // A missing token stays a 401.
      if (!marked<true>(TABLE_SYNC) || !(error instanceof RelayError) || error.status !== 401) throw error;
      throw relayError(error.code === 'not_authenticated' ? error.code : 'token_expired');
    }
    const { user } = request;
    // Nothing crosses realms: a token of another one is no token here.
    if (realm !== undefined && user.account.home.realm !== realm) throw relayError('token_expired');
    if (user.scopes !== undefined && !user.scopes.includes(marked<Scope>(SCOPE))) throw relayError('scope_missing');
    return true;
  }

  private async signIn(context: ExecutionContext, request: SessionRequest): Promise<void> {
    const token = readBearer(request.headers.authorization);
    if (token === undefined) throw relayError('not_authenticated');
    if (isApiKey(token)) {
      request.user = await this.apiKeys.authenticate(token, request.ip ?? '');
      return;
    }
    if (!token.includes('.')) {
      request.user = await this.tokens.authenticate(token, request.ip ?? '');
      return;
    }
    try {
      await super.canActivate(context);
    } catch (error) {
      if (error instanceof RelayError && isForged(error)) await this.limits.wrongToken(request.ip ?? '');
      throw error;
    }
  }

  /** Passport's verdict in our words: its own faults pass through, a token that does not fit is an expired session. */
  override handleRequest<T>(error: unknown, user: T | false, cause: unknown): T {
    if (error) throw error as Error;
    if (!user) throw relayError('session_expired', { cause });
    return user;
  }
}

/** Whether the token was never ours: passport says why it does not fit. Those whose time is over are not counted. */
function isForged({ code, cause }: RelayError): boolean {
  return code === 'session_expired' && cause instanceof Error && cause.name !== 'TokenExpiredError';
}
