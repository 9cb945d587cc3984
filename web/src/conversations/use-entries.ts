import type { Chat, Conversation } from '@pairline/client';
import { useMemo } from 'react';
import { useChats } from '../chats/use-chats.js';
import type { Route } from '../route.js';
import { useConversations } from './use-conversations.js';

/** A line of the list: texts with a number, or a conversation between accounts. */
export type Entry = { conversation: Conversation; chat?: undefined } | { chat: Chat; conversation?: undefined };

/** Both kinds in one order: pinned ones first, then the newest first. Undefined until the list was read. */
export function useEntries(): Entry[] | undefined {
  const conversations = useConversations().value;
  const { list } = useChats();
  return useMemo(
    () =>
      conversations &&
      [
        ...conversations.map((conversation): Entry => ({ conversation })),
        ...list.map((chat): Entry => ({ chat })),
      ].sort((one, other) => order(other) - order(one)),
    [conversations, list],
  );
}

/** What both kinds have. */
export function same(entry: Entry): Pick<Chat, 'id' | 'archived' | 'pinned' | 'unread' | 'lastTime'> {
  return entry.chat ?? entry.conversation;
}

export function entryRoute(entry: Entry): Route & { id: string } {
  return { page: entry.chat ? 'chat' : 'conversation', id: same(entry).id };
}

/** Whether this is what is open. */
export function isOpen(entry: Entry, route: Route): boolean {
  if (route.page === 'chat-details') return entry.chat?.id === route.id;
  return route.page === entryRoute(entry).page && 'id' in route && route.id === same(entry).id;
}

const PINNED = 2 ** 52; // Later than any time.

function order(entry: Entry): number {
  const { pinned, lastTime } = same(entry);
  return lastTime + (pinned ? PINNED : 0);
}
