import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { memoryStore, type PhoneClient, type Wanted, type WebClient } from '@pairline/client';
import { fileStore } from '@pairline/client/node';
import fc from 'fast-check';
import { Cutter } from './support/client-between.js';
import { eager, inPhase, letIn, phoneAt, shows, told, webAt } from './support/client-ends.js';
import { cleanUp, temporaryFolder } from './support/database.js';
import { TestServer } from './support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits: { qrCodesPerMinute: 10_000 } });
});
afterAll(() => server.stop());
afterEach(cleanUp);

const MESSAGES = 12;

/** How many bytes each connection of one end lasts, one after the other: from within the handshake to after much of it. */
const lengths = fc.array(fc.integer({ min: 1, max: 12_000 }), { minLength: 1, maxLength: 12 });

test('however often lines break, and wherever: nothing is lost, nothing comes twice, and all is in order', async () => {
  await fc.assert(
    fc.asyncProperty(lengths, lengths, lengths, fc.boolean(), async (phoneCuts, oneCuts, twoCuts, reopen) => {
      try {
        await household(phoneCuts, [oneCuts, twoCuts], reopen);
      } finally {
        await cleanUp();
      }
    }),
    { numRuns: 15 },
  );
}, 240_000);

async function household(phoneCuts: number[], webCuts: number[][], reopen: boolean): Promise<void> {
  const phoneLine = await Cutter.start(server.url);
  const phone = eager(await phoneAt(phoneLine.url));
  const sent: Wanted[] = [];
  phone.onSend(async (wanted) => void sent.push(wanted));
  await phone.putConversations([{ id: 't1', number: '+15550100', name: 'Bea' }]);

  const lines: Cutter[] = [];
  const webs: WebClient[] = [];
  const paths: string[] = [];
  while (webs.length < webCuts.length) {
    const line = await Cutter.start(server.url);
    const path = join(temporaryFolder(), 'browser');
    const web = eager(await webAt(line.url, { store: fileStore(path) }));
    await letIn(phone, web);
    await inPhase(web, 'live');
    await shows(web, () => web.conversation('t1'));
    lines.push(line);
    webs.push(web);
    paths.push(path);
  }

  phoneLine.lengths.push(...phoneCuts);
  lines.forEach((line, i) => line.lengths.push(...webCuts[i]!));
  for (const line of [phoneLine, ...lines]) line.cut();
  const [one, two] = webs as [WebClient, WebClient];
  await Promise.all([tellAll(phone), writeAll(one, 'one'), writeAll(two, 'two')]);
  if (reopen) {
    await one.close();
    webs[0] = eager(await webAt(lines[0]!.url, { store: fileStore(paths[0]!) }));
  }

  for (const web of webs) {
    await shows(web, async () => {
      const messages = await web.messages('t1', { limit: 1000 });
      const settled = messages.every(({ type, status }) => type === 'received' || status === 'sending');
      return settled && messages.length >= 3 * MESSAGES && web.state.waiting === 0;
    }, 'all of it'); // prettier-ignore
    const messages = await web.messages('t1', { limit: 1000 });
    for (const who of ['phone', 'one', 'two'])
      expect(messages.filter(({ text }) => text.startsWith(who)).map(({ text }) => text)).toEqual(numbered(who));
    expect(messages).toHaveLength(3 * MESSAGES);
    expect(await web.conversations()).toMatchObject([{ unread: MESSAGES, lastTime: messages.at(-1)!.timestamp }]);
  }
  expect(await webs[0]!.messages('t1', { limit: 1000 })).toEqual(await webs[1]!.messages('t1', { limit: 1000 }));
  for (const who of ['one', 'two'])
    expect(sent.filter(({ text }) => text.startsWith(who)).map(({ text }) => text)).toEqual(numbered(who));
  expect(sent).toHaveLength(2 * MESSAGES);
}

function numbered(who: string): string[] {
  return Array.from({ length: MESSAGES }, (_, i) => `${who} ${i}`);
}

async function tellAll(phone: PhoneClient): Promise<void> {
  for (const text of numbered('phone')) await phone.putMessages([told(text)]);
}

async function writeAll(web: WebClient, who: string): Promise<void> {
  for (const text of numbered(who)) await web.send({ conversationId: 't1' }, text);
}

test('a first sync that breaks again and again goes on where it was, and ends complete', async () => {
  const phone = await phoneAt(server.url);
  const history = Array.from({ length: 2500 }, (_, i) => told(`Text ${i}`, { id: `m-${i}` }));
  await phone.putMessages(history);
  const line = await Cutter.start(server.url);
  const web = eager(await webAt(line.url, { store: memoryStore() }));
  await letIn(phone, web);
  // Each page has about 1,000 rows of about 500 bytes: some of these come through and some do not.
  line.lengths.push(40_000, 700_000, 200_000, 1_300_000, 900_000);
  line.cut();
  await inPhase(web, 'live');
  await shows(web, async () => (await web.messages('t1', { limit: 5000 })).length === 2500);
  const messages = await web.messages('t1', { limit: 5000 });
  expect(messages.map(({ text }) => text)).toEqual(history.map(({ text }) => text));
  expect(await web.conversations()).toMatchObject([{ unread: 2500, lastText: 'Text 2499' }]);
  expect(line.cuts).toBeGreaterThanOrEqual(3);
}, 60_000);
