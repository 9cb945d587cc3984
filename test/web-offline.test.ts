import { expect, test } from '@jest/globals';
import { phoneAt, told } from './support/client-ends.js';
import { bubble, inChromium, inList, openConversation, openLinked, serverWithPage, status, write } from './support/page.js'; // prettier-ignore

// Without a network: the page opens, shows what it has, and keeps what is written.

/** What a browser itself says of requests without a network. */
const NO_NETWORK = /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to/;

inChromium('a browser without a network', (chromium) => {
  test('opens from what it has, and what is written there goes once there is a network again', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, { expected: [NO_NETWORK] });
    const sent: string[] = [];
    phone.onSend(async ({ id, text }) => {
      sent.push(text);
      await phone.status(id, 'delivered');
    });
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('Read this anywhere')]);
    await inList(page, 'Read this anywhere').waitFor();
    // The service worker has the whole page.
    await page.evaluate(async () => (await navigator.serviceWorker.ready).active!.state);

    await page.context().setOffline(true);
    await page.reload();
    await openConversation(page, 'Bea');
    await bubble(page, 'Read this anywhere').waitFor();
    await status(page, 'No connection').waitFor();
    await write(page, 'Written without a network');
    await bubble(page, 'Written without a network').getByText('Waiting for a connection').waitFor();
    await status(page, /No connection.*1 message waits here/).waitFor();
    await page.reload();
    await openConversation(page, 'Bea');
    await bubble(page, 'Written without a network').getByText('Waiting for a connection').waitFor();
    expect(sent).toEqual([]);

    await page.context().setOffline(false);
    await bubble(page, 'Written without a network').getByText('Delivered').waitFor();
    await status(page, 'Phone connected').waitFor();
    expect(sent).toEqual(['Written without a network']);
    expect(await bubble(page, 'Written without a network').count()).toBe(1);
  });

  test('every part of the page opens that was never opened before', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, { expected: [NO_NETWORK] });
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('A needle to be found')]);
    await inList(page, 'needle').waitFor();
    await page.evaluate(async () => (await navigator.serviceWorker.ready).active!.state);
    await page.context().setOffline(true);
    await page.reload();
    await page.getByRole('searchbox').fill('needle');
    await page.getByRole('group', { name: 'Messages' }).getByRole('link').click();
    await bubble(page, 'A needle to be found').waitFor();
    await page.getByRole('button', { name: 'Emoji' }).click();
    await page.getByRole('button', { name: '👍' }).click();
    expect(await page.getByRole('textbox', { name: 'Message' }).inputValue()).toBe('👍');
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await page.getByRole('link', { name: 'New conversation' }).click();
    await page.getByLabel('Phone number or name').fill('Bea');
    await page.getByRole('button', { name: 'Bea' }).waitFor();
    await page.getByRole('button', { name: 'Back', exact: true }).first().click();
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByText('The devices could not be read').waitFor();
    await page.getByLabel('Language').selectOption('Deutsch');
    await page.getByRole('heading', { name: 'Einstellungen' }).waitFor();
    // But the list of safety words, which is as large as a part of the page: it is loaded when it is wanted.
    const kept = await page.evaluate(async () => {
      const [name] = await caches.keys();
      return (await (await caches.open(name!)).keys()).map(({ url }) => new URL(url).pathname);
    });
    expect(kept.filter((path) => path.includes('/english-'))).toEqual([]);
    expect(kept.filter((path) => path.includes('/workspace-'))).not.toEqual([]);
  });

  test('a store that is full is told as that, not as a missing connection', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone);
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('Still fits')]);
    await openConversation(page, 'Bea');
    await status(page, 'Phone connected').waitFor();
    await page.evaluate(() => {
      IDBObjectStore.prototype.put = () => {
        throw new DOMException('There is no room', 'QuotaExceededError');
      };
    });
    await phone.putMessages([told('Does not fit')]);
    await status(page, 'Its storage may be full').waitFor();
    await page.locator('.composer-waits', { hasText: 'Its storage may be full' }).waitFor();
    expect(await page.getByText('No connection').count()).toBe(0);
  });

  test('a server that comes back is found again by itself', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, { expected: [NO_NETWORK] });
    await status(page, 'Phone connected').waitFor();
    await page.context().setOffline(true);
    // What is open already does not notice by itself: the line is cut.
    server.app.getHttpServer().closeAllConnections();
    await status(page, 'No connection').waitFor();
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('Meanwhile')]);
    await page.context().setOffline(false);
    await inList(page, 'Meanwhile').waitFor();
    await status(page, 'Phone connected').waitFor();
  });
});
