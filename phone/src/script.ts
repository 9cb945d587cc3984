import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { typeOf } from './file-types.js';
import { isMissing } from './folder.js';

// The script of a simulated phone: docs/phone.md describes it for people.

/** A text that comes in, or the phone going away, at a time after the start. Times are ms here, "5s" in the file. */
export type ScriptEvent =
  | { after: number; every?: number; from: string; text: string; files?: ScriptFile[] }
  | { after: number; every?: number; away: number };

/** A file as the script names it, with what was in it. */
export interface ScriptFile {
  name: string;
  type: string;
  /** base64 */
  data: string;
}

export interface Script {
  seed: number;
  region: string;
  contacts: { name: string; numbers: string[] }[];
  history: { years: number; messages: number };
  events: ScriptEvent[];
  answers: { delay: number; texts: string[] };
  sending: { delay: number; delivered: number };
  /** Numbers that nothing can be sent to. */
  fail: string[];
}

export const DEFAULT_SCRIPT: Script = {
  seed: 1,
  region: 'US',
  contacts: [
    { name: 'Mia', numbers: ['+12025550101'] },
    { name: 'Jonas Weber', numbers: ['+12025550102', '+12025550112'] },
    { name: 'Grandma', numbers: ['+12025550103'] },
    { name: 'Dr. Osei', numbers: ['+12025550104'] },
    { name: 'Priya (work)', numbers: ['+12025550105'] },
    { name: 'Landlord', numbers: ['+12025550106'] },
    { name: 'Football group Tom', numbers: ['+12025550107'] },
  ],
  history: { years: 3, messages: 1_200 },
  events: [
    { after: 8_000, from: 'Mia', text: 'Are you on the computer? This arrives in the browser too 🎉' },
    { after: 60_000, from: '72404', text: 'Parcels: yours is delivered today between 14:00 and 16:00.' },
  ],
  answers: {
    delay: 2_500,
    texts: ['Sounds good!', 'Ha, yes 😄', 'Let me check and tell you.', 'Okay, see you then.', 'Thank you!', 'Really?'],
  },
  sending: { delay: 700, delivered: 900 },
  fail: ['+12025550199'],
};

/** The script is not as it should be; the message says where. */
export class ScriptProblem extends Error {
  override name = 'ScriptProblem';
}

/** Reads a script: JSON, every field optional; the files that it names are read from `folder`. Throws `ScriptProblem`. */
export function parseScript(json: string, folder = '.'): Script {
  const file = object(parseJson(json), 'The script');
  for (const name of Object.keys(file)) if (!(name in DEFAULT_SCRIPT)) wrong(`there is no setting "${name}"`);
  const history = object(file.history ?? {}, 'history');
  const answers = object(file.answers ?? {}, 'answers');
  const sending = object(file.sending ?? {}, 'sending');
  return {
    seed: number(file.seed ?? DEFAULT_SCRIPT.seed, 'seed'),
    region: string(file.region ?? DEFAULT_SCRIPT.region, 'region'),
    contacts: file.contacts === undefined ? DEFAULT_SCRIPT.contacts : list(file.contacts, 'contacts').map(toContact),
    history: {
      years: number(history.years ?? DEFAULT_SCRIPT.history.years, 'history.years'),
      messages: Math.floor(number(history.messages ?? DEFAULT_SCRIPT.history.messages, 'history.messages')),
    },
    events:
      file.events === undefined
        ? DEFAULT_SCRIPT.events
        : list(file.events, 'events').map((event, index) => toEvent(event, index, folder)),
    answers: {
      delay: duration(answers.delay ?? DEFAULT_SCRIPT.answers.delay, 'answers.delay'),
      texts: answers.texts === undefined ? DEFAULT_SCRIPT.answers.texts : strings(answers.texts, 'answers.texts'),
    },
    sending: {
      delay: duration(sending.delay ?? DEFAULT_SCRIPT.sending.delay, 'sending.delay'),
      delivered: duration(sending.delivered ?? DEFAULT_SCRIPT.sending.delivered, 'sending.delivered'),
    },
    fail: file.fail === undefined ? DEFAULT_SCRIPT.fail : strings(file.fail, 'fail'),
  };
}

function toContact(value: unknown, index: number): Script['contacts'][number] {
  const where = `contacts[${index}]`;
  const { name, number: one, numbers } = object(value, where);
  return { name: string(name, `${where}.name`), numbers: numbers === undefined ? [string(one, `${where}.number`)] : strings(numbers, `${where}.numbers`) }; // prettier-ignore
}

function toEvent(value: unknown, index: number, folder: string): ScriptEvent {
  const where = `events[${index}]`;
  const event = object(value, where);
  const times = {
    after: duration(event.after, `${where}.after`),
    ...(event.every === undefined ? {} : { every: duration(event.every, `${where}.every`) }),
  };
  if (event.away !== undefined) return { ...times, away: duration(event.away, `${where}.away`) };
  const from = string(event.from, `${where}.from`);
  if (event.files === undefined) return { ...times, from, text: string(event.text, `${where}.text`) };
  const files = strings(event.files, `${where}.files`).map((path) => toFile(resolve(folder, path)));
  return { ...times, from, text: event.text === undefined ? '' : string(event.text, `${where}.text`), files };
}

function toFile(path: string): ScriptFile {
  try {
    return { name: basename(path), type: typeOf(path), data: readFileSync(path, 'base64') };
  } catch (error) {
    if (isMissing(error)) wrong(`there is no file ${path}`);
    throw error;
  }
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    return wrong((error as SyntaxError).message);
  }
}

function object(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) wrong(`${where} is not an object`);
  return value as Record<string, unknown>;
}

function list(value: unknown, where: string): unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : wrong(`${where} is not a list`);
}

function string(value: unknown, where: string): string {
  return typeof value === 'string' && value !== '' ? value : wrong(`${where} is not a text`);
}

function strings(value: unknown, where: string): string[] {
  return list(value, where).map((item, index) => string(item, `${where}[${index}]`));
}

function number(value: unknown, where: string): number {
  return typeof value === 'number' && value >= 0 ? value : wrong(`${where} is not a number`);
}

/** "200ms", "5s", "2m", "1h", or ms as a number. */
function duration(value: unknown, where: string): number {
  if (typeof value === 'number' && value >= 0) return value;
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(String(value)) ?? [];
  if (amount === undefined) wrong(`${where} is not a time such as "5s"`);
  return Number(amount) * { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit as 'ms' | 's' | 'm' | 'h'];
}

function wrong(what: string): never {
  throw new ScriptProblem(`The script cannot be used: ${what}.`);
}
