import { Type, type TSchema } from '@sinclair/typebox';
import type { BootEnv } from '../env.js';
import { VERSION } from '../version.js';
import { clientEvents, type ClientEvent, type Sender } from './events.js';
import { answers, ErrorBody, serverEvents, type Receiver } from './server-events.js';

type Json = Record<string, unknown>;

const PEOPLE: Record<Sender | Receiver, string> = {
  phone: 'phones',
  browser: 'browsers',
  device: 'phones and browsers',
  anyone: 'whoever has not signed in yet',
};

/**
 * The events over Socket.IO as an AsyncAPI 3 document, made of the schemas that the server checks by. The application it
 * describes is the server: it `receive`s what clients send, and `send`s the rest. Channels are the two directions of the
 * one namespace, and the acknowledgements of what clients send.
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
        'Events over Socket.IO 4, namespace `/`. A client signs in by the handshake’s `auth` (`token`, and `after` to follow the ' +
        'change log) or by `mobile:register` or `web:authenticate`. Each event carries one JSON object, and may ask for ' +
        'Socket.IO’s acknowledgement: it is answered after the commit. The format `text-id` is any text without NUL and lone ' +
        'surrogates, `printable` one without control characters. docs/protocol.md says the same in words.',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    defaultContentType: 'application/json',
    servers: {
      this: {
        host,
        pathname: '/socket.io/',
        protocol: protocol === 'https:' ? 'wss' : 'ws',
        description: 'Engine.IO 4 under Socket.IO 4: WebSocket, or HTTP long polling',
        security: [{ $ref: '#/components/securitySchemes/token' }],
      },
    },
    channels: {
      fromClients: { address: '/', title: 'What clients send', messages: messages(received) },
      fromServer: { address: '/', title: 'What the server sends', messages: messages(sent) },
      acknowledgements: {
        title: 'What an event is acknowledged with',
        messages: messages([...received, ...sent].flatMap(({ reply, ...of }) => (reply ? [{ ...of, payload: reply }] : []))), // prettier-ignore
      },
    },
    operations: {
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
      },
    },
  };
}

interface Described {
  name: string;
  key: string;
  who: Sender | Receiver;
  summary: string;
  payload: unknown;
  reply?: unknown;
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

function operation(action: 'send' | 'receive', channel: string, of: Described): Json {
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
