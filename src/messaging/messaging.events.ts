import { EventEmitter } from 'node:events';
import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import type { Conversation } from './conversation.js';
import type { Message, MessageStatus } from './message.js';

/** How far a browser read a conversation, ms since 1970. */
export interface ReadMark {
  conversationId: string;
  readUpTo: number;
}

/** What has happened, told after it was committed. `by` is the connection that caused it, when one did. */
export interface MessagingFacts {
  /** `messages`: as they stand now, repeats included; `arrived`: those that are new. */
  'messages.stored': [account: AccountKey, fact: { messages: Message[]; arrived: Message[] }];
  'conversations.stored': [account: AccountKey, fact: { conversations: Conversation[] }];
  /** A client of delta sync named or deleted some: who shows a list needs all of it. */
  'conversations.edited': [account: AccountKey];
  'message.statusChanged': [account: AccountKey, fact: { messageId: string; status: MessageStatus; tempId?: string }];
  'message.sent': [account: AccountKey, fact: { phoneNumber: string; messageId: string }];
  'message.deleted': [account: AccountKey, fact: { messageId: string; by?: string }];
  /** Waits for the phone. */
  'message.queued': [account: AccountKey, fact: { message: Message; by?: string }];
  'conversation.read': [account: AccountKey, fact: ReadMark & { by?: string }];
}

@Injectable()
export class MessagingEvents extends EventEmitter<MessagingFacts> {}
