import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { JwtModule } from '@nestjs/jwt';
import { PassportModule } from '@nestjs/passport';
import { ENV, type BootEnv } from '../env.js';
import { DeviceKind } from './device.kind.js';
import { DevicesController } from './devices.controller.js';
import { Devices } from './devices.service.js';
import { LastSeen } from './last-seen.js';
import { Limits } from './limits.js';
import { SessionGuard, SessionStrategy } from './session.guard.js';
import { jwtKey, Tokens } from './tokens.js';

@Global()
@Module({
  imports: [
    PassportModule,
    JwtModule.registerAsync({ inject: [ENV], useFactory: (env: BootEnv) => ({ secret: jwtKey(env) }) }),
  ],
  controllers: [DevicesController],
  providers: [
    DeviceKind,
    Devices,
    LastSeen,
    Limits,
    SessionStrategy,
    Tokens,
    { provide: APP_GUARD, useClass: SessionGuard },
  ],
  exports: [Devices, LastSeen, Limits, Tokens],
})
export class SessionsModule {}
