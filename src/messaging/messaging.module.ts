import { Module } from '@nestjs/common';
import { ConversationKind } from './conversation.kind.js';
import { Conversations } from './conversations.service.js';
import { DeltaSyncController } from './delta-sync.controller.js';
import { DeltaSync } from './delta-sync.service.js';
import { Inbox } from './inbox.service.js';
import { MessageKind } from './message.kind.js';
import { MessagingEvents } from './messaging.events.js';
import { Outbox } from './outbox.service.js';

@Module({
  controllers: [DeltaSyncController],
  // Conversations register before messages: a batch writes them first, and messages then move them along.
  providers: [ConversationKind, MessageKind, Conversations, DeltaSync, Inbox, MessagingEvents, Outbox],
  exports: [Conversations, Inbox, MessagingEvents, Outbox],
})
export class MessagingModule {}
