// Session state: what one device writes reaches the three of its account. The reference tells the same to the same sockets
// and keeps nothing.
import { barePairs } from '../pairing.mjs';

/** @param {import('../bench.mjs').Bench} bench */
export async function state(bench) {
  const [ours, bare] = [await bench.ours(), await bench.bare()];
  const load = bench.load('./state-client.mjs');
  const watched = { ours: bench.watched(ours), bare: { server: bare.pid } };
  const tokens = (pairs) => pairs.map(({ sessionToken }) => sessionToken);
  await load.call('open', { group: 'ours', port: ours.port, tokens: tokens(await bench.ourPairs(ours)) });
  await load.call('open', { group: 'bare', port: bare.port, tokens: tokens(barePairs(bench.pairs)) });

  /** @type {Record<string, any[]>} */
  const runs = { ours: [], bare: [] };
  for (let round = 0; round < bench.rounds; round++) {
    for (const group of Object.keys(runs)) {
      const { seconds, warmup, inFlight } = bench;
      const args = { group, seconds, warmup: round === 0 ? warmup * 2 : warmup, inFlight, watched: watched[group] };
      const run = await load.call('saturate', args);
      run.rate = Math.min(run.delivered, run.acked) / run.costs.wall;
      run.cpu = ((run.costs.server + run.costs.postgres) / run.delivered) * 10_000;
      run.summary = `${Math.round(run.rate)} updates/s, ${run.cpu.toFixed(2)} CPU-s/10k`;
      runs[group].push(bench.keep(`state ${group}`, run));
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  return [
    {
      measure: 'session-update to 3 devices',
      unit: 'msg/s',
      ours: of('ours', 'rate'),
      reference: of('bare', 'rate'),
      must: { atLeast: 0.5 },
      aim: { atLeast: 0.7 },
    },
    {
      measure: 'session-update: Node + Postgres CPU',
      unit: 'CPU-s/10k',
      ours: of('ours', 'cpu'),
      reference: of('bare', 'cpu'),
    },
  ];
}
