// The load of what one writes and several get: connections on raw frames, in a process of its own. Each writes the same event
// again and again, and hears what all write. Driven by `Worker` in worker.mjs.
import { meter } from './processes.mjs';
import { answerCalls, sleep, until } from './operations.mjs';
import { FrameTemplate, RawSocket, startsWith } from './socket.mjs';

/** Of nine digits, as they all are then. */
const FIRST_ACK = 100_000_000;
const ACK_DIGITS = 9;
const SLOT = `{{ack:${ACK_DIGITS}}}`;

/** How an event is said and heard; an acknowledgement is `ack`, its number and, if it is good, `ok`. */
const WIRES = {
  socketIo: {
    said: (event, payload) => `42${SLOT}["${event}",${payload}]`,
    heard: (event) => Buffer.from(`2["${event}"`),
    ack: Buffer.from('3'),
    ok: Buffer.from('[{"ok":true'),
  },
  ws: {
    said: (event, payload) => `{"type":"${event}","data":${payload},"id":${SLOT}}`,
    heard: (event) => Buffer.from(`{"type":"${event}"`),
    ack: Buffer.from('{"type":"ack","id":'),
    ok: Buffer.from(',"data":{"ok":true'),
  },
};

/** One connection: what it has on its way is filled up as acks come in. */
class Writer {
  sent = 0;
  acked = 0;
  told = 0;
  refused = 0;
  firstRefusal = '';
  window = 0;

  constructor(socket, wire, { event, payload, answer }) {
    this.socket = socket;
    this.wire = wire;
    this.answer = wire.heard(answer);
    this.failed = wire.heard('error');
    this.template = new FrameTemplate(wire.said(event, payload));
    socket.onPacket = (buffer, start, end) => this.hear(buffer, start, end);
    socket.onRead = () => this.fill();
  }

  hear(buffer, start, end) {
    const { ack, ok } = this.wire;
    if (startsWith(buffer, this.answer, start)) return void this.told++;
    if (startsWith(buffer, this.failed, start)) lost ||= buffer.toString('utf8', start, end);
    if (!startsWith(buffer, ack, start)) return;
    if (startsWith(buffer, ok, start + ack.length + ACK_DIGITS)) this.acked++;
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
        key: this.sent % 4,
        n: this.sent,
      });
    this.socket.write(out);
  }
}

/** @type {Map<string, Writer[]>} */
const groups = new Map();
let lost = '';

const total = (writers, key) => writers.reduce((sum, writer) => sum + writer[key], 0);

const operations = {
  /**
   * `connections`: what each presents, as `RawSocket.open` takes it. They say `event` with `payload`, JSON that may have the
   * slots `key` and `n`, and hear of it as `answer`.
   */
  async open({ group, port, wire, connections, ...says }) {
    const opened = [];
    for (const presents of connections) {
      const socket = await RawSocket.open({ port, ...presents });
      socket.onClose = (why) => (lost ||= `a connection to port ${port}: ${why}`);
      opened.push(new Writer(socket, WIRES[wire], says));
    }
    groups.set(group, opened);
  },

  /** As much as the server takes, with `inFlight` events unacked, each of which `reach` connections hear of. */
  async saturate({ group, seconds, warmup, inFlight, reach, watched }) {
    const writers = groups.get(group);
    const writing = writers.slice(0, inFlight);
    for (const writer of writing) {
      writer.window = Math.ceil(inFlight / writing.length);
      writer.fill();
    }
    await sleep(warmup * 1000);
    const before = { acked: total(writers, 'acked'), told: total(writers, 'told') };
    const stop = meter(watched);
    await sleep(seconds * 1000);
    const costs = stop();
    const acked = total(writers, 'acked') - before.acked;
    const told = total(writers, 'told') - before.told;
    for (const writer of writers) writer.window = 0;
    const due = () => total(writers, 'acked') * reach;
    await until(() => total(writers, 'inFlight') === 0 && total(writers, 'told') >= due(), 15_000);
    return {
      acked,
      told,
      costs,
      lost: due() - total(writers, 'told'),
      unanswered: total(writers, 'inFlight'),
      refused: total(writers, 'refused'),
      firstRefusal: writers.find((writer) => writer.firstRefusal !== '')?.firstRefusal,
    };
  },
};

answerCalls(operations, () => {
  const what = lost;
  lost = '';
  return what;
});
