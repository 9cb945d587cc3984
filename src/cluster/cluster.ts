import { randomUUID } from 'node:crypto';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { BootEnv } from '../env.js';
import type { Log } from '../log.js';
import { openLinks, type Links } from './links.js';
import { lock } from './lock.js';
import { Roster } from './roster.js';
import { openText, sealText } from './sealed.js';

/** How often a server says that it is there. */
const BEAT_MS = 5000;

type Listener = (...args: unknown[]) => void;
type Tell = [topic: string, args: unknown[]];

/**
 * The servers that share a database, by way of REDIS_URL. What one tells, the others hear, in the order it was told; nothing of it
 * is kept, so who may have missed something looks at the database anew (`onGap`). It is sealed under ENCRYPTION_KEY: Redis passes on
 * what it cannot read, and what somebody else says there is not heard.
 *
 * Without REDIS_URL a server is alone, and telling costs nothing.
 */
@Injectable()
export class Cluster implements OnApplicationShutdown {
  /** Ours, among the servers. */
  readonly node = randomUUID();
  private readonly listeners = new Map<string, Listener[]>();
  private readonly gaps: (() => void)[] = [];
  private readonly links?: Links;
  /** Who is connected where; undefined when alone. */
  readonly roster?: Roster;
  private waiting: Tell[] = [];
  /** The others may have missed something of ours. */
  private lost = false;
  private beat: NodeJS.Timeout | undefined;

  private constructor(
    links: Links | undefined,
    private readonly log: Log,
  ) {
    if (links === undefined) return;
    this.links = links;
    this.roster = new Roster(links.redis, links.prefix, this.node);
  }

  /** Throws `StartupError` when Redis is not to be had within DATABASE_WAIT_SECONDS. */
  static async join(env: BootEnv, log: Log): Promise<Cluster> {
    if (env.redisUrl === undefined) return new Cluster(undefined, log);
    const links = await openLinks(env, log);
    const cluster = new Cluster(links, log);
    await cluster.begin(links);
    return cluster;
  }

  /** For what several servers count together; undefined when alone. */
  get shared(): Pick<Links, 'redis' | 'prefix' | 'key'> | undefined {
    return this.links;
  }

  /** Whether Redis is there; undefined when alone. */
  get connected(): boolean | undefined {
    return this.links && this.links.redis.status === 'ready' && this.links.inbox.status === 'ready';
  }

  /** Tells the other servers. `args` are plain data. */
  tell(topic: string, ...args: unknown[]): void {
    if (this.links === undefined) return;
    // What is told in one turn of the event loop goes together.
    if (this.waiting.push([topic, args]) === 1) setImmediate(() => this.flush());
  }

  /** What the others tell. Called while the server is wired. */
  hear<Args extends unknown[]>(topic: string, listener: (...args: Args) => void): void {
    const listeners = this.listeners.get(topic) ?? [];
    listeners.push(listener as unknown as Listener);
    this.listeners.set(topic, listeners);
  }

  /** Something that another told, or is about to, may never have arrived here. Called while the server is wired. */
  onGap(listener: () => void): void {
    this.gaps.push(listener);
  }

  /**
   * Work of one key is done at one server at a time; within a server that is for `Slots`. A lock of a server that died is over after
   * some seconds. With Redis away nobody waits.
   */
  async exclusively<T>(key: string, work: () => Promise<T>): Promise<T> {
    const release = this.links && (await lock(this.links, key));
    try {
      return await work();
    } finally {
      await release?.();
    }
  }

  /** Says goodbye: what is told from here on is not heard. */
  async onApplicationShutdown(): Promise<void> {
    if (this.links === undefined) return;
    clearInterval(this.beat);
    this.flush();
    const { redis, inbox } = this.links;
    await this.roster!.close().catch(() => undefined); // Redis is away; the others notice that we are too
    redis.disconnect();
    inbox.disconnect();
  }

  private async begin({ redis, inbox, channel }: Links): Promise<void> {
    inbox.on('messageBuffer', (_: Buffer, sealed: Buffer) => this.receive(sealed));
    // They are there already: what comes is a connection that broke, and one that is back.
    for (const link of [redis, inbox]) {
      link.on('close', () => (this.lost = true));
      link.on('ready', () => void this.recover());
    }
    await inbox.subscribe(channel);
    await this.roster!.beat();
    this.beat = setInterval(() => void this.keepUp(), BEAT_MS).unref();
  }

  private async keepUp(): Promise<void> {
    try {
      // The ping is how an inbox that broke without a word is noticed: nothing else is ever sent there.
      const [wasThere] = await Promise.all([this.roster!.beat(), this.links!.inbox.ping()]);
      // The others took us for gone: they have told so.
      if (!wasThere) this.lost = true;
      await this.recover();
    } catch (error) {
      this.lost = true;
      this.log.warn({ err: error }, 'Redis does not answer: other servers hear nothing of this one');
      return;
    }
    try {
      await this.roster!.reap();
    } catch (error) {
      // Nothing that was told is lost by it.
      this.log.warn({ err: error }, 'what a server that is gone has left could not be cleared away; trying again');
    }
  }

  /** Both connections are there again: everybody looks at the database anew. */
  private async recover(): Promise<void> {
    if (!this.lost || !this.connected) return;
    const { inbox, channel } = this.links!;
    // Before anything is waited for: what breaks meanwhile is another loss.
    this.lost = false;
    try {
      await inbox.subscribe(channel);
      // A Redis that lost all knows again who is here before they come anew.
      await this.roster!.beat();
    } catch {
      this.lost = true;
      return; // broken again: `ready` comes again, and the next beat
    }
    this.log.warn('Messages between servers may have been lost: every connection begins anew');
    this.tell('gap');
    this.gap();
  }

  private gap(): void {
    for (const listener of this.gaps) listener();
  }

  private flush(): void {
    const told = this.waiting;
    if (told.length === 0) return;
    this.waiting = [];
    const { redis, channel, key } = this.links!;
    const sealed = sealText(key, JSON.stringify([this.node, told]));
    // Nothing is queued for a Redis that is away: that would grow, and all is read anew once it is back.
    redis.publish(channel, sealed).catch((error: unknown) => {
      if (!this.lost) this.log.warn({ err: error }, 'the other servers could not be told');
      this.lost = true;
    });
  }

  private receive(sealed: Buffer): void {
    const text = openText(this.links!.key, sealed);
    if (text === undefined) {
      this.log.warn('Something that is not sealed by our ENCRYPTION_KEY came from Redis');
      return;
    }
    const [node, told] = JSON.parse(text) as [string, Tell[]];
    if (node === this.node) return;
    for (const [topic, args] of told) {
      if (topic === 'gap') this.gap();
      for (const listener of this.listeners.get(topic) ?? [])
        try {
          listener(...args);
        } catch (error) {
          this.log.error({ err: error, topic }, 'what another server told could not be taken in');
        }
    }
  }
}
