// Phone to browser at saturation: how many messages, and what one costs.
import { barePairs } from '../pairing.mjs';

/** CPU seconds for ten thousand messages. */
const per10k = (run, who) => (who.reduce((sum, part) => sum + run.costs[part], 0) / run.delivered) * 10_000;

/** @param {import('../bench.mjs').Bench} bench */
export async function relay(bench) {
  const [ours, bare, whole] = [await bench.ours(), await bench.bare(), await bench.bare({ messageNew: true })];
  const load = bench.load();
  const watched = {
    ours: bench.watched(ours),
    native: bench.watched(ours),
    bare: { server: bare.pid },
    whole: { server: whole.pid },
  };
  await load.call('open', { group: 'ours', port: ours.port, pairs: await bench.ourPairs(ours) });
  await load.call('open', { group: 'bare', port: bare.port, pairs: barePairs(bench.pairs) });
  await load.call('open', { group: 'native', port: ours.port, pairs: await bench.ourPairs(ours), native: !bench.self });
  await load.call('open', { group: 'whole', port: whole.port, pairs: barePairs(bench.pairs) });

  /** @type {Record<string, any[]>} */
  const runs = { ours: [], bare: [], native: [], whole: [] };
  for (let round = 0; round < bench.rounds; round++) {
    for (const group of Object.keys(runs)) {
      const { seconds, warmup, inFlight } = bench;
      // Round one also warms the code up.
      const args = { group, seconds, warmup: round === 0 ? warmup * 2 : warmup, inFlight, watched: watched[group] };
      const run = await load.call('saturate', args);
      run.rate = Math.min(run.delivered, run.acked) / run.costs.wall;
      run.node = per10k(run, ['server']);
      run.all = per10k(run, ['server', 'postgres']);
      run.summary = `${Math.round(run.rate)} msg/s, ${run.node.toFixed(2)} + ${(run.all - run.node).toFixed(2)} CPU-s/10k`;
      runs[group].push(bench.keep(`relay ${group}`, run));
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  bench.saturation = of('ours', 'rate').sort((a, b) => a - b)[Math.floor(bench.rounds / 2)];
  const cpu = 'CPU-s/10k';
  return [
    {
      measure: 'relay phone → browser, saturated',
      unit: 'msg/s',
      ours: of('ours', 'rate'),
      reference: of('bare', 'rate'),
      must: { atLeast: 0.5 },
      aim: { atLeast: 0.7 },
    },
    {
      measure: 'relay: Node CPU a message',
      unit: cpu,
      ours: of('ours', 'node'),
      reference: of('bare', 'node'),
      must: { atMost: 1.8 },
      aim: { atMost: 1.4 },
    },
    {
      measure: 'relay: Node + Postgres CPU a message',
      unit: cpu,
      ours: of('ours', 'all'),
      reference: of('bare', 'node'),
      must: { atMost: 2.6 },
      aim: { atMost: 2 },
    },
    {
      measure: 'relay to native browsers (`changes`)',
      unit: 'msg/s',
      ours: of('native', 'rate'),
      reference: of('bare', 'rate'),
    },
    {
      measure: 'relay to native: Node CPU a message',
      unit: cpu,
      ours: of('native', 'node'),
      reference: of('bare', 'node'),
    },
    {
      measure: 'relay, the bare one sends `message:new` too',
      unit: 'msg/s',
      ours: of('ours', 'rate'),
      reference: of('whole', 'rate'),
    },
    { measure: 'the same: Node CPU a message', unit: cpu, ours: of('ours', 'node'), reference: of('whole', 'node') },
  ];
}
