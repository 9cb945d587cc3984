import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { AccountKey } from '../src/changes/account-key.js';
import { unwrapDataKey, wrapDataKey } from '../src/changes/account-keys.js';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.js';
import { migrate } from '../src/database/migrations.js';
import { createLog } from '../src/log.js';
import { browser, call, Client, follower, generateQr, message, pair, phone, waitPairing } from './support/clients.js';
import { cleanUp, later, listeningLog, query, temporaryFolder } from './support/database.js';
import { TestServer } from './support/server.js';

const ENCRYPTION_KEY = randomBytes(32);

let dataDir: string;
let url: string;
let server: TestServer;
const logged: string[] = [];
/** What nobody but its owners may read: its name → the text. Letters for texts and names, digits for numbers. */
const secrets = new Map<string, string>();

function secret(name: string): string {
  const letters = [...randomBytes(20)].map((byte) => String.fromCharCode((byte & 32) + 65 + (byte % 26))).join('');
  secrets.set(name, letters);
  return letters;
}
function secretNumber(name: string): string {
  const digits = [...randomBytes(12)].map((byte) => byte % 10).join('');
  secrets.set(name, digits);
  return digits;
}
/** A secret that the server made up. */
function keep(name: string, value: string): string {
  secrets.set(name, value);
  return value;
}

beforeAll(async () => {
  dataDir = temporaryFolder();
  const log = listeningLog();
  const postgres = await startEmbeddedPostgres({ dataDir, log });
  later(() => postgres.stop());
  url = postgres.url;
  await migrate({ url, log });
  const database = { url, drop: async () => undefined };
  const traced = createLog({ logLevel: 'trace' }, { write: (line: string) => void logged.push(line) });
  server = await TestServer.start({ database, log: traced, encryptionKey: ENCRYPTION_KEY });
  later(() => server.stop());
  await useEverything();
}, 60_000);
afterAll(cleanUp);

/** Every feature, the refusals too, with a text of its own in every place that takes one. */
async function useEverything(): Promise<void> {
  const at = server.url;
  const kept = <T extends Client>(client: T): T => (later(() => client.close()), client);

  const first = kept(new Client(at));
  const deviceId = 'phone-at-rest';
  const registration = { deviceId, deviceName: secret('phone name'), deviceModel: secret('phone model') };
  const { deviceToken } = await first.send('mobile:register', registration);
  keep('device token', deviceToken as string);
  first.close();
  const handset = kept(await phone(at, { deviceId, deviceToken: deviceToken as string }));
  await handset.send('mobile:register', { ...registration, deviceName: secret('phone name, later') });

  const qr = await generateQr(at);
  keep('pairing token', qr.token);
  const waiting = call(at, '/api/auth/wait-pairing', { body: { token: qr.token, deviceName: secret('browser name') } });
  await handset.send('mobile:scan-qr', { qrData: qr.qrData, deviceId });
  const token = keep('session token', (await waiting).body.data.sessionToken as string);
  keep('session token, its signature', token.split('.')[2]!);
  const unused = await generateQr(at);
  keep('unused pairing token', unused.token);
  const web = kept(await browser(at, token));
  const following = kept(follower(at, token));
  await following.next('changes');

  const number = secretNumber('number');
  const put = (fields: object) => handset.send('mobile:messages', { messages: [message(fields)] }); // prettier-ignore
  await put({ id: 'm1', conversationId: 't1', phoneNumber: `+${number}`, body: `So ${secret('body')} it is` });
  await put({ id: 'm2', conversationId: 't2', phoneNumber: secret('sender name'), body: secret('second body') });
  await put({ id: 'gone', conversationId: 't2', phoneNumber: `+${secretNumber('deleted number')}`, body: secret('deleted body') }); // prettier-ignore
  const conversation = {
    id: 't1',
    phoneNumber: `+${number}`,
    contactName: secret('contact name'),
    lastMessage: secret('last message'),
    lastMessageTime: Date.now(),
    unreadCount: 1,
  };
  await handset.send('mobile:conversations', { conversations: [conversation] });
  await handset.send('message:deleted', { messageId: 'gone' });

  const write = (tempId: string, phoneNumber: string, text: string) => web.send('web:send-message', { tempId, phoneNumber, message: text }); // prettier-ignore
  await write('w1', `+${number}`, secret('answer'));
  await write('w2', `+${secretNumber('new number')}`, secret('first word to a new number'));
  await write('w3', `+${number}`, secret('answer that is deleted'));
  await web.send('web:delete-message', { messageId: 'w3' });
  await handset.send('mobile:message-status', { messageId: 'w1', status: 'sent' });
  await handset.send('message:sent', { phoneNumber: `+${number}`, messageId: 'p1' });
  await put({ id: 'p2', conversationId: 't1', phoneNumber: `+${number}`, body: secrets.get('answer'), type: 'sent' });
  await web.send('web:mark-read', { conversationId: 't1' });
  await web.send('state:put', { key: 'state-at-rest', value: { text: secret('state') } });
  await handset.send('state:put', { key: 'state-at-rest', value: { text: secret('state, later') } });
  await web.send('state:put', { key: 'state-gone', value: secret('state that is deleted') });
  await web.send('state:delete', { key: 'state-gone' });
  await web.send('web:request-sync');
  const { body } = await call(at, '/api/devices', { token });
  const own = body.devices.find((device: { current: boolean }) => device.current);
  await call(at, `/api/devices/${own.id}`, { token, method: 'PATCH', body: { name: secret('browser renamed') } });

  for (const path of ['/api/changes', '/api/snapshot', '/api/changes?after=0&wait=1', `/api/changes?token=${token}`])
    await call(at, path, { token });
  await call(at, '/api/auth/verify', { body: { sessionToken: token } });
  const claimed = await generateQr(at);
  keep('claimed pairing token', claimed.token);
  await call(at, '/api/pairing/claim', { token, body: { qrData: claimed.qrData, keys: 'sealed-already' } });

  // What is refused is not told either.
  await put({ id: 'bad', body: secret('refused body'), type: 'neither' });
  await put({ id: 'too long', body: `${secret('long body')}${'x'.repeat(70_000)}` });
  await write('w1', `+${secretNumber('other number')}`, secret('another text under a taken tempId'));
  await web.send('web:authenticate', { sessionToken: secret('wrong session token') });
  await web.send('state:put', { key: 'state-at-rest', value: secret('refused state'), ifAbsent: true });
  await web.send('state:put', { key: 'state-large', value: secret('large state').repeat(20_000) });
  const stranger = kept(new Client(at));
  await stranger.send('mobile:register', { deviceId, deviceName: secret('impostor'), deviceToken: secret('wrong device token') }); // prettier-ignore
  await handset.send('mobile:scan-qr', { qrData: JSON.stringify({ token: secret('wrong pairing token') }), deviceId });
  await handset.send('mobile:scan-qr', { qrData: secret('what is no QR code'), deviceId });
  await handset.send('no-such-event', { text: secret('unknown event') });
  await waitPairing(at, secret('unknown pairing token'));
  await call(at, '/api/devices', { token: secret('wrong bearer') });
  await call(at, `/api/changes?after=${secret('query')}`, { token });
  await fetch(`${at}/api/auth/verify`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: `{"sessionToken": ${secret('broken JSON')}` }); // prettier-ignore

  // A browser that is removed, and its name with it.
  const second = await pair(at, handset);
  const other = (await call(at, '/api/devices', { token: second })).body.devices.find((device: { current: boolean }) => device.current); // prettier-ignore
  await call(at, `/api/devices/${other.id}`, { token, method: 'PATCH', body: { name: secret('removed browser') } });
  await call(at, `/api/devices/${other.id}`, { token, method: 'DELETE' });
}

/** How a text may hide in bytes. */
function forms(text: string): Buffer[] {
  const bytes = Buffer.from(text);
  const base64 = [0, 1, 2].map((shift) => {
    // Wherever it begins, the middle of its base64 is the same for each of the three places.
    const shifted = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    return shifted.slice(4, -4);
  });
  const texts = [
    text,
    text.toLowerCase(),
    text.toUpperCase(),
    [...text].reverse().join(''),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...base64,
    ...base64.map((form) => form.replaceAll('+', '-').replaceAll('/', '_')),
  ];
  return [...texts.map((form) => Buffer.from(form)), Buffer.from(text, 'utf16le'), Buffer.from(text, 'utf16le').swap16()]; // prettier-ignore
}

/** The secrets that show in these bytes. */
function found(bytes: Buffer): string[] {
  return [...secrets].filter(([, text]) => forms(text).some((form) => bytes.includes(form))).map(([name]) => name);
}

/** What a logical backup holds: every row of every table. */
async function dump(): Promise<Buffer> {
  const tables = await query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
  const rows = await Promise.all(
    tables.map(({ tablename }) => query(url, `SELECT t::text AS row, to_json(t)::text AS json FROM "${tablename}" t`)),
  );
  return Buffer.from(rows.flat().map(({ row, json }) => `${row}\n${json}\n`).join('')); // prettier-ignore
}

test('the search finds a text in whatever form it is written', () => {
  const [name, text] = ['body', secrets.get('body')!];
  for (const form of [text, text.toLowerCase(), Buffer.from(text).toString('hex'), `-${text}-`])
    expect(found(Buffer.from(form))).toContain(name);
  for (const lead of ['', '-', '--'])
    expect(found(Buffer.from(Buffer.from(`${lead}${text}!`).toString('base64')))).toContain(name);
  expect(found(Buffer.from(text, 'utf16le'))).toContain(name);
  expect(found(randomBytes(100_000))).toEqual([]);
});

test('no text, number, name or token is in a dump of the database', async () => {
  const rows = await dump();
  expect(rows.includes('phone-at-rest')).toBe(true);
  expect(found(rows)).toEqual([]);
});

test('no text, number, name or token is in the files of the database, its write-ahead log included', async () => {
  await query(url, 'CHECKPOINT');
  const folder = join(dataDir, 'postgres/data');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  let shown = 0;
  const told: string[] = [];
  for (const file of files) {
    const path = join(file.parentPath, file.name);
    const bytes = readFileSync(path);
    if (bytes.includes('phone-at-rest')) shown++;
    told.push(...found(bytes).map((name) => `${name} in ${path}`));
  }
  // What is no secret is seen, in a table and in the write-ahead log: the search looks in the right place.
  expect(shown).toBeGreaterThan(1);
  expect(told).toEqual([]);
}, 60_000);

test('no text, number, name or token is in the logs, at the level that tells most', () => {
  expect(logged.length).toBeGreaterThan(10);
  expect(found(Buffer.from(logged.join('')))).toEqual([]);
});

test('device tokens and pairing tokens are kept as hashes', async () => {
  const hash = (name: string) => createHash('sha256').update(secrets.get(name)!).digest();
  const phones = await query(url, 'SELECT token_hash FROM devices WHERE token_hash IS NOT NULL');
  expect(phones).toEqual([{ token_hash: hash('device token') }]);
  const pairings = (await query(url, 'SELECT token_hash FROM pairings')).map(({ token_hash }) => token_hash);
  expect(pairings).toEqual(expect.arrayContaining([hash('pairing token'), hash('unused pairing token')]));
});

test('a deleted message or device leaves its place and nothing that was in it', async () => {
  const left = await query(url, 'SELECT id, content FROM messages WHERE deleted ORDER BY id');
  expect(left).toEqual([{ id: 'gone', content: null }, { id: 'w3', content: null }]); // prettier-ignore
  expect(await query(url, 'SELECT id, content FROM states WHERE deleted')).toEqual([{ id: 'state-gone', content: null }]); // prettier-ignore
  expect(await query(url, 'SELECT content, phone_id, token_hash FROM devices WHERE deleted')).toEqual([
    { content: null, phone_id: null, token_hash: null },
  ]);
});

const [mine, yours] = ['0b6ef6ad-90a9-4a8c-8d1f-6b3a3c8c8a01', '0b6ef6ad-90a9-4a8c-8d1f-6b3a3c8c8a02'];
const dataKey = randomBytes(32);
const account = new AccountKey(mine, 1, dataKey);

test('a sealed value opens in its own row only', () => {
  const sealed = account.seal('message', 'm1', 'Grüße 👋');
  expect(account.open('message', 'm1', sealed)).toBe('Grüße 👋');
  expect(() => account.open('message', 'm2', sealed)).toThrow();
  expect(() => account.open('conversation', 'm1', sealed)).toThrow();
  // Kind and id cannot be shifted into each other.
  expect(() => account.open('mess', 'age:m1', sealed)).toThrow();
});

test('a sealed value does not open in another account, not even under the same data key', () => {
  const sealed = account.seal('message', 'm1', 'text');
  expect(() => new AccountKey(yours, 1, dataKey).open('message', 'm1', sealed)).toThrow();
  expect(() => new AccountKey(mine, 1, randomBytes(32)).open('message', 'm1', sealed)).toThrow();
});

test('a sealed value that was changed in any byte, cut or lengthened does not open', () => {
  const sealed = account.seal('message', 'm1', 'text');
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed[at]! ^= 1;
    expect(() => account.open('message', 'm1', changed)).toThrow();
  }
  for (let size = 0; size < sealed.length; size++)
    expect(() => account.open('message', 'm1', sealed.subarray(0, size))).toThrow();
  expect(() => account.open('message', 'm1', Buffer.concat([sealed, Buffer.alloc(1)]))).toThrow();
});

test('a sealed value names its key, and one of another key is told apart', () => {
  const sealed = account.seal('message', 'm1', 'text');
  expect(sealed.readUInt32BE(1)).toBe(1);
  expect(() => new AccountKey(mine, 2, dataKey).open('message', 'm1', sealed)).toThrow('sealed by an unknown key');
});

test('the same text sealed twice is two different values, over many', () => {
  const seen = new Set(Array.from({ length: 5000 }, () => account.seal('message', 'm1', 'text').toString('hex')));
  expect(seen.size).toBe(5000);
});

test('the index of a number is the same for the same account and purpose only', () => {
  const index = account.index('number', '+15550100');
  expect(account.index('number', '+15550100')).toEqual(index);
  expect(index).toHaveLength(16);
  for (const other of [
    account.index('number', '+15550101'),
    account.index('name', '+15550100'),
    new AccountKey(mine, 1, randomBytes(32)).index('number', '+15550100'),
  ])
    expect(other).not.toEqual(index);
});

test('a wrapped data key opens for its own account, by its own key, unchanged', () => {
  const [key, other] = [randomBytes(32), randomBytes(32)];
  const wrapped = wrapDataKey(key, mine, 3, dataKey);
  expect(wrapped.includes(dataKey)).toBe(false);
  expect(unwrapDataKey([key], mine, wrapped)).toEqual({ dataKeyId: 3, dataKey, current: true });
  expect(unwrapDataKey([other, key], mine, wrapped)).toEqual({ dataKeyId: 3, dataKey, current: false });
  expect(() => unwrapDataKey([other], mine, wrapped)).toThrow('ENCRYPTION_KEY is not the key');
  expect(() => unwrapDataKey([key], yours, wrapped)).toThrow();
  for (let at = 0; at < wrapped.length; at++) {
    const changed = Buffer.from(wrapped);
    changed[at]! ^= 1;
    expect(() => unwrapDataKey([key], mine, changed)).toThrow();
  }
});
