import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
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
  /** Set where several servers share a database. */
  redisUrl?: string;
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
  allowTokenlessPhones: boolean;
  /** Express `trust proxy`: false, a number of hops, or a list of addresses. */
  trustProxy: boolean | number | string;
  /** How long a queued message waits for the phone when its sender does not say. */
  messageTtlMs: number;
  /** How long tombstones stay readable. */
  tombstoneTtlMs: number;
  /** `default` first: what is not asked for by realm is there. */
  realms: RealmSettings[];
  /** Unset: development prints codes on the console, production offers none. */
  smtpUrl?: string;
  mailFrom?: string;
  argon2: { memoryKib: number; passes: number; lanes: number };
  otpTtlMs: number;
  /** How long an access token is good that comes with a refresh token. */
  accessTtlMs: number;
  /** How long an account's events are kept. */
  eventTtlMs: number;
  /** How long an upload may take. */
  fileUploadTtlMs: number;
  /** Where files are; unset means `dataDir`. */
  filesBucket?: BucketSettings;
  limits: Limits;
}

/** A bucket of an S3-compatible store. */
export interface BucketSettings {
  /** The store's address. */
  endpoint: string;
  region: string;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
}

/** People and their rows that nobody of another realm sees. */
export interface RealmSettings {
  slug: string;
  /** For people: the sender of its mails. */
  name: string;
  registration: 'open' | 'invite' | 'closed';
  inviteToken?: string;
  /** Unset means the server's own. */
  databaseUrl?: string;
}

export const DEFAULT_REALM = 'default';

/** 0 turns a rate off. */
export interface Limits {
  registrationsPerHour: number;
  qrCodesPerMinute: number;
  wrongTokensPerMinute: number;
  sendsPerMinute: number;
  /** Wrong passwords, codes and refresh tokens: of one account from one address, and from one address in all. */
  wrongSignInsPerQuarterHour: number;
  wrongSignInsPerMinute: number;
  /** Codes sent to one email. */
  codesPerHour: number;
  /** For names, of one account. */
  searchesPerQuarterHour: number;
  /** Events that are passed on and not kept, of one device. */
  signalsPerSecond: number;
  /** Messages, edits, reactions and what else is done in conversations, of one account. */
  postsPerMinute: number;
  /** Conversations begun and people invited, by one account. */
  invitationsPerHour: number;
  /** Of one conversation, invited ones included. */
  chatMembers: number;
  /** How long an author may edit a message, or delete it for everyone. */
  chatEditMs: number;
  apiKeys: number;
  /** Keys with a value that an account may have, and their bytes. */
  stateKeys: number;
  stateBytes: number;
  /** Bytes of one file, and of all of an account. */
  fileBytes: number;
  filesBytes: number;
  /** Body of a table push. */
  maxPushBytes: number;
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
  const redisUrl = url('REDIS_URL', ['redis:', 'rediss:']);
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
  // Each would generate its own.
  if (redisUrl !== undefined && [databaseUrl, jwtSecret, text('ENCRYPTION_KEY')].includes(undefined))
    problems.push(
      'DATABASE_URL, JWT_SECRET and ENCRYPTION_KEY must be set when REDIS_URL is: several servers share them.',
    );
  if (registration === 'invite' && (inviteToken === undefined || inviteToken.length < 8))
    problems.push('INVITE_TOKEN must be set to at least 8 characters when REGISTRATION=invite.');

  const smtpUrl = url('SMTP_URL', ['smtp:', 'smtps:']);
  const mailFrom = text('MAIL_FROM');
  if (smtpUrl !== undefined && mailFrom === undefined)
    problems.push('MAIL_FROM must be set when SMTP_URL is: the address that mails come from.');
  if (mailFrom !== undefined && !/^[^\s@<>"]+@[^\s@<>"]+$/.test(mailFrom))
    problems.push(`MAIL_FROM must be an address like pairline@example.org, not "${mailFrom}".`);

  const env: Env = {
    production,
    host: text('HOST') ?? '0.0.0.0',
    port: integer('PORT', 3000, 0, 65_535),
    publicUrl: url('PUBLIC_URL', ['http:', 'https:'])?.replace(/\/+$/, ''),
    databaseUrl,
    redisUrl,
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
    allowTokenlessPhones: flag('ALLOW_TOKENLESS_PHONES', false),
    trustProxy: parseTrustProxy(text('TRUST_PROXY'), problems),
    messageTtlMs: integer('MESSAGE_TTL_HOURS', 24, 1, 8760) * 3_600_000,
    tombstoneTtlMs: integer('TOMBSTONE_TTL_DAYS', 90, 1, 3650) * 86_400_000,
    realms: [
      { slug: DEFAULT_REALM, name: 'Pairline', registration, inviteToken },
      ...parseRealms(text('REALMS'), problems),
    ],
    smtpUrl,
    mailFrom,
    argon2: {
      memoryKib: integer('ARGON2_MEMORY_KIB', 19_456, 8, 4_194_304),
      passes: integer('ARGON2_PASSES', 2, 1, 100),
      lanes: integer('ARGON2_LANES', 1, 1, 64),
    },
    otpTtlMs: integer('OTP_EXPIRATION_MINUTES', 15, 1, 1440) * 60_000,
    accessTtlMs: integer('ACCESS_TOKEN_MINUTES', 60, 1, 43_200) * 60_000,
    eventTtlMs: integer('EVENT_TTL_DAYS', 365, 1, 3650) * 86_400_000,
    fileUploadTtlMs: integer('FILE_UPLOAD_TTL_HOURS', 24, 1, 8760) * 3_600_000,
    filesBucket: parseBucket(text('FILES_URL'), problems),
    limits: {
      registrationsPerHour: integer('LIMIT_REGISTRATIONS_PER_HOUR', 600, 0, 1e9),
      qrCodesPerMinute: integer('LIMIT_QR_CODES_PER_MINUTE', 120, 0, 1e9),
      wrongTokensPerMinute: integer('LIMIT_WRONG_TOKENS_PER_MINUTE', 20, 0, 1e9),
      sendsPerMinute: integer('LIMIT_SENDS_PER_MINUTE', 1200, 0, 1e9),
      wrongSignInsPerQuarterHour: integer('LIMIT_WRONG_SIGN_INS_PER_QUARTER_HOUR', 10, 0, 1e9),
      wrongSignInsPerMinute: integer('LIMIT_WRONG_SIGN_INS_PER_MINUTE', 30, 0, 1e9),
      codesPerHour: integer('LIMIT_CODES_PER_HOUR', 10, 0, 1e9),
      searchesPerQuarterHour: integer('LIMIT_SEARCHES_PER_QUARTER_HOUR', 300, 0, 1e9),
      signalsPerSecond: integer('LIMIT_SIGNALS_PER_SECOND', 200, 0, 1e9),
      postsPerMinute: integer('LIMIT_POSTS_PER_MINUTE', 1200, 0, 1e9),
      invitationsPerHour: integer('LIMIT_INVITATIONS_PER_HOUR', 1000, 0, 1e9),
      chatMembers: integer('LIMIT_CHAT_MEMBERS', 500, 2, 10_000),
      chatEditMs: integer('CHAT_EDIT_HOURS', 24, 0, 876_000) * 3_600_000,
      apiKeys: integer('LIMIT_API_KEYS', 100, 0, 1e6),
      stateKeys: integer('LIMIT_STATE_KEYS', 10_000, 1, 1e9),
      stateBytes: integer('LIMIT_STATE_BYTES', 16_777_216, 1024, 1e10),
      fileBytes: integer('LIMIT_FILE_BYTES', 2_147_483_648, 1, 1e15),
      filesBytes: integer('LIMIT_FILES_BYTES', 10_737_418_240, 1, 1e15),
      maxPushBytes: integer('MAX_PUSH_BYTES', 16_777_216, 1024, 1e9),
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
  if (env.argon2.memoryKib < 8 * env.argon2.lanes)
    problems.push('ARGON2_MEMORY_KIB must be at least 8 times ARGON2_LANES: argon2 takes no less.');
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

/** `s3://KEY:SECRET@HOST[:PORT]/BUCKET[?region=…&tls=false]`, key and secret escaped as in any address. */
function parseBucket(value: string | undefined, problems: string[]): BucketSettings | undefined {
  if (value === undefined) return undefined;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const bucket = /^\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/?$/.exec(url?.pathname ?? '')?.[1];
  const { username, password, host, searchParams: asked } = url ?? { searchParams: new URLSearchParams() };
  const tls = asked.get('tls') ?? 'true';
  const isKnown = [...asked.keys()].every((name) => ['region', 'tls'].includes(name)) && /^(true|false)$/.test(tls);
  const [accessKeyId, secretAccessKey] = [unescapePart(username), unescapePart(password)];
  if (url?.protocol !== 's3:' || !bucket || !accessKeyId || !secretAccessKey || !host || !isKnown) {
    // What was set holds a secret.
    problems.push('FILES_URL must be like s3://key:secret@host:port/bucket?region=eu-central-1&tls=true.');
    return undefined;
  }
  return {
    endpoint: `${tls === 'true' ? 'https' : 'http'}://${host}`,
    region: asked.get('region') ?? 'us-east-1',
    bucket,
    accessKeyId,
    secretAccessKey,
  };
}

function unescapePart(part = ''): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    // It throws for nothing else than a % that begins no escape.
    return undefined;
  }
}

interface RealmText {
  slug?: unknown;
  name?: unknown;
  registration?: unknown;
  inviteToken?: unknown;
  databaseUrl?: unknown;
}

/** A JSON list, or the path of a file that holds one. */
function parseRealms(value: string | undefined, problems: string[]): RealmSettings[] {
  if (value === undefined) return [];
  let list: unknown;
  try {
    list = JSON.parse(/^\s*[[{]/.test(value) ? value : readFileSync(value, 'utf8'));
  } catch (error) {
    const why = error instanceof SyntaxError ? 'is not valid JSON' : `cannot be read (${(error as Error).message})`;
    problems.push(`REALMS must be a JSON list of realms, or the path of a file with one: it ${why}.`);
    return [];
  }
  if (!Array.isArray(list)) {
    problems.push('REALMS must be a JSON list of realms, or the path of a file with one.');
    return [];
  }
  const slugs = new Set([DEFAULT_REALM]);
  return list.flatMap((item: RealmText, i) => {
    const wrong = wrongInRealm(item, slugs);
    if (wrong !== undefined) {
      problems.push(`REALMS: the realm at place ${i + 1} ${wrong}.`);
      return [];
    }
    const { slug, name = slug, registration = 'open', inviteToken, databaseUrl } = item as Partial<RealmSettings>;
    slugs.add(slug!);
    return [{ slug: slug!, name: name!, registration, inviteToken, databaseUrl }];
  });
}

const REALM_FIELDS = ['slug', 'name', 'registration', 'inviteToken', 'databaseUrl'];

function wrongInRealm(realm: unknown, slugs: Set<string>): string | undefined {
  if (typeof realm !== 'object' || realm === null) return 'must be an object';
  const unknown = Object.keys(realm).find((key) => !REALM_FIELDS.includes(key));
  if (unknown !== undefined) return `has "${unknown}", which is not one of ${REALM_FIELDS.join(', ')}`;
  const { slug, name, registration, inviteToken, databaseUrl } = realm as RealmText;
  if (typeof slug !== 'string' || !/^[a-z0-9][a-z0-9-]{0,62}$/.test(slug))
    return 'must have a slug of lower-case letters, digits and hyphens';
  if (slugs.has(slug)) return `has the slug "${slug}", which another realm has`;
  if (name !== undefined && (typeof name !== 'string' || !/^[^\p{Cc}"<>]{1,100}$/u.test(name)))
    return 'must have a name of 1 to 100 characters without quotes or angle brackets';
  if (registration !== undefined && !['open', 'invite', 'closed'].includes(registration as string))
    return 'must have registration open, invite or closed';
  if (registration === 'invite' && (typeof inviteToken !== 'string' || inviteToken.length < 8))
    return 'must have an inviteToken of at least 8 characters';
  if (
    databaseUrl !== undefined &&
    (typeof databaseUrl !== 'string' || !URL.canParse(databaseUrl) || !/^postgres(ql)?:/.test(databaseUrl))
  )
    return 'must have a databaseUrl that begins with postgres:// or postgresql://';
  return undefined;
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
