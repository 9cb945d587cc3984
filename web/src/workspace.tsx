import { lazy, Suspense, useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { ChatsProvider, useChats } from './chats/use-chats.js';
import { ListPane, type ListPage } from './conversations/list-pane.js';
import { ConversationsProvider, useConversations } from './conversations/use-conversations.js';
import { entryRoute, isOpen, same, useEntries, type Entry } from './conversations/use-entries.js';
import { useWords } from './i18n/words.js';
import { Announcer } from './notifications/announcer.js';
import { part } from './part.js';
import { goBack, navigate, useRoute, type Route } from './route.js';
import { BrokenPart } from './start-problems.js';
import { ErrorBoundary } from './ui/error-boundary.js';
import { NoticePage } from './ui/notice-page.js';
import './styles/workspace.css';

const loadThread = part(() => import('./thread/thread-pane.js'));
const ThreadPane = lazy(loadThread);
const loadChat = part(() => import('./chats/chat-pane.js'));
const ChatPane = lazy(loadChat);
const ChatDetails = lazy(part(() => import('./chats/details-page.js')));
const SettingsPage = lazy(part(() => import('./settings/settings-page.js')));

/** The two panes: what there is on the left, what was picked on the right. A narrow screen shows one of them. */
export default function Workspace() {
  return (
    <ConversationsProvider>
      <ChatsProvider>
        <Panes />
      </ChatsProvider>
    </ConversationsProvider>
  );
}

function Panes() {
  const route = useRoute();
  const words = useWords();
  const [listPage, showMainList] = useListPage(route);
  const onList = isListPage(route.page);
  useShortcuts(route);

  const listed = useConversations().value !== undefined;
  useEffect(() => {
    // The list is on the screen: what is opened from it may come now.
    if (listed) loadThread().catch(() => {});
  }, [listed]);
  const hasChats = useChats().chats !== undefined;
  useEffect(() => {
    if (hasChats) loadChat().catch(() => {});
  }, [hasChats]);

  return (
    <main className="workspace" data-showing={onList ? 'list' : 'detail'}>
      <section className="pane-list" aria-label={words.list.title}>
        <ErrorBoundary resetKey={listPage} fallback={(error) => <BrokenPart error={error} />}>
          <ListPane page={listPage} onLeave={onList ? goBack : showMainList} />
        </ErrorBoundary>
      </section>
      <div className="pane-detail">
        <ErrorBoundary resetKey={JSON.stringify(route)} fallback={(error) => <BrokenPart error={error} />}>
          <Suspense fallback={<p className="page-loading">{words.loading}</p>}>
            <Detail route={route} />
          </Suspense>
        </ErrorBoundary>
      </div>
      <Announcer />
    </main>
  );
}

function Detail({ route }: { route: Route }) {
  const words = useWords();
  switch (route.page) {
    case 'conversation':
      return <ThreadPane key={route.id} conversationId={route.id} target={route.message} />;
    case 'number':
      return <ThreadPane key={route.number} number={route.number} />;
    case 'chat':
      return <ChatPane key={route.id} chatId={route.id} target={route.message} />;
    case 'chat-details':
      return <ChatDetails key={route.id} chatId={route.id} />;
    case 'settings':
      return <SettingsPage />;
    case 'pair':
      return <SettingsPage code={route.code} />;
    case 'home':
    case 'archived':
    case 'new':
    case 'new-group':
      return (
        <NoticePage title={words.welcome.title} level={2}>
          <p>{words.welcome.why}</p>
        </NoticePage>
      );
  }
}

function isListPage(page: Route['page']): page is ListPage {
  return page === 'home' || page === 'archived' || page === 'new' || page === 'new-group';
}

/** The list keeps showing what a conversation was picked from, until somebody asks for the main list. */
function useListPage(route: Route): [ListPage, showMainList: () => void] {
  const [last, setLast] = useState<'home' | 'archived'>('home');
  const { page } = route;
  useEffect(() => {
    if (page === 'home' || page === 'archived') setLast(page);
  }, [page]);
  const shown = isListPage(page) ? page : last;
  return [shown, () => setLast('home')];
}

function useShortcuts(route: Route): void {
  const entries = useEntries();
  const latest = useRef({ route, entries });
  latest.current = { route, entries };

  useEffect(() => {
    const onKeyDown = (event: globalThis.KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return;
      if (document.querySelector('dialog[open], [role=menu]')) return;
      const action = shortcut(event, latest.current);
      if (action === undefined) return;
      event.preventDefault();
      action();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, []);
}

type Key = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'code'> & { target: EventTarget | null };

function shortcut(
  event: Key,
  { route, entries = [] }: { route: Route; entries: Entry[] | undefined },
): (() => void) | undefined {
  const control = event.ctrlKey || event.metaKey;
  const writing = event.target instanceof HTMLElement && event.target.matches('input, textarea, select');
  if (control && event.key.toLowerCase() === 'k') return focusSearch;
  if (event.key === '/' && !writing && !control) return focusSearch;
  // By place on the keyboard: with Alt some systems type another letter.
  if (event.altKey && !control && event.code === 'KeyN') return () => navigate({ page: 'new' });
  if (event.altKey && !control && (event.key === 'ArrowUp' || event.key === 'ArrowDown')) {
    const list = entries.filter((entry) => !same(entry).archived);
    const at = list.findIndex((entry) => isOpen(entry, route));
    const next = list[event.key === 'ArrowDown' ? at + 1 : Math.max(0, at - 1)];
    return next && (() => navigate(entryRoute(next), { replace: at >= 0 }));
  }
  if (event.key === 'Escape' && route.page !== 'home') return goBack;
  return undefined;
}

function focusSearch(): void {
  const search = document.querySelector<HTMLInputElement>('input[type=search]');
  if (search?.checkVisibility()) {
    search.focus();
    search.select();
    return;
  }
  navigate({ page: 'home' });
  requestAnimationFrame(() => document.querySelector<HTMLInputElement>('input[type=search]')?.focus());
}
