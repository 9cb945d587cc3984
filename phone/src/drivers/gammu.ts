import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, fsyncSync, mkdirSync, openSync, closeSync, readFileSync, readdirSync, renameSync, rmSync, statSync, watch, writeFileSync, type FSWatcher } from 'node:fs'; // prettier-ignore
import { join } from 'node:path';
import { realClock, type Clock } from '../clock.js';
import { DriverProblem, type Driver, type DriverEvents, type DriverMessage, type HistoryPage, type News, type Outcome, type Outgoing } from '../driver.js'; // prettier-ignore
import { isMissing, syncFolder } from '../folder.js';
import { runProgram } from '../program.js';

export interface GammuOptions {
  /** A folder of the driver's own: what the modem received and sent. */
  folder: string;
  /** The modem's device, "/dev/ttyUSB0". */
  modem: string;
  /** A gammurc file to take the section `[gammu]` from instead: other models, PIN, speed. */
  config?: string;
  clock?: Clock;
  /** How long the modem may take to send a text, in ms. */
  patience?: number;
}

/** How long to wait before gammu-smsd is started again after it ended, in ms. */
const RESTART = 5_000;
/** How long a modem may take until it answers, in ms. */
const STARTING = 60_000;
const MAX_SHOWN = 200;
const UNCERTAIN: Outcome = { result: 'unknown', reason: 'the modem has not said that it was sent' };

/**
 * A USB modem, through gammu-smsd with its files: what is put into `outbox` is sent and then moved to `sent` or `error`;
 * what came in is handed to `received`, whole, by a small script. The daemon is this driver's child, so nobody else uses
 * its folders. It is told never to repeat a text by itself.
 */
export class GammuDriver implements Driver {
  readonly model = 'USB modem';
  private events!: DriverEvents;
  private readonly clock: Clock;
  private readonly patience: number;
  private readonly stopping = new AbortController();
  private daemon?: ChildProcess;
  private running: Promise<void> = Promise.resolve();
  private watchers: FSWatcher[] = [];
  private readonly moved = new Set<() => void>();

  constructor(private readonly options: GammuOptions) {
    this.clock = options.clock ?? realClock;
    this.patience = options.patience ?? 180_000;
  }

  async start(events: DriverEvents): Promise<{ region?: string }> {
    this.events = events;
    for (const name of ['', 'inbox', 'received', 'outbox', 'held', 'sent', 'error']) mkdirSync(this.path(name), { recursive: true, mode: 0o700 }); // prettier-ignore
    this.writeConfig();
    await this.endOrphan();
    this.clear();
    this.watchers = ['received', 'outbox', 'sent', 'error'].map((name) => watch(this.path(name), () => this.changed()));
    await this.startDaemon();
    this.running = this.keepRunning();
    return {};
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    for (const watcher of this.watchers) watcher.close();
    if (this.daemon !== undefined) await endProcess(this.daemon);
    await this.running;
  }

  /** A modem has no address book worth the name. */
  async contacts() {
    return [];
  }

  /** What came in stays in `received` until it is told: a position has nothing to say. */
  async position(): Promise<string> {
    return '[]';
  }

  /** The position is what was shown and is to be cleared away, now that it has been told. */
  async news(after: string): Promise<News> {
    for (const name of JSON.parse(after) as string[]) rmSync(this.path('received', name), { force: true });
    const names = readdirSync(this.path('received')).sort().slice(0, MAX_SHOWN);
    const messages = names.flatMap((name) => {
      const message = parseReceived(readFileSync(this.path('received', name), 'utf8'));
      if (message === undefined) this.events.say('Something came in that is no text (a data message): left aside.');
      // Android, too, goes by when a text came in: the network's own time has no certain zone.
      const timestamp = Math.floor(statSync(this.path('received', name)).mtimeMs);
      return message === undefined
        ? []
        : [{ ...message, key: name, timestamp, type: 'received' as const, read: false }];
    });
    return { messages, position: JSON.stringify(names), more: names.length === MAX_SHOWN };
  }

  async history(): Promise<HistoryPage> {
    return { messages: [], done: 1 };
  }

  async prepare(): Promise<string> {
    const trouble = this.trouble();
    if (trouble !== undefined) throw new DriverProblem(`gammu-smsd cannot use the modem. ${trouble}`);
    if (isOver(this.daemon!)) throw new DriverProblem('gammu-smsd is not running; it is started again shortly.');
    return '';
  }

  async send(message: Outgoing): Promise<Outcome> {
    const name = this.fileFor(message);
    if (name === undefined) return { result: 'failed', reason: 'it is not a number that texts can be sent to' };
    rmSync(this.path('held', name), { force: true }); // A person said that it is to be sent again.
    // UTF-16 with its mark: everything else gammu-smsd takes for the system's own encoding, whatever that is.
    const file = openSync(this.path(name), 'w', 0o600);
    writeFileSync(file, Buffer.from(`\ufeff${message.text}`, 'utf16le'));
    fsyncSync(file);
    closeSync(file);
    renameSync(this.path(name), this.path('outbox', name));
    syncFolder(this.path('outbox'));

    return this.outcome(name);
  }

  async trace(message: Outgoing): Promise<Outcome> {
    const name = this.fileFor(message);
    return name === undefined ? UNCERTAIN : this.outcome(name);
  }

  /** What became of a file; waits while it is in the outbox. */
  private async outcome(name: string): Promise<Outcome> {
    const deadline = this.clock.now() + this.patience;
    for (;;) {
      if (existsSync(this.path('sent', name))) return { result: 'sent', key: name };
      if (existsSync(this.path('error', name))) return { result: 'failed', reason: 'the modem could not send it' };
      if (!existsSync(this.path('outbox', name)) || this.stopping.signal.aborted) return UNCERTAIN;
      if (this.clock.now() >= deadline) this.hold(name);
      else await this.nextMove();
    }
  }

  /** From here on it is not sent any more, unless the daemon has begun with it. */
  private hold(name: string): void {
    try {
      renameSync(this.path('outbox', name), this.path('held', name));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /** gammu-smsd reads the number off the file's name. The same message has the same name. */
  private fileFor({ id, number }: Outgoing): string | undefined {
    const compact = number.replace(/[\s().\-/]/g, '');
    if (!/^\+?\d+$/.test(compact)) return undefined;
    const tag = createHash('sha256').update(id).digest('hex').slice(0, 16);
    return `OUTC20000101_000000_00_${compact}_${tag}.txt`;
  }

  private changed(): void {
    this.events.news();
    for (const tell of [...this.moved]) tell();
  }

  /** Resolves when something happened in the folders, and every few seconds in case nobody told. */
  private async nextMove(): Promise<void> {
    const over = new AbortController();
    const happened = () => over.abort();
    this.moved.add(happened);
    this.stopping.signal.addEventListener('abort', happened);
    await this.clock.wait(2_000, over.signal);
    this.stopping.signal.removeEventListener('abort', happened);
    this.moved.delete(happened);
  }

  /** Starts the daemon again when it ends. */
  private async keepRunning(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await exitOf(this.daemon!);
      if (signal.aborted) break;
      this.events.say('gammu-smsd ended. It is started again.');
      do await this.clock.wait(RESTART, signal);
      while (!signal.aborted && !(await this.restarted()));
    }
    rmSync(this.path('pid'), { force: true });
  }

  private async restarted(): Promise<boolean> {
    try {
      await this.startDaemon();
      return true;
    } catch (error) {
      if (!(error instanceof DriverProblem)) throw error;
      this.events.say(error.message);
      return false;
    }
  }

  /** Resolves once the daemon talks to the modem: then it knows the modem's serial number. */
  private async startDaemon(again = 2): Promise<void> {
    this.holdUncertain();
    rmSync(this.path('log'), { force: true });
    // In a group of its own: a Ctrl-C at the terminal is for the agent, which ends the daemon then.
    const daemon = spawn('gammu-smsd', ['-c', this.path('smsdrc'), '-p', this.path('pid')], { stdio: 'ignore', detached: true }); // prettier-ignore
    this.daemon = daemon;
    let over = false;
    void exitOf(daemon).then(() => (over = true));
    daemon.on('error', () => (over = true));
    const deadline = this.clock.now() + STARTING;
    for (;;) {
      const { output, problem } = await runProgram('gammu-smsd-monitor', ['-c', this.path('smsdrc'), '-n', '1', '-d', '0'], { timeout: 10_000 }); // prettier-ignore
      if (problem === 'missing') throw new DriverProblem('gammu-smsd is missing. On Debian: apt install gammu-smsd');
      if (!over && /^IMEI: \w/m.test(output)) return;
      const trouble = this.trouble();
      if (over || trouble !== undefined || this.stopping.signal.aborted || this.clock.now() >= deadline) {
        await endProcess(daemon);
        // One that was ended a moment ago may still be giving back the memory that the daemons of a config share.
        if (over && trouble === undefined && again > 0 && !this.stopping.signal.aborted) return this.startDaemon(again - 1); // prettier-ignore
        throw new DriverProblem(`gammu-smsd cannot use the modem. ${trouble ?? 'It does not answer.'}`);
      }
      await this.clock.wait(100, this.stopping.signal);
    }
  }

  /** What the daemon says of the modem while it cannot reach it. */
  private trouble(): string | undefined {
    const attempts = readIfThere(this.path('log')).split('Starting phone communication');
    return /Error at init connection: (.*)/.exec(attempts.at(-1)!)?.[1];
  }

  /**
   * What is still in the outbox when the daemon starts was perhaps on the air when the last one ended: the log says which
   * texts it had begun with. Those are kept from being sent again; a person decides.
   */
  private holdUncertain(): void {
    const log = readIfThere(this.path('log'));
    for (const name of readdirSync(this.path('outbox'))) if (log.includes(name)) this.hold(name);
    syncFolder(this.path('outbox'));
    // The script that hands over was not called for these.
    for (const name of readdirSync(this.path('inbox')))
      renameSync(this.path('inbox', name), this.path('received', `${Date.now()}-${name}`));
  }

  /** Texts that are over need not stay here. */
  private clear(): void {
    const kept = new Set(this.events.unresolved().map(({ message }) => this.fileFor(message)));
    for (const folder of ['sent', 'error', 'held'])
      for (const name of readdirSync(this.path(folder)))
        if (!kept.has(name)) rmSync(this.path(folder, name), { force: true });
  }

  /** A daemon that outlived an agent that was killed still has the modem. */
  private async endOrphan(): Promise<void> {
    if (!existsSync(this.path('pid'))) return;
    const pid = Number(readFileSync(this.path('pid'), 'utf8'));
    for (let tries = 0; isDaemonOf(pid, this.path('smsdrc')); tries++) {
      process.kill(pid, tries < 100 ? 'SIGTERM' : 'SIGKILL');
      await this.clock.wait(100);
    }
  }

  private writeConfig(): void {
    const { modem, config } = this.options;
    const own = `[gammu]\ndevice = ${modem}\nconnection = at\n`;
    const script = this.path('hand-over');
    // Names come again when a text was cleared away: the time and the process make them new.
    writeFileSync(
      script,
      `#!/bin/sh\ncd ${quoted(this.path('inbox'))} || exit 1\nfor file in "$@"; do mv -- "$file" ${quoted(this.path('received'))}/"$(date +%s)-$$-$file"; done\n`,
    );
    chmodSync(script, 0o700);
    const settings = {
      service: 'files',
      logfile: this.path('log'),
      debuglevel: 1,
      inboxpath: `${this.path('inbox')}/`,
      // All parts of a long text in one file, in an encoding that no locale changes.
      inboxformat: 'detail',
      outboxpath: `${this.path('outbox')}/`,
      sentsmspath: `${this.path('sent')}/`,
      errorsmspath: `${this.path('error')}/`,
      runonreceive: quoted(script),
      maxretries: 0,
      commtimeout: 1,
      receivefrequency: 2,
      statusfrequency: 0,
      multiparttimeout: 600,
    };
    const smsd = Object.entries(settings).map(([name, value]) => `${name} = ${value}`).join('\n'); // prettier-ignore
    const gammu = config === undefined ? own : gammuSection(config);
    writeFileSync(this.path('smsdrc'), `${gammu}\n[smsd]\n${smsd}\n`, { mode: 0o600 });
  }

  private path(...names: string[]): string {
    return join(this.options.folder, ...names);
  }
}

/** The section `[gammu]` of a gammurc. Throws `DriverProblem` without one. */
function gammuSection(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) throw new DriverProblem(`There is no file ${path}.`);
    throw error;
  }
  const section = /^\[gammu\][^\n]*\n(?:(?!\[)[^\n]*\n?)*/m.exec(text)?.[0];
  if (section === undefined) throw new DriverProblem(`${path} has no section [gammu].`);
  return section;
}

/** The sender and the text of a file in gammu's backup format, which holds the parts of one message in order. */
export function parseReceived(file: string): Pick<DriverMessage, 'number' | 'text'> | undefined {
  let number = '';
  let text = '';
  for (const part of file.split(/^\[SMSBackup\d+\]/m).slice(1)) {
    if (/^Coding = 8bit/m.test(part)) return undefined;
    number ||= decode(/^NumberUnicode = ([0-9A-F]*)/m.exec(part)?.[1] ?? '');
    for (const [, hex] of part.matchAll(/^Text\d\d = ([0-9A-F]*)/gm)) text += decode(hex!);
  }
  return number === '' ? undefined : { number, text };
}

function decode(hex: string): string {
  return Buffer.from(hex, 'hex').swap16().toString('utf16le');
}

function quoted(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}

function isDaemonOf(pid: number, config: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(config);
  } catch {
    return false;
  }
}

function isOver({ exitCode, signalCode, pid }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null || pid === undefined;
}

async function exitOf(child: ChildProcess): Promise<void> {
  if (!isOver(child)) await new Promise((resolve) => child.once('exit', resolve));
}

/** A modem that hangs can keep the daemon from ending when it is asked to. */
async function endProcess(child: ChildProcess): Promise<void> {
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  child.kill('SIGTERM');
  await exitOf(child);
  clearTimeout(timer);
}

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
