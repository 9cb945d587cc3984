import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { appendFile, readFile, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Leftovers } from '../src/files/leftovers.js';
import { cleanUp, query } from './support/database.js';
import { FileOwner, idOf, told } from './support/files.js';
import { TestServer } from './support/server.js';
import { encode, upload } from './support/tus.js';

// tus' extension concatenation: parts that are sent on their own, and joined into one file.

const UNLIMITED = { qrCodesPerMinute: 0, registrationsPerHour: 0, wrongTokensPerMinute: 0, wrongSignInsPerMinute: 0 };
const PARTIAL = { 'Upload-Concat': 'partial' };
const QUOTA = 1_000_000;

let server: TestServer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pairline-parts-'));
  const limits = { ...UNLIMITED, filesBytes: QUOTA, fileBytes: 800_000 };
  server = await TestServer.start({ limits, argon2: { memoryKib: 8, passes: 1, lanes: 1 }, dataDir: folder });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const placeOf = (path: string) => join(folder, 'files', idOf(path).slice(0, 2), idOf(path));
const final = (...paths: string[]) => ({ 'Upload-Concat': `final;${paths.join(' ')}` });
const aPart = (owner: FileOwner, bytes: Buffer) => owner.file(bytes, {}, PARTIAL);
const rowsOf = ({ account }: FileOwner) =>
  query(server.database.url, 'SELECT * FROM uploads WHERE account_id = $1 ORDER BY created_at', [account]);

describe('parts', () => {
  test('that the client of tus sends at the same time are one file of the same bytes', async () => {
    const ann = await FileOwner.register(server.url);
    const bytes = randomBytes(300_000);
    const metadata = { fileName: 'holiday.jpg', fileType: 'image/jpeg' };
    const address = await upload(server.url, ann.token, bytes, { parallelUploads: 4, chunkSize: 50_000, metadata });
    const { pathname } = new URL(address);
    expect((await ann.get(pathname)).body.equals(bytes)).toBe(true);
    expect(await ann.rows()).toMatchObject([{ id: idOf(pathname), bytes: 300_000, fileName: 'holiday.jpg' }]);
  });

  test('are no files before they are joined: nobody is told, and nothing can be downloaded', async () => {
    const ann = await FileOwner.register(server.url);
    const part = await aPart(ann, randomBytes(1000));
    const { headers } = await ann.ask('HEAD', part);
    expect(headers).toMatchObject({ 'upload-concat': 'partial', 'upload-offset': '1000', 'upload-length': '1000' });
    expect(told(await ann.get(part))).toEqual([404, 'not_found']);
    expect(await ann.rows()).toEqual([]);
  });

  test('go in the order that is asked for, and are gone then; the file says what it was joined from', async () => {
    const ann = await FileOwner.register(server.url);
    const bytes = randomBytes(9000);
    const second = await aPart(ann, bytes.subarray(4000));
    const empty = await aPart(ann, Buffer.alloc(0));
    const first = await aPart(ann, bytes.subarray(0, 4000));
    const { status, headers } = await ann.create(undefined, {
      ...final(`https://relay.example.org${first}`, empty, second),
      'Upload-Metadata': encode({ fileName: 'whole' }),
    });
    expect(status).toBe(201);
    const path = headers.location!;
    expect((await ann.get(path)).body.equals(bytes)).toBe(true);
    expect((await ann.ask('HEAD', path)).headers).toMatchObject({
      'upload-concat': `final;${first} ${empty} ${second}`,
      'upload-offset': '9000',
      'upload-length': '9000',
    });
    for (const part of [first, empty, second]) {
      expect(existsSync(placeOf(part))).toBe(false);
      for (const method of ['HEAD', 'GET', 'DELETE']) expect((await ann.ask(method, part)).status).toBe(404);
      expect((await ann.add(part, 0, Buffer.from('x'))).status).toBe(404);
    }
  });

  test('that were joined take no room besides their file’s', async () => {
    const ann = await FileOwner.register(server.url);
    const parts = [await aPart(ann, randomBytes(300_000)), await aPart(ann, randomBytes(300_000))];
    // They count from the start, and nothing counts twice.
    expect(told(await ann.create(500_000))).toEqual([413, 'files_full']);
    const path = (await ann.create(undefined, final(...parts))).headers.location!;
    expect(told(await ann.create(500_000))).toEqual([413, 'files_full']);
    expect((await ann.create(300_000, PARTIAL)).status).toBe(201);
    expect((await ann.ask('DELETE', path)).status).toBe(204);
    expect((await ann.create(600_000)).status).toBe(201);
  });

  test('are refused when together they are larger than a file may be, and stay', async () => {
    const ann = await FileOwner.register(server.url);
    const parts = [await aPart(ann, randomBytes(450_000)), await aPart(ann, randomBytes(450_000))];
    expect(told(await ann.create(undefined, final(...parts)))).toEqual([413, 'file_too_large']);
    for (const part of parts) expect((await ann.ask('HEAD', part)).headers['upload-offset']).toBe('450000');
  });

  test('that nobody joins expire with their bytes', async () => {
    const ann = await FileOwner.register(server.url);
    const part = await aPart(ann, randomBytes(1000));
    const past = `UPDATE uploads SET created_at = created_at - interval '2 days', expires_at = expires_at - interval '2 days' WHERE account_id = $1`;
    await query(server.database.url, past, [ann.account]);
    expect((await ann.ask('HEAD', part)).status).toBe(410);
    expect(told(await ann.create(undefined, final(part)))).toEqual([404, 'not_found']);
    await server.app.get(Leftovers, { strict: false }).run();
    expect(existsSync(placeOf(part))).toBe(false);
    expect(await rowsOf(ann)).toEqual([]);
  });
});

describe('joining', () => {
  test('is refused when it is not asked for as it has to be, and changes nothing', async () => {
    const ann = await FileOwner.register(server.url);
    const part = await aPart(ann, randomBytes(100));
    const file = await ann.file(randomBytes(100));
    const unfinished = (await ann.create(100, PARTIAL)).headers.location!;
    const before = await rowsOf(ann);
    const wrong: [concat: string, status: number, code: string][] = [
      ['both', 400, 'bad_request'],
      ['final', 400, 'bad_request'],
      ['final;', 400, 'bad_request'],
      ['final; ', 400, 'bad_request'],
      ['final;/api/files/', 400, 'bad_request'],
      ['final;/api/files/..', 400, 'bad_request'],
      [`final;${part} elsewhere`, 400, 'bad_request'],
      [`final;${part} ${part}`, 400, 'bad_request'],
      [`final;/api/files/${randomUUID()}`, 404, 'not_found'],
      [`final;${part} ${file}`, 404, 'not_found'],
      [`final;${part} ${unfinished}`, 409, 'part_incomplete'],
    ];
    for (const [concat, status, code] of wrong)
      expect([concat, ...told(await ann.create(undefined, { 'Upload-Concat': concat }))]).toEqual([concat, status, code]); // prettier-ignore
    expect(told(await ann.create(100, final(part)))).toEqual([400, 'bad_request']);
    expect(await rowsOf(ann)).toEqual(before);
    expect(await ann.rows()).toMatchObject([{ id: idOf(file) }]);
  });

  test('another’s parts is not possible, and nothing of theirs changes', async () => {
    const [ann, stranger] = [await FileOwner.register(server.url), await FileOwner.register(server.url)];
    const [theirs, own] = [await aPart(ann, randomBytes(100)), await aPart(stranger, randomBytes(100))];
    const before = await rowsOf(ann);
    for (const parts of [[theirs], [own, theirs]])
      expect(told(await stranger.create(undefined, final(...parts)))).toEqual([404, 'not_found']);
    expect(await rowsOf(ann)).toEqual(before);
    expect((await ann.create(undefined, final(theirs))).status).toBe(201);
  });

  test('the same parts again gives the same file; in another order, with others, or fewer of them, it is refused', async () => {
    const ann = await FileOwner.register(server.url);
    const [one, two, three] = [await aPart(ann, randomBytes(10)), await aPart(ann, randomBytes(10)), await aPart(ann, randomBytes(10))]; // prettier-ignore
    const replies = await Promise.all(Array.from({ length: 4 }, () => ann.create(undefined, final(one, two))));
    const made = replies.filter(({ status }) => status === 201).map(({ headers }) => headers.location);
    expect(made.length).toBeGreaterThan(0);
    expect(replies.filter(({ status }) => ![201, 423].includes(status))).toEqual([]);
    expect((await ann.create(undefined, final(one, two))).headers.location).toBe(made[0]);
    expect(new Set(made).size).toBe(1);
    for (const parts of [[one], [two, one], [one, two, three], [one, three], [three, one]])
      // prettier-ignore
      expect(told(await ann.create(undefined, final(...parts)))).toEqual([409, 'part_taken']);
    expect(await ann.rows()).toHaveLength(1);
    expect((await ann.create(undefined, final(three))).status).toBe(201);
  });

  test('makes a file that takes no more bytes', async () => {
    const ann = await FileOwner.register(server.url);
    const path = (await ann.create(undefined, final(await aPart(ann, Buffer.from('12345'))))).headers.location!;
    for (const offset of [0, 5]) expect(told(await ann.add(path, offset, Buffer.from('x')))).toEqual([403, 'upload_joined']); // prettier-ignore
    expect((await ann.get(path)).body.toString()).toBe('12345');
  });

  test.each([
    ['before the first byte', 0],
    ['in the middle of a part', 4500],
    ['between two parts', 6000],
    ['after the last byte', 9000],
  ])('goes on after the server died %s', async (_, length) => {
    const ann = await FileOwner.register(server.url);
    const bytes = randomBytes(9000);
    const pieces = [0, 3000, 6000].map((start) => bytes.subarray(start, start + 3000));
    const parts = await Promise.all(pieces.map((piece) => aPart(ann, piece)));
    // As a server leaves it that dies there: the parts are taken, so many bytes are joined, and it is no file yet.
    const kept = await Promise.all(parts.map((part) => readFile(placeOf(part))));
    const made = (await ann.create(undefined, final(...parts))).headers.location!;
    await unmake(ann, made, length, parts, kept);

    expect((await ann.create(undefined, final(...parts))).headers.location).toBe(made);
    expect((await ann.get(made)).body.equals(bytes)).toBe(true);
    expect(await ann.rows()).toMatchObject([{ id: idOf(made), bytes: 9000 }]);
    for (const part of parts) expect(existsSync(placeOf(part))).toBe(false);
  });

  /** Takes a joined file back to where it was after so many bytes. */
  async function unmake(ann: FileOwner, path: string, length: number, parts: string[], kept: Buffer[]): Promise<void> {
    await query(server.database.url, 'DELETE FROM files WHERE account_id = $1', [ann.account]);
    const until = `UPDATE uploads SET expires_at = now() + interval '1 day' WHERE id = $1`;
    await query(server.database.url, until, [idOf(path)]);
    if (length === 0) rmSync(placeOf(path));
    else await truncate(placeOf(path), length);
    let end = 0;
    for (const [i, part] of parts.entries()) {
      end += kept[i]!.length;
      if (end > length) await appendFile(placeOf(part), kept[i]!);
    }
  }

  test('that was begun and given up leaves no bytes', async () => {
    const ann = await FileOwner.register(server.url);
    const parts = [await aPart(ann, randomBytes(3000)), await aPart(ann, randomBytes(3000))];
    const kept = await Promise.all(parts.map((part) => readFile(placeOf(part))));
    const made = (await ann.create(undefined, final(...parts))).headers.location!;
    await unmake(ann, made, 100, parts, kept);
    expect((await ann.ask('DELETE', made)).status).toBe(204);
    expect(told(await ann.create(undefined, final(...parts)))).toEqual([404, 'not_found']);
    for (const path of [made, ...parts]) expect(existsSync(placeOf(path))).toBe(false);
    expect(await rowsOf(ann)).toEqual([]);
  });
});
