import { useEffect, useRef, useState } from 'react';
import { useClient } from '../client.js';
import { conversationName } from '../conversations/naming.js';
import { useConversations } from '../conversations/use-conversations.js';
import { useWords } from '../i18n/words.js';
import { getPreferences } from '../preferences.js';
import { navigate, useRoute } from '../route.js';
import { notify, offerNotifications } from './notifications.js';
import { playSound } from './sound.js';

/** Tells of new messages: in the title and on the icon, by a notification, a sound, and to screen readers. */
export function Announcer() {
  const client = useClient();
  const words = useWords();
  const route = useRoute();
  const conversations = useConversations().value ?? [];
  const [said, setSaid] = useState('');
  const open = route.page === 'conversation' ? route.id : undefined;
  const latest = useRef({ words, open });
  latest.current = { words, open };

  const unread = conversations.reduce((sum, each) => sum + (each.archived ? 0 : each.unread), 0);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) Pairline` : 'Pairline';
    // Where there is no badge, or it is not allowed, the title says it.
    if ('setAppBadge' in navigator) void navigator.setAppBadge(unread).catch(() => {});
  }, [unread]);

  useEffect(
    () =>
      client.on('incoming', (message, conversation) => {
        const { words, open } = latest.current;
        const name = conversationName(conversation, words);
        const watched = document.visibilityState === 'visible' && document.hasFocus();
        if (watched && open === conversation.id) setSaid(words.thread.incoming(name, message.text));
        if (watched || conversation.archived) return;
        if (getPreferences().sound) playSound();
        offerNotifications();
        notify({ title: name, text: message.text, id: message.id, conversationId: conversation.id });
      }),
    [client],
  );

  useEffect(() => {
    const onMessage = ({ data }: MessageEvent<{ show?: string }>) => {
      if (data.show !== undefined) navigate({ page: 'conversation', id: data.show });
    };
    navigator.serviceWorker?.addEventListener('message', onMessage);
    return () => navigator.serviceWorker?.removeEventListener('message', onMessage);
  }, []);

  return (
    <p className="hidden-words" aria-live="polite">
      {said}
    </p>
  );
}
