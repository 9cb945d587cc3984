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
  const runs = { ours: [], bare: [], native: [] };
  for (let round = 0; round < bench.rounds; round++) {
    for (const name of Object.keys(runs)) {
      const { seconds, inFlight } = bench;
      // Existing phones just report 'sent'; native ones first acknowledge that they have the message, which is stored too.
      const [group, native] = name === 'native' ? ['ours', true] : [name, false];
      const warmup = round === 0 ? bench.warmup * 2 : bench.warmup;
      const run = await load.call('sends', { group, seconds, warmup, inFlight, native, watched: watched[group] });
      run.rate = run.rounds / run.costs.wall;
      run.cpu = ((run.costs.server + run.costs.postgres) / run.rounds) * 10_000;
      run.summary = `${Math.round(run.rate)} sends/s, p50 ${run.p50.toFixed(1)} ms, p99 ${run.p99.toFixed(1)} ms`;
      runs[name].push(bench.keep(`send ${name}`, run));
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
    {
      measure: 'send to a phone that acknowledges',
      unit: '/s',
      ours: of('native', 'rate'),
      reference: of('bare', 'rate'),
    },
    { measure: 'send: Node + Postgres CPU', unit: 'CPU-s/10k', ours: of('ours', 'cpu'), reference: of('bare', 'cpu') },
  ];
}
