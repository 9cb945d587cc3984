import { createHmac } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { Cluster } from '../cluster/cluster.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { networkOf } from './network.js';
import { Turns } from './turns.js';

type Limiter = RateLimiterMemory | RateLimiterRedis;

const QUARTER_HOUR = 900;
/** What one address may try at one code. */
const TRIES_AT_A_CODE = 5;
/** Searches from one address, as often as one account may. */
const SEARCHERS_OF_ADDRESS = 3;
/** Names and keys that one account may take: each is told to all who share a conversation with it. */
const PROFILES_PER_HOUR = 60;
const MOST_GUESSES_WAITING = 500;
const MOST_GUESSES_OF_ADDRESS = 50;
/** Accounts that may each ask for a code to one email, as often as LIMIT_CODES_PER_HOUR says. */
const ASKERS_OF_EMAIL = 5;

/**
 * Rates that keep one address or account from using up what others need. Each throws `rate_limited` with `retryAfter`.
 * Addresses count by their network, see `networkOf`.
 */
@Injectable()
export class Limits {
  private readonly registrations: Limiter | undefined;
  private readonly qrCodes: Limiter | undefined;
  private readonly wrongTokens: Limiter | undefined;
  private readonly sends: Limiter | undefined;
  private readonly signals: Limiter | undefined;
  private readonly posts: Limiter | undefined;
  private readonly invitations: Limiter | undefined;
  private readonly wrongSignIns: Limiter | undefined;
  private readonly wrongSignInsOfAddress: Limiter | undefined;
  private readonly wrongTriesAtCode: Limiter | undefined;
  private readonly codeRequests: Limiter | undefined;
  private readonly codes: Limiter | undefined;
  private readonly codesOfEmail: Limiter | undefined;
  private readonly codesForSpent: Limiter | undefined;
  private readonly searches: Limiter | undefined;
  private readonly searchesOfAddress: Limiter | undefined;
  private readonly profiles: Limiter | undefined;
  private readonly guesses = new Turns(MOST_GUESSES_WAITING, MOST_GUESSES_OF_ADDRESS);

  constructor(cluster: Cluster, @Inject(ENV) { limits, otpTtlMs }: BootEnv) {
    const limiter = (name: string, points: number, duration: number) => open(cluster, name, points, duration);
    this.profiles = limiter('profiles', PROFILES_PER_HOUR, 3600);
    this.registrations = limiter('registrations', limits.registrationsPerHour, 3600);
    this.qrCodes = limiter('qr-codes', limits.qrCodesPerMinute, 60);
    this.wrongTokens = limiter('wrong-tokens', limits.wrongTokensPerMinute, 60);
    this.sends = limiter('sends', limits.sendsPerMinute, 60);
    this.posts = limiter('posts', limits.postsPerMinute, 60);
    this.invitations = limiter('invitations', limits.invitationsPerHour, 3600);
    this.signals = limiter('signals', limits.signalsPerSecond, 1);
    this.wrongSignIns = limiter('wrong-sign-ins', limits.wrongSignInsPerQuarterHour, QUARTER_HOUR);
    this.wrongSignInsOfAddress = limiter('wrong-sign-ins-of-address', limits.wrongSignInsPerMinute, 60);
    this.wrongTriesAtCode = limiter('wrong-tries-at-code', TRIES_AT_A_CODE, Math.ceil(otpTtlMs / 1000));
    this.codeRequests = limiter('code-requests', limits.registrationsPerHour, 3600);
    this.codes = limiter('codes', limits.codesPerHour, 3600);
    this.codesOfEmail = limiter('codes-of-email', ASKERS_OF_EMAIL * limits.codesPerHour, 3600);
    this.codesForSpent = limiter('codes-for-spent', limits.codesPerHour, 3600);
    const searches = limits.searchesPerQuarterHour;
    this.searches = limiter('searches', searches, QUARTER_HOUR);
    this.searchesOfAddress = limiter('searches-of-address', SEARCHERS_OF_ADDRESS * searches, QUARTER_HOUR);
  }

  /** A phone that makes a new account. */
  registration(address: string): Promise<void> {
    return consume(this.registrations, networkOf(address));
  }
  qrCode(address: string): Promise<void> {
    return consume(this.qrCodes, networkOf(address));
  }
  /** Only wrong ones count, so that a stranger's guesses never lock out who holds a right one. */
  wrongToken(address: string): Promise<void> {
    return consume(this.wrongTokens, networkOf(address));
  }
  send(account: string): Promise<void> {
    return consume(this.sends, account);
  }
  /** Another name or key. */
  profile(account: string): Promise<void> {
    return consume(this.profiles, account);
  }
  /** So that nobody soon has the names of all people; as often as one types is far from it. */
  async search(account: string, address: string): Promise<void> {
    await consume(this.searches, account);
    await consume(this.searchesOfAddress, networkOf(address));
  }
  /** What is written in conversations. */
  post(account: string): Promise<void> {
    return consume(this.posts, account);
  }
  /** Another conversation, or another person in one. */
  invitation(account: string): Promise<void> {
    return consume(this.invitations, account);
  }
  /** What a device tells the others in passing; `device` is its id with its account's. */
  signal(device: string): Promise<void> {
    return consume(this.signals, device);
  }

  /**
   * A guess at a password, a code or the like of `who`: `look` answers undefined when it was wrong, and only then it
   * counts. One address over its bound is refused before it looks, the right one too, while the owner gets in from
   * another. The guesses of one address take turns: as many as are allowed are made, not as many as come at once.
   */
  guess<T>(who: string, address: string, look: () => Promise<T | undefined>): Promise<T | undefined> {
    const network = networkOf(address);
    return this.guesses.take(network, async () => {
      const bounds = [[this.wrongSignIns, `${who} ${network}`], [this.wrongSignInsOfAddress, network]] as const; // prettier-ignore
      for (const [bound, key] of bounds) await refuseSpent(bound, key);
      const found = await look();
      if (found === undefined) for (const [bound, key] of bounds) await bound?.penalty(key);
      return found;
    });
  }

  /** The same within a guess, for one code: so that one address does not use up all the tries that a code has. */
  async guessCode<T>(code: string, address: string, look: () => Promise<T | undefined>): Promise<T | undefined> {
    const key = `${code} ${networkOf(address)}`;
    await refuseSpent(this.wrongTriesAtCode, key);
    const found = await look();
    if (found === undefined) await this.wrongTriesAtCode?.penalty(key);
    return found;
  }

  /**
   * For an answer that may say who is registered: when it does (`tells`), it counts as a wrong sign-in of the address. One
   * over its bound gets no such answer, whatever it would be.
   */
  answer(tells: boolean, address: string): Promise<void> {
    return (tells ? consume : refuseSpent)(this.wrongSignInsOfAddress, networkOf(address));
  }

  /** A code can make an account, so asking for codes is bound as registering is. */
  codeRequest(address: string): Promise<void> {
    return consume(this.codeRequests, networkOf(address));
  }

  /**
   * Whether another code may be sent to the email, for what `purpose` says; those of one `deed` have a wider bound together.
   * Past either nobody is refused: strangers could use it up.
   */
  async mayMail(email: string, purpose: string, deed: string): Promise<boolean> {
    return (await within(this.codes, `${email} ${purpose}`)) && (await within(this.codesOfEmail, `${email} ${deed}`));
  }

  /** The same past the bound, when all tries at the last code are used up: its owner could not get in by it. */
  mayMailForSpent(email: string, purpose: string): Promise<boolean> {
    return within(this.codesForSpent, `${email} ${purpose}`);
  }
}

/** Servers that share a database count together; while Redis is away, each by itself. */
function open(cluster: Cluster, name: string, points: number, duration: number): Limiter | undefined {
  if (points === 0) return undefined;
  const alone = new RateLimiterMemory({ keyPrefix: name, points, duration });
  if (cluster.shared === undefined) return alone;
  const { redis, prefix, key } = cluster.shared;
  const options = { storeClient: redis, keyPrefix: `${prefix}${name}`, points, duration, insuranceLimiter: alone };
  return new SharedLimiter(options, key);
}

/** Redis is told no emails, names and addresses: only their keyed hashes. */
class SharedLimiter extends RateLimiterRedis {
  constructor(
    options: ConstructorParameters<typeof RateLimiterRedis>[0],
    private readonly key: Buffer,
  ) {
    super(options);
  }

  override getKey(who: string): string {
    return super.getKey(createHmac('sha256', this.key).update(who).digest('base64url'));
  }
}

async function consume(limit: Limiter | undefined, key: string): Promise<void> {
  try {
    await limit?.consume(key);
  } catch (refusal) {
    throw refusal instanceof RateLimiterRes ? overLimit(refusal) : refusal;
  }
}

async function within(limit: Limiter | undefined, key: string): Promise<boolean> {
  const used = await limit?.penalty(key);
  return used === undefined || used.consumedPoints <= limit!.points;
}

async function refuseSpent(limit: Limiter | undefined, key: string): Promise<void> {
  const used = await limit?.get(key);
  if (used && used.consumedPoints >= limit!.points) throw overLimit(used);
}

function overLimit({ msBeforeNext }: RateLimiterRes) {
  return relayError('rate_limited', { retryAfter: Math.max(1, Math.ceil(msBeforeNext / 1000)) });
}
