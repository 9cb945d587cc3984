import { useSyncExternalStore } from 'react';

// Of this browser alone, and nothing secret: what a person chose for the page.

export type Language = 'en' | 'de';

export interface Preferences {
  theme?: 'light' | 'dark';
  language?: Language;
  sound?: boolean;
  /** `later`: the person said not now. */
  notifications?: 'on' | 'later';
  recentEmoji?: string[];
}

const KEY = 'pairline.preferences';
const listeners = new Set<() => void>();
let preferences = read();

window.addEventListener('storage', ({ key }) => {
  if (key === KEY) show(read());
});

export function getPreferences(): Preferences {
  return preferences;
}

export function setPreferences(change: Preferences): void {
  const next = { ...preferences, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(next));
  } catch {
    // Storage is blocked: it holds until the tab closes.
  }
  show(next);
}

export function usePreferences(): [Preferences, typeof setPreferences] {
  return [useSyncExternalStore(subscribe, getPreferences), setPreferences];
}

function show(next: Preferences): void {
  preferences = next;
  if (next.theme) document.documentElement.dataset.theme = next.theme;
  else delete document.documentElement.dataset.theme;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function read(): Preferences {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}') as Preferences;
  } catch {
    return {};
  }
}
