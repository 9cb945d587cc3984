import type { MessageStatus, MessageType } from '../generated/prisma/enums.js';

export type { MessageStatus, MessageType };

/** A message as clients see it (wire.md, section A; `tempId` and `validUntil` of those that a browser wrote). */
export interface Message {
  id: string;
  conversationId: string;
  phoneNumber: string;
  body: string;
  /** ms since 1970, the phone's clock (the server's for one a browser wrote). */
  timestamp: number;
  type: MessageType;
  status?: MessageStatus;
  read: boolean;
  tempId?: string;
  validUntil?: number;
}

/** What of a message is stored in the clear. */
export interface MessageColumns {
  conversationId: string;
  type: MessageType;
  status: MessageStatus | null;
  read: boolean;
  timestamp: number;
  phoneMessageId: string | null;
  /** The browser that wrote it; null for the phone's own. */
  origin: string | null;
  validUntil: number | null;
}

/** What of a message is sealed. */
export interface MessageContent {
  phoneNumber: string;
  body: string;
}

/** A whole message: `put` by the phone, `send` by a browser. A second one of the same id changes no content. */
export interface MessageRow extends MessageColumns {
  content: MessageContent;
  sealed: Buffer;
}

export function toMessage(id: string, columns: MessageColumns, content: MessageContent): Message {
  const { conversationId, type, status, read, timestamp, origin, validUntil } = columns;
  return {
    id,
    conversationId,
    timestamp,
    type,
    read,
    ...(status === null ? {} : { status }),
    ...(origin === null ? {} : { tempId: id }),
    ...(validUntil === null ? {} : { validUntil }),
    phoneNumber: content.phoneNumber,
    body: content.body,
  };
}

/** As browsers are shown it, `readUpTo` being how far its conversation was read in one of them. */
export function shown(message: Message, readUpTo = 0): Message {
  return message.read || message.timestamp > readUpTo ? message : { ...message, read: true };
}

const ORDER: Record<MessageStatus, number> = {
  queued: 0,
  sending: 1,
  sent: 2,
  delivered: 3,
  read: 4,
  failed: 5,
  cancelled: 5,
};

/**
 * Whether a delivery may move from one status to the other: only forward; failed and cancelled end it, and neither
 * undoes a delivery that was seen to happen.
 */
export function movesForward(from: MessageStatus | null, to: MessageStatus): boolean {
  if (from === null) return true;
  if (from === 'failed' || from === 'cancelled') return false;
  if (to === 'failed') return ORDER[from] < ORDER.delivered;
  if (to === 'cancelled') return ORDER[from] < ORDER.sent;
  return ORDER[to] > ORDER[from];
}

/**
 * When clients of delta sync take a message to have changed last, ms since 1970. A phone's clock may be ahead of ours: a
 * date from the future would win for ever.
 */
export function editDate({
  editedAt,
  timestamp,
  at,
}: {
  editedAt: number | null;
  timestamp: number;
  at: number;
}): number {
  return editedAt ?? Math.min(timestamp, at);
}

/** The status of a message that is deleted: a queued one is not to be sent any more. */
export function statusOnceDeleted({ status, origin }: Pick<MessageColumns, 'status' | 'origin'>): MessageStatus | null {
  return status !== null && movesForward(status, 'cancelled') && origin ? 'cancelled' : status;
}
