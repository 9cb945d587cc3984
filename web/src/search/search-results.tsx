import type { Chat, ChatMessage, Chats, Conversation, Message, WebClient } from '@pairline/client';
import { useEffect, useRef, useState, useSyncExternalStore, type KeyboardEvent } from 'react';
import { chatName } from '../chats/naming.js';
import { useChats } from '../chats/use-chats.js';
import { useClient } from '../client.js';
import { conversationName } from '../conversations/naming.js';
import { useConversations } from '../conversations/use-conversations.js';
import { useChatWords } from '../i18n/chat-words.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { follow, toHash, useRoute, type Route } from '../route.js';
import { useTimes } from '../times.js';
import { Avatar } from '../ui/avatar.js';
import { EmptyState } from '../ui/notice-page.js';
import { fold, snippet, wordsOf, type Piece } from './words-in-text.js';
import { foundBy, onSearchProgress, prepareSearch, searchMessages, searchProgress } from './search.js';

const CONVERSATIONS_SHOWN = 20;

interface Found {
  query: string;
  total: number;
  messages: ({ pieces: Piece[] } & ({ message: Message } | { chatMessage: ChatMessage }))[];
}

/** What fits a query: conversations by name and number at once, messages as soon as the index knows. */
export default function SearchResults({ query }: { query: string }) {
  const words = useInsideWords();
  const client = useClient();
  const chatWords = useChatWords();
  const { chats, list: allChats } = useChats();
  const conversations = useConversations().value ?? [];
  const progress = useSyncExternalStore(onSearchProgress, searchProgress);
  const { found, failed } = useFound(client, chats, query, progress.texts, progress.done);
  const list = useRef<HTMLDivElement>(null);

  const people = conversations.filter((conversation) => fits(conversation, query)).slice(0, CONVERSATIONS_SHOWN);
  const byId = new Map(conversations.map((conversation) => [conversation.id, conversation]));
  const between = allChats.filter(({ name }) => fits({ name, number: '' }, query)).slice(0, CONVERSATIONS_SHOWN);
  const chatById = new Map(allChats.map((chat) => [chat.id, chat]));
  const asHead = (chat: Chat | undefined) => ({
    name: chat ? chatName(chat, chatWords) : chatWords.list.somebody,
    initialsOf: chat?.name,
    colorOf: chat?.with?.userId ?? chat?.id ?? '',
  });
  const headOf = (conversation: Conversation | undefined, number = conversation?.number ?? '') => ({
    name: conversationName({ number, ...(conversation?.name ? { name: conversation.name } : {}) }, words),
    initialsOf: conversation?.name,
    colorOf: number,
  });
  const messages = found?.query === query ? found.messages : undefined;
  const nothing = people.length + between.length === 0 && messages?.length === 0 && progress.done;

  const onKeyDown = (event: KeyboardEvent) => {
    const links = [...(list.current?.querySelectorAll('a') ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    if (event.key === 'Escape') {
      event.preventDefault();
      document.querySelector<HTMLElement>('input[type=search]')?.focus();
    }
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    event.preventDefault();
    const next = links[event.key === 'ArrowDown' ? at + 1 : at - 1];
    if (next) next.focus();
    else if (event.key === 'ArrowUp') document.querySelector<HTMLElement>('input[type=search]')?.focus();
  };

  return (
    <div className="results" ref={list} onKeyDown={onKeyDown}>
      <p className="hidden-words" role="status">
        {messages && words.search.results(people.length + between.length + (found?.total ?? 0))}
      </p>
      {people.length + between.length > 0 && (
        <div role="group" aria-label={words.search.conversations}>
          <h2>{words.search.conversations}</h2>
          <ul>
            {people.map((conversation) => (
              <li key={conversation.id}>
                <Result
                  route={{ page: 'conversation', id: conversation.id }}
                  {...headOf(conversation)}
                  line={[{ text: conversation.name ? conversation.number : conversation.lastText, found: false }]}
                />
              </li>
            ))}
            {between.map((chat) => (
              <li key={`chat ${chat.id}`}>
                <Result
                  route={{ page: 'chat', id: chat.id }}
                  {...asHead(chat)}
                  line={[{ text: chat.last?.text ?? '', found: false }]}
                />
              </li>
            ))}
          </ul>
        </div>
      )}
      {messages && messages.length > 0 && (
        <div role="group" aria-label={words.search.messages}>
          <h2>{words.search.messages}</h2>
          <ul>
            {messages.map((entry) =>
              'message' in entry ? (
                <li key={entry.message.id}>
                  <Result
                    route={{ page: 'conversation', id: entry.message.conversationId, message: entry.message.id }}
                    {...headOf(byId.get(entry.message.conversationId), entry.message.number)}
                    time={entry.message.timestamp}
                    line={entry.message.type === 'sent' ? by(words.search.you, entry.pieces) : entry.pieces}
                  />
                </li>
              ) : (
                <li key={`${entry.chatMessage.chatId} ${entry.chatMessage.id}`}>
                  <Result
                    route={{ page: 'chat', id: entry.chatMessage.chatId, message: entry.chatMessage.id }}
                    {...asHead(chatById.get(entry.chatMessage.chatId))}
                    time={entry.chatMessage.timestamp}
                    line={by(
                      entry.chatMessage.mine
                        ? words.search.you
                        : entry.chatMessage.authorName || chatWords.list.somebody,
                      entry.pieces,
                    )}
                  />
                </li>
              ),
            )}
          </ul>
        </div>
      )}
      {nothing && (
        <EmptyState title={words.search.none(query)}>
          <p>{words.search.noneWhy}</p>
        </EmptyState>
      )}
      {failed && (
        <EmptyState title={words.search.failed}>
          <button type="button" className="button" onClick={() => void prepareSearch(client, chats)}>
            {words.tryAgain}
          </button>
        </EmptyState>
      )}
      {!progress.done && !failed && (
        <p className="results-progress">
          <span className="spinner" />
          {words.search.building(progress.texts)}
        </p>
      )}
    </div>
  );
}

/** A line that begins with who wrote it. */
function by(name: string, pieces: Piece[]): Piece[] {
  return [{ text: `${name}: `, found: false }, ...pieces];
}

function Result({
  route,
  name,
  initialsOf,
  colorOf,
  time,
  line,
}: {
  route: Route;
  name: string;
  initialsOf: string | undefined;
  colorOf: string;
  time?: number;
  line: Piece[];
}) {
  const times = useTimes();
  const { page } = useRoute();
  const replace = page === 'conversation' || page === 'chat';
  return (
    <a className="result" href={toHash(route)} onClick={follow(route, { replace })}>
      <Avatar name={initialsOf} number={colorOf} />
      <span className="conversation-name" dir="auto">
        {name}
      </span>
      {time !== undefined && <time className="conversation-time">{times.short(time)}</time>}
      <span className="conversation-line" dir="auto">
        {line.map((piece, index) =>
          piece.found ? <mark key={index}>{piece.text}</mark> : <span key={index}>{piece.text}</span>,
        )}
      </span>
    </a>
  );
}

const TYPING_MS = 120;
const MORE_TEXTS = 20_000;

function useFound(client: WebClient, chats: Chats | undefined, query: string, texts: number, done: boolean) {
  const [found, setFound] = useState<Found>();
  const [failed, setFailed] = useState(false);
  // While the index grows: again with every so many texts more, not with every piece.
  const stage = done ? -1 : Math.floor(texts / MORE_TEXTS);

  useEffect(() => {
    let current = true;
    const timer = window.setTimeout(() => {
      setFailed(false);
      prepareSearch(client, chats).catch(() => current && setFailed(true));
      read(client, chats, query).then(
        (result) => current && setFound(result),
        () => current && setFailed(true),
      );
    }, TYPING_MS);
    return () => {
      current = false;
      window.clearTimeout(timer);
    };
  }, [client, chats, query, stage]);

  return { found, failed };
}

async function read(client: WebClient, chats: Chats | undefined, query: string): Promise<Found> {
  const { hits, total } = await searchMessages(client, chats, query);
  const messages = await Promise.all(
    hits.map(async ({ id: key, terms }) => {
      const { id, chatId } = foundBy(key);
      if (chatId === undefined) {
        const message = await client.message(id);
        return message && { message, pieces: snippet(message.text, terms) };
      }
      const chatMessage = await chats?.message(chatId, id);
      return chatMessage?.deleted
        ? undefined
        : chatMessage && { chatMessage, pieces: snippet(chatMessage.text, terms) };
    }),
  );
  // Some may have been deleted since they were indexed.
  return { query, total, messages: messages.filter((entry) => entry !== undefined) };
}

function fits({ name = '', number }: Pick<Conversation, 'name' | 'number'>, query: string): boolean {
  const digits = query.replace(/[\s().-]/g, '');
  if (/^\+?\d{2,}$/.test(digits) && number.replace(/^\+/, '').includes(digits.replace(/^(\+|00?)/, ''))) return true;
  const parts = wordsOf(name);
  const wanted = wordsOf(query);
  if (wanted.length === 0) return fold(name).includes(fold(query));
  return wanted.every((word) => parts.some((part) => part.startsWith(word)));
}
