import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chunkText } from '../src/changes/chunk.js';
import { Feed } from '../src/changes/feed.js';
import type { MessageStatus } from '../src/messaging/message.js';
import {
  browser,
  call,
  Client,
  follower,
  generateQr,
  message,
  pair,
  phone,
  type Ack,
  type PhoneClient,
} from './support/clients.js';
import { createTestDatabase, type TestDatabase } from './support/postgres.js';
import { TestServer } from './support/server.js';
import { byDelta, byLongPoll, bySnapshot, byStream, EventStream, keep, newest, shown, View, type Change, type Page } from './support/views.js'; // prettier-ignore
import { WsClient } from './support/ws.js';

/*
 * Every way to receive is one read at another tempo: whichever a client takes, and however often it comes and goes, it
 * ends up with what a snapshot shows.
 */

const limits = { registrationsPerHour: 0, qrCodesPerMinute: 0, sendsPerMinute: 0 };
let database: TestDatabase;
let server: TestServer;
const clients: { close(): void }[] = [];
const kept = <T extends { close(): void }>(client: T): T => (clients.push(client), client);
const claim = (token: string, name: 'sid' | 'sub') =>
  (JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, string>)[name]!;
const byId = <T extends { id: string }>(rows: T[]) => [...rows].sort((a, b) => (a.id < b.id ? -1 : 1));

beforeAll(async () => {
  database = await createTestDatabase();
  server = await TestServer.start({ database, limits });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
afterAll(async () => {
  await server.stop();
  await database.drop();
});

/** What a browser is sent that signs in by event and keeps nothing. */
async function signedIn(token: string, { conversations, messages }: ReturnType<typeof shown>) {
  const web = await browser(server.url, token);
  const told = conversations.length > 0 ? (await web.next('conversations:sync')).conversations : [];
  const sent = () => web.all('messages:sync').flatMap((page) => page.messages);
  if (messages.length > 0) await web.until(() => sent().length >= messages.length, 'the whole snapshot');
  web.close();
  return { conversations: byId(told), messages: byId(sent()) };
}

describe('every view is the snapshot', () => {
  interface World {
    handset: PhoneClient;
    web: Client;
    token: string;
  }
  const tell = ({ handset }: World, ...messages: unknown[]) => handset.send('mobile:messages', { messages });
  const told = ({ handset }: World, ...conversations: unknown[]) =>
    handset.send('mobile:conversations', { conversations });
  const write = ({ web }: World, fields: Record<string, unknown> = {}) =>
    web.send('web:send-message', { phoneNumber: '+15550100', message: 'From the web', tempId: 't1', ...fields });
  const report = ({ handset }: World, messageId: string, status: MessageStatus) =>
    handset.send('mobile:message-status', { messageId, status });
  const conversation = (fields: Record<string, unknown> = {}) => ({
    id: 'thread-1',
    phoneNumber: '+15550100',
    contactName: 'Ann',
    lastMessage: 'Told',
    lastMessageTime: Date.UTC(2026, 5, 1),
    unreadCount: 2,
    ...fields,
  });
  const odd = message({ body: '\ud800 "\\ \u2028 \0 é 😀', phoneNumber: 'Ünïcode <b>', id: 'i"d\\\u2028😀' });

  /** Each does one kind of thing to an account that has a message `m1` and a queued one `t0`. */
  const CHANGES: Record<string, (world: World) => Promise<unknown>> = {
    'a message arrives': (world) => tell(world, message()),
    'a thousand messages arrive': (world) => tell(world, ...Array.from({ length: 1000 }, () => message())),
    'a message of a new conversation arrives': (world) =>
      tell(world, message({ conversationId: 'x', phoneNumber: '1' })),
    'a message with odd characters arrives': (world) => tell(world, odd),
    'a message arrives twice in one batch': (world) => tell(world, ...[false, true].map((read) => message({ id: 'm2', read }))), // prettier-ignore
    'a message is told again': (world) => tell(world, message({ id: 'm1' })),
    'a message was read on the phone': (world) => tell(world, message({ id: 'm1', read: true })),
    'a message moves on': async (world) => {
      await tell(world, message({ id: 'm2', type: 'sent', status: 'sent' }));
      await report(world, 'm2', 'delivered');
    },
    'a message moves back': async (world) => {
      await report(world, 't0', 'sent');
      await report(world, 't0', 'sending');
    },
    'the phone deletes a message': ({ handset }) => handset.send('message:deleted', { messageId: 'm1' }),
    'a browser deletes a queued message': ({ web }) => web.send('web:delete-message', { messageId: 't0' }),
    'a deleted message is told again': async (world) => {
      await world.handset.send('message:deleted', { messageId: 'm1' });
      await tell(world, message({ id: 'm1' }));
    },
    'the phone tells of a conversation': (world) => told(world, conversation()),
    'the phone tells of it again, and of others': async (world) => {
      await told(world, conversation());
      await told(world, conversation(), conversation({ id: 'b', phoneNumber: '2', contactName: null }));
      await told(
        world,
        conversation({ contactName: undefined, unreadCount: 0, lastMessageTime: Date.UTC(2026, 6, 1) }),
      );
    },
    'the phone tells of a conversation from before': (world) => told(world, conversation({ lastMessageTime: 5 })),
    'a browser reads a conversation': ({ web }) => web.send('web:mark-read', { conversationId: 'thread-1' }),
    'a browser reads it, the phone does not know, a message arrives': async (world) => {
      await told(world, conversation());
      await world.web.send('web:mark-read', { conversationId: 'thread-1' });
      await told(world, conversation());
      await tell(world, message({ timestamp: Date.UTC(2026, 7, 1) }));
    },
    'a browser writes': (world) => write(world),
    'a browser writes the same again': (world) => write(world, { tempId: 't0' }),
    'a browser writes to somebody new': (world) => write(world, { phoneNumber: '+15550777' }),
    'the phone names a conversation that a browser began': async (world) => {
      await write(world, { phoneNumber: '+15550777' });
      await tell(world, message({ conversationId: 'thread-7', phoneNumber: '+1 555 0777' }));
    },
    'the phone takes what a browser wrote': async (world) => {
      world.handset.socket.on('send:message', (_: unknown, ack: (reply: unknown) => void) => ack({ ok: true }));
      await write(world);
      await world.web.next('message:status', ({ status }) => status === 'sending');
    },
    'the phone gives it an id of its own': async (world) => {
      await tell(world, message({ id: 'sms-1', type: 'sent', status: 'sent', body: 'From the web', timestamp: Date.now() })); // prettier-ignore
      await report(world, 'sms-1', 'delivered');
    },
    'the phone has sent it': ({ handset }) => handset.send('message:sent', { phoneNumber: '+15550100', messageId: 'sms-1' }), // prettier-ignore
    'nobody took it in time, and it is sent again': async (world) => {
      await write(world, { validUntil: Date.now() + 50 });
      await world.web.next('message:status', ({ status }) => status === 'failed');
      await write(world);
    },
    'the phone comes back under another name': async ({ handset: { deviceId, deviceToken } }) => {
      const again = kept(new Client(server.url));
      await again.send('mobile:register', { deviceId, deviceToken, deviceName: 'Renamed', deviceModel: 'T2' });
    },
    'a browser is renamed': ({ token }) =>
      call(server.url, `/api/devices/${claim(token, 'sid')}`, { token, method: 'PATCH', body: { name: 'Kitchen' } }),
    'devices put values, change and delete them': async ({ handset, web }) => {
      await web.send('state:put', {
        key: 'a "odd\\ \u2028 key 😀',
        value: { text: '\ud800 "\\ \0 é 😀', list: [1, [null]] },
      });
      await handset.send('state:put', { key: 'b', value: 1 });
      await web.send('state:put', { key: 'b', value: null });
      await web.send('state:put', { key: 'b', value: 2, ifAbsent: true });
      await handset.send('state:put', { key: 'c', value: false });
      await web.send('state:delete', { key: 'c' });
      await handset.send('state:put', { key: 'd', value: '' });
      await handset.send('state:delete', { key: 'd' });
      await web.send('state:put', { key: 'd', value: 'again', ifAbsent: true });
    },
    'a browser lets in another one': async ({ token }) => {
      const qr = await generateQr(server.url);
      await call(server.url, '/api/pairing/claim', { token, body: { qrData: qr.qrData } });
    },
    'a browser is let in': ({ handset }) => pair(server.url, handset),
    'a browser is removed': async ({ handset, token }) => {
      const other = await pair(server.url, handset);
      await call(server.url, `/api/devices/${claim(other, 'sid')}`, { token, method: 'DELETE' });
    },
    'much happens at the same time': async (world) => {
      await Promise.all([
        tell(world, message({ id: 'm2', type: 'sent' }), message({ id: 'm1', read: true })),
        told(world, conversation()),
        write(world),
        report(world, 't0', 'sent'),
        report(world, 'm2', 'delivered'),
        world.web.send('web:mark-read', { conversationId: 'thread-1' }),
        world.handset.send('message:deleted', { messageId: 'm1' }),
        world.handset.send('state:put', { key: 'k', value: 1 }),
        world.web.send('state:put', { key: 'k', value: 2 }),
        world.web.send('state:delete', { key: 'k' }),
        tell(world, message(), message({ id: 'm2', type: 'sent', status: 'sent' })),
        pair(server.url, world.handset),
      ]);
    },
  };

  test.each(Object.keys(CHANGES))('after: %s', async (what) => {
    const handset = kept(await phone(server.url));
    const token = await pair(server.url, handset);
    const world: World = { handset, token, web: kept(await browser(server.url, token)) };
    await tell(world, message({ id: 'm1' }));
    await write(world, { tempId: 't0' });

    // Those that keep up…
    const failures: unknown[] = [];
    const client = kept(follower(server.url, token));
    const socket = keep(client, new View(), failures);
    const plain = kept(new WsClient(server.url, { query: { token, after: '0' } }));
    const webSocket = keep(plain, new View(), failures);
    const stream = await EventStream.open(server.url, token);
    const before = await newest(server.url, token);
    await client.until(() => socket.seq >= before, 'what was before');
    await plain.until(() => webSocket.seq >= before, 'what was before');
    // …those that come by now and then…
    const [delta, poll] = await Promise.all([1, 2].map(() => byDelta(server.url, token, new View())));
    // …and the commits themselves, whose rows were made in memory.
    const commits = await bySnapshot(server.url, token);
    commits.cursor = 0;
    commits.seq = 0;
    const committed: Change[] = [];
    const unfollow = server.app.get(Feed).follow(claim(token, 'sub'), (chunk) => {
      const changes = JSON.parse(`[${chunkText(chunk)}]`) as Change[];
      committed.push(...changes);
      commits.apply({ changes, cursor: chunk.cursor });
    });

    try {
      await CHANGES[what]!(world);
      const last = await newest(server.url, token);
      const expected = await bySnapshot(server.url, token, 100);
      await client.until(() => failures.length > 0 || socket.seq >= last, 'the last change');
      await plain.until(() => failures.length > 0 || webSocket.seq >= last, 'the last change');
      await stream.until(() => stream.events.some(({ data }) => (data as Page).changes.some(({ seq }) => seq >= last)));
      const streamed = new View();
      for (const { data } of stream.events) streamed.apply(data as Page);

      expect(failures).toEqual([]);
      expect(socket.lines()).toEqual(expected.lines());
      expect(webSocket.lines()).toEqual(expected.lines());
      expect(streamed.lines()).toEqual(expected.lines());
      expect((await byDelta(server.url, token, delta!, 3)).lines()).toEqual(expected.lines());
      expect((await byLongPoll(server.url, token, poll!, last)).lines()).toEqual(expected.lines());
      expect(commits.lines()).toEqual(expected.lines());

      // A change reads the same however it comes, its time and number included.
      const stored = (await call<Page>(server.url, '/api/changes?limit=1000', { token })).body.changes;
      const live = new Map(committed.map((change) => [change.seq, JSON.stringify(change)]));
      for (const change of stored) expect(live.get(change.seq) ?? JSON.stringify(change)).toBe(JSON.stringify(change));

      const seen = shown(expected);
      if (seen.messages.length <= 1000)
        expect(await signedIn(token, seen)).toEqual({
          conversations: byId(seen.conversations),
          messages: byId(seen.messages),
        });
    } finally {
      unfollow();
      stream.close();
    }
  });
});

describe('whatever happens, in whatever order', () => {
  const SLOTS = 16;
  const SENDS = 6;
  const THREADS = 3;
  const BASE = Date.UTC(2026, 0, 1);
  const slot = fc.nat({ max: SLOTS - 1 });
  const send = fc.nat({ max: SENDS - 1 });
  const status = fc.constantFrom<MessageStatus[]>('sending', 'sent', 'delivered', 'failed');
  const command = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('tell' as const),
        messages: fc.array(fc.record({ slot, read: fc.boolean(), status }), { minLength: 1, maxLength: 8 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('report' as const), slot, send, ofSend: fc.boolean(), status }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), slot, byPhone: fc.boolean() }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('converse' as const), thread: fc.integer({ min: 1, max: THREADS - 1 }), slot, unread: fc.nat({ max: 5 }) }), // prettier-ignore
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('write' as const), send }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('retell' as const), send }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('read' as const), thread: fc.nat({ max: THREADS - 1 }) }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('share' as const), key: fc.constantFrom('k1', 'k2'), value: fc.option(fc.nat()), ifAbsent: fc.boolean(), byPhone: fc.boolean() }), // prettier-ignore
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), who: fc.constantFrom('phone' as const, 'one' as const, 'two' as const) }) }, // prettier-ignore
    { weight: 2, arbitrary: fc.constant({ do: 'follow' as const }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('look' as const), how: fc.constantFrom('delta' as const, 'poll' as const, 'stream' as const), limit: fc.integer({ min: 1, max: 20 }) }), // prettier-ignore
    },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
  );
  type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

  const place = (thread: number) => ({ conversationId: `t${thread}`, phoneNumber: `+1000${thread}` });
  const told = (n: number) => ({
    id: `m${n}`,
    ...place(n % THREADS),
    body: `body of m${n}`,
    timestamp: BASE + n * 1000,
    type: n % 4 === 3 ? ('sent' as const) : ('received' as const),
  });
  /** The thread that a browser writes to: two that the phone may know, and one that it does not know yet. */
  const writtenTo = (n: number) => [1, 2, 7][n % 3]!;

  /** One account under way: its devices, what was acknowledged, and what they must end up seeing. */
  class Run {
    private phone: PhoneClient | undefined;
    private readonly browsers: [Client | undefined, Client | undefined] = [undefined, undefined];
    private readonly underWay = new Set<Promise<void>>();
    private readonly failures: unknown[] = [];
    private readonly one = new View();
    private readonly two = new View();
    private readonly acknowledged = new Set<string>();
    private readonly removed = new Set<string>();
    private readonly ended = new Set<string>();
    /** All that the phone told, acknowledged or not. */
    private readonly said = new Map<string, { messages: unknown[] } | { conversations: unknown[] }>();
    private restarted = false;
    /** What the phone told of thread 0, of which it tells nothing but its messages: slot → read. */
    private readonly inFirst = new Map<number, boolean>();
    private firstReadUpTo = 0;
    private firstIsSure = true;

    private constructor(
      private readonly known: { deviceId: string; deviceToken: string },
      private readonly tokens: [string, string],
    ) {}

    static async begin(): Promise<Run> {
      const handset = await phone(server.url);
      const run = new Run(handset, [await pair(server.url, handset), await pair(server.url, handset)]);
      run.phone = kept(handset);
      return run;
    }

    async step(command: Command): Promise<void> {
      switch (command.do) {
        case 'tell':
          return this.tell(command.messages);
        case 'report': {
          const id = command.ofSend ? `s${command.send}` : `m${command.slot}`;
          if (command.status === 'failed') this.ended.add(id);
          return this.start((await this.handset()).send('mobile:message-status', { messageId: id, status: command.status })); // prettier-ignore
        }
        case 'delete': {
          await this.settle();
          const messageId = told(command.slot).id;
          const ack = await (command.byPhone
            ? (await this.handset()).send('message:deleted', { messageId })
            : (await this.web(1)).send('web:delete-message', { messageId }));
          if (ack.ok) this.removed.add(messageId);
          return;
        }
        case 'converse': {
          const { conversationId: id, phoneNumber } = place(command.thread);
          const snapshot = { id, phoneNumber, lastMessage: 'Told', lastMessageTime: BASE + command.slot * 1000, unreadCount: command.unread }; // prettier-ignore
          this.said.set(id, { conversations: [snapshot] });
          return this.start((await this.handset()).send('mobile:conversations', { conversations: [snapshot] }));
        }
        case 'write': {
          const tempId = `s${command.send}`;
          const { phoneNumber } = place(writtenTo(command.send));
          const web = await this.web((command.send % 2) as 0 | 1);
          const sending = web.send('web:send-message', { phoneNumber, message: `body of ${tempId}`, tempId });
          return this.start(sending, () => this.acknowledged.add(tempId));
        }
        case 'retell': {
          await this.settle();
          const tempId = `s${command.send}`;
          if (!this.acknowledged.has(tempId)) return;
          const own = { ...place(writtenTo(command.send)), id: `p-${tempId}`, body: `body of ${tempId}`, type: 'sent', status: 'sent', timestamp: Date.now() }; // prettier-ignore
          this.said.set(own.id, { messages: [own] });
          return this.start((await this.handset()).send('mobile:messages', { messages: [own] }));
        }
        case 'read': {
          await this.settle();
          const ack = await (await this.web(1)).send('web:mark-read', { conversationId: `t${command.thread}` });
          if (ack.ok && command.thread === 0)
            this.firstReadUpTo = Math.max(0, ...[...this.inFirst.keys()].map((n) => told(n).timestamp));
          return;
        }
        case 'share': {
          const { key, value, ifAbsent } = command;
          const device = await (command.byPhone ? this.handset() : this.web(1));
          if (value === null) return this.start(device.send('state:delete', { key }));
          return this.start(device.send('state:put', { key, value, ifAbsent }));
        }
        case 'leave':
          if (command.who === 'phone') this.phone?.close();
          else this.browsers[command.who === 'one' ? 0 : 1]?.close();
          return;
        case 'follow':
          await this.web(0);
          return;
        case 'look':
          return this.look(command.how, command.limit);
        case 'restart':
          await server.stop();
          server = await TestServer.start({ database, limits });
          for (const client of [this.phone, ...this.browsers]) client?.close();
          this.restarted = true;
      }
    }

    /** Everybody is back and has seen all there is: now all that they see is the same. */
    async check(): Promise<void> {
      await this.settle();
      const handset = await this.handset();
      // What was under way when the server stopped is told again, as phones do that are asked for a sync.
      for (const payload of this.restarted ? this.said.values() : [])
        expect(await handset.send('messages' in payload ? 'mobile:messages' : 'mobile:conversations', payload)).toMatchObject({ ok: true }); // prettier-ignore
      // The last words of a connection that has gone may still be worked on: looked at until nothing moves.
      let seen: ReturnType<typeof shown>;
      for (let moved = true; moved;) {
        const before = await this.number();
        const views = await this.all();
        seen = shown(views.snapshot);
        const signed = await signedIn(this.tokens[0], seen);
        moved = (await this.number()) !== before;
        if (moved) continue;
        expect(this.failures).toEqual([]);
        expect(views.one).toEqual(views.snapshot.lines());
        expect(views.two).toEqual(views.snapshot.lines());
        expect(signed).toEqual({ conversations: byId(seen.conversations), messages: byId(seen.messages) });
      }
      this.checkModel(seen!);
    }

    /** The account's number: it moves with each commit. */
    private async number(): Promise<number> {
      return (await byDelta(server.url, this.tokens[0], new View())).cursor;
    }

    private async all() {
      const client = await this.web(0);
      const last = await newest(server.url, this.tokens[0]);
      await client.until(() => this.failures.length > 0 || this.one.seq >= last, 'the last change');
      return {
        one: this.one.lines(),
        two: (await byDelta(server.url, this.tokens[1], this.two)).lines(),
        snapshot: await bySnapshot(server.url, this.tokens[0], 7),
      };
    }

    private checkModel(seen: ReturnType<typeof shown>): void {
      const ids = new Set(seen.messages.map(({ id }) => id));
      for (const id of this.acknowledged) expect([id, ids.has(id)]).toEqual([id, !this.removed.has(id)]);
      for (const { id, body } of seen.messages)
        if (!this.ended.has(`s${body.split('s')[1]}`) || id.startsWith('m'))
          expect(seen.messages.filter((other) => other.body === body)).toHaveLength(1);
      // No message is in a conversation that is not there, and none that a browser began outlives the phone's own.
      const threads = new Set(seen.conversations.map(({ id }) => id));
      for (const { conversationId } of seen.messages) expect(threads).toContain(conversationId);
      const numbers = seen.conversations.map(({ phoneNumber }) => phoneNumber);
      expect(new Set(numbers).size).toBe(numbers.length);

      const first = seen.conversations.find(({ id }) => id === 't0');
      if (first !== undefined && this.firstIsSure) {
        const unread = [...this.inFirst].filter(([n, read]) => {
          const { id, type, timestamp } = told(n);
          return type === 'received' && !read && !this.removed.has(id) && timestamp > this.firstReadUpTo;
        });
        expect(first.unreadCount).toBe(unread.length);
      }
    }

    private async tell(messages: { slot: number; read: boolean; status: MessageStatus }[]): Promise<void> {
      const batch = messages.map(({ slot, read, status }) => {
        const one = told(slot);
        this.said.set(one.id, { messages: [{ ...one, read: false }] });
        return { ...one, read, ...(one.type === 'sent' ? { status } : {}) };
      });
      const first = messages.filter(({ slot }) => slot % THREADS === 0);
      this.start(
        (await this.handset()).send('mobile:messages', { messages: batch }),
        () => {
          for (const { id } of batch) this.acknowledged.add(id);
          for (const { slot, read } of first) this.inFirst.set(slot, read || this.inFirst.get(slot) === true);
        },
        () => (this.firstIsSure &&= first.length === 0),
      );
    }

    /** Goes on without waiting for the ack; what comes without one may have happened or not. */
    private start(sending: Promise<Ack>, done?: () => void, unsure?: () => void): void {
      const work = sending.then(
        ({ ok }) => (ok ? done?.() : unsure?.()),
        () => unsure?.(),
      );
      this.underWay.add(work);
      void work.then(() => this.underWay.delete(work));
    }

    private async settle(): Promise<void> {
      await Promise.all(this.underWay);
    }

    private async handset(): Promise<PhoneClient> {
      if (!this.phone?.socket.connected) this.phone = kept(await phone(server.url, this.known));
      return this.phone;
    }

    /** Browser one follows from its own cursor; browser two only writes here, and reads over HTTP. */
    private async web(which: 0 | 1): Promise<Client> {
      const here = this.browsers[which];
      if (here?.socket.connected) return here;
      const token = this.tokens[which];
      if (which === 1) return (this.browsers[1] = kept(await browser(server.url, token)));
      const client = kept(follower(server.url, token, this.one.cursor));
      keep(client, this.one, this.failures);
      await client.connected();
      return (this.browsers[0] = client);
    }

    private async look(how: 'delta' | 'poll' | 'stream', limit: number): Promise<void> {
      const token = this.tokens[1];
      if (how === 'delta') await byDelta(server.url, token, this.two, limit);
      else if (how === 'poll') await byLongPoll(server.url, token, this.two, await newest(server.url, token), limit);
      else await byStream(server.url, token, this.two, await newest(server.url, token));
    }
  }

  test('all views are the snapshot in the end, nothing acknowledged is missing or twice, and no cursor goes back', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 40 }), async (commands) => {
        const run = await Run.begin();
        try {
          for (const command of commands) await run.step(command);
          await run.check();
        } finally {
          for (const client of clients.splice(0)) client.close();
        }
      }),
      { numRuns: 40, seed: Number(process.env.TEST_SEED ?? 1), interruptAfterTimeLimit: 90_000 },
    );
  }, 120_000);
});
