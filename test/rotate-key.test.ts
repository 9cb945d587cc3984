import { afterEach, describe, expect, test } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { unwrapDataKey, wrapDataKey } from '../src/changes/account-keys.js';
import { readSecrets, replaceSecrets } from '../src/database/secrets.js';
import { keyId } from '../src/env.js';
import { call, message, pair, phone } from './support/clients.js';
import { cleanUp, later, query, temporaryDatabase, temporaryFolder } from './support/database.js';
import { runTypeScript, type TypeScriptProcess } from './support/spawn.js';

afterEach(cleanUp);

const UNSET = { DATABASE_URL: '', JWT_SECRET: '', ENCRYPTION_KEY: '', ENCRYPTION_KEY_PREVIOUS: '', NODE_ENV: '' };
const JWT_SECRET = 'a secret of the tests, long enough to be taken';
const base64 = (key: Buffer) => key.toString('base64');

function run(file: string, env: NodeJS.ProcessEnv): TypeScriptProcess {
  const child = runTypeScript(file, { env: { ...UNSET, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'warn', ...env } });
  later(() => child.end());
  return child;
}

async function rotate(env: NodeJS.ProcessEnv): Promise<{ code: number | string; said: string }> {
  const child = run('src/rotate-key.ts', env);
  const code = await child.exited;
  return { code, said: child.output() };
}

async function serve(env: NodeJS.ProcessEnv) {
  const child = run('src/main.ts', env);
  const ready = await child.line((line) => line.startsWith('Pairline is ready'));
  return { child, url: ready.replace(/.*localhost/, 'http://127.0.0.1') };
}

/** A phone with a stored message; what a server has to open afterwards. */
async function aPhoneWithAMessage(url: string) {
  const handset = await phone(url);
  later(() => handset.close());
  const sent = message();
  await handset.send('mobile:messages', { messages: [sent] });
  const token = await pair(url, handset);
  return { sent, token, deviceId: handset.deviceId, deviceToken: handset.deviceToken };
}

async function expectToOpen(url: string, { sent, token }: { sent: object; token: string }) {
  const { status, body } = await call(url, '/api/snapshot', { token });
  expect(status).toBe(200);
  expect(body.changes.map((change: { row: unknown }) => change.row)).toContainEqual(sent);
}

async function addAccounts(url: string, count: number, key: Buffer): Promise<Map<string, Buffer>> {
  const accounts = new Map(Array.from({ length: count }, () => [randomUUID() as string, randomBytes(32)]));
  const wrapped = [...accounts].map(([id, dataKey]) => wrapDataKey(key, id, 7, dataKey));
  const insert = 'INSERT INTO accounts (id, data_key) SELECT * FROM unnest($1::uuid[], $2::bytea[])';
  await query(url, insert, [[...accounts.keys()], wrapped]);
  return accounts;
}

/** How many accounts each key opens. */
async function countByKey(url: string, ...keys: Buffer[]): Promise<number[]> {
  const counted = 'SELECT count(*)::int AS count FROM accounts WHERE substring(data_key FROM 2 FOR 8) = $1';
  return Promise.all(keys.map(async (key) => Number((await query(url, counted, [keyId(key)]))[0]!.count)));
}

/** Holds an account, so that a rotation waits in the page it is in: `reached` resolves when it does, `release` lets it go on. */
async function holdAccount(url: string, which: 'first' | 'last') {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  later(() => client.end());
  await client.query('BEGIN');
  await client.query(`SELECT FROM accounts ORDER BY id ${which === 'first' ? 'ASC' : 'DESC'} LIMIT 1 FOR UPDATE`);
  const waiting = "SELECT FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')";
  return {
    reached: async () => {
      while ((await client.query(waiting)).rowCount === 0);
    },
    release: () => client.query('ROLLBACK'),
  };
}

function embeddedUrl(dataDir: string): string {
  const port = readFileSync(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[3];
  const password = readFileSync(join(dataDir, 'postgres/password'), 'utf8').trim();
  return `postgresql://pairline:${password}@127.0.0.1:${port}/pairline`;
}

test('rotating re-wraps every account key and leaves what they seal as it is', async () => {
  const DATABASE_URL = await temporaryDatabase();
  const [before, after] = [randomBytes(32), randomBytes(32)];
  const set = { DATABASE_URL, JWT_SECRET };
  const first = await serve({ ...set, ENCRYPTION_KEY: base64(before) });
  const known = await aPhoneWithAMessage(first.url);
  await first.child.end();
  const accounts = await addAccounts(DATABASE_URL, 1200, before);

  const keys = { ENCRYPTION_KEY: base64(after), ENCRYPTION_KEY_PREVIOUS: base64(before) };
  const sentence =
    'Re-wrapped 1201 account keys; 0 had the new key already. Re-wrapped 0 realm keys; 0 had the new key already. ' +
    'ENCRYPTION_KEY_PREVIOUS can be removed now.';
  expect(await rotate({ ...set, ...keys })).toEqual({ code: 0, said: sentence });
  expect(await countByKey(DATABASE_URL, before, after)).toEqual([0, 1201]);
  for (const { id, data_key } of await query(DATABASE_URL, 'SELECT id, data_key FROM accounts')) {
    const opened = unwrapDataKey([after], id, data_key);
    if (accounts.has(id)) expect(opened).toEqual({ dataKeyId: 7, dataKey: accounts.get(id), current: true });
  }
  expect(await rotate({ ...set, ...keys })).toMatchObject({ code: 0, said: expect.stringContaining('0 account keys; 1201 had') }); // prettier-ignore

  const second = await serve({ ...set, ENCRYPTION_KEY: base64(after) });
  await expectToOpen(second.url, known);
});

test('a rotation that was killed goes on where it stopped, and a server opens both halves meanwhile', async () => {
  const DATABASE_URL = await temporaryDatabase();
  const [before, after] = [randomBytes(32), randomBytes(32)];
  const keys = { ENCRYPTION_KEY: base64(after), ENCRYPTION_KEY_PREVIOUS: base64(before) };
  const set = { DATABASE_URL, JWT_SECRET, ...keys };
  const first = await serve({ ...set, ENCRYPTION_KEY: base64(before), ENCRYPTION_KEY_PREVIOUS: '' });
  const known = [await aPhoneWithAMessage(first.url), await aPhoneWithAMessage(first.url)];
  await first.child.end();
  await addAccounts(DATABASE_URL, 1198, before);

  const hold = await holdAccount(DATABASE_URL, 'last');
  const killed = run('src/rotate-key.ts', set);
  await hold.reached();
  await killed.end('SIGKILL');
  await hold.release();
  expect(await countByKey(DATABASE_URL, before, after)).toEqual([200, 1000]);

  const between = await serve(set);
  for (const each of known) await expectToOpen(between.url, each);
  await between.child.end();
  expect(await rotate(set)).toMatchObject({ code: 0, said: expect.stringContaining('Re-wrapped 200 account keys; 1000 had') }); // prettier-ignore
  expect(await countByKey(DATABASE_URL, before, after)).toEqual([0, 1200]);
});

test('a rotation that is asked to stop ends after the page it is at', async () => {
  const DATABASE_URL = await temporaryDatabase();
  const [before, after] = [randomBytes(32), randomBytes(32)];
  await addAccounts(DATABASE_URL, 700, before);
  const hold = await holdAccount(DATABASE_URL, 'first');
  const keys = { ENCRYPTION_KEY: base64(after), ENCRYPTION_KEY_PREVIOUS: base64(before) };
  const child = run('src/rotate-key.ts', { DATABASE_URL, JWT_SECRET, ...keys });
  await hold.reached();
  child.child.kill('SIGINT');
  await hold.release();
  expect(await child.exited).toBe(1);
  expect(child.output()).toBe('Stopped after 500 account keys: run this again to go on.');
  expect(await countByKey(DATABASE_URL, before, after)).toEqual([200, 500]);
});

describe('realms', () => {
  const REGISTERED = { name: 'Ann', email: 'ann@example.org', password: 'correct horse', clientId: 'tablet' };
  const BASIC = `Basic ${Buffer.from(`${REGISTERED.email}:${REGISTERED.password}`).toString('base64')}`;
  const signIn = (url: string, realm: string) =>
    call(url, `/login/${realm}`, { body: { clientId: 'tablet' }, headers: { Authorization: BASIC } });

  async function twoDatabases() {
    const [main, clinic] = [await temporaryDatabase(), await temporaryDatabase()];
    const REALMS = JSON.stringify([{ slug: 'clinic', databaseUrl: clinic }, { slug: 'school' }]);
    return { main, clinic, set: { DATABASE_URL: main, REALMS, JWT_SECRET } };
  }

  test('the keys of realms go over too, and those of accounts in databases of their own', async () => {
    const { main, clinic, set } = await twoDatabases();
    const [before, after] = [randomBytes(32), randomBytes(32)];
    const first = await serve({ ...set, ENCRYPTION_KEY: base64(before) });
    for (const realm of ['clinic', 'school'])
      expect(await call(first.url, `/register/${realm}`, { body: REGISTERED })).toMatchObject({ status: 200 });
    await first.child.end();
    expect([await countByKey(main, before, after), await countByKey(clinic, before, after)]).toEqual([
      [1, 0],
      [1, 0],
    ]);

    const keys = { ENCRYPTION_KEY: base64(after), ENCRYPTION_KEY_PREVIOUS: base64(before) };
    const sentence =
      'Re-wrapped 2 account keys; 0 had the new key already. Re-wrapped 2 realm keys; 0 had the new key already. ' +
      'ENCRYPTION_KEY_PREVIOUS can be removed now.';
    expect(await rotate({ ...set, ...keys })).toEqual({ code: 0, said: sentence });
    expect([await countByKey(main, before, after), await countByKey(clinic, before, after)]).toEqual([
      [0, 1],
      [0, 1],
    ]);

    const second = await serve({ ...set, ENCRYPTION_KEY: base64(after) });
    for (const realm of ['clinic', 'school']) expect(await signIn(second.url, realm)).toMatchObject({ status: 200 });
  });

  test('a rotation that was killed between two databases goes on in the other', async () => {
    const { main, clinic, set } = await twoDatabases();
    const [before, after] = [randomBytes(32), randomBytes(32)];
    await addAccounts(main, 3, before);
    await addAccounts(clinic, 2, before);
    const hold = await holdAccount(clinic, 'first');
    const keys = { ENCRYPTION_KEY: base64(after), ENCRYPTION_KEY_PREVIOUS: base64(before) };
    const killed = run('src/rotate-key.ts', { ...set, ...keys });
    await hold.reached();
    await killed.end('SIGKILL');
    await hold.release();
    expect([await countByKey(main, before, after), await countByKey(clinic, before, after)]).toEqual([
      [0, 3],
      [2, 0],
    ]);
    expect(await rotate({ ...set, ...keys })).toMatchObject({ code: 0, said: expect.stringContaining('Re-wrapped 2 account keys; 3 had') }); // prettier-ignore
    expect(await countByKey(clinic, before, after)).toEqual([0, 2]);
  });

  test('a key that opens not all of any database changes nothing in another', async () => {
    const { main, clinic, set } = await twoDatabases();
    const [before, after, lost] = [randomBytes(32), randomBytes(32), randomBytes(32)];
    await addAccounts(main, 3, before);
    await addAccounts(clinic, 2, lost);
    const keys = { ENCRYPTION_KEY: base64(after), ENCRYPTION_KEY_PREVIOUS: base64(before) };
    expect(await rotate({ ...set, ...keys })).toMatchObject({ code: 1, said: expect.stringMatching(/^2 of 5 accounts /) }); // prettier-ignore
    await query(clinic, 'DELETE FROM accounts');
    await query(clinic, 'INSERT INTO realms (slug, index_key) VALUES ($1, $2)', [
      'clinic',
      wrapDataKey(lost, 'clinic', 1, randomBytes(32)),
    ]);
    expect(await rotate({ ...set, ...keys })).toMatchObject({ code: 1, said: expect.stringMatching(/^1 of 1 realms /) }); // prettier-ignore
    expect(await countByKey(main, before, after)).toEqual([3, 0]);
  });
});

test('a running server is never rotated under its feet', async () => {
  const DATABASE_URL = await temporaryDatabase();
  const [before, after] = [randomBytes(32), randomBytes(32)];
  const set = { DATABASE_URL, JWT_SECRET };
  const server = await serve({ ...set, ENCRYPTION_KEY: base64(before) });
  const known = await aPhoneWithAMessage(server.url);
  const keys = { ENCRYPTION_KEY: base64(after), ENCRYPTION_KEY_PREVIOUS: base64(before) };
  const refused = await rotate({ ...set, ...keys });
  expect(refused).toMatchObject({ code: 1, said: expect.stringMatching(/^Another Pairline server is using this database/) }); // prettier-ignore
  expect(await countByKey(DATABASE_URL, before, after)).toEqual([1, 0]);
  await expectToOpen(server.url, known);
});

test('settings that cannot be meant are refused in one sentence, and nothing is changed', async () => {
  const DATABASE_URL = await temporaryDatabase();
  const [before, after, lost] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  await addAccounts(DATABASE_URL, 3, before);
  await addAccounts(DATABASE_URL, 2, lost);
  const set = { DATABASE_URL, JWT_SECRET, ENCRYPTION_KEY: base64(after) };
  expect(await rotate(set)).toEqual({
    code: 1,
    said: 'Set ENCRYPTION_KEY to the new key, and ENCRYPTION_KEY_PREVIOUS to the one before it.',
  });
  expect(await rotate({ ...set, ENCRYPTION_KEY_PREVIOUS: base64(after) })).toEqual({
    code: 1,
    said: 'ENCRYPTION_KEY is the same as ENCRYPTION_KEY_PREVIOUS: set it to a new key.',
  });
  expect(await rotate({ ...set, ENCRYPTION_KEY_PREVIOUS: base64(before) })).toEqual({
    code: 1,
    said:
      '2 of 5 accounts are sealed by a key that is not given: nothing was changed. ' +
      'Set ENCRYPTION_KEY_PREVIOUS to that key.',
  });
  expect(await countByKey(DATABASE_URL, before, lost, after)).toEqual([3, 2, 0]);

  const dataDir = join(temporaryFolder(), 'data');
  expect(await rotate({ DATA_DIR: dataDir })).toEqual({
    code: 1,
    said: `There is no key to rotate: ENCRYPTION_KEY is not set and ${dataDir}/secrets.json does not exist.`,
  });
  expect(existsSync(dataDir)).toBe(false);
});

test('a key kept in the data folder is replaced by a new one, and is still only for its owner', async () => {
  const dataDir = temporaryFolder();
  const first = await serve({ DATA_DIR: dataDir });
  const known = await aPhoneWithAMessage(first.url);
  const before = readSecrets(dataDir)!;
  expect(await rotate({ DATA_DIR: dataDir })).toMatchObject({ code: 1, said: `Another Pairline server is running on ${dataDir}.` }); // prettier-ignore
  expect(readSecrets(dataDir)).toEqual(before);
  await first.child.end();

  const done = await rotate({ DATA_DIR: dataDir });
  expect(done).toMatchObject({ code: 0, said: expect.stringContaining('Re-wrapped 1 account keys; 0 had the new key') }); // prettier-ignore
  const after = readSecrets(dataDir)!;
  expect(after).toEqual({ jwtSecret: before.jwtSecret, encryptionKey: expect.any(Buffer) });
  expect(after.encryptionKey.equals(before.encryptionKey)).toBe(false);
  expect(readFileSync(join(dataDir, 'secrets.json'), 'utf8')).not.toContain(base64(before.encryptionKey));
  expect(statSync(join(dataDir, 'secrets.json')).mode & 0o777).toBe(0o600);

  const second = await serve({ DATA_DIR: dataDir });
  await expectToOpen(second.url, known);
});

test('a rotation of a kept key may be cut off at any point: the next server opens everything, the next run ends it', async () => {
  const dataDir = temporaryFolder();
  const first = await serve({ DATA_DIR: dataDir });
  const known = await aPhoneWithAMessage(first.url);
  const before = readSecrets(dataDir)!;
  await addAccounts(embeddedUrl(dataDir), 700, before.encryptionKey);
  await first.child.end('SIGKILL');

  // Cut off right after the file got both keys.
  const next = randomBytes(32);
  replaceSecrets(dataDir, { ...before, encryptionKey: next, encryptionKeyPrevious: before.encryptionKey });
  const second = await serve({ DATA_DIR: dataDir });
  await expectToOpen(second.url, known);
  const newcomer = await aPhoneWithAMessage(second.url);
  await second.child.end('SIGKILL');
  expect(await countByKey(embeddedUrl(dataDir), before.encryptionKey, next)).toEqual([701, 1]);

  // Cut off before the file lost the old key: nothing is left to do but that.
  const again = await rotate({ DATA_DIR: dataDir });
  expect(again).toMatchObject({ code: 0, said: expect.stringContaining('Re-wrapped 701 account keys; 1 had the new key') }); // prettier-ignore
  expect(again.said).toContain('An earlier rotation did not end: going on with it.');
  expect(readSecrets(dataDir)).toEqual({ jwtSecret: before.jwtSecret, encryptionKey: next });
  replaceSecrets(dataDir, { ...before, encryptionKey: next, encryptionKeyPrevious: before.encryptionKey });
  expect(await rotate({ DATA_DIR: dataDir })).toMatchObject({ code: 0, said: expect.stringContaining('Re-wrapped 0 account keys; 702 had') }); // prettier-ignore
  expect(readSecrets(dataDir)).toEqual({ jwtSecret: before.jwtSecret, encryptionKey: next });

  const third = await serve({ DATA_DIR: dataDir });
  await expectToOpen(third.url, known);
  await expectToOpen(third.url, newcomer);
}, 60_000);
