import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { createApp } from '../../src/app.setup.js';
import { parseEnv, type BootEnv, type Limits, type RealmSettings } from '../../src/env.js';
import { createLog, type Log } from '../../src/log.js';
import { createTestDatabase, type TestDatabase } from './postgres.js';

export interface ServerOptions extends Partial<Omit<BootEnv, 'limits'>> {
  limits?: Partial<Limits>;
  /** A database that is there already, and stays. */
  database?: TestDatabase;
  log?: Log;
  /** Of the realm `default`. */
  registration?: RealmSettings['registration'];
  inviteToken?: string;
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

  static async start(options: ServerOptions = {}): Promise<TestServer> {
    const { database, log, limits, webFolder, registration, inviteToken, ...overrides } = options;
    const used = database ?? (await createTestDatabase());
    const defaults = parseEnv({ HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'silent' });
    const env: BootEnv = {
      ...defaults,
      jwtSecret: 'a secret of the tests, long enough to be taken',
      encryptionKey: Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex'),
      databaseUrl: used.url,
      // Gone with the run.
      dataDir: join(process.env.TEST_POSTGRES_DIR!, 'data'),
      realms: [{ ...defaults.realms[0]!, ...(registration && { registration, inviteToken }) }],
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
