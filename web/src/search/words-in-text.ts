/** How words are compared: without case, accents and compatibility forms. */
export function fold(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();
}

const WORD = /[\p{L}\p{N}\p{M}]+/gu;

/** The words of a text as the index keeps them. */
export function wordsOf(text: string): string[] {
  return (text.match(WORD) ?? []).map(fold);
}

export interface Piece {
  text: string;
  found: boolean;
}

const BEFORE = 24; // Characters of a text shown before the first word found, at most.

/** The part of a text around the first word that starts with one of `terms`, cut so that those words can be marked. */
export function snippet(text: string, terms: string[]): Piece[] {
  const flat = text.replace(/\s+/g, ' ');
  const hits = [...flat.matchAll(WORD)].filter(([word]) => terms.some((term) => fold(word).startsWith(term)));
  const first = hits[0]?.index ?? 0;
  const space = flat.indexOf(' ', first - BEFORE) + 1;
  const start = first <= BEFORE ? 0 : space > 0 && space < first ? space : first;

  const pieces: Piece[] = start > 0 ? [{ text: '… ', found: false }] : [];
  let at = start;
  for (const { 0: word, index } of hits) {
    if (index > at) pieces.push({ text: flat.slice(at, index), found: false });
    pieces.push({ text: word, found: true });
    at = index + word.length;
  }
  pieces.push({ text: flat.slice(at), found: false });
  return pieces;
}
