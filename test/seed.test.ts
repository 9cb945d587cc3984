import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import { call } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { TestServer } from './support/server.js';
import { runTypeScript } from './support/spawn.js';

afterEach(cleanUp);

async function seed(...args: string[]) {
  const child = runTypeScript('prisma/seed.ts', { args, env: { PAIRLINE_URL: '' } });
  later(() => child.end());
  return { code: await child.exited, said: child.output().split('\n') };
}

/** How many rows of each kind somebody who signs in finds. */
async function rowsOf(url: string, email: string, password: string) {
  const { body } = await call(url, '/api/auth/login', { body: { email, password } });
  const { body: snapshot } = await call(url, '/api/snapshot', { token: body.token });
  const count = (kind: string) => snapshot.changes.filter((change: { kind: string }) => change.kind === kind).length;
  return { conversations: count('conversation'), messages: count('message'), states: count('state'), records: count('record') }; // prettier-ignore
}

const LOGIN = ['  email     demo@example.org', '  password  a demo for everybody'];
const ALL = { conversations: 3, messages: 7, states: 2, records: 3 };

test('a demo account has a phone with texts, states and records, and lets in who types what was printed', async () => {
  const server = await TestServer.start();
  later(() => server.stop());
  expect(await seed(server.url)).toEqual({ code: 0, said: [`A demo account is at ${server.url}:`, ...LOGIN] });
  expect(await rowsOf(server.url, 'demo@example.org', 'a demo for everybody')).toEqual(ALL);
});

test('seeding again changes nothing', async () => {
  const server = await TestServer.start();
  later(() => server.stop());
  await seed(server.url);
  const again = await seed(server.url);
  expect(again).toEqual({ code: 0, said: [`The demo account was at ${server.url} already:`, ...LOGIN] });
  expect(await rowsOf(server.url, 'demo@example.org', 'a demo for everybody')).toEqual(ALL);
});

test('without a server it says in one sentence how to start one', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const url = `http://127.0.0.1:${(probe.address() as AddressInfo).port}`;
  probe.close();
  await once(probe, 'close');
  const sentence = `Nothing answers at ${url}: run \`npm start\` in another terminal, then this again.`;
  expect(await seed(url)).toEqual({ code: 1, said: [sentence] });
});

test('a server that takes no new phones is not seeded, and why is said', async () => {
  const server = await TestServer.start({ registration: 'closed' });
  later(() => server.stop());
  const said = ['The server refused mobile:register: This server takes nobody new.'];
  expect(await seed(server.url)).toEqual({ code: 1, said });
});
