import { use } from 'react';
import { part } from '../part.js';
import type { Language } from '../preferences.js';
import { enFiles, type FileWords } from './en-files.js';
import { errorWords, useLanguage, useWords } from './words.js';

const english = Promise.resolve(enFiles);
const loads: Record<Language, () => Promise<FileWords>> = {
  en: () => english,
  de: part(() => import('./de-files.js').then(({ deFiles }) => deFiles)),
};
const loaded = new Map<Language, Promise<FileWords>>();

/** The words of files. Suspends until those of the chosen language are here. */
export function useFileWords(): FileWords {
  const language = useLanguage();
  let words = loaded.get(language);
  if (words === undefined) loaded.set(language, (words = loads[language]()));
  return use(words);
}

/** What to say about an upload or a download that failed: by its error code. */
export function useFileProblems(): (code: string) => string {
  const words = useWords();
  const { problems } = useFileWords();
  return (code) => problems[code] ?? errorWords(words, code);
}
