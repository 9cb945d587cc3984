import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { ChatEvents, type ChatFact } from '../chats/chat.events.js';
import { ChatReading } from '../chats/chat-reading.js';
import type { MemberView } from '../chats/chat.js';
import { LOG, type Log } from '../log.js';
import { Connections } from './connections.js';
import { encode, type Frame } from './frame.js';
import type { Peer } from './peer.js';
import { Typing } from './typing.js';

/** Tells the members of conversations what happened, in the events of wire.md, section E. */
@Injectable()
export class ChatRelay implements OnModuleInit {
  constructor(
    private readonly connections: Connections,
    private readonly events: ChatEvents,
    private readonly reading: ChatReading,
    private readonly typing: Typing,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.events.on('chat.happened', (fact, by) => {
      if (fact.name === 'chat.posted') this.typing.stop(fact.chatId, fact.message.sender.user_id);
      if (fact.name === 'chat.memberChanged' && isOut(fact.member)) this.typing.stopAll(fact.chatId);
      if (fact.name === 'chat.invited') for (const account of fact.to) void this.attempt(this.tellPending(account));
      else this.tell(fact.to, frameOf(fact), by);
    });
  }

  /** What waits for somebody who comes, if anything does. */
  async greet(peer: Peer): Promise<void> {
    const { invitations, conversations } = await this.reading.notifications(peer.session!);
    if (invitations.length > 0 || conversations.length > 0)
      peer.emit('pendingNotifications', { invitations, conversations });
  }

  private async tellPending(account: string): Promise<void> {
    const [first] = this.following(account);
    if (first === undefined) return;
    const frame = encode('pendingNotifications', await this.reading.notifications(first.session!));
    this.tell([account], frame);
  }

  /** To those who follow by events, but for the connection that caused it. Nothing is read for it: the fact says it all. */
  private tell(accounts: readonly string[], frame: Frame, by?: string): void {
    for (const account of new Set(accounts))
      for (const browser of this.following(account)) if (browser.id !== by) browser.send(frame);
  }

  private *following(account: string): Generator<Peer> {
    for (const browser of this.connections.of(account).browsers) if (browser.follower === undefined) yield browser;
  }

  /** What fails here is told when they come again. */
  private async attempt(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.log.warn({ err: error }, 'somebody who is invited could not be told');
    }
  }
}

function isOut({ state }: MemberView): boolean {
  return state === 'left' || state === 'removed';
}

function frameOf(fact: Exclude<ChatFact, { name: 'chat.invited' }>): Frame {
  const { chatId: conversationId } = fact;
  switch (fact.name) {
    case 'chat.posted':
      return encode('newMessage', { conversationId, ...fact.message });
    case 'chat.edited':
      return encode('messageEdited', { conversationId, ...fact.message });
    case 'chat.deleted':
      return encode('messageDeleted', { conversationId, message_id: fact.messageId });
    case 'chat.reacted': {
      const { messageId, userId, content } = fact;
      return encode('reaction', { conversationId, message_id: messageId, user_id: userId, content });
    }
    case 'chat.marked': {
      const { userId, delivered, read } = fact;
      return encode('conversationMarked', { conversationId, user_id: userId, delivered, read });
    }
    case 'chat.memberChanged':
      return encode('memberChanged', { conversationId, member: fact.member });
    case 'chat.changed':
      return encode('conversationChanged', { conversation: fact.chat });
  }
}
