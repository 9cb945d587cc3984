import type { Conversation } from '@pairline/client';
import type { Words } from '../i18n/en.js';
import { shownNumber } from '../numbers.js';

/** What a conversation is called: the contact's name, else the number. */
export function conversationName(conversation: Pick<Conversation, 'name' | 'number'>, words: Words): string {
  return conversation.name || shownNumber(conversation.number) || words.somebody;
}

/** What stands for files where there is no text; nothing where there are none. `type`: of the first. */
export function lineOfFiles(type: string | undefined, words: Words): string {
  if (type === undefined) return '';
  return type.startsWith('image/') ? words.list.picture : words.list.file;
}
