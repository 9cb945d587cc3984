import { Type } from '@sinclair/typebox';

/** `data` of a first message `{type:'authenticate'}`. */
export const Introduction = Type.Object(
  {
    token: Type.String({ maxLength: 4096, description: 'A session token, a device token or an API key' }),
    after: Type.Optional(
      Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description: 'Follow the change log from here' }),
    ),
    deviceInfo: Type.Optional(Type.Unknown({ description: 'Which device this is, see docs/live-state.md' })),
  },
  { title: 'Introduction' },
);

/** What a client of `/ws` sends. */
export interface Message {
  type: string;
  data?: unknown;
  /** Of the acknowledgement that is asked for, or, with `type:'ack'`, that is given. */
  id?: string | number;
}

const MAX_ID = 128;

/** Undefined for what is no such message. `data` has not been checked. */
export function readMessage(bytes: Buffer, isBinary: boolean): Message | undefined {
  if (isBinary) return undefined;
  const message = parse(bytes.toString());
  if (typeof message !== 'object' || message === null) return undefined;
  const { type, data, id } = message as Record<string, unknown>;
  return typeof type === 'string' && (id === undefined || isId(id)) ? { type, data, id } : undefined;
}

function isId(id: unknown): id is string | number {
  return Number.isFinite(id) || (typeof id === 'string' && id.length <= MAX_ID);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
