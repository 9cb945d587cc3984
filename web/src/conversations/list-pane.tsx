import { lazy, Suspense, useRef, useState, type KeyboardEvent } from 'react';
import { useChats } from '../chats/use-chats.js';
import { useWords } from '../i18n/words.js';
import { part } from '../part.js';
import { follow, toHash } from '../route.js';
import { SearchBox } from '../search/search-box.js';
import { StatusLine } from '../status-line.js';
import { BackIcon, SettingsIcon, Mark, PenIcon } from '../ui/icons.js';
import { ConversationList } from './conversation-list.js';
import './conversations.css';

export type ListPage = 'home' | 'archived' | 'new' | 'new-group';

const NewConversation = lazy(part(() => import('./new-conversation.js')));
const NewGroup = lazy(part(() => import('../chats/new-group.js')));
const NotificationOffer = lazy(part(() => import('../notifications/notification-offer.js')));
const Invitations = lazy(part(() => import('../chats/invitations.js')));
const SearchResults = lazy(part(() => import('../search/search-results.js')));

export function ListPane({ page, onLeave }: { page: ListPage; onLeave: () => void }) {
  const words = useWords();
  const [query, setQuery] = useState('');
  const { invitations } = useChats();
  const below = useRef<HTMLDivElement>(null);

  if (page === 'new') {
    return (
      <>
        <SubHeader title={words.list.new} onBack={onLeave} />
        <Suspense fallback={<p className="page-loading">{words.loading}</p>}>
          <NewConversation />
        </Suspense>
      </>
    );
  }
  if (page === 'new-group') {
    return (
      <>
        <SubHeader title={words.list.newGroup} onBack={onLeave} />
        <Suspense fallback={<p className="page-loading">{words.loading}</p>}>
          <NewGroup />
        </Suspense>
      </>
    );
  }
  if (page === 'archived') {
    return (
      <>
        <SubHeader title={words.list.archived} onBack={onLeave} />
        <ConversationList archived />
      </>
    );
  }

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'ArrowDown') return;
    event.preventDefault();
    below.current?.querySelector<HTMLElement>('a, button')?.focus();
  };
  return (
    <>
      <header className="list-header">
        <Mark />
        <h1>Pairline</h1>
        <a
          className="icon-button"
          href={toHash({ page: 'settings' })}
          aria-label={words.list.settings}
          title={words.list.settings}
          onClick={follow({ page: 'settings' })}
        >
          <SettingsIcon />
        </a>
        <a
          className="icon-button"
          href={toHash({ page: 'new' })}
          aria-label={words.list.new}
          title={words.list.new}
          onClick={follow({ page: 'new' })}
        >
          <PenIcon />
        </a>
      </header>
      <StatusLine />
      <div onKeyDown={onKeyDown}>
        <SearchBox query={query} onQuery={setQuery} />
      </div>
      <Suspense>
        <NotificationOffer />
      </Suspense>
      {invitations > 0 && (
        <Suspense>
          <Invitations />
        </Suspense>
      )}
      <div className="list-body" ref={below}>
        {query.trim() ? (
          <Suspense>
            <SearchResults query={query.trim()} />
          </Suspense>
        ) : (
          <ConversationList />
        )}
      </div>
    </>
  );
}

function SubHeader({ title, onBack }: { title: string; onBack: () => void }) {
  const words = useWords();
  return (
    <header className="list-header">
      <button type="button" className="icon-button" aria-label={words.back} onClick={onBack}>
        <BackIcon />
      </button>
      <h1>{title}</h1>
    </header>
  );
}
