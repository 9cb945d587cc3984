import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { readFileReference } from '@pairline/client';
import { FILE_CHUNK_BYTES, type FileReference } from '@pairline/protocol';
import fc from 'fast-check';
import { FileCipher, headerOf, largestSize, placeOf, sealedSize } from '../client/src/files/cipher.js';
import { Files } from '../client/src/files/files.js';
import { readSealed } from '../client/src/files/source.js';
import * as reference from '../protocol/vectors/reference.js';
import { FileShelf } from './support/file-shelf.js';

// The format of encrypted files against its second implementation, and against whoever alters what is stored.

const CHUNK = FILE_CHUNK_BYTES;
const SEALED_CHUNK = CHUNK + 16;
const HEADER = 17;

/** Sizes around the borders of chunks. */
const sizes = fc.oneof(
  fc.integer({ min: 0, max: 3 * CHUNK + 10 }),
  fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: -2, max: 2 })).map(([n, d]) => Math.max(0, n * CHUNK + d)),
);
const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, 'base64url'));

function cipherOf(fileKey: Uint8Array, salt: Uint8Array, size: number): Promise<FileCipher> {
  return FileCipher.of(Uint8Array.from(fileKey), headerOf(Uint8Array.from(salt)), size);
}

describe('the format', () => {
  test('is that of the vectors', async () => {
    const path = new URL('../protocol/vectors/file.json', import.meta.url);
    const { fileKey, salt, header, files } = JSON.parse(await readFile(path, 'utf8')) as ReturnType<typeof reference.makeVectors>['file']; // prettier-ignore
    expect(files.length).toBeGreaterThan(4);
    expect(Buffer.from(headerOf(bytesOf(salt))).toString('base64url')).toBe(header);
    for (const { name, size, sealedSize: length, sha256, sealed } of files) {
      expect([name, sealedSize(size)]).toEqual([name, length]);
      const cipher = await cipherOf(bytesOf(fileKey), bytesOf(salt), size);
      const made = await readSealed(new Blob([Uint8Array.from(reference.counted(size))]), cipher, 0, length);
      expect([name, createHash('sha256').update(made).digest('hex')]).toEqual([name, sha256]);
      if (sealed !== undefined) expect(Buffer.from(made).toString('base64url')).toBe(sealed);
    }
  });

  test('counts chunks beyond 32 bits', async () => {
    const [fileKey, salt, plaintext] = [randomBytes(32), randomBytes(16), Uint8Array.from(randomBytes(40))];
    for (const chunk of [0, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 36])
      for (const last of [true, false]) {
        const cipher = await cipherOf(fileKey, salt, chunk * CHUNK + (last ? 40 : CHUNK + 1));
        const sealed = await cipher.seal(chunk, plaintext);
        expect(Buffer.from(sealed)).toEqual(reference.sealFileChunk(fileKey, salt, chunk, last, plaintext));
        expect(await cipher.open(chunk, sealed)).toEqual(plaintext);
      }
  });

  test('of any part of any file is the same whenever it is made, and the second implementation opens the whole', async () => {
    const from = fc.double({ min: 0, max: 1, noNaN: true });
    await fc.assert(
      fc.asyncProperty(sizes, from, fc.nat({ max: 5 }), async (size, where, more) => {
        const [plaintext, fileKey, salt] = [randomBytes(size), randomBytes(32), randomBytes(16)];
        const whole = reference.sealFile(fileKey, salt, plaintext);
        expect(sealedSize(size)).toBe(whole.length);
        const begin = Math.floor(where * (whole.length - 1));
        const end = Math.min(
          whole.length,
          placeOf(Math.max(0, Math.floor((begin - HEADER) / SEALED_CHUNK)) + 1 + more),
        );
        const part = await readSealed(new Blob([plaintext]), await cipherOf(fileKey, salt, size), begin, end);
        expect(whole.subarray(begin, end).equals(part)).toBe(true);
        expect(reference.openFile(fileKey, whole).equals(plaintext)).toBe(true);
      }),
    );
  });

  test('has room for so many bytes and not one more', () => {
    fc.assert(
      fc.property(fc.integer({ min: HEADER + 16, max: 5 * SEALED_CHUNK }), (bytes) => {
        const size = largestSize(bytes);
        expect(sealedSize(size)).toBeLessThanOrEqual(bytes);
        expect(sealedSize(size + 1)).toBeGreaterThan(bytes);
      }),
    );
  });
});

let shelf: FileShelf;
let files: Files;
beforeAll(async () => {
  shelf = await FileShelf.start();
  files = new Files(shelf.url, () => 'a token');
});
afterAll(() => {
  files.close();
  shelf.stop();
});
beforeEach(() => {
  shelf.asked.length = 0;
  shelf.lengths.length = 0;
});

/** A file on the shelf, as the second implementation makes it. */
function shelved(plaintext: Buffer, fields: Partial<FileReference> = {}): FileReference {
  const [id, fileKey] = [randomUUID(), randomBytes(32)];
  shelf.files.set(id, reference.sealFile(fileKey, randomBytes(16), plaintext));
  const key = fileKey.toString('base64url');
  return { id, key, name: 'a', type: 'image/png', size: plaintext.length, ...fields };
}

async function bytesIn(blob: Blob): Promise<Buffer> {
  return Buffer.from(await blob.arrayBuffer());
}

describe('reading', () => {
  test('any range of any file gives just that, and asks for no more than the chunks that it is in', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), fc.nat(), async (size, one, other) => {
        shelf.asked.length = 0;
        const plaintext = randomBytes(size);
        const file = shelved(plaintext);
        const [start, end] = [one % (size + 1), other % (size + 1)].sort((a, b) => a - b) as [number, number];
        const read = await buffer(files.open(file, { start, end }));
        expect(read.equals(plaintext.subarray(start, end))).toBe(true);
        const bytes = shelf.asked.map((range) => /(\d+)-(\d+)/.exec(range)!).reduce((sum, [, a, b]) => sum + Number(b) - Number(a) + 1, 0); // prettier-ignore
        expect(bytes).toBeLessThanOrEqual(HEADER + (Math.ceil((end - start) / CHUNK) + 1) * SEALED_CHUNK);
      }),
      { numRuns: 60 },
    );
  });

  test('a whole file is a blob of its type, if that is one that can be shown without harm', async () => {
    const plaintext = randomBytes(200 * CHUNK + 5);
    const told: number[] = [];
    const blob = await files.blob(shelved(plaintext), { onProgress: ({ done }) => told.push(done) });
    expect((await bytesIn(blob)).equals(plaintext)).toBe(true);
    expect(blob.type).toBe('image/png');
    expect(told.at(-1)).toBe(plaintext.length);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    for (const type of ['text/html', 'image/svg+xml', 'application/pdf', 'application/xhtml+xml'])
      expect((await files.blob(shelved(Buffer.from('<script>'), { type }))).type).toBe('application/octet-stream');
  });

  test('asks for nothing before something is wanted, and for no more than is wanted', async () => {
    const file = shelved(randomBytes(3 * CHUNK));
    const reader = files.open(file).getReader();
    expect(shelf.asked).toEqual([]);
    expect((await reader.read()).value).toHaveLength(CHUNK);
    await reader.cancel();
    expect(shelf.asked).toHaveLength(1);
  });

  test('goes on where the line broke, however often', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.array(fc.nat({ max: 2 * CHUNK }), { maxLength: 4 }), async (size, lengths) => {
        const plaintext = randomBytes(size);
        shelf.lengths.splice(0, Infinity, ...lengths);
        const hurry = ({ waiting }: { waiting?: true }) => void (waiting && setImmediate(() => files.hurry()));
        const blob = await files.blob(shelved(plaintext), { onProgress: hurry });
        expect((await bytesIn(blob)).equals(plaintext)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('gives up when nothing comes any more, and at once where there is no such file', async () => {
    const file = shelved(randomBytes(CHUNK));
    shelf.lengths.push(...Array.from({ length: 20 }, () => 100));
    const hurry = ({ waiting }: { waiting?: true }) => void (waiting && setImmediate(() => files.hurry()));
    await expect(files.blob(file, { onProgress: hurry })).rejects.toMatchObject({ code: 'offline' });
    expect(shelf.lengths.length).toBeGreaterThan(0);
    await expect(files.blob({ ...file, id: randomUUID() })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('ends with the signal’s reason', async () => {
    const stop = new AbortController();
    const onProgress = () => stop.abort(new Error('enough'));
    const reading = files.blob(shelved(randomBytes(9 * CHUNK)), { signal: stop.signal, onProgress });
    await expect(reading).rejects.toThrow('enough');
  });
});

describe('what was altered', () => {
  const size = 3 * CHUNK + 100;
  let plaintext: Buffer;
  let file: FileReference;
  let sealed: Buffer;
  beforeEach(() => {
    plaintext = randomBytes(size);
    file = shelved(plaintext);
    sealed = shelf.files.get(file.id)!;
  });

  /** Chunk `n` of an encrypted file. */
  const chunk = (whole: Buffer, n: number) => whole.subarray(placeOf(n), placeOf(n + 1));
  const header = (whole: Buffer) => whole.subarray(0, HEADER);

  async function refused(bytes: Buffer, read = file): Promise<void> {
    shelf.files.set(file.id, bytes);
    await expect(files.blob(read)).rejects.toMatchObject({ code: 'damaged_file' });
    // What came before it is what it was.
    const parts: Uint8Array[] = [];
    const reader = files.open(read).getReader();
    const all = async () => {
      for (let next; !(next = await reader.read()).done;) parts.push(next.value);
    };
    await expect(all()).rejects.toMatchObject({ code: 'damaged_file' });
    const before = Buffer.concat(parts);
    expect(before.equals(plaintext.subarray(0, before.length))).toBe(true);
  }

  test('by one bit, anywhere, is noticed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: sealedSize(size) - 1 }), fc.nat({ max: 7 }), async (at, bit) => {
        const bytes = Buffer.from(sealed);
        bytes[at]! ^= 1 << bit;
        await refused(bytes);
      }),
      { numRuns: 40, examples: [[0, 0], [1, 0], [HEADER, 0], [sealedSize(size) - 1, 7]] }, // prettier-ignore
    );
  });

  test('by cutting it off or adding to it, anywhere, is noticed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: sealedSize(size) - 1 }), async (length) => {
        await refused(sealed.subarray(0, length));
        await refused(Buffer.concat([sealed, sealed.subarray(0, length + 1)]));
      }),
      { numRuns: 15, examples: [[0], [HEADER], [placeOf(1)], [placeOf(3)]] }, // prettier-ignore
    );
  });

  test('by cutting it off where a chunk ends is noticed even when the reference says so, too', async () => {
    await refused(sealed.subarray(0, placeOf(2)), { ...file, size: 2 * CHUNK });
    await refused(sealed.subarray(0, placeOf(3)), { ...file, size: 3 * CHUNK });
  });

  test('by swapping, dropping or doubling chunks is noticed', async () => {
    const chunks = (...numbers: number[]) => Buffer.concat([header(sealed), ...numbers.map((n) => chunk(sealed, n))]);
    expect(chunks(0, 1, 2, 3).equals(sealed)).toBe(true);
    for (const order of [
      [1, 0, 2, 3],
      [0, 2, 1, 3],
      [0, 0, 2, 3],
      [0, 1, 1, 3],
      [1, 2, 3],
      [0, 1, 3],
      [0, 1, 2, 2, 3],
    ])
      // prettier-ignore
      await refused(chunks(...order));
  });

  test('by putting a chunk of another file there, or another header, is noticed', async () => {
    const other = reference.sealFile(randomBytes(32), randomBytes(16), plaintext);
    const sameKey = reference.sealFile(Buffer.from(file.key, 'base64url'), randomBytes(16), plaintext);
    for (const from of [other, sameKey]) {
      await refused(Buffer.concat([header(from), sealed.subarray(HEADER)]));
      await refused(Buffer.concat([sealed.subarray(0, placeOf(1)), chunk(from, 1), sealed.subarray(placeOf(2))]));
      await refused(Buffer.concat([sealed.subarray(0, placeOf(3)), chunk(from, 3)]));
    }
    await refused(other);
  });

  test('is noticed with another key, too', async () => {
    await refused(sealed, { ...file, key: randomBytes(32).toString('base64url') });
    await refused(sealed, { ...file, key: 'none' });
  });

  test('in a range is noticed there, and not elsewhere', async () => {
    const bytes = Buffer.from(sealed);
    bytes[placeOf(1) + 5]! ^= 1;
    shelf.files.set(file.id, bytes);
    const read = (start: number, end: number) => buffer(files.open(file, { start, end }));
    expect((await read(0, CHUNK)).equals(plaintext.subarray(0, CHUNK))).toBe(true);
    expect((await read(2 * CHUNK, size)).equals(plaintext.subarray(2 * CHUNK))).toBe(true);
    await expect(read(CHUNK, CHUNK + 1)).rejects.toMatchObject({ code: 'damaged_file' });
  });

  test('in an empty file is noticed', async () => {
    const empty = shelved(Buffer.alloc(0));
    expect((await files.blob(empty)).size).toBe(0);
    const bytes = Buffer.from(shelf.files.get(empty.id)!);
    bytes[20]! ^= 1;
    shelf.files.set(empty.id, bytes);
    await expect(files.blob(empty)).rejects.toMatchObject({ code: 'damaged_file' });
  });
});

describe('a reference that somebody sent', () => {
  const whole: FileReference = {
    id: randomUUID(),
    key: randomBytes(32).toString('base64url'),
    name: 'Größe 1.png',
    type: 'image/png',
    size: 5,
    thumbnail: 'data:image/webp;base64,AAAA',
    width: 3,
    height: 4,
  };

  test('is taken as it is', () => {
    expect(readFileReference(JSON.parse(JSON.stringify(whole)))).toEqual(whole);
    const { id, key, name, type, size } = whole;
    expect(readFileReference({ id, key, name, type, size })).toEqual({ id, key, name, type, size });
  });

  test('that leads nowhere is none', () => {
    for (const value of [
      undefined,
      null,
      1,
      'x',
      [],
      {},
      { ...whole, id: '../../api/account' },
      { ...whole, key: 'short' },
      { ...whole, key: 1 },
      { ...whole, size: -1 },
      { ...whole, size: 1.5 },
      { ...whole, size: '5' },
      { ...whole, id: undefined },
    ])
      // prettier-ignore
      expect(readFileReference(value)).toBeUndefined();
  });

  test('has a name for a folder, and nothing that loads or deceives', () => {
    const read = (fields: object) => readFileReference({ ...whole, ...fields })!;
    const names = { '../../etc/passwd': '.._.._etc_passwd', 'a\\b': 'a_b', 'photo\u202egnp.exe': 'photo_gnp.exe', '..': 'file', ' ': 'file', 'a\0b\n': 'a_b_' }; // prettier-ignore
    for (const [name, plain] of Object.entries(names)) expect(read({ name }).name).toBe(plain);
    expect(read({ name: 7 }).name).toBe('file');
    expect(read({ name: 'x'.repeat(1000) }).name).toHaveLength(255);
    expect(read({ type: 'Text/HTML; charset=utf-8' }).type).toBe('text/html');
    for (const type of ['', 'x', 'a/b/c', 'a b/c', 3]) expect(read({ type }).type).toBe('application/octet-stream');
    for (const thumbnail of [
      'https://example.org/a.png',
      'data:image/svg+xml;base64,AAAA',
      'data:text/html;base64,AAAA',
      `data:image/png;base64,${'A'.repeat(30_000)}`,
      5,
    ])
      // prettier-ignore
      expect(read({ thumbnail }).thumbnail).toBeUndefined();
    for (const width of [0, -1, 1.5, '3']) expect(read({ width })).not.toHaveProperty('width');
  });
});
