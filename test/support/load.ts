import { randomUUID } from 'node:crypto';
import { call, type Client, follower, message, pair, phone, browser, type Ack, type PhoneClient } from './clients.js';

// Phones and browsers at work: they send without a pause, hand in again what was not acknowledged, and remember what was.

const WINDOW = 4;
/** What a client may meet when the server or its database goes: to be tried again. */
const TRY_AGAIN = ['stopping', 'unavailable', 'busy'];

interface Item {
  number: number;
  id: string;
  event: string;
  payload: unknown;
}

/** Counts acknowledgements of everybody, so that a test can wait for the next so many. */
export class Tally {
  count = 0;
  private waiting: (() => boolean)[] = [];

  add(): void {
    this.count++;
    this.waiting = this.waiting.filter((look) => !look());
  }
  /** Resolves after so many more, and once `enough` is true. */
  more(count: number, enough = () => true): Promise<void> {
    const wanted = this.count + count;
    return new Promise((resolve) => {
      this.waiting.push(() => {
        const isOver = this.count >= wanted && enough();
        if (isOver) resolve();
        return isOver;
      });
    });
  }
}

/** One that sends, in order, a window at a time. */
export class Worker {
  private readonly taken: Item[] = [];
  /** What it was told instead of an acknowledgement. */
  readonly refusals: Ack[] = [];
  private waiting: Item[] = [];
  private made = 0;
  finishing = false;

  constructor(
    private readonly tally: Tally,
    private readonly make: (number: number) => Omit<Item, 'number'>,
  ) {}

  get count(): number {
    return this.taken.length;
  }

  /** The ids of what the server has taken, in the order they were sent. */
  get acked(): string[] {
    return this.taken.sort((a, b) => a.number - b.number).map(({ id }) => id);
  }

  /** Sends on this connection until it breaks, the server refuses, or all is acknowledged and no more is wanted. */
  async run(client: Client): Promise<void> {
    while (client.socket.connected) {
      while (!this.finishing && this.waiting.length < WINDOW) this.waiting.push(this.next());
      if (this.waiting.length === 0) return;
      const taken = await Promise.all(this.waiting.map((item) => this.send(client, item)));
      this.taken.push(...this.waiting.filter((_, i) => taken[i]));
      this.waiting = this.waiting.filter((_, i) => !taken[i]);
      if (taken.includes(false)) return;
    }
  }

  private next(): Item {
    const number = this.made++;
    return { number, ...this.make(number) };
  }

  private async send(client: Client, { event, payload }: Item): Promise<boolean> {
    const ack = await client.send(event, payload).catch(() => undefined);
    if (ack === undefined) return false;
    if (!ack.ok) {
      if (!TRY_AGAIN.includes(ack.code!)) throw new Error(`${event} was refused: ${JSON.stringify(ack)}`);
      this.refusals.push(ack);
      return false;
    }
    this.tally.add();
    return true;
  }
}

export interface Change {
  seq: number;
  kind: string;
  id: string;
  op: 'put' | 'delete';
  row?: Record<string, unknown>;
}

interface Page {
  changes: Change[];
  cursor: number;
}

/** What a client that follows by cursor has made of what it was sent. */
export class Replica {
  cursor = 0;
  /** The number of the newest row; no-ops take numbers too, so the cursor may be ahead. */
  newest = 0;
  readonly rows = new Map<string, Change>();
  /** Every rule that was broken. */
  readonly faults: string[] = [];
  /** The order in which messages were first seen. */
  readonly arrived: string[] = [];

  take({ changes, cursor }: Page): void {
    for (const change of changes) {
      if (change.seq <= this.cursor) this.faults.push(`${change.id} has ${change.seq} after ${this.cursor}`);
      this.cursor = Math.max(this.cursor, change.seq);
      this.newest = change.seq;
      const key = `${change.kind}:${change.id}`;
      if (change.kind === 'message' && !this.rows.has(key)) this.arrived.push(change.id);
      if (change.op === 'delete') this.rows.delete(key);
      else this.rows.set(key, change);
    }
    if (cursor < this.cursor) this.faults.push(`a page up to ${this.cursor} says ${cursor}`);
    this.cursor = cursor;
  }

  view(): Record<string, unknown>[] {
    return [...this.rows.values()].map(({ kind, id, row }) => ({ kind, id, row })).sort(byKey);
  }
}

const byKey = (a: { kind: string; id: string }, b: { kind: string; id: string }) =>
  `${a.kind}:${a.id}` < `${b.kind}:${b.id}` ? -1 : 1;

/** An account at work: a phone, a browser that writes, one that follows by cursor. */
export class Household {
  readonly replica = new Replica();
  readonly name = randomUUID().slice(0, 8);
  readonly fromPhone: Worker;
  readonly fromBrowser: Worker;
  /** The tempIds that the phone was offered, in the order it first met them. */
  readonly offered = new Set<string>();
  handset!: PhoneClient;
  web!: Client;
  following!: Client;

  private constructor(
    tally: Tally,
    private readonly known: { deviceId: string; deviceToken: string },
    readonly token: string,
  ) {
    this.fromPhone = new Worker(tally, (number) => {
      const id = `${this.name}-in-${number}`;
      const told = message({ id, body: `Text ${number}`, conversationId: `thread-${number % 3}` });
      return { id, event: 'mobile:messages', payload: { messages: [told] } };
    });
    this.fromBrowser = new Worker(tally, (number) => {
      const id = `${this.name}-out-${number}`;
      const wanted = { phoneNumber: `+1555020${number % 2}`, message: `Answer ${number}`, tempId: id };
      return { id, event: 'web:send-message', payload: wanted };
    });
  }

  static async start(url: string, tally: Tally): Promise<Household> {
    const handset = await phone(url);
    const household = new Household(tally, handset, await pair(url, handset));
    handset.close();
    return household;
  }

  /** Everybody connects, each with the token they have. Rejects when the server goes meanwhile. */
  async connect(url: string): Promise<void> {
    const [handset, web] = await Promise.all([phone(url, this.known), browser(url, this.token)]);
    this.handset = handset;
    this.web = web;
    this.following = follower(url, this.token, this.replica.cursor);
    // Before `until` looks at what came of them.
    this.following.socket.prependAny((event: string, page: Page) => event === 'changes' && this.replica.take(page));
    for (const { tempId } of handset.all<{ tempId: string }>('send:message')) this.offered.add(tempId);
    handset.socket.prependAny((event: string, { tempId }: { tempId: string }) => event === 'send:message' && this.offered.add(tempId)); // prettier-ignore
  }

  /** Sends until the connections break, or until all is acknowledged once `finish` was called. */
  async work(): Promise<void> {
    await Promise.all([this.fromPhone.run(this.handset), this.fromBrowser.run(this.web)]);
  }

  finish(): void {
    this.fromPhone.finishing = true;
    this.fromBrowser.finishing = true;
  }

  close(): void {
    for (const client of [this.handset, this.web, this.following]) client?.close();
  }

  get acked(): string[] {
    return [...this.fromPhone.acked, ...this.fromBrowser.acked];
  }

  /** Every row, page by page: from the snapshot, or from the first change on. */
  async read(url: string, from: 'snapshot' | 'changes'): Promise<Replica> {
    const whole = new Replica();
    for (let after = 0, more = true; more;) {
      const { status, body } = await call(url, `/api/${from}?after=${after}&limit=200`, { token: this.token });
      if (status !== 200) throw new Error(`/api/${from}: ${status}`);
      after = body.next ?? body.cursor;
      whole.take({ changes: body.changes, cursor: after });
      more = body.more;
    }
    return whole;
  }

  /** Resolves when the follower has all that there is. */
  async caughtUp(url: string): Promise<void> {
    const { newest } = await this.read(url, 'changes');
    await this.following.until(() => this.replica.newest >= newest, `row ${newest}`);
  }
}
