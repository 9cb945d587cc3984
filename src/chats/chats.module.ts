import { Module } from '@nestjs/common';
import { BlockKind } from './block.kind.js';
import { BlocksController } from './blocks.controller.js';
import { Blocks } from './blocks.service.js';
import { ChatAccounts } from './chat-accounts.js';
import { ChatMessagesController } from './chat-messages.controller.js';
import { ChatMessages } from './chat-messages.service.js';
import { ChatOperations } from './chat-operations.js';
import { ChatReading } from './chat-reading.js';
import { ChatSweep } from './chat-sweep.js';
import { ChatUpkeep } from './chat-upkeep.js';
import { ChatEvents } from './chat.events.js';
import { ChatKind } from './chat.kind.js';
import { ChatsController } from './chats.controller.js';
import { Chats } from './chats.service.js';
import { InvitationsController } from './invitations.controller.js';
import { Invitations } from './invitations.service.js';
import { Memberships } from './memberships.js';
import { MessageReading } from './message-reading.js';

@Module({
  // `invitations` is no conversation's id, so its routes come first.
  controllers: [InvitationsController, ChatsController, ChatMessagesController, BlocksController],
  providers: [
    BlockKind,
    Blocks,
    ChatAccounts,
    ChatEvents,
    ChatKind,
    ChatMessages,
    ChatOperations,
    ChatReading,
    ChatSweep,
    ChatUpkeep,
    Chats,
    Invitations,
    Memberships,
    MessageReading,
  ],
  exports: [ChatEvents, ChatMessages, ChatReading, Memberships],
})
export class ChatsModule {}
