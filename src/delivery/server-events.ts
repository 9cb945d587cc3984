import { Type, type TProperties, type TSchema } from '@sinclair/typebox';
import { chatAnswers, chatRows, chatServerEvents } from './chat-server-events.js';
import type { ClientEvent } from './events.js';

/*
 * What the server sends over Socket.IO, as schemas: the events of wire.md, sections A, B, E and F, and what each event of a
 * client is acknowledged with. `/docs/asyncapi.json` is made of this and of `events.ts`; test/api-description.test.ts holds
 * every event of a running server against it. Schemas with a title are shared.
 */

const Id = Type.String();
const Time = Type.Integer({ description: 'ms since 1970' });
const Seq = Type.Integer({ minimum: 1, description: 'The number of the change in the account' });
const Status = Type.Union(
  ['queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'cancelled'].map((status) => Type.Literal(status)),
);
const Json = Type.Unsafe<unknown>({ description: 'Any JSON value' });
const Metadata = Type.Unsafe<Record<string, unknown>>({ type: 'object', description: 'As the device said it' });

const Message = Type.Object(
  {
    id: Id,
    conversationId: Id,
    phoneNumber: Type.String(),
    body: Type.String(),
    timestamp: Time,
    type: Type.Union([Type.Literal('sent'), Type.Literal('received')]),
    status: Type.Optional(Status),
    read: Type.Boolean(),
    tempId: Type.Optional(Type.String({ description: 'Only of what a browser wrote: the same as `id`' })),
    validUntil: Type.Optional(Time),
  },
  { title: 'Message' },
);

const Conversation = Type.Object(
  {
    id: Id,
    phoneNumber: Type.String(),
    contactName: Type.Optional(Type.String()),
    lastMessage: Type.String(),
    lastMessageTime: Time,
    unreadCount: Type.Integer({ minimum: 0 }),
  },
  { title: 'Conversation' },
);

const ConversationRow = Type.Object(
  {
    id: Id,
    phoneNumber: Type.String(),
    contactName: Type.Optional(Type.String()),
    lastMessage: Type.Optional(Type.String()),
    lastMessageTime: Time,
    unreadCount: Type.Integer({
      minimum: 0,
      description: 'Unread messages up to `countedUpTo`; later ones count besides',
    }),
    countedUpTo: Time,
    readUpTo: Time,
  },
  { title: 'ConversationRow', description: 'A conversation in the change log: its messages move it on' },
);

const DeviceRow = Type.Object(
  {
    id: Id,
    kind: Type.Union([Type.Literal('phone'), Type.Literal('browser')]),
    name: Type.String(),
    type: Type.Optional(Type.String()),
    model: Type.Optional(Type.String()),
    metadata: Type.Optional(Metadata),
    pairedWith: Type.Optional(Type.String({ description: 'The phone that let this browser in' })),
    createdAt: Time,
  },
  { title: 'DeviceRow' },
);

const StateRow = Type.Object({ id: Id, value: Json }, { title: 'StateRow', description: '`id` is the key' });

const RecordRow = Type.Object(
  {
    id: Type.String({ description: 'The guid of the row' }),
    table: Type.String(),
    data: Json,
    clientDate: Type.Union([Type.String(), Type.Number()], { description: 'As the client said it' }),
    origin: Type.String({ description: 'The device that wrote it' }),
  },
  { title: 'RecordRow', description: 'A row of an app’s table' },
);

const change = (kind: string, row: TSchema) =>
  Type.Object({
    seq: Seq,
    kind: Type.Literal(kind),
    id: Id,
    op: Type.Union([Type.Literal('put'), Type.Literal('delete')]),
    at: Time,
    row: Type.Optional(row),
  });

const Change = Type.Union(
  [
    change('conversation', ConversationRow),
    change('message', Message),
    change('device', DeviceRow),
    change('state', StateRow),
    change('record', RecordRow),
    ...Object.entries(chatRows).map(([kind, row]) => change(kind, row)),
  ],
  { title: 'Change', description: 'The last state of one row. `row` is absent for a delete' },
);

/** `ErrorBody` of errors.ts. */
export const ErrorBody = Type.Object(
  {
    // Not a literal: OpenAPI 3.0 knows no `const`.
    success: Type.Unsafe<false>({ type: 'boolean', enum: [false] }),
    code: Type.String({ description: 'Stable, snake_case; docs/protocol.md lists them' }),
    message: Type.String({ description: 'The same in a sentence' }),
    error: Type.String({ description: 'The same as `message`' }),
    requestId: Type.String(),
    retryAfter: Type.Optional(Type.Number({ description: 'Seconds after which trying again makes sense' })),
  },
  { title: 'ErrorBody' },
);

export type Receiver = 'phone' | 'browser' | 'device';

interface ServerEvent {
  /** A phone, a browser, or either of them. */
  to: Receiver;
  summary: string;
  payload: TSchema;
  /** What the client answers the acknowledgement with. */
  answer?: TSchema;
}

const event = (to: Receiver, summary: string, fields: TProperties): ServerEvent => ({
  to,
  summary,
  payload: Type.Object(fields),
});
const Taken = Type.Object({ ok: Type.Boolean() });
const Presence = { deviceId: Type.String({ description: 'The phone' }), lastSeen: Time };

export const serverEvents: Record<string, ServerEvent> = {
  authenticated: event('device', 'This connection is signed in', {
    success: Type.Literal(true),
    deviceId: Type.String({ description: 'The phone' }),
    accountId: Id,
    sessionId: Type.Optional(Type.String({ description: 'To a browser: its own id' })),
    deviceToken: Type.Optional(Type.String({ description: 'To a phone, once: what later connections have to show' })),
  }),
  error: { to: 'device', summary: 'Something failed and was not acknowledged, or why the connection ends', payload: ErrorBody }, // prettier-ignore
  changes: event('device', 'The account’s changes after the cursor of the handshake, in order, then live', {
    changes: Type.Array(Change),
    cursor: Type.Integer({ minimum: 0, description: 'What to pass as `after` next time' }),
  }),

  'qr:paired': event('phone', 'The browser that showed the code is let in', { success: Type.Literal(true) }),
  'send:message': {
    ...event('phone', 'A text to send; offered until it is acknowledged or reported on', {
      phoneNumber: Type.String(),
      message: Type.String(),
      tempId: Id,
    }),
    answer: Taken,
  },
  'mark:read': { ...event('phone', 'Read in a browser', { conversationId: Id }), answer: Taken },
  'request:sync': event('phone', 'Tell conversations and messages', {}),
  'delete:message': event('phone', 'Deleted in a browser', { messageId: Id }),

  'mobile:connected': event('browser', 'The phone is there', Presence),
  'mobile:disconnected': event('browser', 'The phone is away', Presence),
  'conversations:sync': event('browser', 'Conversations as they stand now', {
    conversations: Type.Array(Conversation),
  }),
  'messages:sync': event('browser', 'Messages as they stand now, known ones included', {
    messages: Type.Array(Message),
  }),
  'message:new': { to: 'browser', summary: 'A received message that was not known', payload: Message },
  'message:status': event('browser', 'A status moved', {
    messageId: Id,
    status: Status,
    tempId: Type.Optional(Type.String({ description: 'When the phone reported by an id of its own' })),
  }),
  'message:sent': event('browser', 'The phone handed a message to the network', {
    phoneNumber: Type.String(),
    messageId: Id,
  }),
  'message:deleted': event('browser', 'A message was deleted', { messageId: Id }),

  'session-restored': event('browser', 'All states of the account, after every connect, also when there are none', {
    sessionData: Type.Record(Type.String(), Json, { description: 'Key → state' }),
    deviceId: Type.String({ description: 'Who this connection is' }),
  }),
  'session-updated': event('browser', 'A state was put', {
    sessionKey: Type.String(),
    state: Json,
    deviceId: Type.String({ description: 'Who put it' }),
    timestamp: Time,
  }),
  'realtime-event': event('browser', 'What another device passed on; not stored', {
    type: Type.String(),
    payload: Json,
    sourceDeviceId: Id,
    timestamp: Time,
  }),
  'device-message': event('browser', 'What another device sent to this one; not stored', {
    message: Json,
    sourceDeviceId: Id,
    timestamp: Time,
  }),
  'device-connected': event('browser', 'The first connection of another device', {
    deviceId: Id,
    deviceInfo: Metadata,
  }),
  'device-disconnected': event('browser', 'The last connection of another device has gone', { deviceId: Id, timestamp: Time }), // prettier-ignore
  ...chatServerEvents,
};

/** What an event of a client does, and what its acknowledgement says beyond `ok: true`. */
interface Answer {
  summary: string;
  fields: TProperties;
}

const answer = (summary: string, fields: TProperties = {}): Answer => ({ summary, fields });

export const answers: Record<ClientEvent, Answer> = {
  'mobile:register': answer('Signs a phone in; the first time it makes an account', {
    deviceId: Id,
    accountId: Id,
    deviceToken: Type.Optional(Type.String()),
  }),
  'mobile:scan-qr': answer('Lets the browser in that shows this code', { sessionId: Id }),
  'mobile:messages': answer('Stores messages', {
    stored: Type.Integer({ minimum: 0 }),
    new: Type.Integer({ minimum: 0 }),
  }),
  'mobile:conversations': answer('Stores conversations'),
  'mobile:message-status': answer('Moves a status forward', { known: Type.Boolean() }),
  'message:sent': answer('The phone handed a message to the network', { known: Type.Boolean() }),
  'message:deleted': answer('Deletes a message'),
  'web:authenticate': answer('Signs a browser in', { deviceId: Id, sessionId: Id, accountId: Id }),
  'web:send-message': answer('Stores a text for the phone and offers it', { messageId: Id, status: Status }),
  'web:mark-read': answer('Everything in a conversation is read'),
  'web:delete-message': answer('Deletes a message'),
  'web:request-sync': answer('Asks the phone for a sync'),
  'state:put': answer('Puts a value under a key', { seq: Seq }),
  'state:delete': answer('Deletes the value under a key', { seq: Seq }),
  'session-update': answer('Puts a state under a key', { seq: Seq }),
  'realtime-event': answer('Passes something on to the other devices, or to one; not stored'),
  'device-message': answer('Passes something on to one device; not stored'),
  ...chatAnswers,
};
