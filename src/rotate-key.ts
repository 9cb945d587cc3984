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
 * `npm run rotate-key`: wraps the data key of every account, and the key of every realm, by a new ENCRYPTION_KEY, in the
 * server's database and in those that realms have of their own. What these keys seal stays as it is. The server has to be
 * stopped: this takes the databases as a server would.
 *
 * A key that is kept in `<dataDir>/secrets.json` is changed in three steps: the file gets the new key beside the old one,
 * the rows go over page by page, the file loses the old one. Cut off anywhere, server and rows still have a key in the file
 * that opens them, and the next run goes on where this one stopped.
 */
const PAGE = 500;

/** What ENCRYPTION_KEY wraps: a row's key, bound to the row's id. */
interface Wrapped {
  of: 'account' | 'realm';
  table: string;
  id: string;
  idType: string;
  key: string;
  /** Before all others. */
  first: string;
}

const NO_ACCOUNT = '00000000-0000-0000-0000-000000000000';
const WRAPPED: Wrapped[] = [
  { of: 'account', table: 'accounts', id: 'id', idType: 'uuid', key: 'data_key', first: NO_ACCOUNT },
  { of: 'realm', table: 'realms', id: 'slug', idType: 'text', key: 'index_key', first: '' },
];

const interrupted = new AbortController();

async function rotate(env: Env): Promise<string> {
  refuseSettings(env);
  const database = await prepareDatabase(env, createLog(env), () => {
    console.error('A Pairline server took the database meanwhile: stop it, and run this again.');
    process.exit(1);
  });
  const clients = [database.databaseUrl, ...database.realmUrls].map((url) => new pg.Client({ connectionString: url }));
  try {
    for (const client of clients) await client.connect();
    return await (env.encryptionKey === undefined ? rotateKept(clients, env) : rotateSet(clients, env));
  } finally {
    for (const client of clients) await client.end();
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
async function rotateSet(clients: pg.Client[], env: Env): Promise<string> {
  const keys = [env.encryptionKey!, env.encryptionKeyPrevious!];
  await refuseStrangers(clients, keys);
  return `${await rewrapAll(clients, keys)} ENCRYPTION_KEY_PREVIOUS can be removed now.`;
}

/** The key is kept in the data folder, and this makes the new one. */
async function rotateKept(clients: pg.Client[], { dataDir, encryptionKeyPrevious }: Env): Promise<string> {
  const kept = readSecrets(dataDir)!;
  // The settings name a key from before: they had it until now, and the file has its successor already.
  const fromSettings = encryptionKeyPrevious === undefined ? [] : [encryptionKeyPrevious];
  await refuseStrangers(clients, [kept.encryptionKey, ...previousOf(kept), ...fromSettings]);

  let secrets = kept;
  if (kept.encryptionKeyPrevious !== undefined) console.log('An earlier rotation did not end: going on with it.');
  else if (fromSettings.length === 0) {
    secrets = { ...kept, encryptionKey: randomBytes(32), encryptionKeyPrevious: kept.encryptionKey };
    replaceSecrets(dataDir, secrets);
  }
  const done = await rewrapAll(clients, [secrets.encryptionKey, ...previousOf(secrets), ...fromSettings]);
  if (secrets.encryptionKeyPrevious !== undefined)
    replaceSecrets(dataDir, { ...secrets, encryptionKeyPrevious: undefined });
  return `${done} A backup of the database from before needs the ${fileIn(dataDir)} from before, too.`;
}

function previousOf({ encryptionKeyPrevious }: Secrets): Buffer[] {
  return encryptionKeyPrevious === undefined ? [] : [encryptionKeyPrevious];
}

/** What none of the keys opens would be left behind for good: better to change nothing, in no database. */
async function refuseStrangers(clients: pg.Client[], keys: Buffer[]): Promise<void> {
  for (const { of, table, key } of WRAPPED) {
    const { strangers, all } = await count(
      clients,
      `SELECT count(*) FILTER (WHERE substring(${key} FROM 2 FOR 8) <> ALL ($1))::int AS strangers, count(*)::int AS all
       FROM ${table}`,
      [keys.map(keyId)],
    );
    if (strangers === 0) continue;
    throw new StartupError(
      `${strangers} of ${all} ${of}s are sealed by a key that is not given: nothing was changed. ` +
        'Set ENCRYPTION_KEY_PREVIOUS to that key.',
    );
  }
}

/** `keys`: the new one, then those before. */
async function rewrapAll(clients: pg.Client[], keys: Buffer[]): Promise<string> {
  const done: string[] = [];
  for (const wrapped of WRAPPED) {
    const { of, table } = wrapped;
    let rewrapped = 0;
    for (const client of clients)
      for (let after: string | undefined = wrapped.first; after !== undefined;) {
        if (interrupted.signal.aborted)
          throw new StartupError(`Stopped after ${rewrapped} ${of} keys: run this again to go on.`);
        const page = await rewrapPage(client, wrapped, keys, after);
        rewrapped += page.length;
        after = page.at(-1);
      }
    const { all } = await count(clients, `SELECT count(*)::int AS all FROM ${table}`);
    done.push(`Re-wrapped ${rewrapped} ${of} keys; ${all! - rewrapped} had the new key already.`);
  }
  return done.join(' ');
}

/** The figures of all databases together. */
async function count(clients: pg.Client[], text: string, values?: unknown[]): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const client of clients) {
    const { rows } = await client.query<Record<string, number>>(text, values);
    for (const [name, figure] of Object.entries(rows[0]!)) sums[name] = (sums[name] ?? 0) + figure;
  }
  return sums;
}

/** One transaction; answers the ids of its rows. */
async function rewrapPage(client: pg.Client, wrapped: Wrapped, keys: Buffer[], after: string): Promise<string[]> {
  const { of, table, id, idType, key } = wrapped;
  await client.query('BEGIN');
  const { rows } = await client.query<{ id: string; key: Buffer }>(
    `SELECT ${id} AS id, ${key} AS key FROM ${table} WHERE ${id} > $1 AND substring(${key} FROM 2 FOR 8) <> $2
     ORDER BY ${id} LIMIT $3 FOR UPDATE`,
    [after, keyId(keys[0]!), PAGE],
  );
  const ids = rows.map((row) => row.id);
  await client.query(
    `UPDATE ${table} t SET ${key} = r.key FROM unnest($1::${idType}[], $2::bytea[]) AS r(id, key) WHERE t.${id} = r.id`,
    [ids, rows.map((row) => rewrap(keys, of, row.id, row.key))],
  );
  await client.query('COMMIT');
  return ids;
}

function rewrap(keys: Buffer[], of: string, id: string, wrapped: Buffer): Buffer {
  try {
    const { dataKeyId, dataKey } = unwrapDataKey(keys, id, wrapped);
    return wrapDataKey(keys[0]!, id, dataKeyId, dataKey);
  } catch (cause) {
    throw new StartupError(`The stored key of ${of} ${id} is damaged: put its row back from a backup.`, { cause });
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
