import { createHash } from 'node:crypto';
import proxyaddr from 'proxy-addr';

/** Every setting, parsed once. The only reader of `process.env`; `.env.example` has a line for each. */
export interface Env {
  production: boolean;
  host: string;
  port: number;
  /** The address people open; unset means "as the request says". */
  publicUrl?: string;
  /** Unset means the embedded Postgres under `dataDir`. */
  databaseUrl?: string;
  /** How long a start waits for an outside database that is not there yet. */
  databaseWaitMs: number;
  dataDir: string;
  /** Unset ones are generated once into `dataDir`. */
  jwtSecret?: string;
  encryptionKey?: Buffer;
  /** The key before the last change, for `npm run rotate-key`. */
  encryptionKeyPrevious?: Buffer;
  corsOrigin: string[] | boolean;
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  migrateOnStart: boolean;
  pairingTtlMs: number;
  sessionTtlMs: number;
  registration: 'open' | 'invite' | 'closed';
  inviteToken?: string;
  allowTokenlessPhones: boolean;
  /** Express `trust proxy`: false, a number of hops, or a list of addresses. */
  trustProxy: boolean | number | string;
  /** How long a queued message waits for the phone when its sender does not say. */
  messageTtlMs: number;
  /** How long tombstones stay readable. */
  tombstoneTtlMs: number;
  limits: Limits;
}

/** 0 turns a rate off. */
export interface Limits {
  registrationsPerHour: number;
  qrCodesPerMinute: number;
  wrongTokensPerMinute: number;
  sendsPerMinute: number;
  /** Keys with a value that an account may have. */
  stateKeys: number;
  maxUnauthenticatedPerAddress: number;
  unauthenticatedMs: number;
  maxUnauthenticatedBytes: number;
  maxBodyBytes: number;
  maxFrameBytes: number;
  maxBatch: number;
  maxTextLength: number;
  maxQueuedRows: number;
  maxQueuedBytes: number;
  maxBufferedBytes: number;
  databaseConnections: number;
}

/** All that is wrong with the settings, one sentence each. */
export class EnvError extends Error {
  constructor(readonly problems: string[]) {
    super(problems.join('\n'));
    this.name = 'EnvError';
  }
}

type Source = Record<string, string | undefined>;

/** What tutorials and .env files of other projects say, long ones too. */
const KNOWN_DEFAULTS =
  /^(secret$|password$|test$|dev$|default|your[-_ ]|my[-_ ]super|super[-_ ]?secret|jwt[-_ ]?secret)|change[-_ ]?(me|this)|secret[-_ ]?key/i;
const MIN_DISTINCT_CHARACTERS = 10;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export function parseEnv(source: Source): Env {
  const problems: string[] = [];
  const text = (name: string) => source[name]?.trim() || undefined;

  const integer = (name: string, fallback: number, min: number, max: number) => {
    const value = text(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (/^-?\d+$/.test(value) && number >= min && number <= max) return number;
    problems.push(`${name} must be a whole number from ${min} to ${max}, not "${value}".`);
    return fallback;
  };
  const flag = (name: string, fallback: boolean) => {
    const value = text(name)?.toLowerCase();
    if (value === undefined) return fallback;
    if (['true', '1', 'yes', 'on'].includes(value)) return true;
    if (['false', '0', 'no', 'off'].includes(value)) return false;
    problems.push(`${name} must be true or false, not "${value}".`);
    return fallback;
  };
  const oneOf = <T extends string>(name: string, allowed: readonly T[], fallback: T): T => {
    const value = text(name);
    if (value === undefined) return fallback;
    if ((allowed as readonly string[]).includes(value)) return value as T;
    problems.push(`${name} must be one of ${allowed.join(', ')}, not "${value}".`);
    return fallback;
  };
  const url = (name: string, protocols: string[]) => {
    const value = text(name);
    if (value === undefined) return undefined;
    if (URL.canParse(value) && protocols.includes(new URL(value).protocol)) return value;
    problems.push(`${name} must be an address that begins with ${protocols.map((p) => `${p}//`).join(' or ')}.`);
    return undefined;
  };
  const key = (name: string) => {
    const value = text(name);
    if (value === undefined) return undefined;
    const bytes = /^[0-9a-f]{64}$/i.test(value) ? Buffer.from(value, 'hex') : Buffer.from(value, 'base64');
    if (bytes.length === 32 && new Set(bytes).size > 8) return bytes;
    problems.push(`${name} must be 32 random bytes in hex or base64 (try: openssl rand -base64 32).`);
    return undefined;
  };

  const production = text('NODE_ENV') === 'production';
  const databaseUrl = url('DATABASE_URL', ['postgres:', 'postgresql:']);
  const jwtSecret = text('JWT_SECRET');
  const encryptionKey = key('ENCRYPTION_KEY');
  const registration = oneOf('REGISTRATION', ['open', 'invite', 'closed'] as const, 'open');
  const inviteToken = text('INVITE_TOKEN');

  if (jwtSecret !== undefined && isGuessable(jwtSecret))
    problems.push('JWT_SECRET must be at least 32 characters that nobody can guess (try: openssl rand -base64 32).');
  if (production && databaseUrl !== undefined) {
    // Two nodes, or one that moved, would each generate their own: sessions would end and contents stay sealed.
    if (jwtSecret === undefined)
      problems.push('JWT_SECRET must be set when NODE_ENV=production and DATABASE_URL is set.');
    if (text('ENCRYPTION_KEY') === undefined)
      problems.push('ENCRYPTION_KEY must be set when NODE_ENV=production and DATABASE_URL is set.');
  }
  if (registration === 'invite' && (inviteToken === undefined || inviteToken.length < 8))
    problems.push('INVITE_TOKEN must be set to at least 8 characters when REGISTRATION=invite.');

  const env: Env = {
    production,
    host: text('HOST') ?? '0.0.0.0',
    port: integer('PORT', 3000, 0, 65_535),
    publicUrl: url('PUBLIC_URL', ['http:', 'https:'])?.replace(/\/+$/, ''),
    databaseUrl,
    databaseWaitMs: integer('DATABASE_WAIT_SECONDS', 30, 0, 3600) * 1000,
    dataDir: text('DATA_DIR') ?? './data',
    jwtSecret,
    encryptionKey,
    encryptionKeyPrevious: key('ENCRYPTION_KEY_PREVIOUS'),
    corsOrigin: parseOrigins(text('CORS_ORIGIN'), problems),
    logLevel: oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
    migrateOnStart: flag('MIGRATE_ON_START', true),
    pairingTtlMs: integer('PAIRING_TTL_SECONDS', 300, 1, 3600) * 1000,
    sessionTtlMs: integer('SESSION_TTL_DAYS', 30, 1, 3650) * 86_400_000,
    registration,
    inviteToken,
    allowTokenlessPhones: flag('ALLOW_TOKENLESS_PHONES', false),
    trustProxy: parseTrustProxy(text('TRUST_PROXY'), problems),
    messageTtlMs: integer('MESSAGE_TTL_HOURS', 24, 1, 8760) * 3_600_000,
    tombstoneTtlMs: integer('TOMBSTONE_TTL_DAYS', 90, 1, 3650) * 86_400_000,
    limits: {
      registrationsPerHour: integer('LIMIT_REGISTRATIONS_PER_HOUR', 600, 0, 1e9),
      qrCodesPerMinute: integer('LIMIT_QR_CODES_PER_MINUTE', 120, 0, 1e9),
      wrongTokensPerMinute: integer('LIMIT_WRONG_TOKENS_PER_MINUTE', 20, 0, 1e9),
      sendsPerMinute: integer('LIMIT_SENDS_PER_MINUTE', 1200, 0, 1e9),
      stateKeys: integer('LIMIT_STATE_KEYS', 10_000, 1, 1e9),
      maxUnauthenticatedPerAddress: integer('MAX_UNAUTHENTICATED_PER_ADDRESS', 100, 1, 1e6),
      unauthenticatedMs: integer('UNAUTHENTICATED_SECONDS', 60, 1, 3600) * 1000,
      maxUnauthenticatedBytes: integer('MAX_UNAUTHENTICATED_BYTES', 65_536, 1024, 1e9),
      maxBodyBytes: integer('MAX_BODY_BYTES', 1_048_576, 1024, 1e9),
      maxFrameBytes: integer('MAX_FRAME_BYTES', 4_194_304, 1024, 1e9),
      maxBatch: integer('MAX_BATCH', 1000, 1, 100_000),
      maxTextLength: integer('MAX_TEXT_LENGTH', 65_536, 160, 1e7),
      maxQueuedRows: integer('MAX_QUEUED_ROWS', 20_000, 128, 1e7),
      maxQueuedBytes: integer('MAX_QUEUED_BYTES', 67_108_864, 1_048_576, 1e10),
      maxBufferedBytes: integer('MAX_BUFFERED_BYTES', 1_048_576, 65_536, 1e9),
      databaseConnections: integer('DATABASE_CONNECTIONS', 10, 2, 1000),
    },
  };
  if (env.limits.maxQueuedRows < 2 * env.limits.maxBatch)
    problems.push('MAX_QUEUED_ROWS must be at least twice MAX_BATCH: a whole batch has to fit while another waits.');
  if (problems.length > 0) throw new EnvError(problems);
  return env;
}

function parseOrigins(value: string | undefined, problems: string[]): string[] | boolean {
  if (value === undefined) return false;
  if (value === '*') return true;
  const origins = value.split(',').map((origin) => origin.trim().replace(/\/$/, ''));
  const wrong = origins.find((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin);
  if (wrong !== undefined)
    problems.push(
      `CORS_ORIGIN must be * or a comma-separated list of origins like https://example.org, not "${wrong}".`,
    );
  return origins;
}

function isGuessable(secret: string): boolean {
  return secret.length < 32 || new Set(secret).size < MIN_DISTINCT_CHARACTERS || KNOWN_DEFAULTS.test(secret);
}

function parseTrustProxy(value: string | undefined, problems: string[]): Env['trustProxy'] {
  if (value === undefined || /^false$/i.test(value)) return false;
  if (/^true$/i.test(value)) return true;
  if (/^\d{1,2}$/.test(value)) return Number(value);
  try {
    // It would read 1000 as the address 0.0.3.232.
    if (/^\d+$/.test(value)) throw new TypeError();
    proxyaddr.compile(value.split(',').map((address) => address.trim()));
  } catch {
    // It throws for nothing else than an address that it cannot read.
    problems.push(
      'TRUST_PROXY must be true, false, a number of proxies, or a comma-separated list of their addresses ' +
        `(IP, CIDR, loopback, linklocal or uniquelocal), not "${value}".`,
    );
  }
  return value;
}

/** Names a key without telling it: the first 8 bytes of its SHA-256. */
export function keyId(key: Buffer): Buffer {
  return createHash('sha256').update('pairline key id').update(key).digest().subarray(0, 8);
}

/** The settings with every secret present. */
export type BootEnv = Env & { jwtSecret: string; encryptionKey: Buffer; databaseUrl: string };

/** The injection token of `BootEnv`. */
export const ENV = Symbol('env');
