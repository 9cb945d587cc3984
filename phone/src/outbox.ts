import type { Clock } from './clock.js';
import { DriverProblem, type Driver, type Outcome, type Outgoing } from './driver.js';
import type { Item, Ledger } from './ledger.js';
import type { Voice } from './log.js';

/** How often a text of which nobody knows is looked for again, in ms. */
const LOOK_AGAIN = 60_000;

/** What a person says of a text that was perhaps sent. */
export type Decision = 'sent' | 'again' | 'drop';

/**
 * Hands texts to the radio, one at a time, in the order in which they came. Each step is in the ledger before it is made;
 * a text of which it is not certain that it was not sent is never sent again by itself.
 */
export class Outbox {
  private wake = new AbortController();
  private lookedAt = 0;
  private haveLooked!: () => void;
  /** Resolves once it was looked for what an earlier run left open: before that nobody need be asked. */
  readonly looked = new Promise<void>((resolve) => (this.haveLooked = resolve));

  constructor(
    private readonly parts: {
      ledger: Ledger;
      driver: Driver;
      clock: Clock;
      voice: Voice;
      /** What to call a number when talking to a person. */
      nameOf: (number: string) => string;
      /** Something changed that the server or a person should know. */
      changed: () => void;
      /** A text is on the phone now, as one that was sent. */
      sent: (message: Outgoing, outcome: Outcome) => void;
    },
  ) {}

  /** Keeps a text to send; one that is known already is not sent again. On disk when it returns. */
  take(message: Outgoing): void {
    const { ledger, clock, voice, nameOf } = this.parts;
    const known = ledger.get(message.id);
    if (known !== undefined) {
      if (known.told === undefined) return;
      // Whoever offers it again after that does not know it any more.
      ledger.tellAgain(message.id);
      return this.changed();
    }
    ledger.take(message, clock.now());
    voice.tell('A text to send came from a browser.', `→ ${nameOf(message.number)}: ${message.text}`);
    this.changed();
  }

  /** The ids of texts that wait for a person. */
  get unknown(): Item[] {
    return this.parts.ledger.in('unknown');
  }

  /** Answers whether there was such a question. */
  resolve(id: string, decision: Decision): boolean {
    if (!Outbox.decide(this.parts.ledger, id, decision)) return false;
    const became = { sent: 'it was sent', again: 'it is sent again', drop: 'it is not sent' }[decision];
    this.parts.voice.say(`${id}: ${became}.`);
    this.changed();
    return true;
  }

  /** A person's decision, in the ledger. */
  static decide(ledger: Ledger, id: string, decision: Decision): boolean {
    if (ledger.get(id)?.stage !== 'unknown') return false;
    if (decision === 'again') ledger.again(id);
    else ledger.outcome(id, decision === 'sent' ? { result: 'sent' } : { result: 'failed', reason: 'it was dropped' });
    return true;
  }

  /** A browser deleted a message: when the radio does not have it yet, it is not sent. */
  withdraw(id: string): void {
    const { ledger, voice } = this.parts;
    if (ledger.get(id)?.stage !== 'taken') return;
    ledger.outcome(id, { result: 'failed', reason: 'it was deleted in a browser' });
    voice.say('A text was deleted in a browser before it was sent.');
    this.changed();
  }

  reported(id: string, status: 'delivered' | 'failed'): void {
    const { ledger, voice } = this.parts;
    const item = ledger.get(id);
    if (item === undefined || item.stage === status) return;
    if (status === 'delivered') ledger.delivered(id);
    else ledger.outcome(id, { result: 'failed', reason: 'the network could not deliver it' });
    voice.say(status === 'delivered' ? 'A text was delivered.' : 'A text could not be delivered.');
    this.changed();
  }

  /** Runs until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { ledger } = this.parts;
    const wakeUp = () => this.wake.abort();
    signal.addEventListener('abort', wakeUp);
    await this.look([...ledger.in('sending'), ...this.unknown], signal);
    this.haveLooked();
    while (!signal.aborted) {
      const next = ledger.in('taken')[0];
      if (next === undefined) await this.pause(LOOK_AGAIN, signal);
      else if (!(await this.hand(next, signal))) await this.pause(10_000, signal);
      await this.lookAgain(signal);
    }
    signal.removeEventListener('abort', wakeUp);
  }

  /** Answers false when the phone cannot be used now. */
  private async hand(item: Item, signal: AbortSignal): Promise<boolean> {
    const { ledger, driver, voice } = this.parts;
    let mark: string;
    try {
      mark = await driver.prepare(item.message!);
    } catch (error) {
      if (!(error instanceof DriverProblem)) throw error;
      voice.say(`A text waits: ${error.message}`);
      return false;
    }
    // In the meantime a browser may have deleted it.
    if (signal.aborted || ledger.get(item.id)?.stage !== 'taken') return true;
    ledger.sending(item.id, mark);
    this.parts.changed();
    await this.settle({ ...item, mark }, (message) => driver.send(message, mark));
    return true;
  }

  private async settle(item: Item, ask: (message: Outgoing, mark: string) => Promise<Outcome>): Promise<void> {
    const { ledger, voice, nameOf, sent, changed } = this.parts;
    const { id, message } = item;
    if (message === undefined) return;
    const was = ledger.get(id)!.stage;
    const outcome = await ask(message, item.mark ?? '');
    // A report of its delivery, or a person, can be quicker.
    if (ledger.get(id)!.stage !== was) return;
    if (outcome.result === 'unknown' && was === 'unknown') return;
    ledger.outcome(id, outcome);
    if (outcome.result === 'sent') {
      sent(message, outcome);
      voice.tell('A text was sent.', `✓ to ${nameOf(message.number)}`);
    } else if (outcome.result === 'failed') {
      voice.tell(`A text was not sent: ${outcome.reason}.`, `✗ to ${nameOf(message.number)}: not sent, ${outcome.reason}`); // prettier-ignore
    } else {
      voice.say(`Nobody knows whether a text was sent: ${outcome.reason}. Look at the phone, then run: pairline-phone resolve ${id} sent|again|drop`); // prettier-ignore
    }
    changed();
  }

  private async lookAgain(signal: AbortSignal): Promise<void> {
    if (this.parts.clock.now() - this.lookedAt >= LOOK_AGAIN) await this.look(this.unknown, signal);
  }

  /** Looks on the phone for what became of texts. */
  private async look(items: Item[], signal: AbortSignal): Promise<void> {
    const { clock, driver } = this.parts;
    this.lookedAt = clock.now();
    for (const item of items) {
      if (signal.aborted) return;
      await this.settle(item, (message, mark) => driver.trace(message, mark));
    }
  }

  private changed(): void {
    this.parts.changed();
    this.wake.abort();
  }

  /** Until something changed, or the time is over. */
  private async pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (!signal.aborted) await this.parts.clock.wait(milliseconds, this.wake.signal);
    this.wake = new AbortController();
  }
}
