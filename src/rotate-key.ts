import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import pg from 'pg';
import { unwrapDataKey, wrapDataKey } from './changes/account-keys.js';
import { prepareDatabase } from './database/prepare.js';
import { readSecrets, replaceSecrets, type Secrets } from './database/secrets.js';
import { StartupError } from './database/startup-error.js';
import { EnvError, keyId, parseEnv, type Env } from './env.js';
import { createLog } from './log.js';

/*
 * `npm run rotate-key`: wraps the data key of every account by a new ENCRYPTION_KEY. What the data keys seal stays as it
 * is. The server has to be stopped: this takes the database as a server would.
 *
 * A key that is kept in `<dataDir>/secrets.json` is changed in three steps: the file gets the new key beside the old one,
 * the accounts go over page by page, the file loses the old one. Cut off anywhere, server and accounts still have a key in
 * the file that opens them, and the next run goes on where this one stopped.
 */
const PAGE = 500;
const NO_ACCOUNT = '00000000-0000-0000-0000-000000000000';

const interrupted = new AbortController();

async function rotate(env: Env): Promise<string> {
  refuseSettings(env);
  const database = await prepareDatabase(env, createLog(env), () => {
    console.error('A Pairline server took the database meanwhile: stop it, and run this again.');
    process.exit(1);
  });
  try {
    const client = new pg.Client({ connectionString: database.databaseUrl });
    await client.connect();
    try {
      return await (env.encryptionKey === undefined ? rotateKept(client, env) : rotateSet(client, env));
    } finally {
      await client.end();
    }
  } finally {
    await database.stop();
  }
}

/** Before anything is started or made. */
function refuseSettings({ encryptionKey, encryptionKeyPrevious, dataDir }: Env): void {
  if (encryptionKey === undefined) {
    if (readSecrets(dataDir) !== undefined) return;
    throw new StartupError(
      `There is no key to rotate: ENCRYPTION_KEY is not set and ${fileIn(dataDir)} does not exist.`,
    );
  }
  if (encryptionKeyPrevious === undefined)
    throw new StartupError('Set ENCRYPTION_KEY to the new key, and ENCRYPTION_KEY_PREVIOUS to the one before it.');
  if (encryptionKey.equals(encryptionKeyPrevious))
    throw new StartupError('ENCRYPTION_KEY is the same as ENCRYPTION_KEY_PREVIOUS: set it to a new key.');
}

/** Both keys stand in the settings. */
async function rotateSet(client: pg.Client, env: Env): Promise<string> {
  const keys = [env.encryptionKey!, env.encryptionKeyPrevious!];
  await refuseStrangers(client, keys);
  return `${await rewrapAll(client, keys)} ENCRYPTION_KEY_PREVIOUS can be removed now.`;
}

/** The key is kept in the data folder, and this makes the new one. */
async function rotateKept(client: pg.Client, { dataDir, encryptionKeyPrevious }: Env): Promise<string> {
  const kept = readSecrets(dataDir)!;
  // The settings name a key from before: they had it until now, and the file has its successor already.
  const fromSettings = encryptionKeyPrevious === undefined ? [] : [encryptionKeyPrevious];
  await refuseStrangers(client, [kept.encryptionKey, ...previousOf(kept), ...fromSettings]);

  let secrets = kept;
  if (kept.encryptionKeyPrevious !== undefined) console.log('An earlier rotation did not end: going on with it.');
  else if (fromSettings.length === 0) {
    secrets = { ...kept, encryptionKey: randomBytes(32), encryptionKeyPrevious: kept.encryptionKey };
    replaceSecrets(dataDir, secrets);
  }
  const done = await rewrapAll(client, [secrets.encryptionKey, ...previousOf(secrets), ...fromSettings]);
  if (secrets.encryptionKeyPrevious !== undefined)
    replaceSecrets(dataDir, { ...secrets, encryptionKeyPrevious: undefined });
  return `${done} A backup of the database from before needs the ${fileIn(dataDir)} from before, too.`;
}

function previousOf({ encryptionKeyPrevious }: Secrets): Buffer[] {
  return encryptionKeyPrevious === undefined ? [] : [encryptionKeyPrevious];
}

/** An account that none of the keys opens would be left behind for good: better to change nothing. */
async function refuseStrangers(client: pg.Client, keys: Buffer[]): Promise<void> {
  const { rows } = await client.query<{ strangers: number; all: number }>(
    `SELECT count(*) FILTER (WHERE substring(data_key FROM 2 FOR 8) <> ALL ($1))::int AS strangers, count(*)::int AS all
     FROM accounts`,
    [keys.map(keyId)],
  );
  const { strangers, all } = rows[0]!;
  if (strangers === 0) return;
  throw new StartupError(
    `${strangers} of ${all} accounts are sealed by a key that is not given: nothing was changed. ` +
      'Set ENCRYPTION_KEY_PREVIOUS to that key.',
  );
}

/** `keys`: the new one, then those before. */
async function rewrapAll(client: pg.Client, keys: Buffer[]): Promise<string> {
  let rewrapped = 0;
  for (let after: string | undefined = NO_ACCOUNT; after !== undefined;) {
    if (interrupted.signal.aborted)
      throw new StartupError(`Stopped after ${rewrapped} account keys: run this again to go on.`);
    const page = await rewrapPage(client, keys, after);
    rewrapped += page.length;
    after = page.at(-1);
  }
  const { rows } = await client.query<{ all: number }>('SELECT count(*)::int AS all FROM accounts');
  return `Re-wrapped ${rewrapped} account keys; ${rows[0]!.all - rewrapped} had the new key already.`;
}

/** One transaction; answers the ids of its accounts. */
async function rewrapPage(client: pg.Client, keys: Buffer[], after: string): Promise<string[]> {
  await client.query('BEGIN');
  const { rows } = await client.query<{ id: string; data_key: Buffer }>(
    `SELECT id, data_key FROM accounts WHERE id > $1 AND substring(data_key FROM 2 FOR 8) <> $2
     ORDER BY id LIMIT $3 FOR UPDATE`,
    [after, keyId(keys[0]!), PAGE],
  );
  const ids = rows.map(({ id }) => id);
  await client.query(
    `UPDATE accounts a SET data_key = r.data_key FROM unnest($1::uuid[], $2::bytea[]) AS r(id, data_key) WHERE a.id = r.id`,
    [ids, rows.map(({ id, data_key }) => rewrap(keys, id, data_key))],
  );
  await client.query('COMMIT');
  return ids;
}

function rewrap(keys: Buffer[], account: string, wrapped: Buffer): Buffer {
  try {
    const { dataKeyId, dataKey } = unwrapDataKey(keys, account, wrapped);
    return wrapDataKey(keys[0]!, account, dataKeyId, dataKey);
  } catch (cause) {
    throw new StartupError(`The stored key of account ${account} is damaged: put its row back from a backup.`, {
      cause,
    });
  }
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'secrets.json');
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort());
try {
  console.log(await rotate(parseEnv(process.env)));
  process.exit(0);
} catch (error) {
  const forPeople = error instanceof EnvError || error instanceof StartupError;
  console.error(forPeople ? error.message : error);
  process.exit(1);
}
