import { Global, Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { AccountsModule } from './accounts/accounts.module.js';
import { AddressOf } from './address.js';
import { ChangesModule } from './changes/changes.module.js';
import { ChatsModule } from './chats/chats.module.js';
import { Cluster } from './cluster/cluster.js';
import { DatabaseModule } from './database/database.module.js';
import { DeliveryModule } from './delivery/delivery.module.js';
import { ENV, type BootEnv } from './env.js';
import { FilesModule } from './files/files.module.js';
import { HttpErrors } from './app.filter.js';
import { Hourly } from './hourly.js';
import { LOG, type Log } from './log.js';
import { MailModule } from './mail/mail.module.js';
import { Metrics } from './metrics.js';
import { OpsModule } from './ops/ops.module.js';
import { SessionsModule } from './sessions/sessions.module.js';

@Global()
@Module({})
export class AppModule {
  static of(env: BootEnv, log: Log): DynamicModule {
    return {
      module: AppModule,
      imports: [
        DatabaseModule,
        ChangesModule,
        MailModule,
        SessionsModule,
        AccountsModule,
        ChatsModule,
        FilesModule,
        DeliveryModule,
        OpsModule,
      ],
      providers: [
        { provide: ENV, useValue: env },
        { provide: LOG, useValue: log },
        { provide: Cluster, useFactory: () => Cluster.join(env, log) },
        { provide: Metrics, useFactory: () => new Metrics() },
        { provide: APP_FILTER, useClass: HttpErrors },
        AddressOf,
        Hourly,
      ],
      exports: [ENV, LOG, Cluster, Metrics, AddressOf, Hourly],
    };
  }
}
