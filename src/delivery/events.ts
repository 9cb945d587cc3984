import { FormatRegistry, Type, type Static } from '@sinclair/typebox';
import type { Limits } from '../env.js';
import { chatEvents, type ChatClientEvent } from './chat-events.js';

/*
 * The protocol of wire.md, sections A, B and E, as code: what clients may send, and who. What the server sends is in
 * `ServerEvents`. docs/protocol.md tells the same in words.
 */

// Postgres cannot store NUL, and a lone surrogate would come back as another character: two ids would become one.
FormatRegistry.Set('text-id', (value) => value.isWellFormed() && !value.includes('\0'));
FormatRegistry.Set('printable', (value) => value.isWellFormed() && !/\p{Cc}/u.test(value));

const Id = Type.String({ minLength: 1, maxLength: 255, format: 'text-id' });
const DeviceId = Type.String({ minLength: 1, maxLength: 128, format: 'printable' });
const Name = Type.String({ maxLength: 200 });
const PhoneNumber = Type.String({ maxLength: 256 });
const Token = Type.String({ maxLength: 4096 });
const Time = Type.Number({ minimum: 0, maximum: 8.64e15 });
const MessageType = Type.Union([Type.Literal('sent'), Type.Literal('received')]);
const Status = Type.Union(
  (['queued', 'sending', 'sent', 'delivered', 'read', 'failed', 'cancelled'] as const).map((status) =>
    Type.Literal(status),
  ),
);

/** Who may send an event: a registered phone, a signed-in browser, either of them, or anybody. */
export type Sender = 'phone' | 'browser' | 'device' | 'anyone';

/** How deep what apps keep and tell each other may be nested, and its event with it. */
const DEEP = 32;

/** Any JSON value; not bytes, which Socket.IO could carry too. */
const Json = Type.Unsafe<unknown>(
  Type.Recursive((Value) =>
    Type.Union([
      Type.Null(),
      Type.Boolean(),
      Type.Number(),
      Type.String(),
      Type.Array(Value),
      Type.Record(Type.String(), Value),
    ]),
  ),
);

/** People talk by browsers, or what signs in like one. */
const ofChats = Object.fromEntries(
  Object.entries(chatEvents).map(([name, payload]) => [name, { from: 'browser', payload, depth: undefined }]),
) as { [E in ChatClientEvent]: { from: Sender; payload: (typeof chatEvents)[E]; depth: number | undefined } };

/** The events that clients send, with the bounds this server was given. */
export function clientEvents({ maxBatch, maxTextLength }: Pick<Limits, 'maxBatch' | 'maxTextLength'>) {
  const Text = Type.String({ maxLength: maxTextLength });
  const Message = Type.Object({
    id: Id,
    conversationId: Id,
    phoneNumber: PhoneNumber,
    body: Text,
    timestamp: Time,
    type: MessageType,
    status: Type.Optional(Type.Union([Status, Type.Null()])),
    read: Type.Optional(Type.Boolean()),
  });
  const Conversation = Type.Object({
    id: Id,
    phoneNumber: PhoneNumber,
    // A native phone's is sealed, which makes it longer than a name.
    contactName: Type.Optional(Type.Union([Text, Type.Null()])),
    lastMessage: Type.Optional(Type.Union([Text, Type.Null()])),
    lastMessageTime: Type.Optional(Time),
    unreadCount: Type.Optional(Type.Integer({ minimum: 0, maximum: 1e9 })),
  });
  const event = <T extends Parameters<typeof Type.Object>[0]>(from: Sender, fields: T, depth?: number) => ({
    from,
    payload: Type.Object(fields),
    depth,
  });

  return {
    'mobile:register': event('anyone', {
      deviceId: DeviceId,
      deviceName: Type.Optional(Type.Union([Name, Type.Null()])),
      deviceModel: Type.Optional(Type.Union([Name, Type.Null()])),
      deviceToken: Type.Optional(Type.Union([Token, Type.Null()])),
      inviteToken: Type.Optional(Token),
    }),
    'mobile:scan-qr': event('phone', {
      qrData: Type.String({ maxLength: 4096 }),
      deviceId: DeviceId,
      keys: Type.Optional(Type.String({ minLength: 1, maxLength: 65_536 })),
    }),
    'mobile:messages': event('phone', { messages: Type.Array(Message, { maxItems: maxBatch }) }),
    'mobile:conversations': event('phone', { conversations: Type.Array(Conversation, { maxItems: maxBatch }) }),
    'mobile:message-status': event('phone', { messageId: Id, status: Status }),
    'message:sent': event('phone', { phoneNumber: PhoneNumber, messageId: Id }),
    'message:deleted': event('phone', { messageId: Id }),
    'web:authenticate': event('anyone', { sessionToken: Token }),
    'web:send-message': event('browser', {
      phoneNumber: Type.String({ minLength: 1, maxLength: 256 }),
      message: Type.String({ minLength: 1, maxLength: maxTextLength }),
      tempId: Id,
      validUntil: Type.Optional(Time),
    }),
    'web:mark-read': event('browser', { conversationId: Id }),
    'web:delete-message': event('browser', { messageId: Id }),
    'web:request-sync': event('browser', {}),
    'state:put': event('device', { key: Id, value: Json, ifAbsent: Type.Optional(Type.Boolean()) }),
    'state:delete': event('device', { key: Id }),
    'session-update': event('device', { sessionKey: Id, state: Json }, DEEP),
    'realtime-event': event(
      'device',
      {
        type: Type.String({ minLength: 1, maxLength: 255 }),
        payload: Type.Optional(Json),
        targetDeviceId: Type.Optional(Type.Union([DeviceId, Type.Null()])),
      },
      DEEP,
    ),
    'device-message': event('device', { targetDeviceId: DeviceId, message: Json }, DEEP),
    ...ofChats,
  };
}

export type ClientEvents = ReturnType<typeof clientEvents>;
export type ClientEvent = keyof ClientEvents;
export type Payload<E extends ClientEvent> = Static<ClientEvents[E]['payload']>;

/** What an event's sender is told, beyond `ok: true`, once it is done. */
export type Reply = Record<string, unknown>;
