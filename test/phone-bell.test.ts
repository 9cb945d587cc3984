import { getEventListeners } from 'node:events';
import { expect, test } from '@jest/globals';
import { Bell } from '../phone/src/bell.js';

test('who has heard the bell leaves nothing behind, however often it rings', async () => {
  const bell = new Bell();
  const { signal } = new AbortController();
  for (let ring = 0; ring < 20; ring++) {
    const heard = bell.heard(signal);
    bell.ring();
    await heard;
  }
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('it is heard afterwards by the next one, and waiting for it ends with the signal', async () => {
  const bell = new Bell();
  const ending = new AbortController();
  bell.ring();
  await bell.heard(ending.signal);
  const heard = bell.heard(ending.signal);
  ending.abort();
  await heard;
});
