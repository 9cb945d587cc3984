import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { TestServer } from './support/server.js';
import { change, newAccount, TableClient } from './support/table-client.js';

/*
 * Clients of table sync as existing ones are: they note what they change, pull with those changes announced, drop what has
 * lost, and push the rest. Whatever they do in whichever order, and whatever answers get lost, all end with the same rows,
 * and of each row the newest change stands.
 */

const LONG_AGO = Date.UTC(2024, 0, 1);
const ROWS = 4;

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

interface Row {
  date: number;
  /** Undefined once deleted. */
  value: number | undefined;
}

class AppWithTables {
  readonly rows = new Map<string, Row>();
  private readonly changed = new Map<string, Row>();
  private lastSync = 0;
  /** Between the pull and the push: what is to be pushed, and with which number. */
  private pushing: { changes: Map<string, Row>; lastSync: number } | undefined;

  constructor(
    private readonly client: TableClient,
    /** Some push with the number that the pull answered, some with the one they pulled with. */
    private readonly pushesWhatItPulled: boolean,
    private readonly skew: number,
  ) {}

  edit(guid: string, now: number, value: number | undefined): Row {
    const row = { date: now + this.skew, value };
    this.rows.set(guid, row);
    this.changed.set(guid, row);
    return row;
  }

  async pull(parts: number, isLost: boolean): Promise<void> {
    this.pushing = undefined;
    const announced = [...this.changed];
    const size = Math.ceil(announced.length / parts) || 1;
    const outdated = new Set<string>();
    let lastSync = this.lastSync;
    for (let first = 0; first === 0 || first < announced.length; first += size) {
      const part = announced.slice(first, first + size).map(([guid, { date }]) => change(guid, date));
      const isPartial = first + size < announced.length ? 1 : 0;
      const pulled = await this.client.pull(this.lastSync, part, { isPartial });
      if (isLost && isPartial === 0) return;
      for (const guid of pulled.outdatedRowsGuid) outdated.add(guid);
      for (const { rowguid, operation, clientdate, rowData } of pulled.data) {
        this.rows.set(rowguid, {
          date: clientdate as number,
          value: operation === 'D' ? undefined : (rowData as number),
        });
        // A change of our own is never overwritten without being named.
        if (this.changed.has(rowguid)) expect([...outdated]).toContain(rowguid);
      }
      lastSync = pulled.lastSync;
    }
    for (const guid of outdated) this.changed.delete(guid);
    const changes = new Map(this.changed);
    this.pushing = { changes, lastSync: this.pushesWhatItPulled ? lastSync : this.lastSync };
  }

  async push(parts: number, isLost: boolean): Promise<void> {
    if (this.pushing === undefined) return;
    const { changes, lastSync } = this.pushing;
    const rows = [...changes];
    const size = Math.ceil(rows.length / parts) || 1;
    let answered = 0;
    for (let first = 0; first === 0 || first < rows.length; first += size) {
      const part = rows.slice(first, first + size).map(([guid, { date, value }]) => change(guid, date, value));
      const isPartial = first + size < rows.length ? 1 : 0;
      ({ lastSync: answered } = await this.client.push(lastSync, part, { isPartial }));
    }
    this.pushing = undefined;
    if (isLost) return;
    for (const [guid, row] of rows) if (this.changed.get(guid) === row) this.changed.delete(guid);
    this.lastSync = answered;
  }

  async sync(): Promise<void> {
    await this.pull(1, false);
    await this.push(1, false);
  }

  living(): Record<string, number> {
    return Object.fromEntries(
      [...this.rows].flatMap(([guid, { value }]) => (value === undefined ? [] : [[guid, value]])),
    );
  }
}

const CLIENTS = 3;
const who = fc.nat(CLIENTS - 1);
const parts = fc.integer({ min: 1, max: 3 });
const isLost = fc.integer({ min: 0, max: 5 }).map((n) => n === 0);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('edit' as const), who, row: fc.nat(ROWS - 1), isDelete: fc.boolean() }) }, // prettier-ignore
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pull' as const), who, parts, isLost }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('push' as const), who, parts, isLost }) },
);

test('whatever clients do, all end with the same rows, and of each row the newest change', async () => {
  const steps = fc.array(step, { minLength: 5, maxLength: 30 });
  const skews = fc.array(fc.integer({ min: -4, max: 4 }), { minLength: CLIENTS, maxLength: CLIENTS });
  await fc.assert(
    fc.asyncProperty(steps, skews, async (todo, skew) => {
      const account = await newAccount(server);
      const apps: AppWithTables[] = [];
      for (let i = 0; i < CLIENTS; i++)
        apps.push(new AppWithTables(await TableClient.of(server, account), i % 2 === 0, skew[i]! * 10));
      const guids = Array.from({ length: ROWS }, () => randomUUID());
      const newestDates = new Map<string, number>();
      const written = new Map<string, Row[]>();
      for (const [n, one] of todo.entries()) {
        const app = apps[one.who]!;
        if (one.do === 'pull') await app.pull(one.parts, one.isLost);
        if (one.do === 'push') await app.push(one.parts, one.isLost);
        if (one.do !== 'edit') continue;
        const guid = guids[one.row]!;
        const row = app.edit(guid, LONG_AGO + n * 10, one.isDelete ? undefined : n);
        newestDates.set(guid, Math.max(row.date, newestDates.get(guid) ?? 0));
        written.set(guid, [...(written.get(guid) ?? []), row]);
      }
      for (const app of [...apps, ...apps]) await app.sync();

      const fresh = new AppWithTables(await TableClient.of(server, account), true, 0);
      await fresh.sync();
      for (const app of apps) expect(app.living()).toEqual(fresh.living());
      for (const [guid, rows] of written) {
        const candidates = rows.filter(({ date }) => date === newestDates.get(guid)).map(({ value }) => value);
        expect(candidates).toContain(fresh.living()[guid]);
      }
    }),
    { numRuns: 25, seed: 1 },
  );
});
