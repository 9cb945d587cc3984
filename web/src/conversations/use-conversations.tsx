import type { Conversation } from '@pairline/client';
import { createContext, use, type ReactNode } from 'react';
import { useClient, useReading, type Reading } from '../client.js';

const Context = createContext<Reading<Conversation[]> | undefined>(undefined);

/** One list for all that show something of it. */
export function ConversationsProvider({ children }: { children: ReactNode }) {
  const client = useClient();
  const reading = useReading(
    'conversations',
    () => client.conversations(),
    (changed) => client.on('conversations', changed),
  );
  return <Context value={reading}>{children}</Context>;
}

export function useConversations(): Reading<Conversation[]> {
  const reading = use(Context);
  if (reading === undefined) throw new Error('There is no ConversationsProvider above this component');
  return reading;
}
