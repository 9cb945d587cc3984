export interface TextPart {
  text: string;
  /** Where it leads, when it is a link. */
  href?: string;
}

const ADDRESS = /\b(?:https?:\/\/|www\.)[^\s<>"']+/giu;
const CLOSING = /[.,;:!?…»”’*_~]+$/u;

/** Cuts a text into plain parts and links. Only http and https, and only addresses that lead where they seem to. */
export function linkParts(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let at = 0;
  for (const { 0: match, index } of text.matchAll(ADDRESS)) {
    const shown = trim(match);
    const href = address(shown);
    if (href === undefined) continue;
    if (index > at) parts.push({ text: text.slice(at, index) });
    parts.push({ text: shown, href });
    at = index + shown.length;
  }
  if (at < text.length) parts.push({ text: text.slice(at) });
  return parts;
}

/** Without the punctuation of the sentence around it, and without a bracket that was opened before it. */
function trim(match: string): string {
  const bare = match.replace(CLOSING, '');
  const closing = bare.at(-1);
  const opening = closing === ')' ? '(' : closing === ']' ? '[' : undefined;
  if (opening === undefined || bare.includes(opening)) return bare;
  return trim(bare.slice(0, -1));
}

function address(shown: string): string | undefined {
  const whole = /^www\./i.test(shown) ? `https://${shown}` : shown;
  if (!URL.canParse(whole)) return undefined;
  const { username, password, hostname, href } = new URL(whole);
  // `https://bank.example@evil.example` is not what it looks like.
  return username || password || !hostname.includes('.') ? undefined : href;
}
