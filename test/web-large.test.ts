import { expect, test } from '@jest/globals';
import type { ToldConversation, ToldMessage } from '@pairline/client';
import type { Page } from 'playwright-core';
import { phoneAt } from './support/client-ends.js';
import { bubble, inChromium, inList, openConversation, openLinked, serverWithPage, soon, status } from './support/page.js'; // prettier-ignore

// An account of many years: 100,000 messages.

const MESSAGES = 100_000;
const IN_LONG_ONE = 60_000;
const CONVERSATIONS = 400;
const NEEDLE = 'Where did you leave the xylophone?';
const NEEDLE_AT = 20_000;

const start = Date.UTC(2016, 0, 1);
const STEP_MS = 3_000_000;

const number = (index: number) => `+4915${String(100_000_000 + index)}`;
const name = (index: number) => (index === 0 ? 'The long one' : `Person ${index}`);

function* history(): Generator<ToldMessage> {
  for (let i = 0; i < MESSAGES; i++) {
    const index = i < IN_LONG_ONE ? 0 : 1 + (i % (CONVERSATIONS - 1));
    // The long one reaches from the first day to the last, and the others lie between.
    const timestamp = start + STEP_MS * (i < IN_LONG_ONE ? i * (MESSAGES / IN_LONG_ONE) : i);
    const text =
      i === NEEDLE_AT ? NEEDLE : `Message ${i}: ${i % 3 === 0 ? 'we meet at the station' : 'and bring the blue bag'}`;
    yield { id: `m${i}`, conversationId: `c${index}`, number: number(index), text, timestamp, type: i % 2 === 0 ? 'received' : 'sent', status: i % 2 === 0 ? undefined : 'delivered', read: true }; // prettier-ignore
  }
}

inChromium('a browser with 100,000 messages', (chromium) => {
  const bubbles = (page: Page) => page.locator('[data-message]').count();
  const scroller = (page: Page) => page.getByRole('region', { name: 'Messages' });

  test('opens without a network, scrolls, and finds what was said years ago', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const people: ToldConversation[] = Array.from({ length: CONVERSATIONS }, (_, index) => ({ id: `c${index}`, number: number(index), name: name(index) })); // prettier-ignore
    await phone.putConversations(people);
    await phone.putMessages([...history()]);
    const page = await openLinked(chromium, server, phone, {
      expected: [/ERR_INTERNET_DISCONNECTED|WebSocket connection/],
    });
    page.setDefaultTimeout(120_000);
    await status(page, 'Phone connected').waitFor();
    expect(await page.getByRole('list', { name: 'Conversations' }).getByRole('listitem').first().getAttribute('aria-setsize')).toBe(String(CONVERSATIONS)); // prettier-ignore
    await page.evaluate(async () => (await navigator.serviceWorker.ready).active!.state);

    await page.context().setOffline(true);
    await page.reload();
    page.setDefaultTimeout(20_000);
    // The list, to its end.
    await inList(page, 'The long one').waitFor();
    const rows = page.getByRole('list', { name: 'Conversations' }).getByRole('listitem');
    await rows.first().getByRole('link').focus();
    await page.keyboard.press('End');
    await page.locator(`li[aria-posinset="${CONVERSATIONS}"]`).waitFor();
    expect(await rows.count()).toBeLessThan(80);

    // Its longest thread: older ones come in, and what is in view stays where it is.
    await page.keyboard.press('Home');
    await openConversation(page, 'The long one');
    await bubble(page, `Message ${IN_LONG_ONE - 1}:`).waitFor();
    const first = async () => Number(/^m(\d+)$/.exec((await page.locator('[data-message]').first().getAttribute('data-message'))!)![1]); // prettier-ignore
    for (let round = 0; round < 15; round++) {
      const oldest = await first();
      // Where the eye is: a message in the middle of what is in view.
      const eye = await scroller(page).evaluate((element) => {
        element.scrollTop = 400;
        const { top, height } = element.getBoundingClientRect();
        const inView = [...element.querySelectorAll<HTMLElement>('[data-message]')].find((message) => message.getBoundingClientRect().top > top + height / 2); // prettier-ignore
        return { id: inView!.dataset.message!, top: inView!.getBoundingClientRect().top };
      });
      await soon(async () => expect(await first()).toBeLessThan(oldest));
      const top = await page
        .locator(`[data-message="${eye.id}"]`)
        .evaluate((element) => element.getBoundingClientRect().top);
      expect(Math.abs(top - eye.top)).toBeLessThan(3);
      expect(await bubbles(page)).toBeLessThanOrEqual(400);
    }
    expect(await first()).toBeLessThan(IN_LONG_ONE - 500);
    await page.getByRole('button', { name: 'To the latest message' }).click();
    await bubble(page, `Message ${IN_LONG_ONE - 1}:`).waitFor();

    // The search reads all of it, and leads there.
    await page.getByRole('searchbox').fill('xylophone');
    page.setDefaultTimeout(120_000);
    const found = page.getByRole('group', { name: 'Messages' }).getByRole('link');
    await found.first().waitFor();
    expect(await found.count()).toBe(1);
    expect(await found.locator('mark').allTextContents()).toEqual(['xylophone']);
    page.setDefaultTimeout(20_000);
    await found.click();
    await bubble(page, NEEDLE).waitFor();
    expect(await bubble(page, NEEDLE).evaluate((element) => element === document.activeElement)).toBe(true);
    const { y, height } = (await bubble(page, NEEDLE).boundingBox())!;
    expect(y).toBeGreaterThan(0);
    expect(y + height).toBeLessThan(760);
    await bubble(page, `Message ${NEEDLE_AT - 1}:`).waitFor();
    await bubble(page, `Message ${NEEDLE_AT + 1}:`).waitFor();
    expect(await bubbles(page)).toBeLessThanOrEqual(400);
    await page.getByRole('searchbox').fill('station nothing-of-the-kind');
    await page.getByText('Nothing found for').waitFor();
  }, 240_000);
});
