import { Type, type Static } from '@sinclair/typebox';

// Conversations between people as events: wire.md, section E. Browsers send them; `events.ts` has them in its table.

const ConversationId = Type.String({ minLength: 1, maxLength: 255, format: 'text-id' });
const MessageId = Type.String({ minLength: 1, maxLength: 128, format: 'text-id' });
const Epoch = Type.Integer({ minimum: 1, maximum: 2 ** 31 });
const Upload = Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' });
/** Base64 of what the client has sealed: the service says what is wrong with it. */
const Content = Type.String();
/** A number of a message. */
const Place = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const chatEvents = {
  sendMessage: Type.Object({
    conversationId: ConversationId,
    messageContent: Content,
    messageId: Type.Optional(MessageId),
    epoch: Type.Optional(Epoch),
    files: Type.Optional(Type.Array(Upload, { maxItems: 100 })),
  }),
  editMessage: Type.Object({
    conversationId: ConversationId,
    messageId: MessageId,
    messageContent: Content,
    epoch: Type.Optional(Epoch),
  }),
  deleteMessage: Type.Object({ conversationId: ConversationId, messageId: MessageId }),
  react: Type.Object({
    conversationId: ConversationId,
    messageId: MessageId,
    content: Type.Union([Content, Type.Null()]),
    epoch: Type.Optional(Epoch),
  }),
  markConversation: Type.Object({
    conversationId: ConversationId,
    delivered: Type.Optional(Place),
    read: Type.Optional(Place),
  }),
  userTyping: Type.Object({ conversationId: ConversationId }),
  joinConversation: Type.Object({ conversationId: ConversationId }),
};

export type ChatClientEvent = keyof typeof chatEvents;
export type ChatPayload<E extends ChatClientEvent> = Static<(typeof chatEvents)[E]>;
