import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { temporaryFolder } from './database.js';

const PROGRAMS = ['getprop', 'termux-sms-list', 'termux-sms-send', 'termux-contact-list', 'termux-telephony-deviceinfo', 'termux-wake-lock', 'termux-wake-unlock', 'termux-notification', 'termux-notification-remove', 'termux-clipboard-get', 'termux-camera-photo']; // prettier-ignore

export interface FakeText {
  _id: number;
  threadid: number;
  /** 1 inbox, 2 sent, 3 draft, 4 outbox, 5 failed, 6 queued */
  type: number;
  read: boolean;
  address: string;
  date: number;
  body: string;
  /** What is printed for its date, instead of that. */
  received?: string | null;
}

export interface FakePhone {
  zone: string;
  country: string;
  now: number;
  next: number;
  texts: FakeText[];
  contacts: { name: string | null; number: string | null }[];
  /** The ten digits of its language, where they are others. */
  digits?: string;
  /** What becomes of a text to a number: sent (otherwise), failed, stuck on its way, or nothing at all. */
  fates?: Record<string, 'sent' | 'failed' | 'stuck' | 'nothing'>;
  refused?: Record<string, string>;
  withoutApp?: boolean;
  clipboard?: string;
  /** The file that a photo shows. */
  photo?: string;
}

/** An Android phone on disk, and programs that show it as Termux:API does (test/support/termux/program.mjs). */
export class FakeAndroid {
  private readonly folder = temporaryFolder();
  readonly env: NodeJS.ProcessEnv;

  constructor(phone: Partial<FakePhone> = {}) {
    const programs = join(this.folder, 'bin');
    mkdirSync(programs);
    for (const program of PROGRAMS) symlinkSync(resolve('test/support/termux/program.mjs'), join(programs, program));
    this.env = {
      ...process.env,
      NODE_OPTIONS: '',
      FAKE_ANDROID: this.folder,
      PATH: `${programs}${delimiter}${process.env.PATH}`,
    };
    this.phone = { zone: 'America/New_York', country: 'us', now: Date.UTC(2026, 5, 1, 12), next: 1, texts: [], contacts: [], ...phone }; // prettier-ignore
  }

  get phone(): FakePhone {
    return JSON.parse(readFileSync(join(this.folder, 'phone.json'), 'utf8')) as FakePhone;
  }

  set phone(phone: FakePhone) {
    writeFileSync(join(this.folder, 'phone.json'), JSON.stringify(phone));
  }

  /** Puts a text on the phone, a second after the last one. */
  add(text: Partial<FakeText> & { body: string }): FakeText {
    const { phone } = this;
    const whole: FakeText = { _id: phone.next, threadid: 3, type: 1, read: false, address: '+12025550101', date: (phone.now += 1000), ...text }; // prettier-ignore
    phone.next = whole._id + 1;
    phone.texts.push(whole);
    this.phone = phone;
    return whole;
  }

  change(_id: number, fields: Partial<FakeText>): void {
    const { phone } = this;
    Object.assign(
      phone.texts.find((text) => text._id === _id)!,
      fields,
    );
    this.phone = phone;
  }

  set(fields: Partial<FakePhone>): void {
    this.phone = { ...this.phone, ...fields };
  }

  /** What went over the air. */
  get radio(): { address: string; body: string }[] {
    return this.lines('radio');
  }

  /** Each call, the program first. */
  get calls(): string[][] {
    return this.lines('calls');
  }

  /** As if Termux:API were not installed at all. */
  uninstall(): void {
    this.env.PATH = join(this.folder, 'nowhere');
  }

  private lines<Line>(name: string): Line[] {
    const path = join(this.folder, name);
    if (!existsSync(path)) return [];
    return readFileSync(path, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as Line); // prettier-ignore
  }
}
