import { loadPart } from '@pairline/client/browser';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/**
 * A part of the page that is loaded when it is wanted: for `lazy()`, which asks once. Tries until there is a connection;
 * rejects with a `ClientError` `stale_page` when the page has to be loaded again.
 */
export function part<T>(load: () => Promise<T>): () => Promise<T> {
  return async () => {
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(2 * wait, LONGEST_WAIT_MS))
      try {
        return await loadPart(load);
      } catch (error) {
        if ((error as { code?: string }).code !== 'offline') throw error;
        await new Promise((resolve) => window.setTimeout(resolve, wait));
      }
  };
}
