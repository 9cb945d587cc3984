import { createHash, createHmac } from 'node:crypto';
import type { DriverMessage } from './driver.js';
import { Fingerprints } from './fingerprints.js';
import { Journal } from './journal.js';
import type { Uploads } from './uploads.js';

/** One step: the server has it, and from here on so has this file. */
interface Step {
  /** What comes after it is news. */
  position?: string;
  /** How far back history was told; null when all of it was. */
  history?: string | null;
  /** Fingerprints of the texts, 8 bytes each, base64. */
  texts?: string;
  /** Conversations by number, with the name that was told. */
  names?: Record<string, string>;
}

/** What a step is written from: the fingerprints still apart. */
export type Writing = Omit<Step, 'texts'> & { texts?: Buffer[] };

/** Where a text was read. */
type Source = 'phone' | 'import' | 'file';

/** What makes two texts the same one, wherever they were read. Backups and phones agree on the second, not beyond. */
export type Sameness = Pick<DriverMessage, 'type' | 'number' | 'timestamp' | 'text'>;

/**
 * What the server was told: how far news and history are, which conversations there are, and a fingerprint of each text, so
 * that a backup of the same phone adds only what is missing. Positions and fingerprints of a page are written in one line:
 * a page that is told again after a crash counts once.
 *
 * Two equal texts in one second are two texts: they are counted, the phone's and a backup's separately. The first of a
 * backup is the first of the phone, the second the second.
 */
export class Told {
  position?: string;
  history?: string | null;
  readonly names = new Map<string, string>();
  private readonly texts = new Fingerprints();
  private readonly journal: Journal<Step>;
  private queue: Promise<unknown> = Promise.resolve();

  /** `secret` makes ids that nobody else can guess numbers from. */
  constructor(
    path: string,
    private readonly secret: Buffer,
    readonly uploads: Uploads,
  ) {
    this.journal = Journal.open<Step>(path, (step) => this.apply(step));
  }

  /** One page at a time: what is counted must be written before the next one is counted. */
  exclusively<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const turn = this.queue.then(work, work);
    this.queue = turn.catch(() => undefined);
    return turn;
  }

  write({ position, history, texts = [], names }: Writing): void {
    const step: Step = { position, history, names, texts: texts.length > 0 ? Buffer.concat(texts).toString('base64') : undefined }; // prettier-ignore
    this.journal.append(step);
    this.apply(step);
  }

  /** For one page, with what it counted so far. */
  count(): Counting {
    return new Counting((fingerprint) => this.texts.has(fingerprint));
  }

  /** The id the server knows something by; the same for the same words. */
  id(...words: (string | number)[]): string {
    const mac = createHmac('sha256', this.secret).update(JSON.stringify(words));
    return mac.digest('base64url').slice(0, 22);
  }

  conversationId(number: string): string {
    return `c${this.id('conversation', number)}`;
  }

  close(): void {
    this.journal.close();
    this.uploads.close();
  }

  private apply({ position, history, texts, names }: Step): void {
    if (position !== undefined) this.position = position;
    if (history !== undefined) this.history = history;
    for (const [number, name] of Object.entries(names ?? {})) this.names.set(number, name);
    if (texts === undefined) return;
    const bytes = Buffer.from(texts, 'base64');
    for (let at = 0; at < bytes.length; at += 8) this.texts.add(bytes.subarray(at, at + 8));
  }
}

/** Counts equal texts of one source, on top of those that were written before. */
export class Counting {
  readonly added: Buffer[] = [];
  private readonly here = new Set<string>();

  constructor(private readonly before: (fingerprint: Buffer) => boolean) {}

  /** How many such texts a source has had. */
  of(source: Source, text: Sameness): number {
    let count = 0;
    while (this.has(fingerprint(source, text, count))) count += 1;
    return count;
  }

  has(fingerprint: Buffer): boolean {
    return this.before(fingerprint) || this.here.has(fingerprint.toString('latin1'));
  }

  /** One more of a source: its number, from 0. */
  add(source: Source, text: Sameness): number {
    const nth = this.of(source, text);
    const print = fingerprint(source, text, nth);
    this.here.add(print.toString('latin1'));
    this.added.push(print);
    return nth;
  }
}

export function fingerprint(source: Source, { type, number, timestamp, text }: Sameness, nth: number): Buffer {
  const hash = createHash('sha256').update(
    `${source} ${type} ${number} ${Math.floor(timestamp / 1000)} ${nth} ${text}`,
  );
  return hash.digest().subarray(0, 8);
}
