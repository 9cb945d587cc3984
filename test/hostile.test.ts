import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { clientEvents } from '../src/delivery/events.js';
import { parseEnv } from '../src/env.js';
import { relayError, type ErrorCode } from '../src/errors.js';
import { browser, call, Client, generateQr, message, pair, phone, type PhoneClient } from './support/clients.js';
import {
  events,
  exampleOf,
  frames,
  jsonTexts,
  rawAbandoned,
  rawAnswered,
  requests,
  TEN_MB,
  texts,
  values,
  type Schema,
} from './support/nasty.js';
import { createTestDatabase, type TestDatabase } from './support/postgres.js';
import { abandon, exchange, frameBytes, RawWebSocket, repliesIn, request, requestBytes, reset, type RawReply, type RawRequest } from './support/raw.js'; // prettier-ignore
import { TestServer } from './support/server.js';
import { runTypeScript, type TypeScriptProcess } from './support/spawn.js';

// The server runs in a process of its own, so that a fault in it cannot hide in the one that tests.

const SEED = 20_260_101;
const UNLIMITED = {
  LIMIT_REGISTRATIONS_PER_HOUR: '0',
  LIMIT_QR_CODES_PER_MINUTE: '0',
  LIMIT_WRONG_TOKENS_PER_MINUTE: '0',
  LIMIT_SENDS_PER_MINUTE: '0',
  LIMIT_SIGNALS_PER_SECOND: '0',
  LIMIT_POSTS_PER_MINUTE: '0',
  LIMIT_INVITATIONS_PER_HOUR: '0',
  LIMIT_WRONG_SIGN_INS_PER_MINUTE: '0',
  LIMIT_WRONG_SIGN_INS_PER_QUARTER_HOUR: '0',
  LIMIT_CODES_PER_HOUR: '0',
  ARGON2_MEMORY_KIB: '8',
  ARGON2_PASSES: '1',
  MAX_UNAUTHENTICATED_PER_ADDRESS: '100000',
  MAX_UNAUTHENTICATED_BYTES: '16384',
  DATABASE_CONNECTIONS: '5',
};

let database: TestDatabase;
let server: TypeScriptProcess;
let url: string;
let alongside: Alongside;
let attacker: PhoneClient;
/** A session token of the attacker's own. */
let attackerToken: string;
/** The device token of a phone of the attacker's that raw connections sign in as. */
let rawPhoneToken: string;
/** Of a client of table sync and of a program, both the attacker's. */
let clientToken: string;
let apiKey: string;
/** A conversation that the attacker is in. */
let chat: string;
let routes: Route[];

beforeAll(async () => {
  database = await createTestDatabase();
  server = runTypeScript('test/support/watched-server.ts', {
    env: { ...UNLIMITED, DATABASE_URL: database.url, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'warn' },
  });
  const ready = await server.line((line) => line.startsWith('Pairline is ready'));
  url = `http://127.0.0.1:${/:(\d+)$/.exec(ready)![1]}`;
  alongside = await Alongside.start();
  attacker = await phone(url);
  attackerToken = await pair(url, attacker);
  const rawPhone = await phone(url);
  rawPhoneToken = rawPhone.deviceToken;
  rawPhone.close();
  await signInEverywhere();
  routes = await documentedRoutes();
});

afterAll(async () => {
  attacker?.close();
  alongside?.stop();
  await server?.end();
  await database?.drop();
});

/** A pair that just works, while all of this goes on. */
class Alongside {
  private sent = 0;
  private readonly under: Promise<unknown>[] = [];

  private constructor(
    private readonly handset: PhoneClient,
    private readonly web: Client,
  ) {}

  static async start(): Promise<Alongside> {
    const handset = await phone(url);
    return new Alongside(handset, await browser(url, await pair(url, handset)));
  }

  /** One message each way, not waited for. */
  beat(): void {
    const body = `alongside ${this.sent++}`;
    const text = message({ id: body, body });
    this.under.push(
      this.handset.send('mobile:messages', { messages: [text] }),
      this.web.send('web:send-message', { phoneNumber: '+15550100', message: `back ${body}`, tempId: `back ${body}` }),
    );
  }

  async nothingIsLost(): Promise<void> {
    this.beat();
    for (const ack of await Promise.all(this.under.splice(0))) expect(ack).toMatchObject({ ok: true });
    const all = Array.from({ length: this.sent }, (_, i) => `alongside ${i}`);
    await this.web.next('message:new', ({ body }) => body === all.at(-1));
    await this.handset.next('send:message', ({ message: text }) => text === `back ${all.at(-1)}`);
    expect(this.web.all('message:new').map(({ body }) => body as string)).toEqual(all);
    expect(this.handset.all('send:message').map((sent) => sent.message as string)).toEqual(all.map((b) => `back ${b}`));
  }

  stop(): void {
    this.handset.close();
    this.web.close();
  }
}

/** In ways that no spoiled request undoes: the password is in none of them. */
async function signInEverywhere(): Promise<void> {
  const password = 'known to nobody else';
  const email = 'mallory@example.org';
  for (const [name, token] of Object.entries({ mallory: attackerToken, 'mallory, raw': rawPhoneToken }))
    await call(url, '/api/account/name', { token, method: 'PUT', body: { name, password } });
  chat = (await call(url, '/api/conversations', { token: attackerToken, body: {} })).body.conversation_id;
  apiKey = (await call(url, '/api/keys', { token: attackerToken, body: { name: 'k' } })).body.apiKey;
  await call(url, '/register/default', { body: { name: 'Mallory', email, password, clientId: CLIENT_ID } });
  const Authorization = `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`;
  const { body } = await call(url, '/login/default', { headers: { Authorization }, body: { clientId: CLIENT_ID } });
  clientToken = body.access_token;
  for (const [path, token] of [
    ['/api/account', attackerToken],
    ['/api/changes', apiKey],
    ['/pull/default', clientToken],
  ] as const)
    // prettier-ignore
    expect((await call(url, path, { token, ...(path.startsWith('/pull') && { body: {} }) })).status).toBe(200);
}
const CLIENT_ID = 'client';

interface Route {
  method: string;
  /** With its parameters in braces. */
  path: string;
  /** A right one; undefined for a route that takes none. */
  body: object | undefined;
}

interface OpenApi {
  paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: Schema }> } }>>;
  components: { schemas: Record<string, Schema> };
}

async function documentedRoutes(): Promise<Route[]> {
  const { body } = await call<OpenApi>(url, '/docs/json');
  const all = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => {
      const schema = requestBody?.content['application/json']?.schema;
      const own = { clientId: CLIENT_ID };
      const right = schema && (exampleOf(schema, body.components.schemas, own) as object);
      return { method: method.toUpperCase(), path, body: right };
    }),
  );
  // One that does not end by itself, and one that ends the account of whoever asks, with nothing more to get wrong.
  const apart = ['/api/changes/stream', '/api/profile/remove'];
  return all.filter(({ path }) => !apart.includes(path));
}

/** The server is the one that was started, has had no fault, and serves. */
async function serverIsWell(): Promise<void> {
  await alongside.nothingIsLost();
  expect(faults()).toEqual([]);
  expect(server.child.exitCode).toBeNull();
  expect((await call(url, '/readyz')).status).toBe(200);
}

/** What nobody caught, and what ended as `internal`, since this was asked last. */
function faults(): string[] {
  const output = server.output();
  const lines = output.slice(told).split('\n');
  told = output.length;
  return lines.filter((line) => line.startsWith('FAULT') || /"level":[56]0/.test(line));
}
let told = 0;

/** Bytes that the server holds on to: the least of a few looks, since what has just ended is let go of a little later. */
async function memory(): Promise<number> {
  const looks: number[] = [];
  for (let i = 0; i < 5; i++) {
    await call(url, '/healthz');
    const number = server.output().split('\nMEMORY ').length;
    server.child.kill('SIGUSR2');
    const line = await server.line((text) => text.startsWith(`MEMORY ${number} `));
    looks.push(Number(line.split(' ')[2]));
  }
  return Math.min(...looks);
}

function expectErrorBody(body: Record<string, unknown>): void {
  const { code } = body;
  // Throws for what is not in the catalogue.
  const told = relayError(code as ErrorCode);
  expect(code).not.toBe('internal');
  expect(body).toMatchObject({ success: false, message: expect.stringContaining(told.message), error: body.message });
  expect(body.requestId).toMatch(/^[\w.-]{1,64}$/);
}

/** Engine.IO answers its own requests in its own words: `{code, message}`, or a sentence when it cannot upgrade. */
function expectGoodReply(reply: RawReply, { method = 'GET', path }: RawRequest): void {
  const { status, headers, body } = reply;
  expect(status).toBeGreaterThanOrEqual(100);
  expect(status).toBeLessThan(500);
  if (status < 400 || method === 'HEAD') return;
  // Without an id, it is a refusal of Node's parser: there was no request yet.
  if (headers['x-request-id'] === undefined) {
    if (!path.startsWith('/socket.io/')) expect(body).toBe('');
    else if (body.startsWith('{')) expect(JSON.parse(body)).toHaveProperty('message');
    return;
  }
  expect(headers['content-type']).toMatch(/^application\/json/);
  const told = JSON.parse(body) as Record<string, unknown>;
  expectErrorBody(told);
  expect(relayError(told.code as ErrorCode).status).toBe(status);
  expect(told.requestId).toBe(headers['x-request-id']);
}

async function sendRequest(wanted: RawRequest): Promise<void> {
  const reply = await request(url, wanted);
  if (reply !== undefined) expectGoodReply(reply, wanted);
  // Who is refused in the middle of megabytes may find the connection reset before the answer was read.
  else expect(wanted.path.startsWith('/socket.io/') || (wanted.body?.length ?? 0) > 1_000_000).toBe(true);
}

type Role = 'guest' | 'phone' | 'browser';

/** A way to the events, as bytes. */
interface Door {
  path: (token?: string) => string;
  /** What is said first, and what is heard when it has worked. */
  hello: (token?: string) => string | undefined;
  welcome: string;
  /** Of an event, as JSON; with `id` it asks for an acknowledgement. */
  frame: (name: string, payload: unknown, id?: number) => string;
  /** How the acknowledgement begins. */
  answer: (id: number) => string;
  /** What an error in a frame says, if one is in it. */
  errorIn: (text: string) => Record<string, unknown> | undefined;
}

const socketIo: Door = {
  path: () => '/socket.io/?EIO=4&transport=websocket',
  hello: (token) => `40${JSON.stringify(token === undefined ? {} : { token })}`,
  welcome: '40',
  frame: (name, payload, id) => `42${id ?? ''}${JSON.stringify([name, payload]) ?? '[]'}`,
  answer: (id) => `43${id}[`,
  errorIn(text) {
    const packet = /^4[23](\d*)(\[.*)$/s.exec(text);
    if (!packet) return undefined;
    const [first, second] = JSON.parse(packet[2]!) as [unknown, Record<string, unknown>];
    if (text.startsWith('42')) return first === 'error' ? second : undefined;
    return (first as { ok?: unknown }).ok === true ? undefined : (first as Record<string, unknown>);
  },
};

const plain: Door = {
  path: (token) => (token === undefined ? '/ws' : `/ws?token=${token}`),
  hello: () => undefined,
  welcome: '{"type":"authenticated"',
  frame: (type, data, id) => JSON.stringify({ type, data, id }),
  answer: (id) => `{"type":"ack","id":${id},`,
  errorIn(text) {
    const { type, data } = JSON.parse(text) as { type: string; data: Record<string, unknown> };
    return type === 'error' || (type === 'ack' && data.ok !== true) ? data : undefined;
  },
};

const doors: [string, Door][] = [
  ['Socket.IO', socketIo],
  ['/ws', plain],
];

/** A raw connection of the attacker, opened again whenever the server has had enough of it. */
class Attack {
  private socket: RawWebSocket | undefined;
  private probes = 0;
  private heard = 0;

  constructor(
    private readonly role: Role,
    private readonly door = socketIo,
  ) {}

  /** Sends, and resolves once the server has dealt with it: answered what comes after, or hung up. */
  async send(...wanted: (string | Buffer | Parameters<RawWebSocket['send']>[0])[]): Promise<void> {
    const { frame, answer } = this.door;
    const socket = await this.open();
    for (const one of wanted) socket.send(one);
    const id = 1_000_000 + this.probes++;
    socket.send(frame('no-such-event', {}, id));
    const answered = await socket.next((text) => text.startsWith(answer(id)), this.heard);
    const since = socket.messages.slice(this.heard);
    this.heard = socket.messages.length;
    for (const text of since) expectGoodFrame(text, this.door);
    if (answered === undefined) this.close();
  }

  close(): void {
    this.socket?.close();
    this.socket = undefined;
  }

  private async open(): Promise<RawWebSocket> {
    if (this.socket !== undefined && !this.socket.closed) return this.socket;
    const { path, hello, welcome } = this.door;
    const token = { guest: undefined, phone: rawPhoneToken, browser: attackerToken }[this.role];
    const socket = (await RawWebSocket.open(url, path(token)))!;
    const said = hello(token);
    if (said !== undefined) socket.send(said);
    if ((said ?? token) !== undefined) await socket.next((text) => text.startsWith(welcome));
    this.heard = socket.messages.length;
    this.socket = socket;
    return socket;
  }
}

/** Whatever the server says of an error is said in the words of the catalogue. */
function expectGoodFrame(text: string, door = socketIo): void {
  const error = door.errorIn(text);
  if (error !== undefined) expectErrorBody(error);
}

const nastyValue = fc.oneof(fc.constantFrom(...values), fc.jsonValue(), fc.string({ unit: 'binary' }), fc.double());

/** A right payload with one thing wrong somewhere in it. */
const spoiled = (good: object): fc.Arbitrary<unknown> => {
  const paths = pathsOf(good);
  if (paths.length === 0) return nastyValue;
  const replaced = fc.tuple(fc.constantFrom(...paths), nastyValue).map(([path, value]) => put(good, path, value));
  const removed = fc.constantFrom(...paths).map((path) => put(good, path, undefined));
  const added = fc
    .tuple(fc.constantFrom('__proto__', 'constructor', 'toString', 'x', ''), nastyValue)
    .map(([key, value]) => Object.defineProperty({ ...good }, key, { value, enumerable: true, configurable: true }));
  return fc.oneof({ arbitrary: replaced, weight: 6 }, removed, added, fc.constant(good), nastyValue);
};

function pathsOf(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [[...path, key], ...pathsOf(inner, [...path, key])]);
}

function put(value: unknown, [key, ...rest]: string[], replacement: unknown): unknown {
  if (key === undefined) return replacement;
  const inner = put((value as Record<string, unknown>)[key], rest, replacement);
  if (Array.isArray(value)) return value.with(Number(key), inner);
  return { ...(value as object), [key]: inner };
}

/** Text with a stretch of it gone, doubled or replaced. */
const mangled = (text: string): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.nat(text.length),
      fc.nat(8),
      fc.oneof(fc.constant(''), fc.string({ maxLength: 8 }), fc.constantFrom(...texts)),
    ) // prettier-ignore
    .map(([at, size, middle]) => text.slice(0, at) + middle + text.slice(at + size));

const eventFrame = ({ frame }: Door) =>
  fc
    .constantFrom(
      ...Object.entries({ ...events, authenticate: { token: 't', after: 0, deviceInfo: { deviceId: 'd' } } }),
    )
    .chain(([name, good]) =>
      fc.tuple(spoiled(good), fc.constantFrom(undefined, 7, 0), fc.boolean()).chain(([payload, id, mangle]) => {
        const text = frame(name, payload, id);
        return mangle ? mangled(text) : fc.constant(text);
      }),
    );
const anyFrame = (door: Door) =>
  fc.oneof(
    { arbitrary: eventFrame(door), weight: 10 },
    fc.constantFrom(...Object.values(frames)),
    fc.constantFrom(...jsonTexts),
    fc.string({ maxLength: 40 }),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(
        fc.constantFrom('40', '41', '42', '43', '44', '45', '46', '451-', '42/x,', '{"type":"ack","id":1,"data":'),
        fc.json(),
      )
      .map((p) => p.join('')),
    fc.json(),
  );

/** Whose a request is. A client that unregisters, or deletes itself, would take its token with it. */
function tokensFor({ method, path }: Route): (string | undefined)[] {
  if (path.startsWith('/unregister')) return [undefined];
  const others = [undefined, attackerToken, attackerToken, apiKey, rawPhoneToken];
  return method === 'DELETE' && path.startsWith('/api/devices') ? others : [...others, clientToken, clientToken];
}
const anySegment = fc.constantFrom(...texts).map((text) => encodeURIComponent(text.toWellFormed()).slice(0, 3000));
const pathsLike = (path: string): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom('default', 'default', 'default', 'nowhere'),
      fc.constantFrom(CLIENT_ID, chat, 'x'),
      anySegment,
      fc.nat(3),
    )
    .map(([realm, id, nasty, which]) =>
      path.replace('{realm}', which === 0 ? nasty : realm).replace(/\{\w+\}/, which === 1 ? nasty : id),
    );
const queryText = fc
  .dictionary(
    fc.constantFrom('after', 'before', 'limit', 'format', 'EIO', 'transport', 'sid', '__proto__', 'a[b]', 'after[]'),
    fc.oneof(fc.constantFrom(...texts), fc.double().map(String), fc.constantFrom('png', '4', 'polling', '0', '1')),
    { maxKeys: 4 },
  )
  .map((query) =>
    Object.entries(query)
      .map(([key, value]) => `${key}=${encodeURIComponent(value.toWellFormed()).slice(0, 2000)}`)
      .join('&'),
  );
const requestsTo = (route: Route): fc.Arbitrary<RawRequest> =>
  fc
    .record({
      path: pathsLike(route.path),
      query: queryText,
      token: fc.constantFrom(...tokensFor(route)),
      type: fc.constantFrom('application/json', 'application/json', 'application/json', 'text/plain', 'application/json; charset=latin1'), // prettier-ignore
      encoding: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, 'gzip', 'br', 'x'),
      body: fc.oneof(
        { arbitrary: spoiled(route.body ?? {}).map((value) => JSON.stringify(value) ?? ''), weight: 4 },
        fc.constantFrom(...jsonTexts),
        fc.json(),
        mangled(JSON.stringify(route.body ?? {})),
      ),
    })
    .map(({ path, query, token, type, encoding, body }) => {
      const hasBody = route.method !== 'GET';
      const headers = {
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(hasBody ? { 'Content-Type': type } : {}),
        ...(hasBody && encoding !== undefined ? { 'Content-Encoding': encoding } : {}),
      };
      return { method: route.method, path: `${path}?${query}`, headers, ...(hasBody && { body: body.toWellFormed() }) };
    });

/** What is served beside the routes that the documents name. */
const besides: Route[] = [['GET', '/docs/{file}'], ['GET', '/socket.io/'], ['POST', '/socket.io/']].map(([method, path]) => ({ method: method!, path: path!, body: undefined })); // prettier-ignore

let runs = 0;
async function attack<T>(
  arbitrary: fc.Arbitrary<T>,
  numRuns: number,
  seconds: number,
  run: (value: T) => Promise<void>,
) {
  await fc.assert(
    fc.asyncProperty(arbitrary, async (value) => {
      if (runs++ % 20 === 0) alongside.beat();
      await run(value);
      expect(faults()).toEqual([]);
    }),
    { numRuns, seed: SEED, interruptAfterTimeLimit: seconds * 1000, endOnFailure: false },
  );
  await serverIsWell();
}

test('every nasty request is refused or served, and refused in the one body', async () => {
  for (const [name, wanted] of Object.entries(requests)) {
    alongside.beat();
    try {
      await sendRequest(wanted);
      expect(faults()).toEqual([]);
    } catch (error) {
      throw new Error(name, { cause: error });
    }
  }
  await serverIsWell();
});

test('every nasty body is refused or taken by every route that takes one', async () => {
  const taking = routes.filter(({ body }) => body !== undefined);
  expect(taking.length).toBeGreaterThan(20);
  for (const route of taking) {
    const path = route.path
      .replace('{realm}', 'default')
      .replace(/\{\w+\}/, /conversations/.test(route.path) ? chat : CLIENT_ID);
    const token = tokensFor(route).find((one) => one === (/^.(pull|push|cancelSync)/.test(path) ? clientToken : attackerToken)); // prettier-ignore
    for (const body of [...jsonTexts, JSON.stringify(route.body)]) {
      const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
      try {
        await sendRequest({ method: route.method, path, headers, body });
        expect(faults()).toEqual([]);
      } catch (error) {
        throw new Error(`${path} ${body.slice(0, 80)}`, { cause: error });
      }
    }
  }
  await serverIsWell();
}, 120_000);

test('every oddity of HTTP itself is answered and over', async () => {
  for (const [name, { bytes, methods }] of Object.entries(rawAnswered)) {
    const replies = repliesIn(await exchange(url, bytes), methods);
    try {
      const path = String(bytes).split(' ')[1] ?? '';
      for (const reply of replies) expectGoodReply(reply, { path, method: methods?.[replies.indexOf(reply)] });
    } catch (error) {
      throw new Error(name, { cause: error });
    }
  }
  await serverIsWell();
});

test('a hundred pipelined requests get a hundred answers, in order', async () => {
  const { bytes } = rawAnswered['a hundred requests at once']!;
  const replies = repliesIn(await exchange(url, bytes));
  expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 100 }, () => 200));
});

test('what is begun and left lying costs nothing', async () => {
  for (let round = 0; round < 20; round++) await Promise.all(Object.values(rawAbandoned).map((b) => abandon(url, b)));
  await serverIsWell();
});

test.each(
  doors.flatMap(([name, door]) => (['guest', 'phone', 'browser'] as const).map((role) => ({ name, door, role }))),
)('every nasty frame of a $role over $name ends in an answer or a hang-up', async ({ role, door }) => {
  const raw = new Attack(role, door);
  for (const [name, frame] of Object.entries(frames)) {
    try {
      await raw.send(frame);
      expect(faults()).toEqual([]);
    } catch (error) {
      throw new Error(name, { cause: error });
    }
  }
  raw.close();
  await serverIsWell();
});

test('every nasty frame before the connect ends in an answer or a hang-up', async () => {
  for (const [name, frame] of Object.entries(frames)) {
    const socket = (await RawWebSocket.open(url))!;
    socket.send(frame);
    socket.send('40');
    socket.send('427["no-such-event"]');
    try {
      await socket.next((text) => text.startsWith('437'));
      expect(faults()).toEqual([]);
    } catch (error) {
      throw new Error(name, { cause: error });
    }
    socket.close();
  }
  await serverIsWell();
});

test.each(doors)(
  '3,000 random and spoiled frames of guests, phones and browsers over %s do no harm',
  async (_name, door) => {
    const raw = {
      guest: new Attack('guest', door),
      phone: new Attack('phone', door),
      browser: new Attack('browser', door),
    };
    const anyRole = fc.constantFrom<Role>('guest', 'phone', 'phone', 'browser', 'browser');
    await attack(fc.tuple(anyRole, anyFrame(door)), 3000, 25, ([role, frame]) => raw[role].send(frame));
    for (const socket of Object.values(raw)) socket.close();
  },
  60_000,
);

test('2,000 random and spoiled requests do no harm', async () => {
  const any = fc.constantFrom(...routes, ...routes, ...besides).chain(requestsTo);
  await attack(any, 2000, 30, sendRequest);
}, 90_000);

test('what is spoiled here is right before', async () => {
  const fresh = { email: `${randomUUID()}@example.org`, pseudo: randomUUID() };
  for (const [path, token, own] of [
    ['/api/auth/register', undefined, fresh],
    ['/api/auth/login', undefined, fresh],
    ['/register/{realm}', undefined, { email: `${randomUUID()}@example.org` }],
    ['/api/keys', attackerToken, {}],
    ['/api/sync', apiKey, {}],
    ['/pull/{realm}/{clientId}', clientToken, {}],
    ['/push/{realm}', clientToken, {}],
    ['/cancelSync/{realm}', clientToken, {}],
  ] as const) {
    const { method, body } = routes.find((route) => route.path === path && route.method === 'POST')!;
    const at = path.replace('{realm}', 'default').replace('{clientId}', CLIENT_ID);
    const reply = await call(url, at, { method, token, body: { ...body, ...own } });
    expect([path, reply.status < 300, reply.body.code]).toEqual([path, true, undefined]);
  }
});

test('every event there is, is in the corpus', () => {
  const { limits } = parseEnv({});
  expect(Object.keys(events).sort()).toEqual(Object.keys(clientEvents(limits)).sort());
});

test('events out of order, doubled and from the wrong side do no harm', async () => {
  const names = Object.entries(events).map(([name, payload]) => JSON.stringify([name, payload]));
  const flurry = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 30 });
  const raw = { guest: new Attack('guest'), phone: new Attack('phone'), browser: new Attack('browser') };
  await attack(fc.tuple(fc.constantFrom<Role>('guest', 'phone', 'browser'), flurry), 60, 10, async ([role, list]) => {
    await raw[role].send(...list.map((event, i) => `42${i % 2 ? i : ''}${event}`));
  });
  for (const socket of Object.values(raw)) socket.close();
});

test('a phone may not do what a browser does, nor the other way round', async () => {
  const web = await browser(url, attackerToken);
  const { limits } = parseEnv({});
  for (const [name, { from }] of Object.entries(clientEvents(limits))) {
    if (from === 'anyone' || from === 'device') continue;
    const payload = events[name];
    const wrong = from === 'browser' ? attacker : web;
    expect(await wrong.send(name, payload)).toMatchObject({ ok: false, code: 'wrong_role' });
  }
  web.close();
});

test('a thousand events before signing in are refused, and the one who sends them is shown out', async () => {
  const guest = (await RawWebSocket.open(url))!;
  guest.send('40{}');
  for (let i = 0; i < 1000; i++) guest.send(`42${i}["mobile:messages",{"messages":[]}]`);
  await guest.next(() => false);
  for (const text of guest.messages) expectGoodFrame(text);
  expect(guest.messages.filter((text) => text.startsWith('43')).length).toBeLessThan(500);
  await serverIsWell();
});

test('guests who begin a huge frame and never end it are shown out before it fills the memory', async () => {
  const before = await memory();
  const guests = await Promise.all(Array.from({ length: 40 }, () => RawWebSocket.open(url)));
  for (const guest of guests) guest!.send({ data: Buffer.alloc(2_000_000), length: 4_000_000 });
  await Promise.all(guests.map((guest) => guest!.next(() => false)));
  expect(((await memory()) - before) / 1_048_576).toBeLessThan(8);
  await serverIsWell();
});

test('a fraction of a millisecond in validUntil is let go', async () => {
  const web = await browser(url, attackerToken);
  const wanted = { phoneNumber: '+15550100', message: 'Hi', tempId: 'fraction', validUntil: Date.now() + 60_000.5 };
  expect(await web.send('web:send-message', wanted)).toEqual({ ok: true, messageId: 'fraction', status: 'queued' });
  web.close();
});

test('an invitation that is no text is none', async () => {
  const closed = await TestServer.start({ registration: 'invite', inviteToken: 'welcome-home' });
  for (const inviteToken of [5, {}, [], ['welcome-home'], true, null]) {
    const client = new Client(closed.url, { auth: { inviteToken } });
    expect(await client.send('mobile:register', { deviceId: 'd' })).toMatchObject({
      ok: false,
      code: 'invite_required',
    });
    client.close();
  }
  await closed.stop();
});

test('a text of ten megabytes ends the connection, whoever sends it', async () => {
  for (const role of ['guest', 'phone', 'browser'] as const) {
    const raw = new Attack(role);
    await raw.send(`42["mobile:messages",{"messages":[{"body":"${'x'.repeat(TEN_MB)}"}]}]`);
    raw.close();
  }
  await serverIsWell();
});

test('a phone that says it all in one huge binary is refused at once', async () => {
  const raw = new Attack('phone');
  await raw.send('451-["mobile:messages",{"_placeholder":true,"num":0}]', Buffer.alloc(4_000_000));
  raw.close();
  await serverIsWell();
});

test('a handshake with nonsense for a cursor is refused, and nothing more', async () => {
  for (const after of [...values, '12', -5]) {
    const socket = (await RawWebSocket.open(url))!;
    socket.send(`40${JSON.stringify({ token: attackerToken, after })}`);
    socket.send('427["no-such-event"]');
    await socket.next((text) => text.startsWith('437'));
    for (const text of socket.messages) expectGoodFrame(text);
    expect(faults()).toEqual([]);
    socket.close();
  }
  await serverIsWell();
});

test('a handshake with nonsense for what the device says of itself is refused or served', async () => {
  for (const token of [attackerToken, clientToken])
    for (const said of [...values.map((value) => JSON.stringify(value)), ...jsonTexts]) {
      const query = encodeURIComponent(said.slice(0, 8000).toWellFormed()).slice(0, 12_000);
      const socket = (await RawWebSocket.open(url, `/socket.io/?EIO=4&transport=websocket&deviceInfo=${query}`))!;
      socket.send(`40${JSON.stringify({ token })}`);
      socket.send('427["no-such-event"]');
      await socket.next((text) => text.startsWith('437') || text.startsWith('44'));
      for (const text of socket.messages) expectGoodFrame(text);
      expect(faults()).toEqual([]);
      socket.close();
    }
  await serverIsWell();
});

test('Engine.IO over polling takes abuse as it takes use', async () => {
  const path = '/socket.io/?EIO=4&transport=polling';
  for (const body of [...Object.values(frames), '40\x1e40\x1e40', '\x1e'.repeat(5000), `4${'x'.repeat(TEN_MB)}`]) {
    const opened = await request(url, { path });
    const { sid } = JSON.parse(opened!.body.slice(1)) as { sid: string };
    const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : body.data;
    const at = `${path}&sid=${sid}`;
    const reply = await request(url, {
      method: 'POST',
      path: at,
      headers: { 'Content-Type': 'text/plain' },
      body: text,
    });
    if (reply) expectGoodReply(reply, { path });
    // Two polls at once, and one by a transport that it was not opened with.
    const polls = [1, 2].map(() => request(url, { path: at }));
    const other = await request(url, { path: `/socket.io/?EIO=4&transport=websocket&sid=${sid}` });
    if (other) expectGoodReply(other, { path });
    await request(url, { method: 'POST', path: at, body: '1' });
    for (const poll of await Promise.all(polls)) if (poll) expectGoodReply(poll, { path });
  }
  await serverIsWell();
}, 60_000);

test('handshakes left half-way, and upgrades of sessions that are not there, do no harm', async () => {
  const opened = (await request(url, { path: '/socket.io/?EIO=4&transport=polling' }))!;
  const { sid } = JSON.parse(opened.body.slice(1)) as { sid: string };
  for (const query of [`sid=${sid}`, 'sid=nobody', 'sid=__proto__', `sid=${sid}`]) {
    const socket = await RawWebSocket.open(url, `/socket.io/?EIO=4&transport=websocket&${query}`);
    socket?.send('2probe');
    socket?.close();
  }
  const waiting = await Promise.all(Array.from({ length: 50 }, () => RawWebSocket.open(url)));
  for (const socket of waiting) socket!.close();
  await serverIsWell();
});

const upgradeOf = (path: string, more: Record<string, string> = {}) => {
  const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' };
  return requestBytes({ path, headers: { ...headers, 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...more } });
};

test.each([
  ['of /ws', upgradeOf('/ws')],
  ['of /ws from a page of another origin', upgradeOf('/ws', { Origin: 'https://evil.example' })],
  ['of Socket.IO', upgradeOf('/socket.io/?EIO=4&transport=websocket')],
  ['of a session of Socket.IO that is not there', upgradeOf('/socket.io/?EIO=4&transport=websocket&sid=x')],
  ['of nothing that there is', upgradeOf('/elsewhere')],
])('an upgrade %s that is reset before or after its answer does no harm', async (_what, bytes) => {
  for (let n = 0; n < 10; n++) await reset(url, bytes);
  for (let n = 0; n < 10; n++) await reset(url, bytes, 'answered');
  await serverIsWell();
});

test.each(doors)(
  'who sends pings of the protocol over %s and never reads is let go of, and holds no memory',
  async (_name, door) => {
    const before = await memory();
    const raw = (await RawWebSocket.open(url, door.path(rawPhoneToken)))!;
    const hello = door.hello(rawPhoneToken);
    if (hello !== undefined) raw.send(hello);
    await raw.next((text) => text.startsWith(door.welcome));
    raw.pause();
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => frameBytes({ data: Buffer.alloc(125), opcode: 9 })));
    for (let round = 0; round < 400; round++) {
      raw.write(pings);
      if (round % 10 === 0) await call(url, '/healthz');
    }
    expect(((await memory()) - before) / 1_048_576).toBeLessThan(16);
    raw.resume();
    expect(await raw.next((text) => text.includes('"resume_required"'))).toBeDefined();
    await raw.next(() => false);
    await serverIsWell();
  },
  60_000,
);

test('five thousand pings and as many acks of nothing leave the connection as it was', async () => {
  const raw = new Attack('phone');
  await raw.send(...Array.from({ length: 5000 }, () => ({ data: 'ping', opcode: 9 })));
  await raw.send(...Array.from({ length: 5000 }, (_, i) => `43${i}[{"ok":true}]`));
  raw.close();
  await serverIsWell();
});

test('an id of 255 characters is stored and found; one of 256 is refused', async () => {
  const web = await browser(url, attackerToken);
  for (const letter of ['x', 'é', '☃', "'", '%', '\\', '$']) {
    const id = letter.repeat(255);
    const stored = message({ id, conversationId: id, body: id });
    expect(await attacker.send('mobile:messages', { messages: [stored] })).toMatchObject({ ok: true, new: 1 });
    expect(await web.next('message:new', (got) => got.id === id)).toEqual(stored);
    expect(await web.send('web:mark-read', { conversationId: id })).toMatchObject({ ok: true });
    const tooLong = { messages: [message({ id: `${id}x` })] };
    expect(await attacker.send('mobile:messages', tooLong)).toMatchObject({ ok: false, code: 'string_too_long' });
  }
  web.close();
});

test('texts that look like SQL, formats or markup come back letter for letter', async () => {
  const web = await browser(url, attackerToken);
  for (const text of texts.filter((text) => text.length > 0 && text.length < 256 && text.isWellFormed())) {
    const id = text.includes('\0') ? `${texts.indexOf(text)}` : text;
    const sent = message({ id: `s:${id}`.slice(0, 255), conversationId: id, body: text, phoneNumber: text });
    if (!sent.id.isWellFormed()) continue;
    expect(await attacker.send('mobile:messages', { messages: [sent] })).toMatchObject({ ok: true });
    expect(await web.next('message:new', (got) => got.id === sent.id)).toEqual(sent);
  }
  web.close();
});

test('a phone whose name is nasty is listed, renamed and removed like any other', async () => {
  for (const name of texts.filter((text) => text.length > 0 && text.length <= 128)) {
    const client = new Client(url);
    const ack = await client.send('mobile:register', { deviceId: name, deviceName: name });
    if (!ack.ok) {
      // Empty, not to be stored, or taken in an earlier test.
      expect(ack.code).toMatch(/^(invalid_string|device_token_required)$/);
      client.close();
      continue;
    }
    const token = ack.deviceToken as string;
    const { body } = await call(url, '/api/devices', { token });
    expect(body.devices).toMatchObject([{ id: name, name }]);
    // An address cannot hold "." and ".." as names: they mean folders there.
    const path = `/api/devices/${encodeURIComponent(name)}`;
    const renamed = await call(url, path, { token, method: 'PATCH', body: { name: 'plain' } });
    if (!/^\.+$/.test(name)) expect(renamed.status).toBe(200);
    client.close();
  }
  await serverIsWell();
});

test('a rename to nothing is refused', async () => {
  const { body } = await call(url, '/api/devices', { token: attackerToken });
  const path = `/api/devices/${body.devices[1].id}`;
  for (const wrong of [[], [{ name: 'x' }], {}, { name: null }, { name: '' }, { name: 5 }, { name: 'x'.repeat(201) }]) {
    const reply = await call(url, path, { token: attackerToken, method: 'PATCH', body: wrong });
    expect([wrong, reply.status, reply.body.code]).toEqual([wrong, 400, 'bad_request']);
  }
});

test('a client that asks without end and never reads is let go of, and holds no memory', async () => {
  const before = await memory();
  const greedy = (await RawWebSocket.open(url))!;
  greedy.send(`40${JSON.stringify({ token: rawPhoneToken })}`);
  await greedy.next((text) => text.startsWith('40'));
  greedy.pause();
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < 2000; i++) greedy.send(`42${i}["${i}"]`);
    await call(url, '/healthz');
  }
  expect(((await memory()) - before) / 1_048_576).toBeLessThan(24);
  greedy.close();
  await serverIsWell();
}, 60_000);

test('after all of it the memory is back near where it was, and a new pair works', async () => {
  // What is kept on purpose (caches, compiled code) is there from the first round on.
  const flood = async () => {
    for (let i = 0; i < 40; i++) {
      const raw = new Attack('phone');
      await raw.send(...Object.values(frames).slice(0, 30));
      raw.close();
      await sendRequest(requests['ten megabytes']!);
      await generateQr(url);
    }
  };
  await flood();
  const before = await memory();
  await flood();
  await flood();
  expect(((await memory()) - before) / 1_048_576).toBeLessThan(8);

  const handset = await phone(url);
  const web = await browser(url, await pair(url, handset));
  const sent = message();
  await handset.send('mobile:messages', { messages: [sent] });
  expect(await web.next('message:new')).toEqual(sent);
  handset.close();
  web.close();
  await serverIsWell();
}, 60_000);
