// Files: upload and download of one after the other, and what the server holds while 20 large ones come at once. A bare
// stream to disk flushes nothing; ours acknowledges what is on disk.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Server } from '../server.mjs';

const MIB = 2 ** 20;
const part = Buffer.alloc(65_536, 'pairline');
const TUS = { 'Tus-Resumable': '1.0.0' };
const agent = false;

/** So many bytes, of which only one part is in memory. */
function* bytes(size) {
  for (let left = size; left > 0; left -= part.length) yield left < part.length ? part.subarray(0, left) : part;
}

/** Resolves with the reply's headers once all of its body has come. */
function exchange(port, method, path, headers, size = 0) {
  return new Promise((resolve, reject) => {
    const options = { port, method, path, agent, headers: { ...headers, 'Content-Length': size } };
    const sent = httpRequest(options, (reply) => {
      let got = 0;
      reply.on('data', (chunk) => (got += chunk.length));
      reply.on('error', reject);
      reply.on('end', () =>
        reply.statusCode < 300
          ? resolve({ headers: reply.headers, got })
          : reject(new Error(`${method} ${path} answered ${reply.statusCode}`)),
      );
    });
    sent.on('error', reject);
    if (size === 0) sent.end();
    else Readable.from(bytes(size), { objectMode: false, highWaterMark: 4 * part.length }).pipe(sent);
  });
}

/** Both ends as pairs of functions over one size. */
function ends(server, token) {
  const auth = { ...TUS, Authorization: `Bearer ${token}` };
  const upload = async (size, more = {}) => {
    const { headers } = await exchange(server.port, 'POST', '/api/files', { ...auth, 'Upload-Length': size, ...more });
    const part = { ...auth, 'Content-Type': 'application/offset+octet-stream', 'Upload-Offset': 0 };
    await exchange(server.port, 'PATCH', headers.location, part, size);
    return headers.location;
  };
  return {
    upload: (size) => upload(size),
    /** In four parts at the same time, which are joined. */
    async uploadParts(size) {
      const parts = await Promise.all(
        Array.from({ length: 4 }, () => upload(size / 4, { 'Upload-Concat': 'partial' })),
      );
      const joined = { ...auth, 'Upload-Concat': `final;${parts.join(' ')}` };
      return (await exchange(server.port, 'POST', '/api/files', joined)).headers.location;
    },
    download: (path) => exchange(server.port, 'GET', path, auth),
    remove: (path) => exchange(server.port, 'DELETE', path, auth),
  };
}

let names = 0;
function bareEnds(server) {
  return {
    async upload(size) {
      const path = `/file${names++ % 4}`;
      await exchange(server.port, 'PUT', path, {}, size);
      return path;
    },
    download: (path) => exchange(server.port, 'GET', path, {}),
    remove: async () => undefined,
  };
}

const speed = async (size, work) => {
  const begin = performance.now();
  const result = await work();
  return { mbs: size / 1e6 / ((performance.now() - begin) / 1000), result };
};

/** Both ways, `times` files one after the other. */
async function oneByOne(bench, name, { upload, download, remove }, size, times) {
  const run = { upload: 0, download: 0 };
  const paths = [];
  const up = await speed(size * times, async () => {
    for (let i = 0; i < times; i++) paths.push(await upload(size));
  });
  const down = await speed(size * times, async () => {
    for (const path of paths) if ((await download(path)).got !== size) throw new Error('a download was cut short');
  });
  for (const path of paths) await remove(path);
  Object.assign(run, { upload: up.mbs, download: down.mbs });
  (bench.runs[`files ${name}`] ??= []).push(run);
  bench.say(`  files ${name}: up ${Math.round(run.upload)} MB/s, down ${Math.round(run.download)} MB/s`);
  return run;
}

/** The most that a process has resident while `work` is done, MiB. */
async function peak(pid, work) {
  let most = 0;
  const look = () => {
    const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1];
    most = Math.max(most, Number(kib) / 1024);
  };
  const timer = setInterval(look, 50);
  try {
    await work();
    look();
  } finally {
    clearInterval(timer);
  }
  return most;
}

async function parallel(bench, server, { upload, remove }, size) {
  let paths = [];
  const most = await peak(server.pid, async () => {
    paths = await Promise.all(Array.from({ length: 20 }, () => upload(size)));
  });
  for (const path of paths) await remove(path);
  (bench.runs['files parallel'] ??= []).push({ size, peak: most });
  bench.say(`  files parallel: 20 of ${Math.round(size / 1e6)} MB, at most ${Math.round(most)} MiB resident`);
  return most;
}

function bareFiles() {
  const folder = mkdtempSync(join(tmpdir(), 'pairline-bench-files-'));
  const file = fileURLToPath(new URL('../bare-files.mjs', import.meta.url));
  const after = () => rmSync(folder, { recursive: true, force: true });
  return new Server(file, { BARE_FOLDER: folder }, { after }).ready();
}

/** @param {import('../bench.mjs').Bench} bench */
export async function files(bench) {
  const [ours, bare] = [await bench.ours(), await bareFiles()];
  const [pair] = await bench.ourPairs(ours, 1);
  const [us, them] = [ends(ours, pair.sessionToken), bareEnds(bare)];
  const [size, times] = bench.quick ? [64 * MIB, 2] : [256 * MIB, 4];
  // Code and caches of both come first.
  for (const end of [us, them]) await oneByOne(bench, 'warm-up', end, 16 * MIB, 2);
  const figures = { us: [], them: [], parts: [], large: [], small: [] };
  const inParts = { ...us, upload: us.uploadParts };
  for (let round = 0; round < bench.rounds; round++) {
    figures.us.push(await oneByOne(bench, 'ours', us, size, times));
    figures.them.push(await oneByOne(bench, 'bare', them, size, times));
    figures.parts.push(await oneByOne(bench, 'in parts', inParts, size, times));
  }
  const large = bench.quick ? 20e6 : 200e6;
  for (let round = 0; round < bench.rounds; round++) {
    figures.small.push(await parallel(bench, ours, us, large / 10));
    figures.large.push(await parallel(bench, ours, us, large));
  }
  await bare.stop();
  const row = (measure, key) => ({
    ...{ measure, unit: 'MB/s', must: { atLeast: 0.5 } },
    ...{ ours: figures.us.map((run) => run[key]), reference: figures.them.map((run) => run[key]) },
  });
  return [
    row(`upload of files of ${size / MIB} MiB, beside a bare stream to disk`, 'upload'),
    row('download of the same', 'download'),
    {
      measure: 'upload of the same in four parts at once that are joined, beside in one',
      ...{ unit: 'MB/s', must: { atLeast: 0.2 } },
      ...{ ours: figures.parts.map((run) => run.upload), reference: figures.us.map((run) => run.upload) },
    },
    {
      measure: `resident at most during 20 uploads of ${large / 1e6} MB at once, beside 20 of a tenth`,
      ...{ unit: 'MiB', ours: figures.large, reference: figures.small, must: { atMost: 1.3 } },
    },
  ];
}
