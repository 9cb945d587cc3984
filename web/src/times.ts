import type { Words } from './i18n/en.js';
import { useLanguage, useWords } from './i18n/words.js';
import type { Language } from './preferences.js';

const DAY_MS = 86_400_000;

/** How many midnights lie between a time and now, here. */
function daysAgo(time: number): number {
  const midnight = (value: number) => new Date(value).setHours(0, 0, 0, 0);
  // Rounded: days with a change of the clock have 23 or 25 hours.
  return Math.round((midnight(Date.now()) - midnight(time)) / DAY_MS);
}

export interface Times {
  /** 14:02 */
  time(value: number): string;
  /** With everything, for titles. */
  full(value: number): string;
  /** For a list: 14:02, Yesterday, Tue, 07/03/26. */
  short(value: number): string;
  /** In a sentence: 14:02, Yesterday 14:02, Tue 14:02, 07/03/26 14:02. */
  moment(value: number): string;
  /** For a day's line: Today, Yesterday, Tuesday, 7 March, 7 March 2024. */
  day(value: number): string;
}

function timesIn(language: Language, words: Words): Times {
  // `de` on a German browser is `de-DE` or `de-AT`: the region decides on the hours and the order of a date.
  const locale = navigator.languages.find((tag) => tag.split('-')[0] === language) ?? language;
  const format = (options: Intl.DateTimeFormatOptions) => {
    const formatter = new Intl.DateTimeFormat(locale, options);
    return (value: number) => formatter.format(value);
  };
  const time = format({ hour: '2-digit', minute: '2-digit' });
  const weekday = format({ weekday: 'short' });
  const longWeekday = format({ weekday: 'long' });
  const date = format({ day: '2-digit', month: '2-digit', year: '2-digit' });
  const longDate = format({ day: 'numeric', month: 'long' });
  const longDateYear = format({ day: 'numeric', month: 'long', year: 'numeric' });

  return {
    time,
    full: format({ dateStyle: 'full', timeStyle: 'short' }),
    short(value) {
      const days = daysAgo(value);
      if (days <= 0) return time(value);
      if (days === 1) return words.yesterday;
      return days < 7 ? weekday(value) : date(value);
    },
    moment(value) {
      const days = daysAgo(value);
      if (days <= 0) return time(value);
      if (days === 1) return `${words.yesterday} ${time(value)}`;
      return `${days < 7 ? weekday(value) : date(value)} ${time(value)}`;
    },
    day(value) {
      const days = daysAgo(value);
      if (days <= 0) return words.today;
      if (days === 1) return words.yesterday;
      if (days < 7) return longWeekday(value);
      return new Date(value).getFullYear() === new Date().getFullYear() ? longDate(value) : longDateYear(value);
    },
  };
}

/** Formatters are slow to make, and every row of every list uses them. */
const made = new Map<Language, Times>();

/** Times in words, in the language of the page and the habits of the browser's region. */
export function useTimes(): Times {
  const language = useLanguage();
  const words = useWords();
  let times = made.get(language);
  if (times === undefined) made.set(language, (times = timesIn(language, words)));
  return times;
}
