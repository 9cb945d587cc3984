import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { DriverMessage } from '../phone/src/driver.js';
import { SimulatedDriver } from '../phone/src/drivers/simulated.js';
import { normalizeNumber, parseRegion } from '../phone/src/numbers.js';
import { DEFAULT_SCRIPT, parseScript, type Script } from '../phone/src/script.js';
import { zonedTime } from '../phone/src/zone.js';
import { cleanUp, later, temporaryFolder } from './support/database.js';
import { StandingClock } from './support/phone-clock.js';

afterEach(cleanUp);

const quiet = { news: () => undefined, reported: () => undefined, away: () => undefined, say: () => undefined, isOurs: () => false, unresolved: () => [] }; // prettier-ignore

function phone(script: object, options?: Parameters<typeof phoneOf>[1]) {
  return phoneOf(parseScript(JSON.stringify(script)), options);
}

async function phoneOf(script: Script, { folder = temporaryFolder(), clock = new StandingClock() } = {}) {
  const driver = new SimulatedDriver({ file: join(folder, 'simulated'), script, clock });
  const heard: (() => void)[] = [];
  await driver.start({ ...quiet, news: () => heard.splice(0).forEach((tell) => tell()) });
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= driver.stop());
  later(stop);
  return { driver, stop, nextNews: () => new Promise<void>((resolve) => heard.push(resolve)) };
}

async function history(driver: SimulatedDriver): Promise<DriverMessage[]> {
  const all: DriverMessage[] = [];
  for (let before: string | undefined = await driver.position(); before !== undefined;) {
    const page = await driver.history(before);
    all.push(...page.messages);
    before = page.before;
  }
  return all;
}

describe('a simulated phone', () => {
  test('has the history that its script asks for: newest first, over the years, the same for the same seed', async () => {
    const script = { seed: 4, history: { messages: 3_001, years: 3 }, events: [] };
    const all = await history((await phone(script)).driver);
    expect(all).toHaveLength(3_001);
    expect(new Set(all.map(({ key }) => key)).size).toBe(3_001);
    const times = all.map(({ timestamp }) => timestamp);
    expect(times).toEqual([...times].sort((a, b) => b - a));
    expect((times[0]! - times.at(-1)!) / (365.25 * 24 * 3_600_000)).toBeCloseTo(3, 1);
    expect(times[0]).toBeLessThan(new StandingClock().now());
    expect(await history((await phone(script)).driver)).toEqual(all);
    expect(await history((await phone({ ...script, seed: 5 })).driver)).not.toEqual(all);
  });

  test('remembers what came in, and when it was made, over restarts', async () => {
    const folder = temporaryFolder();
    const clock = new StandingClock();
    const script = { history: { messages: 10 }, events: [{ after: '1s', from: '72404', text: 'Parcel' }] };
    const first = await phone(script, { folder, clock });
    const before = await history(first.driver);
    const news = first.nextNews();
    clock.pass(1_000);
    await news;
    await first.stop();
    clock.pass(3_600_000);
    const { driver } = await phone(script, { folder, clock });
    expect(await driver.news('0')).toMatchObject({ messages: [{ number: '72404', text: 'Parcel' }], position: '1', more: false }); // prettier-ignore
    expect((await history(driver)).slice(1)).toEqual(before);
  });
});

test('a picture that comes in is read when the phone starts, and remembered with its text', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'cat.jpg'), 'pixels');
  const clock = new StandingClock();
  const event = { after: '1s', from: 'Mia', files: ['cat.jpg'] };
  const script = parseScript(JSON.stringify({ history: { messages: 0 }, events: [event] }), folder);
  const first = await phoneOf(script, { folder, clock });
  const news = first.nextNews();
  clock.pass(1_000);
  await news;
  const files = [{ name: 'cat.jpg', type: 'image/jpeg', bytes: Buffer.from('pixels') }];
  expect((await first.driver.news('0')).messages).toMatchObject([{ text: '', files }]);
  await first.stop();
  expect(await history((await phoneOf({ ...script, events: [] }, { folder, clock })).driver)).toMatchObject([
    { files },
  ]);
});

describe('a script', () => {
  test('needs nothing', () => {
    expect(parseScript('{}')).toEqual(DEFAULT_SCRIPT);
  });

  test('takes times in words or in ms', () => {
    const { events, sending } = parseScript('{"events":[{"after":"1.5s","away":"2m"},{"after":7,"every":"1h","from":"x","text":"y"}],"sending":{"delay":"20ms"}}'); // prettier-ignore
    expect(events).toEqual([{ after: 1_500, away: 120_000 }, { after: 7, every: 3_600_000, from: 'x', text: 'y' }]); // prettier-ignore
    expect(sending).toEqual({ delay: 20, delivered: 900 });
  });

  test.each([
    ['[]', 'The script is not an object'],
    ['{"speed":1}', 'there is no setting "speed"'],
    ['{"seed":"x"}', 'seed is not a number'],
    ['{"contacts":[{"name":"Mia"}]}', 'contacts[0].number is not a text'],
    ['{"events":[{"after":"1s","from":"Mia"}]}', 'events[0].text is not a text'],
    ['{"events":[{"from":"Mia","text":"x"}]}', 'events[0].after is not a time such as "5s"'],
    ['{"events":[{"after":0,"from":"Mia","files":["/nowhere/cat.jpg"]}]}', 'there is no file /nowhere/cat.jpg'],
    ['{"events":[{"after":0,"from":"Mia","files":"cat.jpg"}]}', 'events[0].files is not a list'],
    ['{"fail":"+1"}', 'fail is not a list'],
    ['{', 'JSON'],
  ])('says what is wrong with %s', (json, problem) => {
    expect(() => parseScript(json)).toThrow(problem);
  });
});

describe('a number', () => {
  test.each([
    ['+1 (202) 555-0101', undefined, '+12025550101'],
    ['(202) 555-0101', 'US', '+12025550101'],
    ['0151 23456789', 'DE', '+4915123456789'],
    ['0049 151 23456789', undefined, '+4915123456789'],
    ['0151 23456789', undefined, '015123456789'],
    ['72404', 'US', '72404'],
    ['110', 'DE', '110'],
    ['City Bank', 'DE', 'City Bank'],
    ['  DHL ', undefined, 'DHL'],
    ['+1 202\u00ad555\u20110101', undefined, '+12025550101'],
  ])('“%s” in %s is %s', (number, region, normalized) => {
    expect(normalizeNumber(number, region as never)).toBe(normalized);
    expect(normalizeNumber(normalized, region as never)).toBe(normalized);
  });

  test('regions are two letters that exist', () => {
    expect(['de', 'US', 'zz', '', 'usa'].map(parseRegion)).toEqual(['DE', 'US', undefined, undefined, undefined]);
  });
});

test('a local time is the right moment in its zone, in winter and in summer', () => {
  expect(zonedTime('2026-01-01 12:00:00', 'Europe/Berlin')).toBe(Date.UTC(2026, 0, 1, 11));
  expect(zonedTime('2026-07-01 12:00:00', 'Europe/Berlin')).toBe(Date.UTC(2026, 6, 1, 10));
  expect(zonedTime('2026-07-01 12:00:00', 'Asia/Kathmandu')).toBe(Date.UTC(2026, 6, 1, 6, 15));
  expect(zonedTime('2026-01-01 00:00:00', 'UTC')).toBe(Date.UTC(2026, 0, 1));
});
