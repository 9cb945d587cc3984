import { Injectable } from '@nestjs/common';
import { Cluster } from '../cluster/cluster.js';
import { Facts } from '../cluster/facts.js';
import type { Conversation } from './conversation.js';
import type { Message, MessageStatus } from './message.js';

/** How far a browser read a conversation, ms since 1970. */
export interface ReadMark {
  conversationId: string;
  readUpTo: number;
}

/** What has happened, told after it was committed; `account` is its id. `by` is the connection that caused it, when one did. */
export interface MessagingFacts {
  /** `messages`: as they stand now, repeats included; `arrived`: those that are new. */
  'messages.stored': [account: string, fact: { messages: Message[]; arrived: Message[] }];
  'conversations.stored': [account: string, fact: { conversations: Conversation[] }];
  /** A client of delta sync named or deleted some: who shows a list needs all of it. */
  'conversations.edited': [account: string];
  'message.statusChanged': [account: string, fact: { messageId: string; status: MessageStatus; tempId?: string }];
  'message.sent': [account: string, fact: { phoneNumber: string; messageId: string }];
  'message.deleted': [account: string, fact: { messageId: string; by?: string }];
  /** Waits for the phone. */
  'message.queued': [account: string, fact: { message: Message; by?: string }];
  'conversation.read': [account: string, fact: ReadMark & { by?: string }];
}

@Injectable()
export class MessagingEvents extends Facts<MessagingFacts> {
  constructor(cluster: Cluster) {
    super(cluster, 'messaging');
  }
}
