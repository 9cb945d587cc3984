import { Type, type TProperties, type TSchema } from '@sinclair/typebox';
import type { BootEnv } from '../env.js';
import { VERSION } from '../version.js';
import { clientEvents, type ClientEvent, type Sender } from './events.js';
import { answers, ErrorBody, serverEvents, type Receiver } from './server-events.js';
import { Introduction } from './websocket.message.js';

type Json = Record<string, unknown>;

const PEOPLE: Record<Sender | Receiver, string> = {
  phone: 'phones',
  browser: 'browsers',
  device: 'phones and browsers',
  anyone: 'whoever has not signed in yet',
};

/**
 * The events as an AsyncAPI 3 document, made of the schemas that the server checks by. The application it describes is the
 * server: it `receive`s what clients send, and `send`s the rest. Channels are the two directions, the acknowledgements of
 * what is sent, and the messages that carry all of that over `/ws`.
 */
export function asyncApi({ limits, publicUrl, port }: Pick<BootEnv, 'limits' | 'publicUrl' | 'port'>): Json {
  const named: Json = {};
  const schema = (of: TSchema) => lift(of, named);
  const received = Object.entries(clientEvents(limits)).map(([name, { from, payload }]) => {
    const { summary, fields } = answers[name as ClientEvent];
    const ok = Type.Object({ ok: Type.Literal(true), ...fields });
    const refused = Type.Composite([Type.Object({ ok: Type.Literal(false) }), ErrorBody], { title: 'Refusal' });
    return { name, key: keyOf(name), who: from, summary, payload: schema(payload), reply: schema(Type.Union([ok, refused])) }; // prettier-ignore
  });
  const sent = Object.entries(serverEvents).map(([name, { to, summary, payload, answer }]) => ({
    name,
    key: keyOf(name),
    who: to,
    summary,
    payload: schema(payload),
    ...(answer && { reply: schema(answer) }),
  }));
  const { host, protocol } = new URL(publicUrl ?? `http://localhost:${port}`);

  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Pairline',
      version: VERSION,
      description:
        'Events over Socket.IO 4, namespace `/`, or over a plain WebSocket, `/ws`. A client signs in by the handshake’s `auth` ' +
        '(`token`, and `after` to follow the change log), over `/ws` by the address or a first message `authenticate`, or by the ' +
        'events `mobile:register` and `web:authenticate`. Each event carries one JSON object, and may ask for an ' +
        'acknowledgement: it is answered after the commit. The format `text-id` is any text without NUL and lone surrogates, ' +
        '`printable` one without control characters. docs/protocol.md and docs/websocket.md say the same in words.',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    defaultContentType: 'application/json',
    servers: {
      this: {
        host,
        pathname: '/socket.io/',
        protocol: protocol === 'https:' ? 'wss' : 'ws',
        description: 'Engine.IO 4 under Socket.IO 4: WebSocket, or HTTP long polling',
        security: [ref('components/securitySchemes/token')],
      },
      webSocket: {
        host,
        pathname: '/ws',
        protocol: protocol === 'https:' ? 'wss' : 'ws',
        description: 'RFC 6455, without compression: the channel `frames`',
        security: [ref('components/securitySchemes/tokenInAddress'), ref('components/securitySchemes/bearer')],
      },
    },
    channels: {
      fromClients: { address: '/', title: 'What clients send', messages: messages(received) },
      fromServer: { address: '/', title: 'What the server sends', messages: messages(sent) },
      acknowledgements: {
        title: 'What an event is acknowledged with',
        messages: messages([...received, ...sent].flatMap(({ reply, ...of }) => (reply ? [{ ...of, payload: reply }] : []))), // prettier-ignore
      },
      frames: {
        address: '/ws',
        servers: [ref('servers/webSocket')],
        title: 'The messages of /ws, one JSON object each',
        messages: messages(frames([...received, ...sent].map(({ name }) => name)).map((of) => ({ ...of, payload: schema(of.payload) }))), // prettier-ignore
      },
    },
    // prettier-ignore
    operations: {
      'receive-frame': { action: 'receive', channel: ref('channels/frames'), summary: 'A message of a client of /ws' },
      'send-frame': { action: 'send', channel: ref('channels/frames'), summary: 'A message to a client of /ws' },
      ...Object.fromEntries(received.map((of) => [`receive-${of.key}`, operation('receive', 'fromClients', of)])),
      ...Object.fromEntries(sent.map((of) => [`send-${of.key}`, operation('send', 'fromServer', of)])),
    },
    components: {
      schemas: named,
      securitySchemes: {
        token: {
          type: 'userPassword',
          description: 'A session token, device token or API key as `auth.token` of the Socket.IO handshake',
        },
        tokenInAddress: { type: 'httpApiKey', name: 'token', in: 'query', description: 'The same, of the address' },
        bearer: { type: 'http', scheme: 'bearer', description: 'The same, in the header of the upgrade' },
      },
    },
  };
}

interface Described {
  name: string;
  key: string;
  summary: string;
  payload: unknown;
}

interface Event extends Described {
  who: Sender | Receiver;
  reply?: unknown;
}

/** What goes over `/ws`; the `data` of an event, and of its acknowledgement, is in the other channels. */
function frames(events: string[]): (Described & { payload: TSchema })[] {
  const id = Type.Union([Type.String({ maxLength: 128 }), Type.Number()]);
  const frame = (key: string, summary: string, fields: TProperties) => ({ key, name: key, summary, payload: Type.Object(fields) }); // prettier-ignore
  return [
    frame('event', 'An event, of either side', {
      type: Type.Unsafe<string>({ type: 'string', enum: [...new Set(events)] }),
      data: Type.Optional(Type.Unknown({ description: 'The payload of the event' })),
      id: Type.Optional(Type.Unsafe({ ...id, description: 'Asks for an acknowledgement' })),
    }),
    frame('ack', 'An acknowledgement, of either side', {
      type: Type.Literal('ack'),
      data: Type.Object({ ok: Type.Boolean() }, { additionalProperties: true }),
      id,
    }),
    frame('authenticate', 'A client shows its token, when the address and the headers have none', {
      type: Type.Literal('authenticate'),
      data: Introduction,
      id: Type.Optional(id),
    }),
    frame('ping', 'A client asks whether the server is there', { type: Type.Literal('ping') }),
    frame('pong', 'The answer to that', { type: Type.Literal('pong') }),
  ];
}

/** Keys of AsyncAPI may not hold colons. */
function keyOf(name: string): string {
  return name.replaceAll(':', '-');
}

function messages(all: Described[]): Json {
  return Object.fromEntries(
    all.map(({ name, key, summary, payload }) => [key, { name, title: name, summary, payload }]),
  );
}

function operation(action: 'send' | 'receive', channel: string, of: Event): Json {
  const reply = { channel: ref('channels/acknowledgements'), messages: [ref(`channels/acknowledgements/messages/${of.key}`)] }; // prettier-ignore
  return {
    action,
    channel: ref(`channels/${channel}`),
    title: of.name,
    summary: of.summary,
    description: `${action === 'send' ? 'To' : 'From'} ${PEOPLE[of.who]}.`,
    messages: [ref(`channels/${channel}/messages/${of.key}`)],
    ...(of.reply === undefined ? {} : { reply }),
  };
}

function ref(path: string): Json {
  return { $ref: `#/${path}` };
}

/** Plain JSON Schema: what has a title becomes a component, and TypeBox's own way to say "any JSON" a word. */
function lift(schema: unknown, named: Json): unknown {
  if (Array.isArray(schema)) return schema.map((item) => lift(item, named));
  if (typeof schema !== 'object' || schema === null) return schema;
  if ('$id' in schema) return { description: 'Any JSON value' };
  const plain = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, lift(value, named)]));
  if (typeof plain.title !== 'string') return plain;
  named[plain.title] = plain;
  return ref(`components/schemas/${plain.title}`);
}
