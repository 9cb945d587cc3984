import { EventEmitter, once } from 'node:events';
import type { Locker } from '@tus/server';
import { relayError } from '../errors.js';

const PATIENCE_MS = 10_000;

class Holder extends EventEmitter<{ wanted: []; released: [] }> {}

/**
 * One request at a time for an upload. A client that lost its connection asks for the offset, or gives up, while the server
 * may still wait for the rest of what it sent: that request ends then with what has come. Two that send parts at the same
 * time are a mistake: the second one is refused.
 */
export class UploadLocks {
  private readonly held = new Map<string, Holder>();

  /** As requests of this method take them. Throws `upload_locked`. */
  for(method: string): Locker {
    return {
      newLock: (id) => ({
        lock: async (_signal, giveWay) => {
          for (let holder; (holder = this.held.get(id)) !== undefined;) {
            if (method === 'PATCH') throw relayError('upload_locked', { retryAfter: 1 });
            await makeWay(holder);
          }
          this.held.set(
            id,
            new Holder().once('wanted', () => void giveWay()),
          );
        },
        unlock: async () => {
          const holder = this.held.get(id);
          this.held.delete(id);
          holder?.emit('released');
        },
      }),
    };
  }
}

async function makeWay(holder: Holder): Promise<void> {
  const released = once(holder, 'released', { signal: AbortSignal.timeout(PATIENCE_MS) });
  holder.emit('wanted');
  try {
    await released;
  } catch (error) {
    throw (error as Error).name === 'AbortError' ? relayError('upload_locked', { retryAfter: 1 }) : error;
  }
}
