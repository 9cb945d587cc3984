import { use } from 'react';
import { part } from '../part.js';
import type { Language } from '../preferences.js';
import { enChats, type ChatWords } from './en-chats.js';
import { useLanguage } from './words.js';

const english = Promise.resolve(enChats);
const loads: Record<Language, () => Promise<ChatWords>> = {
  en: () => english,
  de: part(() => import('./de-chats.js').then(({ deChats }) => deChats)),
};
const loaded = new Map<Language, Promise<ChatWords>>();

/** The words of private conversations. Suspends until those of the chosen language are here. */
export function useChatWords(): ChatWords {
  const language = useLanguage();
  let words = loaded.get(language);
  if (words === undefined) loaded.set(language, (words = loads[language]()));
  return use(words);
}
