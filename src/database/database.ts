import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { ENV, type BootEnv } from '../env.js';
import { PrismaClient } from '../generated/prisma/client.js';

/** One pool of connections, for typed queries through `prisma` and for raw SQL through `pool`. */
@Injectable()
export class Database implements OnApplicationShutdown {
  readonly pool: pg.Pool;
  readonly prisma: PrismaClient;
  private closing?: Promise<void>;

  constructor(@Inject(ENV) env: BootEnv) {
    this.pool = new pg.Pool({
      connectionString: env.databaseUrl,
      application_name: 'pairline',
      max: env.limits.databaseConnections,
      // Also how long a query waits for a free connection.
      connectionTimeoutMillis: 5000,
      keepAlive: true,
    });
    // An idle connection broke (a restart of Postgres): the pool has dropped it, and the next query opens another.
    this.pool.on('error', () => undefined);
    this.prisma = new PrismaClient({ adapter: new PrismaPg(this.pool), errorFormat: 'minimal' });
  }

  async ping(): Promise<void> {
    await this.pool.query('SELECT 1');
  }

  close(): Promise<void> {
    this.closing ??= this.prisma.$disconnect().then(() => this.pool.end());
    return this.closing;
  }

  /** The last of Nest's shutdown hooks: the rooms above write what they hold in the hooks before. */
  onApplicationShutdown(): Promise<void> {
    return this.close();
  }
}
