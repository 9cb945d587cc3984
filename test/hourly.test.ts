import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Hourly } from '../src/hourly.js';
import { createLog } from '../src/log.js';

const HOUR = 3_600_000;

let lines: string[];
let hourly: Hourly;
beforeEach(() => {
  jest.useFakeTimers();
  lines = [];
  hourly = new Hourly(createLog({ logLevel: 'info' }, { write: (line) => void lines.push(line) }));
});
afterEach(() => {
  jest.useRealTimers();
});

test('what is to be done hourly is done each hour, and at the start what is to be done then too', async () => {
  const [later, atOnce] = [jest.fn(async () => undefined), jest.fn(async () => undefined)];
  hourly.do('one failed', later);
  hourly.do('another failed', atOnce, { atStart: true });
  expect([later, atOnce].map((work) => work.mock.calls.length)).toEqual([0, 0]);
  hourly.onApplicationBootstrap();
  expect([later, atOnce].map((work) => work.mock.calls.length)).toEqual([0, 1]);
  await jest.advanceTimersByTimeAsync(3 * HOUR);
  expect([later, atOnce].map((work) => work.mock.calls.length)).toEqual([3, 4]);
});

test('what fails is logged, done again, and keeps nothing else from being done', async () => {
  const other = jest.fn(async () => undefined);
  const failing = jest.fn(async () => {
    throw new Error('no luck');
  });
  hourly.do('the work could not be done', failing);
  hourly.do('the other failed', other);
  hourly.onApplicationBootstrap();
  await jest.advanceTimersByTimeAsync(2 * HOUR);
  expect([failing, other].map((work) => work.mock.calls.length)).toEqual([2, 2]);
  const told = {
    level: 40,
    msg: 'the work could not be done; trying again later',
    err: expect.objectContaining({ message: 'no luck' }),
  };
  expect(lines.map((line) => JSON.parse(line))).toEqual([expect.objectContaining(told), expect.objectContaining(told)]);
});

test('a server that stops begins nothing more, and waits for what is under way', async () => {
  let end!: () => void;
  const work = jest.fn(() => new Promise<void>((resolve) => (end = resolve)));
  hourly.do('the work could not be done', work, { atStart: true });
  hourly.onApplicationBootstrap();
  let hasStopped = false;
  const stopping = hourly.beforeApplicationShutdown().then(() => (hasStopped = true));
  await jest.advanceTimersByTimeAsync(2 * HOUR);
  expect([work.mock.calls.length, hasStopped]).toEqual([1, false]);
  end();
  await stopping;
  expect(work).toHaveBeenCalledTimes(1);
});
