import type { ReactNode } from 'react';
import { useWords } from '../i18n/words.js';
import { follow, toHash, type Route } from '../route.js';
import { useTimes } from '../times.js';
import { Avatar } from '../ui/avatar.js';
import { MoreIcon, PinIcon } from '../ui/icons.js';
import { menuPlace, type MenuPlace } from '../ui/menu.js';

/** A line of the list, whatever it leads to. */
export function ListRow({
  route,
  name,
  initialsOf,
  colorOf,
  time,
  unread,
  pinned,
  selected,
  replace,
  marks,
  children,
  onMenu,
}: {
  route: Route;
  name: string;
  /** Missing where it has no name of its own. */
  initialsOf: string | undefined;
  colorOf: string;
  time: number;
  unread: number;
  pinned: boolean;
  selected: boolean;
  /** Whether it takes the place of another one that is open. */
  replace: boolean;
  /** Signs at the end of its second line. */
  marks?: ReactNode;
  /** Its second line. */
  children: ReactNode;
  onMenu: (place: MenuPlace) => void;
}) {
  const words = useWords();
  const times = useTimes();
  const classes = ['conversation', selected && 'conversation-selected', unread > 0 && 'conversation-unread'];

  return (
    <div
      className={classes.filter(Boolean).join(' ')}
      onContextMenu={(event) => {
        event.preventDefault();
        onMenu(menuPlace(event));
      }}
    >
      <a href={toHash(route)} aria-current={selected ? 'page' : undefined} onClick={follow(route, { replace })}>
        <Avatar name={initialsOf} number={colorOf} />
        <span className="conversation-name" dir="auto">
          {name}
        </span>
        {time > 0 && (
          <time className="conversation-time" dateTime={new Date(time).toISOString()}>
            {times.short(time)}
          </time>
        )}
        <span className="conversation-line" dir="auto">
          {children}
        </span>
        <span className="conversation-marks">
          {marks}
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

/** What the second line says instead of the last message while something unsent stands there. */
export function DraftLine({ draft }: { draft: string }) {
  const words = useWords();
  return (
    <>
      <span className="conversation-draft">{words.list.draft}</span> {draft}
    </>
  );
}
