import { hkdfSync } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { StartupError } from '../database/startup-error.js';
import type { BootEnv } from '../env.js';
import type { Log } from '../log.js';

/** The longest pause before another attempt to reach Redis. */
const MOST_PAUSE_MS = 2000;

/** What a server has of Redis. */
export interface Links {
  /** For commands. While Redis is away they fail at once: nothing waits in memory. */
  redis: Redis;
  /** For what the others tell: a connection that subscribes does nothing else. */
  inbox: Redis;
  /** What all names in Redis begin with: two installations that share one do not meet. */
  prefix: string;
  channel: string;
  /** Of the servers, as long as they have one ENCRYPTION_KEY. */
  key: Buffer;
}

/** Throws `StartupError` when Redis is not to be had within DATABASE_WAIT_SECONDS, or refuses us. */
export async function openLinks({ redisUrl, encryptionKey, databaseWaitMs }: BootEnv, log: Log): Promise<Links> {
  const derive = (info: string, bytes: number) => Buffer.from(hkdfSync('sha256', encryptionKey, '', info, bytes));
  const prefix = `pairline:${derive('pairline cluster name', 8).toString('hex')}:`;
  const key = derive('pairline cluster', 32);
  const link = () => {
    const redis = new Redis(redisUrl!, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      connectTimeout: 5000,
      commandTimeout: 5000,
      // A Redis that hangs, or a host that vanished without a word: else each command would wait, and its bytes in the socket.
      socketTimeout: 5000,
      // `Cluster` does, and hears of it when that fails: ioredis would leave it as an unhandled rejection.
      autoResubscribe: false,
      keepAlive: 10_000,
      retryStrategy: (times) => Math.min(times * 100, MOST_PAUSE_MS),
    });
    // 'close' follows, and then another attempt; without a listener ioredis prints it.
    redis.on('error', () => undefined);
    return redis;
  };
  const [redis, inbox] = [link(), link()];
  const deadline = Date.now() + databaseWaitMs;
  try {
    // The servers and their Redis are often started together.
    for (let attempt = 1; ; attempt++)
      try {
        await Promise.all([redis, inbox].map(arrive));
        return { redis, inbox, prefix, channel: `${prefix}told`, key };
      } catch (error) {
        const why = (error as Error).message;
        if (/NOAUTH|WRONGPASS|NOPERM|ERR /.test(why)) throw new StartupError(`Redis (REDIS_URL) refuses this server: ${why}.`, { cause: error }); // prettier-ignore
        if (Date.now() >= deadline) throw new StartupError('Redis (REDIS_URL) cannot be reached.', { cause: error });
        if (attempt === 1) log.info('Waiting for Redis');
        await delay(500);
      }
  } catch (error) {
    for (const each of [redis, inbox]) each.disconnect();
    throw error;
  }
}

async function arrive(redis: Redis): Promise<void> {
  if (redis.status !== 'ready') {
    if (redis.status !== 'wait' && redis.status !== 'end') redis.disconnect();
    await redis.connect();
  }
  await redis.ping();
}
