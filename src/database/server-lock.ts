import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Log } from '../log.js';
import { StartupError } from './startup-error.js';

// Any number that means "the Pairline server of this database".
const LOCK = 5_087_412_903;

export interface ServerLockOptions {
  url: string;
  /** Of several, as a person knows it: "of the realm clinic". */
  which?: string;
  log: Pick<Log, 'info' | 'warn'>;
  /** Several servers that share the database: they keep out one that is alone, and it them. */
  shared?: boolean;
  /** Another server took over while the database was away. This one has to stop. */
  onLost: () => void;
}

/**
 * One server process serves a database at a time, because who is connected is known in memory only; or several that tell each other
 * (REDIS_URL). The lock lives as long as a connection of its own: Postgres lets go of it when the process dies.
 */
export class ServerLock {
  private client?: pg.Client;
  private readonly releasing = new AbortController();
  // Tells our own connection, broken but not yet noticed by Postgres, from another server's.
  private readonly name = `pairline-lock-${randomUUID()}`;

  private constructor(private readonly options: ServerLockOptions) {}

  static async take(options: ServerLockOptions): Promise<ServerLock> {
    const lock = new ServerLock(options);
    if (await lock.connect()) return lock;
    const which = options.which === undefined ? '' : ` (the one ${options.which})`;
    throw new StartupError(
      `Another Pairline server is using this database${which}: stop it first, give this one a database of its own, or set REDIS_URL for both.`,
    );
  }

  async release(): Promise<void> {
    this.releasing.abort();
    await this.client?.end();
  }

  /** False when another server has the lock. */
  private async connect(): Promise<boolean> {
    const client = new pg.Client({
      connectionString: this.options.url,
      application_name: this.name,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
    });
    // 'end' follows; without a listener this would end the process.
    client.on('error', () => undefined);
    try {
      await client.connect();
      // A host that vanished without a word is noticed within half a minute, not after Linux' two hours.
      await client.query('SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3');
      if (!(await this.tryLock(client))) {
        await client.end();
        return false;
      }
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    this.client = client;
    client.once('end', () => void this.retake());
    return true;
  }

  private async tryLock(client: pg.Client): Promise<boolean> {
    const lock = this.options.shared ? 'pg_try_advisory_lock_shared' : 'pg_try_advisory_lock';
    for (;;) {
      const { rows } = await client.query<{ taken: boolean }>(`SELECT ${lock}($1) AS taken`, [LOCK]);
      if (rows[0]?.taken) return true;
      const { rowCount } = await client.query(
        `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
         WHERE application_name = $1 AND pid <> pg_backend_pid()`,
        [this.name],
      );
      if (rowCount === 0) return false;
    }
  }

  private async retake(): Promise<void> {
    const { signal } = this.releasing;
    if (signal.aborted) return;
    this.options.log.warn('The connection to the database broke');
    for (let pause = 100; !signal.aborted; pause = Math.min(pause * 2, 5000)) {
      try {
        if (await this.connect()) {
          // Released meanwhile: the connection that was just opened has to go too.
          if (signal.aborted) await this.client?.end();
          else this.options.log.info('The database is back');
        } else if (!signal.aborted) {
          this.options.onLost();
        }
        return;
      } catch {
        // Whatever it is, the database is not to be had yet; queries tell the reason where somebody asks.
        await delay(pause, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
