import { createHash } from 'node:crypto';
import type { Contact } from '@pairline/client';
import { realClock, type Clock } from '../clock.js';
import { DriverProblem, type Driver, type DriverEvents, type DriverMessage, type HistoryPage, type News, type Outcome, type Outgoing } from '../driver.js'; // prettier-ignore
import { normalizeNumber, parseRegion } from '../numbers.js';
import { runProgram } from '../program.js';
import { zonedTime } from '../zone.js';

/** What `termux-sms-list` prints of a text. `received` is local time; `type` is empty while Android queues it. */
interface Row {
  _id: number;
  type: string;
  address: string | null;
  body: string | null;
  received: string | null;
  read?: boolean;
}

/**
 * Up to where the phone's texts are known: all up to the `_id` `below`, and above it those with these keys, shortened. Android
 * gives the `_id` of its newest texts again once they are deleted, so the highest one that was seen says nothing.
 */
interface Seen {
  below: number;
  keys: string[];
}

/** The position: what was seen, texts that were still on their way out, and where history begins. */
interface Position extends Seen {
  unfinished: number[];
  history: number;
}

const PAGE = 200;
/** So many of the newest texts may be deleted at once without one that comes after them being missed. */
const RECENT = 50;
const MAX_UNFINISHED = 50;

export interface TermuxOptions {
  clock?: Clock;
  /** How often to look for new texts, in ms. */
  poll?: number;
  /** How long a program may take, in ms: without the app Termux:API they wait for ever. */
  patience?: number;
  /** How long to look for a text in the phone's list after it was sent, in ms. */
  confirmWithin?: number;
  /** The environment of the programs; otherwise that of this process. */
  env?: NodeJS.ProcessEnv;
}

/** An Android phone, through the programs of Termux:API. */
export class TermuxDriver implements Driver {
  readonly model = 'Android';
  private events!: DriverEvents;
  private readonly clock: Clock;
  private readonly options: Required<Omit<TermuxOptions, 'clock'>>;
  private readonly stopping = new AbortController();
  private watching: Promise<void> = Promise.resolve();
  private region: ReturnType<typeof parseRegion>;
  private zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;

  constructor({
    clock = realClock,
    poll = 10_000,
    patience = 30_000,
    confirmWithin = 120_000,
    env = process.env,
  }: TermuxOptions = {}) {
    this.clock = clock;
    this.options = { poll, patience, confirmWithin, env };
  }

  async start(events: DriverEvents): Promise<{ region?: string }> {
    this.events = events;
    await this.followTimeZone();
    await this.list(['-l', '1']); // Says at once what is missing: the app, or a permission.
    await this.run('termux-wake-lock');
    await this.notify('Pairline is running');
    const info = await this.run('termux-telephony-deviceinfo');
    // Abroad, the network's country is another one than that of the numbers in the phone.
    const country = /"sim_country_iso"\s*:\s*"(\w\w)"/.exec(info.output) ?? /"network_country_iso"\s*:\s*"(\w\w)"/.exec(info.output); // prettier-ignore
    this.region = parseRegion(country?.[1] ?? '');
    this.watching = this.watch();
    return { region: this.region };
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.watching;
    await this.run('termux-notification-remove', ['pairline']);
    await this.run('termux-wake-unlock');
  }

  async contacts(): Promise<Contact[]> {
    const contacts = new Map<string, string[]>();
    for (const { name, number } of await this.json<{ name: string | null; number: string | null }>(
      'termux-contact-list',
      [],
    ))
      // prettier-ignore
      if (name && number) contacts.set(name, [...(contacts.get(name) ?? []), number]);
    return [...contacts].map(([name, numbers]) => ({ name, numbers }));
  }

  async position(): Promise<string> {
    const newest = await this.newest();
    return JSON.stringify({ ...(await this.seenUpTo(newest)), unfinished: [], history: newest } satisfies Position);
  }

  async news(after: string): Promise<News> {
    const position = JSON.parse(after) as Position;
    // Without the order, a limited list would be the newest of them, and skip the rest.
    const rows = await this.select(`_id > ${position.below}`, '_id ASC', PAGE);
    const earlier = position.unfinished.filter((id) => id <= position.below);
    const waited = earlier.length > 0 ? await this.select(`_id IN (${earlier.join(',')})`, '_id ASC', MAX_UNFINISHED) : []; // prettier-ignore
    const fresh = rows.filter((row) => isAfter(row, position));
    if (fresh.length > 0) await this.followTimeZone();
    const messages: DriverMessage[] = [];
    const unfinished: number[] = [];
    for (const row of [...waited, ...fresh]) {
      if (this.isBeingSent(row) || row.type === 'outbox' || row.type === '') unfinished.push(row._id);
      else if (!this.events.isOurs(keyOf(row))) messages.push(...this.toMessage(row));
    }
    // All that is known by its key was deleted: the next text has an `_id` from further below.
    const seen = rows.length === 0 && position.below > 0 ? await this.seenUpTo(position.below) : seenOf(rows, position.below, unfinished); // prettier-ignore
    const next: Position = { ...seen, unfinished: unfinished.slice(-MAX_UNFINISHED), history: position.history };
    return { messages, position: JSON.stringify(next), more: rows.length === PAGE };
  }

  async history(before: string): Promise<HistoryPage> {
    // The first page starts from a position, the following ones from an _id.
    const { history: newest, top = newest } = JSON.parse(before) as { history: number; top?: number };
    const rows = (await this.select(`_id <= ${newest}`, '_id DESC', PAGE)).reverse();
    const messages = rows.filter((row) => !this.events.isOurs(keyOf(row))).flatMap((row) => this.toMessage(row));
    if (rows.length < PAGE) return { messages, done: 1 };
    const next = rows.at(-1)!._id - 1;
    return { messages, before: JSON.stringify({ history: next, top }), done: 1 - next / top };
  }

  /** What is on the phone already: what is sent now is not among it. */
  async prepare(): Promise<string> {
    return JSON.stringify(await this.seenUpTo(await this.newest()));
  }

  async send(message: Outgoing, mark: string): Promise<Outcome> {
    // The program puts the number into a shell command without quotes, and takes a comma for a second number.
    const number = message.number.replace(/[\s().\-/]/g, '');
    if (!/^\+?\d+$/.test(number)) return { result: 'failed', reason: 'it is not a number that texts can be sent to' };
    const { output, problem } = await this.run('termux-sms-send', ['-n', number], message.text);
    if (problem === 'missing') return { result: 'failed', reason: 'termux-sms-send is not installed' };
    const refusal = problemIn(output);
    if (refusal !== undefined) return { result: 'failed', reason: refusal };
    return this.confirm(message, mark);
  }

  async trace(message: Outgoing, mark: string): Promise<Outcome> {
    try {
      return await this.find(message, mark);
    } catch (error) {
      if (!(error instanceof DriverProblem)) throw error;
      return { result: 'unknown', reason: error.message };
    }
  }

  /** termux-sms-send prints nothing, whatever happens: only the phone's own list tells. */
  private async confirm(message: Outgoing, mark: string): Promise<Outcome> {
    const deadline = this.clock.now() + this.options.confirmWithin;
    for (let pause = 500; ; pause = Math.min(pause * 2, 8_000)) {
      const outcome = await this.trace(message, mark);
      if (outcome.result !== 'unknown') return outcome;
      if (this.clock.now() >= deadline || this.stopping.signal.aborted) return outcome;
      await this.clock.wait(pause, this.stopping.signal);
    }
  }

  /** The text among those that came into the phone's list after the mark. A failed one is type 5: `-t failed` lists all. */
  private async find(message: Outgoing, mark: string): Promise<Outcome> {
    const before = parseMark(mark);
    for (const [type, result] of [
      [2, 'sent'],
      [5, 'failed'],
    ] as const) {
      const rows = await this.select(`type == ${type} AND _id > ${before.below}`, '_id ASC', PAGE);
      const row = rows.find((one) => isAfter(one, before) && this.isThis(one, message) && !this.events.isOurs(keyOf(one))); // prettier-ignore
      if (row === undefined) continue;
      const reason = result === 'failed' ? 'the phone could not send it' : undefined;
      return { result, reason, key: keyOf(row), timestamp: this.timeOf(row) };
    }
    return { result: 'unknown', reason: 'the phone does not list it among its texts' };
  }

  /** It belongs to a message of a browser, and `send` or `trace` will find it: it is not news. */
  private isBeingSent(row: Row): boolean {
    if (row.type === 'inbox' || this.events.isOurs(keyOf(row))) return false;
    return this.events.unresolved().some(({ message, mark }) => isAfter(row, parseMark(mark)) && this.isThis(row, message)); // prettier-ignore
  }

  private isThis(row: Row, message: Outgoing): boolean {
    return row.body === message.text && this.normalize(row.address ?? '') === this.normalize(message.number);
  }

  private normalize(number: string): string {
    return normalizeNumber(number, this.region);
  }

  private toMessage(row: Row): DriverMessage[] {
    if (row.address === null || row.address === '') return [];
    const timestamp = this.timeOf(row);
    if (timestamp === undefined) {
      this.events.say('A text was left out: the phone gives no time for it that can be read.');
      return [];
    }
    const shared = {
      key: keyOf(row),
      number: row.address,
      text: row.body ?? '',
      timestamp,
    };
    switch (row.type) {
      case 'inbox':
        return [{ ...shared, type: 'received', read: row.read ?? true }];
      case 'sent':
        return [{ ...shared, type: 'sent', status: 'sent', read: true }];
      case 'failed':
        return [{ ...shared, type: 'sent', status: 'failed', read: true }];
      default: // Drafts, and what is still on its way.
        return [];
    }
  }

  /** ms since 1970, if what the phone says can be read. */
  private timeOf({ received }: Row): number | undefined {
    const time = zonedTime(received ?? '', this.zone);
    return Number.isNaN(time) ? undefined : time;
  }

  async showQuestions(count: number): Promise<void> {
    if (count === 0) await this.run('termux-notification-remove', ['pairline-question']);
    else await this.run('termux-notification', ['--id', 'pairline-question', '--title', 'Pairline', '--content', 'Was a text sent? Nobody knows. In Termux, type: npx pairline-phone status']); // prettier-ignore
  }

  private async watch(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      this.events.news();
      await this.clock.wait(this.options.poll, signal);
    }
  }

  private async newest(): Promise<number> {
    const [row] = await this.list(['-l', '1', '-t', 'all', '--message-sort-order=_id DESC']);
    return row?._id ?? 0;
  }

  private async seenUpTo(newest: number): Promise<Seen> {
    return seenOf(await this.select(`_id <= ${newest}`, '_id DESC', RECENT + 1), 0);
  }

  /** Rows in ascending order of `_id`, whatever order they are printed in. */
  private select(where: string, order: string, limit: number): Promise<Row[]> {
    return this.list([
      '-l',
      String(limit),
      '-t',
      'all',
      `--message-selection=${where}`,
      `--message-sort-order=${order}`,
    ]);
  }

  private async list(args: string[]): Promise<Row[]> {
    const rows = await this.json<Row>('termux-sms-list', args);
    return rows.sort((one, other) => one._id - other._id);
  }

  /** Times are printed in the phone's zone, which changes when its owner travels. */
  private async followTimeZone(): Promise<void> {
    const { output } = await this.run('getprop', ['persist.sys.timezone']);
    if (output.trim() !== '') this.zone = output.trim();
  }

  private async notify(content: string): Promise<void> {
    await this.run('termux-notification', ['--id', 'pairline', '--ongoing', '--alert-once', '--title', 'Pairline', '--content', content]); // prettier-ignore
  }

  private run(program: string, args: string[] = [], input?: string) {
    return runProgram(program, args, { input, timeout: this.options.patience, env: this.options.env });
  }

  /** A list that a program prints; throws `DriverProblem` with what to do when it prints something else. */
  private async json<Item>(program: string, args: string[]): Promise<Item[]> {
    const { output, errors, problem } = await this.run(program, args);
    if (problem === 'missing') throw new DriverProblem(`${program} is missing. In Termux, run: pkg install termux-api`);
    if (problem === 'timeout')
      throw new DriverProblem(`${program} does not answer. Is the app Termux:API installed, from the same place as Termux?`); // prettier-ignore
    const refusal = problemIn(output);
    if (refusal !== undefined) throw new DriverProblem(`${program}: ${refusal}`);
    const items = parseList<Item>(output);
    if (items === undefined)
      throw new DriverProblem(`${program} printed no list. ${firstLine(errors) || firstLine(output)}`.trim());
    return items;
  }
}

/**
 * An `_id` alone can come again, with another text. The time is not in it: zones change. It is a hash, for it is kept in files
 * that hold no texts.
 */
function keyOf({ _id, address, body }: Row): string {
  return createHash('sha256')
    .update(JSON.stringify([_id, address, body]))
    .digest('base64url')
    .slice(0, 22);
}

/** Six bytes are enough to tell one text from fifty others. */
function shortKeyOf(row: Row): string {
  return keyOf(row).slice(0, 8);
}

/** The last of these rows by their keys, but for those that are not done with; the ones before count as known. */
function seenOf(rows: Row[], below: number, unfinished: number[] = []): Seen {
  const recent = rows.slice(-RECENT).filter(({ _id }) => !unfinished.includes(_id));
  return { below: rows.at(-RECENT - 1)?._id ?? below, keys: recent.map(shortKeyOf) };
}

/** What was on the phone before a text was sent. A mark of another driver says nothing: then no text came after it. */
function parseMark(mark: string): Seen {
  return mark.startsWith('{') ? (JSON.parse(mark) as Seen) : { below: Number.MAX_SAFE_INTEGER, keys: [] };
}

/** Whether a text came after what was seen. */
function isAfter(row: Row, { below, keys }: Seen): boolean {
  return row._id > below && !keys.includes(shortKeyOf(row));
}

/** Termux:API prints an object with an `error`, on standard output, when a permission is missing. */
function problemIn(output: string): string | undefined {
  if (!output.trimStart().startsWith('{')) return undefined;
  try {
    const { error } = JSON.parse(output) as { error?: unknown };
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}

function parseList<Item>(output: string): Item[] | undefined {
  try {
    const list: unknown = JSON.parse(output);
    return Array.isArray(list) ? (list as Item[]) : undefined;
  } catch {
    return undefined;
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
