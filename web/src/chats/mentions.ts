import type { Member, Mention } from '@pairline/client';
import type { Completion } from '../composer/completion.js';
import { fold } from '../search/words-in-text.js';

const OFFERED = 6;
/** `@` where a word may begin, and what was typed of a name behind it. */
const BEGUN = /(?:^|[\s(])@([^@\n]{0,64})$/u;

type Named = Pick<Member, 'userId' | 'name'>;

/** Members whose name begins with, or has a word that begins with, what stands behind an `@` at the caret. */
export function completeMention(members: Named[]): (text: string, caret: number) => Completion | undefined {
  return (text, caret) => {
    const typed = BEGUN.exec(text.slice(0, caret))?.[1];
    if (typed === undefined) return undefined;
    const wanted = fold(typed);
    const fits = ({ name }: Named) => fold(name).startsWith(wanted) || fold(name).split(/\s+/).some((word) => word.startsWith(wanted)); // prettier-ignore
    return {
      from: caret - typed.length - 1,
      options: members
        .filter(fits)
        .slice(0, OFFERED)
        .map(({ userId, name }) => ({ id: userId, label: name, insert: `@${name} ` })),
    };
  };
}

/** Where a text names members by `@`: the longest name that stands there. */
export function findMentions(text: string, members: Named[]): Mention[] {
  const longestFirst = members.filter(({ name }) => name !== '').sort((one, other) => other.name.length - one.name.length); // prettier-ignore
  const found: Mention[] = [];
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const begins = at === 0 || /[\s(]/u.test(text[at - 1]!);
    const named = begins && longestFirst.find(({ name }) => text.startsWith(name, at + 1) && !/^[\p{L}\p{N}]/u.test(text.slice(at + 1 + name.length))); // prettier-ignore
    if (named) found.push({ userId: named.userId, at, length: named.name.length + 1 });
  }
  return found;
}

/** A text cut where somebody is mentioned; mentions that lie outside of it, or in each other, do not count. */
export function mentionParts(text: string, mentions: Mention[]): { text: string; userId?: string }[] {
  const parts: { text: string; userId?: string }[] = [];
  let from = 0;
  for (const { userId, at, length } of [...mentions].sort((one, other) => one.at - other.at)) {
    if (at < from || length < 1 || at + length > text.length) continue;
    if (at > from) parts.push({ text: text.slice(from, at) });
    parts.push({ text: text.slice(at, at + length), userId });
    from = at + length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}
