import { createHash, createCipheriv, type Hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, expect, test } from '@jest/globals';
import { cleanUp, later, temporaryDatabase, temporaryFolder } from './support/database.js';
import { expectSoon, FileOwner, idOf } from './support/files.js';
import { runTypeScript } from './support/spawn.js';
import { OFFSET_STREAM, open } from './support/tus.js';

afterEach(cleanUp);

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const BLOCK = Buffer.alloc(MIB);

/** The bytes from `start` until before `end`, both whole MiB, of a stream that never repeats; `told` hears of them. */
function* bytes(start: number, end: number, told?: Hash): Generator<Buffer> {
  for (let at = start; at < end; at += MIB) {
    // Counter mode: each block of a MiB has a counter of its own, so that it can be made again by itself.
    const iv = Buffer.alloc(16);
    iv.writeBigUInt64BE(BigInt(at));
    const block = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), iv).update(BLOCK);
    told?.update(block);
    yield block;
  }
}

/** The most that a process has had resident, bytes. */
const peakOf = (pid: number) => Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) * 1024; // prettier-ignore

/** The SHA-256 of a file as it is downloaded. */
async function download({ url, token }: FileOwner, path: string): Promise<string> {
  const response = await fetch(url + path, { headers: { Authorization: `Bearer ${token}` } });
  const hash = createHash('sha256');
  for await (const part of response.body!) hash.update(part);
  return hash.digest('hex');
}

test('an upload of a gigabyte goes on after the server was killed, whole, and in the memory of a small one', async () => {
  const env = {
    JWT_SECRET: 'a secret of the tests, long enough to be taken',
    ENCRYPTION_KEY: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    ...{ HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'silent', NODE_ENV: '' },
    ...{ DATABASE_URL: await temporaryDatabase(), DATA_DIR: temporaryFolder() },
  };
  const start = async () => {
    const server = runTypeScript('src/main.ts', { env });
    later(() => server.end('SIGKILL'));
    const ready = await server.line((line) => line.startsWith('Pairline is ready'));
    return { ...server, url: ready.replace(/.*localhost/, 'http://127.0.0.1') };
  };
  const first = await start();
  const ann = await FileOwner.register(first.url);
  const path = (await ann.create(GIB)).headers.location!;
  const place = join(env.DATA_DIR, 'files', idOf(path).slice(0, 2), idOf(path));

  const headers = { 'Content-Type': OFFSET_STREAM, 'Upload-Offset': 0, 'Content-Length': GIB };
  const { request, reply } = open(first.url, 'PATCH', path, { token: ann.token, headers });
  const broken = Promise.allSettled([reply, pipeline(Readable.from(bytes(0, GIB / 2)), request, { end: false })]);
  await expectSoon(() => statSync(place).size > GIB / 4);
  await first.end('SIGKILL');
  expect((await broken)[0].status).toBe('rejected');

  const second = await start();
  const bob = ann.at(second.url);
  // What a small upload takes, code and caches and all.
  expect((await bob.get(await bob.file(Buffer.alloc(MIB)))).status).toBe(200);
  const small = peakOf(second.child.pid!);

  const offset = Number((await bob.ask('HEAD', path)).headers['upload-offset']);
  expect(offset).toBeGreaterThan(GIB / 4);
  expect(offset).toBeLessThan(GIB);
  const begin = Math.floor(offset / MIB) * MIB;
  const sent = createHash('sha256');
  for (const block of bytes(0, begin)) sent.update(block);
  const rest = Readable.from(skip(offset - begin, bytes(begin, GIB, sent)), { objectMode: false });
  const added = await bob.add(path, offset, rest, { 'Content-Length': GIB - offset });
  expect([added.status, added.headers['upload-offset']]).toEqual([204, String(GIB)]);

  expect(await download(bob, path)).toBe(sent.digest('hex'));
  expect(await bob.rows()).toContainEqual(expect.objectContaining({ id: idOf(path), bytes: GIB }));
  expect((peakOf(second.child.pid!) - small) / MIB).toBeLessThan(100);
}, 240_000);

function* skip(count: number, parts: Iterable<Buffer>): Generator<Buffer> {
  for (const part of parts) {
    if (part.length > count) yield part.subarray(count);
    count = Math.max(0, count - part.length);
  }
}
