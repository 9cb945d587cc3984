// npm run bench [-- measure … --quick --rounds 3 --markdown --self]
//
// Each figure stands beside its reference, taken in turns in one run on one machine. Progress goes to stderr, the table to
// stdout, everything to bench/results/<time>.json.
import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench } from './bench.mjs';
import { agent } from './measures/agent.mjs';
import { backfill } from './measures/backfill.mjs';
import { delta } from './measures/delta.mjs';
import { files } from './measures/files.mjs';
import { groups } from './measures/groups.mjs';
import { growth } from './measures/growth.mjs';
import { latency } from './measures/latency.mjs';
import { memory } from './measures/memory.mjs';
import { pairing } from './measures/pairing.mjs';
import { relay } from './measures/relay.mjs';
import { send } from './measures/send.mjs';
import { ws } from './measures/state.mjs';
import { sync } from './measures/sync.mjs';
import { web } from './measures/web.mjs';
import { markdown, median, table } from './report.mjs';

const measures = {
  relay,
  latency,
  send,
  backfill,
  delta,
  memory,
  pairing,
  growth,
  web,
  agent,
  sync,
  files,
  groups,
  ws,
};
/** Those that need nothing but the bare relay, with `--self`. */
const bareAlone = ['relay', 'latency', 'send', 'memory'];

const HELP = `npm run bench [-- <measure> … options]

measures   ${Object.keys(measures).join(', ')} (all when none is named)
--quick    one short round: does it run, and roughly how fast?
--rounds   how often each side has its turn (3)
--markdown the table for docs/performance.md
--self     the bare relay against itself: how much the figures vary (${bareAlone.join(', ')})`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    markdown: { type: 'boolean', default: false },
    self: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** What a commit costs at least: a page written and flushed, where the databases are. Milliseconds. */
function flushTime() {
  const path = join(tmpdir(), `pairline-bench-flush-${process.pid}`);
  const file = openSync(path, 'w');
  const page = Buffer.alloc(8192, 1);
  const times = Array.from({ length: 50 }, () => {
    const begin = performance.now();
    writeSync(file, page);
    fdatasyncSync(file);
    return performance.now() - begin;
  });
  closeSync(file);
  unlinkSync(path);
  return median(times);
}

function machine() {
  return {
    node: process.version,
    cpu: `${cpus().length} × ${cpus()[0].model.trim()}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    flushMs: Number(flushTime().toFixed(2)),
  };
}

async function main() {
  const unknown = positionals.filter((name) => !(name in measures));
  if (options.help || unknown.length > 0) {
    console.log(unknown.length > 0 ? `No such measure: ${unknown.join(', ')}\n\n${HELP}` : HELP);
    process.exitCode = options.help ? 0 : 2;
    return;
  }
  if (process.platform !== 'linux') throw new Error('the bench reads CPU and memory from /proc: it needs Linux');
  const chosen = positionals.length > 0 ? positionals : options.self ? bareAlone : Object.keys(measures);
  const rounds = Number(options.rounds ?? (options.quick ? 1 : 3));
  const bench = new Bench({ quick: options.quick, self: options.self, rounds });
  const about = machine();
  console.error(`${about.cpu}, ${about.memoryGiB} GiB, Node ${about.node}, a flush takes ${about.flushMs} ms\n`);

  const rows = [];
  const failures = [];
  try {
    for (const name of chosen) {
      bench.say(name);
      try {
        rows.push(...(await measures[name](bench)));
      } catch (error) {
        failures.push([`${name}: ${error.stack}`, ...bench.lastWords()].join('\n'));
        bench.say(`  failed: ${error.message}`);
      }
      await bench.tidy();
    }
  } finally {
    await bench.end();
  }

  const date = new Date().toISOString();
  mkdirSync(new URL('results/', import.meta.url), { recursive: true });
  const file = `results/${date.slice(0, 19).replace(/:/g, '-')}.json`;
  const remarks = [...bench.remarks.values()];
  const result = { date, options, machine: about, rows, remarks, failures, runs: bench.runs };
  writeFileSync(new URL(file, import.meta.url), JSON.stringify(result, null, 2));
  console.error('');
  console.log(options.markdown ? markdown(rows) : table(rows));
  if (remarks.length > 0) console.log(`\n${remarks.join('\n')}`);
  if (failures.length > 0) console.log(`\n${failures.join('\n')}`);
  console.error(`\nbench/${file}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
  // Sockets and agents that a measure left to the garbage need not keep us.
  process.exit();
}

await main();
