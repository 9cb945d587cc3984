import { lazy, Suspense, useCallback, useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent } from 'react';
import { useClientState } from '../client.js';
import { useWords } from '../i18n/words.js';
import { part } from '../part.js';
import { problemOf } from '../status-line.js';
import { useTimes } from '../times.js';
import { SendIcon, SmileIcon } from '../ui/icons.js';
import { segments } from './segments.js';
import './composer.css';

const EmojiPicker = lazy(part(() => import('./emoji-picker.js')));

const MOST_CHARACTERS = 5000; // Some 33 SMS: nobody means to send more.
const SHOW_COUNT_FROM = 120;
const SAVE_DRAFT_MS = 500;

/**
 * What is being written and not stored yet, by the number it goes to: a thread whose conversation gets another id goes on
 * with it. Drafts to numbers without a conversation are here alone, until the tab closes.
 */
const drafts = new Map<string, string>();

export function Composer({
  draftKey,
  draft,
  saveDraft,
  onSend,
}: {
  draftKey: string;
  /** As it was stored when the thread was opened. */
  draft: string;
  /** Missing where there is no conversation yet to store a draft with. */
  saveDraft: ((text: string) => Promise<void>) | undefined;
  /** Resolves with whether the text was taken. */
  onSend: (text: string) => Promise<boolean>;
}) {
  const words = useWords();
  const [text, setText] = useState(() => drafts.get(draftKey) ?? draft);
  const [picking, setPicking] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const keepDraft = useDraft(draftKey, saveDraft);

  useEffect(() => {
    const element = field.current;
    // On a touch screen the keyboard would cover what one came to read.
    if (element === null || !matchMedia('(hover: hover) and (min-width: 45rem)').matches) return;
    element.focus({ preventScroll: true });
    element.setSelectionRange(element.value.length, element.value.length);
  }, []);

  useLayoutEffect(() => {
    const element = field.current;
    if (element === null) return;
    element.style.height = 'auto';
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);

  const change = (value: string) => {
    setText(value);
    keepDraft(value);
  };

  const send = async () => {
    const sending = text.trim();
    if (!sending) return;
    change('');
    field.current?.focus();
    // What was not taken comes back, unless something new is being written.
    if (!(await onSend(sending))) setText((current) => current || sending);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };

  const insert = (emoji: string) => {
    const element = field.current;
    if (element === null) return;
    const { selectionStart, selectionEnd } = element;
    change(text.slice(0, selectionStart) + emoji + text.slice(selectionEnd));
    requestAnimationFrame(() => {
      const caret = selectionStart + emoji.length;
      element.setSelectionRange(caret, caret);
    });
  };

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <Waits />
      {picking && (
        <Suspense fallback={<p className="page-loading">{words.loading}</p>}>
          <EmojiPicker
            onPick={insert}
            onClose={() => {
              setPicking(false);
              field.current?.focus();
            }}
          />
        </Suspense>
      )}
      <div className="composer-row">
        <button
          type="button"
          className="icon-button"
          aria-label={words.composer.emoji}
          aria-expanded={picking}
          onClick={() => setPicking(!picking)}
        >
          <SmileIcon />
        </button>
        <textarea
          ref={field}
          rows={1}
          dir="auto"
          value={text}
          maxLength={MOST_CHARACTERS}
          aria-label={words.composer.label}
          placeholder={words.composer.placeholder}
          enterKeyHint="send"
          onChange={(event) => change(event.target.value)}
          onKeyDown={onKeyDown}
        />
        <button className="send-button" aria-label={words.composer.send} disabled={text.trim() === ''}>
          <SendIcon />
        </button>
      </div>
      <Count text={text} />
    </form>
  );
}

/** Why what is written now does not go out at once. */
function Waits() {
  const words = useWords();
  const times = useTimes();
  const state = useClientState();
  const { phase, phone } = state;
  const problem = problemOf(state, words);
  if (problem !== undefined) return <p className="composer-waits">{problem}</p>;
  if (phase === 'offline') return <p className="composer-waits">{words.composer.offline}</p>;
  if (phase !== 'live' || phone.here) return null;
  if (phone.gone) return <p className="composer-waits">{words.state.phoneGone}</p>;
  return (
    <p className="composer-waits">
      {phone.lastSeen ? words.composer.willWaitSince(times.moment(phone.lastSeen)) : words.composer.willWait}
    </p>
  );
}

/** How much of an SMS is left; only when it begins to matter. */
function Count({ text }: { text: string }) {
  const words = useWords();
  const { count, left, encoding } = segments(text);
  if (count < 2 && encoding === 'gsm7' && text.length < SHOW_COUNT_FROM) return null;
  return (
    <p className="composer-count" title={encoding === 'ucs2' ? words.composer.unicode : undefined}>
      {words.composer.parts(count)}
      <span aria-hidden="true"> · </span>
      {words.composer.left(left)}
    </p>
  );
}

/** Stores a draft a moment after the last key, and at once when the thread or the page is left. */
function useDraft(key: string, save: ((text: string) => Promise<void>) | undefined): (text: string) => void {
  const pending = useRef<string>(undefined);
  const timer = useRef(0);
  const latest = useRef({ key, save });
  latest.current = { key, save };

  const flush = useCallback(async () => {
    window.clearTimeout(timer.current);
    const text = pending.current;
    const { save } = latest.current;
    if (text === undefined || save === undefined) return;
    pending.current = undefined;
    // What fails stays in this tab, and is stored with the next key.
    await save(text).catch(() => (pending.current ??= text));
  }, []);

  const keep = useCallback(
    (text: string) => {
      drafts.set(latest.current.key, text);
      pending.current = text;
      window.clearTimeout(timer.current);
      timer.current = window.setTimeout(() => void flush(), SAVE_DRAFT_MS);
    },
    [flush],
  );

  useEffect(() => {
    const { key } = latest.current;
    const unsaved = drafts.get(key);
    if (unsaved !== undefined) keep(unsaved);
    const leave = () => void flush();
    window.addEventListener('pagehide', leave);
    return () => {
      window.removeEventListener('pagehide', leave);
      const { key } = latest.current;
      const left = drafts.get(key);
      // Once it is stored it is read from there: another tab may go on with it.
      void flush().then(() => {
        if (pending.current === undefined && latest.current.save && drafts.get(key) === left) drafts.delete(key);
      });
    };
  }, [flush, keep]);

  return keep;
}
