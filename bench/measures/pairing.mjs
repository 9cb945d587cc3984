// From a phone's scan to the answer of the browser's long poll: with 2,000 polls waiting, and with that one alone.
import { newPhone, showCode, waitForPairing } from '../pairing.mjs';

const settle = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const SCANS_A_PHONE = 25;

/** A browser that shows a code and waits. */
async function wait(port) {
  const { qrData, token } = await showCode(port);
  const waiter = { qrData, answered: /** @type {Promise<number>} */ (Promise.resolve(0)) };
  waiter.answered = waitForPairing(port, token, false).then(() => performance.now());
  // Those still waiting at the end are turned away with the server.
  waiter.answered.catch(() => {});
  return waiter;
}

/** Some waiting browsers, and the phones that let them in. */
class Crowd {
  /** @type {Awaited<ReturnType<typeof wait>>[]} */
  waiting = [];
  phone = /** @type {Awaited<ReturnType<typeof newPhone>> | null} */ (null);
  scans = 0;

  constructor(port, size) {
    this.port = port;
    this.size = size;
  }

  async fill() {
    const filler = async () => {
      while (this.waiting.length + starting < this.size) {
        starting++;
        const waiter = await wait(this.port);
        starting--;
        this.waiting.push(waiter);
      }
    };
    let starting = 0;
    await Promise.all(Array.from({ length: Math.min(8, this.size) }, filler));
  }

  /** Milliseconds from the scan to the answer. */
  async scan() {
    await this.fill();
    if (this.scans++ % SCANS_A_PHONE === 0) {
      this.phone?.socket.close();
      this.phone = await newPhone(this.port);
    }
    // The poll has arrived, and its sign-in is not in the way of the next.
    await settle(30);
    const { socket, deviceId } = this.phone;
    const { qrData, answered } = this.waiting.shift();
    const paired = socket.next('qr:paired');
    const begin = performance.now();
    socket.emit('mobile:scan-qr', { qrData, deviceId });
    const [end] = await Promise.all([answered, paired]);
    return end - begin;
  }
}

/** @param {import('../bench.mjs').Bench} bench */
export async function pairing(bench) {
  const env = { PAIRING_TTL_SECONDS: '3600' };
  const [quiet, busy] = [await bench.ours({ env }), await bench.ours({ env })];
  const size = bench.quick ? 300 : 2000;
  const samples = bench.quick ? 50 : 150;
  const crowds = { crowd: new Crowd(busy.port, size), alone: new Crowd(quiet.port, 1) };
  bench.say(`  opening ${size} long polls`);
  await crowds.crowd.fill();
  await settle(1000);
  /** @type {Record<string, any[]>} */
  const runs = { crowd: [], alone: [] };
  // The first round is for the code to warm up.
  for (let round = 0; round <= bench.rounds; round++) {
    for (const name of Object.keys(runs)) {
      const times = [];
      for (let i = 0; i < samples; i++) times.push(await crowds[name].scan());
      if (round === 0) continue;
      times.sort((a, b) => a - b);
      const run = { p50: times[samples >> 1], p99: times[Math.floor(samples * 0.99)], max: times[samples - 1] };
      runs[name].push(run);
      (bench.runs[`pairing ${name}`] ??= []).push(run);
      bench.say(`  pairing ${name}: p50 ${run.p50.toFixed(2)} ms, p99 ${run.p99.toFixed(2)} ms`);
    }
  }
  const of = (group, key) => runs[group].map((run) => run[key]);
  return [
    {
      measure: `pairing, scan to answer, p50: ${size} waiting vs one`,
      unit: 'ms',
      ours: of('crowd', 'p50'),
      reference: of('alone', 'p50'),
    },
    {
      measure: `pairing, scan to answer, p99: ${size} waiting vs one`,
      unit: 'ms',
      ours: of('crowd', 'p99'),
      reference: of('alone', 'p99'),
      must: { atMost: 3 },
      aim: { atMost: 1.5 },
    },
  ];
}
