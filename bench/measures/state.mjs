// Session state: what one device writes reaches the three of its account. The reference tells the same to the same sockets
// and keeps nothing.
import { barePairs } from '../pairing.mjs';

const DEVICES = 3;
/** About what an app keeps of where somebody is: 300 bytes. */
const STATE =
  '{"route":"/orders/4711","scroll":1{{n:8}},"filters":{"status":["open","paid"],"query":"tram bridge","page":3},' +
  '"draft":{"text":"Running ten minutes late, the tram stopped at the bridge again. Start without me.","caret":81},' +
  '"panels":{"left":240,"right":0,"open":true},"theme":"dark","zoom":100}';
const SAYS = {
  event: 'session-update',
  answer: 'session-updated',
  payload: `{"sessionKey":"view-{{key:1}}","state":${STATE}}`,
};

/** Over Socket.IO. @param {import('../bench.mjs').Bench} bench */
export async function state(bench) {
  const must = { must: { atLeast: 0.5 }, aim: { atLeast: 0.7 } };
  return compare(bench, await bench.bare(), { name: 'state', what: 'session-update', wire: 'socketIo', ...must });
}

/** Over `/ws`, beside a server of nothing but `ws`. @param {import('../bench.mjs').Bench} bench */
export async function ws(bench) {
  const must = { must: { atLeast: 0.4 }, aim: { atLeast: 0.6 } };
  return compare(bench, await bench.bareWs(), { name: 'ws', what: 'session-update over /ws', wire: 'ws', ...must });
}

/** What the devices of one account present. */
function devicesOf(wire, token) {
  return Array.from({ length: DEVICES }, (_, n) => {
    const deviceInfo = JSON.stringify({ deviceId: `device-${n}`, name: `Device ${n}`, type: 'web' });
    return wire === 'ws' ? { path: '/ws', query: { token, deviceInfo } } : { auth: { token }, query: { deviceInfo } };
  });
}

async function compare(bench, bare, { name, what, wire, ...must }) {
  const ours = await bench.ours();
  const load = bench.load('./fan-out-client.mjs');
  const watched = { ours: bench.watched(ours), bare: { server: bare.pid } };
  const pairs = { ours: await bench.ourPairs(ours), bare: barePairs(bench.pairs) };
  for (const [group, { port }] of Object.entries({ ours, bare })) {
    const connections = pairs[group].flatMap(({ sessionToken }) => devicesOf(wire, sessionToken));
    await load.call('open', { group, wire, port, connections, ...SAYS });
  }

  /** @type {Record<string, any[]>} */
  const runs = { ours: [], bare: [] };
  for (let round = 0; round < bench.rounds; round++) {
    for (const group of Object.keys(runs)) {
      const { seconds, warmup, inFlight } = bench;
      const args = {
        group,
        seconds,
        warmup: round === 0 ? warmup * 2 : warmup,
        inFlight,
        reach: DEVICES,
        watched: watched[group],
      };
      const run = await load.call('saturate', args);
      const delivered = run.told / DEVICES;
      run.rate = Math.min(delivered, run.acked) / run.costs.wall;
      run.cpu = ((run.costs.server + run.costs.postgres) / delivered) * 10_000;
      run.summary = `${Math.round(run.rate)} updates/s, ${run.cpu.toFixed(2)} CPU-s/10k`;
      runs[group].push(bench.keep(`${name} ${group}`, run));
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  return [
    {
      measure: `${what} to 3 devices`,
      unit: 'msg/s',
      ours: of('ours', 'rate'),
      reference: of('bare', 'rate'),
      ...must,
    },
    {
      measure: `${what}: Node + Postgres CPU`,
      unit: 'CPU-s/10k',
      ours: of('ours', 'cpu'),
      reference: of('bare', 'cpu'),
    },
  ];
}
