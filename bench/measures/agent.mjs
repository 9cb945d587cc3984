// The phone agent takes over a backup: texts a second, and the memory it needs, beside a bare read of the same file.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { memoryStore, openWebClient } from '@pairline/client';
import { atExit } from '../cleanup.mjs';

const cli = fileURLToPath(new URL('../../phone/dist/cli.js', import.meta.url));
/** Says at the end how much memory was the most: kB, as `getrusage` has it. */
const PEAK = `data:text/javascript,process.on('exit', () => process.stderr.write('peak ' + process.resourceUsage().maxRSS + '\\n'));`;
/** What nobody can do without: the bytes from the disk, and where a text begins in them. */
const BARE = `
import { createReadStream } from 'node:fs';
let texts = 0;
let rest = Buffer.alloc(0);
for await (const read of createReadStream(process.argv[1], { highWaterMark: 1 << 18 })) {
  const chunk = Buffer.concat([rest, read]);
  for (let at = chunk.indexOf('<sms '); at !== -1; at = chunk.indexOf('<sms ', at + 5)) texts++;
  rest = chunk.subarray(-4); // A beginning may be cut in two.
}
console.log(texts + ' read');
`;

/** A backup in the form of "SMS Backup & Restore". */
async function writeBackup(path, count) {
  const out = createWriteStream(path);
  out.write(`<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n<smses count="${count}">\n`);
  const start = Date.UTC(2012, 0, 1);
  for (let i = 0; i < count; i++) {
    const line = `  <sms protocol="0" address="+4915${100_000_000 + (i % 400)}" date="${start + i * 400_000}" type="${1 + (i % 2)}" subject="null" body="Text ${i}: the tram stopped at the bridge again &amp; I am late &#55357;&#56832;" toa="null" sc_toa="null" service_center="null" read="1" status="-1" locked="0" date_sent="0" readable_date="1 Jan 2012 00:00:00" contact_name="Person ${i % 400}" />\n`;
    if (!out.write(line)) await once(out, 'drain');
  }
  out.end('</smses>\n');
  await once(out, 'finish');
}

/** Runs a program to its end; answers seconds, its most memory in MiB, and what it said. */
async function run(args, env = {}) {
  const begin = performance.now();
  const child = spawn(process.execPath, ['--import', PEAK, ...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] }); // prettier-ignore
  const forget = atExit(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said = (said + chunk).slice(-4000)));
  const [code] = await once(child, 'close');
  forget();
  if (code !== 0) throw new Error(`${args.at(-2)} ${args.at(-1)} ended with ${code}: ${said}`);
  return { seconds: (performance.now() - begin) / 1000, peak: Number(/peak (\d+)/.exec(said)[1]) / 1024, said };
}

/** Pairs a simulated phone, which then runs, and ends it once it has told the little that is on it. */
async function pair(state, link) {
  const child = spawn(process.execPath, [cli, '--simulated', ...state, 'pair', link], { stdio: ['ignore', 'pipe', 'inherit'] }); // prettier-ignore
  const forget = atExit(() => child.kill('SIGKILL'));
  const over = once(child, 'close');
  for await (const chunk of child.stdout) if (String(chunk).includes('history is told')) child.kill('SIGTERM');
  const [code] = await over;
  forget();
  if (code !== 0) throw new Error(`the simulated phone ended with ${code}`);
}

/** A link to let a browser in by, which nobody has to open. */
async function showLink(url) {
  const web = await openWebClient({ url, store: memoryStore() });
  const pairing = web.pair({ deviceName: 'Bench', remember: false });
  const link = await new Promise((resolve) => {
    const look = () => pairing.state.link && resolve(pairing.state.link);
    pairing.on('state', look);
    look();
  });
  return { link, close: () => web.close() };
}

/** @param {import('../bench.mjs').Bench} bench */
export async function agent(bench) {
  const count = bench.quick ? 20_000 : 1_000_000;
  const folder = mkdtempSync(join(tmpdir(), 'pairline-bench-agent-'));
  const forget = atExit(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'backup.xml');
  const runs = { agent: [], bare: [] };
  try {
    bench.say(`  writing a backup of ${count} texts`);
    await writeBackup(file, count);
    const megabytes = statSync(file).size / 1e6;
    const rounds = bench.quick ? 1 : Math.min(bench.rounds, 2); // A million texts take minutes.
    for (let round = 0; round < rounds; round++) {
      const server = await bench.ours();
      const state = ['--state', join(folder, `state-${round}`)];
      const { link, close } = await showLink(`http://127.0.0.1:${server.port}`);
      await pair(state, link);
      await close();
      const bare = await run(['--input-type=module', '--eval', BARE, file]);
      const imported = await run([cli, ...state, 'import', file]);
      if (!imported.said.includes(`${count} read: ${count} new`))
        throw new Error(`not all was taken over: ${imported.said}`);
      if (!bare.said.includes(`${count} read`)) throw new Error(`the bare read counted otherwise: ${bare.said}`);
      for (const [name, one] of Object.entries({ agent: imported, bare })) {
        one.rate = count / one.seconds;
        runs[name].push(one);
        (bench.runs[`agent ${name}`] ??= []).push({ rate: one.rate, peak: one.peak });
        bench.say(`  agent ${name}: ${Math.round(one.rate)} texts/s, ${Math.round(one.peak)} MiB at most, of ${Math.round(megabytes)} MB`); // prettier-ignore
      }
    }
  } finally {
    forget();
    rmSync(folder, { recursive: true, force: true });
  }
  const of = (group, key) => runs[group].map((one) => one[key]);
  return [
    { measure: `import of ${count / 1000}k texts vs a bare read of the file`, unit: 'texts/s', ours: of('agent', 'rate'), reference: of('bare', 'rate') }, // prettier-ignore
    { measure: 'import: the most memory', unit: 'MiB', ours: of('agent', 'peak'), reference: of('bare', 'peak') },
  ];
}
