// The web client in a browser: how much there is to load, how soon something is to be seen, whether it stays smooth, and
// what encryption costs.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memoryStore, openPhone, openWebClient } from '@pairline/client';
import { io } from 'socket.io-client';
import { build } from 'vite';
import { Keyring } from '../../client/dist/keys/index.js';
import { note, seen, startChromium } from '../chromium.mjs';
import { median } from '../report.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const BUDGET_KB = 150;
const LIST_MS = 1000;
const CONVERSATIONS = 300;
const IN_LONG_ONE = 0.6;
const CODE = 'input[readonly]';
/** What shows that a page is there; `list` is also met by the words for an account with nothing in it. */
const SIGNS = { code: CODE, list: '.conversation-list li, .empty-state', row: '.conversation-list li', bubble: '[data-message]' }; // prettier-ignore

const number = (index) => `+4915${100_000_000 + index}`;

/** Messages of ten years: most of them in one conversation, the rest in 299 others. */
function history(count) {
  const start = Date.UTC(2016, 0, 1);
  return Array.from({ length: count }, (_, i) => {
    const index = i < count * IN_LONG_ONE ? 0 : 1 + (i % (CONVERSATIONS - 1));
    const timestamp = start + Math.floor((i / count) * 10 * 365 * 86_400_000);
    const text = `Message ${i}: the tram stopped at the bridge again, start without me and keep a seat by the window.`;
    return { id: `m${i}`, conversationId: `c${index}`, number: number(index), text, timestamp, type: i % 2 ? 'sent' : 'received', read: true }; // prettier-ignore
  });
}

const people = () => Array.from({ length: CONVERSATIONS }, (_, index) => ({ id: `c${index}`, number: number(index), name: `Person ${index}` })); // prettier-ignore

/** A phone of a new account, with what it has told. */
async function phoneWith(url, messages) {
  const phone = await openPhone({ url, store: memoryStore(), deviceName: 'Bench' });
  if (messages > 0) {
    await phone.putConversations(people());
    await phone.putMessages(history(messages));
  }
  return phone;
}

/** Kilobytes, gzipped, of the scripts that a page had loaded when something was first seen; what it reads ahead comes later. */
async function scripts(page, sign) {
  const paths = await page.evaluate((name) => {
    const loaded = performance.getEntriesByType('resource').filter(({ responseEnd }) => responseEnd <= globalThis.seen[name]); // prettier-ignore
    return loaded.map(({ name: url }) => new URL(url).pathname).filter((path) => path.endsWith('.js'));
  }, sign);
  return [...new Set(paths)].reduce((sum, path) => sum + statSync(join(root, 'web/dist', `${path}.gz`)).size, 0) / 1000;
}

/** The share of frames that came late, in percent, while a scroller moves by some pixels with each. */
function late(page, selector, seconds) {
  return page.evaluate(
    async ([wanted, milliseconds]) => {
      const scroller = document.querySelector(wanted);
      const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
      await frame();
      const begin = await frame();
      let drawn = 0;
      let now = begin;
      while (now - begin < milliseconds) {
        scroller.scrollTop -= 40;
        now = await frame();
        drawn++;
      }
      const due = (now - begin) / (1000 / 60);
      return Math.max(0, (1 - drawn / due) * 100);
    },
    [selector, seconds * 1000],
  );
}

/** A page with nothing but as many plain lines, for comparison. */
async function plainScroller(browser, lines) {
  const page = await browser.newPage({ viewport: { width: 1180, height: 760 } });
  await page.setContent(`<div id="plain" style="height:700px;overflow:auto">${Array.from({ length: lines }, (_, i) => `<p>Message ${i}</p>`).join('')}</div>`); // prettier-ignore
  await page.evaluate(() => document.getElementById('plain').scrollTo(0, 1e9));
  return page;
}

/** The keyring of the client library as one script that a page can run. */
async function keyringScript() {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: { write: false, minify: false, lib: { entry: join(root, 'client/dist/keys/index.js'), formats: ['es'], fileName: 'keys' } }, // prettier-ignore
  });
  const { output } = Array.isArray(result) ? result[0] : result;
  return new Map(output.map((chunk) => [`/${chunk.fileName}`, chunk.code]));
}

/** Messages a second that a page seals and opens, and that it writes and reads as plain JSON. */
async function cryptography(browser, url, count) {
  const files = await keyringScript();
  const page = await browser.newPage();
  const [entry] = files.keys();
  await page.route(`${url}/**`, (route) => {
    const code = files.get(new URL(route.request().url()).pathname);
    return code === undefined
      ? route.fulfill({ contentType: 'text/html', body: '<title>Keys</title>' })
      : route.fulfill({ contentType: 'text/javascript', body: code });
  });
  await page.goto(url);
  return page.evaluate(
    async ([path, messages]) => {
      const { Keyring } = await import(path);
      const keyring = await Keyring.create('account', 'device');
      const text = 'Running ten minutes late, the tram stopped at the bridge again. Start without me. ';
      const value = { number: '+4915112345678', text, type: 'received', timestamp: 1, conversationId: 'c1' };
      const all = (work) => Promise.all(Array.from({ length: 500 }, (_, i) => work(i)));
      const rate = async (work) => {
        await work();
        const begin = performance.now();
        for (let done = 0; done < messages; done += 500) await work();
        return (messages / (performance.now() - begin)) * 1000;
      };
      const sealed = await all((i) => keyring.seal('message', `m${i}`, value));
      const plain = JSON.stringify(value);
      return {
        seal: await rate(() => all((i) => keyring.seal('message', `m${i}`, value))),
        open: await rate(() => all((i) => keyring.open('message', `m${i}`, sealed[i]))),
        write: await rate(() => all(async () => JSON.stringify(value))),
        read: await rate(() => all(async () => JSON.parse(plain))),
      };
    },
    [entry, count],
  );
}

/**
 * A phone and a browser, both by hand as far as they can be, so that only the keys make the difference: the phone is a bare
 * socket, the browser the client library.
 */
async function ends(url, encrypted) {
  const store = memoryStore();
  let keyring;
  let credentials = { deviceId: `bench-${Math.random()}` };
  const web = await openWebClient({ url, store: memoryStore() });
  const pairing = web.pair({ deviceName: 'Bench', remember: true });
  const code = await new Promise((resolve) => {
    const look = () => pairing.state.code && resolve(pairing.state.code);
    pairing.on('state', look);
    look();
  });
  const live = new Promise((resolve) => web.on('state', ({ phase }) => phase === 'live' && resolve(undefined)));
  if (encrypted) {
    const phone = await openPhone({ url, store, deviceName: 'Bench' });
    await phone.pair(code);
    await live;
    const saved = await store.read(async (tx) => ({
      phone: await tx.value('phone'),
      keyring: await tx.value('keyring'),
    }));
    await phone.close();
    keyring = Keyring.load(saved.keyring);
    credentials = { deviceId: saved.phone.deviceId, deviceToken: saved.phone.deviceToken };
  }
  const socket = io(url, { transports: ['websocket'], reconnection: false, forceNew: true });
  await socket.emitWithAck('mobile:register', { ...credentials, deviceName: 'Bench', deviceModel: 'Load' });
  if (!encrypted) {
    await socket.emitWithAck('mobile:scan-qr', { qrData: code, deviceId: credentials.deviceId });
    await live;
  }
  let count = 0;
  /** Milliseconds from the phone's having a text until the browser can show it. */
  const relay = async () => {
    const id = `r${count++}`;
    const timestamp = Date.now();
    const text = 'Running ten minutes late, the tram stopped at the bridge again. Start without me.';
    const told = { number: '+4915112345678', text, type: 'received', timestamp, conversationId: 'c1' };
    const begin = performance.now();
    const shown = new Promise((resolve) => {
      const off = web.on('messages', async () => {
        if ((await web.message(id))?.text !== text) return;
        off();
        resolve(performance.now());
      });
    });
    const [phoneNumber, body] = keyring ? await Promise.all([keyring.alias(told.number), keyring.seal('message', id, told)]) : [told.number, text]; // prettier-ignore
    socket.emit('mobile:messages', { messages: [{ id, conversationId: 'c1', phoneNumber, body, timestamp, type: 'received', read: false }] }); // prettier-ignore
    return (await shown) - begin;
  };
  const close = async () => {
    socket.disconnect();
    await web.close();
  };
  return { relay, close };
}

/** @param {import('../bench.mjs').Bench} bench */
export async function web(bench) {
  const messages = bench.quick ? 10_000 : 100_000;
  const server = await bench.ours();
  const url = `http://127.0.0.1:${server.port}`;
  const browser = await startChromium();
  const closing = [() => browser.close()];
  try {
    const open = async () => {
      const context = await browser.newContext({ viewport: { width: 1180, height: 760 } });
      await note(context, SIGNS);
      const page = await context.newPage();
      await page.goto(url);
      await seen(page, 'code');
      return page;
    };
    const link = async (page, phone) => {
      await phone.pair(await page.locator(CODE).inputValue());
      await seen(page, 'list');
    };
    const runs = { pairing: [], linked: [], scanned: [], reopened: [], full: [], empty: [], late: [], plainLate: [], seal: [], open: [], write: [], read: [], sealed: [], plain: [] }; // prettier-ignore

    bench.say(`  telling ${messages} messages`);
    const phones = { full: await phoneWith(url, messages), empty: await phoneWith(url, 0) };
    closing.push(
      () => phones.full.close(),
      () => phones.empty.close(),
    );
    const pages = { full: await open(), empty: await open() };
    runs.pairing.push(await scripts(pages.full, 'code'));
    await link(pages.full, phones.full);
    await link(pages.empty, phones.empty);
    bench.say('  a browser takes them over');
    await pages.full.getByText('Phone connected').first().waitFor({ timeout: 600_000 });
    await pages.empty.getByText('Phone connected').first().waitFor();
    // What people do first, in an account of usual size.
    const small = await phoneWith(url, 1000);
    closing.push(() => small.close());

    const secrecy = await ends(url, true);
    const openly = await ends(url, false);
    closing.push(secrecy.close, openly.close);
    const plain = await plainScroller(browser, 5000);

    for (let round = 0; round <= bench.rounds; round++) {
      const run = {};
      for (const size of ['full', 'empty']) {
        await pages[size].goto('about:blank');
        await pages[size].goto(url);
        run[size] = await seen(pages[size], 'list');
        if (size === 'full') run.linked = await scripts(pages.full, 'list');
      }

      const fresh = await open();
      const begin = performance.now();
      await small.pair(await fresh.locator(CODE).inputValue());
      await seen(fresh, 'row');
      await fresh.locator('.conversation-list li a').first().click();
      await seen(fresh, 'bubble');
      run.scanned = performance.now() - begin;
      await fresh.goto('about:blank');
      const again = performance.now();
      await fresh.goto(url);
      await seen(fresh, 'row');
      await fresh.locator('.conversation-list li a').first().click();
      await seen(fresh, 'bubble');
      run.reopened = performance.now() - again;
      await fresh.context().close();

      await pages.full.goto(`${url}/#/c/c0`);
      await seen(pages.full, 'bubble');
      run.late = await late(pages.full, '.thread-scroller', bench.seconds);
      run.plainLate = await late(plain, '#plain', bench.seconds);

      Object.assign(run, await cryptography(browser, url, bench.quick ? 5000 : 50_000));

      const times = { sealed: [], plain: [] };
      for (let i = 0; i < (bench.quick ? 100 : 500); i++) {
        times.sealed.push(await secrecy.relay());
        times.plain.push(await openly.relay());
      }
      run.sealed = median(times.sealed);
      run.plain = median(times.plain);

      // The first finds everything cold.
      if (round === 0) continue;
      for (const [name, value] of Object.entries(run)) runs[name].push(value);
      (bench.runs.web ??= []).push(run);
      bench.say(`  web: list of ${messages} after ${Math.round(run.full)} ms, ${run.late.toFixed(1)} % of frames late, ${Math.round(run.open)} opened/s`); // prettier-ignore
    }

    const budget = [BUDGET_KB];
    const k = messages / 1000;
    return [
      { measure: 'JavaScript of a first load that shows a code, gzipped, vs the budget', unit: 'kB', ours: runs.pairing, reference: budget, must: { atMost: 1 } }, // prettier-ignore
      { measure: 'JavaScript of a load that shows the list, gzipped, vs the budget', unit: 'kB', ours: runs.linked, reference: budget, must: { atMost: 1 } }, // prettier-ignore
      { measure: 'from scan to the first thread shown vs opening it when linked', unit: 'ms', ours: runs.scanned, reference: runs.reopened }, // prettier-ignore
      { measure: `opening ${k}k messages to the list vs the aim`, unit: 'ms', ours: runs.full, reference: [LIST_MS], aim: { atMost: 1 } }, // prettier-ignore
      { measure: `opening ${k}k messages to the list vs an empty account`, unit: 'ms', ours: runs.full, reference: runs.empty }, // prettier-ignore
      { measure: 'frames late while a thread scrolls vs a page of plain lines', unit: '%', ours: runs.late, reference: runs.plainLate, aim: { plusAtMost: 5 } }, // prettier-ignore
      {
        measure: 'messages sealed in the browser vs JSON.stringify',
        unit: '/s',
        ours: runs.seal,
        reference: runs.write,
      },
      { measure: 'messages opened in the browser vs JSON.parse', unit: '/s', ours: runs.open, reference: runs.read },
      { measure: 'phone → browser, p50: encrypted vs the same client without keys', unit: 'ms', ours: runs.sealed, reference: runs.plain, aim: { atMost: 1.1 } }, // prettier-ignore
    ];
  } finally {
    for (const close of closing.reverse()) await close();
  }
}
