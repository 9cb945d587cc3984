import {
  Fragment,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type ReactNode,
} from 'react';
import { flushSync } from 'react-dom';
import { useInsideWords } from '../i18n/inside-words.js';
import { useTimes } from '../times.js';
import { DownIcon } from '../ui/icons.js';
import { EmptyState } from '../ui/notice-page.js';
import { firstUnread, toRows, type Row } from './rows.js';
import { ThreadWindow, type Placed, type Source, type Stretch } from './thread-window.js';

const NEAR_PX = 1500; // So close to an end of what is loaded, more is read.
const BOTTOM_PX = 48; // So close to the last message, new ones scroll into view.

export interface ShownRow<M extends Placed> extends Row<M> {
  /** The newest one of one's own. */
  lastOwn: boolean;
  /** Somebody was led to it. */
  marked: boolean;
}

/** The messages of a thread, kept where the eye is while more come in at either end. */
export function ThreadList<M extends Placed>({
  source,
  target,
  unread,
  writer,
  isMine,
  markRead,
  beginning,
  empty,
  children,
}: {
  /** The same object for as long as it is the same thread. */
  source: Source<M>;
  /** A message to show and mark, instead of the newest. */
  target: string | undefined;
  unread: number;
  /** Messages of one writer stand together. */
  writer: (message: M) => string;
  isMine: (message: M) => boolean;
  /** Called when the end of the thread, with something unread, is seen. */
  markRead: () => Promise<void>;
  /** What stands above the first message, and where there is none. */
  beginning: string;
  empty: { title: string; why: string };
  children: (row: ShownRow<M>) => ReactNode;
}) {
  const words = useInsideWords();
  const times = useTimes();
  const scroller = useRef<HTMLDivElement>(null);
  const [stretch, setStretch] = useState<Stretch<M>>();
  const [failed, setFailed] = useState(false);
  const [below, setBelow] = useState(target !== undefined);
  const [unreadFrom, setUnreadFrom] = useState<{ id: string; count: number }>();
  const thread = useRef<ThreadWindow<M>>(undefined);
  /** Whether the end of the conversation is in view, and stays so. */
  const following = useRef(true);
  const anchors = useRef<{ id: string; top: number }[]>([]);
  const pendingTarget = useRef<string>(undefined);
  const [marked, setMarked] = useState<string>();
  const unreadAtOpen = useRef(unread);
  if (unreadFrom === undefined && stretch === undefined) unreadAtOpen.current = unread;
  const latest = useRef({ isMine, writer });
  latest.current = { isMine, writer };

  useEffect(() => {
    const opened = new ThreadWindow(source, (next) => {
      anchors.current = visibleMessages(scroller.current);
      // At once: the eye's place was taken just now.
      flushSync(() => {
        setFailed(false);
        setStretch(next);
        setUnreadFrom((before) => {
          if (before || unreadAtOpen.current === 0) return before;
          const id = firstUnread(next.messages, unreadAtOpen.current, latest.current.isMine);
          return id === undefined ? before : { id, count: unreadAtOpen.current };
        });
      });
    });
    thread.current = opened;
    const off = source.onChange(() => void opened.refresh(following.current).catch(() => setFailed(true)));
    return () => {
      off();
      opened.close();
    };
  }, [source]);

  const open = useCallback(() => {
    following.current = target === undefined;
    setBelow(target !== undefined);
    pendingTarget.current = target;
    setMarked(target);
    const reading = target === undefined ? thread.current?.openNewest() : thread.current?.openAround(target);
    reading?.catch(() => setFailed(true));
  }, [target]);
  // After the effect above, which makes the window that this one opens.
  useEffect(open, [open, source]);

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

  useMarkRead(markRead, unread > 0 && stretch !== undefined && !below, stretch);

  const toLatest = () => {
    following.current = true;
    setBelow(false);
    if (stretch?.atEnd) scroller.current?.scrollTo({ top: scroller.current.scrollHeight, behavior: 'smooth' });
    else thread.current?.openNewest().catch(() => setFailed(true));
  };

  const rows = useMemo(
    () => toRows(stretch?.messages ?? [], unreadFrom?.id, latest.current.writer),
    [stretch, unreadFrom],
  );
  const lastOwn = stretch?.messages.findLast(isMine)?.id;

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
              {failed ? words.thread.failed : stretch.atStart ? beginning : words.thread.older}
            </p>
          )}
          {stretch && rows.length === 0 && (
            <EmptyState title={empty.title}>
              <p>{empty.why}</p>
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
                {children({ ...row, lastOwn: row.message.id === lastOwn, marked: row.message.id === marked })}
              </Fragment>
            ))}
          </ol>
        </div>
      </div>
      {below && (
        <button type="button" className="to-latest" aria-label={words.thread.latest} onClick={toLatest}>
          {unread > 0 && <span className="unread">{unread}</span>}
          <DownIcon />
        </button>
      )}
    </div>
  );
}

/** Tells that a thread was read while a person could see its end. */
function useMarkRead(markRead: () => Promise<void>, wanted: boolean, shown: unknown): void {
  const latest = useRef(markRead);
  latest.current = markRead;
  useEffect(() => {
    if (!wanted) return;
    const mark = () => {
      // What does not get through now is marked with the next look at it.
      if (document.visibilityState === 'visible' && document.hasFocus()) latest.current().catch(() => {});
    };
    mark();
    window.addEventListener('focus', mark);
    document.addEventListener('visibilitychange', mark);
    return () => {
      window.removeEventListener('focus', mark);
      document.removeEventListener('visibilitychange', mark);
    };
    // What came in since the last time is new, also where the count is the same.
  }, [wanted, shown]);
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
  const at = all.indexOf((event.target as Element).closest('[data-message]') as HTMLElement);
  const next = at < 0 ? all.at(-1) : all[at + step];
  if (next === undefined) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: 'nearest' });
}
