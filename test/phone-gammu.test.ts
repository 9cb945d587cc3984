import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { GammuDriver, parseReceived } from '../phone/src/drivers/gammu.js';
import { cleanUp, later, temporaryFolder } from './support/database.js';
import { isInstalled } from './support/programs.js';

afterEach(cleanUp);

const hex = (text: string) => Buffer.from(text, 'utf16le').swap16().toString('hex').toUpperCase();

/** A text as gammu writes it: also what its dummy phone has in its memory. */
function part({
  number,
  text,
  udh,
  coding = 'Unicode_No_Compression',
}: {
  number: string;
  text: string;
  udh?: string;
  coding?: string;
}) {
  // prettier-ignore
  return [
    '[SMSBackup000]',
    'PDU = Deliver',
    'DateTime = 20260102T030405',
    'State = UnRead',
    `Number = "${number}"`,
    `NumberUnicode = ${hex(number)}`,
    ...(udh === undefined ? [] : [`UDH = ${udh}`]),
    `Text00 = ${coding === '8bit' ? '0102' : hex(text)}`,
    `Coding = ${coding}`,
    'Folder = 1',
    `Length = ${text.length}`,
    'Class = -1',
    '',
  ].join('\n');
}

describe('a file of gammu', () => {
  test('is one text, whole, whatever characters are in it', () => {
    const file = `; a comment\n\n${part({ number: '+12025550101', text: 'Ünï 😀\n[SMSBackup9] = no section' })}`;
    expect(parseReceived(file)).toEqual({ number: '+12025550101', text: 'Ünï 😀\n[SMSBackup9] = no section' });
  });

  test('has the parts of a long text in order', () => {
    const file = ['first, ', 'second 😀, ', 'third'].map((text) => part({ number: 'BANK', text })).join('\n');
    expect(parseReceived(file)).toEqual({ number: 'BANK', text: 'first, second 😀, third' });
  });

  test('that holds data is no text', () => {
    expect(parseReceived(part({ number: '+12025550101', text: '', coding: '8bit' }))).toBeUndefined();
  });
});

const there = isInstalled('gammu-smsd', { leavesOut: 'the modem driver’s tests', get: 'apt install gammu-smsd' });
(there ? describe : describe.skip)('with gammu-smsd and its dummy modem', () => {
  /** A driver that was started, and the dummy modem behind it. */
  async function started({ folder = temporaryFolder(), unresolved = [] as string[] } = {}) {
    const modem = join(folder, 'modem with space');
    mkdirSync(modem, { recursive: true });
    const config = join(folder, 'gammurc');
    writeFileSync(config, `[gammu]\nmodel = dummy\nconnection = none\ndevice = ${modem}\n\n[other]\nx = y\n`);
    const told: (() => void)[] = [];
    const driver = new GammuDriver({ folder: join(folder, 'state'), modem: '', config });
    later(() => driver.stop());
    await driver.start({
      news: () => told.splice(0).forEach((tell) => tell()),
      reported: () => undefined,
      away: () => undefined,
      say: () => undefined,
      isOurs: () => false,
      unresolved: () => unresolved.map((id) => ({ message: { id, number: '+12025550107', text: '' }, mark: '' })),
    });
    return {
      driver,
      folder,
      state: (...names: string[]) => join(folder, 'state', ...names),
      /** Puts a text into the modem's memory, as the network would. */
      receive: (place: number, ...parts: { number: string; text: string; udh?: string }[]) =>
        parts.forEach((one, index) => writeFileSync(join(modem, 'sms', '1', String(place + index)), part(one))),
      /** The next news that has something in it. */
      async news(after = '[]') {
        for (;;) {
          const heard = new Promise<void>((resolve) => told.push(resolve));
          const page = await driver.news(after);
          if (page.messages.length > 0) return page;
          await heard;
        }
      },
    };
  }

  test('a text is sent: the daemon moves it to the sent ones', async () => {
    const { driver, state } = await started();
    const text = 'Grüße 😀 – '.repeat(30);
    const outcome = await driver.send({ id: 'a', number: '+1 202-555-0107', text });
    expect(outcome.result).toBe('sent');
    expect(readFileSync(state('log'), 'utf8')).toMatch(/Transmitted OUT\S+ \(total: \d+\) to \+12025550107/);
    expect(readdirSync(state('outbox'))).toEqual([]);
    expect(readFileSync(state('sent', outcome.key!)).toString('utf16le')).toBe(`\ufeff${text}`);
  });

  test('nothing is sent to what is no number', async () => {
    const { driver, state } = await started();
    expect(await driver.send({ id: 'a', number: 'BANK_/../x', text: 'x' })).toMatchObject({ result: 'failed' });
    expect(readdirSync(state('sent'))).toEqual([]);
  });

  test('texts come in, long ones whole, and stay until they were told', async () => {
    const { driver, receive, news } = await started();
    receive(1, { number: '+12025550101', text: 'Hallo 😀 Ünï\nzwei' });
    const first = await news();
    expect(first.messages).toEqual([expect.objectContaining({ number: '+12025550101', text: 'Hallo 😀 Ünï\nzwei', type: 'received', read: false })]); // prettier-ignore
    const again = await driver.news('[]');
    expect(again.messages[0]!.key).toBe(first.messages[0]!.key);

    receive(2, { number: '+12025550102', text: 'one, ', udh: '050003AA0201' }, { number: '+12025550102', text: 'two', udh: '050003AA0202' }); // prettier-ignore
    const second = await news(first.position);
    expect(second.messages.map(({ text }) => text)).toEqual(['one, two']);
    expect((await driver.news(second.position)).messages).toEqual([]);
  });

  test('two equal texts of one second are two', async () => {
    const { receive, news } = await started();
    receive(1, { number: '+12025550101', text: 'ok' });
    const first = await news();
    receive(2, { number: '+12025550101', text: 'ok' });
    const second = await news(first.position);
    expect(second.messages).toHaveLength(1);
    expect(second.messages[0]!.key).not.toBe(first.messages[0]!.key);
  });

  test('what was perhaps on the air when the daemon ended is not sent again by itself, what was not begun is sent', async () => {
    const folder = temporaryFolder();
    const state = join(folder, 'state');
    for (const name of ['', 'outbox', 'sent', 'error', 'held', 'inbox', 'received']) mkdirSync(join(state, name), { recursive: true }); // prettier-ignore
    const scratch = await started();
    const name = (await scratch.driver.send({ id: 'begun', number: '+12025550107', text: 'x' })).key!;
    const other = (await scratch.driver.send({ id: 'not begun', number: '+12025550107', text: 'y' })).key!;
    for (const file of [name, other]) writeFileSync(join(state, 'outbox', file), Buffer.from('\ufeffz', 'utf16le'));
    writeFileSync(join(state, 'log'), `gammu-smsd[1]: New message to send: ${name}\n`);

    const { driver } = await started({ folder, unresolved: ['begun', 'not begun'] });
    expect(await driver.trace({ id: 'not begun', number: '+12025550107', text: 'y' })).toMatchObject({
      result: 'sent',
    });
    expect(await driver.trace({ id: 'begun', number: '+12025550107', text: 'x' })).toMatchObject({ result: 'unknown' });
    expect(existsSync(join(state, 'held', name))).toBe(true);
    // A person says so: then it is sent once more.
    expect(await driver.send({ id: 'begun', number: '+12025550107', text: 'x' })).toMatchObject({ result: 'sent' });
  });

  test('a daemon that outlived its agent is ended: two never share a modem', async () => {
    const { driver, folder, state } = await started();
    await driver.stop();
    const orphan = spawn('gammu-smsd', ['-c', state('smsdrc'), '-p', state('pid')], { stdio: 'ignore' });
    const ended = once(orphan, 'exit');
    later(() => orphan.kill('SIGKILL'));
    // It makes the file first, and then writes into it.
    const pidWritten = () => existsSync(state('pid')) && readFileSync(state('pid'), 'utf8').endsWith('\n');
    while (!pidWritten()) await new Promise((resolve) => setImmediate(resolve));
    const second = await started({ folder });
    await ended;
    expect(await second.driver.send({ id: 'a', number: '+12025550107', text: 'x' })).toMatchObject({ result: 'sent' });
  });

  test('a modem that is not there is said in one sentence', async () => {
    const folder = temporaryFolder();
    const driver = new GammuDriver({ folder, modem: join(folder, 'nowhere') });
    const nothing = () => undefined;
    const events = { news: nothing, reported: nothing, away: nothing, say: nothing, isOurs: () => false, unresolved: () => [] }; // prettier-ignore
    await expect(driver.start(events)).rejects.toThrow('gammu-smsd cannot use the modem.');
    await driver.stop();
  });

  test('a settings file without a modem in it is refused', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'rc'), '[smsd]\n');
    const driver = new GammuDriver({ folder, modem: '', config: join(folder, 'rc') });
    await expect(driver.start({} as never)).rejects.toThrow('has no section [gammu]');
  });
});
