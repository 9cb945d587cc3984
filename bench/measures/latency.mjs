// Phone to browser at half of what our server takes: how long a message is on its way. The rate does not wait for answers.
import { barePairs } from '../pairing.mjs';

/** @param {import('../bench.mjs').Bench} bench */
export async function latency(bench) {
  const [ours, bare] = [await bench.ours(), await bench.bare()];
  const load = bench.load();
  const watched = { ours: bench.watched(ours), bare: { server: bare.pid } };
  await load.call('open', { group: 'ours', port: ours.port, pairs: await bench.ourPairs(ours) });
  await load.call('open', { group: 'bare', port: bare.port, pairs: barePairs(bench.pairs) });
  // Both servers are warm before anything is timed.
  const { seconds, inFlight, warmup } = bench;
  await load.call('saturate', { group: 'bare', seconds: 1, warmup: warmup * 2, inFlight, watched: {} });
  const found = await load.call('saturate', { group: 'ours', seconds, warmup: warmup * 2, inFlight, watched: {} });
  bench.saturation ||= found.delivered / found.costs.wall;
  const rate = Math.round(bench.saturation / 2);
  bench.say(`  half of saturation: ${rate} msg/s`);

  /** @type {Record<string, any[]>} */
  const runs = { ours: [], bare: [] };
  for (let round = 0; round < bench.rounds; round++) {
    for (const group of Object.keys(runs)) {
      const run = await load.call('paced', { group, rate, seconds: seconds * 1.5, warmup, watched: watched[group] });
      run.summary = `p50 ${run.p50.toFixed(2)} ms, p99 ${run.p99.toFixed(2)} ms, max ${run.max.toFixed(1)} ms, sent ≤ ${run.sentLateMs.toFixed(1)} ms late`;
      runs[group].push(bench.keep(`latency ${group}`, run));
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  return [
    {
      measure: `latency p50 at ${rate} msg/s`,
      unit: 'ms',
      ours: of('ours', 'p50'),
      reference: of('bare', 'p50'),
      must: { plusAtMost: 5 },
    },
    {
      measure: `latency p99 at ${rate} msg/s`,
      unit: 'ms',
      ours: of('ours', 'p99'),
      reference: of('bare', 'p99'),
      aim: { atMost: 3 },
    },
  ];
}
