/**
 * Groups an E.164 number so that it can be read: `+49 1512 345 6789`. Good enough for every list without the number
 * plans of the world, which are loaded only where a number is typed.
 */
export function shownNumber(number: string): string {
  const digits = /^\+(\d{7,15})$/.exec(number)?.[1];
  if (digits === undefined) return number;
  const code = CALLING_CODES.exec(digits)?.[0] ?? '';
  const rest = digits.slice(code.length);
  const groups: string[] = [];
  let at = rest.length;
  // From the back: four digits, then threes.
  for (const size of [4, 3, 3, 3, 3]) {
    if (at <= 0) break;
    const start = at - size < 2 ? 0 : at - size;
    groups.unshift(rest.slice(start, at));
    at = start;
  }
  return `+${[code, ...groups].filter(Boolean).join(' ')}`;
}

// Calling codes of one and two digits; all others have three (ITU-T E.164, annex).
const CALLING_CODES = /^(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|\d{3})/;
