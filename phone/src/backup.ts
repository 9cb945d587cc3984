import { SaxesParser } from 'saxes';
import type { DriverMessage } from './driver.js';

/** A text in a backup, before its number is brought into one form. */
export interface BackupText extends Omit<DriverMessage, 'key'> {
  name?: string;
}

/** Why an element of a backup is no text that can be taken over. */
export type Skipped = 'draft' | 'no-number' | 'group' | 'no-text' | 'no-date';

export interface BackupReader {
  text(text: BackupText): void;
  skipped(why: Skipped): void;
  /** A picture or another file in an MMS, which has no place here. */
  attachment(): void;
}

/** The file is not what it should be. What came before was read. */
export class BackupProblem extends Error {
  override name = 'BackupProblem';
}

const INBOX = 1;
const SENT = 2;
const FAILED = 5;
/** An MMS address of type 137 is who sent it, 151 who got it. */
const FROM = '137';

interface Mms {
  attributes: Record<string, string>;
  texts: string[];
  attachments: number;
  from?: string;
}

/**
 * Reads the XML of "SMS Backup & Restore" piece by piece. Its quirks: `null` is the text "null"; an emoji is two references to
 * halves of a surrogate pair, which XML forbids; there are references to control characters, which XML forbids as well.
 */
export class BackupParser {
  private readonly parser = new SaxesParser();
  private readonly decoder = new TextDecoder('utf-8');
  private rest = '';
  private mms?: Mms;
  private sawRoot = false;
  private complete = false;

  constructor(private readonly reader: BackupReader) {
    this.parser.on('error', (error) => {
      throw new BackupProblem(`This is no backup that can be read: ${error.message}`);
    });
    this.parser.on('opentag', ({ name, attributes }) => this.open(name, attributes));
    this.parser.on('closetag', ({ name }) => this.close(name));
  }

  /** Throws `BackupProblem`. */
  write(chunk: Uint8Array): void {
    this.feed(this.rest + this.decoder.decode(chunk, { stream: true }));
  }

  /** Throws `BackupProblem` when the file ends too early. */
  end(): void {
    this.parser.write(mendCharacters(this.rest + this.decoder.decode()));
    this.rest = '';
    if (!this.complete) throw new BackupProblem('The file ends in the middle: it was not copied whole.');
  }

  private feed(text: string): void {
    const kept = unfinishedLength(text);
    this.rest = text.slice(text.length - kept);
    this.parser.write(mendCharacters(text.slice(0, text.length - kept)));
  }

  private open(name: string, attributes: Record<string, string>): void {
    if (!this.sawRoot) {
      if (name !== 'smses')
        throw new BackupProblem(`This is no backup of “SMS Backup & Restore”: it begins with <${name}>.`);
      this.sawRoot = true;
    } else if (name === 'sms') this.readSms(attributes);
    else if (name === 'mms') this.mms = { attributes, texts: [], attachments: 0 };
    else if (this.mms === undefined) return;
    else if (name === 'part') {
      if (attributes.ct === 'text/plain') this.mms.texts.push(present(attributes.text) ?? '');
      else if (attributes.ct !== 'application/smil') this.mms.attachments += 1;
    } else if (name === 'addr' && attributes.type === FROM) this.mms.from = present(attributes.address);
  }

  private close(name: string): void {
    if (name === 'smses') this.complete = true;
    if (name !== 'mms' || this.mms === undefined) return;
    this.readMms(this.mms);
    this.mms = undefined;
  }

  private readSms(attributes: Record<string, string>): void {
    const type = Number(attributes.type);
    if (type !== INBOX && type !== SENT && type !== FAILED) return this.reader.skipped('draft');
    this.read(attributes, type, present(attributes.address), present(attributes.body) ?? '');
  }

  private readMms({ attributes, texts, attachments, from }: Mms): void {
    for (let count = 0; count < attachments; count++) this.reader.attachment();
    const type = Number(attributes.msg_box);
    if (type !== INBOX && type !== SENT && type !== FAILED) return this.reader.skipped('draft');
    const address = present(attributes.address);
    // Several people in one conversation: there is no such thing here.
    if (address?.includes('~')) return this.reader.skipped('group');
    const named = address === 'insert-address-token' ? undefined : address;
    this.read(attributes, type, named ?? (type === INBOX ? from : undefined), texts.join('\n').trim());
  }

  private read(attributes: Record<string, string>, type: number, number: string | undefined, text: string): void {
    const date = Number(attributes.date);
    if (!(date > 0)) return this.reader.skipped('no-date');
    if (number === undefined) return this.reader.skipped('no-number');
    if (text === '') return this.reader.skipped('no-text');
    const name = present(attributes.contact_name);
    this.reader.text({
      number,
      text,
      // Some versions write the date of an MMS in seconds.
      timestamp: Math.floor(date < 1e11 ? date * 1000 : date),
      type: type === INBOX ? 'received' : 'sent',
      ...(type === INBOX ? {} : { status: type === SENT ? ('sent' as const) : ('failed' as const) }),
      read: type !== INBOX || attributes.read !== '0',
      ...(name === undefined || name === '(Unknown)' ? {} : { name }),
    });
  }
}

/** What is there of an attribute: missing ones are written as "null". */
function present(value: string | undefined): string | undefined {
  return value === undefined || value === 'null' || value.trim() === '' ? undefined : value;
}

const REFERENCES = /(?:&#(?:x[0-9a-f]+|\d+);)+/gi;
const TAIL = /(&#(?:x[0-9a-f]+|\d+);)?(&(?:#x?[0-9a-f]{0,8})?)?$/i;

/** How much at the end of a piece has to wait for the next one: half a reference, or the first of a pair. */
function unfinishedLength(text: string): number {
  const [, whole, begun = ''] = TAIL.exec(text.slice(-32))!;
  if (whole !== undefined && isHighSurrogate(codeOf(whole))) return whole.length + begun.length;
  if (begun !== '') return begun.length;
  return isHighSurrogate(text.charCodeAt(text.length - 1)) ? 1 : 0;
}

/** Brings numeric references that XML forbids into a form that it allows: pairs become their character, the rest U+FFFD. */
function mendCharacters(text: string): string {
  const mended = text.replace(REFERENCES, (run) => {
    const references = run.match(/&[^;]+;/g)!;
    let result = '';
    for (let at = 0; at < references.length; at++) {
      const code = codeOf(references[at]!);
      const next = references[at + 1];
      if (isHighSurrogate(code) && next !== undefined && isLowSurrogate(codeOf(next))) {
        result += String.fromCharCode(code, codeOf(next));
        at += 1;
      } else result += isCharacter(code) ? references[at]! : '\ufffd';
    }
    return result;
  });
  // The characters that XML 1.0 leaves out.
  return mended.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd');
}

/** The character that "&#233;" or "&#xe9;" stands for. */
function codeOf(reference: string): number {
  return /^&#x/i.test(reference) ? parseInt(reference.slice(3), 16) : parseInt(reference.slice(2), 10);
}

/** XML 1.0, section 2.2. */
function isCharacter(code: number): boolean {
  if (code === 0x9 || code === 0xa || code === 0xd) return true;
  return (
    (code >= 0x20 && code <= 0xd7ff) || (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff)
  );
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
