import type { Page } from 'playwright-core';
import { linked, type Chromium, type OpenOptions, type Sent } from './page.js';

// Private conversations and groups, as people have them in a browser.

export const PASSWORD = 'a long way home';

/** A browser of somebody who made an account just now. */
export async function openAs(
  chromium: Chromium,
  server: { url: string },
  name: string,
  options: OpenOptions = {},
): Promise<Page & { sent: Sent }> {
  const page = await chromium.open(server, options);
  await page.getByRole('button', { name: 'Use Pairline without a phone' }).click();
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByLabel('Password once more').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create an account' }).click();
  await linked(page);
  return page;
}

/** Another browser of an account: it signs in, and the first one lets it in. */
export async function openSecond(
  chromium: Chromium,
  server: { url: string },
  name: string,
  first: Page,
  options: OpenOptions = {},
): Promise<Page & { sent: Sent }> {
  const page = await chromium.open(server, options);
  await signIn(page, name);
  await page.getByRole('heading', { name: 'One more step: your keys' }).waitFor();
  await letIn(first, await page.getByLabel('Paste this link').inputValue());
  await linked(page);
  return page;
}

export async function signIn(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Use Pairline without a phone' }).click();
  await page.getByRole('button', { name: 'I have an account' }).click();
  await page.getByLabel('Name or email').fill(name);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Lets the browser in that shows this link. */
export async function letIn(page: Page, link: string): Promise<void> {
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.getByLabel('Link or code from the other browser').fill(link);
  await page.getByRole('button', { name: 'Let it in' }).click();
  await page.getByText('The other browser is linked').waitFor();
}

/** Begins a group with these people. */
export async function beginGroup(page: Page, name: string, people: string[]): Promise<void> {
  await page.getByRole('link', { name: 'New conversation' }).click();
  await page.getByRole('link', { name: 'New group' }).click();
  await page.getByLabel('Name of the group').fill(name);
  for (const person of people) {
    await page.getByLabel('Add people').fill(person);
    await page.getByRole('region', { name: 'People on this Pairline' }).getByRole('button', { name: person }).click();
  }
  await page.getByRole('button', { name: 'Create the group' }).click();
  await page.getByRole('heading', { name, level: 1 }).waitFor();
}

export async function accept(page: Page, from: string): Promise<void> {
  await page.getByRole('region', { name: 'Invitations' }).getByRole('listitem').filter({ hasText: from }).getByRole('button', { name: 'Accept' }).click(); // prettier-ignore
  await page.getByRole('textbox', { name: 'Message' }).waitFor();
}

/** Chooses what is to be done about the message with this text. */
export async function act(page: Page, text: string, action: string): Promise<void> {
  await page.getByRole('list', { name: 'Messages' }).getByRole('listitem').filter({ hasText: text }).click({ button: 'right' }); // prettier-ignore
  await page.getByRole('menuitem', { name: action }).click();
}
