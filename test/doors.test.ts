import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { Cutter } from './support/client-between.js';
import { call } from './support/clients.js';
import { cleanUp, later, temporaryDatabase, temporaryFolder } from './support/database.js';
import { TestServer } from './support/server.js';
import { runTypeScript } from './support/spawn.js';

// The examples of docs/examples/, as they stand there.

afterEach(cleanUp);

const PASSWORD = 'a long password';

test.each(readdirSync('docs/examples'))('%s has at most 40 lines', (example) => {
  expect(readFileSync(`docs/examples/${example}`, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(40);
});

/** A server that knows Ann. */
async function startServer(): Promise<TestServer> {
  const server = await TestServer.start();
  later(() => server.stop());
  const { status } = await call(server.url, '/api/auth/register', { body: { email: 'ann@example.org', password: PASSWORD } }); // prettier-ignore
  expect(status).toBe(201);
  return server;
}

/** Runs one to its end; what it printed, in no order that means anything. */
async function run(example: string, ...args: string[]): Promise<string[]> {
  const child = runTypeScript(`docs/examples/${example}`, { args });
  later(() => child.end());
  const code = await child.exited;
  expect({ code, said: child.output() }).toEqual({ code: 0, said: expect.any(String) });
  return child.output().split('\n').sort();
}

test('live-state.mjs: what is typed on one device is on the other, after a cut too, and on one that comes later', async () => {
  const { url } = await startServer();
  const line = await Cutter.start(url);
  const start = async (at = url) => {
    const child = runTypeScript('docs/examples/live-state.mjs', {
      args: [at, 'ann@example.org', PASSWORD],
      input: '',
      more: true,
    });
    later(() => child.end());
    const [, id, states] = /^(\S+) has (.+)$/.exec(await child.line((line) => line.includes(' has ')))!;
    return { child, id, states };
  };
  const one = await start(line.url);
  const two = await start();
  expect([one.states, two.states]).toEqual(['{}', '{}']);
  expect(two.id).not.toBe(one.id);

  one.child.child.stdin!.write('theme very dark\n');
  await one.child.line((line) => line === 'theme = "very dark", by me');
  await two.child.line((line) => line === `theme = "very dark", by ${one.id}`);
  expect((await start()).states).toBe('{"theme":"very dark"}');

  line.close();
  one.child.child.stdin!.end('theme light\n');
  line.open();
  await two.child.line((line) => line === `theme = "light", by ${one.id}`);
  expect(await one.child.exited).toBe(0);
});

test('live-state.mjs says so when the password is another, and ends when nothing is typed', async () => {
  const { url } = await startServer();
  const first = runTypeScript('docs/examples/live-state.mjs', { args: [url, 'ann@example.org', PASSWORD], input: '' });
  later(() => first.end());
  expect(await first.exited).toBe(0);
  const second = runTypeScript('docs/examples/live-state.mjs', {
    args: [url, 'ann@example.org', 'no idea'],
    input: '',
  });
  later(() => second.end());
  expect(await second.exited).toBe(1);
  expect(second.output()).toContain('Wrong username or password');
});

test('table-sync.mjs: two clients of one person end with the same notes, and one in another realm with none', async () => {
  const realms = ['default', 'clinic'].map((slug) => ({ slug, name: slug, registration: 'open' as const }));
  const server = await TestServer.start({ realms });
  later(() => server.stop());
  const folder = temporaryFolder();
  const client = (realm: string, file: string, ...note: string[]) =>
    run('table-sync.mjs', server.url, realm, 'ann@example.org', PASSWORD, join(folder, file), ...note);

  expect(await client('default', 'one.json', 'Milk')).toEqual(['Milk']);
  expect(await client('default', 'two.json', 'Bread')).toEqual(['Bread', 'Milk']);
  expect(await client('default', 'one.json', 'Salt')).toEqual(['Bread', 'Milk', 'Salt']);
  expect(await client('default', 'two.json')).toEqual(['Bread', 'Milk', 'Salt']);
  expect(await client('clinic', 'three.json')).toEqual(['']);
});

test('delta-sync.mjs: signs in by the code on the console once, and syncs by its key from then on', async () => {
  const server = runTypeScript('src/main.ts', {
    env: {
      DATABASE_URL: await temporaryDatabase(),
      DATA_DIR: temporaryFolder(),
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'warn',
      ...{ NODE_ENV: '', SMTP_URL: '', REALMS: '', JWT_SECRET: '', ENCRYPTION_KEY: '' },
    },
  });
  later(() => server.end());
  const ready = await server.line((line) => line.startsWith('Pairline is ready'));
  const url = ready.replace(/.*localhost/, 'http://127.0.0.1');
  const folder = temporaryFolder();
  const codes = new Set<string>();
  const signIn = async (file: string, ...note: string[]) => {
    const args = [url, 'ann@example.org', join(folder, file), ...note];
    const child = runTypeScript('docs/examples/delta-sync.mjs', { args, input: '', more: true });
    later(() => child.end());
    const mail = await server.line((line) => line.startsWith('Mail to ann@example.org') && !codes.has(line));
    codes.add(mail);
    child.child.stdin!.write(`${/\d{6}/.exec(mail)![0]}\n`);
    expect(await child.exited).toBe(0);
    return child.output().split('\n').slice(1).sort();
  };

  expect(await signIn('one.json', 'Milk')).toEqual(['Milk']);
  expect(await run('delta-sync.mjs', url, 'ann@example.org', join(folder, 'one.json'), 'Bread')).toEqual(['Bread', 'Milk']); // prettier-ignore
  expect(await signIn('two.json', 'Salt')).toEqual(['Bread', 'Milk', 'Salt']);
  expect(await run('delta-sync.mjs', url, 'ann@example.org', join(folder, 'one.json'))).toEqual(['Bread', 'Milk', 'Salt']); // prettier-ignore
});
