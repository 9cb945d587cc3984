import { createContext, use, useEffect, useState, type ReactNode } from 'react';
import { part } from '../part.js';
import { usePreferences, type Language } from '../preferences.js';
import { en, type Words } from './en.js';

/** English comes with the page; the others are loaded when they are wanted. */
const LANGUAGES: Record<Language, () => Promise<Words>> = {
  en: () => Promise.resolve(en),
  de: () => import('./de.js').then(({ de }) => de),
};

/** How each language calls itself. */
export const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', de: 'Deutsch' };

interface Loaded {
  words: Words;
  language: Language;
}

const Context = createContext<Loaded>({ words: en, language: 'en' });

/** The words of the chosen language, else of the browser's. Shows nothing until they are here. */
export function WordsProvider({ children }: { children: ReactNode }) {
  const [{ language = browserLanguage() }] = usePreferences();
  const [loaded, setLoaded] = useState<Loaded | undefined>(language === 'en' ? { words: en, language } : undefined);

  useEffect(() => {
    let current = true;
    const show = (words: Words, shown: Language) => {
      if (!current) return;
      document.documentElement.lang = shown;
      setLoaded({ words, language: shown });
    };
    const load = LANGUAGES[language];
    load()
      .catch(() => {
        // English, until there is a connection.
        show(en, 'en');
        return part(load)();
      })
      .then((words) => show(words, language))
      .catch(() => {});
    return () => {
      current = false;
    };
  }, [language]);

  return loaded && <Context value={loaded}>{children}</Context>;
}

export function useWords(): Words {
  return use(Context).words;
}

export function useLanguage(): Language {
  return use(Context).language;
}

/** What to say about something that failed: an error code, or an error that has one. */
export function errorWords(words: Words, error: unknown): string {
  const code = error instanceof Object && 'code' in error ? error.code : error;
  const known = typeof code === 'string' ? code : 'internal';
  return words.errors[known] ?? words.otherError(known);
}

function browserLanguage(): Language {
  for (const tag of navigator.languages) {
    const short = tag.split('-')[0];
    if (short !== undefined && short in LANGUAGES) return short as Language;
  }
  return 'en';
}
