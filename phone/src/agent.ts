import { ClientError, type PhoneClient, type State } from '@pairline/client';
import { Account, forget, isRefusal, openTold, type NoPlace } from './account.js';
import { Bell } from './bell.js';
import type { Clock } from './clock.js';
import { DriverProblem, type Driver, type DriverMessage } from './driver.js';
import type { Folder } from './folder.js';
import type { Ledger } from './ledger.js';
import type { Voice } from './log.js';
import { Outbox } from './outbox.js';
import type { Told } from './told.js';

const DAY = 24 * 3_600_000;
const AGAIN = 15_000;

/** What a running agent last knew. Times are ms since 1970. */
export interface AgentStatus {
  pid: number;
  at: number;
  url: string;
  phone: string;
  paired: boolean;
  phase: State['phase'];
  since: number;
  /** Texts that the radio does not have yet. */
  waiting: number;
  /** Texts of which nobody knows whether they were sent. */
  unknown: { id: string; number: string; at: number }[];
  /** How much of the phone's history was told: 0 to 1. */
  history: number;
  /** Why the phone cannot be used at the moment. */
  problem?: string;
}

export interface AgentParts {
  driver: Driver;
  folder: Folder;
  ledger: Ledger;
  voice: Voice;
  clock: Clock;
  url: string;
  /** Connects to the account; called again after the phone was away. */
  openClient: () => Promise<PhoneClient>;
  /** Instead of the region that the phone says. */
  region?: string;
  /** How far the first sync is, 0 to 1. */
  progress?: (done: number, texts: number) => void;
}

/** How an agent ended: it was told to, or the account does not want this phone any more. */
export type Ending = { reason: 'stopped' | 'unpaired' } | { reason: 'removed'; code: string };

/** Between a phone and its account: tells what is on the phone, and hands the phone what browsers write. */
export class Agent {
  readonly outbox: Outbox;
  private readonly told: Told;
  /** There from the first connection on; another one after the phone was away. */
  private account?: Account;
  private readonly opened: ((account: Account) => void)[] = [];
  private readonly newsBell = new Bell();
  private readonly statusBell = new Bell();
  /** Rung once, when it is known where history ends and news begin. */
  private readonly historyBell = new Bell();
  private readonly paired = new AbortController();
  private session = new AbortController();
  private readonly ended = new AbortController();
  /** The phone is leaving by itself: nobody has removed it. */
  private unpairing = false;
  private ending: Ending = { reason: 'stopped' };
  private away = 0;
  private phase: State['phase'] = 'connecting';
  private since: number;
  private history = 0;
  /** What does not work at the moment, by the task that it keeps from its work. */
  private readonly problems = new Map<string, string>();
  /** How many texts the phone shows as waiting for an answer. */
  private asked?: number;
  private showing: Promise<void> | undefined;
  private failure?: { error: unknown };

  constructor(private readonly parts: AgentParts) {
    const { folder, ledger, driver, clock, voice } = parts;
    this.told = openTold(folder);
    this.since = clock.now();
    if (folder.settings.pairedAt !== undefined) this.paired.abort();
    this.outbox = new Outbox({
      ledger,
      driver,
      clock,
      voice,
      nameOf: (number) => this.account?.nameOf(number) ?? number,
      changed: () => {
        this.statusBell.ring();
        this.writeStatus();
        this.showQuestions();
      },
      sent: ({ number, text }, { timestamp }) => {
        if (timestamp !== undefined) this.task(async () => (await this.present()).countSent(number, text, timestamp));
      },
    });
  }

  /** Runs until the signal is aborted, the phone was unpaired, or the account has removed it. */
  async run(signal: AbortSignal): Promise<Ending> {
    const { driver, ledger, voice, clock } = this.parts;
    signal.addEventListener('abort', () => this.end({ reason: 'stopped' }));
    const { region } = await driver.start({
      news: () => this.newsBell.ring(),
      reported: (id, status) => this.outbox.reported(id, status),
      away: (milliseconds) => {
        this.away = milliseconds;
        this.session.abort();
      },
      say: (line) => voice.say(line),
      isOurs: (key) => ledger.isOurs(key),
      unresolved: () => [...ledger.in('sending'), ...ledger.in('unknown')].map(({ message, mark }) => ({ message: message!, mark: mark ?? '' })), // prettier-ignore
    });
    void this.outbox.looked.then(() => this.showQuestions());
    const sending = this.outbox.run(this.ended.signal).catch((error: unknown) => this.fail(error));
    try {
      while (!this.ended.signal.aborted) {
        await this.runSession(this.parts.region ?? this.keepRegion(region));
        if (this.away === 0 || this.ended.signal.aborted) continue;
        voice.say('The phone is out of reach.');
        await clock.wait(this.away, this.ended.signal);
        this.away = 0;
        voice.say('The phone is in reach again.');
      }
    } finally {
      this.end({ reason: 'stopped' });
      await driver.stop();
      await sending;
      await this.showing;
      if (this.ending.reason !== 'stopped') ledger.abandon();
      if (this.ending.reason === 'removed') {
        this.told.close();
        forget(this.parts.folder);
      } else if (this.ending.reason === 'stopped') {
        this.writeStatus();
        this.told.close();
      }
    }
    if (this.failure !== undefined) throw this.failure.error;
    return this.ending;
  }

  /** Lets a browser in; what is on the phone goes to the account from then on. */
  async pair(code: string): Promise<void> {
    const account = await this.present();
    await account.pair(code);
    this.paired.abort();
    this.parts.voice.say('A browser was let in.');
    this.writeStatus();
  }

  async unpair(): Promise<void> {
    const account = await this.present();
    this.unpairing = true;
    await account.unpair();
    this.end({ reason: 'unpaired' });
  }

  /** Whether it has ended, or is about to. */
  get isOver(): boolean {
    return this.ended.signal.aborted;
  }

  /** The account, once it is there. */
  present(): Promise<Account> {
    if (this.account !== undefined) return Promise.resolve(this.account);
    return new Promise((resolve) => this.opened.push(resolve));
  }

  get status(): AgentStatus {
    const { ledger, url, driver, clock } = this.parts;
    return {
      pid: process.pid,
      at: clock.now(),
      url,
      phone: driver.model,
      paired: this.paired.signal.aborted,
      phase: this.phase,
      since: this.since,
      waiting: ledger.in('taken').length + ledger.in('sending').length,
      unknown: ledger.in('unknown').map(({ id, message, at }) => ({ id, number: message?.number ?? '', at })),
      history: this.told.history === null ? 1 : this.history,
      problem: [...this.problems.values()][0],
    };
  }

  private async runSession(region?: string): Promise<void> {
    this.session = new AbortController();
    const { signal } = this.session;
    if (this.ended.signal.aborted) return;
    const client = await this.parts.openClient();
    const account = new Account(this.parts.folder, client, this.told, region);
    this.account = account;
    client.on('state', (state) => this.follow(state));
    client.on('syncWanted', () => this.newsBell.ring());
    client.on('read', () => this.parts.voice.say('A conversation was read in a browser.'));
    client.on('deleted', (id) => this.outbox.withdraw(id));
    client.on('refused', () => this.parts.voice.say('Something from the server was not done: it could not be trusted or decrypted.')); // prettier-ignore
    client.onSend(async ({ id, number, text }) => this.outbox.take({ id, number, text }));
    this.follow(client.state);
    for (const tell of this.opened.splice(0)) tell(account);

    const tasks = [this.tellStatuses(account, signal)];
    if (await this.isPaired(signal)) tasks.push(this.tellContacts(account, signal), this.tellNews(account, signal), this.tellHistory(account, signal)); // prettier-ignore
    await aborted(signal);
    this.account = undefined;
    await client.close();
    await Promise.all(tasks);
  }

  private keepRegion(region: string | undefined): string | undefined {
    const { folder } = this.parts;
    const { phoneRegion, ...settings } = folder.settings;
    if (phoneRegion === undefined && region !== undefined) folder.settings = { ...settings, phoneRegion: region };
    return phoneRegion ?? region;
  }

  private async isPaired(session: AbortSignal): Promise<boolean> {
    await Promise.race([aborted(this.paired.signal), aborted(session)]);
    return this.paired.signal.aborted && !session.aborted;
  }

  private async tellContacts(account: Account, signal: AbortSignal): Promise<void> {
    await this.keepTrying(signal, 'contacts', async () => {
      await account.tellContacts(await this.parts.driver.contacts());
      this.problems.delete('contacts');
      await this.parts.clock.wait(DAY, signal);
      return false;
    });
  }

  private async tellNews(account: Account, signal: AbortSignal): Promise<void> {
    await this.keepTrying(signal, 'news', async () => {
      const { told } = this;
      if (told.position === undefined) {
        const position = await this.parts.driver.position();
        told.write({ position, history: position });
        this.historyBell.ring();
      }
      const page = await this.parts.driver.news(told.position!);
      if (page.messages.length > 0 || page.position !== told.position) {
        await account.tellPhone(page.messages, { position: page.position }, this.answers);
        for (const message of page.messages) this.sayTold(account, message);
      }
      this.problems.delete('news');
      if (!page.more) await this.newsBell.heard(signal);
      return false;
    });
  }

  private async tellHistory(account: Account, signal: AbortSignal): Promise<void> {
    let texts = 0;
    await this.keepTrying(signal, 'history', async () => {
      if (this.told.history === undefined) await this.historyBell.heard(signal);
      const from = this.told.history;
      if (from === null || from === undefined) return from === null;
      const page = await this.parts.driver.history(from);
      await account.tellPhone(page.messages, { history: page.before ?? null }, this.answers);
      this.problems.delete('history');
      texts += page.messages.length;
      this.history = page.done;
      this.parts.progress?.(page.before === undefined ? 1 : page.done, texts);
      if (page.before === undefined) this.parts.voice.say(`The phone's history is told: ${texts} texts this time.`);
      this.writeStatus();
      return page.before === undefined;
    });
  }

  private async tellStatuses(account: Account, signal: AbortSignal): Promise<void> {
    const { ledger } = this.parts;
    await this.keepTrying(signal, 'statuses', async () => {
      for (const { id, status } of ledger.untold()) {
        try {
          await account.client.status(id, status);
        } catch (error) {
          // A message that was deleted meanwhile has no status any more.
          if (!isRefusal(error)) throw error;
        }
        ledger.told(id, status);
      }
      this.problems.delete('statuses');
      await this.statusBell.heard(signal);
      return false;
    });
  }

  /** Calls `work` until it answers that all is done; what the phone or the connection refuses now is tried again. */
  private async keepTrying(signal: AbortSignal, task: string, work: () => Promise<boolean>): Promise<void> {
    while (!signal.aborted) {
      try {
        if (await work()) return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof DriverProblem) this.sayProblem(task, error.message);
        else if (!(error instanceof ClientError)) return this.fail(error);
        else if (error.code !== 'offline') this.sayProblem(task, `${error.message} (${error.code})`);
        await this.parts.clock.wait(AGAIN, signal);
      }
    }
  }

  private follow({ phase, reason, retryAt }: State): void {
    if (this.unpairing) return;
    if (phase === 'signed-out' && reason !== undefined) return this.end({ reason: 'removed', code: reason });
    if (phase === this.phase) return;
    const { voice, url, clock } = this.parts;
    this.phase = phase;
    this.since = clock.now();
    if (phase === 'live') voice.say(`Connected to ${url}.`);
    if (phase === 'offline') voice.say(`No connection to ${url}. ${retryAt === undefined ? '' : 'It is tried again by itself.'}`.trim()); // prettier-ignore
    this.writeStatus();
  }

  private sayTold(account: Account, { type, number, text: words, files = [] }: DriverMessage): void {
    const name = account.nameOf(number);
    const text = [words, ...files.map((file) => `[${file.name}]`)].filter((part) => part !== '').join(' ');
    if (type === 'received') this.parts.voice.tell('A text came in.', `← ${name}: ${text}`);
    else this.parts.voice.tell('A text was sent on the phone itself.', `→ ${name}: ${text}`);
  }

  /** What is said when the server does not take something. */
  private readonly answers = {
    refused: (_: unknown, { message, code }: ClientError) => this.parts.voice.say(`The server did not take a text: ${message} (${code})`), // prettier-ignore
    without: (why: NoPlace) => this.parts.voice.say(`A text was told without one of its files: ${why === 'too-large' ? 'it is too large for the server' : 'the server has no room for it'}.`), // prettier-ignore
  };

  /** Once, not at every try. */
  private sayProblem(task: string, problem: string): void {
    if (this.problems.get(task) === problem) return;
    // What keeps several tasks from their work is one problem.
    if (![...this.problems.values()].includes(problem)) this.parts.voice.say(problem);
    this.problems.set(task, problem);
    this.writeStatus();
  }

  /** As a service the agent has no terminal to ask at: the phone itself shows that there is a question. */
  private showQuestions(): void {
    const count = this.outbox.unknown.length;
    if (count === this.asked || this.isOver) return;
    this.asked = count;
    const { driver } = this.parts;
    this.showing = (this.showing ?? Promise.resolve()).then(() => driver.showQuestions?.(count));
  }

  private writeStatus(): void {
    this.parts.folder.write('status.json', JSON.stringify(this.status));
  }

  /** For what must not happen: the agent ends, and says why. */
  private fail(error: unknown): void {
    this.failure ??= { error };
    this.end({ reason: 'stopped' });
  }

  private task(work: () => Promise<void>): void {
    void work().catch((error: unknown) => {
      if (!this.ended.signal.aborted) this.fail(error);
    });
  }

  private end(ending: Ending): void {
    if (this.ended.signal.aborted) return;
    this.ending = ending;
    this.ended.abort();
    this.session.abort();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
