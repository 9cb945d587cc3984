import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Purge } from '../src/changes/purge.js';
import { Metrics } from '../src/metrics.js';
import { States } from '../src/sync/state.service.js';
import {
  browser,
  call,
  Client,
  follower,
  message,
  pair,
  phone,
  type Ack,
  type PhoneClient,
} from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { createTestDatabase } from './support/postgres.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { bySnapshot, type Change, type Page } from './support/views.js';

const limits = { qrCodesPerMinute: 0, registrationsPerHour: 0 };
let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ limits });
});
afterEach(cleanUp);
afterAll(() => server.stop());

interface Party {
  handset: PhoneClient;
  web: Client;
  token: string;
}

const kept = <T extends Client>(client: T): T => (later(() => client.close()), client);

async function aParty(url = server.url): Promise<Party> {
  const handset = kept(await phone(url));
  const token = await pair(url, handset);
  return { handset, token, web: kept(await browser(url, token)) };
}

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start(options);
  later(() => started.stop());
  return started;
}

const put = (client: Client, key: string, value: unknown, more: { ifAbsent?: boolean } = {}) =>
  client.send('state:put', { key, value, ...more });
const remove = (client: Client, key: string) => client.send('state:delete', { key });

/** The values of an account, by key, as they are read anew. */
async function values(token: string, url = server.url): Promise<Record<string, unknown>> {
  const rows = (await bySnapshot(url, token)).of<{ id: string; value: unknown }>('state');
  return Object.fromEntries(rows.map(({ id, value }) => [id, value]));
}

const accountOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sub: string }).sub;
const statesIn = (pages: Page[]): Change[] => pages.flatMap(({ changes }) => changes).filter(({ kind }) => kind === 'state'); // prettier-ignore

describe('a value under a key', () => {
  test('put by a phone or a browser is what every follower of the account gets, as a row of kind state', async () => {
    const { handset, web, token } = await aParty();
    const [one, two] = [kept(follower(server.url, token)), kept(follower(server.url, handset.deviceToken))];
    // The phone's newest connection takes the place of the one before.
    const first = await put(two, 'e2e/member/a', 'pl1.1.sealed');
    const second = await put(web, 'e2e/flags/t', { pinned: true, list: [1, null, 'ü'] });
    expect([first, second]).toEqual([{ ok: true, seq: expect.any(Number) }, { ok: true, seq: expect.any(Number) }]); // prettier-ignore
    for (const client of [one, two]) {
      await client.until(() => statesIn(client.all('changes')).length === 2);
      expect(statesIn(client.all('changes'))).toEqual([
        { seq: first.seq, kind: 'state', id: 'e2e/member/a', op: 'put', at: expect.any(Number), row: { id: 'e2e/member/a', value: 'pl1.1.sealed' } }, // prettier-ignore
        { seq: second.seq, kind: 'state', id: 'e2e/flags/t', op: 'put', at: expect.any(Number), row: { id: 'e2e/flags/t', value: { pinned: true, list: [1, null, 'ü'] } } }, // prettier-ignore
      ]);
    }
  });

  test('put again is replaced as a whole: the last to arrive stands', async () => {
    const { handset, web, token } = await aParty();
    await put(handset, 'k', { a: 1, b: 2 });
    const { seq } = await put(web, 'k', { a: 3 });
    expect(await values(token)).toEqual({ k: { a: 3 } });
    const { body } = await call<Page>(server.url, '/api/changes', { token });
    expect(statesIn([body])).toMatchObject([{ seq, row: { value: { a: 3 } } }]);
  });

  test('what one connection sends without waiting stands in the order it was sent', async () => {
    const { web, token } = await aParty();
    const acks = await Promise.all(Array.from({ length: 50 }, (_, n) => put(web, 'k', n)));
    const seqs = acks.map(({ seq }) => seq as number);
    expect([...seqs].sort((a, b) => a - b)).toEqual(seqs);
    expect(await values(token)).toEqual({ k: 49 });
  });

  test('an equal value changes nothing and is answered with the number it has', async () => {
    const { handset, web, token } = await aParty();
    const following = kept(follower(server.url, token));
    const first = await put(handset, 'k', { a: [1] });
    expect(await put(web, 'k', { a: [1] })).toEqual(first);
    const third = await put(web, 'k', { a: [2] });
    await following.until(() => statesIn(following.all('changes')).some(({ seq }) => seq === third.seq));
    expect(statesIn(following.all('changes')).map(({ seq }) => seq)).toEqual([first.seq, third.seq]);
  });

  test('any JSON value comes back as it was, null and false too', async () => {
    const { web, token } = await aParty();
    const json = fc.jsonValue({ maxDepth: 4 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
    await fc.assert(
      fc.asyncProperty(json, async (value) => {
        expect(await put(web, 'k', value)).toMatchObject({ ok: true });
        expect(await values(token)).toEqual({ k: value });
      }),
      {
        numRuns: 30,
        seed: 1,
        examples: [[null], [false], [''], ['\0 \ud800 " \\ \u2028']],
      },
    );
  });

  test('survives a restart of the server', async () => {
    const database = await createTestDatabase();
    later(() => database.drop());
    const first = await TestServer.start({ database });
    const { handset, token } = await aParty(first.url);
    await put(handset, 'k', 'kept');
    await first.stop();
    const second = await aServer({ database });
    expect(await values(token, second.url)).toEqual({ k: 'kept' });
  });

  test('is of its account alone', async () => {
    const [mine, theirs] = [await aParty(), await aParty()];
    await put(theirs.web, 'k', 'theirs');
    expect(await put(mine.web, 'k', 'mine', { ifAbsent: true })).toMatchObject({ ok: true });
    expect(await remove(mine.web, 'k')).toMatchObject({ ok: true });
    expect(await values(theirs.token)).toEqual({ k: 'theirs' });
  });

  test('is sealed in the database', async () => {
    const { web } = await aParty();
    await put(web, 'the/key', 'Nobody may read this');
    const rows = await query(server.database.url, `SELECT s::text AS row, encode(content, 'escape') AS content FROM states s`); // prettier-ignore
    expect(JSON.stringify(rows)).toContain('the/key');
    expect(JSON.stringify(rows)).not.toContain('Nobody');
  });
});

describe('ifAbsent', () => {
  test('leaves the value that is there, an equal one too', async () => {
    const { handset, web, token } = await aParty();
    expect(await put(handset, 'k', 'first', { ifAbsent: true })).toMatchObject({ ok: true });
    for (const value of ['second', 'first'])
      expect(await put(web, 'k', value, { ifAbsent: true })).toMatchObject({ ok: false, code: 'state_exists' });
    expect(await values(token)).toEqual({ k: 'first' });
    expect(await put(web, 'k', 'second', { ifAbsent: false })).toMatchObject({ ok: true });
    expect(await values(token)).toEqual({ k: 'second' });
  });

  test('takes a deleted value for none', async () => {
    const { web, token } = await aParty();
    await put(web, 'k', 'first');
    await remove(web, 'k');
    expect(await put(web, 'k', 'second', { ifAbsent: true })).toMatchObject({ ok: true });
    expect(await values(token)).toEqual({ k: 'second' });
  });

  test('whoever tries, and however many at once: exactly one wins, and its value stands', async () => {
    const { handset, web, token } = await aParty();
    const other = kept(await browser(server.url, await pair(server.url, handset)));
    const devices = [handset, web, other];
    const tries = fc.array(fc.nat({ max: devices.length - 1 }), { minLength: 2, maxLength: 12 });
    let key = 0;
    await fc.assert(
      fc.asyncProperty(tries, async (who) => {
        const name = `epoch/${key++}`;
        const acks = await Promise.all(who.map((device, n) => put(devices[device]!, name, `value ${n}`, { ifAbsent: true }))); // prettier-ignore
        const winners = acks.flatMap(({ ok }, n) => (ok ? [n] : []));
        expect(winners).toHaveLength(1);
        expect(acks.filter(({ code }) => code === 'state_exists')).toHaveLength(who.length - 1);
        expect((await values(token))[name]).toBe(`value ${winners[0]}`);
      }),
      { numRuns: 25, seed: 1 },
    );
  });
});

describe('mutations that share a batch', () => {
  type Step = { op: 'put' | 'putIfAbsent' | 'delete'; key: string; value: string };
  const step = fc.record<Step>({
    op: fc.constantFrom('put', 'put', 'putIfAbsent', 'delete'),
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    value: fc.constantFrom('1', '22', '333'.repeat(130)),
  });
  const take = (web: Client, { op, key, value }: Step) =>
    op === 'delete' ? remove(web, key) : put(web, key, value, { ifAbsent: op === 'putIfAbsent' });

  test('come to the same as one by one: outcomes, values and what the account is said to hold', async () => {
    // Bounds so narrow that some sequences meet them.
    const { url, app, database } = await aServer({ limits: { ...limits, stateKeys: 3, stateBytes: 1024 } });
    const states = app.get(States);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 40 }), async (steps) => {
        const [together, apart] = [await aParty(url), await aParty(url)];
        const told: unknown[] = [];
        const off = states.events.on('state.written', (account, { key, json }) => account === accountOf(together.token) && told.push([key, json])); // prettier-ignore
        const atOnce = await Promise.all(steps.map((one) => take(together.web, one)));
        const inTurn: Ack[] = [];
        for (const one of steps) inTurn.push(await take(apart.web, one));
        off();
        const outcome = ({ ok, code, message }: Ack) => ({ ok, code, message });
        expect(atOnce.map(outcome)).toEqual(inTurn.map(outcome));
        const ok = steps.filter((_, n) => atOnce[n]!.ok);
        expect(told).toEqual(ok.map(({ op, key, value }) => [key, op === 'delete' ? 'null' : JSON.stringify(value)]));
        expect(await values(together.token, url)).toEqual(await values(apart.token, url));
        // Each that changed something has a number of its own, in order.
        const seqs = atOnce.flatMap(({ seq }, n) => (inTurn[n]!.ok ? [seq as number] : []));
        expect(Math.max(...seqs, 0)).toBe(Math.max(...(await rowsOf(database.url, together.token)).map(({ seq }) => Number(seq)), 0)); // prettier-ignore
        for (const { token } of [together, apart]) {
          const living = (await rowsOf(database.url, token)).filter(({ size }) => size !== null);
          const bytes = living.reduce((sum, { size }) => sum + size!, 0);
          const [held] = await query(database.url, 'SELECT state_keys, state_bytes FROM accounts WHERE id = $1', [accountOf(token)]); // prettier-ignore
          expect(held).toEqual({ state_keys: living.length, state_bytes: String(bytes) });
        }
      }),
      { numRuns: 25, seed: 1 },
    );
  }, 60_000);

  test('cost far fewer commits than one each, though they are of one key', async () => {
    const { url, app } = await aServer({ limits });
    const { web } = await aParty(url);
    const commits = async () => {
      const { values } = await app.get(Metrics).batchRows.get();
      return values.find(({ metricName }) => metricName === 'pairline_batch_rows_count')!.value;
    };
    const before = await commits();
    await Promise.all(Array.from({ length: 300 }, (_, n) => put(web, 'k', n)));
    expect((await commits()) - before).toBeLessThan(100);
  });

  test('reach who follows by cursor in order, with the last value as the last', async () => {
    const { web, token } = await aParty();
    const following = kept(follower(server.url, token));
    const acks = await Promise.all(Array.from({ length: 60 }, (_, n) => put(web, `k${n % 2}`, n)));
    const last = acks.at(-1)!.seq as number;
    const seen = () => statesIn(following.all('changes'));
    await following.until(() => seen().some(({ seq }) => seq === last));
    const seqs = seen().map(({ seq }) => seq);
    expect([...seqs].sort((a, b) => a - b)).toEqual(seqs);
    const newest = Object.fromEntries(seen().map(({ row }) => [row.id, row.value]));
    expect(newest).toEqual({ k0: 58, k1: 59 });
  });

  const rowsOf = async (url: string, token: string) =>
    (await query(url, 'SELECT seq, octet_length(content) AS size FROM states WHERE account_id = $1', [accountOf(token)])) as { seq: string; size: number | null }[]; // prettier-ignore
});

describe('deleting', () => {
  test('is told to followers as a delete, and leaves nothing of the value', async () => {
    const { handset, web, token } = await aParty();
    const following = kept(follower(server.url, token));
    await put(web, 'k', 'gone');
    const ack = await remove(handset, 'k');
    expect(ack).toEqual({ ok: true, seq: expect.any(Number) });
    await following.until(() => statesIn(following.all('changes')).some(({ op }) => op === 'delete'));
    expect(statesIn(following.all('changes')).at(-1)).toEqual({ seq: ack.seq, kind: 'state', id: 'k', op: 'delete', at: expect.any(Number) }); // prettier-ignore
    expect(await values(token)).toEqual({});
    const rows = await query(server.database.url, 'SELECT deleted, content FROM states WHERE account_id = $1', [accountOf(token)]); // prettier-ignore
    expect(rows).toEqual([{ deleted: true, content: null }]);
  });

  test('what is not there is not found, deleted or never put', async () => {
    const { web } = await aParty();
    await put(web, 'k', 1);
    await remove(web, 'k');
    for (const key of ['k', 'never']) expect(await remove(web, key)).toMatchObject({ ok: false, code: 'not_found' });
  });

  test('old deletions are purged like those of messages', async () => {
    const { url, app } = await aServer({ tombstoneTtlMs: 1000 });
    const { web, token } = await aParty(url);
    await put(web, 'kept', 1);
    await put(web, 'gone', 1);
    await remove(web, 'gone');
    expect(await app.get(Purge).run(Date.now() + 60_000)).toBe(1);
    expect((await call(url, '/api/changes?after=1', { token })).body).toMatchObject({ code: 'cursor_expired' });
    expect(await values(token, url)).toEqual({ kept: 1 });
    expect(await put(web, 'gone', 2, { ifAbsent: true })).toMatchObject({ ok: true });
  });
});

describe('bounds', () => {
  const KEYS = 5;

  test('an account has so many keys and no more, whoever adds them at once', async () => {
    const { url } = await aServer({ limits: { ...limits, stateKeys: KEYS } });
    const { handset, web, token } = await aParty(url);
    await put(handset, 'there', 0);
    const acks = await Promise.all(Array.from({ length: 40 }, (_, n) => put(n % 2 ? handset : web, `k${n}`, n)));
    const refused = acks.filter(({ ok }) => !ok);
    expect(acks.filter(({ ok }) => ok)).toHaveLength(KEYS - 1);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['state_full']));
    expect(refused[0]!.message).toContain('too many keys');
    expect(Object.keys(await values(token, url))).toHaveLength(KEYS);
    // What is there can still be changed…
    expect(await put(web, 'there', 1)).toMatchObject({ ok: true });
    // …and what is deleted makes room, for one.
    await remove(web, 'there');
    const again: Ack[] = await Promise.all(['a', 'b'].map((key) => put(web, key, 1)));
    expect(again.map(({ code }) => code).sort()).toEqual(['state_full', undefined]);
    // Another account has its own.
    const other = await aParty(url);
    expect(await put(other.web, 'k', 1)).toMatchObject({ ok: true });
  });

  test('an account has so many bytes and no more; what makes it smaller is always taken', async () => {
    const { url } = await aServer({ limits: { ...limits, stateBytes: 2048 } });
    const { web, token } = await aParty(url);
    expect(await put(web, 'a', 'x'.repeat(1000))).toMatchObject({ ok: true });
    const refused = await put(web, 'b', 'x'.repeat(1000));
    expect(refused).toMatchObject({
      ok: false,
      code: 'state_full',
      message: expect.stringContaining('too many bytes'),
    });
    expect(await put(web, 'b', 'x'.repeat(900))).toMatchObject({ ok: true });
    expect(await put(web, 'b', 'x'.repeat(1000))).toMatchObject({ ok: false, code: 'state_full' });
    expect(await put(web, 'a', 'small')).toMatchObject({ ok: true });
    expect(await put(web, 'b', 'x'.repeat(1000))).toMatchObject({ ok: true });
    await remove(web, 'b');
    expect(await put(web, 'c', 'x'.repeat(1800))).toMatchObject({ ok: true });
    expect(Object.keys(await values(token, url)).sort()).toEqual(['a', 'c']);
  });

  test('a value has at most 256 KiB of JSON', async () => {
    const { web, token } = await aParty();
    const largest = 'x'.repeat(262_144 - 2);
    expect(await put(web, 'k', largest)).toMatchObject({ ok: true });
    for (const larger of [`${largest}x`, 'ü'.repeat(131_072), [largest]])
      expect(await put(web, 'k', larger)).toMatchObject({ ok: false, code: 'payload_too_large' });
    expect(await values(token)).toEqual({ k: largest });
  });

  test.each([
    ['no key', { value: 1 }, 'invalid_payload'],
    ['an empty key', { key: '', value: 1 }, 'invalid_payload'],
    ['a key of 256 characters', { key: 'x'.repeat(256), value: 1 }, 'string_too_long'],
    ['a key with NUL', { key: 'a\0b', value: 1 }, 'invalid_string'],
    ['a key with half a character', { key: '\ud800', value: 1 }, 'invalid_string'],
    ['no value', { key: 'k' }, 'invalid_payload'],
    ['bytes', { key: 'k', value: Buffer.from('bytes') }, 'invalid_payload'],
    ['bytes inside', { key: 'k', value: { a: [Buffer.from('bytes')] } }, 'invalid_payload'],
    ['ifAbsent that is no boolean', { key: 'k', value: 1, ifAbsent: 'yes' }, 'invalid_payload'],
    ['a value that is too deep', { key: 'k', value: [[[[[[[[]]]]]]]] }, 'nesting_too_deep'],
  ])('%s is refused', async (_what, payload, code) => {
    const { web, token } = await aParty();
    expect(await web.send('state:put', payload)).toMatchObject({ ok: false, code });
    expect(await values(token)).toEqual({});
  });

  test('a key of 255 characters, and a value seven levels deep, are taken', async () => {
    const { web, token } = await aParty();
    const key = '😀'.repeat(127) + 'x';
    expect(await put(web, key, [[[[[[[]]]]]]])).toMatchObject({ ok: true });
    expect(await values(token)).toEqual({ [key]: [[[[[[[]]]]]]] });
  });

  test('a socket that has not signed in can do neither', async () => {
    const stranger = kept(new Client(server.url));
    for (const ack of [await put(stranger, 'k', 1), await remove(stranger, 'k')])
      expect(ack).toMatchObject({ ok: false, code: 'not_authenticated' });
  });
});

test('values do not get in the way of messages: the two are numbered together, and each stands', async () => {
  const { handset, web, token } = await aParty();
  const following = kept(follower(server.url, token));
  const sent = Array.from({ length: 20 }, (_, n) => [put(web, `k${n}`, n), handset.send('mobile:messages', { messages: [message({ id: `m${n}` })] })]); // prettier-ignore
  expect((await Promise.all(sent.flat())).every(({ ok }) => ok)).toBe(true);
  const seen = () => following.all<Page>('changes').flatMap(({ changes }) => changes);
  await following.until(() => seen().filter(({ kind }) => kind === 'state' || kind === 'message').length >= 40);
  const seqs = seen().map(({ seq }) => seq);
  expect([...seqs].sort((a, b) => a - b)).toEqual(seqs);
  expect(new Set(seqs).size).toBe(seqs.length);
});

test('a phone that registers on a connection with a cursor follows the account from there', async () => {
  const handset = kept(new Client(server.url, { auth: { after: 0 } })) as PhoneClient;
  const registered = await handset.send('mobile:register', { deviceId: 'follows' });
  expect(registered).toMatchObject({ ok: true, accountId: expect.any(String) });
  Object.assign(handset, { deviceId: 'follows' });
  const web = kept(await browser(server.url, await pair(server.url, handset)));
  const { seq } = await put(web, 'k', 1);
  await handset.until(() => statesIn(handset.all('changes')).some((change) => change.seq === seq));
  const kinds = handset.all<Page>('changes').flatMap(({ changes }) => changes.map(({ kind }) => kind));
  expect(kinds.slice(0, 2)).toEqual(['device', 'device']);
});
