import { Injectable } from '@nestjs/common';
import { ChatMessages } from '../chats/chat-messages.service.js';
import { Memberships } from '../chats/memberships.js';
import type { ChatClientEvent, ChatPayload } from './chat-events.js';
import type { Reply } from './events.js';
import type { Peer } from './peer.js';
import { Typing } from './typing.js';

type Table = { [E in ChatClientEvent]: (peer: Peer, payload: ChatPayload<E>) => Promise<Reply | void> };

/** What each event of wire.md, section E, does. */
@Injectable()
export class ChatHandlers {
  constructor(
    private readonly messages: ChatMessages,
    private readonly memberships: Memberships,
    private readonly typing: Typing,
  ) {}

  readonly table: Table = {
    sendMessage: (peer, { conversationId, messageContent: content, ...rest }) =>
      this.messages.post(peer.session!, conversationId, { content, ...rest }, peer.id),
    editMessage: (peer, { conversationId, messageId, messageContent: content, epoch }) =>
      this.messages.edit(peer.session!, conversationId, messageId, { content, epoch }, peer.id),
    deleteMessage: (peer, { conversationId, messageId }) =>
      this.messages.remove(peer.session!, conversationId, messageId, peer.id),
    react: (peer, { conversationId, messageId, content, epoch }) =>
      this.messages.react(peer.session!, conversationId, messageId, { content, epoch }, peer.id),
    markConversation: (peer, { conversationId, ...marks }) =>
      this.messages.mark(peer.session!, conversationId, marks, peer.id),
    userTyping: (peer, { conversationId }) => this.typing.type(peer, conversationId),
    joinConversation: (peer, { conversationId }) => this.join(peer, conversationId),
  };

  /** Members are told of their conversations as they are connected; who asks to join one hears whether it is theirs. */
  private async join(peer: Peer, id: string): Promise<void> {
    await this.memberships.of(peer.session!, id);
  }
}
