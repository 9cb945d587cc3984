import { createHash } from 'node:crypto';
import { realClock, type Clock } from '../clock.js';
import type { Driver, DriverEvents, DriverMessage, HistoryPage, News, Outcome, Outgoing } from '../driver.js';
import { Journal } from '../journal.js';
import { DEFAULT_SCRIPT, type Script, type ScriptEvent, type ScriptFile } from '../script.js';
import { DIALOGUES, NOTICES } from './dialogues.js';

const PAGE = 200;
const YEAR = 365.25 * 24 * 3_600_000;
const LINES = 4;

/** A text as it is written down. */
type Kept = Omit<DriverMessage, 'files'> & { files?: ScriptFile[] };

/** What the phone remembers: when it was made, and the texts that came since. */
type Entry = { born: number } | Kept;

export interface SimulatedOptions {
  /** The file with what the phone remembers. */
  file: string;
  script?: Script;
  clock?: Clock;
}

/**
 * A phone that exists only here, for trying things out: people in it answer. Its history follows from the script and the
 * seed alone, text by text, so that a hundred thousand of them need no memory.
 */
export class SimulatedDriver implements Driver {
  readonly model = 'Simulated phone';
  private readonly script: Script;
  private readonly clock: Clock;
  private readonly stopping = new AbortController();
  private readonly journal: Journal<Entry>;
  private readonly texts: Kept[] = [];
  private born = 0;
  private awayUntil = 0;
  private events!: DriverEvents;
  private readonly doing = new Set<Promise<void>>();

  constructor({ file, script = DEFAULT_SCRIPT, clock = realClock }: SimulatedOptions) {
    this.script = script;
    this.clock = clock;
    this.journal = Journal.open<Entry>(file, (entry) => {
      if ('born' in entry) this.born = entry.born;
      else this.texts.push(entry);
    });
  }

  async start(events: DriverEvents): Promise<{ region?: string }> {
    this.events = events;
    if (this.born === 0) {
      this.born = this.clock.now();
      this.journal.append({ born: this.born });
    }
    for (const event of this.script.events) this.do(this.play(event));
    return { region: this.script.region };
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.all(this.doing);
    this.journal.close();
  }

  async contacts() {
    return this.script.contacts;
  }

  async position(): Promise<string> {
    return String(this.texts.length);
  }

  async news(after: string): Promise<News> {
    const messages = this.texts.slice(Number(after), Number(after) + PAGE).map(toMessage);
    const position = Number(after) + messages.length;
    return { messages, position: String(position), more: position < this.texts.length };
  }

  /** History is numbered from 0, the oldest; `before` counts what is left, and the texts since are before all of it. */
  async history(before: string): Promise<HistoryPage> {
    const total = this.script.history.messages;
    const [kind, rest] = before.split(':');
    const left = kind === 'left' ? Number(rest) : total;
    const messages = kind === 'left' ? [] : this.texts.slice(0, Number(before)).reverse().map(toMessage);
    const stop = Math.max(0, left - PAGE);
    for (let index = left - 1; index >= stop; index--) messages.push(this.old(index));
    return { messages, before: stop > 0 ? `left:${stop}` : undefined, done: total === 0 ? 1 : 1 - stop / total };
  }

  async prepare(): Promise<string> {
    return '';
  }

  async send({ id, number, text }: Outgoing): Promise<Outcome> {
    const { signal } = this.stopping;
    // Out of reach, a phone keeps what it is to send.
    await this.clock.wait(Math.max(this.script.sending.delay, this.awayUntil - this.clock.now()), signal);
    if (signal.aborted) return { result: 'unknown', reason: 'the phone was switched off' };
    if (this.script.fail.includes(number)) return { result: 'failed', reason: 'nobody has this number' };
    this.do(this.deliver(id, number, text));
    return { result: 'sent' };
  }

  async trace(): Promise<Outcome> {
    return { result: 'unknown', reason: 'the phone was switched off while it was sending' };
  }

  private async deliver(id: string, number: string, text: string): Promise<void> {
    const { signal } = this.stopping;
    await this.clock.wait(this.script.sending.delivered, signal);
    if (signal.aborted) return;
    this.events.reported(id, 'delivered');
    const { texts, delay } = this.script.answers;
    if (texts.length === 0) return;
    await this.clock.wait(delay, signal);
    if (signal.aborted) return;
    this.receive(number, texts[this.random('answer', text, this.texts.length) % texts.length]!);
  }

  private async play(event: ScriptEvent): Promise<void> {
    const { signal } = this.stopping;
    await this.clock.wait(event.after, signal);
    for (;;) {
      if (signal.aborted) return;
      if ('away' in event) {
        this.awayUntil = this.clock.now() + event.away;
        this.events.away(event.away);
      } else {
        const contact = this.script.contacts.find(({ name }) => name === event.from);
        this.receive(contact?.numbers[0] ?? event.from, event.text, event.files);
      }
      if (event.every === undefined) return;
      await this.clock.wait(event.every, signal);
    }
  }

  private receive(number: string, text: string, files?: ScriptFile[]): void {
    const message: Kept = { key: `new ${this.texts.length}`, number, text, ...(files && { files }), timestamp: this.clock.now(), type: 'received', read: false }; // prettier-ignore
    this.journal.append(message);
    this.texts.push(message);
    this.events.news();
  }

  /** Text number `index` of the history: talks of four lines, now and then a notice from a short code. */
  private old(index: number): DriverMessage {
    const { contacts, history } = this.script;
    const block = Math.floor(index / LINES);
    const line = index % LINES;
    const blocks = Math.ceil(history.messages / LINES);
    // Friends one talks with most come first in the list.
    const chance = this.random('who', block) / 2 ** 32;
    const contact = contacts[Math.floor(chance ** 2 * contacts.length)];
    const notice = contact === undefined || this.random('kind', block) % 9 === 0;
    const length = (history.years * YEAR) / blocks;
    const start = this.born - (blocks - block) * length + (this.random('start', block) / 2 ** 32) * length * 0.5;
    const timestamp = Math.floor(start + (line * length * 0.5) / LINES);
    if (notice) {
      const { from, texts } = NOTICES[this.random('notice', block) % NOTICES.length]!;
      const text = texts[line % texts.length]!.replace('#', String(100_000 + (this.random('code', index) % 900_000)));
      return { key: `old ${index}`, number: from, text, timestamp, type: 'received', read: true };
    }
    const { who, text } = DIALOGUES[this.random('talk', block) % DIALOGUES.length]![line]!;
    const type = who === 'me' ? 'sent' : 'received';
    const number = contact.numbers[this.random('number', block) % contact.numbers.length]!;
    return { key: `old ${index}`, number, text, timestamp, type, ...(type === 'sent' ? { status: 'sent' } : {}), read: true }; // prettier-ignore
  }

  /** 32 bits that follow from the seed and the words. */
  private random(...words: (string | number)[]): number {
    return createHash('sha256').update([this.script.seed, ...words].join(' ')).digest().readUInt32LE(0); // prettier-ignore
  }

  private do(work: Promise<void>): void {
    this.doing.add(work);
    void work.finally(() => this.doing.delete(work));
  }
}

function toMessage({ files, ...message }: Kept): DriverMessage {
  if (files === undefined) return message;
  return { ...message, files: files.map(({ data, ...file }) => ({ ...file, bytes: Buffer.from(data, 'base64') })) };
}
