import { lazy, Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { useChats } from '../chats/use-chats.js';
import { useClient } from '../client.js';
import { conversationName, lineOfFiles } from '../conversations/naming.js';
import { useConversations } from '../conversations/use-conversations.js';
import { useWords } from '../i18n/words.js';
import { part } from '../part.js';
import { getPreferences } from '../preferences.js';
import { goTo, toHash, useRoute } from '../route.js';
import type { News } from './news.js';
import { notify, offerNotifications } from './notifications.js';

const ChatNews = lazy(part(() => import('../chats/chat-news.js')));

/** Tells of new messages: in the title and on the icon, by a notification, a sound, and to screen readers. */
export function Announcer() {
  const client = useClient();
  const words = useWords();
  const route = useRoute();
  const conversations = useConversations().value ?? [];
  const { chats, list } = useChats();
  const [said, setSaid] = useState('');
  const open = route.page === 'conversation' || route.page === 'chat' ? `${route.page} ${route.id}` : undefined;
  const latest = useRef({ words, open });
  latest.current = { words, open };

  const unread =
    conversations.reduce((sum, each) => sum + (each.archived ? 0 : each.unread), 0) +
    list.reduce((sum, each) => sum + (each.archived || each.muted ? 0 : each.unread), 0);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Pairline` : 'Pairline';
    // Where there is no badge, or it is not allowed, the title says it.
    if ('setAppBadge' in navigator) void navigator.setAppBadge(unread).catch(() => {});
  }, [unread]);

  const announce = useRef((_: News) => {});
  announce.current = ({ route, id, from, title, text, quiet }) => {
    const { open } = latest.current;
    const watched = document.visibilityState === 'visible' && document.hasFocus();
    if (watched && open === `${route.page} ${route.id}`) setSaid(latest.current.words.notice.incoming(from, text));
    if (watched || quiet) return;
    if (getPreferences().sound)
      void part(() => import('./sound.js'))().then(
        ({ playSound }) => playSound(),
        () => {},
      );
    offerNotifications();
    notify({ title, text, id, hash: toHash(route) });
  };

  const onNews = useCallback((news: News) => announce.current(news), []);

  useEffect(
    () =>
      client.on('incoming', ({ id, text: written, files }, conversation) => {
        const { words } = latest.current;
        const name = conversationName(conversation, words);
        const text = written || lineOfFiles(files?.[0]?.type, words);
        const route = { page: 'conversation', id: conversation.id } as const;
        onNews({ route, id, from: name, title: name, text, quiet: conversation.archived });
      }),
    [client, onNews],
  );

  useEffect(() => {
    const onMessage = ({ data }: MessageEvent<{ show?: string }>) => {
      if (data.show !== undefined) goTo(data.show);
    };
    navigator.serviceWorker?.addEventListener('message', onMessage);
    return () => navigator.serviceWorker?.removeEventListener('message', onMessage);
  }, []);

  return (
    <>
      <p className="hidden-words" aria-live="polite">
        {said}
      </p>
      {chats && (
        <Suspense>
          <ChatNews onNews={onNews} />
        </Suspense>
      )}
    </>
  );
}
