import type { Chat, ChatMessage, Chats, Member } from '@pairline/client';
import { useCallback, useMemo, useState } from 'react';
import { useClient } from '../client.js';
import { DropZone } from '../files/attaching.js';
import { useTray } from '../files/use-tray.js';
import { useChatWords } from '../i18n/chat-words.js';
import { navigate } from '../route.js';
import { ThreadList } from '../thread/thread-list.js';
import type { Source } from '../thread/thread-window.js';
import type { MenuPlace } from '../ui/menu.js';
import { ChatBubble } from './chat-bubble.js';
import { ChatComposer, type Writing } from './chat-composer.js';
import { DeleteDialog, MessageMenu, ReactDialog } from './message-menu.js';
import { MessageDetails } from './message-details.js';
import { TypingLine } from './typing-line.js';
import { useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

type Asking = { what: 'menu'; message: ChatMessage; place: MenuPlace } | { what: 'delete' | 'details' | 'react'; message: ChatMessage }; // prettier-ignore

/** What was written in a conversation, and what one writes. */
export function ChatThread({ chat, members, target }: { chat: Chat; members: Member[]; target: string | undefined }) {
  const chats = useOpenChats();
  const words = useChatWords().thread;
  const { attempt } = useChatToasts();
  const { id: chatId, group } = chat;
  const source = useMemo(() => messagesOf(chats, chatId), [chats, chatId]);
  const [asking, setAsking] = useState<Asking>();
  const [writing, setWriting] = useState<Writing>();
  const close = () => setAsking(undefined);
  const me = members.find((member) => member.me)?.userId;

  const onMenu = useCallback((message: ChatMessage, place: MenuPlace) => setAsking({ what: 'menu', message, place }), []); // prettier-ignore
  const onJump = useCallback((message: string) => navigate({ page: 'chat', id: chatId, message }, { replace: true }), [chatId]); // prettier-ignore
  const onReact = useCallback((message: ChatMessage, emoji: string | undefined) => void attempt(() => chats.react(chatId, message.id, emoji)), [attempt, chats, chatId]); // prettier-ignore
  const onRetry = useCallback((message: ChatMessage) => void attempt(() => chats.retry(chatId, message.id)), [attempt, chats, chatId]); // prettier-ignore
  const here = chat.membership === 'accepted';
  const { tray } = useTray(useClient().files, chatId);

  return (
    <DropZone onFiles={(files) => tray.add(files)} disabled={!here || writing?.as === 'edit'}>
      <ThreadList
        source={source}
        target={target}
        unread={chat.unread}
        writer={({ authorId, mine }) => (mine ? '' : authorId)}
        isMine={({ mine }) => mine}
        markRead={() => chats.markRead(chatId)}
        beginning={words.beginning}
        empty={{ title: words.empty, why: words.emptyWhy }}
      >
        {({ message, first, last, lastOwn, marked }) => (
          <ChatBubble
            message={message}
            group={group}
            me={me}
            first={first}
            last={last}
            statusInWords={lastOwn}
            marked={marked}
            onMenu={onMenu}
            onJump={onJump}
            onReact={onReact}
            onRetry={onRetry}
          />
        )}
      </ThreadList>
      <TypingLine chatId={chatId} />
      {here ? (
        <ChatComposer chat={chat} members={members} writing={writing} onWriting={setWriting} />
      ) : (
        <p className="thread-over">
          {!group ? words.leftTwo : chat.membership === 'removed' ? words.removed : words.left}
        </p>
      )}
      {asking?.what === 'menu' && (
        <MessageMenu
          chat={chat}
          message={asking.message}
          place={asking.place}
          onWriting={setWriting}
          onReact={onReact}
          onAsk={(what) => setAsking({ what, message: asking.message })}
          onClose={close}
        />
      )}
      {asking?.what === 'delete' && <DeleteDialog message={asking.message} onClose={close} />}
      {asking?.what === 'details' && <MessageDetails message={asking.message} onClose={close} />}
      {asking?.what === 'react' && <ReactDialog onPick={(emoji) => onReact(asking.message, emoji)} onClose={close} />}
    </DropZone>
  );
}

function messagesOf(chats: Chats, chatId: string): Source<ChatMessage> {
  return {
    newest: (limit) => chats.messages(chatId, { limit }),
    before: (before, limit) => chats.messages(chatId, { limit, before }),
    after: (message, limit) => chats.after(message, limit),
    around: (id, limit) => chats.around(chatId, id, limit),
    message: (id) => chats.message(chatId, id),
    onChange: (changed) =>
      chats.on('chat', (id) => {
        if (id === chatId) changed();
      }),
  };
}
