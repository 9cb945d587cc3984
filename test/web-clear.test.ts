import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test } from '@jest/globals';
import { memoryStore } from '@pairline/client';
import { phoneThatTells } from './support/client-clear.js';
import { phoneAt, told } from './support/client-ends.js';
import { bubble, inChromium, inList, openConversation, openLinked, openSettings, serverWithPage, status } from './support/page.js'; // prettier-ignore

// What did not come from the phone, and a phone that does not come back.

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

inChromium('a linked browser', (chromium) => {
  test('shows a text in the clear folded under a mark, and as nobody’s', async () => {
    const server = await serverWithPage();
    const store = memoryStore();
    const phone = await phoneAt(server.url, { store });
    const page = await openLinked(chromium, server, phone);
    await phone.putConversations([{ id: 't1', number: '+4915112345678', name: 'Bea' }]);
    await phone.putMessages([told('Hello there')]);
    await inList(page, 'Hello there').waitFor();
    await phone.close();
    const clear = await phoneThatTells(server.url, store);
    const text = 'Log in at https://bank.example';
    await clear.tell('mobile:messages', { messages: [{ ...told(text), id: 'clear', phoneNumber: '+4915112345678', body: text, read: false }] }); // prettier-ignore
    await inList(page, 'Not end-to-end encrypted').waitFor();
    await openConversation(page, 'Bea');

    const marked = bubble(page, 'Not end-to-end encrypted');
    await marked.waitFor();
    expect(await page.getByText(text).isVisible()).toBe(false);
    expect(await marked.getByText('From Bea').count()).toBe(0);
    await marked.getByText('From an unknown writer').waitFor();
    await marked.locator('summary').focus();
    await page.keyboard.press('Enter');
    await marked.getByText(text).waitFor();
    await marked.getByText('did not come sealed from your phone').waitFor();
    expect(await marked.getByRole('link').count()).toBe(0);
    await page.evaluate(axe);
    const { violations } = await page.evaluate<{ violations: { id: string }[] }>(
      'axe.run(document.querySelector("[data-message=clear]"))',
    );
    expect(violations.map(({ id }) => id)).toEqual([]);
    expect(await bubble(page, 'Hello there').locator('details').count()).toBe(0);

    await openSettings(page);
    await page.getByLabel('Language').selectOption('Deutsch');
    await page.getByRole('listitem').getByText('Nicht Ende-zu-Ende-verschlüsselt').first().waitFor();
  });

  test('says that the phone was taken off the account, in both languages', async () => {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone);
    await status(page, 'Phone connected').waitFor();
    await phone.unpair();
    await status(page, 'The phone was taken off this account. Link a phone to go on.').waitFor();
    expect(await page.getByText('Phone away').count()).toBe(0);
    await openSettings(page);
    await page.getByLabel('Language').selectOption('Deutsch');
    await status(page, 'Das Telefon wurde aus diesem Konto entfernt.').waitFor();
  });
});
