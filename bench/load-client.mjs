// The load: many phones and browsers on raw frames, in a process of its own (so that its CPU is known and is not the bench's).
// Driven by `Worker` in worker.mjs; every operation below answers with plain figures.
import { randomBytes } from 'node:crypto';
import { answerCalls, sleep, until } from './operations.mjs';
import { meter } from './processes.mjs';
import { digits, frame, FrameTemplate, RawSocket, startsWith } from './socket.mjs';

const SYNC = Buffer.from('2["messages:sync"');
const CHANGES = Buffer.from('2["changes"');
const STATUS = Buffer.from('2["message:status"');
const SEND = Buffer.from('["send:message"');
const OK = Buffer.from('[{"ok":true');
const TEMP_ID = Buffer.from('"tempId":"');
const MESSAGE_ID = Buffer.from('"messageId":"');
const IS_SENT = Buffer.from('"status":"sent"');
/** Only in the row of a message: a conversation shows the same text as its `lastMessage`. */
const BODY = Buffer.from('"body":"~T~');
const MICROS = 16;
const FIRST_ACK = 100_000_000;

const MESSAGE_BYTES = 330;
const TEXT =
  'Running ten minutes late, the tram stopped at the bridge again. Start without me and keep a seat by the window. ';

/**
 * One message as JSON of 330 bytes, its varying digits as slots.
 * @param {string} prefix makes the id unlike any other of this run
 */
function messageText(prefix) {
  const build = (text) =>
    `{"id":"${prefix}-{{n:12}}","conversationId":"c-{{conversation:2}}","phoneNumber":"+49151000000{{conversation:2}}",` +
    `"body":"~T~{{micros:${MICROS}}} ${text}","timestamp":{{ms:13}},"type":"received","read":false}`;
  const bare = build('').replace(/\{\{\w+:(\d+)\}\}/g, (_, width) => '0'.repeat(Number(width))).length;
  return build(TEXT.repeat(4).slice(0, MESSAGE_BYTES - bare));
}

const unique = () => `b${randomBytes(4).toString('hex')}`;
const micros = () => Math.round(performance.now() * 1000);

/** A phone and its browser. */
class Pair {
  phone = /** @type {RawSocket} */ (/** @type {unknown} */ (null));
  browser = /** @type {RawSocket} */ (/** @type {unknown} */ (null));
  sent = 0;
  acked = 0;
  delivered = 0;
  refused = 0;
  firstRefusal = '';
  /** Microseconds of this process's clock, one for each message that came through while set. */
  latencies = /** @type {number[] | null} */ (null);
  /** How many to have on their way at once; what is missing is sent as acks come in. 0: none. */
  window = 0;

  constructor() {
    this.template = new FrameTemplate(`42{{ack:9}}["mobile:messages",{"messages":[${messageText(unique())}]}]`);
  }

  get inFlight() {
    return this.sent - this.acked - this.refused;
  }

  listen() {
    this.phone.onPacket = (buffer, start, end) => {
      if (buffer[start] === 0x33) this.#ack(buffer, start, end);
    };
    this.phone.onRead = () => this.fill();
    this.browser.onPacket = (buffer, start, end) => {
      if (startsWith(buffer, SYNC, start) || startsWith(buffer, CHANGES, start)) this.#messages(buffer, start, end);
    };
  }

  #ack(buffer, start, end) {
    let at = start + 1;
    while (at < end && buffer[at] !== 0x5b) at++;
    if (startsWith(buffer, OK, at)) this.acked++;
    else {
      this.refused++;
      this.firstRefusal ||= buffer.toString('utf8', start, end);
    }
  }

  #messages(buffer, start, end) {
    for (let at = buffer.indexOf(BODY, start); at !== -1 && at < end; at = buffer.indexOf(BODY, at + MICROS)) {
      this.delivered++;
      if (this.latencies !== null) this.latencies.push(micros() - digits(buffer, at + BODY.length, MICROS));
      // Most events hold one message: do not look for another beyond them.
      if (end - at < MESSAGE_BYTES) break;
    }
  }

  fill() {
    const missing = this.window - this.inFlight;
    if (missing > 0) this.send(missing);
  }

  /** @param {number} count */
  send(count) {
    const out = Buffer.allocUnsafe(count * this.template.length);
    const values = { ack: 0, n: 0, conversation: 0, micros: micros(), ms: Date.now() };
    for (let i = 0; i < count; i++) {
      values.n = this.sent++;
      values.ack = FIRST_ACK + values.n;
      values.conversation = values.n % 20;
      this.template.copyTo(out, i * this.template.length, values);
    }
    this.phone.write(out);
  }
}

/** @type {Map<string, Pair[]>} */
const groups = new Map();
/** @type {RawSocket[]} */
let idlers = [];
let lost = '';

/** Anything that ends a connection in the middle of a measure makes the measure void. */
function watch(socket, who) {
  socket.onClose = (why) => (lost ||= `${who}: ${why}`);
}

function checkConnections() {
  if (lost !== '') throw new Error(`a connection was lost: ${lost}`);
}

const total = (pairs, key) => pairs.reduce((sum, pair) => sum + pair[key], 0);

/** @param {number[]} values sorted in place */
function spread(values) {
  values.sort((a, b) => a - b);
  const at = (share) => values[Math.min(values.length - 1, Math.floor(share * values.length))] / 1000;
  return { count: values.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

function refusals(pairs) {
  const refused = total(pairs, 'refused');
  return { refused, firstRefusal: pairs.find((pair) => pair.firstRefusal !== '')?.firstRefusal };
}

/** Stops sending and waits for what is on its way. */
async function drain(pairs) {
  for (const pair of pairs) pair.window = 0;
  await until(() => pairs.every((pair) => pair.inFlight === 0 && pair.delivered >= pair.acked), 15_000);
  checkConnections();
  return { lost: total(pairs, 'acked') - total(pairs, 'delivered'), unanswered: total(pairs, 'inFlight') };
}

/** A phone sends its registration and waits to be let in. */
async function openPhone(port, pair) {
  const phone = await RawSocket.open({ port });
  const { deviceId, deviceToken } = pair;
  phone.emit('mobile:register', { deviceId, deviceName: 'Bench', deviceModel: 'Load', deviceToken });
  await phone.next('authenticated');
  watch(phone, `phone on port ${port}`);
  return phone;
}

async function openBrowser(port, { sessionToken }, native) {
  const browser = await RawSocket.open({ port, auth: native ? { token: sessionToken, after: 0 } : undefined });
  if (!native) {
    browser.emit('web:authenticate', { sessionToken });
    await browser.next('authenticated');
  }
  watch(browser, `browser on port ${port}`);
  return browser;
}

const operations = {
  /** Connects phones and browsers; they stay until `close`. */
  async open({ group, port, pairs, native = false }) {
    const opened = [];
    for (const account of pairs) {
      const pair = new Pair();
      pair.phone = await openPhone(port, account);
      pair.browser = await openBrowser(port, account, native);
      pair.listen();
      opened.push(pair);
    }
    groups.set(group, opened);
  },

  close({ group }) {
    for (const { phone, browser } of groups.get(group) ?? []) {
      phone.close();
      browser.close();
    }
    groups.delete(group);
  },

  /** As much as the server takes, with `inFlight` messages unacked. Counts messages that reached the browser. */
  async saturate({ group, seconds, warmup, inFlight, watched }) {
    const pairs = groups.get(group);
    for (const pair of pairs) {
      pair.window = Math.ceil(inFlight / pairs.length);
      pair.fill();
    }
    await sleep(warmup * 1000);
    const before = { acked: total(pairs, 'acked'), delivered: total(pairs, 'delivered') };
    const stop = meter(watched);
    await sleep(seconds * 1000);
    const costs = stop();
    const delivered = total(pairs, 'delivered') - before.delivered;
    const acked = total(pairs, 'acked') - before.acked;
    return { delivered, acked, costs, ...(await drain(pairs)), ...refusals(pairs) };
  },

  /** A steady rate whatever the server does; how long each message took to reach the browser, in ms. */
  async paced({ group, rate, seconds, warmup, watched }) {
    const pairs = groups.get(group);
    const begin = performance.now();
    let sent = 0;
    let turn = 0;
    let latest = 0;
    let stop = () => {};
    let measuring = false;
    await new Promise((resolve) => {
      const tick = () => {
        const elapsed = performance.now() - begin;
        if (elapsed > (warmup + seconds) * 1000) return resolve(undefined);
        if (!measuring && elapsed > warmup * 1000) {
          measuring = true;
          stop = meter(watched);
          for (const pair of pairs) pair.latencies = [];
        }
        const due = Math.floor((elapsed * rate) / 1000);
        if (measuring) latest = Math.max(latest, (due - sent) / rate);
        for (; sent < due; sent++) pairs[turn++ % pairs.length].send(1);
        setTimeout(tick, 1);
      };
      tick();
    });
    const costs = stop();
    const rest = await drain(pairs);
    const latencies = pairs.flatMap((pair) => pair.latencies);
    for (const pair of pairs) pair.latencies = null;
    return { ...spread(latencies), sentLateMs: latest * 1000, costs, ...rest, ...refusals(pairs) };
  },

  /** Browsers send, phones answer 'sent' at once; a round is over when the browser sees that. */
  async sends({ group, seconds, warmup, inFlight, native, watched }) {
    const pairs = groups.get(group);
    let rounds = 0;
    let acks = 0;
    let refused = 0;
    let firstRefusal = '';
    let latencies = /** @type {number[] | null} */ (null);
    let sending = true;
    const restore = [];
    const open = pairs.map(() => new Map());
    pairs.forEach((pair, index) => {
      const prefix = unique();
      const body = TEXT.repeat(2).slice(0, 200);
      const send = new FrameTemplate(
        `42{{ack:9}}["web:send-message",{"phoneNumber":"+49151000000{{to:2}}","message":"${body}","tempId":"${prefix}-{{n:12}}"}]`,
      );
      const answer = new FrameTemplate(
        `42["mobile:message-status",{"messageId":"${prefix}-{{n:12}}","status":"sent"}]`,
      );
      const waiting = open[index];
      let next = 0;
      let outgoing = /** @type {Buffer[]} */ ([]);
      const fill = () => {
        const missing = Math.ceil(inFlight / pairs.length) - waiting.size;
        if (!sending || missing <= 0) return;
        const frames = [];
        for (let i = 0; i < missing; i++, next++) {
          waiting.set(next, micros());
          frames.push(send.build({ ack: FIRST_ACK + next, to: next % 20, n: next }));
        }
        pair.browser.write(Buffer.concat(frames));
      };
      const idAt = (buffer, key, start) => buffer.indexOf(key, start) + key.length + prefix.length + 1;
      restore.push(() => (pair.listen(), (pair.browser.onRead = () => {})));

      pair.phone.onPacket = (buffer, start, end) => {
        let at = start + 1;
        while (at < end && buffer[at] !== 0x5b) at++;
        if (buffer[start] !== 0x32 || !startsWith(buffer, SEND, at)) return;
        if (native && at > start + 1)
          outgoing.push(frame(`43${buffer.toString('latin1', start + 1, at)}[{"ok":true}]`));
        outgoing.push(answer.build({ n: digits(buffer, idAt(buffer, TEMP_ID, at), 12) }));
      };
      pair.phone.onRead = () => {
        if (outgoing.length === 0) return;
        pair.phone.write(Buffer.concat(outgoing));
        outgoing = [];
      };
      pair.browser.onPacket = (buffer, start, end) => {
        if (buffer[start] === 0x33) {
          let at = start + 1;
          while (at < end && buffer[at] !== 0x5b) at++;
          if (startsWith(buffer, OK, at)) return void acks++;
          refused++;
          firstRefusal ||= buffer.toString('utf8', start, end);
          waiting.delete(Number(buffer.toString('latin1', start + 1, at)) - FIRST_ACK);
          return;
        }
        if (!startsWith(buffer, STATUS, start)) return;
        const sent = buffer.indexOf(IS_SENT, start);
        if (sent === -1 || sent >= end) return;
        const n = digits(buffer, idAt(buffer, MESSAGE_ID, start), 12);
        const since = waiting.get(n);
        if (since === undefined) return;
        waiting.delete(n);
        rounds++;
        latencies?.push(micros() - since);
      };
      pair.browser.onRead = fill;
      fill();
    });
    await sleep(warmup * 1000);
    const before = rounds;
    latencies = [];
    const stop = meter(watched);
    await sleep(seconds * 1000);
    const costs = stop();
    const done = rounds - before;
    const times = latencies;
    latencies = null;
    sending = false;
    await until(() => open.every((waiting) => waiting.size === 0), 15_000);
    for (const put of restore) put();
    checkConnections();
    const unanswered = open.reduce((sum, waiting) => sum + waiting.size, 0);
    return {
      rounds: done,
      acks,
      ...spread(times),
      costs,
      unanswered,
      refused,
      firstRefusal: firstRefusal || undefined,
    };
  },

  /** One phone gives its whole history, `batch` messages an event, a few events on their way. No browser listens. */
  async backfill({ port, pair, rows, batch, inFlight, watched }) {
    const phone = await openPhone(port, pair);
    const message = messageText(unique());
    const start = Date.now() - rows * 60_000;
    const frames = [];
    for (let first = 0; first < rows; first += batch) {
      const messages = [];
      for (let n = first; n < Math.min(first + batch, rows); n++) {
        const values = { n, conversation: n % 20, micros: n, ms: start + n * 60_000 };
        messages.push(
          message.replace(/\{\{(\w+):(\d+)\}\}/g, (_, name, width) =>
            String(values[name]).padStart(Number(width), '0'),
          ),
        );
      }
      frames.push(frame(`42${FIRST_ACK + frames.length}["mobile:messages",{"messages":[${messages.join(',')}]}]`));
    }
    let answered = 0;
    let refused = 0;
    let firstRefusal = '';
    let next = 0;
    await new Promise((resolve) => setImmediate(resolve));
    const stop = meter(watched);
    await new Promise((resolve, reject) => {
      const fill = () => {
        while (next < frames.length && next - answered < inFlight) phone.write(frames[next++]);
        if (answered === frames.length) resolve(undefined);
      };
      phone.onClose = (why) => reject(new Error(`the phone was disconnected: ${why}`));
      phone.onPacket = (buffer, from, to) => {
        if (buffer[from] !== 0x33) return;
        answered++;
        const ok = buffer.indexOf(OK, from);
        if (ok !== -1 && ok < to) return;
        refused++;
        firstRefusal ||= buffer.toString('utf8', from, to);
      };
      phone.onRead = fill;
      fill();
    });
    const costs = stop();
    phone.close();
    return { rows, costs, refused, firstRefusal: firstRefusal || undefined };
  },

  /** Browsers that connect and then say nothing; tokens are taken in turn. */
  async idle({ port, tokens, count, native }) {
    let next = 0;
    const opener = async () => {
      while (next < count) {
        const sessionToken = tokens[next++ % tokens.length];
        idlers.push(await openBrowser(port, { sessionToken }, native));
      }
    };
    await Promise.all(Array.from({ length: 50 }, opener));
    checkConnections();
    return { connected: idlers.length };
  },

  closeIdle() {
    for (const socket of idlers) socket.close();
    idlers = [];
  },
};

answerCalls(operations, () => {
  const what = lost;
  lost = '';
  return what;
});
