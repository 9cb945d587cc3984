import { expect, test } from '@jest/globals';
import { phoneAt, told } from './support/client-ends.js';
import { bubble, inChromium, inList, linked, openConversation, openLinked, openSettings, serverWithPage, shownLink, status } from './support/page.js'; // prettier-ignore

// Parts of the page that are loaded when they are wanted, and do not come.

/** What a browser itself says of requests that come to nothing. */
const NOT_LOADED = /Failed to load resource|ERR_FAILED|of another build than the server has/;
/** So that every request is one over the network. */
const options = { serviceWorkers: 'block' as const, expected: [NOT_LOADED] };

inChromium('a part of the page that does not come', (chromium) => {
  test('what pairing needs is loaded as soon as it can be, without a reload', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const context = await chromium.context(server, options);
    const parts = /\/assets\/(suite|esm|workspace)-.*\.js/;
    await context.route(parts, (route) => route.abort());
    const page = await context.newPage();
    const refused = page.waitForEvent('requestfailed', (request) => request.url().includes('/assets/suite-'));
    await page.goto('/');
    await refused;
    // A reload would forget this.
    await page.evaluate(() => Object.assign(window, { stayed: true }));
    await context.unroute(parts);
    await context.route(/\/assets\/esm-.*\.js/, (route) => route.abort());
    const socket = page.waitForEvent('requestfailed', (request) => request.url().includes('/assets/esm-'));
    await phone.pair(await shownLink(page));
    await linked(page);
    await socket;
    await status(page, 'No connection').waitFor();
    await context.unroute(/\/assets\/esm-.*\.js/);
    await status(page, 'Phone connected').waitFor();
    expect(await page.evaluate(() => 'stayed' in window)).toBe(true);
  });

  test('a page that was asked for opens once its part comes, in its own looks', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, options);
    await status(page, 'Phone connected').waitFor();
    const parts = /\/assets\/settings-page-.*/;
    await page.route(parts, (route) => route.abort());
    const refused = page.waitForEvent('requestfailed', (request) => parts.test(request.url()));
    await page.getByRole('link', { name: 'Settings' }).click();
    await refused;
    await page.getByText('Loading…').waitFor();
    await page.unroute(parts);
    await page.getByRole('heading', { name: 'Linked devices' }).waitFor();
    const sheets = await page.evaluate(() =>
      [...document.querySelectorAll<HTMLLinkElement>('link[rel=stylesheet]')].map(({ sheet }) => sheet !== null),
    );
    expect(sheets).not.toContain(false);
  });

  test('where the server has another build by now, the page says so, and is loaded again at a press', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone, options);
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('Still here')]);
    await openConversation(page, 'Bea');
    await bubble(page, 'Still here').waitFor();
    const parts = /\/assets\/settings-page-.*\.js/;
    await page.route(parts, (route) => route.fulfill({ status: 404, body: '{}' }));
    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByText('There is a new version of this page').waitFor();
    // What is there goes on working.
    await inList(page, 'Still here').waitFor();
    await page.unroute(parts);
    await page.getByRole('button', { name: 'Reload the page' }).click();
    await page.getByRole('heading', { name: 'Linked devices' }).waitFor();
    await openSettings(page);
  });
});
