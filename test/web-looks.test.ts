import { expect, test } from '@jest/globals';
import type { PhoneClient, ToldMessage } from '@pairline/client';
import type { Page } from 'playwright-core';
import { inPhase, phoneAt } from './support/client-ends.js';
import { bubble, inChromium, inList, linked, openConversation, openLinked, openSettings, picture, serverWithPage, shownLink, soon, status, write, wrong, type OpenOptions } from './support/page.js'; // prettier-ignore

// What the page is like for people: those who see it, those who hear it, those who have no mouse.

const NARROW = { width: 390, height: 844 };
const MINUTE = 60_000;

/** A little of somebody's life, told by the phone. Ends some minutes before now. */
async function tellSome(phone: PhoneClient): Promise<void> {
  const now = Date.now();
  const people: { id: string; number: string; name?: string; ago: number; lines: [by: 'me' | 'them', text: string][] }[] = [
    { id: 't1', number: '+12025550101', name: 'Mia Okafor', ago: 4, lines: [
      ['them', 'Are you still up for Saturday?'],
      ['me', 'Of course! I found us a table at eight.'],
      ['them', 'Perfect 🎉'],
      ['them', 'Here is the way: https://example.org/map/green-corner'],
      ['me', 'Thanks. Shall I bring anything?'],
      ['them', 'Just yourself, and the blue bag you borrowed in spring 😄'],
    ] },
    { id: 't2', number: '+12025550102', name: 'Jonas Weber', ago: 41, lines: [['me', 'The keys are with the neighbours.'], ['them', 'Got them, thank you!']] },
    { id: 't3', number: '72404', ago: 95, lines: [['them', 'Parcels: yours is delivered today between 14:00 and 16:00.']] },
    { id: 't4', number: '+12025550103', name: 'Grandma', ago: 60 * 22, lines: [['them', 'Thank you for the photos, the little one has grown so much'], ['me', 'She asks for you every day!']] },
    { id: 't5', number: '+12025550104', name: 'Dr. Osei', ago: 60 * 30, lines: [['them', 'Your appointment is on Tuesday at 9:40.'], ['me', 'I will be there.']] },
    { id: 't6', number: '+12025550105', name: 'Priya (work)', ago: 60 * 52, lines: [['me', 'Slides are in the folder'], ['them', 'Looks good to me. Shall we send it?']] },
    { id: 't7', number: '+12025550107', name: 'Football Tom', ago: 60 * 24 * 6, lines: [['them', 'Sunday, ten sharp. Bring both shirts.']] },
  ]; // prettier-ignore
  const messages = people.flatMap(({ id, number, ago, lines }) =>
    lines.map(([by, text], index): ToldMessage => {
      const timestamp = now - (ago + 3 * (lines.length - index)) * MINUTE;
      const mine = by === 'me';
      return { id: `${id}-${index}`, conversationId: id, number, text, timestamp, type: mine ? 'sent' : 'received', status: mine ? 'delivered' : undefined, read: id !== 't1' && id !== 't3' || index < 5 && id === 't1' }; // prettier-ignore
    }),
  );
  await phone.putConversations(people.map(({ id, number, name }) => ({ id, number, ...(name ? { name } : {}) })));
  await phone.putMessages(messages);
  await phone.putContacts(people.flatMap(({ name, number }) => (name ? [{ name, numbers: [number] }] : [])));
}

inChromium('the page', (chromium) => {
  async function lively(options: OpenOptions = {}): Promise<{ url: string; phone: PhoneClient; page: Page }> {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    await tellSome(phone);
    const page = await openLinked(chromium, server, phone, { reducedMotion: 'reduce', ...options });
    await inList(page, 'Football Tom').waitFor();
    await status(page, 'Phone connected').waitFor();
    return { url: server.url, phone, page };
  }

  test('axe finds nothing wrong with pairing, in light and dark', async () => {
    const server = await serverWithPage();
    const page = await chromium.open(server, { reducedMotion: 'reduce' });
    await shownLink(page);
    const found = await wrong(page, 'pairing');
    await picture(page, 'pairing-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture(page, 'pairing-dark');
    const failing = await chromium.open(server, { reducedMotion: 'reduce', expected: [/status of 403/] });
    await failing.route('**/api/auth/generate-qr', (route) => route.fulfill({ status: 403, json: { success: false, code: 'forbidden', message: 'No', error: 'No' } })); // prettier-ignore
    await failing.reload();
    await failing.getByRole('alert').getByText('Linking did not work').waitFor();
    found.push(...(await wrong(failing, 'pairing failed')));
    await failing.unroute('**/api/auth/generate-qr');
    await failing.getByRole('button', { name: 'Try again' }).click();
    await shownLink(failing);
    expect(found).toEqual([]);
  });

  test('axe finds nothing wrong with conversations, in light and dark', async () => {
    const { phone, page } = await lively();
    const found: string[] = [];
    const look = async (view: string) => found.push(...(await wrong(page, view)));
    await look('nothing picked');
    phone.onSend(async ({ id, text }) => phone.status(id, text === 'fails' ? 'failed' : 'delivered'));
    await openConversation(page, 'Mia');
    await write(page, 'fails');
    await bubble(page, 'fails').getByText('Not sent').waitFor();
    await look('a thread');
    await page.getByRole('textbox', { name: 'Message' }).fill('ł'.repeat(80));
    await page.getByRole('button', { name: 'Emoji' }).click();
    await page.getByRole('group', { name: 'Emoji' }).waitFor();
    await look('emoji');
    await page.keyboard.press('Escape');
    await page.getByRole('textbox', { name: 'Message' }).fill('');
    await bubble(page, 'fails').click({ button: 'right' });
    await look('a menu');
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await look('a dialog');
    await page.keyboard.press('Escape');
    await page.getByRole('searchbox').fill('table');
    await page.getByRole('group', { name: 'Messages' }).waitFor();
    await look('search results');
    await page.getByRole('searchbox').fill('nothing like it');
    await page.getByText('Nothing found').waitFor();
    await look('nothing found');
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await page.getByRole('link', { name: 'New conversation' }).click();
    await page.getByLabel('Phone number or name').fill('+49301');
    await page.keyboard.press('Enter');
    await look('a number');
    await page.getByLabel('Phone number or name').fill('Mi');
    await page.getByRole('button', { name: 'Mia' }).waitFor();
    await look('contacts');
    await page.keyboard.press('Escape');
    await phone.close();
    await status(page, 'Phone away').waitFor();
    await look('phone away');
    expect(found).toEqual([]);
  });

  test('axe finds nothing wrong with settings, and with an account that has nothing yet', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, { reducedMotion: 'reduce' });
    const found: string[] = [];
    await page.getByText('No conversations yet').waitFor();
    found.push(...(await wrong(page, 'nothing yet')));
    await openSettings(page);
    await page.getByRole('button', { name: 'Safety words' }).waitFor();
    found.push(...(await wrong(page, 'settings')));
    await page.getByRole('button', { name: 'Safety words' }).click();
    await page.getByRole('dialog').getByRole('listitem').first().waitFor();
    found.push(...(await wrong(page, 'safety words')));
    await page.keyboard.press('Escape');
    await page.getByLabel('Language').selectOption('Deutsch');
    await page.getByRole('heading', { name: 'Einstellungen' }).waitFor();
    expect(await page.locator('html').getAttribute('lang')).toBe('de');
    found.push(...(await wrong(page, 'settings in German')));
    expect(found).toEqual([]);
  });

  test('axe finds nothing wrong with it on a phone’s screen, which shows one pane at a time', async () => {
    const { page } = await lively({ viewport: NARROW, deviceScaleFactor: 2 });
    const found = await wrong(page, 'the list');
    await picture(page, 'phone-list');
    expect(await page.getByRole('textbox', { name: 'Message' }).count()).toBe(0);
    await openConversation(page, 'Mia');
    await bubble(page, 'the blue bag').waitFor();
    expect(await inList(page, 'Mia').isVisible()).toBe(false);
    found.push(...(await wrong(page, 'a thread')));
    await picture(page, 'phone-thread');
    const { scrollWidth, clientWidth } = await page.evaluate(() => document.documentElement);
    expect(scrollWidth).toBe(clientWidth);
    // The browser's own back leads to the list.
    await page.goBack();
    await inList(page, 'Mia').waitFor();
    await openConversation(page, 'Mia');
    await page.getByRole('button', { name: 'Back', exact: true }).click();
    await inList(page, 'Mia').waitFor();
    expect(found).toEqual([]);
  });

  test('pictures of the main views', async () => {
    const { phone, page } = await lively({ viewport: { width: 1180, height: 760 }, deviceScaleFactor: 2 });
    await inList(page, 'Mia').click({ button: 'right' });
    await page.getByRole('menuitem', { name: 'Pin' }).click();
    await openConversation(page, 'Mia');
    await bubble(page, 'the blue bag').waitFor();
    phone.onSend(async ({ id }) => phone.status(id, 'delivered'));
    await write(page, 'I knew you would remember that!');
    await bubble(page, 'I knew').getByText('Delivered').waitFor();
    await picture(page, 'conversation-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture(page, 'conversation-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.getByRole('searchbox').fill('bag');
    await page.getByRole('group', { name: 'Messages' }).waitFor();
    await picture(page, 'search-light');
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await openSettings(page);
    await page.getByRole('button', { name: 'Safety words' }).waitFor();
    await picture(page, 'settings-light');
    await page.goBack();
    await phone.close();
    for (const text of ['On my way', 'Five minutes late', 'Order me a coffee?']) await write(page, text);
    await status(page, '3 messages will go when it is back').waitFor();
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture(page, 'phone-away-dark');
  });

  test('everything is done without a mouse: pair, search, read, write, pin, begin a conversation, go back', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    await tellSome(phone);
    const wanted: string[] = [];
    phone.onSend(async ({ id, number, text }) => {
      wanted.push(`${number} ${text}`);
      await phone.status(id, 'delivered');
    });
    const page = await chromium.open(server);
    const { keyboard } = page;
    const focused = () => page.evaluate(() => { const element = document.activeElement as HTMLElement; return element.getAttribute('aria-label') ?? element.innerText; }); // prettier-ignore
    /** Tab, until what has the focus is called so. */
    const tabTo = async (name: RegExp) => {
      const passed: string[] = [];
      while (!name.test(passed.at(-1) ?? '')) {
        if (passed.length > 30) throw new Error(`Tab never comes to ${name}: ${passed.join(' | ')}`);
        await keyboard.press('Tab');
        passed.push(await focused());
      }
    };
    await shownLink(page);
    await tabTo(/Copy link/);
    await phone.pair(await shownLink(page));
    await linked(page);
    await inList(page, 'Mia').waitFor();

    // Search for a person, and open the conversation.
    await keyboard.press('/');
    await keyboard.type('jonas');
    await page.getByRole('group', { name: 'Conversations' }).waitFor();
    await keyboard.press('ArrowDown');
    await soon(async () => expect(await focused()).toContain('Jonas'));
    await keyboard.press('Enter');
    await bubble(page, 'Got them, thank you!').waitFor();
    await soon(async () => expect(await focused()).toBe('Message'));
    await keyboard.type('You are welcome');
    await keyboard.press('Enter');
    await bubble(page, 'You are welcome').getByText('Delivered').waitFor();

    // Through the list by arrows, and its menu.
    await keyboard.press('Control+k');
    await keyboard.press('Escape');
    await keyboard.press('Control+k');
    await keyboard.press('ArrowDown');
    await soon(async () => expect(await focused()).toContain('Jonas'));
    await keyboard.press('ArrowDown');
    await soon(async () => expect(await focused()).toContain('Mia'));
    await keyboard.press('Shift+F10');
    await page.getByRole('menu').waitFor();
    await soon(async () => expect(await focused()).toBe('Pin'));
    await keyboard.press('Enter');
    await inList(page, 'Mia').getByText('Pinned').waitFor();

    // From conversation to conversation.
    await keyboard.press('Alt+ArrowUp');
    await bubble(page, 'the blue bag').waitFor();

    // A new one, by number.
    await keyboard.press('Alt+n');
    await page.getByLabel('Phone number or name').waitFor();
    await soon(async () => expect(await page.getByLabel('Phone number or name').evaluate((field) => field === document.activeElement)).toBe(true)); // prettier-ignore
    await keyboard.type('+493012345678');
    await keyboard.press('Enter');
    await page.getByText('No messages yet').waitFor();
    await soon(async () => expect(await focused()).toBe('Message'));
    await keyboard.type('By hand');
    await keyboard.press('Enter');
    await soon(async () => expect(wanted).toEqual(['+12025550102 You are welcome', '+493012345678 By hand']));

    // Settings and back.
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    await tabTo(/^Settings$/);
    await keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Settings' }).waitFor();
    await tabTo(/^Rename$/);
    await keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await soon(async () => expect(await focused()).toBe('Rename'));
    await keyboard.press('Escape');
    await page.getByRole('heading', { name: 'Settings' }).waitFor({ state: 'detached' });
    await inPhase(phone, 'live');
  });

  test('the theme and the language that a person chose stay, and nothing flashes up before', async () => {
    const { page } = await lively({ colorScheme: 'light' });
    await openSettings(page);
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await ground();
    await page.getByRole('radio', { name: 'Dark' }).check();
    const dark = await ground();
    expect(dark).not.toBe(light);
    await page.reload();
    expect(await ground()).toBe(dark);
    await page.getByLabel('Language').selectOption('Deutsch');
    await page.getByRole('heading', { name: 'Einstellungen' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Einstellungen' }).waitFor();
  });

  test('it can be installed, with icons of its own', async () => {
    const { page, url } = await lively();
    await page.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    const devtools = await page.context().newCDPSession(page);
    const { errors, data } = await devtools.send('Page.getAppManifest');
    expect(errors).toEqual([]);
    const { icons, start_url } = JSON.parse(data!) as { icons: { src: string; type: string }[]; start_url: string };
    expect(new URL(start_url, url).href).toBe(`${url}/`);
    for (const { src, type } of icons) expect((await fetch(new URL(src, url))).headers.get('content-type')).toBe(type);
    const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
    expect(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito')).toEqual([]);
  });
});
