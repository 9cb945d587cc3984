import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { memoryStore, streamed, type FileProgress, type FileReference, type FilesClient, type SavedUpload, type Store, type WebClient } from '@pairline/client'; // prettier-ignore
import fc from 'fast-check';
import { relayError } from '../src/errors.js';
import { Storage } from '../src/files/storage.js';
import * as reference from '../protocol/vectors/reference.js';
import { Cutter } from './support/client-between.js';
import { inPhase, webAt } from './support/client-ends.js';
import { call } from './support/clients.js';
import { cleanUp, later, query, temporaryDatabase, temporaryFolder } from './support/database.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { runTypeScript } from './support/spawn.js';
import { send } from './support/tus.js';

// Files by the client library (docs/client.md), against the real server.

const argon2 = { memoryKib: 8, passes: 1, lanes: 1 };
const limits = { registrationsPerHour: 0, wrongSignInsPerMinute: 0 };

let server: TestServer;
beforeAll(async () => {
  server = await aServer();
});
afterAll(async () => {
  await server.stop();
});
afterEach(cleanUp);

function aServer(options: ServerOptions = {}): Promise<TestServer> {
  return TestServer.start({ argon2, dataDir: temporaryFolder(), ...options, limits: { ...limits, ...options.limits } });
}

async function ownServer(options: ServerOptions): Promise<TestServer> {
  const started = await aServer(options);
  later(() => started.stop());
  return started;
}

function aPerson() {
  return { email: `${randomUUID()}@example.org`, password: 'a long password', deviceName: 'A browser', remember: true };
}

interface End {
  web: WebClient;
  files: FilesClient;
  store: Store;
}

/** Somebody who has just signed up, by one address of the server. */
async function anEnd(url = server.url, ann = aPerson()): Promise<End> {
  const store = memoryStore();
  const web = await webAt(url, { store });
  await web.register(ann);
  return { web, files: await web.files(), store };
}

async function tokenOf(store: Store): Promise<string> {
  return (await store.read((tx) => tx.value('session')))!.token;
}

async function bytesIn(blob: Blob): Promise<Buffer> {
  return Buffer.from(await blob.arrayBuffer());
}

/** The encrypted file as it lies with the server. */
function stored({ id }: FileReference, { env } = server): Buffer {
  return readFileSync(join(env.dataDir, 'files', id.slice(0, 2), id));
}

function opened(file: FileReference, from = server): Buffer {
  return reference.openFile(Buffer.from(file.key, 'base64url'), stored(file, from));
}

function uploadsIn({ database }: TestServer): Promise<unknown[]> {
  return query(database.url, 'SELECT id FROM uploads');
}

const aFile = (bytes: Uint8Array<ArrayBuffer>, name = 'Ferien.jpg', lastModified = 1_760_000_000_000) =>
  new File([bytes], name, { type: 'image/jpeg', lastModified });

/** Does not wait for the next attempt. */
const eager = (web: WebClient) => (progress: FileProgress) => {
  if (progress.waiting) setImmediate(() => web.reconnect());
};

describe('a file', () => {
  test('that one device uploads, another one of the account opens, as a whole and in parts', async () => {
    const ann = aPerson();
    const { files, web } = await anEnd(server.url, ann);
    const other = await webAt(server.url);
    await other.signIn(ann);
    const bytes = randomBytes(700_000);
    const told: FileProgress[] = [];
    const file = await files.upload(aFile(bytes), { onProgress: (progress) => told.push(progress) });
    expect(file).toEqual({ id: expect.any(String), key: expect.any(String), name: 'Ferien.jpg', type: 'image/jpeg', size: 700_000 }); // prettier-ignore
    expect(told[0]).toEqual({ done: 0, size: 700_000 });
    expect(told.at(-1)).toEqual({ done: 700_000, size: 700_000 });
    expect(told.length).toBeGreaterThan(2);
    const theirs = await other.files();
    expect((await bytesIn(await theirs.blob(file))).equals(bytes)).toBe(true);
    expect((await buffer(theirs.open(file, { start: 65_530, end: 65_540 }))).equals(bytes.subarray(65_530, 65_540))).toBe(true); // prettier-ignore
    expect((await buffer(theirs.open(file, { start: 699_990 }))).equals(bytes.subarray(699_990))).toBe(true);
    expect(await web.files()).toBe(files);
  });

  test('is with the server in what only its key opens, and without a name', async () => {
    const { files, store } = await anEnd();
    const bytes = Buffer.from('Nobody else may read this. '.repeat(10_000));
    const file = await files.upload(new File([bytes], 'diary.txt', { type: 'text/plain' }));
    expect(stored(file).includes('Nobody')).toBe(false);
    expect(opened(file).equals(bytes)).toBe(true);
    const { body } = await call(server.url, '/api/changes', { token: await tokenOf(store) });
    const rows = (body.changes as { kind: string; row: object }[]).filter(({ kind }) => kind === 'file');
    expect(rows.map(({ row }) => row)).toEqual([
      {
        ...{ id: file.id, createdAt: expect.any(Number), bytes: stored(file).length },
        ...{ fileName: 'file', fileType: 'application/octet-stream', fileSize: stored(file).length },
      },
    ]);
    expect(JSON.stringify(body)).not.toContain(file.key);
  });

  test('has a key of its own each time, and opens with no other’s', async () => {
    const { files } = await anEnd();
    const bytes = randomBytes(1000);
    const [one, two] = [await files.upload(aFile(bytes)), await files.upload(aFile(bytes))];
    expect(one.key).not.toBe(two.key);
    expect(stored(one).subarray(0, 17)).not.toEqual(stored(two).subarray(0, 17));
    await expect(files.blob({ ...one, id: two.id })).rejects.toMatchObject({ code: 'damaged_file' });
  });

  test.each([0, 1, 65_535, 65_536, 65_537, 262_144])('of %d bytes comes back', async (size) => {
    const { files } = await anEnd();
    const bytes = randomBytes(size);
    const file = await files.upload(new Blob([bytes]));
    expect(file).toMatchObject({ name: 'file', type: 'application/octet-stream', size });
    expect((await bytesIn(await files.blob(file))).equals(bytes)).toBe(true);
  });

  test('that comes as a stream is sent as it comes', async () => {
    const { files } = await anEnd();
    const bytes = randomBytes(3_000_000);
    let given = 0;
    let most = 0;
    let done = 0;
    async function* parts() {
      for (; given < bytes.length; given += 10_007) {
        most = Math.max(most, given - done);
        yield bytes.subarray(given, given + 10_007);
      }
    }
    const source = streamed(parts(), { size: bytes.length, name: 'a.bin' });
    const file = await files.upload(source, { onProgress: (progress) => (done = progress.done) });
    expect((await bytesIn(await files.blob(file))).equals(bytes)).toBe(true);
    expect(most).toBeLessThan(2_200_000);
  });

  test.each([
    ['shorter', 99_000],
    ['longer', 101_000],
  ])('that comes as a stream and is %s than was said is not sent, and leaves nothing', async (_, length) => {
    const own = await ownServer({});
    const { files } = await anEnd(own.url);
    async function* parts() {
      yield randomBytes(length);
    }
    await expect(files.upload(streamed(parts(), { size: 100_000 }))).rejects.toMatchObject({ code: 'file_changed' });
    expect(await uploadsIn(own)).toEqual([]);
  });

  test('that is removed is not there any more, and removing it again does no harm', async () => {
    const { files } = await anEnd();
    const file = await files.upload(aFile(randomBytes(5)));
    await files.remove(file.id);
    await files.remove(file.id);
    await expect(files.blob(file)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('is nobody’s who is not signed in, nor another account’s', async () => {
    const { files, web } = await anEnd();
    const file = await files.upload(aFile(randomBytes(5)));
    const stranger = await anEnd();
    await expect(stranger.files.blob(file)).rejects.toMatchObject({ code: 'not_found' });
    await expect(stranger.files.remove(file.id)).resolves.toBeUndefined();
    expect((await files.blob(file)).size).toBe(5);
    await web.signOut();
    await expect(files.upload(aFile(randomBytes(5)))).rejects.toMatchObject({ code: 'not_paired' });
    await expect(files.blob(file)).rejects.toMatchObject({ code: 'not_paired' });
  });
});

describe('room', () => {
  test('for one file is known before anything is sent', async () => {
    const own = await ownServer({ limits: { fileBytes: 200_000 } });
    const { files } = await anEnd(own.url);
    const size = await files.maxSize();
    expect(size).toBeGreaterThan(199_000);
    const read: number[] = [];
    const slice = (start: number) => (read.push(start), { arrayBuffer: async () => new ArrayBuffer(0) });
    await expect(files.upload({ size: size + 1, slice })).rejects.toMatchObject({ code: 'file_too_large' });
    expect(read).toEqual([]);
    expect(await uploadsIn(own)).toEqual([]);
    expect((await files.upload(new Blob([randomBytes(size)]))).size).toBe(size);
  });

  test('of the account is said by the server, and an upload that is given up gives it back', async () => {
    const own = await ownServer({ limits: { filesBytes: 300_000 } });
    const { files } = await anEnd(own.url);
    const file = await files.upload(aFile(randomBytes(200_000)));
    await expect(files.upload(aFile(randomBytes(200_000)))).rejects.toMatchObject({ code: 'files_full' });
    await files.remove(file.id);
    const stop = new AbortController();
    const keep = () => stop.abort(new Error('changed my mind'));
    await expect(files.upload(aFile(randomBytes(200_000)), { keep, signal: stop.signal })).rejects.toThrow('changed my mind'); // prettier-ignore
    expect((await files.upload(aFile(randomBytes(200_000)))).size).toBe(200_000);
  });

  test('that the server has not is said, and what is there is gone on with later', async () => {
    const own = await ownServer({});
    const { files } = await anEnd(own.url);
    const storage = own.app.get(Storage, { strict: false });
    const { write } = storage;
    const bytes = randomBytes(2_000_000);
    let saved: SavedUpload | undefined;
    let writes = 0;
    storage.write = (...args) =>
      ++writes > 2 ? Promise.reject(relayError('storage_full')) : write.apply(storage, args);
    const keep = (it: SavedUpload) => void (saved = it);
    await expect(files.upload(aFile(bytes), { keep })).rejects.toMatchObject({ code: 'storage_full' });
    storage.write = write;
    const file = await files.resume(saved!, aFile(bytes));
    expect(opened(file, own).equals(bytes)).toBe(true);
  });
});

describe('giving up', () => {
  test('an upload ends it at once, and takes what there is of it from the server', async () => {
    const own = await ownServer({});
    const { files } = await anEnd(own.url);
    const stop = new AbortController();
    const kept: SavedUpload[] = [];
    const onProgress = ({ done }: FileProgress) => void (done > 500_000 && stop.abort());
    const upload = files.upload(aFile(randomBytes(5_000_000)), {
      signal: stop.signal,
      onProgress,
      keep: (saved) => void kept.push(saved),
    });
    await expect(upload).rejects.toMatchObject({ name: 'AbortError' });
    expect(kept).toHaveLength(1);
    expect(await uploadsIn(own)).toEqual([]);
    await expect(files.resume(kept[0]!, aFile(randomBytes(5_000_000)))).rejects.toMatchObject({
      code: 'upload_expired',
    });
  });

  test('before it begins sends nothing', async () => {
    const { files } = await anEnd();
    const signal = AbortSignal.abort(new Error('no'));
    await expect(files.upload(aFile(randomBytes(50)), { signal })).rejects.toThrow('no');
  });

  test('without a connection does not wait for one', async () => {
    const line = await Cutter.start(server.url);
    const { files } = await anEnd(line.url);
    const stop = new AbortController();
    const onProgress = ({ done, waiting }: FileProgress) => {
      if (waiting) stop.abort();
      else if (done > 0) line.close();
    };
    const upload = files.upload(aFile(randomBytes(3_000_000)), { signal: stop.signal, onProgress });
    await expect(upload).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('what cannot be kept is given up', async () => {
    const own = await ownServer({});
    const { files } = await anEnd(own.url);
    const keep = () => Promise.reject(new Error('no room here'));
    await expect(files.upload(aFile(randomBytes(50)), { keep })).rejects.toThrow('no room here');
    expect(await uploadsIn(own)).toEqual([]);
  });
});

describe('a line that breaks', () => {
  test('however often and wherever: what arrives is the file', async () => {
    const size = 900_000;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 400_000 }), { maxLength: 6 }), async (lengths) => {
        try {
          const line = await Cutter.start(server.url);
          const { files, web } = await anEnd(line.url);
          const bytes = randomBytes(size);
          line.lengths.push(...lengths);
          line.cut();
          const file = await files.upload(aFile(bytes), { onProgress: eager(web) });
          expect(opened(file).equals(bytes)).toBe(true);
          expect((await bytesIn(await files.blob(file, { onProgress: eager(web) }))).equals(bytes)).toBe(true);
        } finally {
          await cleanUp();
        }
      }),
      { numRuns: 12 },
    );
  }, 120_000);

  test('is waited for, which is told, and the upload goes on by itself when the client is live again', async () => {
    const line = await Cutter.start(server.url);
    const { files, web } = await anEnd(line.url);
    await inPhase(web, 'live');
    const bytes = randomBytes(3_000_000);
    let waited = 0;
    const onProgress = ({ done, waiting }: FileProgress) => {
      if (waited === 0 && done > 0 && !line.closed) line.close();
      if (!waiting || waited++ > 0) return;
      line.open();
      web.reconnect();
    };
    const file = await files.upload(aFile(bytes), { onProgress });
    expect(waited).toBeGreaterThan(0);
    expect(opened(file).equals(bytes)).toBe(true);
  });
});

describe('a reload in the middle', () => {
  /** Begins an upload and closes the client when some of it is with the server; what was kept has been through JSON. */
  async function interrupted(bytes: Uint8Array<ArrayBuffer>) {
    const { web, files, store } = await anEnd();
    let saved: SavedUpload | undefined;
    let sent = 0;
    const onProgress = ({ done }: FileProgress) => {
      if (done > bytes.length / 3 && sent === 0) void web.close().then(() => (sent = done));
    };
    const keep = (it: SavedUpload) => void (saved = JSON.parse(JSON.stringify(it)) as SavedUpload);
    await expect(files.upload(aFile(bytes), { onProgress, keep })).rejects.toMatchObject({ code: 'offline' });
    const line = await Cutter.start(server.url);
    const again = await webAt(line.url, { store });
    return { saved: saved!, files: await again.files(), store };
  }

  test('is survived: it goes on where it was', async () => {
    const bytes = randomBytes(4_000_000);
    const { saved, files, store } = await interrupted(bytes);
    const head = await send(server.url, 'HEAD', `/api/files/${saved.reference.id}`, { token: await tokenOf(store) });
    const offset = Number(head.headers['upload-offset']);
    expect(offset).toBeGreaterThan(1_000_000);
    const before = stored(saved.reference);
    const told: FileProgress[] = [];
    const file = await files.resume(saved, aFile(bytes), { onProgress: (progress) => told.push(progress) });
    expect(file).toEqual(saved.reference);
    expect(told[0]!.done).toBeGreaterThanOrEqual(Math.min(offset, 4_000_000));
    expect(stored(file).subarray(0, before.length).equals(before)).toBe(true);
    expect(opened(file).equals(bytes)).toBe(true);
    // Once more, after it was complete: a page that was closed before it could say so.
    expect(await files.resume(saved, aFile(bytes))).toEqual(file);
  });

  test('before the first byte is survived too', async () => {
    const { web, files, store } = await anEnd();
    let saved: SavedUpload | undefined;
    const bytes = randomBytes(100);
    const keep = async (it: SavedUpload) => {
      saved = it;
      await web.close();
    };
    await expect(files.upload(aFile(bytes), { keep })).rejects.toMatchObject({ code: 'offline' });
    const again = await (await webAt(server.url, { store })).files();
    expect(opened(await again.resume(saved!, aFile(bytes))).equals(bytes)).toBe(true);
  });

  test('does not go on with another file: its bytes under the same key would tell of both', async () => {
    const bytes = randomBytes(3_000_000);
    const { saved, files } = await interrupted(bytes);
    const before = stored(saved.reference);
    const others = [aFile(bytes.subarray(1)), aFile(bytes, 'Ferien.jpg', 1_760_000_000_001), new Blob([bytes])];
    for (const other of others)
      await expect(files.resume(saved, other)).rejects.toMatchObject({ code: 'file_changed' });
    // Whose time nobody knew might be any of that size.
    const timeless = { reference: saved.reference, salt: saved.salt };
    const unknown = files.resume(timeless, new Blob([randomBytes(3_000_000)]));
    await expect(unknown).rejects.toMatchObject({ code: 'file_changed' });
    expect(stored(saved.reference).equals(before)).toBe(true);
    expect(opened(await files.resume(saved, aFile(bytes))).equals(bytes)).toBe(true);
  });

  test('says so when there is nothing to go on with', async () => {
    const bytes = randomBytes(3_000_000);
    const { saved, files } = await interrupted(bytes);
    await files.remove(saved.reference.id);
    await expect(files.resume(saved, aFile(bytes))).rejects.toMatchObject({ code: 'upload_expired' });
  });
});

test('a server that is killed in the middle and comes back: the upload goes on, and nothing is lost', async () => {
  const env = {
    JWT_SECRET: 'a secret of the tests, long enough to be taken',
    ENCRYPTION_KEY: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    ...{ HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'silent' },
    DATABASE_URL: await temporaryDatabase(),
    DATA_DIR: temporaryFolder(),
  };
  const start = async () => {
    const started = runTypeScript('src/main.ts', { env });
    later(() => started.end('SIGKILL'));
    const ready = await started.line((line) => line.startsWith('Pairline is ready'));
    return { ...started, url: ready.replace(/.*localhost/, 'http://127.0.0.1') };
  };
  let running = await start();
  const line = await Cutter.start(running.url);
  const { files, web } = await anEnd(line.url);
  const bytes = randomBytes(6_000_000);
  let killed: Promise<unknown> | undefined;
  const restart = async () => {
    await running.end('SIGKILL');
    running = await start();
    line.lead(running.url);
  };
  const hurry = eager(web);
  const file = await files.upload(aFile(bytes), {
    onProgress: (progress) => {
      if (progress.done > 1_000_000) killed ??= restart();
      hurry(progress);
    },
  });
  await killed;
  const lies = readFileSync(join(env.DATA_DIR, 'files', file.id.slice(0, 2), file.id));
  expect(reference.openFile(Buffer.from(file.key, 'base64url'), lies).equals(bytes)).toBe(true);
  expect((await bytesIn(await files.blob(file))).equals(bytes)).toBe(true);
}, 90_000);
