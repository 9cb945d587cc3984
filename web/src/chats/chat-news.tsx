import { useEffect, useRef } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import type { News } from '../notifications/news.js';
import { chatName } from './naming.js';
import { useOpenChats } from './use-chats.js';

/** Tells of messages that come into private conversations. */
export default function ChatNews({ onNews }: { onNews: (news: News) => void }) {
  const chats = useOpenChats();
  const current = useChatWords();
  const words = useRef(current);
  words.current = current;
  useEffect(
    () =>
      chats.on('incoming', ({ id, text, authorName, files }, chat) => {
        const { list } = words.current;
        const from = authorName || list.somebody;
        const name = chatName(chat, words.current);
        onNews({
          route: { page: 'chat', id: chat.id },
          id,
          from,
          title: chat.group ? `${from} · ${name}` : name,
          text: text || list.files(files.length),
          quiet: chat.archived || chat.muted,
        });
      }),
    [chats, onNews],
  );
  return null;
}
