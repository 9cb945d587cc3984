import type { Conversation } from '@pairline/client';
import { lazy, Suspense, useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { useClient, useClientState } from '../client.js';
import { useWords } from '../i18n/words.js';
import { part } from '../part.js';
import { follow, navigate, toHash, useRoute } from '../route.js';
import { ArchiveIcon } from '../ui/icons.js';
import { Menu, type MenuPlace } from '../ui/menu.js';
import { EmptyState } from '../ui/notice-page.js';
import { useToasts } from '../ui/toasts.js';
import { useVirtualRows } from '../ui/use-virtual-rows.js';
import { ConversationRow } from './conversation-row.js';
import { conversationName } from './naming.js';
import { useConversations } from './use-conversations.js';
import { entryRoute, isOpen, same, useEntries, type Entry } from './use-entries.js';

const ChatRow = lazy(part(() => import('../chats/chat-row.js')));
const ChatMenu = lazy(part(() => import('../chats/chat-menu.js')));

const ROW_REM = 4.5; // conversations.css: the height of .conversation

/** The conversations, or the archived ones. Only rows in view are in the page. */
export function ConversationList({ archived = false }: { archived?: boolean }) {
  const words = useWords();
  const route = useRoute();
  const reading = useConversations();
  const [menu, setMenu] = useState<{ entry: Entry; place: MenuPlace }>();
  const scroller = useRef<HTMLDivElement>(null);
  const all = useEntries() ?? [];
  const shown = all.filter((entry) => same(entry).archived === archived);
  const archivedOnes = archived ? [] : all.filter((entry) => same(entry).archived);

  const height = ROW_REM * rem();
  const { from, to, reveal } = useVirtualRows(scroller, shown.length, height);

  // Brings a conversation that was opened from elsewhere into view.
  const at = shown.findIndex((entry) => isOpen(entry, route));
  const opened = shown[at] && toHash(entryRoute(shown[at]));
  const replace = route.page === 'conversation' || route.page === 'chat';
  useEffect(() => {
    if (at >= 0) reveal(at);
    // Only when another one was opened, not when messages reorder the list.
  }, [opened]);

  if (reading.value === undefined) {
    if (!reading.error) return <Skeleton />;
    return (
      <EmptyState title={words.list.failed}>
        <button type="button" className="button" onClick={reading.again}>
          {words.tryAgain}
        </button>
      </EmptyState>
    );
  }

  /** Arrows move the focus from row to row, also to rows that are not in the page yet. */
  const onKeyDown = (event: KeyboardEvent) => {
    const focused = (event.target as HTMLElement).closest('li')?.dataset.index;
    if (focused === undefined) return;
    const at = Number(focused);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (next === undefined || event.altKey) return;
    event.preventDefault();
    if (next < 0) return document.querySelector<HTMLElement>('input[type=search]')?.focus();
    if (next >= shown.length) return;
    reveal(next);
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`li[data-index="${next}"] a`)?.focus());
  };

  return (
    <>
      {shown.length === 0 && archivedOnes.length === 0 ? (
        <NothingYet archived={archived} />
      ) : (
        <div className="conversation-scroller" ref={scroller} onKeyDown={onKeyDown}>
          <ul
            className="conversation-list"
            aria-label={archived ? words.list.archived : words.list.title}
            style={{ height: shown.length * height }}
          >
            {shown.slice(from, to).map((entry, offset) => {
              const hash = toHash(entryRoute(entry));
              const row = {
                selected: hash === opened,
                replace,
                onMenu: (place: MenuPlace) => setMenu({ entry, place }),
              };
              return (
                <li
                  key={hash}
                  data-index={from + offset}
                  aria-setsize={shown.length}
                  aria-posinset={from + offset + 1}
                  style={{ transform: `translateY(${(from + offset) * height}px)` }}
                >
                  {entry.chat ? (
                    <Suspense>
                      <ChatRow chat={entry.chat} {...row} />
                    </Suspense>
                  ) : (
                    <ConversationRow conversation={entry.conversation} {...row} />
                  )}
                </li>
              );
            })}
          </ul>
          {archivedOnes.length > 0 && (
            <a className="archive-link" href={toHash({ page: 'archived' })} onClick={follow({ page: 'archived' })}>
              <ArchiveIcon />
              {words.list.archived}
              <span className="archive-count">{archivedOnes.length}</span>
            </a>
          )}
        </div>
      )}
      {menu?.entry.chat && (
        <Suspense>
          <ChatMenu chat={menu.entry.chat} place={menu.place} onClose={() => setMenu(undefined)} />
        </Suspense>
      )}
      {menu?.entry.conversation && (
        <ConversationMenu
          conversation={menu.entry.conversation}
          place={menu.place}
          onClose={() => setMenu(undefined)}
        />
      )}
    </>
  );
}

function ConversationMenu({
  conversation,
  place,
  onClose,
}: {
  conversation: Conversation;
  place: MenuPlace;
  onClose: () => void;
}) {
  const client = useClient();
  const words = useWords();
  const { attempt } = useToasts();
  const { id, pinned, archived, unread } = conversation;
  const flag = (label: string, flags: { pinned?: boolean; archived?: boolean }) => ({
    label,
    act: () => void attempt(() => client.setFlags(id, flags)),
  });
  const items = [
    flag(pinned ? words.list.unpin : words.list.pin, { pinned: !pinned }),
    flag(archived ? words.list.unarchive : words.list.archive, { archived: !archived }),
    ...(unread > 0 ? [{ label: words.list.markRead, act: () => void attempt(() => client.markRead(id)) }] : []),
  ];
  return (
    <Menu
      label={words.list.menu(conversationName(conversation, words))}
      items={items}
      place={place}
      onClose={onClose}
    />
  );
}

function NothingYet({ archived }: { archived: boolean }) {
  const words = useWords();
  const { phase, phone } = useClientState();
  if (archived) return <EmptyState title={words.list.emptyArchive} />;
  if (phase === 'syncing' || phase === 'connecting') {
    return (
      <EmptyState title={words.list.syncing}>
        <p>{words.list.syncingWhy}</p>
        <span className="spinner" />
      </EmptyState>
    );
  }
  return (
    <EmptyState title={words.list.empty}>
      <p>{phone.gone ? words.list.emptyWithoutPhone : words.list.emptyWhy}</p>
      <button type="button" className="button button-primary" onClick={() => navigate({ page: 'new' })}>
        {words.list.new}
      </button>
    </EmptyState>
  );
}

function Skeleton() {
  const words = useWords();
  return (
    <div className="skeleton" role="status" aria-label={words.loading}>
      {[0, 1, 2, 3, 4, 5].map((index) => (
        <div key={index} className="skeleton-row" />
      ))}
    </div>
  );
}

function rem(): number {
  return parseFloat(getComputedStyle(document.documentElement).fontSize);
}
