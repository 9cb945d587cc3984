import { expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { accept, act, beginGroup, openAs, PASSWORD, signIn } from './support/chat-page.js';
import { painted } from './support/painted.js';
import { bubble, inChromium, inList, linked, openSettings, picture, serverWithPage, soon, write, wrong } from './support/page.js'; // prettier-ignore

// What private conversations are like for people: those who see them, those who hear them, those who have no mouse.

const NARROW = { width: 360, height: 740 };
const REFUSED = /status of 4\d\d/;
const options = { reducedMotion: 'reduce' as const, expected: [REFUSED] };

inChromium('the page of private conversations', (chromium) => {
  const field = (page: Page) => page.getByRole('textbox', { name: 'Message' });
  /** No view may be wider than the screen. */
  const fits = async (page: Page) => {
    const { scrollWidth, clientWidth } = await page.evaluate(() => document.documentElement);
    expect(scrollWidth).toBe(clientWidth);
  };

  /** Three people in a group that has talked a little, and a conversation of two; the first one’s page is opened as wanted. */
  async function lively(own: object = {}): Promise<{ url: string; ann: Page; bob: Page; cleo: Page }> {
    const server = await serverWithPage();
    const ann = await openAs(chromium, server, 'Ann Berg', { ...options, ...own });
    const bob = await openAs(chromium, server, 'Bob Lund', options);
    const cleo = await openAs(chromium, server, 'Cleo Adeyemi', options);
    await beginGroup(ann, 'Garden', ['Bob Lund', 'Cleo Adeyemi']);
    await accept(bob, 'Ann Berg');
    await accept(cleo, 'Ann Berg');
    await write(bob, 'The seeds are here: tomatoes, beans, and the blue flowers.');
    await bubble(cleo, 'The seeds').waitFor();
    await write(cleo, 'Lovely! When do we start?');
    await bubble(ann, 'When do we start?').waitFor();
    await act(ann, 'The seeds', 'React 🙏');
    await act(ann, 'When do we start?', 'Reply');
    await write(ann, 'Saturday at ten? @Bob Lund, could you bring the long hose?');
    await bubble(bob, 'Saturday at ten?').waitFor();
    await act(bob, 'Saturday at ten?', 'React 👍');
    await act(cleo, 'Saturday at ten?', 'React 👍');
    await ann.locator('input[type=file]').setInputFiles({ name: 'beds.png', mimeType: 'image/png', buffer: painted(480, 320) }); // prettier-ignore
    await ann.getByRole('list', { name: 'Files to send' }).getByText('Ready to send').waitFor();
    await write(ann, 'This is how far the beds are');
    await bubble(bob, 'how far the beds are').waitFor();
    await bubble(ann, 'Saturday').getByRole('button', { name: '👍 by Bob Lund and Cleo Adeyemi' }).waitFor();
    await bubble(ann, 'how far the beds are').getByText('Read').waitFor();
    return { url: server.url, ann, bob, cleo };
  }

  test('axe finds nothing wrong with signing up and signing in, in light and dark, and pictures of them', async () => {
    const server = await serverWithPage();
    const page = await chromium.open(server, options);
    await page.getByRole('button', { name: 'Use Pairline without a phone' }).click();
    await page.getByRole('heading', { name: 'Create an account' }).waitFor();
    const found = await wrong(page, 'a new account');
    await picture(page, 'account-light');
    await page.getByLabel('Name', { exact: true }).fill('ann@example.org');
    await page.getByLabel('Password', { exact: true }).fill('short');
    await page.getByRole('button', { name: 'Create an account' }).click();
    await page.getByText('This is an email address').waitFor();
    found.push(...(await wrong(page, 'a new account with problems')));
    await page.getByRole('button', { name: 'I have an account' }).click();
    await page.getByLabel('Name or email').fill('Nobody');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('The name or the password is wrong.').waitFor();
    found.push(...(await wrong(page, 'a wrong password')));
    await page.setViewportSize(NARROW);
    await fits(page);

    await openAs(chromium, server, 'Ann Berg', options);
    const second = await chromium.open(server, options);
    await signIn(second, 'Ann Berg');
    await second.getByRole('heading', { name: 'One more step: your keys' }).waitFor();
    await second.getByLabel('Paste this link').waitFor();
    found.push(...(await wrong(second, 'keys elsewhere')));
    await second.emulateMedia({ colorScheme: 'dark' });
    await picture(second, 'keys-dark');
    await second.setViewportSize(NARROW);
    await fits(second);
    await second.getByRole('button', { name: 'I have none of those devices' }).click();
    await second.getByRole('dialog').waitFor();
    found.push(...(await wrong(second, 'starting over')));
    expect(found).toEqual([]);
  });

  test('axe finds nothing wrong with conversations, in light and dark, and pictures of them', async () => {
    const { url, ann, bob } = await lively({ deviceScaleFactor: 2 });
    const found: string[] = [];
    const look = async (view: string) => found.push(...(await wrong(ann, view)));
    await field(bob).pressSequentially('I will');
    await look('a group');
    await field(bob).press('Backspace');
    await ann.getByText('Bob Lund is typing…').waitFor();
    await picture(ann, 'group-light');
    await ann.emulateMedia({ colorScheme: 'dark' });
    await field(bob).press('Backspace');
    await ann.getByText('Bob Lund is typing…').waitFor();
    await picture(ann, 'group-dark');
    await ann.emulateMedia({ colorScheme: 'light' });
    await bubble(ann, 'The seeds').click({ button: 'right' });
    await look('a message’s menu');
    await picture(ann, 'group-menu-light');
    await ann.getByRole('menuitem', { name: 'Another emoji' }).click();
    await ann.getByRole('dialog').getByRole('button', { name: '🎉' }).waitFor();
    await look('any emoji');
    await ann.getByRole('dialog').getByRole('button', { name: '🎉' }).click();
    await bubble(ann, 'The seeds').getByRole('button', { name: '🎉 by Ann Berg' }).waitFor();
    await act(ann, 'Saturday at ten?', 'Details');
    await ann.getByRole('dialog').getByRole('region', { name: 'With the others' }).getByText('Read').first().waitFor();
    await look('a message’s details');
    await picture(ann, 'group-receipts-light');
    await ann.keyboard.press('Escape');
    await act(ann, 'Saturday at ten?', 'Edit');
    await look('editing');
    await ann.keyboard.press('Escape');
    await field(ann).fill('');
    await field(ann).pressSequentially('@');
    await ann.getByRole('listbox', { name: 'People to mention' }).waitFor();
    await look('people to mention');
    await field(ann).fill('');
    await ann.getByRole('link', { name: 'About this conversation' }).click();
    await ann.getByRole('list', { name: 'Members' }).waitFor();
    await look('a group’s details');
    await picture(ann, 'group-details-light');
    await ann.getByRole('button', { name: 'Actions for Bob Lund' }).click();
    await look('a member’s menu');
    await ann.getByRole('menuitem', { name: 'Safety words' }).click();
    await ann.getByRole('dialog').getByRole('listitem').first().waitFor();
    await look('safety words');
    await ann.keyboard.press('Escape');
    await openSettings(ann);
    await ann.getByRole('heading', { name: 'You, for others' }).waitFor();
    await look('settings');
    await ann.getByRole('link', { name: 'New conversation' }).click();
    await ann.getByLabel('Name', { exact: true }).fill('Cl');
    await ann.getByRole('button', { name: /Cleo Adeyemi/ }).waitFor();
    await look('people');
    await picture(ann, 'people-light');
    await ann.getByLabel('Name', { exact: true }).fill('Zoe');
    await ann.getByText('Nobody is called “Zoe”').waitFor();
    await look('nobody');
    const dora = await openAs(chromium, { url }, 'Dora', options);
    await beginGroup(dora, 'Choir', ['Ann Berg']);
    await ann.getByRole('button', { name: 'Back', exact: true }).first().click();
    await ann.getByRole('region', { name: 'Invitations' }).waitFor();
    await look('an invitation');
    await picture(ann, 'invitation-light');
    expect(found).toEqual([]);
  });

  test('axe finds nothing wrong with it on a narrow screen, where everything fits', async () => {
    const { ann } = await lively();
    await ann.setViewportSize(NARROW);
    await fits(ann);
    const found = await wrong(ann, 'a group');
    await picture(ann, 'phone-group');
    await ann.getByRole('link', { name: 'About this conversation' }).click();
    await ann.getByRole('list', { name: 'Members' }).waitFor();
    await fits(ann);
    found.push(...(await wrong(ann, 'details')));
    await ann.goBack();
    await bubble(ann, 'Saturday').waitFor();
    await ann.getByRole('button', { name: 'Back', exact: true }).click();
    await inList(ann, 'Garden').waitFor();
    await fits(ann);
    found.push(...(await wrong(ann, 'the list')));
    expect(found).toEqual([]);
  });

  test('it is all there in German', async () => {
    const { ann } = await lively();
    await openSettings(ann);
    await ann.getByLabel('Language').selectOption('Deutsch');
    await ann.getByRole('heading', { name: 'Du, für andere' }).waitFor();
    await ann.getByRole('list', { name: 'Unterhaltungen' }).getByText('Garden').click();
    await ann.getByRole('list', { name: 'Nachrichten' }).getByText('Saturday at ten?').click({ button: 'right' });
    await ann.getByRole('menuitem', { name: 'Antworten' }).click();
    await ann.getByText('Antwort an Du').waitFor();
    await ann.getByRole('textbox', { name: 'Nachricht' }).fill('Bis dann');
    await ann.keyboard.press('Enter');
    await ann.getByRole('link', { name: 'Über diese Unterhaltung' }).click();
    await ann.getByRole('list', { name: 'Mitglieder' }).getByText('Bob Lund').waitFor();
    expect(await wrong(ann, 'details in German')).toEqual([]);
  });

  test('everything is done without a mouse: sign up, find somebody, write, mention, reply, react, edit, delete, details', async () => {
    const server = await serverWithPage();
    const bob = await openAs(chromium, server, 'Bob Lund', options);
    const page = await chromium.open(server, options);
    const { keyboard } = page;
    const focused = () => page.evaluate(() => { const element = document.activeElement as HTMLElement; return element.getAttribute('aria-label') ?? ((element as HTMLInputElement).labels?.[0]?.innerText || element.innerText); }); // prettier-ignore
    /** Tab, until what has the focus is called so. */
    const tabTo = async (name: RegExp) => {
      const passed: string[] = [];
      while (!name.test(passed.at(-1) ?? '')) {
        if (passed.length > 30) throw new Error(`Tab never comes to ${name}: ${passed.join(' | ')}`);
        await keyboard.press('Tab');
        passed.push(await focused());
      }
    };
    const choose = async (name: string) => {
      await keyboard.press('Shift+F10');
      const menu = page.getByRole('menu');
      await menu.waitFor();
      for (let step = 0; (await focused()) !== name; step++) {
        if (step > 20) throw new Error(`The menu has no ${name}`);
        await keyboard.press('ArrowDown');
      }
      await keyboard.press('Enter');
    };

    await page.getByRole('button', { name: 'Use Pairline without a phone' }).waitFor();
    await tabTo(/without a phone/);
    await keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Create an account' }).waitFor();
    await soon(async () => expect(await focused()).toBe('Name'));
    await keyboard.type('Ann Berg');
    await tabTo(/^Password$/);
    await keyboard.type(PASSWORD);
    await tabTo(/^Password once more$/);
    await keyboard.type(PASSWORD);
    await keyboard.press('Enter');
    await linked(page);

    // Somebody by name.
    await keyboard.press('Alt+n');
    await page.getByLabel('Name', { exact: true }).waitFor();
    await soon(async () => expect(await focused()).toBe('Name'));
    await keyboard.type('bob');
    await page.getByRole('button', { name: /Bob Lund/ }).waitFor();
    await tabTo(/Bob Lund/);
    await keyboard.press('Enter');
    await soon(async () => expect(await focused()).toBe('Message'));
    await accept(bob, 'Ann Berg');
    await keyboard.type('Hello, @bo');
    await page.getByRole('option', { name: 'Bob Lund' }).waitFor();
    await keyboard.press('Enter');
    await keyboard.type('!');
    await keyboard.press('Enter');
    await bubble(bob, 'Hello, @Bob Lund !').waitFor();
    await write(bob, 'Hello yourself');
    await bubble(page, 'Hello yourself').waitFor();

    // Up to the message, and what can be done with it.
    const toThread = async () => {
      for (let step = 0; step < 10 && (await page.evaluate(() => document.activeElement?.className)) !== 'thread-scroller'; step++) await keyboard.press('Shift+Tab'); // prettier-ignore
      await keyboard.press('ArrowUp');
    };
    await toThread();
    await soon(async () => expect(await focused()).toContain('Hello yourself'));
    await choose('React ❤️');
    await bubble(bob, 'Hello yourself').getByRole('button', { name: '❤️ by Ann Berg' }).waitFor();
    await soon(async () => expect(await focused()).toContain('Hello yourself'));
    await choose('Reply');
    await soon(async () => expect(await focused()).toBe('Message'));
    await keyboard.type('How are the beds?');
    await keyboard.press('Enter');
    await bubble(bob, 'How are the beds?').getByText('Hello yourself').waitFor();
    await toThread();
    await soon(async () => expect(await focused()).toContain('How are the beds?'));
    await choose('Edit');
    await soon(async () => expect(await focused()).toBe('Message'));
    await keyboard.press('End');
    await keyboard.type(' And the hose?');
    await keyboard.press('Enter');
    await bubble(bob, 'How are the beds? And the hose?').getByText('edited').waitFor();
    await toThread();
    await choose('Delete for everyone');
    await page.getByRole('dialog').waitFor();
    await tabTo(/^Delete for everyone$/);
    await keyboard.press('Enter');
    await bubble(bob, 'This message was deleted').waitFor();

    // Details, and back.
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    await tabTo(/^About this conversation$/);
    await keyboard.press('Enter');
    await page.getByRole('list', { name: 'Members' }).waitFor();
    await tabTo(/^Mute/);
    await keyboard.press('Space');
    await inList(page, 'Bob Lund').getByText('Muted').waitFor();
    await keyboard.press('Escape');
    await soon(async () => expect(await page.getByRole('list', { name: 'Messages' }).count()).toBe(1));
  });
});
