import { randomUUID } from 'node:crypto';
import { afterEach, expect, jest, test } from '@jest/globals';
import { createLog } from '../src/log.js';
import { codeLetter } from '../src/mail/templates.js';
import { call } from './support/clients.js';
import { cleanUp, later } from './support/database.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { MailServer } from './support/smtp.js';

afterEach(cleanUp);

const mailFrom = 'pairline@example.org';
const anEmail = () => `ann-${randomUUID()}@example.org`;
const ask = (email: string, { url }: TestServer) => call(url, '/api/auth/request-otp', { body: { email } });

async function aMailServer(options?: Parameters<typeof MailServer.start>[0]): Promise<MailServer> {
  const mail = await MailServer.start(options);
  later(() => mail.stop());
  return mail;
}

async function aServer(options: ServerOptions): Promise<TestServer & { logged: string[] }> {
  const logged: string[] = [];
  const log = createLog({ logLevel: 'warn' }, { write: (line: string) => void logged.push(line) });
  const server = await TestServer.start({ mailFrom, log, ...options });
  later(() => server.stop());
  return Object.assign(server, { logged });
}

test('a mail is written in plain text and HTML, and comes from MAIL_FROM by the name of the realm', async () => {
  const mail = await aMailServer();
  const name = 'Prâxis 中';
  const server = await aServer({
    smtpUrl: mail.url(),
    realms: [{ slug: 'default', name, registration: 'open' }],
    otpTtlMs: 600_000,
  });
  const email = anEmail();
  expect((await ask(email, server)).status).toBe(200);
  const { from, to, headers, text, html } = await mail.mailTo(email);
  expect([from, to]).toEqual([mailFrom, [email]]);
  expect(headers).toMatchObject({ from: `${name} <${mailFrom}>`, to: email, subject: `Your code for ${name}`, 'auto-submitted': 'auto-generated' }); // prettier-ignore
  expect(headers['content-type']).toMatch(/^multipart\/alternative;/);
  const code = /\d{6}/.exec(text)![0];
  expect(text).toBe(
    `Your code to sign in at ${name}: ${code}\n\nIt is good for 10 minutes, once.\n` +
      'If you did not ask for it, you need not do anything. Never tell it to anybody.',
  );
  expect(html).toContain(code);
  expect(html).toContain(name);
  expect(html).toContain('It is good for 10 minutes, once.');
  // Nothing is fetched when it is read.
  expect(html).not.toMatch(/https?:|src=|url\(|<link|<script|@import/i);
});

test('what stands in a mail is escaped', () => {
  const { text, html } = codeLetter(`<b>"Ann's" & co</b>`, 'password', '<i>1</i>', 1);
  expect(text).toContain(`<b>"Ann's" & co</b>: <i>1</i>`);
  expect(text).toContain('It is good for one minute, once.');
  expect(html).toContain('&lt;b&gt;&quot;Ann&#39;s&quot; &amp; co&lt;/b&gt;');
  expect(html).toContain('&lt;i&gt;1&lt;/i&gt;');
  expect(html).not.toMatch(/<[bi]>/);
});

test('SMTP_URL may hold a login', async () => {
  const seen: unknown[] = [];
  const mail = await aMailServer({
    onAuth: ({ username, password }, _session, done) => {
      seen.push([username, password]);
      done(null, { user: username });
    },
  });
  const server = await aServer({ smtpUrl: mail.url(`relay%40example.org:${encodeURIComponent('p/w:1@x')}`) });
  const email = anEmail();
  await ask(email, server);
  await mail.mailTo(email);
  expect(seen).toEqual([['relay@example.org', 'p/w:1@x']]);
});

test('a login that the mail server refuses is logged without the address, and nobody waits for it', async () => {
  const mail = await aMailServer({ onAuth: (_auth, _session, done) => done(new Error('no such user')) });
  const server = await aServer({ smtpUrl: mail.url('relay:wrong') });
  const email = anEmail();
  expect((await ask(email, server)).status).toBe(200);
  await untilLogged(server.logged, 'a mail could not be sent');
  expect(server.logged.join()).toContain('"code":"EAUTH"');
  expect(server.logged.join()).not.toContain(email);
});

test('a mail server that refuses at first gets the mail again', async () => {
  const mail = await aMailServer({ refusal: (tries) => (tries === 1 ? 451 : undefined) });
  const server = await aServer({ smtpUrl: mail.url() });
  const email = anEmail();
  await ask(email, server);
  const code = await mail.codeFor(email);
  expect(mail.tries).toBe(2);
  expect(server.logged).toEqual([]);
  const verified = await call(server.url, '/api/auth/verify-otp', { body: { email, otp: code } });
  expect(verified.status).toBe(200);
});

test('after three tries a mail is given up, and logged without the address', async () => {
  const mail = await aMailServer({ refusal: () => 450 });
  const server = await aServer({ smtpUrl: mail.url() });
  const email = anEmail();
  await ask(email, server);
  await mail.tried(3);
  await untilLogged(server.logged, 'a mail could not be sent');
  expect(server.logged.join()).toContain('"responseCode":450,"tries":3');
  expect(server.logged.join()).not.toContain(email);
}, 20_000);

test('a refusal for good is not tried again', async () => {
  const mail = await aMailServer({ refusal: () => 550 });
  const server = await aServer({ smtpUrl: mail.url() });
  await ask(anEmail(), server);
  await untilLogged(server.logged, 'a mail could not be sent');
  expect(server.logged.join()).toContain('"responseCode":550,"tries":1');
  expect(mail.tries).toBe(1);
});

test('a mail server that is not there fails no request', async () => {
  const mail = await MailServer.start();
  const smtpUrl = mail.url();
  await mail.stop();
  const server = await aServer({ smtpUrl });
  expect((await ask(anEmail(), server)).status).toBe(200);
  expect((await call(server.url, '/healthz')).status).toBe(200);
});

test('a server that stops gives what waits for another try one more, and ends its connections', async () => {
  const mail = await aMailServer({ refusal: (tries) => (tries === 1 ? 451 : undefined) });
  const server = await TestServer.start({ mailFrom, smtpUrl: mail.url() });
  const email = anEmail();
  await ask(email, server);
  await mail.tried(1);
  await server.stop();
  expect(mail.mails.map(({ to }) => to)).toEqual([[email]]);
  await mail.stop(); // which waits for all connections to end
});

test('in development without SMTP_URL a mail is one line on the console, and not in the log', async () => {
  const server = await aServer({ mailFrom: undefined });
  const email = anEmail();
  const printed = jest.spyOn(console, 'log').mockImplementation(() => undefined);
  later(() => printed.mockRestore());
  const lines = () => printed.mock.calls.map((words) => words.join(' ')).filter((line) => line.includes(email)); // prettier-ignore
  expect((await ask(email, server)).status).toBe(200);
  while (lines().length === 0) await call(server.url, '/healthz');
  expect(lines()).toEqual([expect.stringMatching(/^Mail to \S+: Your code to sign in at Pairline: \d{6} It is good for 15 minutes, once\. .+$/)]); // prettier-ignore
  const otp = /\d{6} It/.exec(lines()[0]!)![0].slice(0, 6);
  expect((await call(server.url, '/api/auth/verify-otp', { body: { email, otp } })).status).toBe(200);
  expect(server.logged.join()).not.toContain(otp);
});

async function untilLogged(logged: string[], sentence: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!logged.some((line) => line.includes(sentence))) {
    if (Date.now() > deadline) throw new Error(`Never logged: ${sentence}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
