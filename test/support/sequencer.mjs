import { readFileSync } from 'node:fs';
import TestSequencer from '@jest/test-sequencer';

/** A browser, or processes of its own. */
const SLOW = /\b(inChromium|runTypeScript|pairlinePhone)\(/;

/**
 * The longest files first, so that none is left over at the end while the other workers have nothing to do. How long they took
 * Jest knows after the first run; on a fresh machine it goes by their size, and here by what they start before that.
 */
export default class Sequencer extends TestSequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    if (sorted.some(({ duration }) => duration !== undefined)) return sorted;
    const slow = new Set(sorted.filter(({ path }) => SLOW.test(readFileSync(path, 'utf8'))));
    return [...slow, ...sorted.filter((test) => !slow.has(test))];
  }
}
