import { once } from 'node:events';
import type { Response } from 'express';

/** Characters that are written together. */
const CHUNK = 65_536;

/**
 * Answers with JSON text in pieces, as fast as whoever asked reads them. Resolves with whether all of it was taken over by
 * the connection. What fails before the first chunk is out can still be answered as an error.
 */
export async function sendJson(response: Response, pieces: AsyncIterable<string>): Promise<boolean> {
  response.status(200).type('json');
  let chunk = '';
  for await (const piece of pieces) {
    chunk += piece;
    if (chunk.length < CHUNK) continue;
    if (!response.write(chunk)) await drained(response);
    if (response.destroyed) return false;
    chunk = '';
  }
  // A small answer goes out whole, with its length.
  response.end(chunk);
  return true;
}

/** Resolves when there is room for more, or nobody to read it. */
async function drained(response: Response): Promise<void> {
  const gone = new AbortController();
  const abort = () => gone.abort();
  if (response.destroyed) return;
  response.once('close', abort);
  await once(response, 'drain', { signal: gone.signal }).catch(() => undefined);
  response.off('close', abort);
}
