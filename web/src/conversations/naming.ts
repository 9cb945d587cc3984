import type { Conversation } from '@pairline/client';
import type { Words } from '../i18n/en.js';
import { shownNumber } from '../numbers.js';

/** What a conversation is called: the contact's name, else the number. */
export function conversationName(conversation: Pick<Conversation, 'name' | 'number'>, words: Words): string {
  return conversation.name || shownNumber(conversation.number) || words.somebody;
}
