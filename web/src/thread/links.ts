export interface TextPart {
  text: string;
  /** Where it leads, when it is a link. */
  href?: string;
}

const ADDRESS = /\b(?:https?:\/\/|www\.)[^\s<>"']+/giu;
/** Longer ones are no addresses that a person wrote or follows. */
const LONGEST = 2000;
const CLOSING = new Set('.,;:!?…»”’*_~');
const BRACKETS: Record<string, string> = { ')': '(', ']': '[' };

/** Cuts a text into plain parts and links. Only http and https, and only addresses that lead where they seem to. */
export function linkParts(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let at = 0;
  for (const { 0: match, index } of text.matchAll(ADDRESS)) {
    if (match.length > LONGEST) continue;
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
  let end = match.length;
  for (; end > 0; end--) {
    const last = match[end - 1]!;
    const opening = BRACKETS[last];
    if (opening === undefined ? !CLOSING.has(last) : match.lastIndexOf(opening, end - 1) >= 0) break;
  }
  return match.slice(0, end);
}

function address(shown: string): string | undefined {
  const whole = /^www\./i.test(shown) ? `https://${shown}` : shown;
  if (!URL.canParse(whole)) return undefined;
  const { username, password, hostname, href } = new URL(whole);
  // `https://bank.example@evil.example` is not what it looks like.
  return username || password || !hostname.includes('.') ? undefined : href;
}
