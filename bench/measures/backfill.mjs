// A phone gives its history of 100,000 messages; the reference stores rows of the same shape and size with `createMany`.
import { readdirSync, readFileSync } from 'node:fs';

const BATCH = 500;
/** Events on their way at once, and `createMany`s at once. */
const IN_FLIGHT = 4;
const MIGRATIONS = new URL('../../prisma/migrations/', import.meta.url);

/**
 * The same tables with the same indexes, in a database of its own.
 * @param {import('../bench.mjs').Bench} bench
 */
export async function emptyTables(bench) {
  const database = await bench.database();
  const folders = readdirSync(MIGRATIONS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of folders.sort((a, b) => (a.name < b.name ? -1 : 1)))
    await (await bench.cluster()).query(database, readFileSync(new URL(`${name}/migration.sql`, MIGRATIONS), 'utf8'));
  return database;
}

/** @param {import('../bench.mjs').Bench} bench */
export async function backfill(bench) {
  const rows = bench.quick ? 20_000 : 100_000;
  const cluster = await bench.cluster();
  const ours = await bench.ours();
  const load = bench.load();
  const prisma = await bench.prisma(await emptyTables(bench));
  const watched = { postmaster: cluster.postmaster };
  let contentBytes = 300;
  /** @type {Record<string, any[]>} */
  const runs = { ours: [], prisma: [] };
  // One round more than counted: the first finds the code cold and the tables empty.
  for (let round = 0; round <= bench.rounds; round++) {
    const [pair] = await bench.ourPairs(ours, 1);
    const args = { rows: round === 0 ? 10_000 : rows, batch: BATCH, inFlight: IN_FLIGHT };
    const run = await load.call('backfill', {
      port: ours.port,
      pair,
      ...args,
      watched: { server: ours.pid, ...watched },
    });
    if (round === 0) {
      const [stored] = await cluster.query(
        ours.database,
        'SELECT count(*)::int AS n, round(avg(length(content)))::int AS bytes FROM messages',
      );
      if (stored.n !== args.rows) throw new Error(`${args.rows} messages were acked, ${stored.n} are stored`);
      contentBytes = stored.bytes;
    }
    const reference = await prisma.call('write', { ...args, contentBytes, watched });
    if (round === 0) continue;
    for (const [name, one] of Object.entries({ ours: run, prisma: reference })) {
      one.rate = one.rows / one.costs.wall;
      one.cpu = ((one.costs.server + one.costs.postgres) / one.rows) * 10_000;
      one.summary = `${Math.round(one.rate)} rows/s`;
      runs[name].push(bench.keep(`backfill ${name}`, one));
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  const what = `${rows / 1000}k messages by ${BATCH}`;
  return [
    {
      measure: `backfill of ${what} vs createMany`,
      unit: 'rows/s',
      ours: of('ours', 'rate'),
      reference: of('prisma', 'rate'),
      must: { atLeast: 2 },
      aim: { atLeast: 4 },
    },
    {
      measure: 'backfill: Node + Postgres CPU',
      unit: 'CPU-s/10k',
      ours: of('ours', 'cpu'),
      reference: of('prisma', 'cpu'),
    },
  ];
}
