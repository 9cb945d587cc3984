import { ClientError } from './types.js';

/** A file of the page, in what browsers and Vite say when it could not be loaded; some browsers name none. */
const ADDRESS = /(?:https?:\/\/[^\s'"]+|\/[^\s'"]+)\.(?:js|css)\b/;

/**
 * Loads a part of the program that is not there from the start: `() => import('./part.js')`. What keeps a page from that
 * comes as a `ClientError`: `offline` when the server cannot be reached, and trying again helps; `stale_page` when only
 * loading the page again does, because the server has another build of it, or the browser remembers that it failed once.
 */
export async function loadPart<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (typeof document === 'undefined' || !isMissing(error)) throw error;
    const address = ADDRESS.exec(String(error))?.[0];
    if (address !== undefined && (await isServed(address))) return loadAgain(load, address);
    throw new ClientError('offline', 'A part of this page could not be loaded');
  }
}

async function loadAgain<T>(load: () => Promise<T>, address: string): Promise<T> {
  // Vite takes a style sheet that stands in the page for one that is loaded.
  for (const link of document.querySelectorAll<HTMLLinkElement>('link[rel=stylesheet]'))
    if (link.sheet === null && link.href.endsWith(address)) link.remove();
  try {
    return await load();
  } catch (error) {
    throw isMissing(error) ? stalePage() : error;
  }
}

/** False when nobody answers, or not now. Rejects with `stale_page` when there is no such file. */
async function isServed(address: string): Promise<boolean> {
  const response = await fetch(address, { method: 'HEAD', cache: 'no-store' }).catch(() => undefined);
  if (response?.status === 404) throw stalePage();
  return response?.ok === true;
}

/** A module that was not loaded is a TypeError in all browsers; a style sheet is not. */
function isMissing(error: unknown): boolean {
  return error instanceof TypeError || String(error).includes('preload CSS');
}

function stalePage(): ClientError {
  return new ClientError('stale_page', 'This page is of another build than the server has');
}
