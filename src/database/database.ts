import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { PrismaClient } from '../generated/prisma/client.js';
import { isDeadlock } from './faults.js';
import { QuickReads } from './quick-reads.js';

const ATTEMPTS = 5;

/** One pool of connections, for typed queries through `prisma` and for raw SQL through `pool`; and one for quick reads. */
export class Database {
  readonly pool: pg.Pool;
  readonly prisma: PrismaClient;
  readonly quick: QuickReads;
  private closing?: Promise<void>;

  constructor(
    readonly url: string,
    connections: number,
  ) {
    this.pool = new pg.Pool({
      connectionString: url,
      application_name: 'pairline',
      max: connections,
      // Also how long a query waits for a free connection.
      connectionTimeoutMillis: 5000,
      keepAlive: true,
    });
    // An idle connection broke (a restart of Postgres): the pool has dropped it, and the next query opens another.
    this.pool.on('error', () => undefined);
    this.quick = new QuickReads(url);
    this.prisma = new PrismaClient({ adapter: new PrismaPg(this.pool), errorFormat: 'minimal' });
  }

  async ping(): Promise<void> {
    await this.pool.query('SELECT 1');
  }

  /** Statements that count together or not at all. After a deadlock `work` is done again, from the beginning. */
  async transaction<T>(work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const client = await this.pool.connect();
      // Its queries tell; without a listener a connection that breaks between two of them would end the process.
      const ignore = () => undefined;
      client.on('error', ignore);
      try {
        await client.query('BEGIN');
        const result = await work(client);
        await client.query('COMMIT');
        client.off('error', ignore);
        client.release();
        return result;
      } catch (error) {
        // Whatever state the connection is in, a new one is sure to be clean.
        client.release(true);
        if (!isDeadlock(error) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  close(): Promise<void> {
    this.closing ??= Promise.all([this.quick.close(), this.prisma.$disconnect()]).then(() => this.pool.end());
    return this.closing;
  }
}
