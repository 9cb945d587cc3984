import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import specs from '@asyncapi/specs';
import { createConfig, lintFromString, type Config } from '@redocly/openapi-core';
import { Ajv } from 'ajv';
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
import { TestServer } from './support/server.js';
import { talk } from './support/talk.js';
import { WsClient } from './support/ws.js';

/* What `/docs` says of the server is whole, well-formed, and what the server does. */

/* eslint-disable @typescript-eslint/no-explicit-any -- documents are looked at by `expect` */
type Json = Record<string, any>;

let server: TestServer;
let openApi: Json;
let asyncApi: Json;
let rules: Config;

beforeAll(async () => {
  server = await TestServer.start();
  openApi = (await call<Json>(server.url, '/docs/json')).body;
  asyncApi = (await call<Json>(server.url, '/docs/asyncapi.json')).body;
  rules = await createConfig({ extends: ['recommended'] });
});
afterAll(() => server.stop());

/** What the linter has to say, one line each. */
async function lint(document: Json): Promise<string[]> {
  const problems = await lintFromString({ source: JSON.stringify(document), config: rules });
  return problems.map(({ ruleId, severity, message, location }) => `${severity} ${ruleId} ${location[0]?.pointer ?? ''}: ${message}`); // prettier-ignore
}

interface Operation {
  name: string;
  method: string;
  path: string;
  said: Json;
}

function operations(): Operation[] {
  return Object.entries<Json>(openApi.paths).flatMap(
    ([path, methods]) =>
    Object.entries<Json>(methods).map(([method, said]) => ({ name: `${method.toUpperCase()} ${path}`, method: method.toUpperCase(), path, said })), // prettier-ignore
  );
}

/** What Express really serves. */
function routes(): string[] {
  const { router } = server.app.getHttpAdapter().getInstance();
  return router.stack
    .flatMap(({ route }: Json) =>
      route ? Object.keys(route.methods).map((method) => `${method.toUpperCase()} ${route.path}`) : [],
    ) // prettier-ignore
    .filter((name: string) => !/^\w+ \/docs/.test(name))
    .map((name: string) => name.replace(/:(\w+)/g, '{$1}'));
}

describe('the description of the REST side', () => {
  test('follows every recommended rule of OpenAPI', async () => {
    expect(openApi.openapi).toMatch(/^3\./);
    expect(await lint(openApi)).toEqual([]);
  });

  test('has every route that is served, and no other', () => {
    const described = operations().map(({ name }) => name);
    expect(described.length).toBeGreaterThan(30);
    expect(described.sort()).toEqual([...new Set(routes())].sort());
  });

  test('says what each route takes and answers', () => {
    const vague = operations().filter(({ method, said }) => {
      const replies = Object.entries<Json>(said.responses).filter(([status]) => /^2/.test(status));
      const answers = replies.length > 0 && replies.every(([, { content, headers }]) => Object.values<Json>(content ?? headers ?? {}).some(({ schema }) => schema)); // prettier-ignore
      return !said.summary || !answers || (['POST', 'PUT', 'PATCH'].includes(method) && !said.requestBody);
    });
    expect(vague.map(({ name }) => name)).toEqual([]);
  });

  test('says which routes are open, as the guard has it', async () => {
    const wrong: string[] = [];
    for (const { name, method, path, said } of operations()) {
      const ways: Json[] = said.security ?? openApi.security;
      const isOpen = ways.every((one) => !('bearer' in one));
      if (ways.length > 1) continue; // a token does, and so does something else
      const filled = path.replace('{realm}', 'default').replace(/\{\w+\}/g, randomUUID());
      const { status, body } = await call(server.url, filled, {
        method,
        ...(/GET|HEAD/.test(method) ? {} : { body: {} }),
      });
      const isClosed = status === 401 && (method === 'HEAD' || body.code === 'not_authenticated');
      if (isOpen === isClosed) wrong.push(`${name}: ${status} ${body.code}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe('the description of the events', () => {
  test('follows every recommended rule of AsyncAPI', async () => {
    expect(await lint(asyncApi)).toEqual([]);
  });

  test('fits the schema of AsyncAPI 3', () => {
    expect(asyncApi.asyncapi).toBe('3.0.0');
    // It brings the JSON Schema of JSON Schema along, so Ajv must not.
    const ajv = new Ajv({ strict: false, validateFormats: false, meta: false, validateSchema: false });
    const fits = ajv.compile(specs.schemas['3.0.0']);
    fits(asyncApi);
    expect(fits.errors ?? []).toEqual([]);
  });

  test('fits every event and acknowledgement of a running server, and has them all', async () => {
    const { url } = server;
    const clients: Client[] = [];
    const keep = <C extends Client>(client: C): C => (clients.push(client), client);
    const acks: { event: string; ack: Ack }[] = [];
    const act = async (client: Client, event: string, payload: unknown) => {
      const ack = await client.send(event, payload);
      acks.push({ event, ack });
      return ack;
    };
    const deviceInfo = (name: string) => ({ deviceInfo: JSON.stringify({ name, type: 'laptop', viewport: { width: 1 } }) }); // prettier-ignore
    const device = async (token: string, name: string) => {
      const client = keep(new Client(url, { auth: { token }, query: deviceInfo(name) }));
      return { client, id: (await client.next('session-restored')).deviceId as string };
    };

    const handset = keep(await phone(url));
    await act(handset, 'mobile:register', { deviceId: handset.deviceId });
    const [one, two] = [await pair(url, handset), await pair(url, handset)];
    const { qrData } = await generateQr(url);
    await act(handset, 'mobile:scan-qr', { qrData, deviceId: handset.deviceId });

    const tab = keep(await browser(url, one));
    await act(tab, 'web:authenticate', { sessionToken: one });
    const other = keep(await browser(url, two));
    const following = keep(follower(url, one));
    const [laptop, tablet] = [await device(one, 'Laptop'), await device(two, 'Tablet')];
    await laptop.client.next('device-connected');

    const [text, gone] = [message(), message()];
    const conversation = { id: text.conversationId, phoneNumber: text.phoneNumber, contactName: 'Mia' };
    await act(handset, 'mobile:conversations', { conversations: [conversation] });
    await act(handset, 'mobile:messages', { messages: [text, gone] });
    await act(tab, 'web:send-message', { phoneNumber: '+15550101', message: 'Hello', tempId: 'temp-1' });
    await handset.next('send:message');
    await act(handset, 'message:sent', { phoneNumber: '+15550101', messageId: 'phone-1' });
    await act(handset, 'mobile:message-status', { messageId: 'phone-1', status: 'delivered' });
    await act(tab, 'web:mark-read', { conversationId: text.conversationId });
    await act(handset, 'message:deleted', { messageId: gone.id });
    await act(tab, 'web:delete-message', { messageId: text.id });
    await act(tab, 'web:request-sync', {});
    await act(tab, 'state:put', { key: 'a', value: { deep: [1, null] } });
    await act(tab, 'state:delete', { key: 'a' });
    await act(laptop.client, 'session-update', { sessionKey: 'b', state: { tab: 1 } });
    await act(laptop.client, 'realtime-event', { type: 'cursor', payload: { x: 1 } });
    await act(laptop.client, 'device-message', { targetDeviceId: tablet.id, message: 'Hello' });
    const row = { operation: 'I', rowguid: randomUUID(), tablename: 'notes', clientdate: Date.now(), rowData: { text: 'Milk' } }; // prettier-ignore
    expect((await call(url, '/push/default', { token: one, body: { lastSync: 0, changes: [row] } })).status).toBe(200);

    clients.push(...(await talk(url, act)));

    await tablet.client.next('realtime-event');
    await tablet.client.next('device-message');
    await tablet.client.next('session-updated');
    tablet.client.close();
    await laptop.client.next('device-disconnected');
    tab.socket.emit('no-such-event', {});
    await tab.next('error');
    await other.next('message:deleted', undefined, 2);
    await following.next('changes', ({ changes }: Json) => changes.some(({ kind }: Json) => kind === 'record'));
    await handset.settled();
    handset.close();
    await other.next('mobile:disconnected');
    for (const client of clients) client.close();

    const { channels } = strictly(asyncApi);
    const received = clients
      .flatMap((client) => client.received)
      .filter(({ event }) => !['connect', 'disconnect', 'connect_error'].includes(event));
    expect(misfits(channels.fromServer, received)).toEqual([]);
    expect(missing(channels.fromServer, received)).toEqual([]);

    expect(acks.filter(({ ack }) => !ack.ok)).toEqual([]);
    const answered = acks.map(({ event, ack }) => ({ event, payload: ack }));
    expect(misfits(channels.acknowledgements, answered)).toEqual([]);
    expect(missing(channels.fromClients, answered)).toEqual([]);
  });
});

describe('the description of /ws', () => {
  test('fits every message of a running server, of either side', async () => {
    const { url } = server;
    const handset = new WsClient(url);
    await handset.connected();
    handset.answer('send:message', { ok: true });
    const known = { deviceId: `phone-${randomUUID()}` };
    await handset.send('mobile:register', known);
    const token = await pair(url, Object.assign(handset, known) as unknown as PhoneClient);
    const web = new WsClient(url);
    await web.connected();
    await web.send('authenticate', { token, deviceInfo: { name: 'Laptop' } });
    await web.send('web:authenticate', { sessionToken: token });
    await web.send('web:send-message', { phoneNumber: '+15550101', message: 'Hello', tempId: 'temp-1' });
    await web.next('message:status');
    web.emit('web:mark-read', { conversationId: 'never was' });
    await web.next('error');
    web.write({ type: 'ping' });
    await web.until(() => web.all('pong').length > 0);
    const following = new WsClient(url, { query: { token, after: '0' } });
    await following.next('changes');
    const clients = [handset, web, following];
    for (const client of clients) client.close();

    expect(Object.keys(asyncApi.servers)).toContain('webSocket');
    const { frames } = strictly(asyncApi).channels;
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const checks = Object.entries(schemasByKey(frames)).map(([key, schema]) => ({ key, fits: ajv.compile(schema) }));
    const said = clients.flatMap((client) => client.frames.map(({ frame }) => JSON.parse(JSON.stringify(frame))));
    const kinds = said.map((frame) => checks.filter(({ fits }) => fits(frame)).map(({ key }) => key));
    expect(said.filter((_, i) => kinds[i]!.length !== 1)).toEqual([]);
    expect(new Set(kinds.flat())).toEqual(new Set(checks.map(({ key }) => key)));
  });
});

/** The same document, in which an object has no field that is not named. References are resolved. */
function strictly(document: Json): Json {
  const closed = (value: any): any => {
    if (Array.isArray(value)) return value.map(closed);
    if (typeof value !== 'object' || value === null) return value;
    if (typeof value.$ref === 'string' && value.$ref.startsWith('#/components/schemas/'))
      return closed(document.components.schemas[value.$ref.split('/').at(-1)]);
    const whole = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, closed(inner)]));
    return whole.type === 'object' && whole.properties ? { additionalProperties: false, ...whole } : whole;
  };
  return closed(document);
}

interface Said {
  event: string;
  payload: unknown;
}

const schemasByKey = (channel: Json): Record<string, Json> => Object.fromEntries(Object.entries<Json>(channel.messages).map(([key, { payload }]) => [key, payload])); // prettier-ignore
const schemasOf = (channel: Json) => new Map(Object.values<Json>(channel.messages).map(({ name, payload }) => [name as string, payload as Json])); // prettier-ignore

/** What was said and is not described so. */
function misfits(channel: Json, said: Said[]): unknown[] {
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const checks = new Map([...schemasOf(channel)].map(([name, schema]) => [name, ajv.compile(schema)]));
  return said.flatMap(({ event, payload }): unknown[] => {
    const fits = checks.get(event);
    if (fits === undefined) return [{ event, why: 'is not described' }];
    return fits(payload) ? [] : [{ event, payload, why: fits.errors }];
  });
}

/** What is described and never was said. */
function missing(channel: Json, said: Said[]): string[] {
  const events = new Set(said.map(({ event }) => event));
  return [...schemasOf(channel).keys()].filter((name) => !events.has(name));
}
