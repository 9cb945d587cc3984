import MiniSearch from 'minisearch';
import type { FromIndex, Hit, IndexedText, ToIndex } from './protocol.js';
import { wordsOf } from './words-in-text.js';

// The index of all texts, away from the page's own thread. It is made anew for each tab and never stored.

const index = new MiniSearch<IndexedText>({
  fields: ['text'],
  storeFields: ['conversationId', 'timestamp'],
  tokenize: wordsOf,
  processTerm: (term) => term,
});

const ENOUGH = 8; // Below so many exact hits, words that are nearly the same count too.
const SHOWN = 100;

self.onmessage = ({ data }: MessageEvent<ToIndex>) => {
  if ('add' in data) {
    for (const text of data.add) {
      if (index.has(text.id)) index.replace(text);
      else index.add(text);
    }
    return;
  }
  const { query, request } = data;
  const terms = wordsOf(query);
  // Newest first: people look for what was said, and remember it was lately. Near misses follow, the best first.
  const exact = find(terms, false).sort((one, other) => other.timestamp - one.timestamp);
  const known = new Set(exact.map(({ id }) => id));
  const near = exact.length < ENOUGH ? find(terms, similar).filter(({ id }) => !known.has(id)) : [];
  const found = [...exact, ...near];
  self.postMessage({ request, total: found.length, hits: found.slice(0, SHOWN) } satisfies FromIndex);
};

/** How far a word may be off, as part of its length. Codes and amounts are right or wrong, never similar. */
function similar(term: string): number | false {
  return term.length > 3 && !/\p{N}/u.test(term) ? 0.2 : false;
}

function find(terms: string[], fuzzy: typeof similar | false): Hit[] {
  return index
    .search(terms.join(' '), { prefix: true, fuzzy, combineWith: 'AND' })
    .map((hit) => ({ id: String(hit.id), timestamp: Number(hit.timestamp), terms: hit.terms }));
}
