// Table sync (wire.md, section C): a client's first push, another's first pull, many that go back and forth, and what people
// who sign in cost the messages of others. The references go to the same Postgres through `pg`, in the clear, without HTTP.
import { randomBytes, randomUUID } from 'node:crypto';
import { request } from '../pairing.mjs';
import { meter } from '../processes.mjs';
import { Worker } from '../worker.mjs';
import { emptyTables } from './backfill.mjs';
import { state } from './state.mjs';

const BATCH = 100;
const CLIENTS = 16;
const SIGN_INS = 50;
/** Messages a second while people sign in. */
const MESSAGES = 500;
const LONG_AGO = Date.UTC(2024, 0, 1);

/** About 400 bytes as JSON, as a row of an app is. */
const newRow = (n) => ({
  operation: 'I',
  rowguid: randomUUID(),
  tablename: 'todos',
  clientdate: LONG_AGO + n,
  rowData: { title: `Row ${n}`, done: n % 2 === 0, note: randomBytes(110).toString('hex'), tags: ['one', 'two'] },
});

async function post(port, token, path, body) {
  const { status, body: answer } = await request(port, 'POST', path, { token, body });
  if (status !== 200) throw new Error(`${path}: status ${status}: ${answer.toString('utf8', 0, 300)}`);
  return answer;
}

const pull = (port, token, lastSync, changes = []) => post(port, token, '/pull/default', { lastSync, isPartial: 0, changes }); // prettier-ignore
const push = async (port, token, lastSync, changes, isPartial = 0) =>
  JSON.parse((await post(port, token, '/push/default', { lastSync, isPartial, changes })).toString());

/** A client that has everything to tell. */
async function pushAll(port, token, rows) {
  let answered;
  for (let first = 0; first < rows.length; first += BATCH)
    answered = await push(port, token, 0, rows.slice(first, first + BATCH), first + BATCH < rows.length ? 1 : 0);
  if (answered.lastSync < rows.length) throw new Error(`${answered.lastSync} of ${rows.length} rows were told`);
}

/** The two clients of an account, each with its token: its browser and its phone. */
const clientsOf = ({ sessionToken, deviceToken }) => [sessionToken, deviceToken];
const accountOf = ({ sessionToken }) => JSON.parse(Buffer.from(sessionToken.split('.')[1], 'base64url').toString()).sub;

/** Pull, announcing the row that the push then brings. */
async function cycles(port, tokens, seconds, warmup, watched) {
  let done = 0;
  let end = Infinity;
  const client = async (token) => {
    const row = newRow(0);
    let lastSync = 0;
    for (let i = 1; performance.now() < end; i++, done++) {
      const change = { ...row, operation: 'U', clientdate: LONG_AGO + i };
      await pull(port, token, lastSync, [{ ...change, rowData: undefined }]);
      ({ lastSync } = await push(port, token, lastSync, [change]));
    }
  };
  const running = tokens.map(client);
  await new Promise((resolve) => setTimeout(resolve, warmup * 1000));
  done = 0;
  const stop = meter(watched);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const result = { cycles: done, costs: stop() };
  end = 0;
  await Promise.all(running);
  return result;
}

/** @param {import('../bench.mjs').Bench} bench */
async function tables(bench) {
  const cluster = await bench.cluster();
  const ours = await bench.ours();
  const watched = bench.watched(ours);
  const database = await emptyTables(bench);
  const reference = new Worker('./table-reference.mjs', { DATABASE_URL: cluster.url(database) });
  const sealed = new Worker('./table-reference.mjs', { DATABASE_URL: cluster.url(ours.database) });
  const count = 10_000;
  const referenceArgs = { watched: { postmaster: cluster.postmaster } };
  /** @type {Record<string, any[]>} */
  const runs = { push: [], pushReference: [], pull: [], pullReference: [], cycles: [], cyclesReference: [] };
  try {
    // One round more than counted: the first finds the code cold and the tables empty.
    for (let round = 0; round <= bench.rounds; round++) {
      const [pair] = await bench.ourPairs(ours, 1);
      const [one, other] = clientsOf(pair);
      const rows = Array.from({ length: count }, (_, n) => newRow(n));
      let stop = meter(watched);
      await pushAll(ours.port, one, rows);
      const pushed = { rows: count, costs: stop() };
      const pushedReference = await reference.call('push', { rows, batch: BATCH, ...referenceArgs });

      await cluster.query(ours.database, 'VACUUM ANALYZE records');
      stop = meter(watched);
      const text = await pull(ours.port, other, 0);
      const pulled = { rows: count, bytes: text.length, costs: stop() };
      if (JSON.parse(text.toString()).data.length !== count) throw new Error('the pull was not whole');
      const pulledReference = await sealed.call('pull', { account: accountOf(pair), ...referenceArgs });
      if (pulledReference.rows !== count) throw new Error(`the reference read ${pulledReference.rows} rows`);

      const seconds = round === 0 ? 1 : bench.seconds;
      const tokens = (await bench.ourPairs(ours, CLIENTS / 2)).flatMap(clientsOf);
      const cycled = await cycles(ours.port, tokens, seconds, bench.warmup, watched);
      const args = { clients: CLIENTS, seconds, warmup: bench.warmup, row: newRow(0), ...referenceArgs };
      const cycledReference = await reference.call('cycles', args);
      if (round === 0) continue;

      const told = { push: pushed, pushReference: pushedReference, pull: pulled, pullReference: pulledReference, cycles: cycled, cyclesReference: cycledReference }; // prettier-ignore
      for (const [name, run] of Object.entries(told)) {
        if ('cycles' in run) run.rate = run.cycles / run.costs.wall;
        else run.rate = run.rows / run.costs.wall;
        run.ms = run.costs.wall * 1000;
        run.summary = 'bytes' in run ? `${run.ms.toFixed(0)} ms for ${run.bytes} bytes` : `${Math.round(run.rate)}/s`;
        runs[name].push(bench.keep(`sync ${name}`, run));
      }
    }
  } finally {
    reference.stop();
    sealed.stop();
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  return [
    {
      measure: `push of ${count / 1000}k records by ${BATCH} vs an INSERT a row`,
      unit: 'rows/s',
      ours: of('push', 'rate'),
      reference: of('pushReference', 'rate'),
      must: { atLeast: 3 },
      aim: { atLeast: 8 },
    },
    {
      measure: `pull of ${count / 1000}k records vs SELECT + JSON.stringify`,
      unit: 'ms',
      ours: of('pull', 'ms'),
      reference: of('pullReference', 'ms'),
      must: { atMost: 1.5 },
      aim: { atMost: 1.1 },
    },
    {
      measure: `pull and push of a row, ${CLIENTS} clients vs a transaction`,
      unit: 'cycles/s',
      ours: of('cycles', 'rate'),
      reference: of('cyclesReference', 'rate'),
      must: { atLeast: 1 },
      aim: { atLeast: 3 },
    },
  ];
}

/** @param {import('../bench.mjs').Bench} bench */
async function signIns(bench) {
  const ours = await bench.ours();
  const watched = bench.watched(ours);
  const load = bench.load();
  await load.call('open', { group: 'ours', port: ours.port, pairs: await bench.ourPairs(ours) });
  const people = Array.from({ length: SIGN_INS }, (_, n) => ({
    name: `Person ${n}`,
    email: `${randomUUID()}@example.org`,
    password: randomBytes(12).toString('hex'),
    clientId: randomUUID(),
    newRegistration: true,
  }));
  for (const person of people) await post(ours.port, undefined, '/register/default', person);

  /** @type {Record<string, any[]>} */
  const runs = { busy: [], alone: [] };
  for (let round = 0; round <= bench.rounds; round++)
    for (const name of Object.keys(runs)) {
      let end = name === 'busy' ? Infinity : 0;
      let signedIn = 0;
      const running = people.map(async ({ email, password, clientId }) => {
        for (; performance.now() < end; signedIn++) await signIn(ours.port, email, password, clientId);
      });
      const { seconds, warmup } = bench;
      const run = await load.call('paced', { group: 'ours', rate: MESSAGES, seconds, warmup, watched });
      end = 0;
      await Promise.all(running);
      if (round === 0) continue;
      run.summary = `p99 ${run.p99.toFixed(2)} ms, ${signedIn} sign-ins`;
      runs[name].push(bench.keep(`sign-ins ${name}`, run));
    }
  return [
    {
      measure: `relay p99 while ${SIGN_INS} sign in vs alone`,
      unit: 'ms',
      ours: runs.busy.map(({ p99 }) => p99),
      reference: runs.alone.map(({ p99 }) => p99),
      must: { atMost: 2 },
      aim: { atMost: 1.2 },
    },
  ];
}

async function signIn(port, email, password, clientId) {
  const authorization = `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
  const headers = { authorization, 'Content-Type': 'application/json' };
  const answer = await fetch(`http://127.0.0.1:${port}/login/default`, { method: 'POST', headers, body: JSON.stringify({ clientId }) }); // prettier-ignore
  if (answer.status !== 200) throw new Error(`login: status ${answer.status}: ${await answer.text()}`);
  await answer.arrayBuffer();
}

/** @param {import('../bench.mjs').Bench} bench */
export async function sync(bench) {
  return [...(await tables(bench)), ...(await state(bench)), ...(await signIns(bench))];
}
