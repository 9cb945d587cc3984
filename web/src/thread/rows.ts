import type { Placed } from './thread-window.js';

/** A message and how it stands among its neighbours. */
export interface Row<M extends Placed> {
  message: M;
  /** Begins a day: its line stands above. */
  day: boolean;
  /** First and last of a group: by the same writer, within minutes. */
  first: boolean;
  last: boolean;
  /** The first unread one when the thread was opened. */
  unreadLine: boolean;
}

const TOGETHER_MS = 5 * 60_000;

export function toRows<M extends Placed>(
  messages: readonly M[],
  firstUnread: string | undefined,
  writer: (message: M) => string,
): Row<M>[] {
  const rows: Row<M>[] = [];
  for (const message of messages) {
    const before = rows.at(-1);
    const day = !before || !sameDay(before.message.timestamp, message.timestamp);
    const unreadLine = message.id === firstUnread;
    const joined =
      before !== undefined &&
      !day &&
      !unreadLine &&
      writer(before.message) === writer(message) &&
      message.timestamp - before.message.timestamp < TOGETHER_MS;
    if (before && joined) before.last = false;
    rows.push({ message, day, first: !joined, last: true, unreadLine });
  }
  return rows;
}

/** The message that `unread` ones of others begin with, counted from the end. */
export function firstUnread<M extends Placed>(
  messages: readonly M[],
  unread: number,
  isMine: (message: M) => boolean,
): string | undefined {
  if (unread === 0) return undefined;
  return messages.filter((message) => !isMine(message)).at(-unread)?.id;
}

function sameDay(one: number, other: number): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}
