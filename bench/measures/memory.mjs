// What an idle connection holds: objects and buffers before and after 5,000 of them, each after a full collection. Not what
// is resident: a process that has had room to spare since its start takes 5,000 connections in without growing.
import { barePairs } from '../pairing.mjs';
import { openFileLimit } from '../processes.mjs';

const settle = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Connects idle browsers to a server, weighs it before and after, and stops it.
 * @param {import('../bench.mjs').Bench} bench
 */
async function hold(bench, name, server, tokens, count, native) {
  const load = bench.load();
  const args = { port: server.port, tokens, native };
  // A few come and go first, so that code and buffers that the first connection brings are not counted.
  await load.call('idle', { ...args, count: 200 });
  await load.call('closeIdle');
  await settle(1000);
  const before = await server.collect();
  await load.call('idle', { ...args, count });
  await settle(2000);
  const after = await server.collect();
  const each = (bytes) => bytes / count / 1024;
  const run = {
    before,
    after,
    resident: each(after.rss - before.rss),
    total: after.rss / 2 ** 20,
    live: each(after.heapUsed + after.external - before.heapUsed - before.external),
  };
  (bench.runs[`memory ${name}`] ??= []).push(run);
  const base = `${Math.round(before.rss / 2 ** 20)} MiB resident, ${Math.round(before.heapUsed / 2 ** 20)} MiB live`;
  bench.say(
    `  memory ${name}: ${run.resident.toFixed(1)} KiB resident, ${run.live.toFixed(1)} KiB live a connection, on top of ${base}`,
  );
  load.stop();
  await server.stop();
  return run;
}

/** @param {import('../bench.mjs').Bench} bench */
export async function memory(bench) {
  const count = Math.min(bench.quick ? 1000 : 5000, openFileLimit() - 500);
  // Five tabs an account. The accounts are made by a server that is gone when memory is measured.
  const accounts = Math.ceil(count / 5);
  const database = bench.self ? '' : await bench.database();
  const maker = await bench.ours({ database });
  const tokens = (await bench.ourPairs(maker, accounts)).map((pair) => pair.sessionToken);
  await maker.stop();
  const names = barePairs(accounts).map((pair) => pair.sessionToken);
  const figures = { native: [], legacy: [], bare: [] };
  for (let round = 0; round < bench.rounds; round++) {
    figures.native.push(await hold(bench, 'ours', await bench.ours({ database }), tokens, count, !bench.self));
    figures.bare.push(await hold(bench, 'bare', await bench.bare(), names, count, false));
    figures.legacy.push(await hold(bench, 'ours (section A)', await bench.ours({ database }), tokens, count, false));
  }
  const of = (group, key) => figures[group].map((run) => run[key]);
  const row = (measure, unit, group, key) => ({ measure, unit, ours: of(group, key), reference: of('bare', key) });
  const bounds = { must: { atMost: 1.6 }, aim: { atMost: 1.2 } };
  return [
    { ...row(`memory per idle connection of ${count}`, 'KiB', 'native', 'live'), ...bounds },
    row('the same, signed in by `web:authenticate`', 'KiB', 'legacy', 'live'),
    row(`resident in all with ${count} connected`, 'MiB', 'native', 'total'),
  ];
}
