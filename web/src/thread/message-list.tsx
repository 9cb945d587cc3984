import type { Conversation, Message } from '@pairline/client';
import {
  Fragment,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
} from 'react';
import { flushSync } from 'react-dom';
import { useClient } from '../client.js';
import { useWords } from '../i18n/words.js';
import { useTimes } from '../times.js';
import { DownIcon } from '../ui/icons.js';
import type { MenuPlace } from '../ui/menu.js';
import { EmptyState } from '../ui/notice-page.js';
import { Bubble } from './bubble.js';
import { DeleteDialog, MessageMenu } from './message-actions.js';
import { firstUnread, toRows } from './rows.js';
import { ThreadWindow, type Stretch } from './thread-window.js';

const NEAR_PX = 1500; // So close to an end of what is loaded, more is read.
const BOTTOM_PX = 48; // So close to the last message, new ones scroll into view.

/** The messages of a conversation, kept where the eye is while more come in at either end. */
export function MessageList({
  conversationId,
  target,
  name,
  conversation,
}: {
  conversationId: string;
  /** A message to show and mark, instead of the newest. */
  target: string | undefined;
  name: string;
  conversation: Conversation | undefined;
}) {
  const client = useClient();
  const words = useWords();
  const times = useTimes();
  const scroller = useRef<HTMLDivElement>(null);
  const [stretch, setStretch] = useState<Stretch>();
  const [failed, setFailed] = useState(false);
  const [below, setBelow] = useState(target !== undefined);
  const [unreadFrom, setUnreadFrom] = useState<{ id: string; count: number }>();
  const [menu, setMenu] = useState<{ message: Message; place: MenuPlace }>();
  const [deleting, setDeleting] = useState<Message>();
  const thread = useRef<ThreadWindow>(undefined);
  /** Whether the end of the conversation is in view, and stays so. */
  const following = useRef(true);
  const anchors = useRef<{ id: string; top: number }[]>([]);
  const pendingTarget = useRef<string>(undefined);
  const [marked, setMarked] = useState<string>();
  const unreadAtOpen = useRef(conversation?.unread ?? 0);
  if (unreadFrom === undefined && stretch === undefined) unreadAtOpen.current = conversation?.unread ?? 0;

  useEffect(() => {
    const opened = new ThreadWindow(client, conversationId, (next) => {
      anchors.current = visibleMessages(scroller.current);
      // At once: the eye's place was taken just now.
      flushSync(() => {
        setFailed(false);
        setStretch(next);
        setUnreadFrom((before) => {
          if (before || unreadAtOpen.current === 0) return before;
          const id = firstUnread(next.messages, unreadAtOpen.current);
          return id === undefined ? before : { id, count: unreadAtOpen.current };
        });
      });
    });
    thread.current = opened;
    const off = client.on('messages', (changed) => {
      if (changed === conversationId) opened.refresh(following.current).catch(() => setFailed(true));
    });
    return () => {
      off();
      opened.close();
    };
  }, [client, conversationId]);

  const open = useCallback(() => {
    following.current = target === undefined;
    setBelow(target !== undefined);
    pendingTarget.current = target;
    setMarked(target);
    const reading = target === undefined ? thread.current?.openNewest() : thread.current?.openAround(target);
    reading?.catch(() => setFailed(true));
  }, [target]);
  // After the effect above, which makes the window that this one opens.
  useEffect(open, [open, conversationId, client]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null || stretch === undefined) return;
    const wanted = pendingTarget.current && elementOf(element, pendingTarget.current);
    if (wanted) {
      pendingTarget.current = undefined;
      wanted.scrollIntoView({ block: 'center' });
      wanted.focus({ preventScroll: true });
    } else if (following.current) {
      element.scrollTop = element.scrollHeight;
    } else {
      for (const { id, top } of anchors.current) {
        const anchor = elementOf(element, id);
        if (!anchor) continue;
        element.scrollTop += anchor.getBoundingClientRect().top - top;
        break;
      }
    }
    look();
  }, [stretch]);

  const loading = useRef(false);
  function loadMore(): void {
    const element = scroller.current;
    if (element === null || stretch === undefined || loading.current) return;
    const { scrollTop, scrollHeight, clientHeight } = element;
    const step =
      scrollTop < NEAR_PX && !stretch.atStart
        ? thread.current?.older()
        : scrollHeight - scrollTop - clientHeight < NEAR_PX && !stretch.atEnd
          ? thread.current?.newer()
          : undefined;
    if (step === undefined) return;
    loading.current = true;
    step.then(
      () => {
        loading.current = false;
        latestLoadMore.current();
      },
      () => {
        // The next scrolling tries again, not this.
        loading.current = false;
        setFailed(true);
      },
    );
  }
  const latestLoadMore = useRef(loadMore);
  latestLoadMore.current = loadMore;

  /** Whether the end is in view now, and whether more is to be read. */
  function look(): void {
    const element = scroller.current;
    if (element === null || stretch === undefined) return;
    const atBottom = element.scrollHeight - element.scrollTop - element.clientHeight < BOTTOM_PX && stretch.atEnd;
    following.current = atBottom;
    setBelow(!atBottom);
    loadMore();
  }

  // The composer grows, the window is resized, fonts arrive: who was at the end stays there.
  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => {
      if (following.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, [stretch === undefined]);

  useMarkRead(conversation, stretch !== undefined && !below);

  const toLatest = () => {
    following.current = true;
    setBelow(false);
    if (stretch?.atEnd) scroller.current?.scrollTo({ top: scroller.current.scrollHeight, behavior: 'smooth' });
    else thread.current?.openNewest().catch(() => setFailed(true));
  };

  const rows = useMemo(() => toRows(stretch?.messages ?? [], unreadFrom?.id), [stretch, unreadFrom]);
  const lastSent = stretch?.messages.findLast(({ type }) => type === 'sent')?.id;
  const openMenu = useCallback((message: Message, place: MenuPlace) => setMenu({ message, place }), []);

  if (failed && stretch === undefined) {
    return (
      <EmptyState title={words.thread.failed}>
        <button type="button" className="button" onClick={open}>
          {words.tryAgain}
        </button>
      </EmptyState>
    );
  }

  return (
    <div className="thread-body">
      <div
        ref={scroller}
        className="thread-scroller"
        role="region"
        aria-label={words.thread.messages}
        tabIndex={0}
        onScroll={look}
        onKeyDown={moveFocus}
      >
        <div className="thread-content">
          {stretch && rows.length > 0 && (
            <p className="thread-edge">
              {failed ? words.thread.failed : stretch.atStart ? words.thread.beginning : words.thread.older}
            </p>
          )}
          {stretch && rows.length === 0 && (
            <EmptyState title={words.thread.empty}>
              <p>{words.thread.emptyWhy}</p>
            </EmptyState>
          )}
          <ol className="messages" aria-label={words.thread.messages}>
            {rows.map((row) => (
              <Fragment key={row.message.id}>
                {row.day && (
                  <li className="day-line">
                    <span>{times.day(row.message.timestamp)}</span>
                  </li>
                )}
                {row.unreadLine && unreadFrom && (
                  <li className="unread-line">
                    <span>{words.thread.newLine(unreadFrom.count)}</span>
                  </li>
                )}
                <Bubble
                  message={row.message}
                  name={name}
                  first={row.first}
                  last={row.last}
                  statusInWords={row.message.id === lastSent}
                  marked={row.message.id === marked}
                  onMenu={openMenu}
                />
              </Fragment>
            ))}
          </ol>
        </div>
      </div>
      {below && (
        <button type="button" className="to-latest" aria-label={words.thread.latest} onClick={toLatest}>
          {conversation && conversation.unread > 0 && <span className="unread">{conversation.unread}</span>}
          <DownIcon />
        </button>
      )}
      {menu && <MessageMenu {...menu} onDelete={setDeleting} onClose={() => setMenu(undefined)} />}
      {deleting && <DeleteDialog message={deleting} onClose={() => setDeleting(undefined)} />}
    </div>
  );
}

/** Tells that a conversation was read while a person could see its end. */
function useMarkRead(conversation: Conversation | undefined, atEnd: boolean): void {
  const client = useClient();
  const id = conversation?.id;
  const unread = (conversation?.unread ?? 0) > 0;
  useEffect(() => {
    if (id === undefined || !unread || !atEnd) return;
    const mark = () => {
      // What does not get through now is marked with the next look at it.
      if (document.visibilityState === 'visible' && document.hasFocus()) client.markRead(id).catch(() => {});
    };
    mark();
    window.addEventListener('focus', mark);
    document.addEventListener('visibilitychange', mark);
    return () => {
      window.removeEventListener('focus', mark);
      document.removeEventListener('visibilitychange', mark);
    };
  }, [client, id, unread, atEnd]);
}

function elementOf(scroller: Element, id: string): HTMLElement | null {
  return scroller.querySelector<HTMLElement>(`[data-message="${CSS.escape(id)}"]`);
}

/** The messages in view and where they stand, from the top. */
function visibleMessages(scroller: Element | null): { id: string; top: number }[] {
  if (scroller === null) return [];
  const { top: edge, bottom } = scroller.getBoundingClientRect();
  const visible: { id: string; top: number }[] = [];
  for (const element of scroller.querySelectorAll<HTMLElement>('[data-message]')) {
    const { top, bottom: end } = element.getBoundingClientRect();
    if (top > bottom) break;
    if (end > edge) visible.push({ id: element.dataset.message as string, top });
  }
  return visible;
}

/** Arrows move from message to message once one of them, or the list, has the focus. */
function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (step === undefined || event.altKey) return;
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>('[data-message]')];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const next = at < 0 ? all.at(-1) : all[at + step];
  if (next === undefined) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: 'nearest' });
}
