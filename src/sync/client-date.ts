import { isDay } from '../calendar.js';

/** When a client changed a row, by its own clock (wire.md, section C: `clientdate`). */
export interface ClientDate {
  /** As it came: JSON text of a string or a number. */
  text: string;
  /** The same in ms since 1970. */
  ms: number;
}

/** As far as a JavaScript date goes. */
const MAX_MS = 8.64e15;
const ISO = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?(?:Z|[+-]\d\d(?::?\d\d)?))?)?$/i;
const DIGITS = /^-?\d{1,16}$/;

/**
 * Milliseconds since 1970, as a number or in digits, or ISO 8601; without a zone it is UTC. Undefined for what is none of
 * these: only what is sure to be a date is stored in the clear.
 */
export function readClientDate(value: unknown): ClientDate | undefined {
  const ms = typeof value === 'number' ? value : typeof value === 'string' ? fromText(value) : NaN;
  if (!(Math.abs(ms) <= MAX_MS)) return undefined;
  return { text: JSON.stringify(value), ms: Math.floor(ms) };
}

function fromText(text: string): number {
  if (DIGITS.test(text)) return Number(text);
  if (!ISO.test(text)) return NaN;
  const [, day, time, zone = ''] = /^(.{10})[T ]?([\d:.,]*)(.*)$/i.exec(text)!;
  if (!isDay(day!)) return NaN;
  const hours = zone
    .trim()
    .toUpperCase()
    .replace(/^([+-]\d\d):?(\d\d)?$/, (_, h: string, m = '00') => `${h}:${m}`);
  return Date.parse(time === '' ? `${day}T00:00Z` : `${day}T${time!.replace(',', '.')}${hours || 'Z'}`);
}
