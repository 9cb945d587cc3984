// How many SMS a text takes: 3GPP TS 23.038, section 6.2.1. One character outside the GSM alphabet turns the whole text
// into UCS-2.

const BASIC =
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà';
/** Take two places each: an escape and the character. */
const EXTENDED = '\f^{}\\[~]|€';

const GSM = new Map<string, number>([
  ...[...BASIC].map((character) => [character, 1] as const),
  ...[...EXTENDED].map((character) => [character, 2] as const),
]);

export interface Segments {
  /** SMS that go out; 0 for an empty text. */
  count: number;
  /** Places left in the last one: GSM characters, or UTF-16 units. */
  left: number;
  encoding: 'gsm7' | 'ucs2';
}

export function segments(text: string): Segments {
  const characters = [...text];
  const gsm = characters.every((character) => GSM.has(character));
  const encoding = gsm ? 'gsm7' : 'ucs2';
  const sizes = characters.map((character) => (gsm ? (GSM.get(character) ?? 1) : character.length));
  const [alone, part] = gsm ? [160, 153] : [70, 67];

  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total === 0) return { count: 0, left: alone, encoding };
  if (total <= alone) return { count: 1, left: alone - total, encoding };

  // An escape and its character, or the two halves of an emoji, stay in one part.
  let count = 1;
  let used = 0;
  for (const size of sizes) {
    if (used + size > part) {
      count++;
      used = 0;
    }
    used += size;
  }
  return { count, left: part - used, encoding };
}
