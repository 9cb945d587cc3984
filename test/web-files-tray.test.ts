import { expect, test } from '@jest/globals';
import type { FileReference, FilesClient, FileSource, UploadOptions } from '@pairline/client';
import { ClientError } from '@pairline/client';
import { Tray, type TrayFile } from '../web/src/files/tray.js';

// What is kept of files that go with the next message (web/src/files/tray.ts), with a client that does what it is told.

interface Upload {
  file: FileSource;
  options: UploadOptions;
  resolve: (more?: Partial<FileReference>) => void;
  reject: (error: Error) => void;
}

/** Uploads that end when the test says so. */
function aClient(largest = 1000) {
  const uploads: Upload[] = [];
  const removed: string[] = [];
  const files = {
    maxSize: async () => largest,
    remove: async (id: string) => void removed.push(id),
    upload: (file: FileSource, options: UploadOptions) =>
      new Promise<FileReference>((resolve, reject) => {
        const id = `upload-${uploads.length}`;
        options.signal!.addEventListener('abort', () => reject(options.signal!.reason as Error));
        const reference = { id, key: 'k', name: file.name!, type: file.type!, size: file.size };
        uploads.push({ file, options, reject, resolve: (more) => resolve({ ...reference, ...more }) });
      }),
  };
  return { uploads, removed, tray: new Tray(async () => files as unknown as FilesClient) };
}

const named = (...names: string[]) => names.map((name) => new File(['abc'], name));

function states(tray: Tray): string[] {
  return tray.list().map(({ file, state }) => `${file.name} ${state}`);
}

/** Resolves once the tray shows what is looked for. */
function shows(tray: Tray, look: (rows: readonly TrayFile[]) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!look(tray.list())) return;
      leave();
      resolve();
    };
    const leave = tray.subscribe(check);
    check();
  });
}

const count = (state: string, wanted: number) => (rows: readonly TrayFile[]) => rows.filter((row) => row.state === state).length === wanted; // prettier-ignore

/** Resolves once so many uploads have begun. */
async function begun(uploads: Upload[], wanted: number): Promise<void> {
  while (uploads.length < wanted) await new Promise((resolve) => setImmediate(resolve));
}

test('two files are uploaded at a time, in the order in which they were chosen', async () => {
  const { tray, uploads } = aClient();
  tray.add(named('a', 'b', 'c', 'd'));
  await begun(uploads, 2);
  expect(states(tray)).toEqual(['a sending', 'b sending', 'c queued', 'd queued']);
  uploads[1]!.resolve();
  await begun(uploads, 3);
  expect(states(tray)).toEqual(['a sending', 'b ready', 'c sending', 'd queued']);
  expect(uploads[2]!.file.name).toBe('c');
});

test('nothing is taken while one of them is not ready; then all, once', async () => {
  const { tray, uploads } = aClient();
  tray.add(named('a', 'b'));
  await begun(uploads, 2);
  uploads[0]!.resolve();
  await shows(tray, count('ready', 1));
  expect(tray.take()).toBeUndefined();
  expect(tray.list()).toHaveLength(2);
  uploads[1]!.resolve();
  await shows(tray, count('ready', 2));
  expect(tray.take()!.groups.map((group) => group.map(({ name }) => name))).toEqual([['a', 'b']]);
  expect(tray.list()).toEqual([]);
  expect(tray.take()!.groups).toEqual([]);
});

test('what could not be sent is put back before what came since', async () => {
  const { tray, uploads } = aClient();
  tray.add(named('a'));
  await begun(uploads, 1);
  uploads[0]!.resolve();
  await shows(tray, count('ready', 1));
  const { putBack } = tray.take()!;
  tray.add(named('b'));
  putBack();
  await begun(uploads, 2);
  expect(states(tray)).toEqual(['a ready', 'b sending']);
});

test('what is too large fails at once, whatever is before it', async () => {
  const { tray, uploads } = aClient(5);
  tray.add([...named('a', 'b', 'c'), new File(['too long'], 'd')]);
  await shows(tray, count('failed', 1));
  expect(tray.list()[3]).toMatchObject({ state: 'failed', problem: 'file_too_large', largest: 5 });
  await begun(uploads, 2);
  expect(uploads).toHaveLength(2);
});

test('one that fails says why, holds up no other, and is tried again as a new one', async () => {
  const { tray, uploads } = aClient();
  tray.add(named('a', 'b', 'c'));
  await begun(uploads, 2);
  uploads[0]!.reject(new ClientError('files_full', 'no room'));
  await begun(uploads, 3);
  expect(tray.list()[0]).toMatchObject({ state: 'failed', problem: 'files_full' });
  for (const upload of uploads.slice(1)) upload.resolve();
  await shows(tray, count('ready', 2));
  expect(tray.take()).toBeUndefined();
  tray.retry(tray.list()[0]!.key);
  await begun(uploads, 4);
  expect(tray.list()[0]).toMatchObject({ state: 'sending', done: 0, problem: undefined });
});

test('one that is taken out is given up, and if it was ready it goes from the server', async () => {
  const { tray, uploads, removed } = aClient();
  tray.add(named('a', 'b', 'c'));
  await begun(uploads, 2);
  uploads[0]!.resolve();
  await shows(tray, count('ready', 1));
  const [a, b] = tray.list();
  tray.remove(b!.key);
  expect(uploads[1]!.options.signal!.aborted).toBe(true);
  tray.remove(a!.key);
  await begun(uploads, 3);
  expect(states(tray)).toEqual(['c sending']);
  expect(removed).toEqual(['upload-0']);
});

test('waiting for the connection is shown, and how far it is', async () => {
  const { tray, uploads } = aClient();
  tray.add(named('a'));
  await begun(uploads, 1);
  uploads[0]!.options.onProgress!({ done: 2, size: 3 });
  expect(tray.list()[0]).toMatchObject({ state: 'sending', done: 2 });
  uploads[0]!.options.onProgress!({ done: 2, size: 3, waiting: true });
  expect(tray.list()[0]).toMatchObject({ state: 'waiting', done: 2 });
});

test('more than goes in one message goes in several: by number, and by the length of the thumbnails', async () => {
  const { tray, uploads } = aClient();
  tray.add(named(...Array.from({ length: 17 }, (_, i) => `file-${i}`)));
  for (let i = 0; i < 17; i++) {
    await begun(uploads, i + 1);
    uploads[i]!.resolve(i < 5 ? { thumbnail: 'x'.repeat(12_000) } : {});
  }
  await shows(tray, count('ready', 17));
  const { groups } = tray.take()!;
  expect(groups.map(({ length }) => length)).toEqual([3, 10, 4]);
  expect(groups.flat().map(({ name }) => name)).toEqual(Array.from({ length: 17 }, (_, i) => `file-${i}`));
  for (const group of groups) expect(JSON.stringify(group).length).toBeLessThan(44_000);
});

test('a long text leaves less room beside it, or none', async () => {
  const groupsWith = async (text: string) => {
    const { tray, uploads } = aClient();
    tray.add(named('a', 'b', 'c'));
    for (let i = 0; i < 3; i++) {
      await begun(uploads, i + 1);
      uploads[i]!.resolve({ thumbnail: 'x'.repeat(12_000) });
    }
    await shows(tray, count('ready', 3));
    return tray.take(text)!.groups.map(({ length }) => length);
  };
  expect(await groupsWith('short')).toEqual([3]);
  expect(await groupsWith('x'.repeat(10_000))).toEqual([2, 1]);
  expect(await groupsWith('語'.repeat(10_000))).toEqual([1, 2]);
  expect(await groupsWith('語'.repeat(12_000))).toEqual([0, 3]);
});
