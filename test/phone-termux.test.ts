import { afterEach, expect, test } from '@jest/globals';
import { TermuxDriver } from '../phone/src/drivers/termux.js';
import type { DriverEvents, DriverMessage, Outcome, Outgoing } from '../phone/src/driver.js';
import { cleanUp, later } from './support/database.js';
import { HurryingClock, StandingClock } from './support/phone-clock.js';
import { FakeAndroid } from './support/phone-termux.js';

afterEach(cleanUp);

/** A driver that was started, with what the agent would keep for it. */
async function started(
  android: FakeAndroid,
  { clock = new StandingClock(), patience = 20_000 }: { clock?: HurryingClock | StandingClock; patience?: number } = {},
) {
  // prettier-ignore
  const ours = new Set<string>();
  const unresolved: { message: Outgoing; mark: string }[] = [];
  const lines: string[] = [];
  const events: DriverEvents = {
    news: () => undefined,
    reported: () => undefined,
    away: () => undefined,
    say: (line) => void lines.push(line),
    isOurs: (key) => ours.has(key),
    unresolved: () => unresolved,
  };
  const driver = new TermuxDriver({ clock, env: android.env, patience, poll: 24 * 3_600_000 });
  later(() => driver.stop());
  const { region } = await driver.start(events);
  const send = async (message: Outgoing): Promise<Outcome> => {
    const mark = await driver.prepare();
    unresolved.push({ message, mark });
    const outcome = await driver.send(message, mark);
    if (outcome.key !== undefined) ours.add(outcome.key);
    if (outcome.result !== 'unknown') unresolved.pop();
    return outcome;
  };
  return { driver, region, send, ours, unresolved, lines };
}

async function allNews(driver: TermuxDriver, from: string) {
  const messages: DriverMessage[] = [];
  let position = from;
  for (let more = true; more;) {
    const page = await driver.news(position);
    messages.push(...page.messages);
    ({ position, more } = page);
  }
  return { messages, position };
}

const bodies = (messages: DriverMessage[]) => messages.map(({ text }) => text);

test('texts that came in are listed from a position on, oldest first, none left out though there are more than a page', async () => {
  const android = new FakeAndroid();
  android.add({ body: 'before' });
  const { driver } = await started(android);
  const start = await driver.position();
  const { phone } = android;
  for (let n = 0; n < 450; n++) phone.texts.push({ _id: phone.next++, threadid: 3, type: 1, read: false, address: '+12025550101', date: phone.now + n * 1000, body: `text ${n}` }); // prettier-ignore
  android.phone = phone;
  const { messages, position } = await allNews(driver, start);
  expect(bodies(messages)).toEqual(Array.from({ length: 450 }, (_, n) => `text ${n}`));
  expect((await allNews(driver, position)).messages).toEqual([]);
});

test('history comes newest first, page by page, to the very first text', async () => {
  const android = new FakeAndroid();
  const { phone } = android;
  for (let n = 0; n < 450; n++) phone.texts.push({ _id: phone.next++, threadid: 3, type: 1 + (n % 2), read: true, address: '+12025550101', date: phone.now + n * 1000, body: `text ${n}` }); // prettier-ignore
  android.phone = phone;
  const { driver } = await started(android);
  const found: string[] = [];
  const done: number[] = [];
  for (let before: string | undefined = await driver.position(); before !== undefined;) {
    const page = await driver.history(before);
    found.push(...bodies(page.messages));
    done.push(page.done);
    before = page.before;
  }
  expect(found).toEqual(Array.from({ length: 450 }, (_, n) => `text ${449 - n}`));
  expect(done.at(-1)).toBe(1);
  expect([...done].sort((a, b) => a - b)).toEqual(done);
});

test('a text is what the phone says of it: direction, time by the phone’s zone, whether it was read', async () => {
  const android = new FakeAndroid({ zone: 'Asia/Kolkata', contacts: [{ name: 'Mia', number: '+12025550101' }] });
  const { driver } = await started(android);
  const start = await driver.position();
  const winter = Date.UTC(2026, 0, 15, 20, 30, 5);
  android.add({ body: 'emoji 🎉\nand "quotes"', date: winter });
  android.add({ type: 2, body: 'out', date: winter + 1000, read: true });
  android.add({ type: 5, body: 'lost', date: winter + 2000, read: true });
  android.add({ type: 3, body: 'a draft' });
  const { messages } = await allNews(driver, start);
  expect(messages.map(({ key: _, ...rest }) => rest)).toEqual([
    { number: '+12025550101', text: 'emoji 🎉\nand "quotes"', timestamp: winter, type: 'received', read: false },
    { number: '+12025550101', text: 'out', timestamp: winter + 1000, type: 'sent', status: 'sent', read: true },
    { number: '+12025550101', text: 'lost', timestamp: winter + 2000, type: 'sent', status: 'failed', read: true },
  ]);
});

test('on both sides of a change of the clocks the time is right', async () => {
  const android = new FakeAndroid({ zone: 'America/New_York' });
  const { driver } = await started(android);
  const start = await driver.position();
  const times = [Date.UTC(2026, 2, 8, 6, 59, 59), Date.UTC(2026, 2, 8, 7, 0, 1), Date.UTC(2026, 10, 1, 7, 0, 1)];
  for (const date of times) android.add({ body: 'tick', date });
  const { messages } = await allNews(driver, start);
  expect(messages.map(({ timestamp }) => timestamp)).toEqual(times);
});

test('the key of a text stays when the owner travels, and is another one when its number comes again', async () => {
  const android = new FakeAndroid();
  const { driver } = await started(android);
  const start = await driver.position();
  android.add({ body: 'hello' });
  const [here] = (await driver.news(start)).messages;
  android.set({ zone: 'Asia/Tokyo' });
  const [there] = (await driver.news(start)).messages;
  expect(there!.key).toBe(here!.key);
  android.set({ texts: [] });
  android.add({ _id: 1, body: 'another text on a phone that was restored' });
  const [restored] = (await driver.news(start)).messages;
  expect(restored!.key).not.toBe(here!.key);
});

test('a text that gets the number of a deleted one is news', async () => {
  const android = new FakeAndroid();
  for (let n = 0; n < 100; n++) android.add({ body: `old ${n}` });
  const { driver } = await started(android);
  const start = await driver.position();
  const drop = (from: number) => android.set({ texts: android.phone.texts.filter(({ _id }) => _id < from) });
  drop(100);
  android.add({ _id: 100, body: 'in its place' });
  const first = await allNews(driver, start);
  expect(bodies(first.messages)).toEqual(['in its place']);

  // More than is remembered one by one: nothing old is news then, and what comes next is.
  drop(11);
  const second = await allNews(driver, first.position);
  expect(second.messages).toEqual([]);
  android.add({ _id: 11, body: 'after a great tidying' });
  const third = await allNews(driver, second.position);
  expect(bodies(third.messages)).toEqual(['after a great tidying']);
  expect((await allNews(driver, third.position)).messages).toEqual([]);
});

test('a text that is sent under the number of a deleted one is found, and is not news', async () => {
  const android = new FakeAndroid();
  for (let n = 0; n < 3; n++) android.add({ body: `old ${n}` });
  const { driver, ours } = await started(android);
  const start = await driver.position();
  const message = { id: 'a', number: '+12025550107', text: 'mine' };
  const mark = await driver.prepare();
  android.set({ texts: android.phone.texts.slice(0, 2) });
  android.add({ _id: 3, type: 2, address: '+12025550107', body: 'mine' });
  const { result, key } = await driver.trace(message, mark);
  expect(result).toBe('sent');
  ours.add(key!);
  expect((await allNews(driver, start)).messages).toEqual([]);
});

test('what is kept of a text to know it again does not show it', async () => {
  const android = new FakeAndroid();
  android.add({ body: 'A secret' });
  const { driver } = await started(android);
  const { messages } = await driver.history(await driver.position());
  const kept = `${messages[0]!.key} ${await driver.position()} ${await driver.prepare()}`;
  expect(kept).not.toMatch(/secret|2025550101/);
});

test('times in the digits of another script are read; a text without one that can be read is left out, and said', async () => {
  const android = new FakeAndroid({ digits: '٠١٢٣٤٥٦٧٨٩' });
  const { driver, lines } = await started(android);
  const start = await driver.position();
  const { date } = android.add({ body: 'in Arabic' });
  android.add({ body: 'odd', received: 'yesterday' });
  android.add({ body: 'odder', received: null });
  android.add({ body: 'after them' });
  const { messages } = await allNews(driver, start);
  expect(bodies(messages)).toEqual(['in Arabic', 'after them']);
  expect(messages[0]!.timestamp).toBe(date);
  expect(lines).toHaveLength(2);
  expect(bodies((await driver.history(await driver.position())).messages)).toEqual(['after them', 'in Arabic']);
});

test('contacts without a number or a name are none', async () => {
  const android = new FakeAndroid({ contacts: [{ name: 'Mia', number: null }, { name: null, number: '1' }, { name: 'Ben', number: '+12025550102' }] }); // prettier-ignore
  const { driver } = await started(android);
  expect(await driver.contacts()).toEqual([{ name: 'Ben', numbers: ['+12025550102'] }]);
});

test('questions are shown on the phone until there are none', async () => {
  const android = new FakeAndroid();
  const { driver } = await started(android);
  await driver.showQuestions(2);
  expect(android.calls.at(-1)).toEqual(expect.arrayContaining(['termux-notification', 'pairline-question']));
  await driver.showQuestions(0);
  expect(android.calls.at(-1)).toEqual(['termux-notification-remove', 'pairline-question']);
});

test('a text is sent by standard input, exactly as it is, and confirmed by the phone’s list', async () => {
  const android = new FakeAndroid();
  const { send } = await started(android, { clock: new HurryingClock() });
  const outcome = await send({ id: 'a', number: '+1 (202) 555-0107', text: 'Two\nlines, no more 🎉' });
  expect(outcome).toMatchObject({ result: 'sent', timestamp: android.phone.now });
  expect(android.radio).toEqual([{ address: '+12025550107', body: 'Two\nlines, no more 🎉' }]);
  const [call] = android.calls.filter(([program]) => program === 'termux-sms-send');
  expect(call).toEqual(['termux-sms-send', '-n', '+12025550107']);
});

test('a text that the phone could not send has failed', async () => {
  const android = new FakeAndroid({ fates: { '+12025550107': 'failed' } });
  const { send } = await started(android, { clock: new HurryingClock() });
  expect(await send({ id: 'a', number: '+12025550107', text: 'x' })).toMatchObject({ result: 'failed' });
});

test('a text of which the phone shows nothing is neither sent nor failed, and found later if it turns up', async () => {
  const android = new FakeAndroid({ fates: { '+12025550107': 'nothing' } });
  const { driver, send, unresolved } = await started(android, { clock: new HurryingClock() });
  const message = { id: 'a', number: '+12025550107', text: 'x' };
  expect(await send(message)).toMatchObject({ result: 'unknown' });
  android.add({ type: 2, address: '+12025550107', body: 'x' });
  expect(await driver.trace(message, unresolved[0]!.mark)).toMatchObject({ result: 'sent' });
});

test('an older text with the same words does not count as this one', async () => {
  const android = new FakeAndroid({ fates: { '+12025550107': 'nothing' } });
  android.add({ type: 2, address: '+12025550107', body: 'ok' });
  const { send } = await started(android, { clock: new HurryingClock() });
  expect(await send({ id: 'a', number: '+12025550107', text: 'ok' })).toMatchObject({ result: 'unknown' });
});

test('two equal texts are two: the second is not confirmed by the first', async () => {
  const android = new FakeAndroid();
  const { send, ours } = await started(android, { clock: new HurryingClock() });
  const first = await send({ id: 'a', number: '+12025550107', text: 'ok' });
  const second = await send({ id: 'b', number: '+12025550107', text: 'ok' });
  expect([first.result, second.result]).toEqual(['sent', 'sent']);
  expect(ours.size).toBe(2);
});

test('what a browser had sent is not news, at no moment of its way', async () => {
  const android = new FakeAndroid({ fates: { '+12025550108': 'stuck' } });
  const clock = new HurryingClock();
  const { driver, send } = await started(android, { clock });
  let position = await driver.position();
  const seen: DriverMessage[] = [];
  const watching = (async () => {
    for (let look = 0; look < 8; look++) {
      const page = await driver.news(position);
      seen.push(...page.messages);
      position = page.position;
    }
  })();
  await send({ id: 'a', number: '+12025550107', text: 'mine' });
  await send({ id: 'b', number: '+12025550108', text: 'mine, stuck' });
  await watching;
  const { messages } = await allNews(driver, position);
  expect([...seen, ...messages]).toEqual([]);
});

test('a text that its owner sends on the phone itself is news once it is sent', async () => {
  const android = new FakeAndroid();
  const { driver } = await started(android);
  const start = await driver.position();
  const { _id } = android.add({ type: 4, body: 'typed on the phone' });
  android.add({ body: 'came in meanwhile' });
  const first = await driver.news(start);
  expect(bodies(first.messages)).toEqual(['came in meanwhile']);
  android.change(_id, { type: 2 });
  const second = await driver.news(first.position);
  expect(bodies(second.messages)).toEqual(['typed on the phone']);
  expect((await driver.news(second.position)).messages).toEqual([]);
});

test.each(['+12025550107,+12025550108', 'BANK', '+1 --es recipient 5', '$(reboot)', ''])(
  'nothing is sent to “%s”',
  async (number) => {
    const android = new FakeAndroid();
    const { send } = await started(android, { clock: new HurryingClock() });
    expect(await send({ id: 'a', number, text: 'x' })).toMatchObject({ result: 'failed' });
    expect(android.radio).toEqual([]);
  },
);

test('contacts with several numbers are one, and the phone says in which country it is', async () => {
  const android = new FakeAndroid({
    country: 'de',
    contacts: [
      { name: 'Mia', number: '0151 23456789' },
      { name: 'Ben', number: '+12025550102' },
      { name: 'Mia', number: '+4930123456' },
    ],
  });
  const { driver, region } = await started(android);
  expect(region).toBe('DE');
  expect(await driver.contacts()).toEqual([
    { name: 'Mia', numbers: ['0151 23456789', '+4930123456'] },
    { name: 'Ben', numbers: ['+12025550102'] },
  ]);
});

test('the phone is kept awake while the driver runs', async () => {
  const android = new FakeAndroid();
  const { driver } = await started(android);
  await driver.stop();
  const programs = android.calls.map(([program]) => program);
  expect(programs).toContain('termux-wake-lock');
  expect(programs.indexOf('termux-wake-unlock')).toBeGreaterThan(programs.indexOf('termux-wake-lock'));
});

test('a permission that is missing is said in the phone’s own words, and a text that it keeps from being sent has failed', async () => {
  const refusal = 'Please grant the following permission to use this command: android.permission.SEND_SMS';
  const android = new FakeAndroid({ refused: { 'termux-sms-send': refusal } });
  const { send } = await started(android, { clock: new HurryingClock() });
  expect(await send({ id: 'a', number: '+12025550107', text: 'x' })).toEqual({ result: 'failed', reason: refusal });
  const closed = new FakeAndroid({ refused: { 'termux-sms-list': 'no READ_SMS' } });
  await expect(started(closed)).rejects.toThrow('termux-sms-list: no READ_SMS');
});

test('without the programs, and without the app behind them, it says what to install', async () => {
  const without = new FakeAndroid();
  without.uninstall();
  await expect(started(without)).rejects.toThrow('pkg install termux-api');
  const silent = new FakeAndroid({ withoutApp: true });
  await expect(started(silent, { patience: 500 })).rejects.toThrow('Is the app Termux:API installed');
});
