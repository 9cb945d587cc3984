import { parseArgs } from 'node:util';
import { parseRegion } from './numbers.js';

/** What was typed is not right; the message says what, in one sentence. Exit code 2. */
export class Misuse extends Error {
  override name = 'Misuse';
}

export const DRIVERS = ['termux', 'gammu', 'simulated'] as const;
export type DriverName = (typeof DRIVERS)[number];
export const DECISIONS = ['sent', 'again', 'drop'] as const;

export type Command =
  | { name: 'run' | 'status' | 'logs' | 'devices' | 'unpair' }
  | { name: 'pair'; code?: string }
  | { name: 'import'; file: string }
  | { name: 'resolve'; id: string; decision: (typeof DECISIONS)[number] };

export interface Flags {
  url?: string;
  driver?: DriverName;
  name?: string;
  state?: string;
  invite?: string;
  script?: string;
  region?: string;
  modem?: string;
  gammuConfig?: string;
  help: boolean;
  version: boolean;
}

const OPTIONS = {
  url: { type: 'string' },
  driver: { type: 'string' },
  simulated: { type: 'boolean' },
  name: { type: 'string' },
  state: { type: 'string' },
  invite: { type: 'string' },
  script: { type: 'string' },
  region: { type: 'string' },
  modem: { type: 'string' },
  'gammu-config': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

export const USAGE = `Puts a phone's texts on a Pairline server.

  pairline-phone                     runs; asks for the link when it is not paired yet
  pairline-phone pair [WHAT]         lets a browser in; with the first one, it runs from then on. WHAT is
                                     the link under the QR code, a picture of the code (.png, .jpg),
                                     or in Termux: camera, clipboard
  pairline-phone status              says how it is going
  pairline-phone logs                prints the log
  pairline-phone devices             lists the account's devices, with the words to compare
  pairline-phone import FILE.xml     adds the texts of a backup by “SMS Backup & Restore”
  pairline-phone resolve ID WHAT     says what became of a text: sent, again (send it again) or drop
  pairline-phone unpair              takes the phone off the server

  --simulated            a phone that exists only here, to try things out
  --driver DRIVER        termux, gammu or simulated; termux where Termux is
  --url URL              the server; otherwise as the link says
  --name NAME            what the phone is called in the list of devices
  --region CODE          where numbers without a country belong, as DE; otherwise as the phone says
  --state FOLDER         where to keep things; otherwise $XDG_STATE_HOME/pairline-phone or ~/.pairline-phone
  --invite TOKEN         for servers that take phones by invitation
  --script FILE.json     what the simulated phone does
  --modem DEVICE         the USB modem; otherwise /dev/ttyUSB0
  --gammu-config FILE    a gammurc to take the modem's settings from
  -h, --help             this
  -v, --version          the version

URL, driver, name, region, script and modem are kept: they need to be given only once.
`;

/** Reads the command line (without the program's own name). Throws `Misuse`. */
export function parseCommandLine(args: string[]): { command: Command; flags: Flags } {
  const { values, positionals } = parse(args);
  if (values.simulated && values.driver !== undefined && values.driver !== 'simulated')
    throw new Misuse(`--simulated and --driver ${values.driver} do not go together.`);
  const driver = values.simulated ? 'simulated' : values.driver;
  if (driver !== undefined && !isOneOf(DRIVERS, driver))
    throw new Misuse(`There is no driver "${driver}": choose one of ${DRIVERS.join(', ')}.`);
  if (values.url !== undefined && !(/^https?:\/\//.test(values.url) && URL.canParse(values.url)))
    throw new Misuse(`"${values.url}" is no address of a server: it starts with http:// or https://.`);
  if (values.region !== undefined && parseRegion(values.region) === undefined)
    throw new Misuse(`"${values.region}" is no region: give two letters, as DE or US.`);
  if (values.name !== undefined && (values.name.trim() === '' || values.name.length > 200))
    throw new Misuse('A name has 1 to 200 characters.');
  const { url, name, state, invite, script, region, modem, help = false, version = false } = values;
  const flags: Flags = { url, driver, name, state, invite, script, region, modem, gammuConfig: values['gammu-config'], help, version }; // prettier-ignore
  return { command: help || version ? { name: 'run' } : toCommand(positionals), flags };
}

function toCommand([name = 'run', ...rest]: string[]): Command {
  const [first, second] = rest;
  const atMost = (count: number) => {
    if (rest.length > count) throw new Misuse(`"${rest[count]}" is one word too many after ${name}.`);
  };
  switch (name) {
    case 'run':
    case 'status':
    case 'logs':
    case 'devices':
    case 'unpair':
      atMost(0);
      return { name };
    case 'pair':
      atMost(1);
      return { name, code: first };
    case 'import':
      atMost(1);
      if (first === undefined) throw new Misuse('Which file? pairline-phone import FILE.xml');
      return { name, file: first };
    case 'resolve':
      atMost(2);
      if (first === undefined || second === undefined || !isOneOf(DECISIONS, second))
        throw new Misuse('Say which text and what became of it: pairline-phone resolve ID sent|again|drop');
      return { name, id: first, decision: second };
    default:
      throw new Misuse(`There is no command "${name}".`);
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code?.startsWith('ERR_PARSE_ARGS') !== true) throw error;
    const [, option = ''] = /'(?:-\w, )?(--?[\w-]+)/.exec(message) ?? [];
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') throw new Misuse(`There is no option ${option}.`);
    throw new Misuse(`${option} ${message.includes('does not take') ? 'takes no value' : 'needs a value'}.`);
  }
}

function isOneOf<Value extends string>(values: readonly Value[], value: string): value is Value {
  return (values as readonly string[]).includes(value);
}
