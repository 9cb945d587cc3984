import { Type, type TProperties, type TSchema } from '@sinclair/typebox';
import type { ChatClientEvent } from './chat-events.js';

/* Conversations between people (wire.md, section E), as schemas: `server-events.ts` has them in its tables. */

const Id = Type.String();
const Time = Type.Integer({ description: 'ms since 1970' });
const Place = Type.Integer({
  minimum: 1,
  description: 'The number of the message: its place, the same for all members',
});
const Mark = Type.Integer({ minimum: 0, description: 'The number of a message' });
const Epoch = Type.Integer({ minimum: 1, description: 'Of the key that it is sealed with' });
const Content = Type.String({ description: 'Base64, as its author sealed it' });
const Role = Type.Union(['owner', 'admin', 'member'].map((role) => Type.Literal(role)));
const State = Type.Union(['invited', 'accepted', 'declined', 'left', 'removed'].map((state) => Type.Literal(state)));
const Name = Type.String({ description: 'Of the person' });

const Sender = Type.Object({ user_id: Id, pseudo: Name }, { title: 'Sender' });
const Member = Type.Object(
  { user_id: Id, pseudo: Name, public_key: Type.String(), fingerprint: Type.String(), role: Role, state: State },
  { title: 'Member' },
);
const ChatOf = {
  conversation_id: Id,
  name: Type.Union([Type.String(), Type.Null()]),
  group: Type.Boolean({ description: 'false for a conversation of two' }),
};
const Invitation = Type.Object(
  {
    invitation_id: Id,
    ...ChatOf,
    inviter: Type.Object({ user_id: Id, pseudo: Name, public_key: Type.String() }),
    key: Type.Union([Type.String(), Type.Null()], { description: 'As the inviter wrapped it' }),
    created_at: Time,
  },
  { title: 'Invitation' },
);

const message = {
  conversationId: Id,
  message_id: Id,
  sender: Sender,
  messageContent: Content,
  timestamp: Time,
  edited_at: Type.Optional(Time),
  number: Place,
  epoch: Type.Optional(Epoch),
  files: Type.Optional(Type.Array(Id, { description: 'Uploads' })),
};

const toBrowsers = (summary: string, fields: TProperties) => ({
  to: 'browser' as const,
  summary,
  payload: Type.Object(fields),
});
const typist = { conversationId: Id, user_id: Id, pseudo: Name };

export const chatServerEvents = {
  newMessage: toBrowsers('Somebody posted in a conversation', message),
  messageEdited: toBrowsers('A message was edited', message),
  messageDeleted: toBrowsers('A message was deleted, for everyone', { conversationId: Id, message_id: Id }),
  reaction: toBrowsers('Somebody reacted to a message, or took it back (`null`)', {
    conversationId: Id,
    message_id: Id,
    user_id: Id,
    content: Type.Union([Content, Type.Null()]),
  }),
  conversationMarked: toBrowsers('How far a member has got, and read', {
    conversationId: Id,
    user_id: Id,
    delivered: Mark,
    read: Mark,
  }),
  memberChanged: toBrowsers('Somebody was invited, came, went, has another role or another key', {
    conversationId: Id,
    member: Member,
  }),
  conversationChanged: toBrowsers('A conversation is there, has another name, or another key', {
    conversation: Type.Object({ ...ChatOf, epoch: Epoch, created_at: Time }),
  }),
  pendingNotifications: toBrowsers('What waits: after connecting, if anything does, and with a new invitation', {
    invitations: Type.Array(Invitation),
    conversations: Type.Array(
      Type.Object({ conversation_id: Id, unread_count: Type.Integer({ minimum: 1, maximum: 1000 }) }),
    ),
  }),
  userTyping: toBrowsers('Somebody is typing; not stored', typist),
  userStoppedTyping: toBrowsers('They have not typed for three seconds, or what they typed is there', typist),
};

export const chatAnswers: Record<ChatClientEvent, { summary: string; fields: TProperties }> = {
  sendMessage: { summary: 'Posts a message to a conversation', fields: { message_id: Id, number: Place } },
  editMessage: { summary: 'Edits a message; for its author, for a time', fields: {} },
  deleteMessage: { summary: 'Deletes a message for everyone', fields: {} },
  react: { summary: 'Reacts to a message, or takes it back with `null`', fields: {} },
  markConversation: { summary: 'How far one has got, and read: only ever forward', fields: {} },
  userTyping: { summary: 'Tells the others that one is typing; not stored', fields: {} },
  joinConversation: { summary: 'Whether one is in a conversation: members need not join to be told', fields: {} },
};

const row = (title: string, fields: TProperties) =>
  Type.Object(
    { chatId: Id, id: Id, number: Type.Integer({ minimum: 1, description: 'When it was first written' }), ...fields },
    { title },
  );

/** Rows that an account shares with others, as the change log has them. A change’s id is `<chatId>:<id>`, or the chat’s. */
export const chatRows: Record<string, TSchema> = {
  chat: row('ChatRow', {
    group: Type.Boolean(),
    name: Type.Optional(Type.String()),
    epoch: Epoch,
    createdAt: Time,
    createdBy: Id,
  }),
  'chat.member': row('ChatMemberRow', {
    userId: Id,
    name: Name,
    publicKey: Type.String(),
    fingerprint: Type.String(),
    keySignature: Type.Optional(Type.String()),
    previousKey: Type.Optional(Type.String()),
    role: Role,
    state: State,
    invitedBy: Type.Optional(Id),
    invitationId: Type.Optional(Id),
    history: Type.Optional(Type.Boolean()),
    since: Time,
  }),
  'chat.key': row('ChatKeyRow', { epoch: Epoch, userId: Id, key: Type.String(), by: Id }),
  'chat.message': row('ChatMessageRow', {
    userId: Id,
    content: Content,
    epoch: Type.Optional(Epoch),
    files: Type.Optional(Type.Array(Id)),
    timestamp: Time,
    editedAt: Type.Optional(Time),
  }),
  'chat.reaction': row('ChatReactionRow', {
    messageId: Id,
    userId: Id,
    content: Content,
    epoch: Type.Optional(Epoch),
    timestamp: Time,
  }),
  'chat.mark': row('ChatMarkRow', { userId: Id, delivered: Mark, read: Mark }),
  block: Type.Object({ id: Type.String({ description: 'A user id' }) }, { title: 'BlockRow' }),
};
