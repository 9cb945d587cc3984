import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import type { PhoneClient } from '@pairline/client';
import type { Page } from 'playwright-core';
import { PNG } from 'pngjs';
import { phoneAt, told } from './support/client-ends.js';
import { query } from './support/database.js';
import { bubble, inChromium, inList, openConversation, openLinked, serverWithPage, soon, wrong } from './support/page.js'; // prettier-ignore

// Pictures and other files that came with texts, as a person sees them in a browser.

const BEA = { id: 't1', number: '+4915112345678', name: 'Bea' };

/** A picture of one colour. */
function picture(width = 60, height = 40): Buffer {
  const png = new PNG({ width, height });
  png.data.fill(Buffer.from([20, 140, 90, 255]));
  return PNG.sync.write(png);
}

inChromium('files of texts in a browser', (chromium) => {
  async function talk() {
    const server = await serverWithPage();
    const phone = await phoneAt(server.url);
    const page = await openLinked(chromium, server, phone);
    await phone.putConversations([BEA]);
    return { server, phone, page };
  }

  async function tell(phone: PhoneClient, text: string, bytes: Buffer, name: string, type: string): Promise<void> {
    const file = await (await phone.files()).upload(new File([new Uint8Array(bytes)], name, { type }));
    await phone.putMessages([told(text, { files: [file], number: BEA.number })]);
  }

  const saveOf = (page: Page, name: string) => page.getByRole('button', { name: new RegExp(`^Save ${name}`) });

  test('a picture is in the thread and shown large, another file is saved; the list says what came', async () => {
    const { phone, page } = await talk();
    const png = picture();
    await tell(phone, '', png, 'Wannsee.png', 'image/png');
    await inList(page, 'Bea').getByText('Picture', { exact: true }).waitFor();
    await openConversation(page, 'Bea');
    await bubble(page, 'Wannsee.png').getByRole('button', { name: 'Show Wannsee.png' }).click();
    const large = page.getByRole('dialog').getByRole('img', { name: 'Wannsee.png' });
    await large.waitFor();
    expect(await large.evaluate((image: HTMLImageElement) => [image.naturalWidth, image.naturalHeight])).toEqual([60, 40]); // prettier-ignore
    await page.keyboard.press('Escape');

    await tell(phone, 'My card', Buffer.from('BEGIN:VCARD'), 'Bea.vcf', 'text/x-vcard');
    await inList(page, 'Bea').getByText('My card').waitFor();
    await bubble(page, 'Bea.vcf').getByText('My card').waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), saveOf(page, 'Bea.vcf').click()]);
    expect(download.suggestedFilename()).toBe('Bea.vcf');
    expect((await readFile(await download.path())).toString()).toBe('BEGIN:VCARD');
    expect(await wrong(page, 'a thread with files')).toEqual([]);

    await tell(phone, '', Buffer.from('BEGIN:VCARD'), 'Max.vcf', 'text/x-vcard');
    await inList(page, 'Bea').getByText('File', { exact: true }).waitFor();
  });

  test('deleting a text in the browser takes its files off the server', async () => {
    const { server, phone, page } = await talk();
    await tell(phone, 'Look', picture(), 'Wannsee.png', 'image/png');
    await openConversation(page, 'Bea');
    await bubble(page, 'Look').click({ button: 'right' });
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await bubble(page, 'Look').waitFor({ state: 'detached' });
    await soon(async () => expect(await query(server.env.databaseUrl, 'SELECT id FROM uploads')).toEqual([]));
  });
});
