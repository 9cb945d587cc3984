import { expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { SessionCache } from '../src/sessions/session-cache.js';
import { phoneAt, told } from './support/client-ends.js';
import { query } from './support/database.js';
import { bubble, inChromium, inList, openConversation, openLinked, openSettings, serverWithPage, shownLink, soon, write } from './support/page.js'; // prettier-ignore

// Who is in an account, and who is out of it.

const BEA = { id: 't1', number: '+4915112345678', name: 'Bea' };
/** A session that has ended is refused; browsers say so on their console. */
const REFUSED = /status of 401/;

inChromium('devices in a browser', (chromium) => {
  const device = (page: Page, name: string | RegExp) => page.getByRole('listitem').filter({ hasText: name });

  /** Two browsers of an account that has a text of Bea's. */
  async function two() {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const [page, other] = [
      await openLinked(chromium, server, phone, { expected: [REFUSED] }),
      await openLinked(chromium, server, phone, { expected: [REFUSED] }),
    ];
    await phone.putConversations([BEA]);
    await phone.putMessages([told('Hello, both')]);
    for (const each of [page, other]) await inList(each, 'Hello, both').waitFor();
    return { phone, page, other };
  }

  /** Everything that the browser has stored for the page. */
  const stored = (page: Page) =>
    page.evaluate(async () => {
      const found: unknown[] = [Object.entries(localStorage), Object.entries(sessionStorage)];
      for (const { name } of await indexedDB.databases()) {
        const db = await new Promise<IDBDatabase>((resolve) => {
          const request = indexedDB.open(name!);
          request.onsuccess = () => resolve(request.result);
        });
        for (const table of db.objectStoreNames) {
          const request = db.transaction(table).objectStore(table).getAll();
          await new Promise((resolve) => (request.onsuccess = resolve));
          found.push(request.result);
        }
        db.close();
      }
      return JSON.stringify(found);
    });

  test('a browser that another one removes is signed out at once, with all it had, and the rest goes on without it', async () => {
    const { phone, page, other } = await two();
    expect(await stored(other)).toContain('Hello, both');
    await openSettings(page);
    const row = device(page, /on Linux/).filter({ hasNotText: 'This browser' });
    await row.getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('dialog').getByText('It is signed out at once').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await other.getByRole('alert').getByText('This browser was removed from your account').waitFor();
    await shownLink(other);
    await row.waitFor({ state: 'detached' });
    expect(await stored(other)).not.toMatch(/Hello, both|Bea|epochs/);

    // What comes after is sealed with a key that it never had, and those who stay read it.
    await phone.putMessages([told('Among ourselves')]);
    await openConversation(page, 'Bea');
    await bubble(page, 'Among ourselves').waitFor();
    await write(page, 'It is gone');
    await bubble(page, 'It is gone').getByText('Waiting for the phone').waitFor();
    // The second key or the third: the phone and the browser that stay may both have made one.
    await soon(async () => expect(page.context()).toHaveProperty('sent.frames', expect.arrayContaining([expect.stringMatching(/web:send-message.*pl1\.[23]\./)]))); // prettier-ignore
  });

  test('what a session that ran out has left can be removed from the page', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, { expected: [REFUSED] });
    await phone.putConversations([BEA]);
    await phone.putMessages([told('Left behind')]);
    await inList(page, 'Left behind').waitFor();
    await query(server.database.url, `UPDATE devices SET expires_at = now() - interval '1 s' WHERE kind = 'browser'`);
    server.app.get(SessionCache).forget();
    await page.reload();
    await page.getByRole('alert').getByText('The session of this browser has ended').waitFor();
    expect(await stored(page)).toContain('Left behind');
    await page.getByRole('button', { name: 'Remove what is stored here' }).click();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    expect(await stored(page)).not.toMatch(/Left behind|Bea|epochs/);
    await shownLink(page);
  });

  test('a device is renamed, and every browser calls it so', async () => {
    const { page, other } = await two();
    await openSettings(page);
    await device(page, 'This browser').getByRole('button', { name: 'Rename' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('Kitchen laptop');
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await device(page, 'Kitchen laptop').getByText('This browser').waitFor();
    await openSettings(other);
    await device(other, 'Kitchen laptop').waitFor();
  });

  test('the safety words are the same on the phone and on both browsers', async () => {
    const { phone, page, other } = await two();
    const shown = async (on: Page, of: RegExp | string) => {
      await device(on, of).filter({ hasNotText: 'This browser' }).getByRole('button', { name: 'Safety words' }).click();
      const words = on.getByRole('dialog').getByRole('listitem');
      await words.first().waitFor();
      const texts = await words.allTextContents();
      await on.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
      return texts;
    };
    for (const each of [page, other]) await openSettings(each);
    const devices = await phone.devices();
    const words = await Promise.all(devices.map(({ id }) => phone.safetyWords(id)));
    for (const each of [page, other]) {
      const those = await shown(each, 'Ann’s phone');
      expect(those).toHaveLength(6);
      expect(words).toContainEqual(those);
    }
    expect(await shown(page, /on Linux/)).toEqual(await shown(other, /on Linux/));
  });

  test('who signs out leaves nothing behind, and may come back', async () => {
    const { phone, page } = await two();
    await openSettings(page);
    await page.getByRole('button', { name: 'Sign out of this browser' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
    await shownLink(page);
    expect(await stored(page)).not.toMatch(/Hello, both|Bea|epochs/);
    await page.reload();
    await shownLink(page);
    expect((await phone.devices()).filter(({ kind }) => kind === 'browser')).toHaveLength(1);
    const link = await shownLink(page);
    await phone.pair(link);
    await inList(page, 'Hello, both').waitFor();
  });

  test('signing out everywhere ends every browser, and the phone stays', async () => {
    const { phone, page, other } = await two();
    await openSettings(page);
    await page.getByRole('button', { name: 'Sign out of all browsers' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Sign out' }).click();
    await shownLink(page);
    await other.getByRole('alert').getByText('This browser was removed').waitFor();
    expect((await phone.devices()).map(({ kind }) => kind)).toEqual(['phone']);
  });
});
