import { accessSync, constants, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnSync } from 'node:child_process';
import type { AxeResults } from 'axe-core';
import jsQR from 'jsqr';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, jest } from '@jest/globals';
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core';
import { PNG } from 'pngjs';
// eslint-disable-next-line @typescript-eslint/ban-ts-comment
// @ts-ignore -- plain JavaScript, without types
import { buildWhenNeeded, parts } from '../../scripts/parts.mjs';
import { cleanUp, later } from './database.js';
import { isInstalled } from './programs.js';
import { TestServer, type ServerOptions } from './server.js';

// The web client as people have it: built, served by the real server, in a real browser.

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
/** So long a page may take for what it is waited for. */
const PATIENCE_MS = 15_000;
// A test is many such steps, and browsers are slow on a busy machine.
jest.setTimeout(120_000);

const hasChromium = isInstalled('chromium', {
  leavesOut: 'the tests of the web client in a browser',
  get: 'apt-get install chromium',
});

/** The folder with the web client, built anew when its sources have changed. WEB_FOLDER names another build. */
async function builtWebClient(): Promise<string> {
  if (process.env.WEB_FOLDER !== undefined) return process.env.WEB_FOLDER;
  // Test files run side by side, and one of them is to build: Postgres, which they share, keeps the others waiting.
  const client = new pg.Client({ connectionString: process.env.TEST_POSTGRES_URL });
  await client.connect();
  try {
    await client.query(`SELECT pg_advisory_lock(hashtext('web client'))`);
    const problem = (buildWhenNeeded as (part: object, options: object) => string | undefined)(parts.web, {
      quiet: true,
    });
    if (problem !== undefined) throw new Error(problem);
  } finally {
    await client.end();
  }
  return join(PROJECT, 'web/dist');
}

/** The server with the web client; it stops after the test. */
export async function serverWithPage(options: ServerOptions = {}): Promise<TestServer> {
  const server = await TestServer.start({ webFolder: await builtWebClient(), ...options });
  later(() => server.stop());
  return server;
}

export type OpenOptions = BrowserContextOptions & {
  /** Console errors that belong to the test: a browser tells of each request that fails. */
  expected?: RegExp[];
};

/** Everything that a page sent to its server. */
export interface Sent {
  requests: { url: string; body: string }[];
  frames: string[];
}

/**
 * Tests of pages, in a Chromium of their own; left out where there is none. After each of them everything is stopped, and no
 * page may have done what none may ever do.
 */
export function inChromium(name: string, tests: (chromium: Chromium) => void): void {
  (hasChromium ? describe : describe.skip)(name, () => {
    const chromium = new Chromium();
    beforeAll(() => chromium.start());
    afterAll(() => chromium.stop());
    afterEach(async () => {
      await cleanUp();
      expect(chromium.takeFaults()).toEqual([]);
    });
    tests(chromium);
  });
}

/** A chromium for a test file. Each test has contexts of its own, which are browsers to the server. */
export class Chromium {
  /** What no page may ever do: talk to another host, be stopped by its policy, fail. */
  readonly faults: string[] = [];

  private browser: Browser | undefined;

  async start(): Promise<void> {
    const executablePath = process.env.PATH!.split(delimiter).map((folder) => join(folder, 'chromium')).find(isExecutable); // prettier-ignore
    this.browser = await chromium.launch({
      executablePath,
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
  }

  /** Another browser, as it is when somebody first opens the page. */
  async context(server: { url: string }, { expected = [], ...options }: OpenOptions = {}): Promise<WatchedContext> {
    const context = await this.browser!.newContext({
      baseURL: server.url,
      locale: 'en-GB',
      timezoneId: 'Europe/Berlin',
      viewport: { width: 1180, height: 760 },
      ...options,
    });
    later(() => context.close());
    context.setDefaultTimeout(PATIENCE_MS);
    const sent: Sent = { requests: [], frames: [] };
    const { host } = new URL(server.url);
    const fault = (what: string) => {
      if (!expected.some((pattern) => pattern.test(what))) this.faults.push(what);
    };
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
        console.error(`Policy: ${violatedDirective} stopped ${blockedURI}`),
      );
    });
    context.on('request', (request) => {
      const url = new URL(request.url());
      sent.requests.push({ url: url.href, body: request.postData() ?? '' });
      if (/^(https?|wss?):$/.test(url.protocol) && url.host !== host) fault(`A request to ${url.href}`);
    });
    context.on('console', (message) => {
      if (message.type() === 'error') fault(`Console: ${message.text()} (${message.location().url})`);
    });
    context.on('weberror', (error) => fault(`Uncaught: ${error.error().stack}`));
    context.on('page', (page) => {
      page.on('crash', () => fault('A page crashed'));
      page.on('websocket', (socket) => {
        if (new URL(socket.url()).host !== host) fault(`A connection to ${socket.url()}`);
        sent.frames.push(socket.url());
        socket.on('framesent', ({ payload }) => sent.frames.push(payload.toString()));
      });
    });
    return Object.assign(context, { sent });
  }

  /** A new browser with the page open. */
  async open(server: { url: string }, options: OpenOptions = {}): Promise<Page & { sent: Sent }> {
    const context = await this.context(server, options);
    const page = await context.newPage();
    await page.goto('/');
    return Object.assign(page, { sent: context.sent });
  }

  /** What pages did since the last call that they must never do; to be compared with nothing after each test. */
  takeFaults(): string[] {
    return this.faults.splice(0);
  }

  async stop(): Promise<void> {
    await this.browser?.close();
  }
}

export type WatchedContext = BrowserContext & { sent: Sent };

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// Reading the code off the screen, as a camera does

/** The pixels of the page with the code on it, once there is one. */
export async function photograph(page: Page): Promise<Buffer> {
  await page.getByRole('img', { name: /QR code/ }).waitFor();
  return page.screenshot();
}

/** What the code in a picture says, by jsQR. */
export function decode(png: Buffer): string {
  const { width, height, data } = PNG.sync.read(png);
  const found = jsQR.default(new Uint8ClampedArray(data), width, height);
  if (found === null) throw new Error('No code can be read off this picture');
  return found.data;
}

/** The same by another program, zbarimg. */
export function decodeWithZbar(png: Buffer): string {
  const { status, stdout, stderr } = spawnSync('zbarimg', ['--quiet', '--raw', '-'], { input: png, encoding: 'utf8' });
  if (status !== 0) throw new Error(`zbarimg: ${stderr}`);
  return stdout.trim();
}

/** Waits for the conversations of a browser that was let in. */
export async function linked(page: Page): Promise<void> {
  await page.getByRole('heading', { name: 'Pairline', exact: true }).waitFor();
}

/** The link beside the code. */
export function shownLink(page: Page): Promise<string> {
  return page.getByLabel('Paste this link').inputValue();
}

/** Opens the page in a new browser and lets it in. */
export async function openLinked(
  chromium: Chromium,
  server: { url: string },
  phone: { pair(code: string): Promise<void> },
  options: OpenOptions = {},
): Promise<Page & { sent: Sent }> {
  const page = await chromium.open(server, options);
  await phone.pair(await shownLink(page));
  await linked(page);
  return page;
}

/** The conversation's line in the list. */
export function inList(page: Page, name: string) {
  return page.getByRole('list', { name: 'Conversations' }).getByRole('listitem').filter({ hasText: name });
}

/** Where things stand, as the line above the list (or the thread) says. */
export function status(page: Page, words: string | RegExp) {
  return page.getByRole('status').filter({ hasText: words, visible: true }).first();
}

/** The bubble with this text, in the thread that is open. */
export function bubble(page: Page, text: string) {
  return page.getByRole('list', { name: 'Messages' }).getByRole('listitem').filter({ hasText: text });
}

export async function openConversation(page: Page, name: string): Promise<void> {
  await inList(page, name).getByRole('link').click();
  await page.getByRole('heading', { name, level: 1 }).waitFor();
}

export async function write(page: Page, text: string): Promise<void> {
  await page.getByRole('textbox', { name: 'Message' }).fill(text);
  await page.getByRole('textbox', { name: 'Message' }).press('Enter');
}

export async function openSettings(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByRole('heading', { name: 'Linked devices' }).waitFor();
}

/** Resolves once `check` passes; where nothing tells of the change, it is looked at again every so often. */
export async function soon<T>(check: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + PATIENCE_MS; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

/** What axe finds wrong with the page as it stands: all in light, the colours again in dark. */
export async function wrong(page: Page, view: string): Promise<string[]> {
  const found: string[] = [];
  await page.evaluate(axe);
  for (const [colorScheme, rules] of [
    ['dark', ['color-contrast']],
    ['light', undefined],
  ] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(async (only) => {
      const { axe } = globalThis as unknown as { axe: { run: (options: object) => Promise<AxeResults> } };
      return axe.run(only ? { runOnly: only } : {});
    }, rules);
    for (const { id, help, nodes } of violations)
      found.push(`${view}, ${colorScheme}: ${id}, ${help}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} ${failureSummary}`).join('; ')}`); // prettier-ignore
  }
  return found;
}

// Pictures for the documentation

const PICTURES = join(PROJECT, 'docs/pictures');

/** Keeps what the page looks like as docs/pictures/<name>.png, when PICTURES=1 or when there is none yet. */
export async function picture(page: Page, name: string): Promise<void> {
  const path = join(PICTURES, `${name}.png`);
  if (process.env.PICTURES !== '1' && isReadable(path)) return;
  mkdirSync(PICTURES, { recursive: true });
  // Nothing is pointed at.
  await page.mouse.move(0, 0);
  await page.screenshot({ path, animations: 'disabled', caret: 'hide' });
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
