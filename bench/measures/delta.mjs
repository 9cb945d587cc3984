// A client that was away reads everything in pages of 500; the reference reads the same rows with `findMany`.
import { meter } from '../processes.mjs';
import { request } from '../pairing.mjs';

const PAGE = 500;

/** How often a text occurs in bytes. */
function count(bytes, text) {
  let found = 0;
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + text.length)) found++;
  return found;
}

const SEQ = Buffer.from('"seq":');

/**
 * Follows the cursor to the end.
 * @param {number} port
 * @param {string} token
 */
async function readAll(port, token) {
  let after = '0';
  let rows = 0;
  let bytes = 0;
  for (;;) {
    const { status, body } = await request(port, 'GET', `/api/changes?after=${after}&limit=${PAGE}`, { token });
    if (status !== 200) throw new Error(`status ${status}: ${body.toString('utf8', 0, 300)}`);
    bytes += body.length;
    rows += count(body, SEQ);
    // The page itself is not parsed: `cursor` and `more` stand at its end or before its rows.
    const edges = body.toString('utf8', 0, 200) + body.toString('utf8', Math.max(0, body.length - 200));
    const cursor = [...edges.matchAll(/"cursor":"?(\d+)/g)].at(-1)?.[1];
    if (cursor === undefined) throw new Error(`no cursor in ${edges}`);
    if (/"more":false/.test(edges)) return { rows, bytes };
    if (cursor === after) throw new Error(`the cursor stands still at ${cursor}`);
    after = cursor;
  }
}

/** @param {import('../bench.mjs').Bench} bench */
export async function delta(bench) {
  const rows = bench.quick ? 20_000 : 100_000;
  const cluster = await bench.cluster();
  const ours = await bench.ours();
  const load = bench.load();
  const [pair] = await bench.ourPairs(ours, 1);
  await load.call('backfill', { port: ours.port, pair, rows, batch: PAGE, inFlight: 4, watched: {} });
  await cluster.query(ours.database, 'VACUUM ANALYZE');
  const prisma = await bench.prisma(ours.database);
  const watched = { postmaster: cluster.postmaster };
  /** @type {Record<string, any[]>} */
  const runs = { ours: [], prisma: [], opened: [] };
  for (let round = 0; round <= bench.rounds; round++) {
    const stop = meter({ server: ours.pid, ...watched });
    const run = await readAll(ours.port, pair.sessionToken);
    run.costs = stop();
    const reference = await prisma.call('read', { phoneId: pair.deviceId, take: PAGE, watched });
    const opened = await prisma.call('read', { phoneId: pair.deviceId, take: PAGE, watched, open: true });
    if (run.rows < rows || reference.rows !== rows || opened.rows !== rows)
      throw new Error(`${run.rows} changes and ${reference.rows} rows were read, not ${rows}`);
    // The first finds the code cold.
    if (round === 0) continue;
    for (const [name, one] of Object.entries({ ours: run, prisma: reference, opened })) {
      one.rate = one.rows / one.costs.wall;
      one.cpu = ((one.costs.server + one.costs.postgres) / one.rows) * 10_000;
      one.summary = `${Math.round(one.rate)} rows/s`;
      runs[name].push(bench.keep(`delta ${name}`, one));
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  return [
    {
      measure: `delta sync of ${rows / 1000}k by ${PAGE} vs findMany`,
      unit: 'rows/s',
      ours: of('ours', 'rate'),
      reference: of('prisma', 'rate'),
      must: { atLeast: 2 },
      aim: { atLeast: 4 },
    },
    {
      measure: 'the same, `findMany` opens the contents too',
      unit: 'rows/s',
      ours: of('ours', 'rate'),
      reference: of('opened', 'rate'),
    },
    {
      measure: 'delta sync: Node + Postgres CPU',
      unit: 'CPU-s/10k',
      ours: of('ours', 'cpu'),
      reference: of('prisma', 'cpu'),
    },
  ];
}
