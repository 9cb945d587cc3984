import { appendFileSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { realClock } from '../phone/src/clock.js';
import type { Driver } from '../phone/src/driver.js';
import { Folder, FolderInUse } from '../phone/src/folder.js';
import { Ledger } from '../phone/src/ledger.js';
import { Outbox } from '../phone/src/outbox.js';
import { cleanUp, later, temporaryFolder } from './support/database.js';
import { runTypeScript } from './support/spawn.js';

afterEach(cleanUp);

/** Runs the outbox until it has nothing to do any more, or dies. Answers the stage of its message. */
async function run(folder: string, env: { DIE?: string; DECISION?: string } = {}) {
  const child = runTypeScript('test/support/phone-outbox-process.ts', { env: { ...process.env, FOLDER: folder, ...env } }); // prettier-ignore
  later(() => child.end('SIGKILL'));
  const code = await child.exited;
  return code === 0 ? child.output().trim() : code;
}

const radio = (folder: string) => {
  const path = join(folder, 'radio');
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').length : 0;
};

describe('killed at any point, a text is sent at most once', () => {
  test.each(['taken', 'it is taken', 'preparing'])(
    '%s: the radio knew nothing yet, so it is sent at the next start',
    async (point) => {
      const folder = temporaryFolder();
      expect(await run(folder, { DIE: point })).toBe('SIGKILL');
      expect(radio(folder)).toBe(0);
      expect(await run(folder)).toBe('sent');
      expect(radio(folder)).toBe(1);
    },
  );

  test.each(['it is sending', 'before the radio', 'after the radio'])(
    '%s: nobody knows, so it waits for a person',
    async (point) => {
      const folder = temporaryFolder();
      expect(await run(folder, { DIE: point })).toBe('SIGKILL');
      const before = radio(folder);
      expect(await run(folder)).toBe('unknown');
      expect(await run(folder)).toBe('unknown');
      expect(radio(folder)).toBe(before);
    },
  );

  test.each(['it was sent', 'it is sent'])('%s: that is known, and it is not sent again', async (point) => {
    const folder = temporaryFolder();
    expect(await run(folder, { DIE: point })).toBe('SIGKILL');
    expect(await run(folder)).toBe('sent');
    expect(radio(folder)).toBe(1);
  });

  test.each([
    ['sent', 'sent', 1],
    ['drop', 'failed', 1],
    ['again', 'sent', 2],
  ] as const)('a person decides: %s', async (decision, stage, times) => {
    // prettier-ignore
    const folder = temporaryFolder();
    await run(folder, { DIE: 'after the radio' });
    await run(folder);
    expect(await run(folder, { DECISION: decision })).toBe(stage);
    expect(radio(folder)).toBe(times);
    expect(await run(folder)).toBe(stage);
    expect(radio(folder)).toBe(times);
  });
});

describe('the ledger', () => {
  const message = (id: string) => ({ id, number: '+12025550101', text: `Text of ${id}` });

  test('is read back as it was written, and half a line of a crash does not count', () => {
    const path = join(temporaryFolder(), 'ledger');
    const ledger = new Ledger(path);
    ledger.take(message('a'), 1);
    ledger.take(message('b'), 2);
    ledger.sending('a', 'mark of a');
    ledger.close();
    appendFileSync(path, '{"id":"b","stage":"se');

    const again = new Ledger(path);
    expect(again.in('sending')).toEqual([
      { id: 'a', stage: 'sending', at: 1, message: message('a'), mark: 'mark of a' },
    ]);
    expect(again.in('taken').map(({ id }) => id)).toEqual(['b']);
    again.sending('b', '');
    again.close();
    const third = new Ledger(path);
    expect(third.in('sending').map(({ id }) => id)).toEqual(['a', 'b']);
    third.close();
  });

  test('forgets a text that is over, but not that it had it, nor what the server was told', () => {
    const path = join(temporaryFolder(), 'ledger');
    const ledger = new Ledger(path);
    for (let n = 0; n < 300; n++) {
      ledger.take(message(`m${n}`), n);
      ledger.sending(`m${n}`, '7');
      ledger.outcome(`m${n}`, { result: 'sent', key: `key ${n}` });
      if (n % 2 === 0) ledger.told(`m${n}`, 'sent');
    }
    ledger.close();
    const grown = statSync(path).size;

    new Ledger(path).close();
    const text = readFileSync(path, 'utf8');
    expect(text.length).toBeLessThan(grown / 2);
    expect(text).not.toContain('Text of');
    expect(text).not.toContain('key 17');
    const again = new Ledger(path);
    later(() => again.close());
    expect(again.get('m299')).toBeDefined();
    expect(again.isOurs('key 17')).toBe(true);
    expect(again.isOurs('key 300')).toBe(false);
    expect(again.untold()).toHaveLength(150);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('tells what is new to tell after each step', () => {
    const ledger = new Ledger(join(temporaryFolder(), 'ledger'));
    later(() => ledger.close());
    ledger.take(message('a'), 1);
    expect(ledger.untold()).toEqual([]);
    ledger.outcome('a', { result: 'sent' });
    expect(ledger.untold()).toEqual([{ id: 'a', status: 'sent' }]);
    ledger.told('a', 'sent');
    expect(ledger.untold()).toEqual([]);
    ledger.delivered('a');
    expect(ledger.untold()).toEqual([{ id: 'a', status: 'delivered' }]);
  });

  test('to another account, texts sent for the last one are history; sent again they are not', () => {
    const path = join(temporaryFolder(), 'ledger');
    const ledger = new Ledger(path);
    ledger.take(message('a'), 1);
    ledger.outcome('a', { result: 'sent', key: 'key a' });
    expect(ledger.isOurs('key a')).toBe(true);
    ledger.abandon();
    ledger.take(message('b'), 2);
    ledger.outcome('b', { result: 'sent', key: 'key b' });
    ledger.close();
    const again = new Ledger(path);
    later(() => again.close());
    expect([again.isOurs('key a'), again.isOurs('key b')]).toEqual([false, true]);
    expect(again.get('a')).toBeDefined();
  });

  test('a text that is offered again when it is over is not sent again, but what became of it is told again', () => {
    const path = join(temporaryFolder(), 'ledger');
    const ledger = new Ledger(path);
    const changes: string[] = [];
    const nothing = () => undefined;
    const outbox = new Outbox({ ledger, driver: {} as Driver, clock: realClock, voice: { say: nothing, tell: nothing }, nameOf: String, changed: () => void changes.push('changed'), sent: nothing }); // prettier-ignore
    outbox.take(message('a'));
    ledger.outcome('a', { result: 'failed', reason: 'no network' });
    ledger.told('a', 'failed');
    changes.length = 0;
    outbox.take(message('a'));
    expect(changes).toEqual(['changed']);
    ledger.close();
    const again = new Ledger(path);
    later(() => again.close());
    expect(again.untold()).toEqual([{ id: 'a', status: 'failed' }]);
    expect(again.in('taken')).toEqual([]);
  });
});

describe('the folder', () => {
  test('is for its owner alone', () => {
    const path = join(temporaryFolder(), 'deep', 'state');
    const folder = new Folder(path);
    folder.settings = { url: 'http://localhost' };
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, 'settings.json')).mode & 0o777).toBe(0o600);
  });

  test('is locked for others while its agent lives', () => {
    const path = temporaryFolder();
    const folder = new Folder(path);
    folder.lock();
    expect(() => new Folder(path).lock()).toThrow(FolderInUse);
    expect(folder.holder()).toBe(process.pid);
    folder.unlock();
    expect(folder.holder()).toBeUndefined();
  });

  test('a lock that a crash left is nobody’s, though the number of the process may be another’s by now', () => {
    const path = temporaryFolder();
    symlinkSync(`${process.pid} 12345`, join(path, 'lock'));
    const folder = new Folder(path);
    expect(folder.holder()).toBeUndefined();
    folder.lock();
    later(() => folder.unlock());
    expect(folder.holder()).toBe(process.pid);
  });

  test('writes whole files: a leftover of a crash is in nobody’s way', () => {
    const folder = new Folder(temporaryFolder());
    writeFileSync(folder.file('settings.json.new'), '{"half');
    folder.settings = { url: 'http://localhost' };
    expect(folder.settings).toEqual({ url: 'http://localhost' });
  });
});
