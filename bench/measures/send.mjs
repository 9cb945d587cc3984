// Browser to phone and back: web:send-message, the phone's 'sent', message:status.
import { barePairs } from '../pairing.mjs';

/** @param {import('../bench.mjs').Bench} bench */
export async function send(bench) {
  const [ours, bare] = [await bench.ours(), await bench.bare()];
  const load = bench.load();
  const watched = { ours: bench.watched(ours), bare: { server: bare.pid } };
  await load.call('open', { group: 'ours', port: ours.port, pairs: await bench.ourPairs(ours) });
  await load.call('open', { group: 'bare', port: bare.port, pairs: barePairs(bench.pairs) });
  /** @type {Record<string, any[]>} */
  const runs = { ours: [], bare: [] };
  for (let round = 0; round < bench.rounds; round++) {
    for (const group of Object.keys(runs)) {
      const { seconds, warmup, inFlight } = bench;
      const args = { group, seconds, warmup: round === 0 ? warmup * 2 : warmup, inFlight, watched: watched[group] };
      const run = await load.call('sends', args);
      run.rate = run.rounds / run.costs.wall;
      run.cpu = ((run.costs.server + run.costs.postgres) / run.rounds) * 10_000;
      run.summary = `${Math.round(run.rate)} sends/s, p50 ${run.p50.toFixed(1)} ms, p99 ${run.p99.toFixed(1)} ms`;
      runs[group].push(bench.keep(`send ${group}`, run));
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  return [
    {
      measure: 'send browser → phone → status, saturated',
      unit: '/s',
      ours: of('ours', 'rate'),
      reference: of('bare', 'rate'),
      must: { atLeast: 0.4 },
      aim: { atLeast: 0.7 },
    },
    { measure: 'send: Node + Postgres CPU', unit: 'CPU-s/10k', ours: of('ours', 'cpu'), reference: of('bare', 'cpu') },
  ];
}
