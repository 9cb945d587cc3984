import type { Chat } from '@pairline/client';
import type { ChatWords } from '../i18n/en-chats.js';

/** What a conversation is called, also where its name is empty or not known. */
export function chatName({ name, group }: Pick<Chat, 'name' | 'group'>, words: ChatWords): string {
  return name || (group ? words.list.unnamedGroup : words.list.somebody);
}
