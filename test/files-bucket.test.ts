import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Leftovers } from '../src/files/leftovers.js';
import type { BucketSettings } from '../src/env.js';
import { cleanUp, temporaryFolder } from './support/database.js';
import { FileOwner, idOf, told } from './support/files.js';
import { isInstalled } from './support/programs.js';
import { TestServer } from './support/server.js';
import { clientOf, startSwift, SWIFT } from './support/swift.js';
import { upload } from './support/tus.js';

// Files in an S3-compatible store: Swift's S3 API, which runs beside the test.

const UNLIMITED = { qrCodesPerMinute: 0, registrationsPerHour: 0, wrongTokensPerMinute: 0, wrongSignInsPerMinute: 0 };
const MIB = 2 ** 20;

(isInstalled('swift-proxy-server', SWIFT) ? describe : describe.skip)('files in a bucket', () => {
  let settings: BucketSettings;
  let server: TestServer;
  const start = (filesBucket = settings) =>
    TestServer.start({ limits: UNLIMITED, argon2: { memoryKib: 8, passes: 1, lanes: 1 }, dataDir: temporaryFolder(), filesBucket }); // prettier-ignore
  beforeAll(async () => {
    settings = await startSwift();
    server = await start();
  }, 90_000);
  afterAll(async () => {
    // Not there when the store did not come up; that must not keep the rest from going.
    await (server as TestServer | undefined)?.stop();
    await cleanUp();
  });

  async function objectsOf(path: string): Promise<{ key: string; size: number }[]> {
    const command = new ListObjectsV2Command({ Bucket: settings.bucket, Prefix: `${idOf(path)}/` });
    const { Contents = [] } = await clientOf(settings).send(command);
    return Contents.map(({ Key, Size }) => ({ key: Key!.split('/')[1]!, size: Size! }));
  }

  test('come back as they were, whole and in ranges, also across objects', async () => {
    const ann = await FileOwner.register(server.url);
    const bytes = randomBytes(9 * MIB);
    const { pathname } = new URL(await upload(server.url, ann.token, bytes, { metadata: { fileName: 'film.mp4' } }));
    expect((await objectsOf(pathname)).length).toBeGreaterThan(1);
    expect(existsSync(join(server.env.dataDir, 'files'))).toBe(false);
    const whole = await ann.get(pathname);
    expect([whole.status, whole.headers['content-length'], whole.body.equals(bytes)]).toEqual([200, String(9 * MIB), true]); // prettier-ignore
    for (const [first, last] of [
      [0, 0],
      [10, 19],
      [4 * MIB - 5, 4 * MIB + 5],
      [MIB, 9 * MIB - 1],
      [9 * MIB - 1, 9 * MIB - 1],
    ] as const) {
      // prettier-ignore
      const { status, headers, body } = await ann.get(pathname, { Range: `bytes=${first}-${last}` });
      expect([status, headers['content-range']]).toEqual([206, `bytes ${first}-${last}/${9 * MIB}`]);
      expect(body.equals(bytes.subarray(first, last + 1))).toBe(true);
    }
    const empty = await ann.file(Buffer.alloc(0));
    expect((await ann.get(empty)).body.length).toBe(0);
  }, 60_000);

  test('go on where they were, part by part, and after another server took over', async () => {
    const ann = await FileOwner.register(server.url);
    const bytes = randomBytes(5 * MIB);
    const path = (await ann.create(bytes.length)).headers.location!;
    let offset = 0;
    for (const size of [1, 1000, 4.5 * MIB]) {
      const { headers } = await ann.add(path, offset, bytes.subarray(offset, offset + size));
      offset += size;
      expect(headers['upload-offset']).toBe(String(offset));
    }
    expect(told(await ann.add(path, 0, bytes))).toEqual([409, 'wrong_offset']);
    const other = await TestServer.start({ ...server.env, database: server.database, dataDir: temporaryFolder(), filesBucket: settings }); // prettier-ignore
    try {
      const there = ann.at(other.url);
      expect((await there.ask('HEAD', path)).headers['upload-offset']).toBe(String(offset));
      expect((await there.add(path, offset, bytes.subarray(offset))).status).toBe(204);
      expect((await there.get(path)).body.equals(bytes)).toBe(true);
    } finally {
      await other.stop();
    }
  }, 60_000);

  test('with a checksum that does not fit keep nothing of the part', async () => {
    const ann = await FileOwner.register(server.url);
    const bytes = randomBytes(9 * MIB);
    const path = (await ann.create(bytes.length)).headers.location!;
    const sum = (of: Buffer) => ({ 'Upload-Checksum': `sha256 ${createHash('sha256').update(of).digest('base64')}` });
    expect(told(await ann.add(path, 0, bytes, sum(bytes.subarray(1))))).toEqual([460, 'checksum_mismatch']);
    expect(await objectsOf(path)).toEqual([]);
    expect((await ann.ask('HEAD', path)).headers['upload-offset']).toBe('0');
    expect((await ann.add(path, 0, bytes, sum(bytes))).status).toBe(204);
    expect((await ann.get(path)).body.equals(bytes)).toBe(true);
  }, 60_000);

  test('are joined from parts, and the parts are gone', async () => {
    const ann = await FileOwner.register(server.url);
    const bytes = randomBytes(6 * MIB);
    const address = await upload(server.url, ann.token, bytes, { parallelUploads: 3 });
    expect((await ann.get(new URL(address).pathname)).body.equals(bytes)).toBe(true);
    const all = await clientOf(settings).send(new ListObjectsV2Command({ Bucket: settings.bucket }));
    const ids = new Set((all.Contents ?? []).map(({ Key }) => Key!.split('/')[0]));
    expect(ids.has(idOf(address))).toBe(true);
    const parts = await ann.ask('HEAD', new URL(address).pathname);
    for (const part of String(parts.headers['upload-concat']).slice('final;'.length).split(' ')) expect(ids.has(idOf(part))).toBe(false); // prettier-ignore
  }, 60_000);

  test('go when they are deleted', async () => {
    const ann = await FileOwner.register(server.url);
    const [path, other] = [await ann.file(randomBytes(5 * MIB)), await ann.file(Buffer.from('12345'))];
    expect((await ann.ask('DELETE', path)).status).toBe(204);
    expect(await objectsOf(path)).toEqual([]);
    await server.app.get(Leftovers, { strict: false }).run();
    expect((await ann.get(other)).body.toString()).toBe('12345');
  }, 60_000);

  test('count until the first gap, and an object that came late covers nothing twice', async () => {
    const ann = await FileOwner.register(server.url);
    const bytes = randomBytes(3000);
    const path = (await ann.create(bytes.length)).headers.location!;
    await ann.add(path, 0, bytes.subarray(0, 1000));
    const put = (at: number, body: Buffer) =>
      clientOf(settings).send(new PutObjectCommand({ Bucket: settings.bucket, Key: `${idOf(path)}/${String(at).padStart(16, '0')}`, Body: body })); // prettier-ignore
    await put(2000, bytes.subarray(2000));
    expect((await ann.ask('HEAD', path)).headers['upload-offset']).toBe('1000');
    await put(0, bytes.subarray(0, 1500));
    await put(1000, bytes.subarray(1000, 2000));
    expect((await ann.ask('HEAD', path)).headers['upload-offset']).toBe('3000');
    expect((await ann.get(path)).body.equals(bytes)).toBe(true);
    const lost = new DeleteObjectCommand({ Bucket: settings.bucket, Key: `${idOf(path)}/${'1000'.padStart(16, '0')}` });
    await clientOf(settings).send(lost);
    expect(told(await ann.get(path))).toEqual([404, 'not_found']);
  }, 60_000);

  test('wait for a store that is away, and a wrong key is told at the start', async () => {
    await expect(start({ ...settings, secretAccessKey: 'wrong' })).rejects.toThrow('FILES_URL: the store answered 403 for the bucket pairline.'); // prettier-ignore
    await expect(start({ ...settings, bucket: 'another' })).rejects.toThrow('FILES_URL: the store answered 404');
    const away = await start({ ...settings, endpoint: 'http://127.0.0.1:1' });
    try {
      const ann = await FileOwner.register(away.url);
      const reply = await ann.create(5);
      expect([...told(reply), reply.headers['retry-after']]).toEqual([503, 'storage_unavailable', '1']);
    } finally {
      await away.stop();
    }
  }, 60_000);
});
