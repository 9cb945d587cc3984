import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readCode } from '@pairline/client';
import { phoneAt, told } from './support/client-ends.js';
import { later, temporaryFolder } from './support/database.js';
import { bubble, decode, decodeWithZbar, inChromium, inList, linked, openConversation, openLinked, openSettings, photograph, serverWithPage, shownLink, soon, write } from './support/page.js'; // prettier-ignore
import { isInstalled } from './support/programs.js';
import { runTypeScript } from './support/spawn.js';

// How a browser joins: by its code, as a camera sees it, or by the link beside it.

const hasZbar = isInstalled('zbarimg', {
  leavesOut: 'reading the code off the page with a second program',
  get: 'apt-get install zbar-tools',
});

inChromium('pairing in a browser', (chromium) => {
  test('a phone that reads the code off the screen lets the browser in, without a reload', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await chromium.open(server);
    let loads = 0;
    page.on('load', () => loads++);
    const text = decode(await photograph(page));
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('Hello from the phone')]);
    await phone.pair(text);
    await linked(page);
    await inList(page, 'Hello from the phone').waitFor();
    await openConversation(page, 'Bea');
    await bubble(page, 'Hello from the phone').waitFor();
    expect(loads).toBe(0);
  });

  test.each([
    ['light', { width: 1180, height: 760 }],
    ['dark', { width: 1180, height: 760 }],
    ['light', { width: 390, height: 844 }],
    ['dark', { width: 390, height: 844 }],
  ] as const)('the code can be read off a %s page of %o', async (colorScheme, viewport) => {
    const server = await serverWithPage();
    const page = await chromium.open(server, { colorScheme, viewport });
    const pixels = await photograph(page);
    const link = await shownLink(page);
    expect(readCode(decode(pixels))).toEqual(readCode(link));
  });

  (hasZbar ? test : test.skip)('another program reads the same off the pixels', async () => {
    const server = await serverWithPage();
    const page = await chromium.open(server);
    const pixels = await photograph(page);
    expect(decodeWithZbar(pixels)).toBe(decode(pixels));
  });

  test('neither the secret of the code nor anything of a conversation is ever sent in the clear', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const asked: string[] = [];
    server.app.getHttpServer().on('request', ({ url, headers }: { url: string; headers: object }) => asked.push(url + JSON.stringify(headers))); // prettier-ignore
    const page = await chromium.open(server);
    const text = await shownLink(page);
    const { token, secret } = readCode(text);
    await phone.pair(text);
    await linked(page);
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Rosalind' }]);
    await openConversation(page, 'Rosalind');
    await write(page, 'An answer');
    await bubble(page, 'An answer').getByText('Waiting for the phone').waitFor();

    const sent = [...asked, ...page.sent.requests.flatMap(({ url, body }) => [url, body]), ...page.sent.frames];
    // What is looked for would be found: the token is there, and so is what was written, sealed.
    expect(sent.some((text) => text.includes(token))).toBe(true);
    expect(page.sent.frames.some((text) => text.includes('web:send-message') && text.includes('pl1.1.'))).toBe(true);
    const bytes = Buffer.from(secret!, 'base64url');
    expect(bytes).toHaveLength(32);
    for (const spelling of [
      secret!,
      bytes.toString('base64'),
      bytes.toString('hex'),
      'An answer',
      '15112345678',
      'Rosalind',
    ])
      expect(sent.filter((text) => text.includes(spelling))).toEqual([]);
  });

  test('a code is renewed before it expires, and the new one lets in', async () => {
    const server = await serverWithPage({ pairingTtlMs: 8000 });
    const phone = await phoneAt(server.url);
    const page = await chromium.open(server);
    const first = await shownLink(page);
    await soon(async () => expect(await shownLink(page)).not.toBe(first));
    await phone.pair(decode(await photograph(page)));
    await linked(page);
  });

  test('keys that somebody in between put there are refused in words, and a new code works', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const stranger = await phoneAt(server.url);
    const page = await chromium.open(server);
    // The server answers with what another phone sealed for another code.
    const other = await chromium.open(server);
    const answer = other.waitForResponse('**/api/auth/wait-pairing');
    await stranger.pair(await shownLink(other));
    const { keys } = ((await (await answer).json()) as { data: { keys: string } }).data;
    let lies = 1;
    await page.route('**/api/auth/wait-pairing', async (route) => {
      const response = await route.fetch({ timeout: 0 });
      const body = (await response.json()) as { data: object };
      await route.fulfill({ response, json: lies-- > 0 ? { ...body, data: { ...body.data, keys } } : body });
    });
    await page.reload();
    await phone.pair(await shownLink(page));
    await page.getByRole('alert').getByText('Somebody may be in between').waitFor();
    await page.getByRole('button', { name: 'Try again' }).click();
    await phone.pair(await shownLink(page));
    await linked(page);
  });

  test('a browser that is not remembered is gone with its tab, and outlives a reload', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await chromium.open(server);
    const first = await shownLink(page);
    await page.getByRole('switch', { name: 'Remember this computer' }).click();
    await soon(async () => expect(await shownLink(page)).not.toBe(first));
    await phone.pair(await shownLink(page));
    await linked(page);
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('For this tab only')]);
    await inList(page, 'For this tab only').waitFor();
    await page.reload();
    await inList(page, 'For this tab only').waitFor();

    const another = await page.context().newPage();
    await another.goto('/');
    await shownLink(another);
    const stored = await another.evaluate(async () => {
      const stores: unknown[] = [Object.entries(localStorage)];
      for (const { name } of await indexedDB.databases()) {
        const db = await new Promise<IDBDatabase>((resolve) => {
          const request = indexedDB.open(name!);
          request.onsuccess = () => resolve(request.result);
        });
        for (const table of db.objectStoreNames)
          stores.push(
            await new Promise((resolve) => {
              const request = db.transaction(table).objectStore(table).getAll();
              request.onsuccess = () => resolve(request.result);
            }),
          );
        db.close();
      }
      return JSON.stringify(stores);
    });
    expect(stored).not.toMatch(/For this tab only|Bea|token|epochs/);
    await page.close();
  });

  test('a browser of the account lets another one in by its link, while the phone is away', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone);
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('For every browser')]);
    await inList(page, 'For every browser').waitFor();
    await phone.close();

    const second = await chromium.open(server);
    const link = await shownLink(second);
    await openSettings(page);
    await page.getByLabel('Link or code from the other browser').fill(link);
    await page.getByRole('button', { name: 'Let it in' }).click();
    await page.getByText('The other browser is linked').waitFor();
    await linked(second);
    await inList(second, 'For every browser').waitFor();

    // A link that is opened, instead of pasted, does nothing without the person's consent.
    const third = await chromium.open(server);
    const shown = await shownLink(third);
    await page.goto('about:blank');
    await page.goto(shown);
    await page.getByRole('button', { name: 'Let it in' }).waitFor();
    expect(page.url()).not.toContain('pair=');
    expect(await page.getByLabel('Link or code from the other browser').inputValue()).toContain('#pair=');
    await page.getByRole('button', { name: 'Let it in' }).click();
    await linked(third);
    await inList(third, 'For every browser').waitFor();
  });

  test('a link that is none, or was used already, is refused in words', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, { expected: [/status of 410/] });
    await openSettings(page);
    const letIn = async (code: string) => {
      await page.getByLabel('Link or code from the other browser').fill(code);
      await page.getByRole('button', { name: 'Let it in' }).click();
    };
    await letIn('not a code');
    await page.getByText('This is not a Pairline code').waitFor();
    const second = await chromium.open(server);
    const link = await shownLink(second);
    await phone.pair(link);
    await linked(second);
    await letIn(link);
    await page.getByText('This code was used already').waitFor();
  });

  test('the simulated agent is given the link, and a person chats with it', async () => {
    const server = await serverWithPage();
    const page = await chromium.open(server);
    const link = await shownLink(page);
    const folder = temporaryFolder();
    const script = join(folder, 'script.json');
    writeFileSync(
      script,
      JSON.stringify({
        contacts: [{ name: 'Mia', number: '+12025550101' }],
        history: { years: 1, messages: 60 },
        events: [{ after: '1ms', from: 'Mia', text: 'Are you on the computer?' }],
        answers: { delay: '1ms', texts: ['Sounds good!'] },
        sending: { delay: '1ms', delivered: '1ms' },
        fail: ['+12025550199'],
      }),
    );
    const agent = runTypeScript('phone/src/cli.ts', {
      args: ['--simulated', '--script', script, '--state', join(folder, 'state')],
      input: `${link}\n`,
    });
    later(() => agent.end());
    await linked(page);
    await inList(page, 'Mia').waitFor();
    await openConversation(page, 'Mia');
    await bubble(page, 'Are you on the computer?').waitFor();
    await write(page, 'Yes, it works!');
    await bubble(page, 'Yes, it works!').getByText('Delivered').waitFor();
    await bubble(page, 'Sounds good!').waitFor();
    await agent.end();
    await page.getByRole('status').filter({ hasText: 'Phone away since' }).first().waitFor();
    expect(agent.output()).not.toMatch(/Error|    at /);
  });

  test('the page and its files come with a policy that lets it talk to its own server only', async () => {
    const server = await serverWithPage();
    const context = await chromium.context(server);
    const page = await context.newPage();
    const response = (await page.goto('/'))!;
    const policy = response.headers()['content-security-policy'] ?? '';
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"])
      expect(policy.split('; ')).toContain(rule);
    await shownLink(page);
    // The watch for faults itself works: what the policy stops, and what goes elsewhere, is seen.
    await page.evaluate(() => {
      const script = document.createElement('script');
      script.textContent = 'window.inline = true';
      document.body.append(script);
    });
    expect(await page.evaluate(() => 'inline' in window)).toBe(false);
    await page.evaluate(() => fetch('http://127.0.0.1:9/').catch(() => undefined));
    await soon(async () => {
      const faults = chromium.faults.join('\n');
      expect(faults).toContain('Policy: script-src-elem');
      expect(faults).toContain('Policy: connect-src');
    });
    chromium.takeFaults();
  });
});
