import { SaxesParser } from 'saxes';
import type { DriverFile, DriverMessage } from './driver.js';
import { nameFor } from './file-types.js';

/** A text in a backup, before its number is brought into one form. */
export interface BackupText extends Omit<DriverMessage, 'key'> {
  name?: string;
}

/** Why an element of a backup is no text that can be taken over. */
export type Skipped = 'draft' | 'no-number' | 'group' | 'no-text' | 'no-date';

/** Why a file in an MMS cannot be taken over; the rest of the MMS can. */
export type Without = 'too-large' | 'damaged';

export interface BackupReader {
  text(text: BackupText): void;
  skipped(why: Skipped): void;
  without(why: Without): void;
}

/** The file is not what it should be. What came before was read. */
export class BackupProblem extends Error {
  override name = 'BackupProblem';
}

/** What a file of an MMS takes in the backup is in memory as a whole, and has its bounds there. */
const MAX_ELEMENT = 192 * 1024 * 1024;
const INBOX = 1;
const SENT = 2;
const FAILED = 5;
/** An MMS address of type 137 is who sent it, 151 who got it. */
const FROM = '137';

interface Mms {
  attributes: Record<string, string>;
  texts: string[];
  files: DriverFile[];
  without: Without[];
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
  /** Characters since something last began or ended. */
  private since = 0;

  /** `largest`: bytes that a file may have. */
  constructor(
    private readonly reader: BackupReader,
    private readonly largest: number,
  ) {
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
    this.since += text.length - kept;
    if (this.since > MAX_ELEMENT) throw new BackupProblem('A file in it is larger than can be read.');
    this.parser.write(mendCharacters(text.slice(0, text.length - kept)));
  }

  private open(name: string, attributes: Record<string, string>): void {
    this.since = 0;
    if (!this.sawRoot) {
      if (name !== 'smses')
        throw new BackupProblem(`This is no backup of “SMS Backup & Restore”: it begins with <${name}>.`);
      this.sawRoot = true;
    } else if (name === 'sms') this.readSms(attributes);
    else if (name === 'mms') this.mms = { attributes, texts: [], files: [], without: [] };
    else if (this.mms === undefined) return;
    else if (name === 'part') this.readPart(this.mms, attributes);
    else if (name === 'addr' && attributes.type === FROM) this.mms.from = present(attributes.address);
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

  private readPart(
    { texts, files, without }: Mms,
    { ct = '', text, data, name, cl, fn }: Record<string, string>,
  ): void {
    const type = ct.split(';')[0]!.trim().toLowerCase();
    // How the parts are laid out on a phone's screen.
    if (type === 'application/smil') return;
    const words = present(text);
    if (type === 'text/plain' && (words !== undefined || present(data) === undefined)) {
      texts.push(words ?? '');
      return;
    }
    const bytes = decode(present(data) ?? '', this.largest);
    if (typeof bytes === 'string') without.push(bytes);
    else files.push({ name: present(name) ?? present(cl) ?? present(fn) ?? nameFor(type), type, bytes });
  }

  private readMms({ attributes, texts, files, without, from }: Mms): void {
    const type = Number(attributes.msg_box);
    if (type !== INBOX && type !== SENT && type !== FAILED) return this.reader.skipped('draft');
    const address = present(attributes.address);
    // Several people in one conversation: there is no such thing here.
    if (address?.includes('~')) return this.reader.skipped('group');
    for (const why of without) this.reader.without(why);
    const named = address === 'insert-address-token' ? undefined : address;
    this.read(attributes, type, named ?? (type === INBOX ? from : undefined), texts.join('\n').trim(), files);
  }

  private read(
    attributes: Record<string, string>,
    type: number,
    number: string | undefined,
    text: string,
    files: DriverFile[] = [],
  ): void {
    const date = Number(attributes.date);
    if (!(date > 0)) return this.reader.skipped('no-date');
    if (number === undefined) return this.reader.skipped('no-number');
    if (text === '' && files.length === 0) return this.reader.skipped('no-text');
    const name = present(attributes.contact_name);
    this.reader.text({
      number,
      text,
      ...(files.length > 0 && { files }),
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

/** The bytes of a part, or why they cannot be had. */
function decode(data: string, largest: number): Buffer | Without {
  const base64 = data.replace(/\s+/g, '');
  const [, digits = '', padding = ''] = /^([A-Za-z0-9+/]*)(={0,2})$/.exec(base64) ?? [];
  // Some leave the padding out; what stands there has to fit.
  if (digits === '' || digits.length % 4 === 1) return 'damaged';
  if (padding !== '' && base64.length % 4 !== 0) return 'damaged';
  if (Math.floor((digits.length * 3) / 4) > largest) return 'too-large';
  return Buffer.from(base64, 'base64');
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
