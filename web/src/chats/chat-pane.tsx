import type { Chat, Chats, Member } from '@pairline/client';
import { useEffect, useMemo } from 'react';
import { useClientState, useReading } from '../client.js';
import { useChatWords } from '../i18n/chat-words.js';
import { useWords } from '../i18n/words.js';
import { follow, goBack, navigate, toHash } from '../route.js';
import { StatusLine } from '../status-line.js';
import { Avatar } from '../ui/avatar.js';
import { BackIcon, InfoIcon } from '../ui/icons.js';
import { NoticePage } from '../ui/notice-page.js';
import { ChatThread } from './chat-thread.js';
import { KeyWarnings } from './key-warnings.js';
import { chatName } from './naming.js';
import { Strangers } from './strangers.js';
import { useChats } from './use-chats.js';
import '../thread/thread.css';
import { useChatToasts } from './use-chat-toasts.js';
import './chats.css';

/** A private conversation, or a group. */
export default function ChatPane({ chatId, target }: { chatId: string; target: string | undefined }) {
  const words = useWords();
  const { chats, want } = useChats();
  useEffect(want, []);
  if (chats === undefined) return <p className="page-loading">{words.loading}</p>;
  return <OpenChat chats={chats} chatId={chatId} target={target} />;
}

function OpenChat({ chats, chatId, target }: { chats: Chats; chatId: string; target: string | undefined }) {
  const words = useWords();
  const chatWords = useChatWords();
  const { phase } = useClientState();
  const { list } = useChats();
  const { chat, members } = useChat(chats, chatId);

  if (chat === null) {
    // Just begun, or not here yet.
    if (phase === 'syncing' || phase === 'connecting') return <p className="page-loading">{words.loading}</p>;
    return (
      <NoticePage title={chatWords.thread.gone} level={2}>
        <p>{chatWords.thread.goneWhy}</p>
        <button type="button" className="button" onClick={() => navigate({ page: 'home' }, { replace: true })}>
          {words.back}
        </button>
      </NoticePage>
    );
  }
  // What the list knows is there at once.
  const known = chat ?? list.find(({ id }) => id === chatId);
  if (known === undefined) return <p className="page-loading">{words.loading}</p>;
  return (
    <section className="thread" aria-label={chatName(known, chatWords)}>
      <ChatHeader chat={known} members={members} />
      <StatusLine />
      <Warnings chat={known} members={members} />
      <ChatThread chat={known} members={members} target={target} />
    </section>
  );
}

/** A conversation and who is in it; null when it is not here. */
export function useChat(chats: Chats, chatId: string): { chat: Chat | null | undefined; members: Member[] } {
  const subscribe = useMemo(
    () => (changed: () => void) => {
      const offs = [
        chats.on('chats', changed),
        chats.on('people', changed),
        chats.on('chat', (id) => {
          if (id === chatId) changed();
        }),
      ];
      return () => offs.forEach((off) => off());
    },
    [chats, chatId],
  );
  const { value } = useReading(
    `chat ${chatId}`,
    async () => {
      const chat = (await chats.chat(chatId)) ?? null;
      return { chat, members: chat === null ? [] : await chats.members(chatId) };
    },
    subscribe,
  );
  return { chat: value?.chat, members: value?.members ?? [] };
}

function ChatHeader({ chat, members }: { chat: Chat; members: Member[] }) {
  const words = useWords();
  const chatWords = useChatWords();
  const name = chatName(chat, chatWords);
  const names = members
    .filter(({ me }) => !me)
    .map((member) => (member.membership === 'invited' ? chatWords.thread.invited(member.name) : member.name));
  const details = { page: 'chat-details', id: chat.id } as const;
  return (
    <header className="thread-header">
      <button type="button" className="icon-button back-button" aria-label={words.back} onClick={goBack}>
        <BackIcon />
      </button>
      <Avatar name={chat.name} number={chat.with?.userId ?? chat.id} />
      <div className="thread-title">
        <h1 dir="auto">{name}</h1>
        <p className="thread-people" dir="auto">
          {chat.group && chat.membership === 'accepted'
            ? [...names, chatWords.thread.you].join(', ')
            : chat.group
              ? chatWords.thread.group
              : chatWords.thread.private}
        </p>
      </div>
      <a
        className="icon-button"
        href={toHash(details)}
        aria-label={chatWords.thread.details}
        title={chatWords.thread.details}
        onClick={follow(details)}
      >
        <InfoIcon />
      </a>
    </header>
  );
}

/** What to know before one goes on writing. */
function Warnings({ chat, members }: { chat: Chat; members: Member[] }) {
  const chatWords = useChatWords();
  const { chats } = useChats();
  const { attempt } = useChatToasts();
  const other = chat.with;
  const people = members.filter(({ me }) => !me);
  return (
    <>
      <KeyWarnings people={people.length > 0 ? people : other ? [other] : []} />
      {chats && <Strangers chat={chat} members={people} />}
      {other?.blocked && (
        <div className="thread-banner">
          <p>{chatWords.about.blocked}</p>
          <button
            type="button"
            className="link-button"
            onClick={() => void attempt(async () => chats?.unblock(other.userId))}
          >
            {chatWords.about.unblock}
          </button>
        </div>
      )}
      {!chat.group && chat.membership === 'accepted' && people[0]?.membership === 'invited' && (
        <p className="thread-banner">{chatWords.thread.waitsFor(chatName(chat, chatWords))}</p>
      )}
    </>
  );
}
