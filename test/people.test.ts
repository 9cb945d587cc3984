import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Changes } from '../src/changes/changes.js';
import { createLog } from '../src/log.js';
import { Accounts } from '../src/sessions/accounts.service.js';
import { call, pair, phone, type Reply } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';

/* People find people by name (wire.md, section E). */

const argon2 = { memoryKib: 8, passes: 1, lanes: 1 };
const unlimited = { wrongSignInsPerMinute: 0, registrationsPerHour: 0, qrCodesPerMinute: 0, searchesPerQuarterHour: 0 };
const PASSWORD = 'correct horse battery';
const PARTS = ['startsWith', 'endsWith', 'contains'];

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ argon2, limits: unlimited });
});
afterEach(cleanUp);
afterAll(() => server.stop());

async function aServer(options: ServerOptions = {}): Promise<TestServer> {
  const started = await TestServer.start({ argon2, limits: unlimited, ...options });
  later(() => started.stop());
  return started;
}

const aKey = () => randomBytes(32).toString('base64');
/** Letters and digits that no other test's names have. */
const aTag = () => `t${randomBytes(6).toString('hex')}`;

interface Person {
  pseudo: string;
  public_key: string;
  user_id: string;
  token: string;
}

async function aPerson(pseudo = aTag(), at = server, public_key: string | undefined = aKey()): Promise<Person> {
  const { status, body } = await call(at.url, '/api/auth/register', { body: { pseudo, public_key, password: PASSWORD } }); // prettier-ignore
  expect([status, body]).toEqual([201, body]);
  return body as Person;
}

const look = (token: string, term: string, method?: string, at = server): Promise<Reply> =>
  call(at.url, `/api/profile/search/${encodeURIComponent(term)}${method === undefined ? '' : `?method=${method}`}`, {
    token,
  });
const found = async (token: string, term: string, method?: string, at = server): Promise<string[]> => {
  const { status, body } = await look(token, term, method, at);
  expect([status, body]).toEqual([200, expect.any(Array)]);
  return (body as { pseudo: string }[]).map(({ pseudo }) => pseudo);
};
const set = async (path: string, token: string, body: object, at = server) => {
  const reply = await call(at.url, path, { token, method: 'PUT', body });
  expect([path, reply.status, reply.body]).toEqual([path, 200, reply.body]);
};
const hide = (token: string, hidden: boolean, at = server) => set('/api/profile/hide', token, { hide: hidden }, at);

describe('searching for a name', () => {
  test('exactly answers name, key, user id and the fingerprint of the key, however the name is written', async () => {
    const [asker, ann] = [await aPerson(), await aPerson(`Ann ${aTag()} Ü`)];
    const { pseudo, public_key, user_id } = ann;
    const fingerprint = createHash('sha256').update(public_key, 'utf8').digest('hex');
    for (const same of [pseudo, pseudo.toUpperCase(), ` ${pseudo.toLowerCase()} `, pseudo.normalize('NFD')])
      expect((await look(asker.token, same, 'exact')).body).toEqual([{ pseudo, public_key, user_id, fingerprint }]);
    expect(await found(asker.token, pseudo.slice(0, -1), 'exact')).toEqual([]);
    expect(await found(asker.token, `${pseudo}.`, 'exact')).toEqual([]);
  });

  test('takes its beginning, its end or any part of it; the beginning when nothing is said', async () => {
    const [asker, tag] = [await aPerson(), aTag()];
    const names = [`${tag}`, `${tag}-Ann`, `Ann-${tag}`, `Ann-${tag}-Lee`];
    for (const name of names) await aPerson(name);
    expect(await found(asker.token, tag.toUpperCase(), 'startsWith')).toEqual([tag, `${tag}-Ann`]);
    expect(await found(asker.token, tag)).toEqual([tag, `${tag}-Ann`]);
    expect(await found(asker.token, tag, 'endsWith')).toEqual([tag, `Ann-${tag}`]);
    expect(await found(asker.token, tag, 'contains')).toEqual([tag, `Ann-${tag}`, `${tag}-Ann`, `Ann-${tag}-Lee`]);
    expect(await found(asker.token, tag, 'exact')).toEqual([tag]);
  });

  test('answers 50 of many at most: the name itself first, then shorter ones, then by the alphabet', async () => {
    const at = await aServer();
    const { token } = await aPerson('asker', at);
    const accounts = at.app.get(Accounts);
    const name = (i: number) => `${String(i).padStart(3, '0')}${'x'.repeat(i % 7)} sue`;
    const names = Array.from({ length: 250 }, (_, i) => name(i));
    // A few at a time, as the database takes them.
    for (const left = ['Sue', ...names]; left.length > 0;)
      await Promise.all(left.splice(0, 8).map((each) => accounts.create('default', { name: each, publicKey: aKey() })));
    const byLength = (a: string, b: string) => a.length - b.length || (a < b ? -1 : 1);
    expect(await found(token, 'sue', 'contains', at)).toEqual(['Sue', ...[...names].sort(byLength)].slice(0, 50));
    // Past what is read at once, too.
    for (const each of [names[0]!, names[120]!, names[249]!]) expect(await found(token, each, 'endsWith', at)).toEqual([each]); // prettier-ignore
  });

  test('leaves out who asks, those without a key or a name, and those who hide', async () => {
    const tag = aTag();
    const asker = await aPerson(`${tag} asker`);
    await call(server.url, '/api/auth/register', { body: { pseudo: `${tag} keyless`, password: PASSWORD } });
    await call(server.url, '/api/auth/register', { body: { email: `${tag}@example.org`, public_key: aKey(), password: PASSWORD } }); // prettier-ignore
    const hidden = await aPerson(`${tag} hidden`);
    const ann = await aPerson(`${tag} ann`);
    await hide(hidden.token, true);
    expect(await found(asker.token, tag)).toEqual([ann.pseudo]);
    for (const { pseudo } of [asker, hidden]) expect(await found(asker.token, pseudo, 'exact')).toEqual([]);
    expect(await found(asker.token, `${tag} keyless`, 'exact')).toEqual([]);
    expect(await found(ann.token, tag)).toEqual([asker.pseudo]);
  });

  test('still finds somebody who blocks the one who asks', async () => {
    const [asker, ann] = [await aPerson(), await aPerson()];
    await set(`/api/blocks/${asker.user_id}`, ann.token, {});
    for (const method of ['exact', ...PARTS]) expect(await found(asker.token, ann.pseudo, method)).toEqual([ann.pseudo]); // prettier-ignore
  });

  test('knows nobody of another realm, and tells its people of nobody', async () => {
    const realms = ['default', 'clinic'].map((slug) => ({ slug, name: slug, registration: 'open' as const }));
    const at = await aServer({ realms });
    const [asker, tag] = [await aPerson(aTag(), at), aTag()];
    await aPerson(`${tag} here`, at);
    await at.app.get(Accounts).create('clinic', { name: `${tag} there`, publicKey: aKey() });
    expect(await found(asker.token, tag, 'contains', at)).toEqual([`${tag} here`]);
    // Whoever registers there afterwards is as unknown.
    await at.app.get(Accounts).create('clinic', { name: `${tag} later`, publicKey: aKey() });
    expect(await found(asker.token, tag, 'contains', at)).toEqual([`${tag} here`]);
    expect(await found(asker.token, `${tag} there`, 'exact', at)).toEqual([]);

    const person = { email: `${tag}@example.org`, password: PASSWORD, name: 'Cleo', clientId: randomUUID() };
    expect((await call(at.url, '/register/clinic', { body: { ...person, newRegistration: true } })).status).toBe(200);
    const basic = `Basic ${Buffer.from(`${person.email}:${PASSWORD}`).toString('base64')}`;
    const login = await call(at.url, '/login/clinic', { body: { clientId: person.clientId }, headers: { Authorization: basic } }); // prettier-ignore
    for (const method of ['exact', ...PARTS])
      expect(await found(login.body.access_token, `${tag} here`, method, at)).toEqual([]);
  });
});

describe('those who hide', () => {
  test('are found by no method, until they come back', async () => {
    const [asker, ann] = [await aPerson(), await aPerson()];
    const everyWay = async () => (await Promise.all(['exact', ...PARTS].map((method) => found(asker.token, ann.pseudo, method)))).flat(); // prettier-ignore
    expect(await everyWay()).toEqual(Array(4).fill(ann.pseudo));
    await hide(ann.token, true);
    expect(await everyWay()).toEqual([]);
    await set('/api/profile/public-key', ann.token, { public_key: aKey() });
    await set('/api/account/name', ann.token, { name: (ann.pseudo = aTag()), currentPassword: PASSWORD });
    expect(await everyWay()).toEqual([]);
    await hide(ann.token, false);
    expect(await everyWay()).toEqual(Array(4).fill(ann.pseudo));
  });

  test('stay hidden over a restart', async () => {
    const database = await createTestDatabase();
    later(() => database.drop());
    const first = await TestServer.start({ argon2, limits: unlimited, database });
    const [asker, ann, bea] = [await aPerson(aTag(), first), await aPerson('Ann', first), await aPerson('Anna', first)];
    await hide(ann.token, true, first);
    await first.stop();
    const second = await aServer({ database });
    for (const method of PARTS) expect(await found(asker.token, 'Ann', method, second)).not.toContain('Ann');
    expect(await found(asker.token, 'Ann', 'exact', second)).toEqual([]);
    expect(await found(asker.token, 'ann', 'startsWith', second)).toEqual([bea.pseudo]);
  });

  test('are not told of when what is in memory lags behind', async () => {
    const at = await aServer();
    const [asker, ann, bea] = [await aPerson('Asker', at), await aPerson('Ann', at), await aPerson('Anna', at)];
    expect(await found(asker.token, 'an', 'startsWith', at)).toEqual(['Ann', 'Anna']);
    const { events } = at.app.get(Accounts);
    // Nobody hears of it.
    jest.spyOn(events, 'emit').mockImplementation(() => undefined);
    await hide(ann.token, true, at);
    await set('/api/account/name', bea.token, { name: 'Bea', currentPassword: PASSWORD }, at);
    expect(await found(asker.token, 'an', 'startsWith', at)).toEqual([]);
  });
});

describe('what is in memory', () => {
  test('follows who registers, is renamed, gets a key, and is deleted', async () => {
    const [asker, tag] = [await aPerson(), aTag()];
    expect(await found(asker.token, tag)).toEqual([]);
    const ann = await aPerson(`${tag} one`);
    expect(await found(asker.token, tag)).toEqual([`${tag} one`]);
    await set('/api/account/name', ann.token, { name: `${tag} two`, currentPassword: PASSWORD });
    expect(await found(asker.token, tag)).toEqual([`${tag} two`]);
    const { body } = await call(server.url, '/api/auth/register', { body: { pseudo: `${tag} new`, password: PASSWORD } }); // prettier-ignore
    expect(await found(asker.token, tag)).toEqual([`${tag} two`]);
    await set('/api/profile/public-key', body.token, { public_key: aKey() });
    expect(await found(asker.token, tag)).toEqual([`${tag} new`, `${tag} two`]);
    const gone = await call(server.url, '/api/profile/remove', { token: ann.token, method: 'DELETE', body: { confirm: true, password: PASSWORD } }); // prettier-ignore
    expect(gone.status).toBe(200);
    expect(await found(asker.token, tag)).toEqual([`${tag} new`]);
    expect(await found(asker.token, `${tag} two`, 'exact')).toEqual([]);
  });

  test('follows a person whose account is joined to that of a phone', async () => {
    const [asker, ann] = [await aPerson(), await aPerson()];
    expect(await found(asker.token, ann.pseudo)).toEqual([ann.pseudo]);
    const handset = await phone(server.url);
    later(() => handset.close());
    const paired = await pair(server.url, handset);
    const joined = await call(server.url, '/api/account/join', { token: ann.token, body: { token: paired, currentPassword: PASSWORD } }); // prettier-ignore
    expect(joined.body).toMatchObject({ joined: true });
    expect(joined.body.userId).not.toBe(ann.user_id);
    for (const method of ['exact', ...PARTS])
      expect((await look(asker.token, ann.pseudo, method)).body).toEqual([
        expect.objectContaining({ user_id: joined.body.userId, public_key: ann.public_key }),
      ]);
    await hide(ann.token, true);
    expect(await found(asker.token, ann.pseudo)).toEqual([]);
  });

  test('has who came, came back or hid while it was read', async () => {
    const at = await aServer();
    const [asker, ann, bea] = [await aPerson('Asker', at), await aPerson('Ann', at), await aPerson('Anna', at)];
    await hide(ann.token, true, at);
    const accounts = at.app.get(Accounts);
    const list = accounts.list.bind(accounts);
    jest.spyOn(accounts, 'list').mockImplementationOnce(async (...query) => {
      const page = await list(...query);
      await hide(ann.token, false, at);
      await hide(bea.token, true, at);
      await aPerson('Anne', at);
      return page;
    });
    expect(await found(asker.token, 'an', 'startsWith', at)).toEqual(['Ann', 'Anne']);
    await hide(bea.token, false, at);
    expect(await found(asker.token, 'an', 'startsWith', at)).toEqual(['Ann', 'Anna', 'Anne']);
  });

  test('is read anew by the next one when it could not be read', async () => {
    const at = await aServer();
    const [asker] = [await aPerson('Asker', at), await aPerson('Ann', at)];
    const unavailable = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' });
    jest.spyOn(at.app.get(Accounts), 'list').mockRejectedValueOnce(unavailable);
    const { status, body } = await look(asker.token, 'an', 'startsWith', at);
    expect([status, body.code]).toEqual([503, 'unavailable']);
    expect(await found(asker.token, 'an', 'startsWith', at)).toEqual(['Ann']);
  });
});

describe('what somebody may ask', () => {
  test.each<[string, string, string]>([
    ['nothing but spaces', '%20%20', ''],
    ['65 characters', 'x'.repeat(65), ''],
    ['65 characters of two units', encodeURIComponent('😀'.repeat(65)), '?method=contains'],
    ['NUL', 'a%00b', '?method=contains'],
    ['half an escape', '%E0%A4%A', ''],
    ['an unknown method', 'ann', '?method=regex'],
    ['a method of every object', 'ann', '?method=constructor'],
    ['two methods', 'ann', '?method=exact&method=contains'],
  ])('%s is a 400', async (_, term, rest) => {
    const { token } = await aPerson();
    const { status, body } = await call(server.url, `/api/profile/search/${term}${rest}`, { token });
    expect([status, body.success]).toEqual([400, false]);
  });

  test.each(['%', '_', '.*', '\\', "' OR 1=1 --", '__proto__', '😀', 'a/b', '?', '<b>'])(
    '%s is a part of a name like any other',
    async (term) => {
      const [asker, tag] = [await aPerson(), aTag()];
      const { pseudo } = await aPerson(`${tag}${term}${tag}`);
      expect(await found(asker.token, term + tag, 'contains')).toEqual([pseudo]);
      expect(await found(asker.token, term + tag, 'endsWith')).toEqual([pseudo]);
      expect(await found(asker.token, tag + term, 'startsWith')).toEqual([pseudo]);
      expect(await found(asker.token, pseudo, 'exact')).toEqual([pseudo]);
      expect(await found(asker.token, `${tag}x${tag}`, 'contains')).toEqual([]);
    },
  );

  test.each(['😀'.repeat(64), 'ﷺ'.repeat(64), '\u202e', '\ufeffx'])('%j is nobody', async (term) => {
    const { token } = await aPerson();
    for (const method of ['exact', ...PARTS]) expect(await found(token, term, method)).toEqual([]);
  });

  test('is no business of strangers and API keys', async () => {
    const { token } = await aPerson();
    const key = await call(server.url, '/api/keys', { token, body: { name: 'Program' } });
    expect((await call(server.url, '/api/profile/search/ann')).status).toBe(401);
    expect((await look(key.body.apiKey, 'ann')).body.code).toBe('scope_missing');
  });

  test('is bound for an account, and for an address', async () => {
    const at = await aServer({ limits: { ...unlimited, searchesPerQuarterHour: 4 } });
    const people = [await aPerson('a', at), await aPerson('b', at), await aPerson('c', at), await aPerson('d', at)];
    const times = async ({ token }: Person, count: number) => {
      const replies = [];
      for (let i = 0; i < count; i++) replies.push(await look(token, 'ann', i % 2 ? 'exact' : 'contains', at));
      return replies;
    };
    const statuses = (replies: Reply[]) => replies.map(({ status }) => status);
    const [first] = people as [Person];
    const replies = await times(first, 5);
    expect(statuses(replies)).toEqual([200, 200, 200, 200, 429]);
    expect(replies[4]!.body).toMatchObject({ code: 'rate_limited', retryAfter: expect.any(Number) });
    expect(replies[4]!.body.retryAfter).toBeLessThanOrEqual(900);
    // What is no search does not count.
    expect((await look(people[1]!.token, ' ', undefined, at)).status).toBe(400);
    for (const other of people.slice(1, 3)) expect(statuses(await times(other, 4))).toEqual([200, 200, 200, 200]);
    expect(statuses(await times(people[3]!, 1))).toEqual([429]);
  });

  test('is enough for twenty names letter by letter', async () => {
    const at = await aServer({ limits: { wrongSignInsPerMinute: 0 } });
    const { token } = await aPerson('Asker', at);
    const name = 'Alexandra Mey';
    for (let round = 0; round < 20; round++)
      for (let i = 1; i <= name.length; i++) expect((await look(token, name.slice(0, i), undefined, at)).status).toBe(200); // prettier-ignore
  });
});

test('nothing of people or of what is looked for is stored or logged as it was typed', async () => {
  const logged: string[] = [];
  const log = createLog({ logLevel: 'trace' }, { write: (line: string) => void logged.push(line) });
  const at = await aServer({ log });
  const [asker, bob] = [await aPerson(aTag(), at), await aPerson(aTag(), at)];
  const keys = [aKey(), aKey()];
  const signature = aTag();
  await set('/api/profile/public-key', bob.token, { public_key: keys[0]! }, at);
  await set('/api/profile/public-key', bob.token, { public_key: keys[1]!, signature }, at);
  await hide(bob.token, true, at);
  const term = aTag();
  for (const method of ['exact', ...PARTS]) await look(asker.token, term, method, at);
  await look(asker.token, term.repeat(9), 'exact', at);
  await look(asker.token, term, 'constructor', at);
  await at.app.get(Changes).drain();
  const rows = [];
  for (const table of ['accounts', 'logins', 'account_events', 'devices', 'realms', 'blocks'])
    rows.push(...(await query(at.database.url, `SELECT * FROM ${table}`)));
  const stored = rows.flatMap((row) => Object.values(row)).map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : String(value))); // prettier-ignore
  const text = [...stored, ...logged].join('\n');
  expect([stored.length > 20, logged.length > 20]).toEqual([true, true]);
  for (const secret of [asker.pseudo, bob.pseudo, asker.public_key, bob.public_key, ...keys, signature, term, 'hidden'])
    expect(text).not.toContain(secret);
});
