import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createLog } from '../src/log.js';
import { call, pair, phone } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { FileOwner, idOf, told } from './support/files.js';
import { claimsOf } from './support/parties.js';
import { TestServer } from './support/server.js';
import { send, type TusRequest } from './support/tus.js';

// Links to files, which need no token for a while.

const limits = { qrCodesPerMinute: 0, registrationsPerHour: 0, wrongTokensPerMinute: 0, wrongSignInsPerMinute: 0 };

let server: TestServer;
let logged = '';
beforeAll(async () => {
  const log = createLog({ logLevel: 'trace' }, { write: (line) => void (logged += line) });
  server = await TestServer.start({ limits, argon2: { memoryKib: 8, passes: 1, lanes: 1 }, log });
});
afterEach(cleanUp);
afterAll(() => server.stop());

async function aLink(owner: FileOwner, path: string, expiresIn?: number): Promise<{ url: string; expiresAt: number }> {
  const { status, body } = await call(server.url, `${path}/link`, { token: owner.token, body: { expiresIn } });
  expect(status).toBe(201);
  return body as { url: string; expiresAt: number };
}

const open = (url: string, headers: TusRequest['headers'] = {}, method = 'GET') => send(server.url, method, url, { headers, tus: false }); // prettier-ignore

test('a link gives the file to whoever has it, whole, in ranges, and not again to who has it already', async () => {
  const ann = await FileOwner.register(server.url);
  const bytes = randomBytes(1000);
  const path = await ann.file(bytes, { fileName: 'film.mp4' });
  const { url, expiresAt } = await aLink(ann, path);
  expect(expiresAt).toBeGreaterThan(Date.now() + 290_000);
  expect(expiresAt).toBeLessThanOrEqual(Date.now() + 300_000);
  const whole = await open(url);
  expect([whole.status, whole.body.equals(bytes)]).toEqual([200, true]);
  expect(whole.headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-disposition': 'attachment; filename=film.mp4',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'cross-origin',
    'referrer-policy': 'no-referrer',
    'cache-control': 'private, no-cache',
    etag: `"${idOf(path)}"`,
  });
  const range = await open(url, { Range: 'bytes=10-19' });
  expect([range.status, range.headers['content-range'], range.body.equals(bytes.subarray(10, 20))]).toEqual([206, 'bytes 10-19/1000', true]); // prettier-ignore
  expect((await open(url, { 'If-None-Match': `"${idOf(path)}"` })).status).toBe(304);
  const head = await open(url, {}, 'HEAD');
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '1000', 0]);
  for (const method of ['POST', 'PATCH', 'DELETE']) expect((await open(url, {}, method)).status).toBe(404);
});

test('a link lasts as long as was asked for, a day at most', async () => {
  const ann = await FileOwner.register(server.url);
  const path = await ann.file(Buffer.from('12345'));
  expect((await aLink(ann, path, 86_400)).expiresAt).toBeGreaterThan(Date.now() + 86_390_000);
  for (const expiresIn of [0, -1, 1.5, 86_401, '300', 'soon', {}, true]) {
    const { status, body } = await call(server.url, `${path}/link`, { token: ann.token, body: { expiresIn } });
    expect([expiresIn, status, body.code]).toEqual([expiresIn, 400, 'bad_request']);
  }
  const { url } = await aLink(ann, path, 60);
  const RealDate = Date.now;
  later(() => (Date.now = RealDate));
  Date.now = () => RealDate() + 61_000;
  const expired = await open(url);
  expect(told(expired)).toEqual([410, 'link_expired']);
});

test('a link ends with its file', async () => {
  const ann = await FileOwner.register(server.url);
  const path = await ann.file(Buffer.from('12345'));
  const { url } = await aLink(ann, path);
  expect((await ann.ask('DELETE', path)).status).toBe(204);
  expect(told(await open(url))).toEqual([404, 'not_found']);
});

test('a link ends when the browser that asked for it is removed, and another’s goes on', async () => {
  const handset = await phone(server.url);
  later(() => handset.close());
  const [one, other] = [await pair(server.url, handset), await pair(server.url, handset)];
  const ann = (await FileOwner.register(server.url)).at(server.url, one);
  const path = await ann.file(Buffer.from('12345'));
  const links = [await aLink(ann, path), await aLink(ann.at(server.url, other), path), await aLink(ann.at(server.url, handset.deviceToken), path)]; // prettier-ignore
  for (const { url } of links) expect((await open(url)).status).toBe(200);
  const { status } = await call(server.url, `/api/devices/${claimsOf(one).sid}`, { token: handset.deviceToken, method: 'DELETE' }); // prettier-ignore
  expect(status).toBe(200);
  const replies = await Promise.all(links.map(({ url }) => open(url)));
  expect(replies.map(({ status }) => status)).toEqual([404, 200, 200]);
});

test('a link ends when its session is over', async () => {
  const ann = await FileOwner.register(server.url);
  const path = await ann.file(Buffer.from('12345'));
  const { url } = await aLink(ann, path);
  await query(server.database.url, `UPDATE devices SET expires_at = now() - interval '1 second' WHERE account_id = $1`, [ann.account]); // prettier-ignore
  expect(told(await open(url))).toEqual([404, 'not_found']);
});

test('a link to what is not theirs, or not whole, nobody gets', async () => {
  const [ann, eve] = [await FileOwner.register(server.url), await FileOwner.register(server.url)];
  const path = await ann.file(Buffer.from('12345'));
  const unfinished = (await ann.create(5)).headers.location!;
  const tries: [FileOwner, string][] = [[eve, path], [ann, unfinished], [ann, `/api/files/${randomUUID()}`], [ann, '/api/files/links']]; // prettier-ignore
  for (const [who, at] of tries) {
    const { status, body } = await call(server.url, `${at}/link`, { token: who.token, body: {} });
    expect([at, status, body.code]).toEqual([at, 404, 'not_found']);
  }
  expect((await call(server.url, `${path}/link`, { body: {} })).status).toBe(401);
});

test('what is no link opens nothing: one that was changed, one of another key, a session token', async () => {
  const [ann, eve] = [await FileOwner.register(server.url), await FileOwner.register(server.url)];
  const path = await ann.file(Buffer.from('12345'));
  const link = (await aLink(ann, path)).url.split('/').at(-1)!;
  const theirs = (await aLink(eve, await eve.file(Buffer.from('x')))).url.split('/').at(-1)!;
  const [head, claims, signature] = link.split('.') as [string, string, string];
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const said = JSON.parse(Buffer.from(claims, 'base64url').toString()) as object;
  const unsigned = `${encode({ alg: 'none', typ: 'JWT' })}.${claims}.`;
  const withSecret = createHmac('sha256', server.env.jwtSecret).update(`${head}.${claims}`).digest('base64url');
  const forged = [
    ...[
      `${head}.${encode({ ...said, sub: eve.account })}.${signature}`,
      `${head}.${theirs.split('.')[1]}.${signature}`,
    ],
    ...[unsigned, `${head}.${claims}.${withSecret}`, `${head}.${claims}`, ann.token, 'x', 'a.b.c', '..%2f..', link.slice(0, -2)], // prettier-ignore
  ];
  for (const one of forged) expect([one, (await open(`/api/file-links/${one}`)).status]).toEqual([one, 404]);
  // And a link is no session.
  expect((await call(server.url, '/api/devices', { token: link })).status).toBe(401);
  expect((await open(`/api/file-links/${link}`)).status).toBe(200);
});

test('no link is in the log', async () => {
  const ann = await FileOwner.register(server.url);
  const { url } = await aLink(ann, await ann.file(Buffer.from('12345')));
  const link = url.split('/').at(-1)!;
  await open(url);
  await open(`${url}x`);
  expect(logged).toContain('/api/file-links/:link');
  expect(logged).not.toContain(link);
  expect(logged).not.toContain(link.split('.')[1]);
});
