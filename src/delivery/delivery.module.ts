import { Module } from '@nestjs/common';
import { MessagingModule } from '../messaging/messaging.module.js';
import { PairingModule } from '../pairing/pairing.module.js';
import { SyncModule } from '../sync/sync.module.js';
import { ChangesController } from './changes.controller.js';
import { ChangesReader } from './changes-reader.js';
import { Connections } from './connections.js';
import { Handshakes } from './handshakes.js';
import { LiveState } from './live-state.js';
import { Relay } from './relay.js';
import { RelayGateway } from './relay.gateway.js';
import { Signals } from './signals.js';

@Module({
  imports: [MessagingModule, PairingModule, SyncModule],
  controllers: [ChangesController],
  providers: [ChangesReader, Connections, Handshakes, LiveState, Relay, RelayGateway, Signals],
})
export class DeliveryModule {}
