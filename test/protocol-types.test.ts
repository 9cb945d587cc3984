import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { BrowserToServer, DeviceToServer, PhoneToServer } from '../protocol/src/index.js';
import { clientEvents, type ClientEvent, type Payload, type Sender } from '../src/delivery/events.js';

/*
 * protocol/ says in types what the server checks at run time. The types are compared by the compiler (`npm run
 * check:types`), the names here.
 */

type ToServer = PhoneToServer & BrowserToServer & DeviceToServer;
type Said<E extends keyof ToServer> = Parameters<ToServer[E]>[0];
/** The events whose payload the server would refuse, or does not know. None. */
type Misfits = { [E in keyof ToServer]: E extends ClientEvent ? (Said<E> extends Payload<E> ? never : E) : E }[keyof ToServer]; // prettier-ignore
const misfits: [Misfits] extends [never] ? true : Misfits = true;

const source = readFileSync('protocol/src/events.ts', 'utf8');

/** The names of the events in an interface. */
function eventsOf(name: string): string[] {
  const body = new RegExp(`^export interface ${name} \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(source)![1]!;
  return [...body.matchAll(/^ {2}'?([\w:-]+)'?: /gm)].map(([, event]) => event!);
}

test('what clients may say by their types fits what the server takes', () => {
  expect(misfits).toBe(true);
});

describe('each event of protocol/ is the server’s', () => {
  const table = clientEvents({ maxBatch: 1, maxTextLength: 1 });
  const senders: [string, Sender[]][] = [
    ['PhoneToServer', ['phone', 'anyone']],
    ['BrowserToServer', ['browser']],
    ['DeviceToServer', ['device']],
  ];

  test.each(senders)('%s', (name, allowed) => {
    const events = eventsOf(name);
    expect(events.length).toBeGreaterThan(1);
    for (const event of events) {
      expect([event, Object.keys(table)]).toEqual([event, expect.arrayContaining([event])]);
      expect([event, allowed]).toEqual([event, expect.arrayContaining([table[event as ClientEvent].from])]);
    }
  });

  test('ServerToClient', () => {
    const delivery = readdirSync('src/delivery').map((file) => readFileSync(join('src/delivery', file), 'utf8')).join('\n'); // prettier-ignore
    const events = eventsOf('ServerToClient');
    expect(events).toEqual(expect.arrayContaining(['changes', 'send:message']));
    expect(events.filter((event) => !delivery.includes(`'${event}'`))).toEqual([]);
  });
});
