// The load of session state: accounts of three devices each on raw frames, in a process of its own. Each device writes
// states under a few keys and gets what all three write. Driven by `Worker` in worker.mjs.
import { meter } from './processes.mjs';
import { FrameTemplate, RawSocket, startsWith } from './socket.mjs';

const DEVICES = 3;
const KEYS = 4;
const UPDATED = Buffer.from('2["session-updated"');
const FAILED = Buffer.from('2["error"');
const OK = Buffer.from('[{"ok":true');
const FIRST_ACK = 100_000_000;
/** About what an app keeps of where somebody is: 300 bytes. */
const STATE =
  '{"route":"/orders/4711","scroll":1{{n:8}},"filters":{"status":["open","paid"],"query":"tram bridge","page":3},' +
  '"draft":{"text":"Running ten minutes late, the tram stopped at the bridge again. Start without me.","caret":81},' +
  '"panels":{"left":240,"right":0,"open":true},"theme":"dark","zoom":100}';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One device: what it has on its way is filled up as acks come in. */
class Device {
  sent = 0;
  acked = 0;
  told = 0;
  refused = 0;
  firstRefusal = '';
  window = 0;

  constructor(socket) {
    this.socket = socket;
    this.template = new FrameTemplate(`42{{ack:9}}["session-update",{"sessionKey":"view-{{key:1}}","state":${STATE}}]`);
    socket.onPacket = (buffer, start, end) => this.hear(buffer, start, end);
    socket.onRead = () => this.fill();
  }

  hear(buffer, start, end) {
    if (startsWith(buffer, UPDATED, start)) return void this.told++;
    if (startsWith(buffer, FAILED, start)) lost ||= buffer.toString('utf8', start, end);
    if (buffer[start] !== 0x33) return;
    let at = start + 1;
    while (at < end && buffer[at] !== 0x5b) at++;
    if (startsWith(buffer, OK, at)) this.acked++;
    else {
      this.refused++;
      this.firstRefusal ||= buffer.toString('utf8', start, end);
    }
  }

  get inFlight() {
    return this.sent - this.acked - this.refused;
  }

  fill() {
    const missing = this.window - this.inFlight;
    if (missing <= 0) return;
    const out = Buffer.allocUnsafe(missing * this.template.length);
    for (let i = 0; i < missing; i++, this.sent++)
      this.template.copyTo(out, i * this.template.length, {
        ack: FIRST_ACK + this.sent,
        key: this.sent % KEYS,
        n: this.sent,
      });
    this.socket.write(out);
  }
}

/** @type {Map<string, Device[]>} */
const groups = new Map();
let lost = '';

const total = (devices, key) => devices.reduce((sum, device) => sum + device[key], 0);

const operations = {
  async open({ group, port, tokens }) {
    const opened = [];
    for (const token of tokens)
      for (let n = 0; n < DEVICES; n++) {
        const deviceInfo = JSON.stringify({ deviceId: `device-${n}`, name: `Device ${n}`, type: 'web' });
        const socket = await RawSocket.open({ port, auth: { token }, query: { deviceInfo } });
        socket.onClose = (why) => (lost ||= `device on port ${port}: ${why}`);
        opened.push(new Device(socket));
      }
    groups.set(group, opened);
  },

  /** As much as the server takes, with `inFlight` updates unacked. `delivered`: updates that reached all three devices. */
  async saturate({ group, seconds, warmup, inFlight, watched }) {
    const devices = groups.get(group);
    for (const device of devices) {
      device.window = Math.ceil(inFlight / devices.length);
      device.fill();
    }
    await sleep(warmup * 1000);
    const before = { acked: total(devices, 'acked'), told: total(devices, 'told') };
    const stop = meter(watched);
    await sleep(seconds * 1000);
    const costs = stop();
    const acked = total(devices, 'acked') - before.acked;
    const delivered = (total(devices, 'told') - before.told) / DEVICES;
    for (const device of devices) device.window = 0;
    const settled = () =>
      total(devices, 'inFlight') === 0 && total(devices, 'told') >= total(devices, 'acked') * DEVICES;
    for (const end = performance.now() + 15_000; !settled() && performance.now() < end;) await sleep(5);
    const missing = total(devices, 'acked') - total(devices, 'told') / DEVICES;
    return {
      acked,
      delivered,
      costs,
      lost: missing,
      unanswered: total(devices, 'inFlight'),
      refused: total(devices, 'refused'),
      firstRefusal: devices.find((device) => device.firstRefusal !== '')?.firstRefusal,
    };
  },
};

process.on(
  'message',
  async (/** @type {{ id: number, operation: string, args: object }} */ { id, operation, args }) => {
    try {
      const result = await operations[operation](args);
      if (lost !== '') throw new Error(`a connection was lost: ${lost}`);
      process.send({ id, result });
    } catch (error) {
      lost = '';
      process.send({ id, error: error.stack });
    }
  },
);
process.on('disconnect', () => process.exit());
