import type { Conversation, Message, WebClient } from '@pairline/client';
import { useCallback, useMemo, useState } from 'react';
import { useClient } from '../client.js';
import { useInsideWords } from '../i18n/inside-words.js';
import type { MenuPlace } from '../ui/menu.js';
import { Bubble } from './bubble.js';
import { DeleteDialog, MessageMenu } from './message-actions.js';
import { ThreadList } from './thread-list.js';
import type { Source } from './thread-window.js';

/** The texts of a conversation with a number. */
export function MessageList({
  conversationId,
  target,
  name,
  conversation,
}: {
  conversationId: string;
  /** A message to show and mark, instead of the newest. */
  target: string | undefined;
  name: string;
  conversation: Conversation | undefined;
}) {
  const client = useClient();
  const words = useInsideWords();
  const source = useMemo(() => textsOf(client, conversationId), [client, conversationId]);
  const [menu, setMenu] = useState<{ message: Message; place: MenuPlace }>();
  const [deleting, setDeleting] = useState<Message>();
  const openMenu = useCallback((message: Message, place: MenuPlace) => setMenu({ message, place }), []);

  return (
    <>
      <ThreadList
        source={source}
        target={target}
        unread={conversation?.unread ?? 0}
        writer={({ type }) => type}
        isMine={({ type }) => type === 'sent'}
        markRead={() => client.markRead(conversationId)}
        beginning={words.thread.beginning}
        empty={{ title: words.thread.empty, why: words.thread.emptyWhy }}
      >
        {({ message, first, last, lastOwn, marked }) => (
          <Bubble
            message={message}
            name={name}
            first={first}
            last={last}
            statusInWords={lastOwn}
            marked={marked}
            onMenu={openMenu}
          />
        )}
      </ThreadList>
      {menu && <MessageMenu {...menu} onDelete={setDeleting} onClose={() => setMenu(undefined)} />}
      {deleting && <DeleteDialog message={deleting} onClose={() => setDeleting(undefined)} />}
    </>
  );
}

function textsOf(client: WebClient, conversationId: string): Source<Message> {
  return {
    newest: (limit) => client.messages(conversationId, { limit }),
    before: (before, limit) => client.messages(conversationId, { limit, before }),
    after: (message, limit) => client.after(message, limit),
    around: (id, limit) => client.around(id, limit),
    message: (id) => client.message(id),
    onChange: (changed) =>
      client.on('messages', (id) => {
        if (id === conversationId) changed();
      }),
  };
}
