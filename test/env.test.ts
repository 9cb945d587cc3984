import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { EnvError, parseEnv } from '../src/env.js';
import { cleanUp, temporaryFolder } from './support/database.js';

afterEach(cleanUp);

const DATABASE_URL = 'postgresql://pairline:pw@db.example.org:5432/pairline';
const JWT_SECRET = 'yR4cM1pA0sVd8tQ2kZ7wE5nB3xU6hJ9f';
const ENCRYPTION_KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37 + 11) % 256)).toString('base64');

function problemsOf(source: Record<string, string>): string[] {
  try {
    parseEnv(source);
  } catch (error) {
    if (error instanceof EnvError) return error.problems;
    throw error;
  }
  return [];
}

describe('settings', () => {
  test('an empty environment gives a server on port 3000 with a database of its own', () => {
    const env = parseEnv({});
    expect(env).toMatchObject({
      production: false,
      host: '0.0.0.0',
      port: 3000,
      dataDir: './data',
      corsOrigin: false,
      logLevel: 'info',
      migrateOnStart: true,
      pairingTtlMs: 300_000,
      sessionTtlMs: 30 * 86_400_000,
      allowTokenlessPhones: false,
      trustProxy: false,
      messageTtlMs: 24 * 3_600_000,
      realms: [{ slug: 'default', name: 'Pairline', registration: 'open' }],
      argon2: { memoryKib: 19_456, passes: 2, lanes: 1 },
      otpTtlMs: 15 * 60_000,
      accessTtlMs: 60 * 60_000,
      eventTtlMs: 365 * 86_400_000,
    });
    expect(env.smtpUrl).toBeUndefined();
    expect(env.databaseUrl).toBeUndefined();
    expect(env.jwtSecret).toBeUndefined();
    expect(env.encryptionKey).toBeUndefined();
  });

  test('FILES_URL names a bucket; one that does not is refused without being told', () => {
    expect(parseEnv({}).filesBucket).toBeUndefined();
    expect(
      parseEnv({ FILES_URL: 's3://key:sec%2Fret@store.example.org:9000/files?region=eu-central-1&tls=false' }),
    ).toMatchObject({
      filesBucket: {
        ...{ endpoint: 'http://store.example.org:9000', region: 'eu-central-1', bucket: 'files' },
        ...{ accessKeyId: 'key', secretAccessKey: 'sec/ret' },
      },
    });
    const { filesBucket } = parseEnv({ FILES_URL: 's3://key:secret@store.example.org/files' });
    expect(filesBucket).toMatchObject({ endpoint: 'https://store.example.org', region: 'us-east-1' });
    for (const wrong of [
      ...['https://key:secret@store.example.org/files', 's3://store.example.org/files', 's3://key:secret@store.example.org'],
      ...['s3://key:secret@store.example.org/Files', 's3://key:secret@store.example.org/a/b', 's3://key:sec%ret@store.example.org/files'],
      ...['s3://key:secret@store.example.org/files?tls=no', 's3://key:secret@store.example.org/files?other=1', 'secret'],
    ])
      expect([wrong, problemsOf({ FILES_URL: wrong })]).toEqual([wrong, ['FILES_URL must be like s3://key:secret@host:port/bucket?region=eu-central-1&tls=true.']]); // prettier-ignore
  });

  test('blank values are the same as none', () => {
    expect(parseEnv({ PORT: '', JWT_SECRET: ' ', ENCRYPTION_KEY: '', DATABASE_URL: '' })).toEqual(parseEnv({}));
  });

  test('all wrong settings are refused together, each in a sentence that names its variable', () => {
    const wrong = {
      PORT: '70000',
      PUBLIC_URL: 'sms.example.org',
      DATABASE_URL: 'mysql://localhost/pairline',
      JWT_SECRET: 'short',
      ENCRYPTION_KEY: 'AAAA',
      CORS_ORIGIN: 'https://app.example.org/path',
      LOG_LEVEL: 'loud',
      MIGRATE_ON_START: 'perhaps',
      PAIRING_TTL_SECONDS: '0',
      SESSION_TTL_DAYS: '1.5',
      REGISTRATION: 'everyone',
      ALLOW_TOKENLESS_PHONES: 'maybe',
      MAX_BATCH: '-1',
      TRUST_PROXY: 'everyone',
      DATABASE_WAIT_SECONDS: '1h',
      REALMS: '{}',
      SMTP_URL: 'mail.example.org',
      MAIL_FROM: 'Pairline',
      OTP_EXPIRATION_MINUTES: '0',
      ARGON2_MEMORY_KIB: '7',
      LIMIT_CODES_PER_HOUR: 'few',
    };
    const problems = problemsOf(wrong);
    expect(problems.map((sentence) => sentence.split(' ')[0]).sort()).toEqual(Object.keys(wrong).sort());
    for (const sentence of problems) expect(sentence).toMatch(/^[A-Z0-9_]+ must .+[.)]$/);
  });

  test('a refused secret or database address is never repeated', () => {
    const problems = problemsOf({ JWT_SECRET: 'hunter2', ENCRYPTION_KEY: 'hunter2', DATABASE_URL: 'hunter2' });
    expect(problems).toHaveLength(3);
    expect(problems.join()).not.toContain('hunter2');
  });

  test.each([
    'secret',
    'changeme',
    'your-secret-key-change-this-in-production',
    'default_jwt_secret_for_development_only',
    'my-super-secret-jwt-key-for-this-app-0123456789',
    'your-256-bit-secret-abcdefghijklmnopqrstuvwxyz',
    'super-secret-abcdefghijklmnopqrstuvwxyz-0123456',
    'PleaseChangeMe-abcdefghijklmnopqrstuvwxyz012345',
    'abcdefghijklmnopqrstuvwxyz-change-me-0123456789',
    'change_this_abcdefghijklmnopqrstuvwxyz012345678',
    'abcdefghijklmnop-secret-key-0123456789-qrstuvwx',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    '123412341234123412341234123412341234123412341234',
  ])('JWT_SECRET=%s is a known default and refused', (JWT_SECRET) => {
    expect(problemsOf({ JWT_SECRET })).toEqual([expect.stringContaining('JWT_SECRET')]);
  });

  test('a key of 32 equal bytes is refused', () => {
    expect(problemsOf({ ENCRYPTION_KEY: '00'.repeat(32) })).toEqual([expect.stringContaining('ENCRYPTION_KEY')]);
  });

  test('a key is read from base64 and from hex', () => {
    const hex = Buffer.from(ENCRYPTION_KEY, 'base64').toString('hex');
    expect(parseEnv({ ENCRYPTION_KEY }).encryptionKey).toEqual(parseEnv({ ENCRYPTION_KEY: hex }).encryptionKey);
  });

  test('production with an outside database insists on both secrets', () => {
    const problems = problemsOf({ NODE_ENV: 'production', DATABASE_URL });
    expect(problems).toEqual([expect.stringMatching(/^JWT_SECRET /), expect.stringMatching(/^ENCRYPTION_KEY /)]);
    expect(problemsOf({ NODE_ENV: 'production', DATABASE_URL, JWT_SECRET, ENCRYPTION_KEY })).toEqual([]);
  });

  test('production with the embedded database generates them', () => {
    expect(problemsOf({ NODE_ENV: 'production' })).toEqual([]);
  });

  test('ARGON2_MEMORY_KIB is enough for its lanes', () => {
    const few = problemsOf({ ARGON2_MEMORY_KIB: '31', ARGON2_LANES: '4' });
    expect(few).toEqual(['ARGON2_MEMORY_KIB must be at least 8 times ARGON2_LANES: argon2 takes no less.']);
    expect(parseEnv({ ARGON2_MEMORY_KIB: '32', ARGON2_LANES: '4' }).argon2).toMatchObject({ memoryKib: 32, lanes: 4 });
  });

  test('registration by invitation needs an invitation', () => {
    expect(problemsOf({ REGISTRATION: 'invite' })).toEqual([expect.stringContaining('INVITE_TOKEN')]);
    expect(problemsOf({ REGISTRATION: 'invite', INVITE_TOKEN: 'welcome-home' })).toEqual([]);
  });

  test('CORS_ORIGIN is any, a list or none', () => {
    expect(parseEnv({ CORS_ORIGIN: '*' }).corsOrigin).toBe(true);
    expect(parseEnv({ CORS_ORIGIN: 'https://a.example.org/, http://localhost:5173' }).corsOrigin).toEqual([
      'https://a.example.org',
      'http://localhost:5173',
    ]);
  });

  test.each([
    ['true', true],
    ['FALSE', false],
    ['0', 0],
    ['2', 2],
    ['loopback', 'loopback'],
    ['loopback, linklocal, uniquelocal', 'loopback, linklocal, uniquelocal'],
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.0/8,192.168.0.0/255.255.0.0', '10.0.0.0/8,192.168.0.0/255.255.0.0'],
    ['::1, fd00::/8', '::1, fd00::/8'],
  ])('TRUST_PROXY=%s is taken', (TRUST_PROXY, trustProxy) => {
    expect(parseEnv({ TRUST_PROXY }).trustProxy).toBe(trustProxy);
  });

  test.each([
    'yes',
    'nginx',
    '10.0.0',
    '10.0.0.0/33',
    '-1',
    '1.5',
    '1000',
    'loopback,',
    '::1/129',
    'all',
    '10.0.0.1 10.0.0.2',
  ])('TRUST_PROXY=%s is refused', (TRUST_PROXY) => {
    expect(problemsOf({ TRUST_PROXY })).toEqual([expect.stringMatching(/^TRUST_PROXY must be true, false, .+\.$/)]);
  });

  test('PUBLIC_URL loses its last slash', () => {
    expect(parseEnv({ PUBLIC_URL: 'https://sms.example.org/' }).publicUrl).toBe('https://sms.example.org');
  });

  test('.env.example has one line for every setting, and none that does not exist', () => {
    const read = new Set<string>();
    parseEnv(new Proxy({}, { get: (_, name) => void read.add(String(name)) }));

    const [ours = ''] = readFileSync('.env.example', 'utf8').split('# --- Only for compose.yaml');
    const lines = [...ours.matchAll(/^#([A-Z0-9_]+)=\S* # (.+)$/gm)].map((match) => match[1]);
    expect(lines.sort()).toEqual([...read].sort());
  });

  test('the values in .env.example are the defaults, or are valid examples', () => {
    const [ours = ''] = readFileSync('.env.example', 'utf8').split('# --- Only for compose.yaml');
    const values = Object.fromEntries(
      [...ours.matchAll(/^#([A-Z0-9_]+)=(\S*)/gm)].map(([, name, value]) => [name, value]),
    );
    const examples = {
      NODE_ENV: '',
      PUBLIC_URL: '',
      CORS_ORIGIN: '',
      DATABASE_URL: '',
      FILES_URL: '',
      REDIS_URL: '',
      SMTP_URL: '',
      MAIL_FROM: '',
    };
    const secrets = {
      JWT_SECRET: randomBytes(32).toString('base64'),
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    };
    expect(problemsOf({ ...values, ...secrets, NODE_ENV: '' })).toEqual([]);
    expect(parseEnv({ ...values, ...examples })).toEqual(parseEnv({}));
  });
});

describe('mail', () => {
  test.each(['smtp://mail.example.org', 'smtps://user:p%40ss@mail.example.org:465'])(
    'SMTP_URL=%s is taken',
    (SMTP_URL) => {
      expect(parseEnv({ SMTP_URL, MAIL_FROM: 'pairline@example.org' })).toMatchObject({
        smtpUrl: SMTP_URL,
        mailFrom: 'pairline@example.org',
      });
    },
  );

  test('SMTP_URL needs MAIL_FROM', () => {
    expect(problemsOf({ SMTP_URL: 'smtp://mail.example.org' })).toEqual([
      expect.stringMatching(/^MAIL_FROM must be set/),
    ]);
  });

  test.each(['Pairline', 'Pairline <a@example.org>', 'a@b@c', '"a"@example.org', 'a @example.org'])(
    'MAIL_FROM=%s is refused',
    (MAIL_FROM) => {
      expect(problemsOf({ MAIL_FROM })).toEqual([expect.stringMatching(/^MAIL_FROM must be an address/)]);
    },
  );

  test('a refused SMTP_URL is never repeated', () => {
    expect(
      problemsOf({ SMTP_URL: 'http://user:hunter2@example.org', MAIL_FROM: 'a@example.org' }).join(),
    ).not.toContain('hunter2');
  });
});

describe('REALMS', () => {
  const clinic = { slug: 'clinic', name: 'Clinic', registration: 'closed', databaseUrl: DATABASE_URL };

  test('is a JSON list, or the path of a file with one; the default realm stands before them', () => {
    const text = JSON.stringify([clinic, { slug: 'lab-2' }]);
    const path = join(temporaryFolder(), 'realms.json');
    writeFileSync(path, text);
    const expected = [
      { slug: 'default', name: 'Pairline', registration: 'invite', inviteToken: 'welcome-home' },
      clinic,
      { slug: 'lab-2', name: 'lab-2', registration: 'open' },
    ];
    const registration = { REGISTRATION: 'invite', INVITE_TOKEN: 'welcome-home' };
    for (const REALMS of [text, ` ${text}`, path])
      expect(JSON.parse(JSON.stringify(parseEnv({ ...registration, REALMS }).realms))).toEqual(expected);
  });

  test.each<[string, string, RegExp]>([
    ['no JSON', '[{', /not valid JSON/],
    ['no list', '{}', /must be a JSON list/],
    ['a path that leads nowhere', '/nowhere/realms.json', /cannot be read/],
    ['a realm that is a text', '["clinic"]', /place 1 must be an object/],
    ['a realm without a slug', '[{"name":"Clinic"}]', /place 1 must have a slug/],
    ['a slug in capitals', '[{"slug":"Clinic"}]', /lower-case letters/],
    ['a slug with a slash', '[{"slug":"a/b"}]', /lower-case letters/],
    ['the default one again', '[{"slug":"default"}]', /which another realm has/],
    ['one slug twice', '[{"slug":"a"},{"slug":"a"}]', /place 2 has the slug "a"/],
    ['a misspelt field', '[{"slug":"a","database":"postgres://x"}]', /"database", which is not one of/],
    ['a name that ends a header', '[{"slug":"a","name":"A\\r\\nBcc: x"}]', /must have a name/],
    ['an unknown registration', '[{"slug":"a","registration":"everyone"}]', /must have registration/],
    ['an invitation that is missing', '[{"slug":"a","registration":"invite"}]', /must have an inviteToken/],
    ['a database of another kind', '[{"slug":"a","databaseUrl":"mysql://x/y"}]', /must have a databaseUrl/],
  ])('%s is refused', (_what, REALMS, says) => {
    const problems = problemsOf({ REALMS });
    expect(problems).toEqual([expect.stringMatching(/^REALMS/)]);
    expect(problems[0]).toMatch(says);
  });

  test("a realm's secrets are never repeated", () => {
    const REALMS =
      '[{"slug":"A","inviteToken":"hunter2","databaseUrl":"hunter2"},{"slug":"b","databaseUrl":"hunter2"}]';
    expect(problemsOf({ REALMS }).join()).not.toContain('hunter2');
  });
});
