import type { Chat, Chats } from '@pairline/client';
import { createContext, use, useEffect, useMemo, useState, type ReactNode } from 'react';
import { useClient, useClientState, useReading } from '../client.js';

interface Shared {
  /** Undefined until the part of the library is here, and while nothing asked for it. */
  chats: Chats | undefined;
  list: Chat[];
  typing: ReadonlyMap<string, string[]>;
  /** How many invitations there are to answer. */
  invitations: number;
  /** For what needs private conversations: gets the library, and keys where there are none yet. */
  want: () => void;
}

const NOBODY: ReadonlyMap<string, string[]> = new Map();
const Context = createContext<Shared>({ chats: undefined, list: [], typing: NOBODY, invitations: 0, want: () => {} });

/** Private conversations for all that show something of them. */
export function ChatsProvider({ children }: { children: ReactNode }) {
  const client = useClient();
  const { keys, phone } = useClientState();
  const [chats, setChats] = useState<Chats>();
  const [wanted, setWanted] = useState(false);
  // Keys are made unasked only where nothing else can come of the account: an existing phone's goes on without them.
  const use = wanted || keys === 'here' || (keys === 'none' && phone.gone === true);

  useEffect(() => {
    let over = false;
    const ask = (wait: number) => {
      client.chats().then(
        (found) => !over && setChats(found),
        // No connection yet, or none to the server's part of the keys: again, ever more patiently.
        () => !over && (timer = window.setTimeout(() => ask(Math.min(2 * wait, LONGEST_WAIT_MS)), wait)),
      );
    };
    let timer = 0;
    if (use) ask(FIRST_WAIT_MS);
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [client, use]);

  const list = useReading(
    `chats ${chats !== undefined}`,
    async () => (await chats?.list()) ?? [],
    (changed) => chats?.on('chats', changed) ?? (() => {}),
  ).value;
  const invitations = useReading(
    `invitations ${chats !== undefined}`,
    async () => (await chats?.invitations())?.length ?? 0,
    (changed) => chats?.on('invitations', changed) ?? (() => {}),
  ).value;
  const typing = useTyping(chats);

  const shared = useMemo(
    () => ({ chats, list: list ?? [], typing, invitations: invitations ?? 0, want: () => setWanted(true) }),
    [chats, list, typing, invitations],
  );
  return <Context value={shared}>{children}</Context>;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

function useTyping(chats: Chats | undefined): ReadonlyMap<string, string[]> {
  const [typing, setTyping] = useState(NOBODY);
  useEffect(
    () =>
      chats?.on('typing', (chatId, people) =>
        setTyping((before) => {
          const next = new Map(before);
          if (people.length > 0)
            next.set(
              chatId,
              people.map(({ name }) => name),
            );
          else next.delete(chatId);
          return next;
        }),
      ),
    [chats],
  );
  return typing;
}

export function useChats(): Shared {
  return use(Context);
}

/** The library, for parts of the page that are only there once it is. */
export function useOpenChats(): Chats {
  const { chats } = use(Context);
  if (chats === undefined) throw new Error('Private conversations are not loaded');
  return chats;
}
