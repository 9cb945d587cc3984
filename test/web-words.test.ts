import { describe, expect, test } from '@jest/globals';
import { segments } from '../web/src/composer/segments.js';
import { linkParts } from '../web/src/thread/links.js';

// What the page makes of texts: links, and how many SMS they are.

const links = (text: string) => linkParts(text).flatMap(({ text: shown, href }) => (href === undefined ? [] : [shown]));
const whole = (text: string) => linkParts(text).map((part) => part.text).join(''); // prettier-ignore

describe('links in a text', () => {
  test.each([
    ['See https://example.org/a?b=1, or www.example.net.', ['https://example.org/a?b=1', 'www.example.net']],
    ['(as on https://example.org/a)', ['https://example.org/a']],
    ['https://example.org/a_(b) and [https://example.org/c].', ['https://example.org/a_(b)', 'https://example.org/c']],
    ['https://example.org/)).,)', ['https://example.org/']],
    ['https://example.org/🎉…', ['https://example.org/🎉']],
    ['javascript:alert(1) https://bank.example@evil.example/ https://localhost/ https:// www.', []],
  ])('%s', (text, wanted) => {
    expect(links(text)).toEqual(wanted);
    expect(whole(text)).toBe(text);
  });

  test('the address they lead to has its scheme', () => {
    expect(linkParts('at www.example.net')[1]).toEqual({ text: 'www.example.net', href: 'https://www.example.net/' });
  });

  test.each([')', '.', '(', '.)'])('a very long run of %s is no link and takes no time', (run) => {
    const text = `https://example.org/${run.repeat(39_000)} www.example.net`;
    const began = performance.now();
    expect(links(text)).toEqual(['www.example.net']);
    expect(whole(text)).toBe(text);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe('how many SMS a text is', () => {
  test.each([
    ['', 0, 160, 'gsm7'],
    ['x'.repeat(160), 1, 0, 'gsm7'],
    ['x'.repeat(161), 2, 145, 'gsm7'],
    ['x'.repeat(159) + '€', 2, 145, 'gsm7'],
    // An escape and its character stay in one part: the first of these has 152 places taken.
    ['x'.repeat(152) + '€' + 'x'.repeat(10), 2, 141, 'gsm7'],
    ['x'.repeat(69) + 'ł', 1, 0, 'ucs2'],
    ['x'.repeat(70) + 'ł', 2, 63, 'ucs2'],
    // And so do the two halves of an emoji.
    ['ł'.repeat(66) + '🎉' + 'x'.repeat(10), 2, 55, 'ucs2'],
  ])('%j', (text, count, left, encoding) => {
    expect(segments(text)).toEqual({ count, left, encoding });
  });
});
