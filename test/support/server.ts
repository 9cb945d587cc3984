import type { AddressInfo } from 'node:net';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { createApp } from '../../src/app.setup.js';
import { parseEnv, type BootEnv, type Limits } from '../../src/env.js';
import { createLog, type Log } from '../../src/log.js';
import { createTestDatabase, type TestDatabase } from './postgres.js';

export interface ServerOptions extends Partial<Omit<BootEnv, 'limits'>> {
  limits?: Partial<Limits>;
  /** A database that is there already, and stays. */
  database?: TestDatabase;
  log?: Log;
  /** Where the built web client is. */
  webFolder?: string;
}

/** The whole server in this process, on a free port and a database of its own. */
export class TestServer {
  private constructor(
    readonly app: NestExpressApplication,
    readonly database: TestDatabase,
    readonly env: BootEnv,
    private readonly ownDatabase: boolean,
  ) {}

  static async start({ database, log, limits, webFolder, ...overrides }: ServerOptions = {}): Promise<TestServer> {
    const used = database ?? (await createTestDatabase());
    const defaults = parseEnv({ HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'silent' });
    const env: BootEnv = {
      ...defaults,
      jwtSecret: 'a secret of the tests, long enough to be taken',
      encryptionKey: Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex'),
      databaseUrl: used.url,
      ...overrides,
      limits: { ...defaults.limits, ...limits },
    };
    const app = await createApp(env, log ?? createLog(env), webFolder);
    await app.listen(0, '127.0.0.1');
    return new TestServer(app, used, env, database === undefined);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.app.getHttpServer().address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    await this.app.close();
    if (this.ownDatabase) await this.database.drop();
  }
}
