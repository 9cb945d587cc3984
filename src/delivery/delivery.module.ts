import { Module } from '@nestjs/common';
import { ChatsModule } from '../chats/chats.module.js';
import { MessagingModule } from '../messaging/messaging.module.js';
import { PairingModule } from '../pairing/pairing.module.js';
import { SyncModule } from '../sync/sync.module.js';
import { Broadcast } from './broadcast.js';
import { ChangesController } from './changes.controller.js';
import { ChangesReader } from './changes-reader.js';
import { ChatHandlers } from './chat-handlers.js';
import { ChatRelay } from './chat-relay.js';
import { Connections } from './connections.js';
import { Departures } from './departures.js';
import { Doorman } from './doorman.js';
import { Elsewhere } from './elsewhere.js';
import { EventDesk } from './event-desk.js';
import { Handlers } from './handlers.js';
import { Handshakes } from './handshakes.js';
import { LiveState } from './live-state.js';
import { Origins } from './origins.js';
import { Reception } from './reception.js';
import { Refusals } from './refusals.js';
import { Relay } from './relay.js';
import { RelayGateway } from './relay.gateway.js';
import { Signals } from './signals.js';
import { Typing } from './typing.js';
import { WebSocketDoor } from './websocket.door.js';

@Module({
  imports: [ChatsModule, MessagingModule, PairingModule, SyncModule],
  controllers: [ChangesController],
  providers: [
    Broadcast,
    ChangesReader,
    ChatHandlers,
    ChatRelay,
    Connections,
    Departures,
    Doorman,
    Elsewhere,
    EventDesk,
    Handlers,
    Handshakes,
    LiveState,
    Origins,
    Reception,
    Refusals,
    Relay,
    RelayGateway,
    Signals,
    Typing,
    WebSocketDoor,
  ],
})
export class DeliveryModule {}
