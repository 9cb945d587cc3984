import type { Conversation } from '@pairline/client';
import { useWords } from '../i18n/words.js';
import { follow, toHash } from '../route.js';
import { StatusTick } from '../thread/status-tick.js';
import { useTimes } from '../times.js';
import { Avatar } from '../ui/avatar.js';
import { MoreIcon, PinIcon } from '../ui/icons.js';
import { menuPlace, type MenuPlace } from '../ui/menu.js';
import { conversationName } from './naming.js';

export function ConversationRow({
  conversation,
  selected,
  replace,
  onMenu,
}: {
  conversation: Conversation;
  selected: boolean;
  /** Whether it takes the place of another one that is open. */
  replace: boolean;
  onMenu: (place: MenuPlace) => void;
}) {
  const words = useWords();
  const times = useTimes();
  const { id, number, unread, pinned, lastTime } = conversation;
  const name = conversationName(conversation, words);
  const classes = ['conversation', selected && 'conversation-selected', unread > 0 && 'conversation-unread'];

  return (
    <div
      className={classes.filter(Boolean).join(' ')}
      onContextMenu={(event) => {
        event.preventDefault();
        onMenu(menuPlace(event));
      }}
    >
      <a
        href={toHash({ page: 'conversation', id })}
        aria-current={selected ? 'page' : undefined}
        onClick={follow({ page: 'conversation', id }, { replace })}
      >
        <Avatar name={conversation.name} number={number} />
        <span className="conversation-name" dir="auto">
          {name}
        </span>
        {lastTime > 0 && (
          <time className="conversation-time" dateTime={new Date(lastTime).toISOString()}>
            {times.short(lastTime)}
          </time>
        )}
        <span className="conversation-line" dir="auto">
          <LastLine conversation={conversation} />
        </span>
        <span className="conversation-marks">
          {pinned && (
            <>
              <PinIcon />
              <span className="hidden-words">{words.list.pinned}</span>
            </>
          )}
          {unread > 0 && (
            <span className="unread">
              <span aria-hidden="true">{unread > 99 ? '99+' : unread}</span>
              <span className="hidden-words">{words.list.unread(unread)}</span>
            </span>
          )}
        </span>
      </a>
      <button
        type="button"
        className="icon-button conversation-more"
        tabIndex={-1}
        aria-label={words.list.menu(name)}
        onClick={(event) => onMenu(menuPlace(event))}
      >
        <MoreIcon />
      </button>
    </div>
  );
}

function LastLine({ conversation }: { conversation: Conversation }) {
  const words = useWords();
  const { readable, draft, lastText, lastType, lastStatus } = conversation;
  const fault = readable ? conversation.lastFault : conversation.fault;
  if (draft) {
    return (
      <>
        <span className="conversation-draft">{words.list.draft}</span> {draft}
      </>
    );
  }
  if (fault === 'not-sealed') return <em>{words.list.unsealed}</em>;
  if (!readable) return <em>{words.list.unreadable}</em>;
  return (
    <>
      {lastType === 'sent' && (lastStatus ? <StatusTick status={lastStatus} /> : <>{words.list.you} </>)}
      {lastText}
    </>
  );
}
