import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Links } from './links.js';

/** Longer than what is done under a lock ever takes. */
const OVER_AFTER_MS = 10_000;
const PAUSE_MS = 20;

/** Lets go of a lock, unless it is another's by now. KEYS: the lock. ARGV: who took it. */
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`;

/** Waits for a lock among the servers; what it answers lets go of it. Undefined with Redis away: nobody has one then. */
export async function lock({ redis, prefix }: Links, key: string): Promise<(() => Promise<void>) | undefined> {
  const name = `${prefix}lock:${key}`;
  const owner = randomUUID();
  try {
    while ((await redis.set(name, owner, 'PX', OVER_AFTER_MS, 'NX')) === null) await delay(PAUSE_MS);
  } catch {
    return undefined;
  }
  return async () => {
    // It is over by itself otherwise.
    await redis.eval(RELEASE, 1, name, owner).catch(() => undefined);
  };
}
