import { use } from 'react';
import { part } from '../part.js';
import type { Language } from '../preferences.js';
import { enInside, type InsideWords } from './en-inside.js';
import type { Words } from './en.js';
import { useLanguage, useWords } from './words.js';

const english = Promise.resolve(enInside);
const loads: Record<Language, () => Promise<InsideWords>> = {
  en: () => english,
  de: part(() => import('./de-inside.js').then(({ deInside }) => deInside)),
};
const loaded = new Map<Language, Promise<InsideWords>>();

/** All words of the page but those of private conversations and files. Suspends until those of the chosen language are here. */
export function useInsideWords(): Words & InsideWords {
  const language = useLanguage();
  const words = useWords();
  let inside = loaded.get(language);
  if (inside === undefined) loaded.set(language, (inside = loads[language]()));
  return { ...words, ...use(inside) };
}
