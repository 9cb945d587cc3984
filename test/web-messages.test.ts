import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { memoryStore, openPhone, type PhoneClient, type Wanted } from '@pairline/client';
import type { Page } from 'playwright-core';
import { phone as existingPhone } from './support/clients.js';
import { inPhase, phoneAt, told } from './support/client-ends.js';
import { later } from './support/database.js';
import { bubble, inChromium, inList, openConversation, openLinked, serverWithPage, soon, status, write, type OpenOptions } from './support/page.js'; // prettier-ignore

// Reading and writing, as a person does it in a browser.

const BEA = { id: 't1', number: '+4915112345678', name: 'Bea' };

inChromium('conversations in a browser', (chromium) => {
  /** A phone that has a text of Bea's, and a browser that it let in. */
  async function talk(options: OpenOptions = {}): Promise<{ url: string; phone: PhoneClient; page: Page }> {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, options);
    await phone.putConversations([BEA]);
    await phone.putMessages([told('Are you coming?')]);
    await inList(page, 'Are you coming?').waitFor();
    return { url: server.url, phone, page };
  }

  test('an answer goes to the phone, and its status is told in words and signs until it is delivered', async () => {
    const { phone, page } = await talk();
    const wanted = new Promise<Wanted>((resolve) => phone.onSend(async (message) => resolve(message)));
    await openConversation(page, 'Bea');
    await write(page, 'Yes, at eight 🎉');
    const message = await wanted;
    expect(message).toMatchObject({ number: BEA.number, text: 'Yes, at eight 🎉', conversationId: 't1' });
    const mine = bubble(page, 'Yes, at eight');
    const told: [Parameters<PhoneClient['status']>[1], string][] = [
      ['sending', 'Sending'],
      ['sent', 'Sent'],
      ['delivered', 'Delivered'],
    ];
    for (const [status, words] of told) {
      await phone.status(message.id, status);
      await mine.getByText(words, { exact: true }).waitFor();
      expect(await mine.locator('svg').count()).toBeGreaterThan(0);
    }
    await inList(page, 'Bea').getByText('Delivered').waitFor();
    expect(await mine.count()).toBe(1);
  });

  test('what comes in is counted, said in the title, and read once it is seen', async () => {
    const { phone, page } = await talk();
    await phone.putMessages([told('One more'), told('And one')]);
    await inList(page, 'Bea').getByText('3 unread messages').waitFor();
    await page.waitForFunction(() => document.title === '(3) Pairline');
    const read = new Promise<string>((resolve) => void phone.on('read', resolve));
    await openConversation(page, 'Bea');
    await page.getByText('3 new messages').waitFor();
    expect(await read).toBe('t1');
    await inList(page, 'Bea').getByText('unread').waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.title === 'Pairline');
  });

  test('a phone that is away: since when, how much waits, and all of it goes in order when it is back', async () => {
    const { url } = await serverWithPage();
    const store = memoryStore();
    const phone = await phoneAt(url, { store });
    const page = await openLinked(chromium, { url }, phone);
    await phone.putConversations([BEA]);
    await phone.putMessages([told('Are you coming?')]);
    await openConversation(page, 'Bea');
    await status(page, 'Phone connected').waitFor();
    await phone.close();
    await status(page, /^Phone away since \d\d:\d\d$/).waitFor();
    for (const text of ['First', 'Second', 'Third']) await write(page, text);
    await status(page, /^Phone away since \d\d:\d\d, 3 messages will go when it is back$/).waitFor();
    await bubble(page, 'Third').getByText('Waiting for the phone').waitFor();

    const back = await openPhone({ url, store, deviceName: 'Ann’s phone' });
    later(() => back.close());
    const taken: string[] = [];
    back.onSend(async ({ id, text }) => {
      taken.push(text);
      void back.status(id, 'sent');
    });
    await bubble(page, 'Third').getByText('Sent', { exact: true }).waitFor();
    await status(page, 'Phone connected').waitFor();
    expect(taken).toEqual(['First', 'Second', 'Third']);
  });

  test('a message that failed says so, and is sent again as a new one', async () => {
    const { phone, page } = await talk();
    const wanted: Wanted[] = [];
    phone.onSend(async (message) => {
      wanted.push(message);
      await phone.status(message.id, wanted.length === 1 ? 'failed' : 'delivered');
    });
    await openConversation(page, 'Bea');
    await write(page, 'Does this go out?');
    await bubble(page, 'Does this go out?').getByText('Not sent').waitFor();
    await page.getByRole('button', { name: 'Send again' }).click();
    await bubble(page, 'Does this go out?').getByText('Delivered').waitFor();
    expect(await bubble(page, 'Does this go out?').count()).toBe(1);
    expect(wanted.map(({ text }) => text)).toEqual(['Does this go out?', 'Does this go out?']);
    expect(wanted[0]!.id).not.toBe(wanted[1]!.id);
  });

  test('a draft stays with its conversation, in the list and over a reload', async () => {
    const { phone, page } = await talk();
    await phone.putConversations([{ id: 't2', number: '+4915187654321', name: 'Carl' }]);
    await openConversation(page, 'Bea');
    const composer = page.getByRole('textbox', { name: 'Message' });
    await composer.fill('I was about to say');
    await openConversation(page, 'Carl');
    expect(await composer.inputValue()).toBe('');
    await inList(page, 'Bea').getByText('Draft:').waitFor();
    await page.reload();
    await openConversation(page, 'Bea');
    expect(await composer.inputValue()).toBe('I was about to say');
    await composer.press('Enter');
    await bubble(page, 'I was about to say').waitFor();
    expect(await composer.inputValue()).toBe('');
    await inList(page, 'Draft:').waitFor({ state: 'detached' });
  });

  test('Shift+Enter begins a line, and long texts say how many SMS they are', async () => {
    const { phone, page } = await talk();
    const wanted = new Promise<Wanted>((resolve) => phone.onSend(async (message) => resolve(message)));
    await openConversation(page, 'Bea');
    const composer = page.getByRole('textbox', { name: 'Message' });
    await composer.fill('x'.repeat(160));
    await page.getByText('1 text', { exact: false }).and(page.getByText('0 characters left', { exact: false })).waitFor(); // prettier-ignore
    await composer.fill('x'.repeat(159) + '€');
    await page.getByText(/2 texts.*145 characters left/).waitFor();
    await composer.fill('x'.repeat(70) + 'ł');
    await page.getByText(/2 texts.*63 characters left/).waitFor();
    await composer.fill('');
    await composer.pressSequentially('one');
    await composer.press('Shift+Enter');
    await composer.pressSequentially('two');
    await composer.press('Enter');
    expect((await wanted).text).toBe('one\ntwo');
  });

  test('a conversation is begun by a number, and moves to the one the phone makes of it', async () => {
    const { phone, page } = await talk();
    const wanted = new Promise<Wanted>((resolve) => phone.onSend(async (message) => resolve(message)));
    await page.getByRole('link', { name: 'New conversation' }).click();
    const field = page.getByLabel('Phone number or name');
    await field.pressSequentially('+49301');
    await field.press('Enter');
    await page.getByText('This is not a whole phone number yet').waitFor();
    await field.fill('');
    await field.pressSequentially('+493012345678');
    expect(await field.inputValue()).toBe('+49 30 12345678');
    await page.getByRole('button', { name: /^Write to \+49/ }).click();
    await page.getByText('No messages yet').waitFor();
    await write(page, 'Hello, new one');
    const { id, number, text } = await wanted;
    expect([number, text]).toEqual(['+493012345678', 'Hello, new one']);
    await phone.putConversations([{ id: 't9', number }]);
    await phone.putMessages([{ id, conversationId: 't9', number, text, timestamp: Date.now(), type: 'sent', status: 'sent' }]); // prettier-ignore
    await bubble(page, 'Hello, new one').getByText('Sent', { exact: true }).waitFor();
    await page.waitForURL(/#\/c\/t9$/);
    expect(await page.getByRole('list', { name: 'Conversations' }).getByRole('listitem').count()).toBe(2);
    expect(await bubble(page, 'Hello, new one').count()).toBe(1);
  });

  test('what is being written stays in the field while the conversation gets its name from the phone', async () => {
    const { phone, page } = await talk();
    const wanted = new Promise<Wanted>((resolve) => phone.onSend(async (message) => resolve(message)));
    await page.goto('/#/new');
    await page.getByLabel('Phone number or name').fill('+493012345678');
    await page.getByRole('button', { name: /^Write to/ }).click();
    await page.getByText('No messages yet').waitFor();
    const composer = page.getByRole('textbox', { name: 'Message' });
    // The number's own page becomes a conversation with the first message; its name comes later.
    await page.evaluate(() => {
      const field = document.querySelector<HTMLTextAreaElement>('.composer textarea')!;
      const type = (text: string) => {
        Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value')!.set!.call(field, text);
        field.dispatchEvent(new Event('input', { bubbles: true }));
      };
      type('Hello, new one');
      setTimeout(() => {
        field.form!.requestSubmit();
        setTimeout(() => type('And I wanted'));
      });
    });
    await page.waitForURL(/#\/c\//);
    await bubble(page, 'Hello, new one').waitFor();
    expect(await composer.inputValue()).toBe('And I wanted');
    const { id, number, text } = await wanted;
    await page.keyboard.type(' to say');
    await phone.putConversations([{ id: 't9', number }]);
    await phone.putMessages([{ id, conversationId: 't9', number, text, timestamp: Date.now(), type: 'sent', status: 'sent' }]); // prettier-ignore
    await page.waitForURL(/#\/c\/t9$/);
    await bubble(page, 'Hello, new one').waitFor();
    expect(await composer.inputValue()).toBe('And I wanted to say');
    await inList(page, 'And I wanted to say').getByText('Draft:').waitFor();
    await page.reload();
    await bubble(page, 'Hello, new one').waitFor();
    expect(await composer.inputValue()).toBe('And I wanted to say');
  });

  test('an open emoji picker leaves the focus where it is put', async () => {
    const { phone, page } = await talk();
    await openConversation(page, 'Bea');
    const composer = page.getByRole('textbox', { name: 'Message' });
    await page.getByRole('button', { name: 'Emoji' }).click();
    await soon(async () => expect(await page.locator('.emoji-grid button').first().evaluate((button) => button === document.activeElement)).toBe(true)); // prettier-ignore
    await composer.focus();
    await page.keyboard.type('Yes, I am');
    await phone.putMessages([told('Or not?')]);
    await bubble(page, 'Or not?').waitFor();
    await page.keyboard.type(' coming');
    expect(await composer.inputValue()).toBe('Yes, I am coming');
    await page.keyboard.press('Escape');
  });

  /** Texts of Bea's from long before, more than are read at once; one of them is not like the others. */
  function history() {
    const before = told('').timestamp;
    return Array.from({ length: 300 }, (_, i) => told(i === 20 ? 'Where is the xylophone?' : `Long ago ${i}`, { id: `h${i}`, timestamp: before - 10_000_000 + i * 1000 })); // prettier-ignore
  }

  test('a search finds history that came after it began', async () => {
    const { phone, page } = await talk();
    await page.getByRole('searchbox').fill('nothing of the kind');
    await page.getByText('Nothing found for').waitFor();
    await phone.putMessages(history());
    await page.getByRole('searchbox').fill('');
    await inList(page, 'Bea').getByText('301 unread messages').waitFor();
    await page.getByRole('searchbox').fill('xylophone');
    await page.getByRole('group', { name: 'Messages' }).getByRole('link').click();
    await bubble(page, 'xylophone').waitFor();
  });

  test('a conversation that a search leads into is not read before its end is seen', async () => {
    const { phone, page } = await talk();
    await phone.putMessages(history());
    await inList(page, 'Bea').getByText('301 unread messages').waitFor();
    await page.getByRole('searchbox').fill('xylophone');
    await page.getByRole('group', { name: 'Messages' }).getByRole('link').click();
    await bubble(page, 'xylophone').waitFor();
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await phone.putMessages([told('One more')]);
    await inList(page, 'One more').getByText('302 unread messages').waitFor();
    await page.getByRole('button', { name: 'To the latest message' }).click();
    await inList(page, 'Bea').getByText('unread').waitFor({ state: 'detached' });
    await bubble(page, 'One more').waitFor();
  });

  test('what a search leads to in a conversation that is all in view is read', async () => {
    const { page } = await talk();
    await page.getByRole('searchbox').fill('coming');
    await page.getByRole('group', { name: 'Messages' }).getByRole('link').click();
    await bubble(page, 'Are you coming?').waitFor();
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await inList(page, 'Bea').getByText('unread').waitFor({ state: 'detached' });
    expect(await page.getByRole('button', { name: 'To the latest message' }).count()).toBe(0);
  });

  test('contacts are found by name, and lead to the conversation there is', async () => {
    const { phone, page } = await talk();
    await phone.putContacts([
      { name: 'Bea Müller', numbers: [BEA.number] },
      { name: 'Dr. Öz', numbers: ['+4930777777'] },
    ]);
    await page.getByRole('link', { name: 'New conversation' }).click();
    await page.getByLabel('Phone number or name').fill('oz');
    await page.getByRole('button', { name: 'Dr. Öz' }).waitFor();
    await page.getByLabel('Phone number or name').fill('mull');
    await page.getByRole('button', { name: 'Bea Müller' }).click();
    await bubble(page, 'Are you coming?').waitFor();
  });

  test('pinned ones stand on top, archived ones aside, in every browser', async () => {
    const { url, phone, page } = await talk();
    const other = await openLinked(chromium, { url }, phone);
    await phone.putConversations([{ id: 't2', number: '+4915187654321', name: 'Carl' }]);
    await phone.putMessages([told('I am newer', { conversationId: 't2', number: '+4915187654321' })]);
    const names = (of: Page) => of.getByRole('list', { name: 'Conversations' }).getByRole('listitem').evaluateAll((rows) => rows.map((row) => /Bea|Carl/.exec(row.textContent)?.[0])); // prettier-ignore
    await soon(async () => expect(await names(other)).toEqual(['Carl', 'Bea']));
    await inList(page, 'Bea').click({ button: 'right' });
    await page.getByRole('menuitem', { name: 'Pin' }).click();
    await soon(async () => expect(await names(other)).toEqual(['Bea', 'Carl']));
    await inList(other, 'Carl').click({ button: 'right' });
    await other.getByRole('menuitem', { name: 'Archive' }).click();
    await soon(async () => expect(await names(page)).toEqual(['Bea']));
    await page.getByRole('link', { name: 'Archived' }).click();
    await page.getByRole('list', { name: 'Archived' }).getByText('Carl').waitFor();
  });

  test('a message is deleted here, in the other browser, and on the phone', async () => {
    const { url, phone, page } = await talk();
    const other = await openLinked(chromium, { url }, phone);
    const [doomed] = [told('Forget this')];
    await phone.putMessages([doomed]);
    await openConversation(page, 'Bea');
    await openConversation(other, 'Bea');
    await bubble(other, 'Forget this').waitFor();
    const deleted = new Promise<string>((resolve) => void phone.on('deleted', resolve));
    await bubble(page, 'Forget this').click({ button: 'right' });
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await bubble(other, 'Forget this').waitFor({ state: 'detached' });
    expect(await bubble(page, 'Forget this').count()).toBe(0);
    expect(await deleted).toBe(doomed.id);
  });

  test('two browsers at once: each shows what the other wrote, once', async () => {
    const { url, phone, page } = await talk();
    const other = await openLinked(chromium, { url }, phone);
    await openConversation(page, 'Bea');
    await openConversation(other, 'Bea');
    await Promise.all([write(page, 'From the one'), write(other, 'From the other')]);
    for (const each of [page, other])
      for (const text of ['From the one', 'From the other']) {
        await bubble(each, text).getByText('Waiting for the phone').waitFor();
        expect(await bubble(each, text).count()).toBe(1);
      }
  });

  test('two tabs of a browser show the same, and what one writes is sent once', async () => {
    const { phone, page } = await talk();
    const wanted: string[] = [];
    phone.onSend(async ({ id, text }) => {
      wanted.push(text);
      await phone.status(id, 'delivered');
    });
    const tab = await page.context().newPage();
    await tab.goto('/');
    await openConversation(tab, 'Bea');
    await openConversation(page, 'Bea');
    await write(page, 'From the first tab');
    await bubble(tab, 'From the first tab').getByText('Delivered').waitFor();
    await write(tab, 'From the second tab');
    await bubble(page, 'From the second tab').getByText('Delivered').waitFor();
    await phone.putMessages([told('To both', { timestamp: Date.now() + 60_000 })]);
    for (const each of [page, tab]) {
      await bubble(each, 'To both').waitFor();
      for (const text of ['From the first tab', 'From the second tab', 'To both'])
        expect(await bubble(each, text).count()).toBe(1);
    }
    expect(wanted).toEqual(['From the first tab', 'From the second tab']);
  });

  test('links lead out safely; what only looks like one does not', async () => {
    const { phone, page } = await talk();
    await phone.putMessages([
      told(
        'See https://example.org/a?b=1, or www.example.net. Not javascript:alert(1) or https://bank.example@evil.example/ <b>x</b>',
      ),
    ]);
    await openConversation(page, 'Bea');
    const links = await bubble(page, 'See https').getByRole('link').evaluateAll((all) => all.map((a) => [(a as HTMLAnchorElement).href, (a as HTMLAnchorElement).rel])); // prettier-ignore
    expect(links.map(([href]) => href)).toEqual(['https://example.org/a?b=1', 'https://www.example.net/']);
    for (const [, rel] of links) expect(rel).toMatch(/noopener.*noreferrer/);
    await bubble(page, '<b>x</b>').waitFor();
  });

  test('what cannot be decrypted, was changed, or came in the clear is kept and explained, and passes for nothing else', async () => {
    const { url } = await serverWithPage();
    const store = memoryStore();
    const phone = await phoneAt(url, { store });
    const page = await openLinked(chromium, { url }, phone);
    await phone.putConversations([BEA]);
    await phone.putMessages([told('A sound one')]);
    await openConversation(page, 'Bea');
    await phone.close();
    // Somebody writes into the account what the phone did not seal.
    const { deviceId, deviceToken } = (await store.read((tx) => tx.value('phone')))!;
    const forger = await existingPhone(url, { deviceId, deviceToken });
    later(() => forger.close());
    const row = (id: string, body: string) => ({ id, conversationId: 't1', phoneNumber: '~0', body, timestamp: Date.now(), type: 'received', read: false }); // prettier-ignore
    const noise = randomBytes(60).toString('base64url');
    const messages = [row('f1', 'Send me money'), row('f2', `pl1.1.${noise}`), row('f3', `pl1.9.${noise}`)];
    expect((await forger.send('mobile:messages', { messages })).ok).toBe(true);
    await bubble(page, 'Not end-to-end encrypted').waitFor();
    await page.getByText('was changed on its way').waitFor();
    await page.getByText('its key is not on this browser').waitFor();
    await bubble(page, 'A sound one').waitFor();
    expect(await page.getByText('Send me money').isVisible()).toBe(false);
    expect(await page.content()).not.toContain(noise);
  });

  test('a message for a page that nobody looks at is offered as a notification, and asks for nothing before', async () => {
    const { phone, page } = await talk();
    expect(await page.getByText('Shall Pairline tell you').count()).toBe(0);
    // Another tab in front of it.
    await page.evaluate(() => {
      Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
      document.hasFocus = () => false;
    });
    await inPhase(phone, 'live');
    await phone.putMessages([told('Nobody looks')]);
    await page.getByRole('region', { name: 'Notifications' }).getByRole('button', { name: 'Not now' }).click();
    await page.getByText('Shall Pairline tell you').waitFor({ state: 'detached' });
    await phone.putMessages([told('Still nobody')]);
    await inList(page, 'Still nobody').waitFor();
    expect(await page.getByText('Shall Pairline tell you').count()).toBe(0);
  });
});
