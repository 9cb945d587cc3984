import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ENV, type BootEnv } from '../env.js';
import { Database } from './database.js';

/** Where each realm's rows are: in a database of its own if it names one, else in the server's. */
@Injectable()
export class Databases implements OnApplicationShutdown {
  /** That of the realm `default`, and of all that name none. */
  readonly main: Database;
  private readonly byRealm = new Map<string, Database>();

  constructor(@Inject(ENV) { databaseUrl, realms, limits }: BootEnv) {
    const byUrl = new Map<string, Database>();
    const open = (url: string) => {
      const database = byUrl.get(url) ?? new Database(url, limits.databaseConnections);
      byUrl.set(url, database);
      return database;
    };
    this.main = open(databaseUrl);
    for (const realm of realms) this.byRealm.set(realm.slug, open(realm.databaseUrl ?? databaseUrl));
  }

  /** Undefined for a realm that this server does not have. */
  of(realm: string): Database | undefined {
    return this.byRealm.get(realm);
  }

  /** Each once. */
  all(): Database[] {
    return [...new Set([this.main, ...this.byRealm.values()])];
  }

  /** The last of Nest's shutdown hooks: the rooms above write what they hold in the hooks before. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.all().map((database) => database.close()));
  }
}
