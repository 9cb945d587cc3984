import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { memoryStore, openPhone } from '@pairline/client';
import { cleanUp, later, temporaryFolder } from './support/database.js';
import { TestServer } from './support/server.js';
import { runTypeScript } from './support/spawn.js';

afterEach(cleanUp);

test.each(readdirSync('client/examples'))('%s has at most 40 lines', (example) => {
  expect(readFileSync(`client/examples/${example}`, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(40);
});

test('the example for Node pairs, prints what comes in and sends what is typed', async () => {
  const server = await TestServer.start();
  later(() => server.stop());
  const phone = await openPhone({ url: server.url, store: memoryStore(), deviceName: 'Phone' });
  later(() => phone.close());
  const wanted = new Promise<string>((resolve) =>
    phone.onSend(async ({ number, text }) => resolve(`${number} ${text}`)),
  );

  const example = runTypeScript('client/examples/node.mjs', {
    args: [server.url, '+12025550101'],
    env: { PAIRLINE_FILE: join(temporaryFolder(), 'client.journal') },
    input: '',
    more: true,
  });
  later(() => example.end());
  const offer = await example.line((line) => line.startsWith('Give this to the phone: '));
  await phone.pair(offer.slice(offer.indexOf('http')));
  await example.line((line) => line === 'live, phone here');

  const at = { conversationId: '1', number: '+12025550101', timestamp: Date.now() };
  await phone.putConversations([{ id: '1', number: at.number, name: 'Mia' }]);
  await phone.putMessages([{ id: 'a', text: 'Are you there?', type: 'received', ...at }]);
  await example.line((line) => line === 'Mia: Are you there?');

  example.child.stdin!.write('Yes!\n');
  expect(await wanted).toBe('+12025550101 Yes!');
});

test('the example for apps signs up, keeps notes, and shows them on another device', async () => {
  const server = await TestServer.start();
  later(() => server.stop());
  const notes = () => {
    const program = runTypeScript('client/examples/app.mjs', {
      args: [server.url, 'ann@example.org', 'a long password'],
      env: { PAIRLINE_FILE: join(temporaryFolder(), 'notes.journal') },
      input: '',
      more: true,
    });
    later(() => program.end());
    return program;
  };
  const one = notes();
  await one.line((line) => line === 'live');
  one.child.stdin!.write('Milk\nBread\ntitle To buy\n');
  await one.line((line) => line === 'To buy: 1 Milk, 2 Bread');

  const other = notes();
  await other.line((line) => line === 'To buy: 1 Milk, 2 Bread');
  other.child.stdin!.write('done 1\n');
  await one.line((line) => line === 'To buy: 1 Bread');
});
