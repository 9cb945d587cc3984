import { waitAfter } from '../connection.js';
import { ClientError } from '../types.js';
import { pause } from '../waiting.js';

/** What passes by itself. */
const PASSING = new Set([
  'offline',
  'timeout',
  'busy',
  'unavailable',
  'stopping',
  'rate_limited',
  // This client's own request before, which the server believes to be under way still.
  'upload_locked',
  'wrong_offset',
]);

/** Ends the waits of all that are patient. */
export class Bell {
  private ringing = new AbortController();

  get signal(): AbortSignal {
    return this.ringing.signal;
  }

  ring(): void {
    this.ringing.abort();
    this.ringing = new AbortController();
  }
}

/**
 * Does work again when it fails for something that passes, after waits that grow, up to `most` times in a row; rejects
 * with what does not pass, and the signal's reason. `work` calls `good` whenever it got on.
 */
export async function patiently<T>(
  work: (good: () => void) => Promise<T>,
  { bell, signal, most = Infinity, waiting }: { bell: Bell; signal: AbortSignal; most?: number; waiting?: () => void },
): Promise<T> {
  for (let attempt = 0; ; attempt++)
    try {
      signal.throwIfAborted();
      return await work(() => (attempt = 0));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ClientError) || !PASSING.has(error.code) || attempt + 1 >= most) throw error;
      waiting?.();
      await pause(waitAfter(error, attempt), AbortSignal.any([signal, bell.signal]));
    }
}
