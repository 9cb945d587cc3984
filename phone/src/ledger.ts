import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder } from './folder.js';
import { Journal } from './journal.js';
import type { Outcome, Outgoing } from './driver.js';

/**
 * Where a text is on its way to the radio:
 * - `taken`: it is here; the radio knows nothing of it;
 * - `sending`: it is being handed over. Found at a start, it is `unknown` what became of it;
 * - `unknown`: a person has to say what became of it;
 * - `sent`, `delivered`, `failed`: it is over, and not sent again.
 */
export type Stage = 'taken' | 'sending' | 'unknown' | 'sent' | 'delivered' | 'failed';
export type Status = 'sent' | 'delivered' | 'failed';

export interface Item {
  id: string;
  stage: Stage;
  /** Until it is over: then its text is forgotten. */
  message?: Outgoing;
  /** What the driver keeps to recognise it. */
  mark?: string;
  /** Why it failed, or why it is not known. */
  reason?: string;
  /** ms since 1970 */
  at: number;
  /** What the server was told last. */
  told?: Status;
}

/** A line of the ledger. Each carries the id it is about. */
interface Entry {
  id: string;
  at?: number;
  stage?: Stage;
  message?: Outgoing;
  mark?: string;
  reason?: string;
  /** A hash of the driver's key of the text that was sent: the key may hold the text itself. */
  key?: string;
  /** null: what the server was told does not count any more. */
  told?: Status | null;
}

/** The account is another one: all keys up to here are forgotten. */
type Line = Entry | { keys: 'forgotten' };

const OVER: readonly Stage[] = ['sent', 'delivered', 'failed'];

/**
 * What keeps a text from being sent twice: every step is on disk before the next one is made. Ids stay for ever, so a
 * text that is offered again years later is known.
 */
export class Ledger {
  private readonly items = new Map<string, Item>();
  private readonly keys = new Map<string, string>();
  private readonly journal: Journal<Line>;
  private lines = 0;

  constructor(path: string) {
    const read = () =>
      Journal.open<Line>(path, (line) => {
        this.lines += 1;
        this.apply(line);
      });
    const journal = read();
    const compact = this.items.size;
    if (this.lines <= 2 * compact + 100) {
      this.journal = journal;
      return;
    }
    journal.close();
    this.rewrite(path);
    this.items.clear();
    this.keys.clear();
    this.lines = 0;
    this.journal = read();
  }

  get(id: string): Item | undefined {
    return this.items.get(id);
  }

  /** Those in a stage, in the order in which they came. */
  in(stage: Stage): Item[] {
    return [...this.items.values()].filter((item) => item.stage === stage);
  }

  /** Whether a text on the phone is one that the agent sent for this account. */
  isOurs(key: string): boolean {
    return this.keys.has(digestOf(key));
  }

  /** Over, but the server has not been told. */
  untold(): { id: string; status: Status }[] {
    return [...this.items.values()]
      .filter(({ stage, told }) => isOver(stage) && stage !== told)
      .map(({ id, stage }) => ({ id, status: stage as Status }));
  }

  take(message: Outgoing, at: number): void {
    this.write({ id: message.id, at, stage: 'taken', message });
  }

  sending(id: string, mark: string): void {
    this.write({ id, stage: 'sending', mark });
  }

  outcome(id: string, { result, reason, key }: Outcome): void {
    this.write({ id, stage: result, reason, key: key === undefined ? undefined : digestOf(key) });
  }

  delivered(id: string): void {
    this.write({ id, stage: 'delivered' });
  }

  /** A person decided that it is to be handed over once more. */
  again(id: string): void {
    this.write({ id, stage: 'taken' });
  }

  told(id: string, told: Status): void {
    this.write({ id, told });
  }

  /** The server is to be told once more what became of a text. */
  tellAgain(id: string): void {
    this.write({ id, told: null });
  }

  /**
   * The account is gone: what was not sent never will be, and there is nobody to tell. Ids stay, keys do not: to another
   * account, what was sent for this one is history like everything else on the phone.
   */
  abandon(): void {
    for (const { id } of this.in('taken')) this.outcome(id, { result: 'failed', reason: 'the phone was unpaired' });
    for (const { id, status } of this.untold()) this.told(id, status);
    this.write({ keys: 'forgotten' });
  }

  close(): void {
    this.journal.close();
  }

  private write(line: Line): void {
    this.journal.append(line);
    this.apply(line);
  }

  private apply(line: Line): void {
    if ('keys' in line) return this.keys.clear();
    const { id, told, ...change } = line;
    const item = this.items.get(id) ?? { id, stage: 'taken', at: 0 };
    for (const [field, value] of Object.entries(change))
      if (value !== undefined) Object.assign(item, { [field]: value });
    if (told === null) delete item.told;
    else if (told !== undefined) item.told = told;
    if (change.key !== undefined) this.keys.set(change.key, id);
    if (isOver(item.stage)) {
      delete item.message;
      delete item.mark;
    }
    this.items.set(id, item);
  }

  /** One line an item, in place of all that led there. */
  private rewrite(path: string): void {
    const keys = new Map([...this.keys].map(([key, id]) => [id, key]));
    const file = openSync(`${path}.new`, 'w', 0o600);
    for (const item of this.items.values())
      writeSync(file, `${JSON.stringify({ ...item, key: keys.get(item.id) } satisfies Entry)}\n`);
    fsyncSync(file);
    closeSync(file);
    renameSync(`${path}.new`, path);
    syncFolder(dirname(path));
  }
}

function digestOf(key: string): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, 22);
}

function isOver(stage: Stage): boolean {
  return OVER.includes(stage);
}
