import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Message, WebClient } from '@pairline/client';
import { DriverProblem, type Driver, type DriverEvents } from '../phone/src/driver.js';
import { SimulatedDriver } from '../phone/src/drivers/simulated.js';
import { Ledger } from '../phone/src/ledger.js';
import { parseScript } from '../phone/src/script.js';
import { cleanUp, later, query, temporaryFolder } from './support/database.js';
import { browserOf, runAgent, until, untilShown } from './support/phone-agent.js';
import { StandingClock } from './support/phone-clock.js';
import { TestServer } from './support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
afterEach(cleanUp);

/** A simulated phone on a folder. The same folder and script again are the same phone. */
function simulated(folder: string, script: object = {}, clock = new StandingClock()) {
  const whole = { history: { messages: 0 }, events: [], answers: { texts: [] }, sending: { delay: 0, delivered: 0 }, ...script }; // prettier-ignore
  return new SimulatedDriver({ file: join(folder, 'simulated'), script: parseScript(JSON.stringify(whole)), clock });
}

async function everything(web: WebClient): Promise<Message[]> {
  const lists = await Promise.all((await web.conversations()).map(({ id }) => web.messages(id, { limit: 100_000 })));
  return lists.flat();
}

/** Once the browser has so many messages. */
function untilCount(web: WebClient, count: number): Promise<Message[]> {
  return untilShown(web, async () => {
    const all = await everything(web);
    return all.length >= count && all;
  });
}

async function statusOf(web: WebClient, id: string, status: string): Promise<Message> {
  return untilShown(web, async () => {
    const message = await web.message(id);
    return message?.status === status && message;
  });
}

test('what is on the phone is in the browser: every text once, with its names, and nothing readable on the server', async () => {
  const folder = temporaryFolder();
  const { agent } = runAgent(server.url, folder, simulated(folder, { history: { messages: 700, years: 2 } }));
  const web = await browserOf(server.url, agent);
  const all = await untilCount(web, 700);
  expect(all).toHaveLength(700);
  expect(new Set(all.map(({ id }) => id)).size).toBe(700);
  expect(all.filter(({ fault }) => fault !== undefined)).toEqual([]);
  expect(new Set(all.map(({ type }) => type))).toEqual(new Set(['sent', 'received']));
  expect(all.filter(({ read }) => !read)).toEqual([]);

  const conversations = await web.conversations();
  expect(conversations.map(({ name }) => name)).toEqual(expect.arrayContaining(['Mia', 'Grandma']));
  expect(new Set(conversations.map(({ number }) => number)).size).toBe(conversations.length);
  const contacts = await untilShown(web, async () => (await web.contacts()).find(({ name }) => name === 'Jonas Weber'));
  expect(contacts.numbers).toEqual(['+12025550102', '+12025550112']);
});

test('a first sync goes on where it was cut off, and tells nothing twice', async () => {
  const folder = temporaryFolder();
  const script = { history: { messages: 900, years: 1 } };
  const clock = new StandingClock();
  const pages: string[] = [];
  /** Stops the agent when it reads the second page. */
  const cut = watched(simulated(folder, script, clock), (page) => {
    pages.push(page);
    if (pages.length === 2) void first.stop();
  });
  const first = runAgent(server.url, folder, cut);
  const web = await browserOf(server.url, first.agent);
  await first.ended;
  expect(pages).toEqual(['0', 'left:700']);

  const later: string[] = [];
  runAgent(
    server.url,
    folder,
    watched(simulated(folder, script, clock), (page) => later.push(page)),
  );
  const all = await untilCount(web, 900);
  expect(all).toHaveLength(900);
  expect(new Set(all.map(({ id }) => id)).size).toBe(900);
  // Whether the second page had arrived is chance; the first one is not read again.
  expect(later.filter((page) => page !== 'left:700')).toEqual(['left:500', 'left:300', 'left:100']);
});

test('texts that come in while the agent runs, and while it does not, are each in the browser once', async () => {
  const folder = temporaryFolder();
  const clock = new StandingClock();
  const script = { events: [{ after: '1s', every: '1s', from: 'Mia', text: 'Hello again' }] };
  const first = runAgent(server.url, folder, simulated(folder, script, clock), clock);
  const web = await browserOf(server.url, first.agent);
  const incoming: string[] = [];
  web.on('incoming', ({ text }) => incoming.push(text));
  await until((again) => onSaid(first.said, again), () => first.said.some((line) => line.includes('history is told'))); // prettier-ignore
  for (let n = 1; n <= 3; n++) {
    clock.pass(1_000);
    await untilCount(web, n);
  }
  await until(
    (again) => web.on('incoming', again),
    () => incoming.length === 3,
  );
  expect(first.said.filter((line) => line === '← Mia: Hello again')).toHaveLength(3);
  expect(first.logged.filter((line) => line === 'A text came in.')).toHaveLength(3);
  await first.stop();

  const second = runAgent(server.url, folder, simulated(folder, script, clock), clock);
  clock.pass(1_000);
  expect(await untilCount(web, 4)).toHaveLength(4);
  await second.stop();
});

test('a text of the browser goes out, is delivered and answered', async () => {
  const folder = temporaryFolder();
  const clock = new StandingClock();
  const script = { answers: { texts: ['Certainly'], delay: '2s' } };
  const { agent, ledger } = runAgent(server.url, folder, simulated(folder, script, clock));
  const web = await browserOf(server.url, agent);
  const sent = await web.send({ number: '+12025550101' }, 'Will you come? 🎉');
  await pass(clock, () => statusOf(web, sent.id, 'sent'));
  await pass(clock, () => statusOf(web, sent.id, 'delivered'));
  const answer = await pass(clock, () => untilShown(web, async () => (await everything(web)).find(({ type }) => type === 'received'))); // prettier-ignore
  expect(answer).toMatchObject({ text: 'Certainly', number: '+12025550101' });
  const [conversation] = await web.conversations();
  expect(await web.messages(conversation!.id)).toHaveLength(2);
  expect(ledger.get(sent.id)).toMatchObject({ stage: 'delivered' });
  expect(ledger.get(sent.id)!.message).toBeUndefined();
});

test('a text that cannot be sent has failed in the browser too', async () => {
  const folder = temporaryFolder();
  const clock = new StandingClock();
  const { agent } = runAgent(server.url, folder, simulated(folder, { fail: ['+12025550199'] }, clock));
  const web = await browserOf(server.url, agent);
  const sent = await web.send({ number: '+12025550199' }, 'Anybody?');
  await pass(clock, () => statusOf(web, sent.id, 'failed'));
});

test('while the phone is out of reach texts wait, and it is told when it is back', async () => {
  const folder = temporaryFolder();
  const clock = new StandingClock();
  const script = { events: [{ after: '10s', away: '30s' }] };
  const { agent, said } = runAgent(server.url, folder, simulated(folder, script, clock), clock);
  const web = await browserOf(server.url, agent);
  clock.pass(10_000);
  await until((again) => web.on('state', again), () => !web.state.phone.here); // prettier-ignore
  const sent = await web.send({ number: '+12025550101' }, 'When you are back');
  await statusOf(web, sent.id, 'queued');
  clock.pass(30_000);
  await pass(clock, () => statusOf(web, sent.id, 'delivered'));
  expect(said).toEqual(expect.arrayContaining(['The phone is out of reach.', 'The phone is in reach again.']));
});

test('what the server was not told of before the agent ended, it is told by the next one', async () => {
  const folder = temporaryFolder();
  const first = runAgent(server.url, folder, simulated(folder));
  const web = await browserOf(server.url, first.agent);
  await until((again) => onSaid(first.said, again), () => first.said.some((line) => line.includes('history is told'))); // prettier-ignore
  await first.stop();
  const sent = await web.send({ number: '+12025550101' }, 'Sent by a modem, unreported');
  await statusOf(web, sent.id, 'queued');

  // Takes it and ends: the text was sent, and the server knows nothing of it.
  const deaf = runAgent(server.url, folder, {
    ...stub,
    send: async () => {
      void deaf.stop();
      return { result: 'sent' };
    },
  });
  await deaf.ended;
  const handed: string[] = [];
  runAgent(server.url, folder, { ...stub, send: async ({ id }) => (handed.push(id), { result: 'sent' }) });
  await statusOf(web, sent.id, 'sent');
  expect(handed).toEqual([]);
});

test('a text that was deleted in a browser while the agent was away is not sent any more', async () => {
  const folder = temporaryFolder();
  const silent = { ...stub, prepare: () => Promise.reject(new DriverProblem('It is switched off.')) };
  const first = runAgent(server.url, folder, silent, new StandingClock());
  const web = await browserOf(server.url, first.agent);
  const sent = await web.send({ number: '+12025550101' }, 'Never mind');
  await until((again) => onSaid(first.said, again), () => first.said.includes('→ +12025550101: Never mind')); // prettier-ignore
  await first.stop();
  await web.deleteMessage(sent.id);
  await until((again) => web.on('state', again), () => web.state.waiting === 0); // prettier-ignore
  const second = runAgent(server.url, folder, silent, new StandingClock());
  await until((again) => onSaid(second.said, again), () => second.said.includes('A text was deleted in a browser before it was sent.')); // prettier-ignore
  expect(second.ledger.get(sent.id)).toMatchObject({ stage: 'failed' });
});

test('what keeps one task from its work is said once, whatever else works', async () => {
  const clock = new StandingClock();
  let events: DriverEvents;
  let tries = 0;
  let enough: () => void;
  const tried = new Promise<void>((resolve) => (enough = resolve));
  const { agent, said } = runAgent(server.url, temporaryFolder(), {
    ...stub,
    start: async (given) => ((events = given), {}),
    contacts: async () => {
      events.news();
      if (++tries === 4) enough();
      throw new DriverProblem('Contacts are not allowed.');
    },
  }, clock); // prettier-ignore
  await browserOf(server.url, agent);
  await pass(clock, () => tried);
  expect(said.filter((line) => line === 'Contacts are not allowed.')).toHaveLength(1);
  expect(agent.status.problem).toBe('Contacts are not allowed.');
});

test('what an earlier run left open is looked for before anybody is asked; what stays open, the phone shows', async () => {
  const folder = temporaryFolder();
  const left = new Ledger(join(folder, 'ledger'));
  for (const id of ['found', 'lost', 'cut off']) {
    left.take({ id, number: '+12025550101', text: id }, 1);
    left.sending(id, '');
    if (id !== 'cut off') left.outcome(id, { result: 'unknown' });
  }
  left.close();
  const shown: number[] = [];
  const { agent } = runAgent(server.url, folder, {
    ...stub,
    trace: async ({ id }) => ({ result: id === 'found' ? 'sent' : 'unknown' }),
    showQuestions: async (count) => void shown.push(count),
  }, new StandingClock()); // prettier-ignore
  await agent.outbox.looked;
  expect(agent.outbox.unknown.map(({ id }) => id).sort()).toEqual(['cut off', 'lost']);
  agent.outbox.resolve('lost', 'drop');
  agent.outbox.resolve('cut off', 'sent');
  await until((again) => onSaid(shown, again), () => shown.at(-1) === 0); // prettier-ignore
  expect(shown).toContain(2);
});

test('a phone that a browser removed ends, forgets the account, and still knows what it has sent', async () => {
  const folder = temporaryFolder();
  const { agent, ended, ledger } = runAgent(server.url, folder, simulated(folder));
  const web = await browserOf(server.url, agent);
  const sent = await web.send({ number: '+12025550101' }, 'Last one');
  const phone = (await web.devices()).find(({ kind }) => kind === 'phone')!;
  await statusOf(web, sent.id, 'sending').catch(() => undefined);
  await web.removeDevice(phone.id);
  expect(await ended).toEqual({ reason: 'removed', code: 'removed' });
  expect(() => readFileSync(join(folder, 'client'))).toThrow('ENOENT');
  expect(JSON.parse(readFileSync(join(folder, 'settings.json'), 'utf8'))).toEqual({ phoneRegion: 'US' });
  expect(ledger.get(sent.id)).toBeDefined();
});

/** Moves the clock on until something is there: what waits for it is woken step by step. */
async function pass<Answer>(clock: StandingClock, work: () => Promise<Answer>): Promise<Answer> {
  const timer = setInterval(() => clock.pass(500), 5);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Calls back after each line that is added. */
function onSaid<Line>(lines: Line[], again: () => void): () => void {
  const push = lines.push.bind(lines);
  lines.push = (...added) => {
    const length = push(...added);
    again();
    return length;
  };
  return () => (lines.push = push);
}

/** A phone that tells of each page of its history before it gives it away. */
function watched(driver: Driver, read: (before: string) => void): Driver {
  return new Proxy(driver, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      if (name !== 'history') return (value as () => unknown).bind(target);
      return (before: string) => {
        read(before);
        return target.history(before);
      };
    },
  });
}

/** A phone without texts. */
const stub: Driver = {
  model: 'Stub',
  start: async () => ({}),
  stop: async () => undefined,
  contacts: async () => [],
  position: async () => '',
  news: async () => ({ messages: [], position: '0', more: false }),
  history: async () => ({ messages: [], done: 1 }),
  prepare: async () => '',
  send: async () => ({ result: 'sent' }),
  trace: async () => ({ result: 'unknown' }),
};

test('a picture that comes in is in the browser with its text, once; one that is too large is left out and said', async () => {
  const small = await TestServer.start({ limits: { fileBytes: 50_000 }, dataDir: temporaryFolder() });
  later(() => small.stop());
  const folder = temporaryFolder();
  const picture = randomBytes(30_000);
  writeFileSync(join(folder, 'cat.jpg'), picture);
  writeFileSync(join(folder, 'film.mp4'), Buffer.alloc(60_000));
  const files = ['cat.jpg', 'film.mp4'].map((name) => join(folder, name));
  const clock = new StandingClock();
  const script = { events: [{ after: 1_000, from: '+12025550101', text: 'Look', files }] };
  const first = runAgent(small.url, folder, simulated(folder, script, clock), clock);
  const web = await browserOf(small.url, first.agent);
  clock.pass(1_000);
  const [message] = await untilCount(web, 1);
  expect(message).toMatchObject({ text: 'Look', files: [{ name: 'cat.jpg', type: 'image/jpeg', size: 30_000 }] });
  const blob = await (await web.files()).blob(message!.files![0]!);
  expect(Buffer.from(await blob.arrayBuffer()).equals(picture)).toBe(true);
  expect(first.said).toContain('A text was told without one of its files: it is too large for the server.');
  expect(first.said).toContain('← Mia: Look [cat.jpg] [film.mp4]');
  expect(first.logged.join()).not.toMatch(/cat|film/);
  await first.stop();

  // As after a crash that came between the server's answer and the note of it.
  for (const name of ['told', 'uploads']) {
    const lines = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
    writeFileSync(join(folder, name), `${lines.slice(0, -1).join('\n')}\n`);
  }
  const next = { events: [{ after: 1_000, from: '+12025550101', text: 'Next' }] };
  runAgent(small.url, folder, simulated(folder, next, clock), clock);
  clock.pass(1_000);
  const [same, ...rest] = await untilCount(web, 2);
  expect(rest.map(({ text }) => text)).toEqual(['Next']);
  expect(same).toEqual(message);
  expect(await query(small.env.databaseUrl, 'SELECT id FROM uploads')).toEqual([{ id: message!.files![0]!.id }]);
});
