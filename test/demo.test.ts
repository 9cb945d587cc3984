import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TestServer } from './support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

/** `npm run demo -- …`, as npm runs it. */
async function demo(...args: string[]) {
  const env = { ...process.env, NODE_OPTIONS: '', PAIRLINE_URL: '' };
  const child = spawn(process.execPath, ['demo/demo.mjs', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const said = (who: string) =>
    stdout
      .split('\n')
      .filter((line) => line.startsWith(who))
      .map((line) => line.split('│ ')[1]?.replace(/\d\d:\d\d:\d\d/, '<time>'));
  return { stdout, stderr, code: code as number, phone: said('phone'), web: said('web') };
}

const STATUSES = (text: string) => ['queued', 'sending', 'sent', 'delivered'].map((status) => `“${text}” is ${status}`);

test('the demo tells its story from the QR code to the last message', async () => {
  const { stdout, stderr, code, phone, web } = await demo(server.url, '--fast');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

  expect(web.filter((line) => /^ +█▀▀▀▀▀█.*█▀▀▀▀▀█ +$/.test(line!))).toHaveLength(1); // the upper edge of a QR code
  const story = web.slice(web.indexOf('paired'));
  expect(story.slice(0, 7)).toEqual([
    'paired',
    'the phone is here',
    'Mia: Are you still coming on Saturday?',
    'Mia: Leo brings the tent',
    'Parcels: Your parcel arrives today between 14:00 and 16:00',
    'Mia: And it will be cold at night!',
    'Mia: Do you have a sleeping bag? 🏕️',
  ]);
  expect(story.slice(7, 11)).toEqual(STATUSES('Yes, and a warm one'));
  expect(story.slice(11, 15)).toEqual([
    'the phone is away, last seen at <time>',
    '“When do we leave?” is queued: the phone was last seen at <time>',
    '“I can drive” is queued: the phone was last seen at <time>',
    'the phone is here',
  ]);
  const after = story.slice(15);
  for (const body of ['When do we leave?', 'I can drive'])
    expect(after.filter((line) => line!.includes(body))).toEqual(STATUSES(body).slice(1));
  expect(after.at(-1)).toBe("marks Mia's conversation as read");

  expect(phone.filter((line) => line!.startsWith('sending'))).toEqual([
    'sending to Mia: Yes, and a warm one',
    'sending to Mia: When do we leave?',
    'sending to Mia: I can drive',
  ]);
  expect(phone.at(-1)).toBe("Mia's conversation is read");
  expect(stdout.trimEnd().split('\n').at(-1)).toBe('That was all: paired, five texts in, three out, none lost.');
});

test('the demo can be run again on the same server', async () => {
  expect((await demo(server.url, '--fast')).code).toBe(0);
});

test('without a server the demo says in one sentence how to start one', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  const { code, stdout, stderr } = await demo(`http://127.0.0.1:${port}`);
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: '',
    stderr: `Nothing answers at http://127.0.0.1:${port}: run \`npm start\` in another terminal, then this again.\n`,
  });
});

test('the demo says so when it is refused', async () => {
  const closed = await TestServer.start({ registration: 'closed' });
  const { code, stderr } = await demo(closed.url, '--fast');
  await closed.stop();
  expect(code).toBe(1);
  expect(stderr).toBe(
    "The server refused the phone's mobile:register: This server takes nobody new (registration_closed).\n",
  );
});
