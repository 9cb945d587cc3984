import { ClientError } from './types.js';

/** A frame with a batch in it stays well below the server's bound. */
const MAX_ROWS = 500;
const MAX_BYTES = 512 * 1024;
/** What sealing adds to a row: base64, and ids, alias and times a second time. */
const GROWTH = 4 / 3;
const OVERHEAD_BYTES = 400;

const encoder = new TextEncoder();

/** The server says so of a batch because of one row in it. */
const ROW_REFUSED = new Set(['rejected', 'string_too_long', 'invalid_string', 'invalid_payload', 'payload_too_large']);

/** Cuts rows into batches by their number and their size on the wire. */
export function batches<T>(rows: T[]): T[][] {
  const cut: T[][] = [];
  let size = Infinity;
  for (const row of rows) {
    const bytes = encoder.encode(JSON.stringify(row)).length * GROWTH + OVERHEAD_BYTES;
    const last = cut.at(-1);
    if (last === undefined || last.length === MAX_ROWS || size + bytes > MAX_BYTES) {
      cut.push([row]);
      size = bytes;
    } else {
      last.push(row);
      size += bytes;
    }
  }
  return cut;
}

/** Tells a batch; when it is refused, its parts, so that one bad row is left out alone. Answers those left out, and why. */
export async function tellParts<T>(
  rows: T[],
  tell: (rows: T[]) => Promise<unknown>,
): Promise<{ row: T; error: ClientError }[]> {
  try {
    await tell(rows);
    return [];
  } catch (error) {
    if (!(error instanceof ClientError) || !ROW_REFUSED.has(error.code)) throw error;
    if (rows.length === 1) return [{ row: rows[0]!, error }];
    const middle = rows.length >> 1;
    return [...(await tellParts(rows.slice(0, middle), tell)), ...(await tellParts(rows.slice(middle), tell))];
  }
}
