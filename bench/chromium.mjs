// Debian's chromium, and what a page in it says of itself.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

/** Rejects, with what to do, where there is none. */
export async function startChromium() {
  const paths = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'chromium'));
  const executablePath = paths.find(isExecutable);
  if (executablePath === undefined) throw new Error('chromium is missing: apt-get install chromium');
  return chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'], // prettier-ignore
  });
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Notes in every page of a context when something is first there: `seen.<name>`, ms since the page was asked for.
 * @param {import('playwright-core').BrowserContext} context
 * @param {Record<string, string>} selectors by name
 */
export async function note(context, selectors) {
  await context.addInitScript((wanted) => {
    const seen = (globalThis.seen = {});
    const look = () => {
      for (const [name, selector] of Object.entries(wanted))
        if (!(name in seen) && document.querySelector(selector) !== null) seen[name] = performance.now();
    };
    new MutationObserver(look).observe(document, { childList: true, subtree: true });
  }, selectors);
}

/**
 * When something was first there.
 * @param {import('playwright-core').Page} page of a context with `note`
 * @param {string} name
 * @returns {Promise<number>}
 */
export async function seen(page, name) {
  const found = await page.waitForFunction((wanted) => globalThis.seen[wanted], name, { timeout: 300_000 });
  return /** @type {Promise<number>} */ (found.jsonValue());
}
