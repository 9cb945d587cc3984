import type { Message } from '@pairline/client';

/** A message and how it stands among its neighbours. */
export interface Row {
  message: Message;
  /** Begins a day: its line stands above. */
  day: boolean;
  /** First and last of a group: from the same side, within minutes. */
  first: boolean;
  last: boolean;
  /** The first unread one when the thread was opened. */
  unreadLine: boolean;
}

const TOGETHER_MS = 5 * 60_000;

export function toRows(messages: readonly Message[], firstUnread: string | undefined): Row[] {
  const rows: Row[] = [];
  for (const message of messages) {
    const before = rows.at(-1);
    const day = !before || !sameDay(before.message.timestamp, message.timestamp);
    const unreadLine = message.id === firstUnread;
    const joined =
      before !== undefined &&
      !day &&
      !unreadLine &&
      before.message.type === message.type &&
      message.timestamp - before.message.timestamp < TOGETHER_MS;
    if (before && joined) before.last = false;
    rows.push({ message, day, first: !joined, last: true, unreadLine });
  }
  return rows;
}

/** The message that `unread` received ones begin with, counted from the end. */
export function firstUnread(messages: readonly Message[], unread: number): string | undefined {
  if (unread === 0) return undefined;
  return messages.filter(({ type }) => type === 'received').at(-unread)?.id;
}

function sameDay(one: number, other: number): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}
