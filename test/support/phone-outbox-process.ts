import { appendFileSync, fsyncSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { realClock } from '../../phone/src/clock.js';
import type { Driver } from '../../phone/src/driver.js';
import { Ledger } from '../../phone/src/ledger.js';
import { Outbox } from '../../phone/src/outbox.js';

// An outbox in a process of its own, that dies by SIGKILL at the point that DIE names. The radio is a file.

const { FOLDER = '', DIE = '' } = process.env;
const MESSAGE = { id: 'm1', number: '+12025550101', text: 'Once' };

const die = (point: string) => {
  if (DIE === point) process.kill(process.pid, 'SIGKILL');
};
const radio = join(FOLDER, 'radio');
const ledger = new Ledger(join(FOLDER, 'ledger'));
const finished = new AbortController();

const driver = {
  async prepare() {
    die('preparing');
    return 'mark';
  },
  async send({ id }) {
    die('before the radio');
    appendFileSync(radio, `${id}\n`);
    fsyncSync(openSync(radio, 'r'));
    die('after the radio');
    return { result: 'sent' };
  },
  async trace() {
    return { result: 'unknown', reason: 'nobody saw it' };
  },
} as Partial<Driver> as Driver;

const outbox = new Outbox({
  ledger,
  driver,
  clock: realClock,
  voice: { say: () => undefined, tell: () => undefined },
  nameOf: (number) => number,
  changed: () => {
    const { stage } = ledger.get(MESSAGE.id)!;
    die(`it is ${stage}`);
    if (stage !== 'taken' && stage !== 'sending') finished.abort();
  },
  sent: () => die('it was sent'),
});

// The server offers it again until it is acknowledged, so each start takes it.
outbox.take(MESSAGE);
die('taken');
if (process.env.DECISION !== undefined) outbox.resolve(MESSAGE.id, process.env.DECISION as 'sent');
const stages = ['sent', 'delivered', 'failed', 'unknown'];
if (stages.includes(ledger.get(MESSAGE.id)!.stage)) finished.abort();
await outbox.run(finished.signal);
console.log(ledger.get(MESSAGE.id)!.stage);
