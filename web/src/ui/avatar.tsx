import { PersonIcon } from './icons.js';

const HUES = 8;

/** A person's initials on a color that stays theirs. */
export function Avatar({ name, number }: { name?: string | undefined; number: string }) {
  return (
    <span className={`avatar avatar-${hue(number || name || '')}`} aria-hidden="true">
      {(name && initials(name)) || <PersonIcon />}
    </span>
  );
}

function initials(name: string): string {
  const parts = name.split(/\s+/).filter((part) => /^\p{L}/u.test(part));
  const chosen = parts.length > 1 ? [parts[0], parts[parts.length - 1]] : parts;
  return chosen.map((part) => [...(part ?? '')][0]?.toLocaleUpperCase() ?? '').join('');
}

/** The number of somebody's color. */
export function hue(text: string): number {
  let hash = 0;
  for (const character of text) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) | 0;
  return Math.abs(hash) % HUES;
}
