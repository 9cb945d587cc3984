import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Leftovers } from '../src/files/leftovers.js';
import { call, follower, pair, phone } from './support/clients.js';
import { cleanUp, later, query, temporaryDatabase, temporaryFolder } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { request as rawRequest } from './support/raw.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { runTypeScript } from './support/spawn.js';
import { encode, OFFSET_STREAM, open, send, TUS, upload, type TusReply, type TusRequest } from './support/tus.js';
import { bySnapshot, type Change, type Page } from './support/views.js';

const limits = { qrCodesPerMinute: 0, registrationsPerHour: 0, wrongTokensPerMinute: 0, wrongSignInsPerMinute: 0 };
const argon2 = { memoryKib: 8, passes: 1, lanes: 1 };

let server: TestServer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pairline-files-'));
  server = await TestServer.start({ limits, argon2, dataDir: folder });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

async function aServer(options: ServerOptions = {}): Promise<TestServer> {
  const started = await TestServer.start({
    argon2,
    dataDir: temporaryFolder(),
    ...options,
    limits: { ...limits, ...options.limits },
  });
  later(() => started.stop());
  return started;
}

const PASSWORD = 'correct horse battery';

/** Somebody who signed in: their session token, and their account. */
async function aPerson(url = server.url): Promise<{ token: string; userId: string }> {
  const email = `ann-${randomUUID()}@example.org`;
  const { body } = await call(url, '/api/auth/register', { body: { email, password: PASSWORD } });
  return body as { token: string; userId: string };
}

const aToken = async (url = server.url) => (await aPerson(url)).token;

const METADATA = { fileName: 'holiday.jpg', fileSize: '900', fileType: 'image/jpeg' };

/** Creates an upload and answers its path. */
async function begin(token: string, size: number, metadata: Record<string, string> = METADATA, url = server.url) {
  const headers = { 'Upload-Length': size, 'Upload-Metadata': encode(metadata) };
  const reply = await send(url, 'POST', '/api/files', { token, headers });
  if (reply.status !== 201) throw new Error(`No upload: ${reply.status} ${reply.body.toString()}`);
  return reply.headers.location!;
}

const add = (token: string, path: string, offset: number, body: Buffer, headers: TusRequest['headers'] = {}, url = server.url) =>
  send(url, 'PATCH', path, { token, body, headers: { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': offset, ...headers } }); // prettier-ignore

const look = (token: string, path: string, url = server.url) => send(url, 'HEAD', path, { token });
const offsetOf = async (token: string, path: string, url = server.url) => Number((await look(token, path, url)).headers['upload-offset']); // prettier-ignore
const get = (token: string, path: string, headers: TusRequest['headers'] = {}, url = server.url) => send(url, 'GET', path, { token, headers, tus: false }); // prettier-ignore
const told = ({ status, code }: TusReply) => [status, code];

/** A whole file of these bytes, and its path. */
async function aFile(token: string, bytes: Buffer, metadata = METADATA, url = server.url): Promise<string> {
  const path = await begin(token, bytes.length, metadata, url);
  expect((await add(token, path, 0, bytes, {}, url)).status).toBe(204);
  return path;
}

/** The file rows of an account, read anew. */
async function filesOf(token: string, url = server.url): Promise<Record<string, unknown>[]> {
  return (await bySnapshot(url, token)).of<Record<string, unknown>>('file');
}

const isBroken = (reply: Promise<unknown>) =>
  reply.then(
    () => false,
    () => true,
  );
const idOf = (path: string) => path.split('/').at(-1)!;
const placeOf = (path: string, dataDir = folder) => join(dataDir, 'files', idOf(path).slice(0, 2), idOf(path));
const uploadsIn = (url: string, id: string) => query(url, 'SELECT * FROM uploads WHERE id = $1', [id]);

describe('an upload', () => {
  test('with the client of tus, in one part or in many, is a file of the same bytes under the same address', async () => {
    const token = await aToken();
    const bytes = randomBytes(300_000);
    for (const chunkSize of [Infinity, 64_000]) {
      const address = await upload(server.url, token, bytes, { chunkSize, metadata: METADATA });
      expect((await get(token, new URL(address).pathname)).body.equals(bytes)).toBe(true);
    }
    expect((await filesOf(token)).map(({ bytes }) => bytes)).toEqual([300_000, 300_000]);
  });

  test('takes its first bytes along with its creation, all of them if they fit', async () => {
    const token = await aToken();
    const bytes = randomBytes(50_000);
    const address = await upload(server.url, token, bytes, { uploadDataDuringCreation: true });
    expect((await get(token, new URL(address).pathname)).body.equals(bytes)).toBe(true);

    const headers = { 'Upload-Length': 50_000, 'Content-Type': OFFSET_STREAM };
    const part = await send(server.url, 'POST', '/api/files', { token, headers, body: bytes.subarray(0, 20_000) });
    expect([part.status, part.headers['upload-offset']]).toEqual([201, '20000']);
    expect(await offsetOf(token, part.headers.location!)).toBe(20_000);
  });

  test('says how far it is, how long it is, what it is and until when it may go on', async () => {
    const token = await aToken();
    const path = await begin(token, 10);
    const added = await add(token, path, 0, Buffer.from('four'));
    expect([added.status, added.headers['upload-offset'], added.headers['tus-resumable']]).toEqual([204, '4', '1.0.0']);
    const { status, headers } = await look(token, path);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'upload-offset': '4',
      'upload-length': '10',
      'upload-metadata': encode(METADATA),
      'cache-control': 'no-store',
      'tus-resumable': '1.0.0',
    });
    const day = Date.parse(added.headers['upload-expires'] as string) - Date.now();
    expect(day).toBeGreaterThan(86_300_000);
    expect(day).toBeLessThanOrEqual(86_400_000);
  });

  test('of no bytes is a file at once', async () => {
    const token = await aToken();
    const path = await begin(token, 0);
    expect(await filesOf(token)).toMatchObject([{ id: idOf(path), bytes: 0 }]);
    const empty = await get(token, path);
    expect([empty.status, empty.headers['content-length'], empty.body.length]).toEqual([200, '0', 0]);
  });

  test('is told to every device of the account when it is complete, and not before', async () => {
    const { token, userId } = await aPerson();
    const client = follower(server.url, token);
    later(() => client.close());
    const path = await begin(token, 8, { ...METADATA, fileName: 'Übersicht "1".pdf' });
    await add(token, path, 0, Buffer.from('half'));
    await client.settled();
    const rows = () =>
      client
        .all<Page>('changes')
        .flatMap(({ changes }) => changes)
        .filter(({ kind }) => kind === 'file');
    expect(rows()).toEqual([]);
    await add(token, path, 4, Buffer.from('half'));
    await client.until(() => rows().length > 0);
    const id = idOf(path);
    const row = { id, bytes: 8, createdAt: expect.any(Number), fileName: 'Übersicht "1".pdf', fileSize: 900, fileType: 'image/jpeg' }; // prettier-ignore
    expect(rows()).toEqual([{ seq: expect.any(Number), kind: 'file', id, op: 'put', at: expect.any(Number), row }]);
    expect(await filesOf(token)).toEqual([row]);
    expect(userId).toBeTruthy();
  });

  test('that says nothing of itself has a plain name, type and size', async () => {
    const token = await aToken();
    await send(server.url, 'POST', '/api/files', { token, headers: { 'Upload-Length': 0 } });
    expect(await filesOf(token)).toMatchObject([{ fileName: 'file', fileType: 'application/octet-stream', fileSize: 0 }]); // prettier-ignore
  });

  test('goes on only at its offset', async () => {
    const token = await aToken();
    const path = await begin(token, 10);
    await add(token, path, 0, Buffer.from('12345'));
    for (const offset of [0, 4, 6, 10, 11]) expect(told(await add(token, path, offset, Buffer.from('x')))).toEqual([409, 'wrong_offset']); // prettier-ignore
    for (const offset of ['-1', '1.5', 'five', '0x5', '', '5 '.repeat(3), '99999999999999999999'])
      expect((await add(token, path, 0, Buffer.from('x'), { 'Upload-Offset': offset })).status).toBe(400);
    expect(await offsetOf(token, path)).toBe(5);
    expect(readFileSync(placeOf(path), 'utf8')).toBe('12345');
  });

  test('takes no byte more than it said', async () => {
    const token = await aToken();
    const path = await begin(token, 5);
    expect(told(await add(token, path, 0, Buffer.from('123456')))).toEqual([413, 'file_too_large']);
    // Without a length it is noticed on the way.
    const endless = Readable.from([Buffer.from('123'), Buffer.from('456')]);
    const reply = await send(server.url, 'PATCH', path, { token, body: endless, headers: { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': 0 } }); // prettier-ignore
    expect(told(reply)).toEqual([413, 'file_too_large']);
    const offset = await offsetOf(token, path);
    expect(offset).toBeLessThanOrEqual(5);
    const rest = Buffer.from('12345').subarray(offset);
    expect((await add(token, path, offset, rest)).headers['upload-offset']).toBe('5');
    expect((await get(token, path)).body.toString()).toBe('12345');
  });

  test('that is complete takes nothing more, and says it once', async () => {
    const token = await aToken();
    const path = await aFile(token, Buffer.from('12345'));
    expect(told(await add(token, path, 5, Buffer.from('6')))).toEqual([413, 'file_too_large']);
    expect((await add(token, path, 5, Buffer.alloc(0))).status).toBe(204);
    expect((await look(token, path)).headers['upload-offset']).toBe('5');
    expect((await get(token, path)).body.toString()).toBe('12345');
    expect(await filesOf(token)).toHaveLength(1);
  });

  test('needs the version of tus, and lengths and types that are ones', async () => {
    const token = await aToken();
    const creation = (headers: TusRequest['headers'], tus = true) => send(server.url, 'POST', '/api/files', { token, headers, tus }); // prettier-ignore
    const unversioned = await creation({ 'Upload-Length': 5 }, false);
    expect([...told(unversioned), unversioned.headers['tus-version']]).toEqual([412, 'tus_version', '1.0.0']);
    expect(told(await creation({ 'Upload-Length': 5, 'Tus-Resumable': '0.2.2' }, false))).toEqual([412, 'tus_version']);
    for (const length of ['-1', '1e3', 'many', '', '9007199254740993'])
      expect(told(await creation({ 'Upload-Length': length }))).toEqual([400, 'bad_request']);
    expect(told(await creation({}))).toEqual([400, 'bad_request']);
    expect(told(await creation({ 'Upload-Defer-Length': 1 }))).toEqual([501, 'extension_unsupported']);
    const path = await begin(token, 5);
    const body = Buffer.from('12345');
    const wrong: Record<string, string | number>[] = [
      { 'Upload-Offset': 0 },
      { 'Content-Type': OFFSET_STREAM },
      { 'Content-Type': 'text/plain', 'Upload-Offset': 0 },
    ];
    for (const headers of wrong)
      expect(told(await send(server.url, 'PATCH', path, { token, body, headers }))).toEqual([400, 'bad_request']);
    expect(await offsetOf(token, path)).toBe(0);
  });

  test('tells what it supports', async () => {
    const { status, headers } = await send(server.url, 'OPTIONS', '/api/files', { token: await aToken(), tus: false });
    expect(status).toBe(204);
    expect(headers).toMatchObject({
      'tus-version': '1.0.0',
      'tus-extension': 'creation,creation-with-upload,termination,expiration,checksum,concatenation',
      'tus-max-size': '2147483648',
      'tus-checksum-algorithm': 'sha1,sha256',
    });
  });
});

describe('what is said of a file', () => {
  const creation = (token: string, metadata: string) =>
    send(server.url, 'POST', '/api/files', { token, headers: { 'Upload-Length': 5, 'Upload-Metadata': metadata } });

  test('is refused when it is not what it has to be, and nothing is kept', async () => {
    const { token, userId } = await aPerson();
    const base64 = (bytes: Buffer | string) => Buffer.from(bytes).toString('base64');
    const wrong: [metadata: string, code: string][] = [
      ['fileName !!!', 'bad_request'],
      ['fileName abc', 'bad_request'],
      [`fileName ${base64('a')},fileName ${base64('b')}`, 'bad_request'],
      [',', 'bad_request'],
      [`fileName ${base64('a\0b')}`, 'invalid_string'],
      [`fileName ${base64('a\r\nSet-Cookie: a=b')}`, 'invalid_string'],
      [`fileName ${base64(Buffer.from([0xff, 0xfe, 0x80]))}`, 'invalid_string'],
      [`fileName ${base64('x'.repeat(1025))}`, 'string_too_long'],
      [`fileType ${base64('x'.repeat(256))}`, 'string_too_long'],
      ...['-1', '1.5', 'many', '99999999999999999'].map((size): [string, string] => [`fileSize ${base64(size)}`, 'bad_request']), // prettier-ignore
    ];
    for (const [metadata, code] of wrong) {
      const reply = await creation(token, metadata);
      expect([metadata, ...told(reply)]).toEqual([metadata, 400, code]);
      expect(JSON.parse(reply.body.toString())).toMatchObject({ success: false, requestId: expect.any(String) });
    }
    // Node itself refuses headers of this size.
    expect((await creation(token, `fileName ${base64('x'.repeat(100_000))}`)).status).toBe(431);
    expect(await query(server.database.url, 'SELECT 1 FROM uploads WHERE account_id = $1', [userId])).toEqual([]);
  });

  test('of odd names is kept as it was said, and is no more than a name', async () => {
    const token = await aToken();
    for (const fileName of [
      '__proto__',
      '../../etc/passwd',
      '<script>',
      '😀.png',
      'a"b\\c;d.txt',
      '%00',
      'x'.repeat(1024),
    ]) {
      const path = await aFile(token, Buffer.from('12345'), { ...METADATA, fileName });
      expect((await filesOf(token)).find(({ id }) => id === idOf(path))).toMatchObject({ fileName });
      const { headers, status } = await get(token, path);
      expect(status).toBe(200);
      expect(headers['content-disposition']).toMatch(/^attachment; filename/);
    }
    const path = await begin(token, 5, { ...METADATA, other: 'kept' });
    expect((await look(token, path)).headers['upload-metadata']).toContain('other');
  });

  test('is not in the database or on the disk for whoever steals them', async () => {
    const token = await aToken();
    const path = await aFile(token, randomBytes(32), {
      ...METADATA,
      fileName: 'a-very-secret-name',
      fileType: 'x-secret/type',
    });
    await begin(token, 5, { ...METADATA, fileName: 'a-very-secret-name' });
    for (const table of ['uploads', 'files']) {
      const rows = await query(
        server.database.url,
        `SELECT t::text AS text, encode(content, 'escape') AS content FROM ${table} t`,
      );
      expect(rows.length).toBeGreaterThan(0);
      expect(JSON.stringify(rows)).not.toMatch(/secret|holiday|jpeg/);
    }
    expect(readdirSync(join(folder, 'files'), { recursive: true }).join()).not.toMatch(/secret/);
    expect((await filesOf(token))[0]).toMatchObject({ id: idOf(path), fileName: 'a-very-secret-name' });
  });
});

describe('a checksum', () => {
  const sum = (algorithm: string, bytes: Buffer) =>
    `${algorithm} ${createHash(algorithm).update(bytes).digest('base64')}`;

  test('that fits lets its bytes in; one that does not keeps all of them out', async () => {
    const token = await aToken();
    const bytes = randomBytes(600_000);
    const path = await begin(token, bytes.length);
    const [one, two] = [bytes.subarray(0, 300_000), bytes.subarray(300_000)];
    expect((await add(token, path, 0, one, { 'Upload-Checksum': sum('sha1', one) })).status).toBe(204);
    expect(told(await add(token, path, 300_000, two, { 'Upload-Checksum': sum('sha256', one) }))).toEqual([460, 'checksum_mismatch']); // prettier-ignore
    expect(await offsetOf(token, path)).toBe(300_000);
    expect((await add(token, path, 300_000, two, { 'Upload-Checksum': sum('sha256', two) })).status).toBe(204);
    expect((await get(token, path)).body.equals(bytes)).toBe(true);
  });

  test('that is none is refused', async () => {
    const token = await aToken();
    const path = await begin(token, 5);
    for (const header of ['md4 AAAA', 'sha1', 'sha1 AAAA', 'sha256 !!!', 'sha1  ', 'constructor AAAA'])
      expect(told(await add(token, path, 0, Buffer.from('12345'), { 'Upload-Checksum': header }))).toEqual([400, 'bad_request']); // prettier-ignore
    expect(await offsetOf(token, path)).toBe(0);
  });

  test('counts for what was cut off, too: a part of it is none of it', async () => {
    const token = await aToken();
    const path = await begin(token, 600_000);
    const headers = { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': 0, 'Content-Length': 600_000, 'Upload-Checksum': sum('sha1', randomBytes(600_000)) }; // prettier-ignore
    const { request, reply } = open(server.url, 'PATCH', path, { token, headers });
    await written(request, randomBytes(400_000), path);
    expect(await offsetOf(token, path)).toBe(0);
    expect(told(await reply)).toEqual([460, 'checksum_mismatch']);
  });
});

/** Sends a part of a body, and resolves when some of it is on disk. */
async function written(request: ReturnType<typeof open>['request'], bytes: Buffer, path: string, dataDir = folder) {
  request.write(bytes);
  await expectSoon(() => readFileSync(placeOf(path, dataDir)).length > 0);
}

async function expectSoon(look: () => boolean): Promise<void> {
  for (const end = Date.now() + 15_000; !look(); await new Promise((resolve) => setImmediate(resolve)))
    if (Date.now() > end) throw new Error('It never came to be');
}

describe('two requests for one upload', () => {
  const headers = { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': 0, 'Content-Length': 600_000 };

  test('that both send: the second is refused while the first one is at it, and the bytes are the first one’s', async () => {
    const token = await aToken();
    const bytes = randomBytes(600_000);
    const path = await begin(token, bytes.length);
    const { request, reply } = open(server.url, 'PATCH', path, { token, headers });
    await written(request, bytes.subarray(0, 300_000), path);
    const second = await add(token, path, 0, randomBytes(600_000));
    expect([...told(second), second.headers['retry-after']]).toEqual([423, 'upload_locked', '1']);
    request.end(bytes.subarray(300_000));
    expect((await reply).headers['upload-offset']).toBe('600000');
    expect((await get(token, path)).body.equals(bytes)).toBe(true);
  });

  test('of which the second asks for the offset: the first one, whose client has gone, ends with what has come', async () => {
    const token = await aToken();
    const bytes = randomBytes(600_000);
    const path = await begin(token, bytes.length);
    const { request, reply } = open(server.url, 'PATCH', path, { token, headers });
    await written(request, bytes.subarray(0, 400_000), path);
    const offset = await offsetOf(token, path);
    expect(offset).toBeGreaterThan(0);
    expect(offset).toBeLessThanOrEqual(400_000);
    expect((await reply).headers['upload-offset']).toBe(String(offset));
    expect((await add(token, path, offset, bytes.subarray(offset))).status).toBe(204);
    expect((await get(token, path)).body.equals(bytes)).toBe(true);
  });

  test('of which the second deletes: nothing is left, and the first one is told', async () => {
    const token = await aToken();
    const path = await begin(token, 600_000);
    const { request, reply } = open(server.url, 'PATCH', path, { token, headers });
    await written(request, randomBytes(300_000), path);
    expect((await send(server.url, 'DELETE', path, { token })).status).toBe(204);
    await reply;
    expect((await look(token, path)).status).toBe(404);
    expect(existsSync(placeOf(path))).toBe(false);
  });

  test('that both complete it: it is one file', async () => {
    const token = await aToken();
    const path = await begin(token, 10);
    const replies = await Promise.all(Array.from({ length: 8 }, () => add(token, path, 0, Buffer.from('0123456789'))));
    const statuses = replies.map(({ status }) => status);
    expect(statuses.filter((status) => status === 204)).toHaveLength(1);
    expect(statuses.filter((status) => ![204, 409, 423].includes(status))).toEqual([]);
    expect(await filesOf(token)).toHaveLength(1);
    expect((await get(token, path)).body.toString()).toBe('0123456789');
  });
});

describe('room', () => {
  test('for one file and for all of an account is bounded, and said before a byte is sent', async () => {
    const { url } = await aServer({ limits: { fileBytes: 50_000, filesBytes: 100_000 } });
    const [token, other] = [await aToken(url), await aToken(url)];
    const creation = (size: number, who = token) => send(url, 'POST', '/api/files', { token: who, headers: { 'Upload-Length': size } }); // prettier-ignore
    expect(told(await creation(50_001))).toEqual([413, 'file_too_large']);
    const first = (await creation(50_000)).headers.location!;
    expect((await creation(45_000)).status).toBe(201);
    // An upload has its room from the start; what is left is not enough.
    expect(told(await creation(5001))).toEqual([413, 'files_full']);
    expect((await creation(50_000, other)).status).toBe(201);
    expect((await send(url, 'DELETE', first, { token })).status).toBe(204);
    expect((await creation(50_000)).status).toBe(201);
  });

  test('is not overdrawn by many at once, nor by files of no bytes', async () => {
    const { url } = await aServer({ limits: { filesBytes: 100_000 } });
    const creation = (token: string, size: number) => send(url, 'POST', '/api/files', { token, headers: { 'Upload-Length': size } }); // prettier-ignore
    const [token, other] = [await aToken(url), await aToken(url)];
    const replies = await Promise.all(Array.from({ length: 10 }, () => creation(token, 30_000)));
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(3);
    const empty = await Promise.all(Array.from({ length: 30 }, () => creation(other, 0)));
    expect(empty.filter(({ status }) => status === 201)).toHaveLength(24);
  });

  test('that the server has not, for want of a folder, is not taken from the account', async () => {
    const dataDir = temporaryFolder();
    const { url } = await aServer({ dataDir, limits: { filesBytes: 4096 } });
    const token = await aToken(url);
    writeFileSync(join(dataDir, 'files'), 'in the way');
    const reply = await send(url, 'POST', '/api/files', { token, headers: { 'Upload-Length': 5 } });
    expect(told(reply)).toEqual([500, 'internal']);
    rmSync(join(dataDir, 'files'));
    expect((await get(token, await aFile(token, Buffer.from('12345'), METADATA, url), {}, url)).status).toBe(200);
  });
});

describe('a download', () => {
  const bytes = randomBytes(1000);
  let token: string;
  let path: string;
  beforeAll(async () => {
    token = await aToken();
    path = await aFile(token, bytes, { ...METADATA, fileName: 'Größe "1" €.pdf' });
  });

  test('is to be saved, under its name, and never shown', async () => {
    const { status, headers, body } = await get(token, path);
    expect(status).toBe(200);
    expect(body.equals(bytes)).toBe(true);
    expect(headers).toMatchObject({
      'content-length': '1000',
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="Gr??e \\"1\\" ?.pdf"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%221%22%20%E2%82%AC.pdf`,
      'x-content-type-options': 'nosniff',
      'accept-ranges': 'bytes',
      'cache-control': 'private, no-cache',
      etag: `"${idOf(path)}"`,
    });
  });

  test('can be looked at without its bytes', async () => {
    const { status, headers, body } = await send(server.url, 'HEAD', path, { token, tus: false });
    expect([status, body.length]).toEqual([200, 0]);
    expect(headers).toMatchObject({ 'content-length': '1000', etag: `"${idOf(path)}"`, 'accept-ranges': 'bytes' });
    expect(headers['upload-offset']).toBeUndefined();
  });

  test.each([
    ['bytes=0-9', 0, 9],
    ['bytes=0-0', 0, 0],
    ['bytes=990-', 990, 999],
    ['bytes=999-', 999, 999],
    ['bytes=-5', 995, 999],
    ['bytes=-5000', 0, 999],
    ['bytes=10-99999', 10, 999],
  ])('of %s is that part', async (range, first, last) => {
    const { status, headers, body } = await get(token, path, { Range: range });
    expect([status, headers['content-range'], headers['content-length']]).toEqual([206, `bytes ${first}-${last}/1000`, String(last - first + 1)]); // prettier-ignore
    expect(body.equals(bytes.subarray(first, last + 1))).toBe(true);
  });

  test.each(['bytes=1000-', 'bytes=5000-6000', 'bytes=-0'])('of %s is refused', async (range) => {
    const reply = await get(token, path, { Range: range });
    expect([...told(reply), reply.headers['content-range']]).toEqual([416, 'range_unsatisfiable', 'bytes */1000']);
  });

  test.each(['bytes', 'bytes=', 'lines=1-2', 'bytes=9-3', 'bytes=a-b', 'bytes=0-1,5-6'])(
    'of %s, which is no single range, is the whole or refused',
    async (range) => {
      const { status, body } = await get(token, path, { Range: range });
      expect([200, 416]).toContain(status);
      if (status === 200) expect(body.equals(bytes)).toBe(true);
    },
  );

  test('knows what one has already', async () => {
    const etag = `"${idOf(path)}"`;
    expect((await get(token, path, { 'If-None-Match': etag })).status).toBe(304);
    expect((await get(token, path, { Range: 'bytes=0-9', 'If-Range': etag })).status).toBe(206);
    expect((await get(token, path, { Range: 'bytes=0-9', 'If-Range': '"other"' })).status).toBe(200);
  });

  test('of an upload that is not complete is none', async () => {
    const unfinished = await begin(token, 5);
    expect(told(await get(token, unfinished))).toEqual([404, 'not_found']);
    expect((await send(server.url, 'HEAD', unfinished, { token, tus: false })).status).toBe(404);
  });

  test('that is broken off leaves the server well', async () => {
    const big = await aFile(token, Buffer.alloc(8_000_000, 1));
    const { request, reply } = open(server.url, 'GET', big, { token });
    const broken = isBroken(reply);
    request.on('response', (response) => response.once('data', () => request.destroy()));
    request.end();
    expect(await broken).toBe(true);
    expect((await get(token, path)).status).toBe(200);
  });

  test('of a file whose bytes are lost is none', async () => {
    const lost = await aFile(token, Buffer.from('12345'));
    rmSync(placeOf(lost));
    expect(told(await get(token, lost))).toEqual([404, 'not_found']);
  });
});

describe('deleting', () => {
  test('a file takes its bytes away, and leaves a tombstone for the devices that are away', async () => {
    const token = await aToken();
    const path = await aFile(token, Buffer.from('12345'));
    const { body } = await call<Page>(server.url, '/api/changes', { token });
    const reply = await send(server.url, 'DELETE', path, { token });
    expect([reply.status, reply.headers['tus-resumable'], reply.body.length]).toEqual([204, '1.0.0', 0]);
    expect(existsSync(placeOf(path))).toBe(false);
    expect(await uploadsIn(server.database.url, idOf(path))).toEqual([]);
    const later = await call<Page>(server.url, `/api/changes?after=${body.cursor}`, { token });
    expect(later.body.changes).toEqual([{ seq: expect.any(Number), kind: 'file', id: idOf(path), op: 'delete', at: expect.any(Number) }]); // prettier-ignore
    for (const method of ['GET', 'HEAD', 'DELETE', 'PATCH'])
      expect((await send(server.url, method, path, { token, headers: { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': 5 } })).status).toBe(404); // prettier-ignore
  });

  test('an upload that is under way takes what there is of it, and tells nobody', async () => {
    const token = await aToken();
    const path = await begin(token, 10);
    await add(token, path, 0, Buffer.from('12345'));
    const { body } = await call<Page>(server.url, '/api/changes', { token });
    expect((await send(server.url, 'DELETE', path, { token })).status).toBe(204);
    expect(existsSync(placeOf(path))).toBe(false);
    const later = await call<Page>(server.url, `/api/changes?after=${body.cursor}`, { token });
    expect(later.body.changes.filter(({ kind }: Change) => kind === 'file')).toEqual([]);
  });

  test('an account deletes its files and uploads, whatever else fails', async () => {
    const { token, userId } = await aPerson();
    const paths = [await aFile(token, Buffer.from('12345')), await begin(token, 10)];
    const other = await aToken();
    const theirs = await aFile(other, Buffer.from('theirs'));
    const { status } = await call(server.url, '/api/account', {
      token,
      method: 'DELETE',
      body: { confirm: true, password: PASSWORD },
    });
    expect(status).toBe(200);
    await server.app.get(Leftovers, { strict: false }).run();
    for (const path of paths) {
      expect(existsSync(placeOf(path))).toBe(false);
      expect(await uploadsIn(server.database.url, idOf(path))).toEqual([]);
    }
    expect(await query(server.database.url, 'SELECT 1 FROM files WHERE account_id = $1', [userId])).toEqual([]);
    expect((await get(other, theirs)).body.toString()).toBe('theirs');
  });
});

describe('uploads that nobody completes', () => {
  test('are gone after their time, with their bytes and the room they took; files stay', async () => {
    const { url, app, database, env } = await aServer({ limits: { filesBytes: 100_000 } });
    const token = await aToken(url);
    const file = await aFile(token, Buffer.from('12345'), METADATA, url);
    const path = await begin(token, 90_000, METADATA, url);
    await add(token, path, 0, Buffer.from('12345'), {}, url);
    const past = `UPDATE uploads SET created_at = created_at - interval '2 days', expires_at = expires_at - interval '2 days'`;
    await query(database.url, past);
    expect(told(await look(token, path, url))).toEqual([410, undefined]);
    expect(told(await add(token, path, 5, Buffer.from('6'), {}, url))).toEqual([410, 'upload_expired']);
    expect((await send(url, 'POST', '/api/files', { token, headers: { 'Upload-Length': 90_000 } })).status).toBe(201);
    await app.get(Leftovers, { strict: false }).run();
    expect(existsSync(placeOf(path, env.dataDir))).toBe(false);
    expect((await look(token, path, url)).status).toBe(404);
    expect((await get(token, file, {}, url)).body.toString()).toBe('12345');
    expect((await look(token, file, url)).headers['upload-offset']).toBe('5');
  });

  test('that went while the server was away go when it is back', async () => {
    const database = await createTestDatabase();
    later(() => database.drop());
    const dataDir = temporaryFolder();
    const first = await TestServer.start({ limits, argon2, dataDir, database });
    const token = await aToken(first.url);
    const path = await begin(token, 10, METADATA, first.url);
    const keeper = await begin(token, 10, METADATA, first.url);
    await first.stop();
    await query(database.url, `UPDATE uploads SET expires_at = now() - interval '1 hour' WHERE id = $1`, [idOf(path)]);
    // What no row names is nobody's to remove: this may be the wrong database.
    writeFileSync(join(dataDir, 'files', 'unknown'), 'x');
    await aServer({ dataDir, database });
    await expectSoon(() => !existsSync(placeOf(path, dataDir)));
    expect(existsSync(placeOf(keeper, dataDir))).toBe(true);
    expect(existsSync(join(dataDir, 'files', 'unknown'))).toBe(true);
  });
});

describe('a stranger', () => {
  const headers = { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': 0 };

  test('finds nothing of another’s files and uploads, by no verb, and changes nothing', async () => {
    const [token, stranger] = [await aToken(), await aToken()];
    const bytes = Buffer.from('only mine');
    const [file, under] = [await aFile(token, bytes), await begin(token, 5)];
    for (const path of [file, under, `/api/files/${randomUUID()}`])
      for (const method of ['GET', 'HEAD', 'PATCH', 'DELETE'])
        for (const tus of method === 'HEAD' ? [true, false] : [true]) {
          const reply = await send(server.url, method, path, { token: stranger, tus, headers: method === 'PATCH' ? headers : {}, body: method === 'PATCH' ? Buffer.from('x') : undefined }); // prettier-ignore
          expect([method, path, reply.status, method === 'HEAD' ? 'not_found' : reply.code]).toEqual([method, path, 404, 'not_found']); // prettier-ignore
        }
    expect((await get(token, file)).body.equals(bytes)).toBe(true);
    expect(await offsetOf(token, under)).toBe(0);
    expect(await filesOf(stranger)).toEqual([]);
  });

  test('without a token gets in nowhere, and an API key is for other things', async () => {
    const token = await aToken();
    const path = await aFile(token, Buffer.from('12345'));
    const { body } = await call<{ apiKey: string }>(server.url, '/api/keys', { token, body: { name: 'Script' } });
    const requests = [...['GET', 'HEAD', 'PATCH', 'DELETE'].map((method) => [method, path]), ...['POST', 'OPTIONS'].map((method) => [method, '/api/files'])]; // prettier-ignore
    for (const [method, at] of requests) {
      expect((await send(server.url, method!, at!, { headers })).status).toBe(401);
      expect((await send(server.url, method!, at!, { headers, token: body.apiKey })).status).toBe(403);
    }
    expect((await get(token, path)).status).toBe(200);
  });

  test('finds no other file of the server behind a file’s address', async () => {
    const token = await aToken();
    for (const id of ['..%2f..%2fsecrets.json', '%2e%2e', '..', 'a%00b', '%ff', '%', '{}', '*', 'x'.repeat(5000)])
      for (const method of ['GET', 'HEAD', 'DELETE']) {
        const reply = await rawRequest(server.url, { method, path: `/api/files/${id}`, headers: { ...TUS, Authorization: `Bearer ${token}` } }); // prettier-ignore
        expect([id, [400, 404].includes(reply!.status)]).toEqual([id, true]);
      }
  });
});

describe('accounts that move', () => {
  test('take their files and uploads along when they are joined', async () => {
    const person = await aPerson();
    const handset = await phone(server.url);
    later(() => handset.close());
    const web = await pair(server.url, handset);
    const file = await aFile(person.token, Buffer.from('12345'));
    const under = await begin(person.token, 10);
    await add(person.token, under, 0, Buffer.from('01234'));
    const { status } = await call(server.url, '/api/account/join', { token: web, body: { token: person.token, currentPassword: PASSWORD } }); // prettier-ignore
    expect(status).toBe(200);
    for (const token of [web, person.token, handset.deviceToken]) {
      expect((await get(token, file)).body.toString()).toBe('12345');
      expect((await look(token, file)).headers['upload-metadata']).toBe(encode(METADATA));
    }
    expect((await add(web, under, 5, Buffer.from('56789'))).status).toBe(204);
    expect((await filesOf(web)).map(({ id }) => id).sort()).toEqual([idOf(file), idOf(under)].sort());
  });

  test('whose last byte came while they were joined have their file once they ask', async () => {
    const person = await aPerson();
    const path = await begin(person.token, 5);
    await add(person.token, path, 0, Buffer.from('1234'));
    // As if the server had died between the last byte and the row.
    writeFileSync(placeOf(path), '12345');
    expect(await filesOf(person.token)).toEqual([]);
    expect((await look(person.token, path)).headers['upload-offset']).toBe('5');
    expect(await filesOf(person.token)).toMatchObject([{ id: idOf(path), bytes: 5 }]);
    expect((await get(person.token, path)).body.toString()).toBe('12345');
  });

  test('of a realm with a database of its own have their files there', async () => {
    const clinic = await createTestDatabase();
    later(() => clinic.drop());
    const { url, database } = await aServer({
      realms: [
        { slug: 'default', name: 'Pairline', registration: 'open' },
        { slug: 'clinic', name: 'Clinic', registration: 'open', databaseUrl: clinic.url },
      ],
    });
    const [clientId, email] = [randomUUID(), `ann-${randomUUID()}@example.org`];
    await call(url, '/register/clinic', { body: { name: 'Ann', email, password: PASSWORD, clientId } });
    const headers = { Authorization: `Basic ${Buffer.from(`${email}:${PASSWORD}`).toString('base64')}` };
    const { body } = await call<{ access_token: string }>(url, '/login/clinic', { body: { clientId }, headers });
    const token = body.access_token;
    const path = await aFile(token, Buffer.from('12345'), METADATA, url);
    expect(await uploadsIn(clinic.url, idOf(path))).toHaveLength(1);
    expect(await uploadsIn(database.url, idOf(path))).toEqual([]);
    expect((await get(token, path, {}, url)).body.toString()).toBe('12345');
    expect((await get(await aToken(url), path, {}, url)).status).toBe(404);
    expect((await send(url, 'DELETE', path, { token })).status).toBe(204);
    expect(await uploadsIn(clinic.url, idOf(path))).toEqual([]);
  });
});

describe('an interrupted upload', () => {
  test('goes on after the client lost its connection', async () => {
    const token = await aToken();
    const bytes = randomBytes(600_000);
    const path = await begin(token, bytes.length);
    const headers = { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': 0, 'Content-Length': bytes.length };
    const { request, reply } = open(server.url, 'PATCH', path, { token, headers });
    const broken = isBroken(reply);
    await written(request, bytes.subarray(0, 400_000), path);
    request.destroy();
    expect(await broken).toBe(true);
    const address = await upload(server.url, token, bytes, { uploadUrl: server.url + path });
    expect(new URL(address).pathname).toBe(path);
    expect((await get(token, path)).body.equals(bytes)).toBe(true);
  });

  test('goes on where it was after the server was killed in the middle of it', async () => {
    const env = {
      JWT_SECRET: 'a secret of the tests, long enough to be taken',
      ENCRYPTION_KEY: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
      ...{ HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'silent', NODE_ENV: '' },
      ...{ DATABASE_URL: await temporaryDatabase(), DATA_DIR: temporaryFolder() },
    };
    const start = async () => {
      const child = runTypeScript('src/main.ts', { env });
      later(() => child.end('SIGKILL'));
      const ready = await child.line((line) => line.startsWith('Pairline is ready'));
      return { ...child, url: ready.replace(/.*localhost/, 'http://127.0.0.1') };
    };
    const first = await start();
    const token = await aToken(first.url);
    const bytes = randomBytes(20_000_000);
    const path = await begin(token, bytes.length, METADATA, first.url);
    // What was acknowledged is there for sure; what came after may be.
    const acked = Number((await add(token, path, 0, bytes.subarray(0, 5_000_000), {}, first.url)).headers['upload-offset']); // prettier-ignore
    const headers = { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': acked, 'Content-Length': 15_000_000 };
    const { request, reply } = open(first.url, 'PATCH', path, { token, headers });
    const broken = isBroken(reply);
    request.write(bytes.subarray(acked, acked + 5_000_000));
    await expectSoon(() => readFileSync(placeOf(path, env.DATA_DIR)).length > acked);
    await first.end('SIGKILL');
    expect(await broken).toBe(true);

    const second = await start();
    const offset = await offsetOf(token, path, second.url);
    expect(offset).toBeGreaterThan(acked);
    expect(offset).toBeLessThan(bytes.length);
    await upload(second.url, token, bytes, { uploadUrl: second.url + path });
    expect((await get(token, path, {}, second.url)).body.equals(bytes)).toBe(true);
    expect(await filesOf(token, second.url)).toHaveLength(1);
  }, 60_000);
});
