import type { IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { ENV, type BootEnv } from '../env.js';

/**
 * Which pages may open a WebSocket: those of this server, and of the origins in CORS_ORIGIN. Browsers ask nobody about that, unlike for
 * requests, and always say where the page is from (RFC 6455, section 10.2). Who is no browser need not say anything.
 */
@Injectable()
export class Origins {
  constructor(@Inject(ENV) private readonly env: Pick<BootEnv, 'corsOrigin' | 'publicUrl'>) {}

  mayConnect({ headers: { origin, host } }: IncomingMessage): boolean {
    const { corsOrigin, publicUrl } = this.env;
    if (origin === undefined || corsOrigin === true) return true;
    if (corsOrigin !== false && corsOrigin.includes(origin)) return true;
    if (!URL.canParse(origin)) return false;
    const from = new URL(origin);
    return from.host === host || (publicUrl !== undefined && from.origin === new URL(publicUrl).origin);
  }
}
