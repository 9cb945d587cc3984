import { randomUUID } from 'node:crypto';
import { request, type IncomingMessage } from 'node:http';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { Purge } from '../src/changes/purge.js';
import { RemoteData } from '../src/accounts/remote-data.js';
import { PendingPulls } from '../src/sync/pending-pulls.js';
import { Tables } from '../src/sync/tables.service.js';
import { browser, call, follower, message, pair, phone, type Client } from './support/clients.js';
import { cleanUp, later, query } from './support/database.js';
import { figure } from './support/metrics.js';
import { createTestDatabase, type TestDatabase } from './support/postgres.js';
import { abandon, exchange, requestBytes } from './support/raw.js';
import { TestServer, type ServerOptions } from './support/server.js';
import { change, newAccount, TableClient, type Pulled } from './support/table-client.js';
import { newest, type Change, type Page } from './support/views.js';

// wire.md, section C: pull, push, cancelSync.

const limits = { registrationsPerHour: 0, qrCodesPerMinute: 0, wrongTokensPerMinute: 0 };
const DEFAULT = { slug: 'default', name: 'Pairline', registration: 'open' } as const;
const CLINIC = { slug: 'clinic', name: 'Clinic', registration: 'open' } as const;
let server: TestServer;
let clinic: TestDatabase;
beforeAll(async () => {
  clinic = await createTestDatabase();
  server = await TestServer.start({ limits, realms: [DEFAULT, { ...CLINIC, databaseUrl: clinic.url }] });
});
afterEach(cleanUp);
afterAll(async () => {
  await server.stop();
  await clinic.drop();
});

const NOON = Date.UTC(2024, 5, 1, 12);
const guids = (pulled: Pulled) => pulled.data.map(({ rowguid }) => rowguid);

async function aServer(options: ServerOptions): Promise<TestServer> {
  const started = await TestServer.start(options);
  later(() => started.stop());
  return started;
}

/** Clients of one account. */
async function clients(count: number, on = server, realm = 'clinic'): Promise<TableClient[]> {
  const account = await newAccount(on, realm);
  return Promise.all(Array.from({ length: count }, () => TableClient.of(on, account)));
}

/** What one of the account's clients that knows nothing would get, by guid. */
async function stored(client: TableClient): Promise<Record<string, unknown>> {
  const { data } = await client.pull(0);
  return Object.fromEntries(data.map(({ rowguid, rowData }) => [rowguid, rowData]));
}

describe('a row', () => {
  test('that one client pushes is pulled by another, with all its fields', async () => {
    const account = await newAccount(server, 'clinic');
    const [a, b] = [await TableClient.of(server, account, 'client-a'), await TableClient.of(server, account)];
    const guid = randomUUID();
    const before = Date.now();
    const { lastSync } = await a.push(0, [change(guid, NOON, { title: 'Milk' }, { operation: 'I' })]);
    const pulled = await b.pull(0);
    expect(pulled).toEqual({
      lastSync: expect.any(Number),
      clientId: b.id,
      outdatedRowsGuid: [],
      data: [
        {
          userid: account.id,
          id: lastSync,
          rowguid: guid,
          operation: 'I',
          tablename: 'todos',
          clientdate: NOON,
          serverdate: expect.any(String),
          clientid: 'client-a',
          rowData: { title: 'Milk' },
        },
      ],
    });
    const serverdate = Date.parse(pulled.data[0]!.serverdate);
    expect(new Date(serverdate).toISOString()).toBe(pulled.data[0]!.serverdate);
    expect(serverdate).toBeGreaterThanOrEqual(before);
    expect(serverdate).toBeLessThanOrEqual(Date.now());
  });

  test('comes again only when it has changed, and then as an update in its last state', async () => {
    const [a, b] = await clients(2);
    const [one, two] = [randomUUID(), randomUUID()];
    await a!.push(0, [change(one, NOON, 1), change(two, NOON, 2)]);
    const { lastSync } = await b!.pull(0);
    expect((await b!.pull(lastSync)).data).toEqual([]);
    await a!.push(0, [change(one, NOON + 1, 'once')]);
    await a!.push(0, [change(one, NOON + 2, 'twice')]);
    const next = await b!.pull(lastSync);
    expect(next.data).toMatchObject([{ rowguid: one, operation: 'U', rowData: 'twice' }]);
    expect((await b!.pull(next.lastSync)).data).toEqual([]);
  });

  test('of any JSON comes back as it came', async () => {
    const [a] = await clients(1);
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 5 }), async (value) => {
        const guid = randomUUID();
        const rowData = JSON.parse(JSON.stringify(value)) as unknown;
        await a!.push(0, [change(guid, NOON, rowData)]);
        expect((await stored(a!))[guid]).toEqual(rowData);
      }),
      {
        numRuns: 25,
        seed: 1,
        examples: [[null], ['{"title":"text"}'], ['\0 \ud800 " \\ \u2028'], [{ constructor: 1, toJSON: 'x' }]],
      },
    );
    const guid = randomUUID();
    await a!.post('/push/clinic', JSON.parse(`{"changes":[{"operation":"I","rowguid":"${guid}","tablename":"t","clientdate":1,"rowData":{"__proto__":{"a":1}}}]}`)); // prettier-ignore
    expect(JSON.stringify((await stored(a!))[guid])).toBe('{"__proto__":{"a":1}}');
  });

  test.each([
    NOON,
    NOON + 0.5,
    0,
    -86_400_000,
    String(NOON),
    '2024-06-01T12:00:00.000Z',
    '2024-06-01 12:00:00',
    '2024-06-01T14:00:00+02:00',
    '2024-06-01',
  ])('dated %p answers that date in the form it came', async (clientdate) => {
    const [a] = await clients(1);
    await a!.push(0, [change(randomUUID(), clientdate, {})]);
    expect((await a!.pull(0)).data).toMatchObject([{ clientdate }]);
  });

  test('has its dates compared by what they mean, whatever their form', async () => {
    const [a] = await clients(1);
    const guid = randomUUID();
    await a!.push(0, [change(guid, '2024-06-01T14:00:00+02:00', 'noon')]);
    for (const same of [NOON, String(NOON), '2024-06-01T12:00:00Z', '2024-06-01 12:00:00.000'])
      expect(await a!.push(0, [change(guid, same, 'the same')])).toMatchObject({ outdatedRowsGuid: [guid] });
    await a!.push(0, [change(guid, '2024-06-01T12:00:00.001Z', 'later')]);
    expect(await stored(a!)).toEqual({ [guid]: 'later' });
  });

  test('of another account with the same guid is simply another row', async () => {
    const [[mine], [theirs]] = [await clients(1), await clients(1)];
    const guid = randomUUID();
    await theirs!.push(0, [change(guid, NOON + 1000, 'theirs')]);
    expect((await mine!.pull(0, [change(guid, NOON)])).outdatedRowsGuid).toEqual([]);
    expect(await mine!.push(0, [change(guid, NOON, 'mine')])).toMatchObject({ outdatedRowsGuid: [] });
    await mine!.push(0, [change(guid, NOON + 5000)]);
    expect(await stored(theirs!)).toEqual({ [guid]: 'theirs' });
    expect(await stored(mine!)).toEqual({});
  });

  test('is named by its guid as it was written, capitals and all', async () => {
    const [a] = await clients(1);
    const guid = randomUUID().toUpperCase();
    await a!.push(0, [change(guid, NOON, 1)]);
    expect(guids(await a!.pull(0))).toEqual([guid]);
  });

  test('survives a restart, and so does where a client stands', async () => {
    const database = await createTestDatabase();
    later(() => database.drop());
    const first = await TestServer.start({ database });
    const account = await newAccount(first);
    const a = await TableClient.of(first, account);
    const b = await TableClient.of(first, account);
    const guid = randomUUID();
    const { lastSync } = await a.push(0, [change(guid, NOON, 'kept')]);
    await first.stop();
    const second = await aServer({ database });
    const again = (client: TableClient) => TableClient.withToken(second.url, 'default', client.id, client.token);
    expect((await again(a).pull(lastSync)).data).toEqual([]);
    expect(await stored(again(b))).toEqual({ [guid]: 'kept' });
  });

  test('is in its realm’s database alone, and sealed there', async () => {
    const [a] = await clients(1);
    const guid = randomUUID();
    await a!.push(0, [change(guid, NOON, { note: 'Nobody may read this' })]);
    const rows = await query(clinic.url, `SELECT r::text AS row, encode(content, 'escape') AS content FROM records r WHERE id = $1`, [guid]); // prettier-ignore
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain('Nobody');
    expect(await query(server.database.url, 'SELECT FROM records WHERE id = $1', [guid])).toEqual([]);
  });
});

describe('of two changes of a row', () => {
  test('the newer stands, whichever is pushed last', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await a!.push(0, [change(guid, NOON, 'first')]);
    expect(await b!.push(0, [change(guid, NOON + 10, 'newer')])).toMatchObject({ outdatedRowsGuid: [] });
    expect(await a!.push(0, [change(guid, NOON + 5, 'stale')])).toMatchObject({ outdatedRowsGuid: [guid] });
    expect(await stored(a!)).toEqual({ [guid]: 'newer' });
  });

  test('of the same date the server’s stands', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await a!.push(0, [change(guid, NOON, 'first')]);
    expect(await b!.push(0, [change(guid, NOON, 'second')])).toMatchObject({ outdatedRowsGuid: [guid] });
    expect(await b!.push(0, [change(guid, NOON)])).toMatchObject({ outdatedRowsGuid: [guid] });
    expect(await stored(b!)).toEqual({ [guid]: 'first' });
  });

  test('pushed at once by many, the newest stands', async () => {
    const many = await clients(8);
    const guid = randomUUID();
    await Promise.all(many.map((client, i) => client.push(0, [change(guid, NOON + ((i * 5) % 8), (i * 5) % 8)])));
    expect(await stored(many[0]!)).toEqual({ [guid]: 7 });
  });

  test('a date from the future counts as now: it does not win for ever', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    const future = Date.now() + 86_400_000;
    const { lastSync } = await a!.push(0, [change(guid, future, 'from the future')]);
    // Sent again it is the same one…
    expect(await a!.push(lastSync, [change(guid, future, 'from the future')])).toMatchObject({ outdatedRowsGuid: [] }); // prettier-ignore
    const [row] = await query(clinic.url, 'SELECT changed_at, client_date FROM records WHERE id = $1', [guid]);
    expect(Number(row!.changed_at)).toBeLessThanOrEqual(Date.now());
    expect(row!.client_date).toBe(String(future));
    // …and what is changed later wins, by a clock that is right.
    const after = Number(row!.changed_at) + 1;
    await expect(untilPast(after)).resolves.toBeUndefined();
    expect(await b!.push(0, [change(guid, after, 'later')])).toMatchObject({ outdatedRowsGuid: [] });
    expect(await stored(a!)).toEqual({ [guid]: 'later' });
  });

  test('in one push the newer counts, and of the same date the later', async () => {
    const [a] = await clients(1);
    const [one, two, three] = [randomUUID(), randomUUID(), randomUUID()];
    const pushed = await a!.push(0, [
      change(one, NOON, 1),
      change(two, NOON + 9, 'newer'),
      change(one, NOON, 2),
      change(two, NOON, 'older'),
      change(three, NOON, 'there'),
      change(three, NOON),
    ]);
    expect(pushed).toMatchObject({ outdatedRowsGuid: [] });
    expect(await stored(a!)).toEqual({ [one]: 2, [two]: 'newer' });
  });
});

/** Resolves once the clock is past `ms`. */
async function untilPast(ms: number): Promise<void> {
  while (Date.now() <= ms) await new Promise((resolve) => setImmediate(resolve));
}

describe('a deletion', () => {
  test('reaches the other clients', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await a!.push(0, [change(guid, NOON, 'there')]);
    const { lastSync } = await b!.pull(0);
    await a!.push(0, [change(guid, NOON + 1)]);
    expect((await b!.pull(lastSync)).data).toMatchObject([
      { rowguid: guid, operation: 'D', rowData: null, tablename: 'todos', clientdate: NOON + 1, clientid: a!.id },
    ]);
    expect((await b!.pull(0)).data).toEqual([]);
    expect(await query(clinic.url, 'SELECT deleted, content FROM records WHERE id = $1', [guid])).toEqual([{ deleted: true, content: null }]); // prettier-ignore
  });

  test('older than the row does nothing; a newer change brings a deleted row back', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await a!.push(0, [change(guid, NOON, 'there')]);
    expect(await b!.push(0, [change(guid, NOON - 1)])).toMatchObject({ outdatedRowsGuid: [guid] });
    await b!.push(0, [change(guid, NOON + 1)]);
    expect(await a!.push(0, [change(guid, NOON, 'older')])).toMatchObject({ outdatedRowsGuid: [guid] });
    expect(await stored(a!)).toEqual({});
    await a!.push(0, [change(guid, NOON + 2, 'back')]);
    expect(await stored(b!)).toEqual({ [guid]: 'back' });
  });

  test('of a row that never came keeps an older one from coming after it', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await a!.push(0, [change(guid, NOON)]);
    expect(await b!.push(0, [change(guid, NOON - 1, 'late')])).toMatchObject({ outdatedRowsGuid: [guid] });
    expect(await stored(a!)).toEqual({});
  });

  test('of everything, asked for at registration, reaches the other clients', async () => {
    const account = await newAccount(server, 'clinic');
    const [a, b] = [await TableClient.of(server, account), await TableClient.of(server, account)];
    const rows = Array.from({ length: 5 }, () => randomUUID());
    await a.push(0, rows.map((guid, i) => change(guid, i === 0 ? Date.now() + 1e9 : NOON, i))); // prettier-ignore
    const { lastSync } = await b.pull(0);
    await server.app.get(RemoteData).delete(account);
    for (const client of [a, b]) {
      const { data } = await client.pull(lastSync);
      expect(data.map(({ rowguid, operation }) => [rowguid, operation]).sort()).toEqual(rows.map((guid) => [guid, 'D']).sort()); // prettier-ignore
    }
    expect(await stored(a)).toEqual({});
  });
});

describe('a pull that announces changes', () => {
  test('leaves out rows that the client is about to push newer', async () => {
    const [a, b] = await clients(2);
    const [mine, other] = [randomUUID(), randomUUID()];
    await b!.push(0, [change(mine, NOON, 'b'), change(other, NOON, 'b')]);
    const pulled = await a!.pull(0, [change(mine, NOON + 1, 'a')]);
    expect(pulled.outdatedRowsGuid).toEqual([]);
    expect(guids(pulled)).toEqual([other]);
    await a!.push(0, [change(mine, NOON + 1, 'a')]);
    expect(await stored(b!)).toEqual({ [mine]: 'a', [other]: 'b' });
  });

  test.each([
    ['older', -1],
    ['of the same date', 0],
  ])('names one that is %s, and brings the row as it stands', async (_, difference) => {
    // prettier-ignore
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await b!.push(0, [change(guid, NOON, 'b')]);
    const { lastSync } = await a!.pull(0);
    // Even when the client had it before.
    const pulled = await a!.pull(lastSync, [change(guid, NOON + difference, 'a')]);
    expect(pulled.outdatedRowsGuid).toEqual([guid]);
    expect(pulled.data).toMatchObject([{ rowguid: guid, operation: 'U', rowData: 'b' }]);
  });

  test('names one that lost against a deletion', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await b!.push(0, [change(guid, NOON, 'b')]);
    await b!.push(0, [change(guid, NOON + 5)]);
    const pulled = await a!.pull(0, [change(guid, NOON + 1, 'a')]);
    expect(pulled.outdatedRowsGuid).toEqual([guid]);
    expect(pulled.data).toMatchObject([{ rowguid: guid, operation: 'D', rowData: null }]);
  });

  test('tells each such row once', async () => {
    const [a, b] = await clients(2);
    const [one, two] = [randomUUID(), randomUUID()];
    await b!.push(0, [change(one, NOON, 1), change(two, NOON, 2)]);
    const pulled = await a!.pull(0, [change(two, NOON, 'a'), change(two, NOON - 5, 'a')]);
    expect(pulled.outdatedRowsGuid).toEqual([two]);
    expect(guids(pulled).sort()).toEqual([one, two].sort());
  });
});

describe('the number that a push answers', () => {
  test('does not pass by a row that another client pushed between the pull and the push', async () => {
    for (const keep of ['the pulled number', 'the number before'] as const) {
      const [a, b] = await clients(2);
      const [before, between, mine] = [randomUUID(), randomUUID(), randomUUID()];
      await b!.push(0, [change(before, NOON, 'before')]);
      const pulled = await a!.pull(0, [change(mine, NOON, 'a')]);
      expect(guids(pulled)).toEqual([before]);
      await b!.push(0, [change(between, NOON, 'between')]);
      const { lastSync } = await a!.push(keep === 'the pulled number' ? pulled.lastSync : 0, [change(mine, NOON, 'a')]);
      expect(guids(await a!.pull(lastSync))).toContain(between);
    }
  });

  test('passes by all that the client was told and wrote, also when it pushes with the number it pulled with', async () => {
    const [a, b] = await clients(2);
    await b!.push(
      0,
      Array.from({ length: 3 }, (_, i) => change(randomUUID(), NOON, i)),
    );
    await a!.pull(0);
    const parts = [1, 1, 0].map((isPartial) => ({ isPartial, rows: [change(randomUUID(), NOON, 'a')] }));
    let lastSync = 0;
    for (const { isPartial, rows } of parts) ({ lastSync } = await a!.push(0, rows, { isPartial }));
    expect((await a!.pull(lastSync)).data).toEqual([]);
  });

  test('lets the next pull bring the row that stands instead of a stale one, even one that was told before', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await b!.push(0, [change(guid, NOON, 'b')]);
    const pulled = await a!.pull(0);
    const pushed = await a!.push(pulled.lastSync, [change(guid, NOON - 1, 'a')]);
    expect(pushed.outdatedRowsGuid).toEqual([guid]);
    expect((await a!.pull(pushed.lastSync)).data).toMatchObject([{ rowguid: guid, rowData: 'b' }]);
  });

  test('is of a push of nothing, too', async () => {
    const [a, b] = await clients(2);
    await b!.push(0, [change(randomUUID(), NOON, 1)]);
    const { lastSync } = await a!.pull(0);
    expect(await a!.push(0, [])).toEqual({ lastSync, outdatedRowsGuid: [] });
  });

  test('after a restart tells some rows once more rather than none', async () => {
    const database = await createTestDatabase();
    later(() => database.drop());
    const first = await TestServer.start({ database });
    const account = await newAccount(first);
    const [a, b] = [await TableClient.of(first, account), await TableClient.of(first, account)];
    const guid = randomUUID();
    await b.push(0, [change(guid, NOON, 'b')]);
    await a.pull(0);
    await first.stop();
    const second = await aServer({ database });
    const again = TableClient.withToken(second.url, 'default', a.id, a.token);
    const { lastSync } = await again.push(0, [change(randomUUID(), NOON, 'a')]);
    expect(guids(await again.pull(lastSync))).toContain(guid);
  });

  test('is the same when the same is pushed again, and nothing has changed', async () => {
    const [a] = await clients(1, server, 'default');
    const rows = [change(randomUUID(), NOON, { deep: [1, { two: 2 }] }), change(randomUUID(), NOON)];
    const first = await a!.push(0, rows);
    const seq = await newest(server.url, a!.token);
    const second = await a!.push(0, rows);
    expect(second.outdatedRowsGuid).toEqual([]);
    expect(second.lastSync).toBeGreaterThanOrEqual(first.lastSync);
    expect(await newest(server.url, a!.token)).toBe(seq);
    expect((await a!.pull(second.lastSync)).data).toEqual([]);
  });
});

describe('lastSync', () => {
  test.each([undefined, null, '', 0, '0'])('%p begins with all that lives', async (lastSync) => {
    const [a] = await clients(1);
    const [one, two] = [randomUUID(), randomUUID()];
    await a!.push(0, [change(one, NOON, 1), change(two, NOON, 2)]);
    await a!.push(0, [change(two, NOON + 1)]);
    expect(guids(await a!.pull(lastSync))).toEqual([one]);
  });

  test('is taken as text, and by its other name', async () => {
    const [a] = await clients(1);
    await a!.push(0, [change(randomUUID(), NOON, 1)]);
    const { lastSync } = await a!.pull(0);
    expect((await a!.pull(String(lastSync))).data).toEqual([]);
    expect((await a!.pull(null, [], { lastSyncTime: lastSync })).data).toEqual([]);
  });

  test('that the account has never had begins anew', async () => {
    const [a] = await clients(1);
    const guid = randomUUID();
    await a!.push(0, [change(guid, NOON, 1)]);
    const pulled = await a!.pull(Date.now());
    expect(guids(pulled)).toEqual([guid]);
    expect((await a!.pull(pulled.lastSync)).data).toEqual([]);
    expect((await a!.push(Date.now(), [])).lastSync).toBe(pulled.lastSync);
  });

  test('from before deletions that are forgotten begins anew, and a push does not hide that', async () => {
    const on = await aServer({ tombstoneTtlMs: 1000 });
    const [a, b] = await clients(2, on, 'default');
    const [kept, gone] = [randomUUID(), randomUUID()];
    const { lastSync } = await a!.push(0, [change(kept, NOON, 1), change(gone, NOON, 2)]);
    await a!.push(0, [change(gone, NOON + 1)]);
    expect(await on.app.get(Purge).run(Date.now() + 60_000)).toBe(1);
    const pushed = await b!.push(lastSync, [change(randomUUID(), NOON, 3)]);
    expect(guids(await b!.pull(pushed.lastSync))).toContain(kept);
    expect(guids(await b!.pull(lastSync))).toContain(kept);
  });

  test.each([-1, 1.5, 'soon', true, {}, [], [1]])('%p is refused', async (lastSync) => {
    const [a] = await clients(1);
    for (const reply of [await a!.tryPull(lastSync), await a!.tryPush(lastSync, [])])
      expect(reply).toMatchObject({ status: 400, body: { code: 'bad_request' } });
  });
});

describe('a pull in parts', () => {
  test('knows at its last part what all of them announced', async () => {
    const [a, b] = await clients(2);
    const [first, second, other] = [randomUUID(), randomUUID(), randomUUID()];
    await b!.push(
      0,
      [first, second, other].map((guid) => change(guid, NOON, 'b')),
    );
    const one = await a!.pull(0, [change(first, NOON + 1)], { isPartial: 1 });
    expect(one).toEqual({ lastSync: 0, clientId: a!.id, outdatedRowsGuid: [], data: [] });
    const two = await a!.pull(0, [change(second, NOON + 1)], { isPartial: 0 });
    expect(guids(two)).toEqual([other]);
    await a!.push(0, [change(first, NOON + 1, 'a'), change(second, NOON + 1, 'a')]);
    expect(await stored(b!)).toEqual({ [first]: 'a', [second]: 'a', [other]: 'b' });
    expect(await query(clinic.url, 'SELECT FROM pending_pulls WHERE device_id = $1', [a!.id])).toEqual([]);
  });

  test('names in each part what has lost, and brings those rows', async () => {
    const [a, b] = await clients(2);
    const [lost, other] = [randomUUID(), randomUUID()];
    await b!.push(0, [change(lost, NOON, 'b'), change(other, NOON, 'b')]);
    const one = await a!.pull(0, [change(lost, NOON - 1)], { isPartial: 1 });
    expect(one).toMatchObject({ lastSync: 0, outdatedRowsGuid: [lost], data: [{ rowguid: lost, rowData: 'b' }] });
    expect(guids(await a!.pull(0))).toContain(other);
  });

  test('names at its last part what has lost in the meantime', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await a!.pull(0, [change(guid, NOON)], { isPartial: 1 });
    await b!.push(0, [change(guid, NOON + 1, 'b')]);
    const last = await a!.pull(0);
    expect(last).toMatchObject({ outdatedRowsGuid: [guid], data: [{ rowguid: guid, rowData: 'b' }] });
  });

  test('is of one client: another is answered as if there were none', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await b!.push(0, [change(guid, NOON, 'b')]);
    await a!.pull(0, [change(guid, NOON + 1)], { isPartial: 1 });
    expect(guids(await b!.pull(0))).toEqual([guid]);
  });

  test('is forgotten by cancelSync, which answers true', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await b!.push(0, [change(guid, NOON, 'b')]);
    await a!.pull(0, [change(guid, NOON + 1)], { isPartial: 1 });
    expect(await a!.post('/cancelSync/clinic', { clientId: a!.id })).toMatchObject({ status: 200, body: true });
    expect(guids(await a!.pull(0))).toEqual([guid]);
  });

  test('is forgotten after an hour', async () => {
    const [a, b] = await clients(2);
    const guid = randomUUID();
    await b!.push(0, [change(guid, NOON, 'b')]);
    await a!.pull(0, [change(guid, NOON + 1)], { isPartial: 1 });
    const count = () => query(clinic.url, 'SELECT FROM pending_pulls WHERE device_id = $1', [a!.id]);
    await server.app.get(PendingPulls).purge();
    expect(await count()).toHaveLength(1);
    await server.app.get(PendingPulls).purge(Date.now() + 3_600_000);
    expect(await count()).toHaveLength(0);
    await a!.pull(0, [change(guid, NOON + 1)], { isPartial: 1 });
    await query(clinic.url, 'UPDATE pending_pulls SET at = at - 3600000 WHERE device_id = $1', [a!.id]);
    expect(guids(await a!.pull(0))).toEqual([guid]);
  });
});

describe('the ways existing clients say it', () => {
  test('the client in the path', async () => {
    const [a] = await clients(1);
    const guid = randomUUID();
    const pushed = await a!.post(`/push/clinic/${a!.id}`, { lastSync: 0, changes: [change(guid, NOON, 1)] });
    expect(pushed).toMatchObject({ status: 200, body: { lastSync: expect.any(Number) } });
    const pulled = await a!.post<Pulled>(`/pull/clinic/${a!.id}`, { lastSync: 0, changes: [] });
    expect(pulled.status).toBe(200);
    expect(guids(pulled.body)).toEqual([guid]);
  });

  test('table, data.guid, and operations in full', async () => {
    const [a, b] = await clients(2);
    const [one, two] = [randomUUID(), randomUUID()];
    const say = (operation: string, guid: string, clientdate: number, more: object = {}) => ({ operation, table: 'notes', clientdate, data: { guid, ...more } }); // prettier-ignore
    await a!.push(0, [say('insert', one, NOON, { title: 'x' }), say('insert', two, NOON)]);
    const { lastSync } = await b!.pull(0);
    await a!.push(0, [say('update', one, NOON + 1, { title: 'y' }), say('delete', two, NOON + 1)]);
    const pulled = await b!.pull(lastSync, [say('update', one, NOON)]);
    expect(pulled.outdatedRowsGuid).toEqual([one]);
    expect(pulled.data).toMatchObject([
      { rowguid: one, operation: 'U', tablename: 'notes', rowData: { guid: one, title: 'y' } },
      { rowguid: two, operation: 'D', tablename: 'notes', rowData: null },
    ]);
  });

  test('a gzipped body', async () => {
    const [a] = await clients(1);
    const guid = randomUUID();
    const body = gzipSync(JSON.stringify({ lastSync: 0, changes: [change(guid, NOON, { title: 'ü'.repeat(1000) })] }));
    expect(await post('/push/clinic', a!, body, { 'Content-Encoding': 'gzip' })).toBe(200);
    expect(await stored(a!)).toEqual({ [guid]: { title: 'ü'.repeat(1000) } });
  });

  test('the answer of a pull is one that fetch can parse, and says how long it is', async () => {
    const [a] = await clients(1);
    const { headers } = await a!.tryPull(0);
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(Number(headers.get('content-length'))).toBeGreaterThan(0);
  });
});

async function post(path: string, client: TableClient, body: Buffer, headers: Record<string, string> = {}) {
  const { status } = await fetch(server.url + path, {
    method: 'POST',
    headers: { Authorization: `Bearer ${client.token}`, 'Content-Type': 'application/json', ...headers },
    body: new Uint8Array(body),
  });
  return status;
}

describe('who may', () => {
  test('nobody without a token, nor with a wrong one, nor with one of another realm', async () => {
    const [[a], [elsewhere]] = [await clients(1), await clients(1, server, 'default')];
    const routes = ['/pull/clinic', '/push/clinic', '/cancelSync/clinic', `/pull/clinic/${a!.id}`, `/push/clinic/${a!.id}`]; // prettier-ignore
    for (const route of routes) {
      expect(await call(server.url, route, { body: {} })).toMatchObject({ status: 401 });
      for (const token of [`${a!.token}x`, elsewhere!.token])
        expect(await call(server.url, route, { token, body: {} })).toMatchObject({
          status: 403,
          body: { success: false, code: 'token_expired' },
        });
    }
  });

  test.each(['nowhere', 'Clinic', 'CLINIC'])('the realm %p is not found', async (realm) => {
    const [a] = await clients(1);
    for (const route of ['pull', 'push', 'cancelSync'])
      expect(await call(server.url, `/${route}/${realm}`, { token: a!.token, body: {} })).toMatchObject({
        status: 404,
        body: { code: 'realm_unknown' },
      });
  });

  test('a client under another’s id is refused, in the body and in the path', async () => {
    const [a, b] = await clients(2);
    const [stranger] = await clients(1);
    for (const id of [b!.id, stranger!.id, 'made up', 7]) {
      const refused = { status: 400, body: { code: 'bad_request' } };
      expect(await a!.post('/pull/clinic', { clientId: id, lastSync: 0, changes: [] })).toMatchObject(refused);
      expect(await a!.post(`/pull/clinic/${id}`, { lastSync: 0, changes: [] })).toMatchObject(refused);
      const rows = [change(randomUUID(), NOON, 1)];
      expect(await a!.post('/push/clinic', { clientId: id, lastSync: 0, changes: rows })).toMatchObject(refused);
      expect(await a!.post(`/push/clinic/${id}`, { clientId: a!.id, changes: rows })).toMatchObject(refused);
      expect(await a!.post('/cancelSync/clinic', { clientId: id })).toMatchObject(refused);
    }
    expect(await stored(a!)).toEqual({});
  });
});

describe('what cannot be stored', () => {
  const guid = '0b7c2f9e-8d1a-4c55-9a53-0d5f6f1f0f01';
  const deep = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels));

  test.each([
    ['a guid that is none', change('not-a-uuid', NOON, 1), 'rowguid'],
    ['a guid with a letter too many', change(`${guid}a`, NOON, 1), 'rowguid'],
    ['no guid', { operation: 'I', tablename: 't', clientdate: NOON, rowData: 1 }, 'rowguid'],
    ['a guid that is a number', { ...change(guid, NOON, 1), rowguid: 5 }, 'rowguid'],
    ['no date', { ...change(guid, NOON, 1), clientdate: undefined }, 'clientdate'],
    ['a date that is none', change(guid, 'yesterday', 1), 'clientdate'],
    ['a date with a remark', change(guid, '2024-06-01 (call Ann)', 1), 'clientdate'],
    ['a day that is not in the calendar', change(guid, '2024-13-41', 1), 'clientdate'],
    ['a 31 February', change(guid, '2024-02-31', 1), 'clientdate'],
    ['a 29 February of no leap year', change(guid, '2023-02-29 10:00:00', 1), 'clientdate'],
    ['a date out of all bounds', change(guid, 1e300, 1), 'clientdate'],
    ['a date that is a list', { ...change(guid, NOON, 1), clientdate: [NOON] }, 'clientdate'],
    ['no operation', { ...change(guid, NOON, 1), operation: undefined }, 'operation'],
    ['an unknown operation', { ...change(guid, NOON, 1), operation: 'X' }, 'operation'],
    ['no table', { ...change(guid, NOON, 1), tablename: undefined }, 'tablename'],
    ['an empty table', { ...change(guid, NOON, 1), tablename: '' }, 'tablename'],
    ['a table with NUL', { ...change(guid, NOON, 1), tablename: 'a\0b' }, 'tablename'],
    ['a table with half a character', { ...change(guid, NOON, 1), tablename: '\ud800' }, 'tablename'],
    ['a table of 256 characters', { ...change(guid, NOON, 1), tablename: 'x'.repeat(256) }, 'tablename'],
    ['no rowData', { ...change(guid, NOON, 1), rowData: undefined }, 'rowData'],
    ['rowData 33 levels deep', change(guid, NOON, deep(33)), 'rowData'],
    ['a change that is no object', 'row', 'object'],
    ['a change that is null', null, 'object'],
  ])('%s refuses the whole push, and says which row', async (_what, bad, why) => {
    const [a] = await clients(1);
    const rows = [change(randomUUID(), NOON, 1), change(randomUUID(), NOON, 2), bad as object];
    const { status, body } = await a!.tryPush(0, rows);
    expect({ status, body }).toMatchObject({ status: 400, body: { success: false, code: 'row_invalid' } });
    const { message: sentence } = body as unknown as { message: string };
    expect(sentence).toContain('changes.2');
    expect(sentence).toContain(why);
    expect(await stored(a!)).toEqual({});
  });

  test('a bad row refuses a pull as well', async () => {
    const [a] = await clients(1);
    expect(await a!.tryPull(0, [change(guid, NOON), change('x', NOON)])).toMatchObject({ status: 400, body: { code: 'row_invalid' } }); // prettier-ignore
  });

  test('rowData 32 levels deep is taken', async () => {
    const [a] = await clients(1);
    await a!.push(0, [change(guid, NOON, deep(32))]);
    expect(await stored(a!)).toEqual({ [guid]: deep(32) });
  });

  test.each(['[]', '7', '"x"', 'null', '{"changes":5}', '{"changes":{}}', '{'])(
    'the body %s is refused',
    async (body) => {
      // prettier-ignore
      const [a] = await clients(1);
      for (const route of ['/pull/clinic', '/push/clinic']) expect(await post(route, a!, Buffer.from(body))).toBe(400);
    },
  );

  test('as many rows as MAX_BATCH are taken, one more is too many', async () => {
    const on = await aServer({ limits: { ...limits, maxBatch: 150 } });
    const [a] = await clients(1, on, 'default');
    const rows = Array.from({ length: 151 }, (_, i) => change(randomUUID(), NOON, i));
    for (const reply of [await a!.tryPush(0, rows), await a!.tryPull(0, rows)])
      expect(reply).toMatchObject({ status: 400, body: { code: 'batch_too_large' } });
    await a!.push(0, rows.slice(1));
    expect(Object.keys(await stored(a!))).toHaveLength(150);
  });
});

describe('size', () => {
  const row = (bytes: number) => [change(randomUUID(), NOON, 'x'.repeat(bytes))];

  test('a push may be larger than other bodies, up to MAX_PUSH_BYTES', async () => {
    const on = await aServer({ limits: { ...limits, maxBodyBytes: 20_000, maxPushBytes: 100_000 } });
    const [a] = await clients(1, on, 'default');
    expect(await a!.tryPush(0, row(90_000))).toMatchObject({ status: 200 });
    expect(await a!.tryPush(0, row(100_000))).toMatchObject({ status: 413, body: { code: 'payload_too_large' } });
    expect(await a!.tryPull(0, row(20_000))).toMatchObject({ status: 413, body: { code: 'payload_too_large' } });
    expect(Object.keys(await stored(a!))).toHaveLength(1);
  });

  test('is counted after a body was inflated', async () => {
    const [a] = await clients(1);
    const bomb = gzipSync(JSON.stringify({ changes: row(17 * 1_048_576) }));
    expect(bomb.length).toBeLessThan(100_000);
    expect(await post('/push/clinic', a!, bomb, { 'Content-Encoding': 'gzip' })).toBe(413);
    const large = gzipSync(JSON.stringify({ changes: row(15 * 1_048_576) }));
    expect(await post('/push/clinic', a!, large, { 'Content-Encoding': 'gzip' })).toBe(200);
  });

  test('one that is too large to the end is told so, whatever it said of its length', async () => {
    const [a] = await clients(1);
    const headers = { Authorization: `Bearer ${a!.token}`, 'Content-Type': 'application/json', 'Transfer-Encoding': 'chunked' }; // prettier-ignore
    const asked = request({ port: new URL(server.url).port, method: 'POST', path: '/push/clinic', headers });
    const answered = new Promise<IncomingMessage>((resolve) => asked.once('response', resolve));
    for (let i = 0; i < 40; i++) asked.write(Buffer.alloc(1_048_576, ' '));
    asked.end();
    expect((await answered).statusCode).toBe(413);
  });

  test('nothing of a stranger’s push is read', async () => {
    const path = '/push/clinic';
    const headers = { 'Content-Type': 'application/json', 'Content-Length': '1000000' };
    const answer = await exchange(server.url, requestBytes({ method: 'POST', path, headers }), (text) => text.includes('not_authenticated')); // prettier-ignore
    expect(answer).toMatch(/^HTTP\/1.1 401 /);
  });

  test('of large pushes two at once are inflated and stored, and all of them in the end', async () => {
    const senders = await Promise.all(Array.from({ length: 6 }, async () => (await clients(1))[0]!));
    let received = 0;
    let [running, most] = [0, 0];
    let allReceived!: () => void;
    const whole = new Promise<void>((resolve) => (allReceived = resolve));
    const count = (asked: IncomingMessage) => asked.on('end', () => ++received === senders.length && allReceived());
    const http = server.app.getHttpServer();
    http.on('request', count);
    later(() => http.off('request', count));
    const tables = server.app.get(Tables);
    const push = jest.spyOn(tables, 'push');
    later(() => push.mockRestore());
    const real = Tables.prototype.push.bind(tables);
    push.mockImplementation(async (...args) => {
      most = Math.max(most, ++running);
      await whole;
      try {
        return await real(...args);
      } finally {
        running--;
      }
    });
    const body = gzipSync(JSON.stringify({ lastSync: 0, changes: row(2 * 1_048_576) }));
    const replies = senders.map((sender) => post('/push/clinic', sender, body, { 'Content-Encoding': 'gzip' }));
    expect(await Promise.all(replies)).toEqual(senders.map(() => 200));
    expect(most).toBe(2);
  });

  test.each([
    ['is cut short', gzipSync('{"changes":[]}').subarray(0, -9), { 'Content-Encoding': 'gzip' }, 'bad_request'],
    ['is packed in no known way', Buffer.from('{}'), { 'Content-Encoding': 'zip' }, 'bad_request'],
    ['is of another charset', Buffer.from('{}'), { 'Content-Type': 'application/json; charset=klingon' }, 'bad_request'], // prettier-ignore
    ['is no JSON', Buffer.from('{'), {}, 'malformed_json'],
    ['is called text', Buffer.from('{}'), { 'Content-Type': 'text/plain' }, 'bad_request'],
  ])('a push whose body %s is refused', async (_what, body, more, code) => {
    const [a] = await clients(1);
    const headers = { Authorization: `Bearer ${a!.token}`, 'Content-Type': 'application/json', ...more };
    const response = await fetch(`${server.url}/push/clinic`, { method: 'POST', headers, body: new Uint8Array(body) });
    expect([response.status, await response.json()]).toEqual([400, expect.objectContaining({ code })]);
  });

  test('a sender who goes away in the middle of a push is no fault', async () => {
    const [a] = await clients(1);
    const headers = { Authorization: `Bearer ${a!.token}`, 'Content-Type': 'application/json', 'Content-Length': '2000000' }; // prettier-ignore
    const faults = () => figure(server.url, 'pairline_errors_total{code="internal"}');
    const before = await faults();
    const bytes = requestBytes({ method: 'POST', path: '/push/clinic', headers });
    for (let i = 0; i < 5; i++) await abandon(server.url, bytes);
    // The account may receive four at once: those places are free again.
    expect(await post('/push/clinic', a!, gzipSync('{"changes":[]}'), { 'Content-Encoding': 'gzip' })).toBe(200);
    expect(await faults()).toBe(before);
  });

  test('a pull of many pages comes whole, in order, each row once', async () => {
    const [a, b] = await clients(2);
    const rows = Array.from({ length: 2500 }, (_, i) => change(randomUUID(), NOON, { n: i, text: 'x'.repeat(1000) }));
    for (let first = 0; first < rows.length; first += 500) await a!.push(0, rows.slice(first, first + 500), { isPartial: 1 }); // prettier-ignore
    const { data, lastSync } = await b!.pull(0);
    expect(data.map(({ rowData }) => (rowData as { n: number }).n)).toEqual(rows.map((_, i) => i));
    expect((await b!.pull(lastSync)).data).toEqual([]);
    // All of them have lost against what stands: told all the same, page by page.
    const pulled = await b!.pull(lastSync, (rows as { rowguid: string }[]).slice(0, 1000).map(({ rowguid }) => change(rowguid, NOON))); // prettier-ignore
    expect(pulled.data).toHaveLength(1000);
    expect(pulled.outdatedRowsGuid).toHaveLength(1000);
  });

  test('who does not read a large pull holds nothing up, and who hangs up ends it', async () => {
    const [a, b] = await clients(2);
    const rows = () => Array.from({ length: 30 }, (_, i) => change(randomUUID(), NOON, { n: i, text: 'x'.repeat(100_000) })); // prettier-ignore
    for (let i = 0; i < 5; i++) await a!.push(0, rows(), { isPartial: 1 });
    const { port } = new URL(server.url);
    const asked = request({
      port,
      method: 'POST',
      path: '/pull/clinic',
      headers: { Authorization: `Bearer ${b!.token}`, 'Content-Type': 'application/json' },
    });
    asked.end(JSON.stringify({ lastSync: 0, changes: [] }));
    const answered = await new Promise<IncomingMessage>((resolve) => asked.once('response', resolve));
    answered.pause();
    expect(answered.statusCode).toBe(200);
    expect((await a!.pull(0)).data).toHaveLength(150);
    const closed = new Promise((resolve) => asked.once('close', resolve));
    answered.destroy();
    await closed;
    expect((await b!.pull(0)).data).toHaveLength(150);
  });

  test('what changes while a client pulls is not missed by it', async () => {
    const [a, b] = await clients(2);
    const all = Array.from({ length: 1500 }, () => randomUUID());
    for (let first = 0; first < all.length; first += 500) await a!.push(0, all.slice(first, first + 500).map((guid) => change(guid, NOON, 0))); // prettier-ignore
    const rows = new Map<string, unknown>();
    let lastSync = 0;
    const sync = async () => {
      const pulled = await b!.pull(lastSync);
      for (const { rowguid, operation, rowData } of pulled.data)
        if (operation === 'D') rows.delete(rowguid);
        else rows.set(rowguid, rowData);
      ({ lastSync } = pulled);
    };
    const change100 = (n: number) => a!.push(0, all.slice(n * 100, n * 100 + 100).map((guid, i) => change(guid, NOON + 1 + n, i % 7 === 0 ? undefined : n))); // prettier-ignore
    await Promise.all([sync(), ...Array.from({ length: 15 }, (_, n) => change100(n))]);
    await sync();
    expect(Object.fromEntries(rows)).toEqual(await stored(a!));
  });
});

describe('live', () => {
  const recordsIn = (client: Client): Change[] => client.all<Page>('changes').flatMap(({ changes }) => changes).filter(({ kind }) => kind === 'record'); // prettier-ignore
  const kept = <T extends Client>(client: T): T => (later(() => client.close()), client);

  test('a push reaches who follows by cursor, deletions too, and the same again does not', async () => {
    const [a] = await clients(1, server, 'default');
    const following = kept(follower(server.url, a!.token));
    await following.connected();
    const guid = randomUUID();
    await a!.push(0, [change(guid, '2024-06-01T12:00:00Z', { title: 'Milk' })]);
    await a!.push(0, [change(guid, '2024-06-01T12:00:00Z', { title: 'Milk' })]);
    await a!.push(0, [change(guid, NOON + 1)]);
    await following.until(() => recordsIn(following).length >= 2);
    expect(recordsIn(following)).toEqual([
      {
        seq: expect.any(Number),
        kind: 'record',
        id: guid,
        op: 'put',
        at: expect.any(Number),
        row: { id: guid, table: 'todos', data: { title: 'Milk' }, clientDate: '2024-06-01T12:00:00Z', origin: a!.id },
      },
      { seq: expect.any(Number), kind: 'record', id: guid, op: 'delete', at: expect.any(Number) },
    ]);
  });

  test('a message, a state and a record arrive over one socket in one order', async () => {
    const handset = kept(await phone(server.url));
    const token = await pair(server.url, handset);
    const web = kept(await browser(server.url, token));
    const { sid } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sid: string };
    const tables = TableClient.withToken(server.url, 'default', sid, token);
    const following = kept(follower(server.url, token));
    const guid = randomUUID();
    const round = (n: number) => [
      handset.send('mobile:messages', { messages: [message({ id: `m${n}` })] }),
      web.send('state:put', { key: `k${n}`, value: n }),
      tables.push(0, [change(guid, NOON + n, n)]),
    ];
    for (let n = 0; n < 5; n++) await Promise.all(round(n));
    const seen = () => following.all<Page>('changes').flatMap(({ changes }) => changes);
    const has = (kind: string, count: number) => seen().filter((one) => one.kind === kind).length >= count;
    await following.until(() => has('message', 5) && has('state', 5) && recordsIn(following).at(-1)?.seq !== undefined && (recordsIn(following).at(-1)!.row as { data: number }).data === 4); // prettier-ignore
    const seqs = seen().map(({ seq }) => seq);
    expect([...seqs].sort((x, y) => x - y)).toEqual(seqs);
    expect(new Set(seqs).size).toBe(seqs.length);
  });

  test('the snapshot has living rows', async () => {
    const [a] = await clients(1, server, 'default');
    const [one, two] = [randomUUID(), randomUUID()];
    await a!.push(0, [change(one, NOON, [1]), change(two, NOON, [2])]);
    await a!.push(0, [change(two, NOON + 1)]);
    const { body } = await call<Page>(server.url, '/api/snapshot', { token: a!.token });
    expect(body.changes.filter(({ kind }) => kind === 'record')).toMatchObject([
      { id: one, row: { id: one, table: 'todos', data: [1], clientDate: NOON, origin: a!.id } },
    ]);
  });
});
