import { linkParts } from './links.js';

/** A text with its addresses as links. */
export function LinkedText({ text }: { text: string }) {
  return linkParts(text).map((part, index) =>
    part.href === undefined ? (
      part.text
    ) : (
      <a key={index} href={part.href} target="_blank" rel="noopener noreferrer nofollow" title={part.href}>
        {part.text}
      </a>
    ),
  );
}

const EMOJI = /^(?:\p{RGI_Emoji}\s*){1,3}$/v;

/** A few emoji and nothing else: shown larger. */
export function onlyEmoji(text: string): boolean {
  return text.length < 60 && EMOJI.test(text);
}
