import type { Conversation, Message, WebClient } from '@pairline/client';
import { useEffect, useRef, useState, useSyncExternalStore, type KeyboardEvent } from 'react';
import { useClient } from '../client.js';
import { conversationName } from '../conversations/naming.js';
import { useConversations } from '../conversations/use-conversations.js';
import { useWords } from '../i18n/words.js';
import { follow, toHash, useRoute, type Route } from '../route.js';
import { useTimes } from '../times.js';
import { Avatar } from '../ui/avatar.js';
import { EmptyState } from '../ui/notice-page.js';
import { fold, snippet, wordsOf, type Piece } from './words-in-text.js';
import { onSearchProgress, prepareSearch, searchMessages, searchProgress } from './search.js';

const CONVERSATIONS_SHOWN = 20;

interface Found {
  query: string;
  total: number;
  messages: { message: Message; pieces: Piece[] }[];
}

/** What fits a query: conversations by name and number at once, messages as soon as the index knows. */
export default function SearchResults({ query }: { query: string }) {
  const words = useWords();
  const client = useClient();
  const conversations = useConversations().value ?? [];
  const progress = useSyncExternalStore(onSearchProgress, searchProgress);
  const { found, failed } = useFound(client, query, progress.texts, progress.done);
  const list = useRef<HTMLDivElement>(null);

  const people = conversations.filter((conversation) => fits(conversation, query)).slice(0, CONVERSATIONS_SHOWN);
  const byId = new Map(conversations.map((conversation) => [conversation.id, conversation]));
  const messages = found?.query === query ? found.messages : undefined;
  const nothing = people.length === 0 && messages?.length === 0 && progress.done;

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
        {messages && words.search.results(people.length + (found?.total ?? 0))}
      </p>
      {people.length > 0 && (
        <div role="group" aria-label={words.search.conversations}>
          <h2>{words.search.conversations}</h2>
          <ul>
            {people.map((conversation) => (
              <li key={conversation.id}>
                <Result
                  route={{ page: 'conversation', id: conversation.id }}
                  conversation={conversation}
                  line={[{ text: conversation.name ? conversation.number : conversation.lastText, found: false }]}
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
            {messages.map(({ message, pieces }) => (
              <li key={message.id}>
                <Result
                  route={{ page: 'conversation', id: message.conversationId, message: message.id }}
                  conversation={byId.get(message.conversationId)}
                  number={message.number}
                  time={message.timestamp}
                  line={message.type === 'sent' ? [{ text: `${words.search.you}: `, found: false }, ...pieces] : pieces}
                />
              </li>
            ))}
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
          <button type="button" className="button" onClick={() => void prepareSearch(client)}>
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

function Result({
  route,
  conversation,
  number = conversation?.number ?? '',
  time,
  line,
}: {
  route: Route;
  conversation: Conversation | undefined;
  number?: string;
  time?: number;
  line: Piece[];
}) {
  const words = useWords();
  const times = useTimes();
  const replace = useRoute().page === 'conversation';
  return (
    <a className="result" href={toHash(route)} onClick={follow(route, { replace })}>
      <Avatar name={conversation?.name} number={number} />
      <span className="conversation-name" dir="auto">
        {conversationName({ number, ...(conversation?.name ? { name: conversation.name } : {}) }, words)}
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

function useFound(client: WebClient, query: string, texts: number, done: boolean) {
  const [found, setFound] = useState<Found>();
  const [failed, setFailed] = useState(false);
  // While the index grows: again with every so many texts more, not with every piece.
  const stage = done ? -1 : Math.floor(texts / MORE_TEXTS);

  useEffect(() => {
    let current = true;
    const timer = window.setTimeout(() => {
      setFailed(false);
      prepareSearch(client).catch(() => current && setFailed(true));
      read(client, query).then(
        (result) => current && setFound(result),
        () => current && setFailed(true),
      );
    }, TYPING_MS);
    return () => {
      current = false;
      window.clearTimeout(timer);
    };
  }, [client, query, stage]);

  return { found, failed };
}

async function read(client: WebClient, query: string): Promise<Found> {
  const { hits, total } = await searchMessages(client, query);
  const messages = await Promise.all(
    hits.map(async ({ id, terms }) => {
      const message = await client.message(id);
      return message && { message, pieces: snippet(message.text, terms) };
    }),
  );
  // Some may have been deleted since they were indexed.
  return { query, total, messages: messages.filter((entry) => entry !== undefined) };
}

function fits({ name = '', number }: Conversation, query: string): boolean {
  const digits = query.replace(/[\s().-]/g, '');
  if (/^\+?\d{2,}$/.test(digits) && number.replace(/^\+/, '').includes(digits.replace(/^(\+|00?)/, ''))) return true;
  const parts = wordsOf(name);
  const wanted = wordsOf(query);
  if (wanted.length === 0) return fold(name).includes(fold(query));
  return wanted.every((word) => parts.some((part) => part.startsWith(word)));
}
