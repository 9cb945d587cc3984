import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';

/** Rates that keep one address or account from using up what others need. Each throws `rate_limited` with `retryAfter`. */
@Injectable()
export class Limits {
  private readonly registrations: RateLimiterMemory | undefined;
  private readonly qrCodes: RateLimiterMemory | undefined;
  private readonly wrongTokens: RateLimiterMemory | undefined;
  private readonly sends: RateLimiterMemory | undefined;

  constructor(@Inject(ENV) { limits }: BootEnv) {
    this.registrations = limiter('registrations', limits.registrationsPerHour, 3600);
    this.qrCodes = limiter('qr-codes', limits.qrCodesPerMinute, 60);
    this.wrongTokens = limiter('wrong-tokens', limits.wrongTokensPerMinute, 60);
    this.sends = limiter('sends', limits.sendsPerMinute, 60);
  }

  /** A phone that makes a new account. */
  registration(address: string): Promise<void> {
    return consume(this.registrations, address);
  }
  qrCode(address: string): Promise<void> {
    return consume(this.qrCodes, address);
  }
  /** Only wrong ones count, so that a stranger's guesses never lock out who holds a right one. */
  wrongToken(address: string): Promise<void> {
    return consume(this.wrongTokens, address);
  }
  send(account: string): Promise<void> {
    return consume(this.sends, account);
  }
}

function limiter(keyPrefix: string, points: number, duration: number): RateLimiterMemory | undefined {
  return points === 0 ? undefined : new RateLimiterMemory({ keyPrefix, points, duration });
}

async function consume(limit: RateLimiterMemory | undefined, key: string): Promise<void> {
  try {
    await limit?.consume(key);
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes)
      throw relayError('rate_limited', { retryAfter: Math.ceil(refusal.msBeforeNext / 1000) });
    throw refusal;
  }
}
