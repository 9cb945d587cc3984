#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { ClientError, openPhone, readCode } from '@pairline/client';
import { fileStore } from '@pairline/client/node';
import { Account, openTold } from './account.js';
import { Agent, type AgentStatus } from './agent.js';
import { Misuse, parseCommandLine, USAGE, type DriverName, type Flags } from './arguments.js';
import { BackupProblem } from './backup.js';
import { realClock } from './clock.js';
import { perform, type Desk } from './commands.js';
import { ask, Control, Unreachable, type Listener, type Request } from './control.js';
import { DriverProblem, type Driver } from './driver.js';
import { GammuDriver } from './drivers/gammu.js';
import { SimulatedDriver } from './drivers/simulated.js';
import { TermuxDriver } from './drivers/termux.js';
import { defaultFolder, Folder, FolderInUse, type Settings } from './folder.js';
import { Ledger } from './ledger.js';
import { LogFile, speakingTo } from './log.js';
import { Outbox } from './outbox.js';
import { findCode, NoCode } from './pairing.js';
import { Progress } from './progress.js';
import { parseScript, ScriptProblem } from './script.js';

/** What a person can put right: shown as one sentence, without a trace. */
const EXPLAINED = [ClientError, DriverProblem, FolderInUse, NoCode, ScriptProblem, BackupProblem, Misuse, Unreachable];

/** Why a server does not take this phone, by the code of its refusal. */
const NOT_TAKEN: Record<string, string | undefined> = {
  invite_required: 'This server takes new phones by invitation only. Start again with the right one: --invite TOKEN.',
  registration_closed: 'This server takes no new phones. Whoever runs it can change that.',
};

async function main(args: string[]): Promise<number> {
  const { command, flags } = parseCommandLine(args);
  if (flags.help) return print(USAGE.trimEnd());
  if (flags.version) return print(version());
  const folder = new Folder(flags.state ?? defaultFolder(process.env));
  switch (command.name) {
    case 'run':
      return run(folder, flags);
    case 'status':
      return print(describe(folder));
    case 'logs':
      return print(new LogFile(folder).read().trimEnd());
    case 'pair': {
      const code = await (command.code === undefined ? askForCode() : findCode(command.code));
      // The first browser would stay empty if nobody told it what is on the phone.
      if (folder.holder() === undefined && folder.settings.pairedAt === undefined) return run(folder, flags, code);
      return request(folder, flags, { command: 'pair', code });
    }
    case 'import':
      return request(folder, flags, { command: 'import', path: resolve(command.file) });
    case 'resolve':
      return request(folder, flags, { command: 'resolve', id: command.id, decision: command.decision });
    case 'devices':
    case 'unpair':
      return request(folder, flags, { command: command.name });
  }
}

/**
 * The agent itself: until Ctrl-C, or until the account does not want this phone any more. `given` is the code of the first
 * browser; otherwise it is asked for.
 */
async function run(folder: Folder, flags: Flags, given?: string): Promise<number> {
  folder.lock();
  const progress = new Progress(process.stdout, 'History');
  const stop = new AbortController();
  let running: ReturnType<Agent['run']> | undefined;
  let control: Control | undefined;
  try {
    const settings = merge(folder.settings, flags);
    const driverName = chooseDriver(settings);
    const driver = makeDriver(driverName, settings, folder);
    let code = settings.pairedAt === undefined ? (given ?? (await askForCode())) : undefined;
    const url = useServer(folder, { ...settings, driver: driverName }, flags, code);
    const ledger = new Ledger(folder.file('ledger'));
    const print = (line: string) => {
      progress.clear();
      console.log(line);
    };
    // What a service prints ends up in other people's logs.
    const contents = driverName === 'simulated' || process.stdout.isTTY;
    const voice = speakingTo(new LogFile(folder), print, { contents });
    const agent = new Agent({
      driver,
      folder,
      ledger,
      voice,
      url,
      clock: realClock,
      region: settings.region,
      openClient: () => openClient(folder, url, flags),
      progress: (done, texts) => progress.show(done, texts),
    });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort());
    voice.say(`${driver.model}, server ${url}. Ctrl-C ends it.`);
    // The page was opened as localhost on a computer, and its link says the same to a phone.
    if (driverName === 'termux' && isHere(url))
      voice.say('That address means this phone itself. If the server is on another machine, end this (Ctrl-C) and start it with --url and the address that machine has in your network.'); // prettier-ignore
    running = agent.run(stop.signal);
    running.catch(() => undefined); // Awaited below, after what comes first.
    const desk: Desk = {
      account: () => agent.present(),
      pair: (given) => agent.pair(given),
      unpair: () => agent.unpair(),
      resolve: (id, decision) => agent.outbox.resolve(id, decision),
    };
    control = await Control.listen(folder, (asked, listener) => perform(asked, desk, listener));
    while (code !== undefined) {
      try {
        await Promise.race([agent.pair(code), running]);
        code = undefined;
      } catch (error) {
        if (agent.isOver) break; // There is no account to pair with: why, is said below.
        if (!process.stdin.isTTY || !(error instanceof ClientError)) throw error;
        print(error.message);
        code = await askForCode(stop.signal);
      }
    }
    if (process.stdin.isTTY) {
      await Promise.race([agent.outbox.looked, running]);
      if (!agent.isOver) await askAboutUnknown(agent.outbox, stop.signal);
    }
    const ending = await running;
    ledger.close();
    if (ending.reason !== 'removed') return 0;
    const wasPaired = agent.status.paired;
    voice.say((wasPaired ? undefined : NOT_TAKEN[ending.code]) ?? `This phone was taken off the account (${ending.code}). To put it back, pair it again.`); // prettier-ignore
    return 2;
  } finally {
    stop.abort();
    await running?.catch(() => undefined); // Whoever waits for it above has heard what went wrong.
    progress.clear();
    await control?.close();
    folder.unlock();
  }
}

/** A command that needs the account: done by the agent where one runs, and here otherwise. */
async function request(folder: Folder, flags: Flags, asked: Request): Promise<number> {
  const progress = new Progress(process.stdout, 'Import');
  const listener: Listener = {
    say: (line) => {
      progress.clear();
      console.log(line);
    },
    progress: (done, count) => progress.show(done, count),
  };
  if (folder.holder() !== undefined) return ask(folder, asked, listener);
  folder.lock();
  try {
    if (asked.command === 'resolve') return await resolveHere(folder, asked, listener);
    const settings = merge(folder.settings, flags);
    const code = asked.command === 'pair' ? asked.code : undefined;
    if (code === undefined && settings.pairedAt === undefined) throw new Misuse('This phone is not paired yet: pairline-phone pair'); // prettier-ignore
    const url = useServer(folder, settings, flags, code);
    const client = await openClient(folder, url, flags);
    const told = openTold(folder);
    try {
      const account = new Account(folder, client, told, settings.region ?? settings.phoneRegion);
      const desk: Desk = {
        account: () => Promise.resolve(account),
        pair: (given) => account.pair(given),
        unpair: async () => {
          await account.unpair();
          const ledger = new Ledger(folder.file('ledger'));
          ledger.abandon();
          ledger.close();
        },
        resolve: () => false,
      };
      return await perform(asked, desk, listener);
    } finally {
      await client.close();
    }
  } finally {
    folder.unlock();
  }
}

async function resolveHere(folder: Folder, asked: Request & { command: 'resolve' }, listener: Listener) {
  const ledger = new Ledger(folder.file('ledger'));
  const waiting = ledger.get(asked.id)?.stage;
  // Without an agent, a text that it was sending when it ended is as unknown as one it has already asked about.
  if (waiting === 'sending') ledger.outcome(asked.id, { result: 'unknown' });
  const done = Outbox.decide(ledger, asked.id, asked.decision);
  ledger.close();
  listener.say(done ? 'Noted. The agent acts on it when it runs.' : `No text ${asked.id} waits for an answer.`);
  return done ? 0 : 1;
}

/**
 * The server to use: the one given, or the one of the code; once paired, always the same. What was kept of another one is
 * forgotten: an earlier try may have had a wrong address.
 */
function useServer(folder: Folder, settings: Settings, flags: Flags, code: string | undefined): string {
  const isFirst = settings.pairedAt === undefined && code !== undefined;
  const url = flags.url ?? (isFirst ? readCode(code).url : settings.url);
  if (url === undefined) throw new Misuse('Which server? Give its address with --url.');
  if (folder.settings.pairedAt === undefined && folder.settings.url !== url) for (const name of ['client', 'told', 'uploads']) folder.remove(name); // prettier-ignore
  folder.settings = { ...settings, url };
  return url;
}

function openClient(folder: Folder, url: string, { invite }: Flags) {
  const { name, driver } = folder.settings;
  const deviceModel = { termux: 'Android', gammu: 'USB modem', simulated: 'Simulated' }[driver ?? ''];
  const deviceName = name ?? (driver === 'simulated' ? 'Simulated phone' : driver === 'termux' ? 'Android phone' : hostname()); // prettier-ignore
  return openPhone({ url, store: fileStore(folder.file('client')), deviceName, deviceModel, inviteToken: invite });
}

function merge(settings: Settings, flags: Flags): Settings {
  const { url, driver, name, region, script, modem, gammuConfig } = flags;
  const given = { url, driver, name, region, script: absolute(script), modem, gammuConfig: absolute(gammuConfig) };
  if (settings.pairedAt !== undefined && url !== undefined && settings.url !== undefined && new URL(url).origin !== new URL(settings.url).origin) // prettier-ignore
    throw new Misuse(`This phone is paired with ${settings.url}. Take it off first (pairline-phone unpair), or choose another folder with --state.`); // prettier-ignore
  return { ...settings, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path);
}

function chooseDriver({ driver }: Settings): DriverName {
  if (driver !== undefined) return driver as DriverName;
  if (process.env.TERMUX_VERSION !== undefined) return 'termux';
  throw new Misuse('Which phone? --simulated to try things out, --driver termux on Android, --driver gammu with a USB modem.'); // prettier-ignore
}

function makeDriver(name: DriverName, { script, modem, gammuConfig }: Settings, folder: Folder): Driver {
  switch (name) {
    case 'termux':
      return new TermuxDriver();
    case 'gammu':
      return new GammuDriver({ folder: folder.file('gammu'), modem: modem ?? '/dev/ttyUSB0', config: gammuConfig });
    case 'simulated':
      if (script !== undefined && !existsSync(script)) throw new Misuse(`There is no file ${script}.`);
      return new SimulatedDriver({ file: folder.file('simulated'), script: script === undefined ? undefined : parseScript(readFileSync(script, 'utf8'), dirname(script)) }); // prettier-ignore
  }
}

const CODE_QUESTION = `Paste the link here, or type the path of a picture of the code${process.env.TERMUX_VERSION === undefined ? '' : ', camera or clipboard'}: `; // prettier-ignore

/** The code, from the person or from what is piped in. At a terminal it is asked for until it is one. */
async function askForCode(signal?: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY) return findCode(await firstLine());
  console.log('Open the server’s page in a browser. It shows a QR code, and a link below it.');
  for (;;) {
    try {
      const code = await findCode(await prompt(CODE_QUESTION, signal));
      readCode(code);
      return code;
    } catch (error) {
      if (!(error instanceof NoCode || error instanceof ClientError)) throw error;
      console.log(error.message);
    }
  }
}

async function firstLine(): Promise<string> {
  const lines = createInterface({ input: process.stdin });
  try {
    for await (const line of lines) if (line.trim() !== '') return line;
  } finally {
    lines.close();
  }
  throw new Misuse('This phone is not paired yet: give the link under the QR code, as in: pairline-phone pair LINK');
}

/** Asks a person at the terminal. Ctrl-C and Ctrl-D end the program. */
async function prompt(question: string, signal?: AbortSignal): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const gone = new Promise<never>((_, reject) => lines.on('close', () => reject(new Misuse('Nothing was entered.'))));
  gone.catch(() => undefined);
  lines.on('SIGINT', () => {
    lines.close();
    process.kill(process.pid, 'SIGINT');
  });
  try {
    return await Promise.race([
      signal === undefined ? lines.question(question) : lines.question(question, { signal }),
      gone,
    ]);
  } catch (error) {
    throw signal?.aborted ? new Misuse('Nothing was entered.') : error;
  } finally {
    lines.close();
  }
}

/** At a terminal, a text of which nobody knows is asked about at once. */
async function askAboutUnknown(outbox: Outbox, signal: AbortSignal): Promise<void> {
  for (const { id, message } of outbox.unknown) {
    const question = `Was “${message?.text}” to ${message?.number} sent? Look at the phone. [s]ent, send [a]gain, [d]rop, or Enter for later: `;
    let answer: string;
    try {
      answer = await prompt(question, signal);
    } catch (error) {
      if (error instanceof Misuse) return; // Later, then.
      throw error;
    }
    const decision = ({ s: 'sent', a: 'again', d: 'drop' } as const)[answer.trim()[0]?.toLowerCase() ?? ''];
    if (decision !== undefined) outbox.resolve(id, decision);
  }
}

function isHere(url: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url).hostname);
}

/** What the running agent last knew, in words. */
function describe(folder: Folder): string {
  const saved = folder.read('status.json');
  const pid = folder.holder();
  const { pairedAt, url } = folder.settings;
  const lines = [pid === undefined ? 'The agent is not running.' : `The agent is running (process ${pid}).`];
  lines.push(pairedAt === undefined ? 'Not paired yet.' : `Paired with ${url}.`);
  if (saved === undefined) return lines.join('\n');
  const status = JSON.parse(saved) as AgentStatus;
  const since = new Date(status.since).toLocaleString();
  const phases: Record<AgentStatus['phase'], string> = {
    'signed-out': 'Signed out',
    connecting: 'Connecting',
    syncing: 'Connected, catching up',
    live: 'Connected',
    offline: 'No connection to the server',
  };
  if (pid !== undefined) lines.push(`${phases[status.phase]} since ${since}.`);
  if (status.problem !== undefined) lines.push(`The phone: ${status.problem}`);
  if (status.paired && status.history < 1) lines.push(`History: ${Math.floor(status.history * 100)} % told.`);
  lines.push(status.waiting === 0 ? 'Nothing waits to be sent.' : `${status.waiting} ${status.waiting === 1 ? 'text waits' : 'texts wait'} to be sent.`); // prettier-ignore
  for (const { id, number } of status.unknown)
    lines.push(`Nobody knows whether a text to ${number} was sent. Look at the phone, then: pairline-phone resolve ${id} sent|again|drop`); // prettier-ignore
  return lines.join('\n');
}

function version(): string {
  const file = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(file) as { version: string }).version;
}

function print(text: string): number {
  if (text !== '') console.log(text);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!EXPLAINED.some((kind) => error instanceof kind)) throw error;
  console.error((error as Error).message);
  if (error instanceof Misuse) console.error('All commands: pairline-phone --help');
  process.exitCode = error instanceof Misuse || error instanceof NoCode || error instanceof ScriptProblem ? 2 : 1;
}
