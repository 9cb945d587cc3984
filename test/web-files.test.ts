import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { FileReference } from '@pairline/client';
import type { AxeResults } from 'axe-core';
import jpeg from 'jpeg-js';
import type { Page } from 'playwright-core';
import { later, query, temporaryFolder } from './support/database.js';
import { inChromium, soon, type OpenOptions } from './support/page.js';
import { TestServer, type ServerOptions } from './support/server.js';

// The components of web/src/files, on a page with nothing else (test/support/files-page).

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FAILED_REQUEST = /Failed to load resource|ERR_INTERNET_DISCONNECTED|ERR_FAILED/;

let pageFolder: string;
beforeAll(() => {
  pageFolder = mkdtempSync(join(tmpdir(), 'pairline-files-page-'));
  const folder = 'test/support/files-page';
  const vite = ['node_modules/vite/bin/vite.js', 'build', folder, '--config', `${folder}/vite.config.mjs`];
  const env = { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '' };
  const { status, stderr } = spawnSync(process.execPath, [...vite, '--outDir', pageFolder, '--emptyOutDir'], {
    encoding: 'utf8',
    env,
  });
  if (status !== 0) throw new Error(stderr);
});
afterAll(() => rmSync(pageFolder, { recursive: true }));

/** A photograph as a camera writes it: on its side, which it says beside the pixels, with where it was taken. */
function photograph(width = 900, height = 600): Buffer {
  const data = Buffer.alloc(4 * width * height, 255);
  for (let i = 0; i < width * height; i++) {
    data[4 * i] = ((i % width) * 255) / width;
    data[4 * i + 1] = (i / 7) % 256;
  }
  const { data: plain } = jpeg.encode({ data, width, height }, 80);
  // TIFF, big-endian, with one entry: orientation 6, to be turned by a quarter.
  const exif = Buffer.from('4578696600004d4d002a000000080001011200030000000100060000000000000000', 'hex');
  const camera = Buffer.concat([exif, Buffer.from('at home, 52.5 N 13.4 E')]);
  const segment = Buffer.from([0xff, 0xe1, 0, 0]);
  segment.writeUInt16BE(camera.length + 2, 2);
  return Buffer.concat([plain.subarray(0, 2), segment, camera, plain.subarray(2)]);
}

const tray = (page: Page) => page.getByRole('list', { name: 'Files to send' });
const row = (page: Page, name: string) => tray(page).getByRole('listitem').filter({ hasText: name });

function choose(page: Page, ...files: { name: string; mimeType: string; buffer: Buffer }[]): Promise<void> {
  return page.locator('input[type=file]').setInputFiles(files);
}

async function sendIt(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Send' }).click();
  await tray(page).waitFor({ state: 'detached' });
}

const bubbles = (page: Page) => page.getByRole('list', { name: 'Messages' }).getByRole('listitem');

/** What the thread would have got from another device. */
function show(page: Page, files: FileReference[]): Promise<void> {
  return page.evaluate((files) => (globalThis as unknown as { show: (files: unknown) => void }).show(files), files);
}

/** Uploads by the client of the page, without its components. */
function uploadedBy(page: Page, bytes: Buffer, name: string, type: string): Promise<FileReference> {
  return page.evaluate(
    async ([base64, name, type]) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const { client } = globalThis as unknown as { client: { files(): Promise<{ upload(file: File): Promise<FileReference> }> } }; // prettier-ignore
      return (await client.files()).upload(new File([bytes], name, { type }));
    },
    [bytes.toString('base64'), name, type] as const,
  );
}

inChromium('files in a page', (chromium) => {
  async function aServer(options: ServerOptions = {}): Promise<TestServer> {
    const server = await TestServer.start({ dataDir: temporaryFolder(), ...options, webFolder: pageFolder });
    later(() => server.stop());
    return server;
  }

  async function open(options: ServerOptions = {}, more: OpenOptions = {}) {
    const server = await aServer(options);
    const page = await chromium.open(server, more);
    await page.getByRole('button', { name: 'Attach files' }).waitFor();
    return { server, page };
  }

  const placeOf = ({ env }: TestServer, { id }: FileReference) => join(env.dataDir, 'files', id.slice(0, 2), id);

  async function saved(page: Page, name: string | RegExp): Promise<{ name: string; bytes: Buffer }> {
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).first().click()]); // prettier-ignore
    return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
  }

  test('a photograph is uploaded, shown small and large the right way up, and saved as it was', async () => {
    const { page } = await open();
    const bytes = photograph();
    await choose(page, { name: 'Wannsee.jpg', mimeType: 'image/jpeg', buffer: bytes });
    await row(page, 'Wannsee.jpg').getByText('Ready to send').waitFor();
    await sendIt(page);
    const small = bubbles(page)
      .first()
      .getByRole('button', { name: /^Show the picture Wannsee.jpg, [\d.]+ kB$/ });
    const source = (await small.locator('img').getAttribute('src'))!;
    expect(source).toMatch(/^data:image\/webp;base64,/);
    expect(source.length).toBeLessThanOrEqual(12_000);
    const pixels = Buffer.from(source.split(',')[1]!, 'base64');
    for (const told of ['Exif', 'EXIF', 'at home', '52.5']) expect(pixels.includes(told)).toBe(false);
    const size = await small.locator('img').evaluate((image: HTMLImageElement) => [image.naturalWidth, image.naturalHeight]); // prettier-ignore
    expect(size).toEqual([213, 320]);

    await small.click();
    const viewer = page.getByRole('dialog', { name: 'Picture: Wannsee.jpg' });
    const large = viewer.getByRole('img', { name: 'Wannsee.jpg' });
    await soon(
      async () =>
      expect(await large.evaluate((image: HTMLImageElement) => [image.src.split(':')[0], image.naturalWidth, image.naturalHeight])).toEqual(['blob', 600, 900]), // prettier-ignore
    );
    const { name, bytes: kept } = await saved(page, /^Save Wannsee.jpg/);
    expect(name).toBe('Wannsee.jpg');
    expect(kept.equals(bytes)).toBe(true);
    await page.keyboard.press('Escape');
    await viewer.waitFor({ state: 'detached' });
    expect(await small.evaluate((button) => button === document.activeElement)).toBe(true);
  });

  test('several pictures are gone through by keys and by buttons', async () => {
    const { page } = await open();
    const names = ['one.jpg', 'two.jpg', 'three.jpg'];
    await choose(page, ...names.map((name, i) => ({ name, mimeType: 'image/jpeg', buffer: photograph(60 + i, 40) })));
    for (const name of names) await row(page, name).getByText('Ready to send').waitFor();
    await sendIt(page);
    await bubbles(page).first().getByRole('button', { name: /two.jpg/ }).click(); // prettier-ignore
    const title = page.getByRole('dialog').getByRole('heading');
    const shows = (name: string, place: string) =>
      soon(async () => {
        expect(await title.innerText()).toContain(name);
        expect(await page.getByRole('dialog').innerText()).toContain(place);
      });
    await shows('two.jpg', '2 of 3');
    await page.keyboard.press('ArrowRight');
    await shows('three.jpg', '3 of 3');
    await page.keyboard.press('ArrowRight');
    await shows('three.jpg', '3 of 3');
    await page.getByRole('button', { name: 'Previous picture' }).click();
    await page.keyboard.press('ArrowLeft');
    await shows('one.jpg', '1 of 3');
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  test('what is no picture is shown by name and size, and saved, and never run', async () => {
    const { page } = await open();
    const bytes = Buffer.from('<script>document.title = "run"</script>'.repeat(100));
    await choose(page, { name: 'a page.html', mimeType: 'text/html', buffer: bytes });
    await row(page, 'a page.html').getByText('Ready to send').waitFor();
    await sendIt(page);
    await bubbles(page).first().getByText('3.9 kB').or(bubbles(page).first().getByText('4 kB')).waitFor();
    const { name, bytes: kept } = await saved(page, /^Save a page.html/);
    expect([name, kept.equals(bytes)]).toEqual(['a page.html', true]);
    expect(await page.title()).toBe('Files');
  });

  test('a picture without a small one can be looked at from its line', async () => {
    const { page } = await open();
    const file = await uploadedBy(page, photograph(60, 40), 'from a program.jpg', 'image/jpeg');
    await show(page, [{ ...file, thumbnail: undefined }]);
    await bubbles(page).first().getByRole('button', { name: 'Show from a program.jpg' }).click();
    await page.getByRole('dialog').getByRole('img', { name: 'from a program.jpg' }).waitFor();
  });

  test('files come by dropping and by pasting; a pasted text stays a text', async () => {
    const { page } = await open();
    const dispatch = (target: string, types: string[], withText = false) =>
      page.evaluate(
        ([target, types, withText]) => {
          const data = new DataTransfer();
          data.items.add(new File(['some bytes'], `${target}.txt`, { type: 'text/plain' }));
          if (withText) data.setData('text/plain', 'a text');
          const element = document.querySelector(target === 'pasted' ? 'textarea' : 'h1')!;
          const init = { bubbles: true, cancelable: true };
          return types.map((type) => !element.dispatchEvent(type === 'paste' ? new ClipboardEvent(type, { ...init, clipboardData: data }) : new DragEvent(type, { ...init, dataTransfer: data }))); // prettier-ignore
        },
        [target, types, withText] as const,
      );
    expect(await dispatch('dropped', ['dragenter', 'dragover'])).toEqual([true, true]);
    await page.getByText('Drop files here to send them').waitFor();
    await dispatch('dropped', ['dragleave']);
    await page.getByText('Drop files here to send them').waitFor({ state: 'detached' });
    await dispatch('dropped', ['dragenter', 'drop']);
    await row(page, 'dropped.txt').getByText('Ready to send').waitFor();
    await page.getByText('Drop files here to send them').waitFor({ state: 'detached' });
    expect(await dispatch('pasted', ['paste'], true)).toEqual([false]);
    expect(await dispatch('pasted', ['paste'])).toEqual([true]);
    await row(page, 'pasted.txt').getByText('Ready to send').waitFor();
    expect(await tray(page).getByRole('listitem').count()).toBe(2);
  });

  test('what is too large is said at once, and not sent', async () => {
    const { server, page } = await open({ limits: { fileBytes: 100_000 } });
    await choose(page, { name: 'long.bin', mimeType: 'video/mp4', buffer: Buffer.alloc(100_000) });
    await row(page, 'long.bin').getByText('It is too large: a file may have up to 100 kB here.').waitFor();
    await page.getByRole('status').getByText('long.bin: It is too large').waitFor({ state: 'attached' });
    expect(await page.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Take long.bin out' }).click();
    await tray(page).waitFor({ state: 'detached' });
    expect(await query(server.database.url, 'SELECT id FROM uploads')).toEqual([]);
  });

  test('an upload shows how far it is, and is given up at a press', async () => {
    const { server, page } = await open({}, { expected: [FAILED_REQUEST] });
    let parts = 0;
    await page.route('**/api/files/*', async (route) => {
      if (route.request().method() !== 'PATCH' || ++parts <= 2) await route.continue();
    });
    await choose(page, { name: 'film.bin', mimeType: 'video/mp4', buffer: randomBytes(3_000_000) });
    const progress = page.getByRole('progressbar', { name: 'Upload of film.bin' });
    await soon(async () => expect(Number(await progress.getAttribute('value'))).toBeGreaterThan(500_000));
    await row(page, 'film.bin').getByText(/^3 MB · [1-9]\d %$/).waitFor(); // prettier-ignore
    const gone = page.waitForResponse((response) => response.request().method() === 'DELETE');
    await page.getByRole('button', { name: 'Take film.bin out' }).click();
    await tray(page).waitFor({ state: 'detached' });
    expect((await gone).status()).toBe(204);
    expect(await query(server.database.url, 'SELECT id FROM uploads')).toEqual([]);
  });

  test('without a connection it waits, says so, and goes on by itself', async () => {
    const { page } = await open({}, { expected: [FAILED_REQUEST, /WebSocket connection/] });
    let parts = 0;
    await page.route('**/api/files/*', async (route) => {
      if (route.request().method() === 'PATCH' && ++parts === 2) await page.context().setOffline(true);
      await route.continue();
    });
    const bytes = randomBytes(2_000_000);
    await choose(page, { name: 'film.bin', mimeType: 'video/mp4', buffer: bytes });
    await row(page, 'film.bin').getByText('Waits for the connection').waitFor();
    await page.context().setOffline(false);
    await row(page, 'film.bin').getByText('Ready to send').waitFor();
    await sendIt(page);
    expect((await saved(page, /^Save film.bin/)).bytes.equals(bytes)).toBe(true);
  });

  test('what the server refuses is said in words, and can be tried again', async () => {
    const { page } = await open({}, { expected: [FAILED_REQUEST] });
    const refuse = { status: 413, contentType: 'application/json', body: JSON.stringify({ code: 'files_full', message: 'x' }) }; // prettier-ignore
    await page.route('**/api/files', (route) => (route.request().method() === 'POST' ? route.fulfill(refuse) : route.continue())); // prettier-ignore
    await choose(page, { name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('abc') });
    await row(page, 'a.txt').getByText(/Your account has no room for it/).waitFor(); // prettier-ignore
    await page.unroute('**/api/files');
    await page.getByRole('button', { name: 'Try a.txt again' }).click();
    await row(page, 'a.txt').getByText('Ready to send').waitFor();
  });

  test('a file that was altered or is gone is said so, and not shown', async () => {
    const { server, page } = await open({}, { expected: [FAILED_REQUEST] });
    const picture = await uploadedBy(page, photograph(60, 40), 'a.jpg', 'image/jpeg');
    const text = await uploadedBy(page, Buffer.from('abc'), 'b.txt', 'text/plain');
    const bytes = readFileSync(placeOf(server, picture));
    bytes[40]! ^= 1;
    writeFileSync(placeOf(server, picture), bytes);
    rmSync(placeOf(server, text));
    await show(page, [picture, text]);
    await bubbles(page).first().getByRole('button', { name: /Show the picture a.jpg/ }).click(); // prettier-ignore
    await page.getByRole('dialog').getByText(/^The file was changed on its way/).waitFor(); // prettier-ignore
    expect(await page.getByRole('button', { name: /^Save a.jpg/ }).isDisabled()).toBe(true);
    await page.keyboard.press('Escape');
    await bubbles(page).first().getByRole('button', { name: /^Save b.txt/ }).click(); // prettier-ignore
    await bubbles(page).first().getByText('This file is not there any more.').waitFor();
  });

  test('what was uploaded and not sent goes with the page', async () => {
    const { server, page } = await open();
    page.on('dialog', (dialog) => void dialog.accept());
    await choose(
      page,
      ...['a.txt', 'b.txt'].map((name) => ({ name, mimeType: 'text/plain', buffer: Buffer.from('abc') })),
    );
    for (const name of ['a.txt', 'b.txt']) await row(page, name).getByText('Ready to send').waitFor();
    expect(await query(server.database.url, 'SELECT id FROM uploads')).toHaveLength(2);
    await page.goto('about:blank');
    await soon(async () => expect(await query(server.database.url, 'SELECT id FROM uploads')).toEqual([]));
  });

  test('axe finds nothing wrong with it, in light and dark', async () => {
    const { page } = await open({ limits: { fileBytes: 500_000 } }, { expected: [FAILED_REQUEST] });
    // A request that is never answered keeps one under way.
    await page.route('**/api/files/*', (route) => (route.request().method() === 'PATCH' && (route.request().postDataBuffer()?.length ?? 0) > 200_000 ? undefined : route.continue())); // prettier-ignore
    await show(page, [
      await uploadedBy(page, photograph(60, 40), 'a.jpg', 'image/jpeg'),
      await uploadedBy(page, Buffer.from('abc'), 'b.txt', 'text/plain'),
      { id: crypto.randomUUID(), key: 'gone', name: 'c.pdf', type: 'application/pdf', size: 5 },
    ]);
    for (const button of await page.getByRole('button', { name: /^Save c.pdf/ }).all()) await button.click();
    await page
      .getByText('This file is not there any more.')
      .or(page.getByText(/changed on its way/))
      .first()
      .waitFor();
    const files = [['ready.txt', 10], ['way.bin', 300_000], ['large.bin', 600_000]] as const; // prettier-ignore
    await choose(page, ...files.map(([name, size]) => ({ name, mimeType: 'text/plain', buffer: Buffer.alloc(size) })));
    await row(page, 'ready.txt').getByText('Ready to send').waitFor();
    await row(page, 'large.bin').getByText(/too large/).waitFor(); // prettier-ignore
    await page.getByRole('progressbar').waitFor();
    await page.evaluate(axe);
    const wrong = async () => {
      const found: string[] = [];
      for (const theme of ['light', 'dark']) {
        await page.evaluate((theme) => (document.documentElement.dataset.theme = theme), theme);
        const { violations } = await page.evaluate(() =>
          (globalThis as unknown as { axe: { run: () => Promise<AxeResults> } }).axe.run(),
        );
        for (const { id, nodes } of violations) found.push(...nodes.map(({ html }) => `${theme} ${id}: ${html}`));
      }
      return found;
    };
    expect(await wrong()).toEqual([]);
    await page.getByRole('button', { name: /Show the picture a.jpg/ }).first().click(); // prettier-ignore
    await page.getByRole('dialog').getByRole('img', { name: 'a.jpg' }).waitFor();
    expect(await wrong()).toEqual([]);
  });

  test('it speaks German where the browser does', async () => {
    const page = await chromium.open(await aServer(), { locale: 'de-DE' });
    await page.getByRole('button', { name: 'Dateien anhängen' }).waitFor();
    await choose(page, { name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('abc') });
    await page.getByText('3 Byte · Bereit zum Senden').waitFor();
  });
});
