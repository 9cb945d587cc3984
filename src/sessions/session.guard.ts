import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { Databases } from '../database/databases.js';
import { RelayError, relayError } from '../errors.js';
import { ApiKeys, isApiKey } from './api-keys.js';
import { PUBLIC, SCOPE, TABLE_SYNC } from './auth.js';
import { readBearer } from './authorization.js';
import type { Scope, Session } from './session.js';
import { Tokens } from './tokens.js';

type SessionRequest = Request & { user: Session; since: number };

/** The one guard: closed by default, opened by `@Public()`. Takes session tokens, phones' device tokens and API keys. */
@Injectable()
export class SessionGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly tokens: Tokens,
    private readonly apiKeys: ApiKeys,
    private readonly databases: Databases,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const marked = <T>(mark: symbol) => this.reflector.getAllAndOverride<T>(mark, [context.getHandler(), context.getClass()]); // prettier-ignore
    const request = context.switchToHttp().getRequest<SessionRequest>();
    request.since = performance.now();
    const { realm } = request.params as { realm?: string };
    if (realm !== undefined && this.databases.of(realm) === undefined) throw relayError('realm_unknown');
    if (marked<true>(PUBLIC)) return true;
    try {
      request.user = await this.signIn(request);
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

  private async signIn({ headers, ip = '' }: SessionRequest): Promise<Session> {
    const token = readBearer(headers.authorization);
    if (token === undefined) throw relayError('not_authenticated');
    return isApiKey(token) ? this.apiKeys.authenticate(token, ip) : this.tokens.authenticateRequest(token, ip);
  }
}
