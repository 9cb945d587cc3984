import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { AccountKey, type Home } from '../src/changes/account-key.js';
import { unwrapDataKey, wrapDataKey } from '../src/changes/account-keys.js';
import { startEmbeddedPostgres } from '../src/database/embedded-postgres.js';
import { migrate } from '../src/database/migrations.js';
import { createLog } from '../src/log.js';
import { browser, call, Client, follower, generateQr, message, pair, phone, waitPairing } from './support/clients.js';
import { cleanUp, later, listeningLog, query, temporaryFolder } from './support/database.js';
import { basic } from './support/parties.js';
import { aPerson, respond } from './support/people.js';
import { TestServer } from './support/server.js';
import { MailServer } from './support/smtp.js';
import { change } from './support/table-client.js';

const ENCRYPTION_KEY = randomBytes(32);

let dataDir: string;
let url: string;
let server: TestServer;
let mails: MailServer;
const logged: string[] = [];
/** What nobody but its owners may read: its name → the text. Letters for texts and names, digits for numbers. */
const secrets = new Map<string, string>();

/** Six digits are found by chance in any bytes: these are looked for as words. */
const codes: string[] = [];

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
  mails = await MailServer.start();
  later(() => mails.stop());
  server = await TestServer.start({
    database,
    log: traced,
    encryptionKey: ENCRYPTION_KEY,
    argon2: { memoryKib: 8, passes: 1, lanes: 1 },
    smtpUrl: mails.url(),
    mailFrom: 'pairline@example.org',
    // So that the requests come from an address that can be looked for.
    trustProxy: true,
  });
  later(() => server.stop());
  await useEverything();
  await signInEverywhere();
  await talkWithEachOther();
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

/** The doors of wire.md, sections B, C and D, and an account in its owner's hands. */
async function signInEverywhere(): Promise<void> {
  const at = server.url;
  const from = { 'X-Forwarded-For': keep('address', '2001:db8:1f2e:3d4c:5b6a:7988:9796:a5b4') };
  const ask = async (path: string, { headers, ...init }: NonNullable<Parameters<typeof call>[2]>, isTaken: boolean) => {
    const reply = await call(at, path, { headers: { ...from, ...(headers as object) }, ...init });
    expect([path, reply.status < 300, reply.body]).toEqual([path, isTaken, reply.body]);
    return reply;
  };
  const send = (path: string, init: NonNullable<Parameters<typeof call>[2]>) => ask(path, init, true);
  const refused = (path: string, init: NonNullable<Parameters<typeof call>[2]>) => ask(path, init, false);
  const email = `${secret('email').toLowerCase()}@example.org`;
  const [password, clientId] = [secret('password'), randomUUID()];
  const device = { name: secret('device name'), type: secret('device type'), os: secret('device metadata') };

  const code = async (path: string, to: string, token?: string) => {
    const before = mails.mails.filter((mail) => mail.to.includes(to)).length;
    await send(path, { token, body: { email: to } });
    const sent = await mails.codeFor(to, before + 1);
    codes.push(sent);
    return sent;
  };

  // B
  const registered = await send('/api/auth/register', { body: { email, password, deviceInfo: device } });
  const token = keep('token of a registration', registered.body.token as string);
  keep('token of a registration, its signature', token.split('.')[2]!);
  await refused('/api/auth/login', { body: { email, password: secret('wrong password') } });
  await refused('/api/auth/login', {
    body: { pseudo: secret('unknown name'), password: secret('password of nobody') },
  });
  await refused('/api/auth/register', { body: { email, password: secret('password of an impostor') } });
  await send('/api/auth/register', { body: { pseudo: secret('name'), public_key: secret('public key'), password: secret('second password') } }); // prettier-ignore
  const live = new Client(at, {
    auth: { token },
    query: { deviceInfo: JSON.stringify({ name: secret('live device'), viewport: secret('live metadata') }) },
  });
  later(() => live.close());
  const { deviceId } = await live.next('session-restored');
  await live.send('session-update', { sessionKey: 'live-at-rest', state: { text: secret('live state') } });
  await live.send('session-update', { sessionKey: 'live-at-rest', state: [secret('live state, later')] });
  await live.send('realtime-event', { type: secret('type of an event'), payload: secret('event') });
  await live.send('device-message', { targetDeviceId: deviceId, message: secret('device message') });
  await live.send('device-message', { targetDeviceId: 'nobody', message: secret('message to nobody') });
  const bad = new Client(at, { auth: { token }, query: { deviceInfo: `{"name":"${secret('broken device')}` } });
  later(() => bad.close());
  await bad.next('connect_error');

  // D
  const unknown = `${secret('email of a code').toLowerCase()}@example.org`;
  const otp = await code('/api/auth/request-otp', unknown);
  await refused('/api/auth/verify-otp', { body: { email: unknown, otp: '000000' } });
  await send('/api/auth/verify-otp', {
    body: { email: unknown, otp, deviceInfo: { name: secret('device of a code') } },
  });
  await code('/api/auth/request-otp', unknown);
  const key = async (name: string) => (await send('/api/keys', { token, body: { name: secret(name) } })).body;
  const { apiKey } = await key('key name');
  keep('API key', apiKey as string);
  const revoked = await key('name of a revoked key');
  keep('revoked API key', revoked.apiKey as string);
  await send(`/api/keys/${revoked.id}`, { token, method: 'DELETE' });
  const row = (id: string, fields: object) => ({ id, updated_at: Date.now(), is_deleted: 0, ...fields });
  const sync = (conversations: object[], messages: object[], how = send) =>
    how('/api/sync', { token: apiKey as string, body: { client_changes: { conversations, messages } } });
  const note = (id: string, text: string) => row(id, { conversation_id: 'c-delta', content: secret(text) });
  await sync([row('c-delta', { name: secret('delta name') })], [note('d1', 'delta text'), note('d-gone', 'delta text that is deleted')]); // prettier-ignore
  await sync([row('c-delta', { name: secret('delta name, later') })], [note('d1', 'delta text, later'), row('d-gone', { is_deleted: 1 })]); // prettier-ignore
  await sync([], [note('d2', 'delta text beside a bad one'), { id: secret('id of a refused row'), content: secret('refused delta text') }], refused); // prettier-ignore

  // C
  const person = { email, password, clientId, name: secret('display name'), language: 'de' };
  await send('/register/default', { body: { ...person, clientDescription: JSON.stringify({ name: secret('client name'), os: secret('client description') }) } }); // prettier-ignore
  const table = { ...person, email: `${secret('email of table sync').toLowerCase()}@example.org`, password: secret('password:of table sync') }; // prettier-ignore
  await send('/register/default', { body: { ...table, clientDescription: JSON.stringify({ name: secret('another client name') }) } }); // prettier-ignore
  await refused('/login/default', { body: { clientId }, headers: basic(table.email, secret('wrong Basic password')) });
  const signIn = async (name: string, by = table.password) => {
    const { body } = await send('/login/default', { body: { clientId }, headers: basic(table.email, by) });
    keep(`${name} refresh token`, body.refresh_token as string);
    return { access: keep(`${name} access token`, body.access_token as string), refresh: body.refresh_token as string };
  };
  const first = await signIn('first');
  const next = await send('/login/default/refreshToken', { body: { refreshToken: first.refresh } });
  keep('next refresh token', next.body.refresh_token as string);
  await refused('/login/default/refreshToken', { body: { refreshToken: first.refresh } });
  await refused('/login/default/refreshToken', { body: { refreshToken: secret('wrong refresh token') } });
  const { access } = await signIn('second');
  const guids = [randomUUID(), randomUUID(), randomUUID()] as const;
  const push = (changes: object[], how = send) => how('/push/default', { token: access, body: { lastSync: 0, changes } }); // prettier-ignore
  await push([change(guids[0], 1, { text: secret('record') }), change(guids[1], 1, secret('record that is deleted'))]);
  await push([change(guids[0], 2, { [secret('column')]: secret('record, later') }), change(guids[1], 2)]);
  await push([change(secret('guid of a refused row'), 1, { text: secret('refused record') })], refused);
  await refused('/push/default', { token: access, body: { changes: [change(guids[2], 3, secret('record of another client'))], clientId: secret('another client') } }); // prettier-ignore
  await send('/pull/default', {
    token: access,
    body: { lastSync: 0, isPartial: 1, changes: [change(guids[2], 3, 1)] },
  });
  await send('/pull/default', { token: access, body: { lastSync: 0, changes: [] } });
  await send('/pull/default', {
    token: access,
    body: { lastSync: 0, isPartial: 1, changes: [change(guids[2], 3, 1)] },
  });
  const pin = await code('/password/default/forgotten', table.email);
  await refused('/password/default/change', { body: { email: table.email, pin: '000000', password: secret('refused new password') } }); // prettier-ignore
  await send('/password/default/change', { body: { email: table.email, pin, newPassword: secret('password by PIN') } });
  await signIn('third', secrets.get('password by PIN'));
  await code('/password/default/forgotten', table.email);

  // In its owner's hands
  const own = { token, method: 'PUT' };
  await send('/api/account/name', { ...own, body: { name: secret('name to sign in by'), currentPassword: password } });
  const second = `${secret('second email').toLowerCase()}@example.org`;
  const confirmation = await code('/api/account/email', second, token);
  await send('/api/account/email/confirm', { token, body: { email: second, code: confirmation, currentPassword: password } }); // prettier-ignore
  const { body: changed } = await send('/api/account/password', { ...own, body: { password: secret('new password'), currentPassword: password } }); // prettier-ignore
  const now = keep('token of a new password', changed.token as string);
  for (const path of ['/api/account', '/api/account/events', '/api/account/export', '/api/session', '/api/keys'])
    expect((await send(path, { token: now })).status).toBe(200);
  const somebody = async (name: string) => {
    const body = { pseudo: secret(`name of ${name}`), password: secret(`password of ${name}`) };
    const { token: theirs } = (await send('/api/auth/register', { body })).body;
    const rows = { conversations: [row(`c-${name}`, { name: secret(`conversation of ${name}`) })], messages: [] };
    await send('/api/sync', { token: theirs, body: { client_changes: rows } });
    return { token: keep(`token of ${name}`, theirs as string), password: body.password };
  };
  const one = await somebody('one who joins');
  const other = await phone(at);
  await other.send('mobile:messages', { messages: [message({ id: 'joined', body: secret('text of who is joined') })] });
  other.close();
  const joins = { token: keep('joined device token', other.deviceToken), currentPassword: one.password };
  expect((await send('/api/account/join', { token: one.token, body: joins })).body.joined).toBe(true);
  const gone = await somebody('one who goes');
  const goes = { confirm: true, password: gone.password };
  expect((await send('/api/account', { token: gone.token, method: 'DELETE', body: goes })).status).toBe(200);
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

/** Every form of every secret, by its first three bytes: so one walk through the bytes finds them all. */
class Index {
  private readonly begins = new Map<number, { name: string; form: Buffer }[]>();
  private readonly mayBegin = new Uint8Array(1 << 24);

  constructor(wanted: Iterable<[name: string, text: string]>) {
    for (const [name, text] of wanted)
      for (const form of forms(text)) {
        const key = form.readUIntBE(0, 3);
        this.begins.set(key, [...(this.begins.get(key) ?? []), { name, form }]);
        this.mayBegin[key] = 1;
      }
  }

  /** The secrets that show in these bytes. */
  in(bytes: Buffer): string[] {
    const names = new Set<string>();
    for (let at = 0, key = 0; at < bytes.length; at++) {
      key = ((key << 8) | bytes[at]!) & 0xffffff;
      if (at < 2 || this.mayBegin[key] === 0) continue;
      for (const { name, form } of this.begins.get(key)!)
        if (bytes.subarray(at - 2, at - 2 + form.length).equals(form)) names.add(name);
    }
    return [...names];
  }
}

let index: Index | undefined;
const found = (bytes: Buffer): string[] => (index ??= new Index(secrets)).in(bytes);

/** What a logical backup holds: every row of every table. */
async function dump(): Promise<Buffer> {
  const tables = await query(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
  const rows = await Promise.all(
    tables.map(({ tablename }) => query(url, `SELECT t::text AS row, to_json(t)::text AS json FROM "${tablename}" t`)),
  );
  return Buffer.from(rows.flat().map(({ row, json }) => `${row}\n${json}\n`).join('')); // prettier-ignore
}

/** What clients seal is nobody's business either: not even that it is the same in two places. */
async function talkWithEachOther(): Promise<void> {
  const at = server.url;
  const [ada, bob] = [await aPerson(at, secret('a person')), await aPerson(at, secret('another person'))];
  for (const { token } of [ada, bob]) keep(`session of ${token.slice(-8)}`, token.split('.')[2]!);
  keep('public key', ada.publicKey.replace('=', ''));
  const { conversation_id: id } = await ada.do('POST', '/api/conversations', { name: secret('name of a group') });
  const { invitation_id } = await ada.do('POST', '/api/conversations/invite', { pseudo: bob.name, key: secret('wrapped key'), conversationId: id }); // prettier-ignore
  await bob.get('/api/conversations/invitations');
  await respond(bob, invitation_id);
  const text = (name: string) => keep(name, randomBytes(30).toString('base64'));
  const messages = `/api/conversations/${id}/messages`;
  const said = { messageId: 'm-at-rest', messageContent: text('message') };
  await ada.do('POST', messages, said);
  await ada.do('PATCH', `${messages}/m-at-rest`, { messageContent: text('edited message') });
  await bob.do('PUT', `${messages}/m-at-rest/reaction`, { content: text('reaction') });
  await ada.do('POST', messages, { messageId: 'm-gone', messageContent: text('message that is deleted') });
  await ada.do('DELETE', `${messages}/m-gone`);
  await ada.do('PATCH', `/api/conversations/${id}`, { name: secret('another name of the group') });
  await ada.do('POST', `/api/conversations/${id}/keys`, { epoch: 2, keys: [ada, bob].map((to) => ({ userId: to.id, key: secret(`second key for ${to.id}`) })) }); // prettier-ignore
  await bob.ask('POST', messages, { messageContent: secret('refused message') });
  const client = new Client(at, { auth: { token: bob.token } });
  later(() => client.close());
  await client.next('pendingNotifications');
  await client.send('sendMessage', { conversationId: id, messageContent: text('message by event') });
  await bob.do('PUT', `/api/blocks/${ada.id}`);
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

test('every kind of row was looked at', async () => {
  const tables = ['logins', 'codes', 'refresh_tokens', 'api_keys', 'account_events', 'devices', 'pairings', 'conversations', 'messages', 'states', 'records', 'pending_pulls', 'chat_members', 'shared_rows', 'pointers', 'blocks']; // prettier-ignore
  for (const table of tables) {
    const [row] = await query(url, `SELECT count(*)::int AS rows FROM ${table}`);
    expect([table, row!.rows]).not.toEqual([table, 0]);
  }
});

test('no code and no PIN is in a dump of the database or in the logs', async () => {
  expect(codes).toHaveLength(5);
  const words = new Set(`${String(await dump())} ${logged.join('')}`.split(/[^0-9A-Za-z.]+/));
  expect(codes.filter((code) => words.has(code))).toEqual([]);
});

test('API keys and refresh tokens are kept as hashes', async () => {
  const hash = (name: string) => createHash('sha256').update(secrets.get(name)!).digest();
  expect(await query(url, 'SELECT key_hash FROM api_keys')).toEqual([{ key_hash: hash('API key') }]);
  const refresh = (await query(url, 'SELECT token_hash FROM refresh_tokens')).map(({ token_hash }) => token_hash);
  expect(refresh).toContainEqual(hash('third refresh token'));
});

test('device tokens and pairing tokens are kept as hashes', async () => {
  const hash = (name: string) => createHash('sha256').update(secrets.get(name)!).digest();
  const phones = await query(url, 'SELECT token_hash FROM devices WHERE token_hash IS NOT NULL');
  expect(phones).toContainEqual({ token_hash: hash('device token') });
  const pairings = (await query(url, 'SELECT token_hash FROM pairings')).map(({ token_hash }) => token_hash);
  expect(pairings).toEqual(expect.arrayContaining([hash('pairing token'), hash('unused pairing token')]));
});

test('a deleted message or device leaves its place and nothing that was in it', async () => {
  const left = await query(url, 'SELECT id, content FROM messages WHERE deleted ORDER BY id');
  expect(left).toEqual(['d-gone', 'gone', 'w3'].map((id) => ({ id, content: null })));
  expect(await query(url, 'SELECT content FROM records WHERE deleted')).toEqual([{ content: null }]);
  expect(await query(url, 'SELECT id, content FROM states WHERE deleted')).toEqual([{ id: 'state-gone', content: null }]); // prettier-ignore
  expect(await query(url, 'SELECT content, phone_id, token_hash FROM devices WHERE deleted')).toEqual([
    { content: null, phone_id: null, token_hash: null },
  ]);
});

const [mine, yours] = ['0b6ef6ad-90a9-4a8c-8d1f-6b3a3c8c8a01', '0b6ef6ad-90a9-4a8c-8d1f-6b3a3c8c8a02'];
const dataKey = randomBytes(32);
const nowhere = {} as Home;
const account = new AccountKey(mine, 1, dataKey, nowhere);

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
  expect(() => new AccountKey(yours, 1, dataKey, nowhere).open('message', 'm1', sealed)).toThrow();
  expect(() => new AccountKey(mine, 1, randomBytes(32), nowhere).open('message', 'm1', sealed)).toThrow();
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
  expect(() => new AccountKey(mine, 2, dataKey, nowhere).open('message', 'm1', sealed)).toThrow(
    'sealed by an unknown key',
  );
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
    new AccountKey(mine, 1, randomBytes(32), nowhere).index('number', '+15550100'),
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
