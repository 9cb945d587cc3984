// What a message costs when much is stored already. Only sizes matter, so the stored rows are made by SQL: nobody signs in
// to their accounts, and their contents are sealed with no key.

/** The conversations of an account, and its messages. */
const CONVERSATIONS = 5;
const MESSAGES = 100;
/** About what a sealed number and body of 330 bytes take. */
const CONTENT_BYTES = 288;

const bytes = (count) =>
  `decode(left(repeat(md5(random()::text || i), ${Math.ceil(count / 16)}), ${count * 2}), 'hex')`;

/**
 * In the order in which messages arrive: every account has some before any has all.
 * @param {number} accounts
 */
export const seed = (accounts) => `
  CREATE TEMP TABLE crowd AS SELECT i, gen_random_uuid() AS id FROM generate_series(1, ${accounts}) i;
  INSERT INTO accounts (id, seq, data_key) SELECT id, ${2 + CONVERSATIONS + MESSAGES}, ${bytes(60)} FROM crowd;
  INSERT INTO devices (account_id, id, seq, at, kind, phone_id, token_hash, content)
    SELECT id, 'phone', 1, 0, 'phone', 'seeded-' || i, sha256(('seeded-' || i)::bytea), ${bytes(80)} FROM crowd;
  INSERT INTO devices (account_id, id, seq, at, kind, paired_with, content)
    SELECT id, 'browser', 2, 0, 'browser', 'phone', ${bytes(80)} FROM crowd;
  INSERT INTO conversations (account_id, id, seq, at, content, number_index, last_message_time)
    SELECT id, 'c-' || c, 2 + c, 0, ${bytes(120)}, ${bytes(32)}, 1700000000000
    FROM generate_series(1, ${CONVERSATIONS}) c CROSS JOIN crowd;
  INSERT INTO messages (account_id, id, seq, at, conversation_id, type, read, timestamp, content)
    SELECT id, 'm-' || m, ${2 + CONVERSATIONS} + m, 0, 'c-' || (1 + m % ${CONVERSATIONS}), 'received', m < 95, 1700000000000 + m, ${bytes(CONTENT_BYTES)}
    FROM crowd CROSS JOIN generate_series(1, ${MESSAGES}) m ORDER BY m, i;`;

/** @param {import('../bench.mjs').Bench} bench */
export async function growth(bench) {
  const cluster = await bench.cluster();
  const load = bench.load();
  const sizes = { large: bench.quick ? 1000 : 10_000, small: 10 };
  const servers = {};
  for (const [group, accounts] of Object.entries(sizes)) {
    const server = await bench.ours();
    bench.say(`  storing ${accounts * MESSAGES} messages in ${accounts} accounts`);
    await cluster.query(server.database, seed(accounts));
    await cluster.query(server.database, 'VACUUM ANALYZE');
    await load.call('open', { group, port: server.port, pairs: await bench.ourPairs(server) });
    servers[group] = server;
  }
  await cluster.query('postgres', 'CHECKPOINT');
  /** @type {Record<string, any[]>} */
  const runs = { large: [], small: [] };
  // The first round is for code and caches to warm up.
  for (let round = 0; round <= bench.rounds; round++) {
    for (const group of Object.keys(runs)) {
      const { seconds, warmup, inFlight } = bench;
      const run = await load.call('saturate', {
        group,
        seconds,
        warmup,
        inFlight,
        watched: bench.watched(servers[group]),
      });
      if (round === 0) continue;
      run.cpu = ((run.costs.server + run.costs.postgres) / run.delivered) * 10_000;
      run.rate = run.delivered / run.costs.wall;
      run.summary = `${run.cpu.toFixed(2)} CPU-s/10k, ${Math.round(run.rate)} msg/s`;
      runs[group].push(bench.keep(`growth ${group}`, run));
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  const words = (accounts) => `${(accounts * MESSAGES) / 1000}k in ${accounts} accounts`;
  return [
    {
      measure: `growth, CPU a message: ${words(sizes.large)} vs ${words(sizes.small)}`,
      unit: 'CPU-s/10k',
      ours: of('large', 'cpu'),
      reference: of('small', 'cpu'),
      must: { atMost: 1.2 },
      aim: { atMost: 1.05 },
    },
    {
      measure: 'growth, msg/s at saturation',
      unit: 'msg/s',
      ours: of('large', 'rate'),
      reference: of('small', 'rate'),
    },
  ];
}
