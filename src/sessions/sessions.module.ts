import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { ENV, type BootEnv } from '../env.js';
import { AccountEvents } from './account-events.js';
import { Accounts } from './accounts.service.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeys } from './api-keys.js';
import { DeviceKind } from './device.kind.js';
import { DevicesController } from './devices.controller.js';
import { Devices } from './devices.service.js';
import { ExpiredBrowsers } from './expired-browsers.js';
import { Introductions } from './introductions.js';
import { LastSeen } from './last-seen.js';
import { Limits } from './limits.js';
import { Realms } from './realms.js';
import { SessionCache } from './session-cache.js';
import { SessionGuard } from './session.guard.js';
import { jwtKey, Tokens } from './tokens.js';

@Global()
@Module({
  imports: [JwtModule.registerAsync({ inject: [ENV], useFactory: (env: BootEnv) => ({ secret: jwtKey(env) }) })],
  controllers: [ApiKeysController, DevicesController],
  providers: [
    AccountEvents,
    Accounts,
    ApiKeys,
    DeviceKind,
    Devices,
    ExpiredBrowsers,
    Introductions,
    LastSeen,
    Limits,
    Realms,
    SessionCache,
    Tokens,
    { provide: APP_GUARD, useClass: SessionGuard },
  ],
  exports: [AccountEvents, Accounts, ApiKeys, Devices, Introductions, LastSeen, Limits, Realms, Tokens],
})
export class SessionsModule {}
