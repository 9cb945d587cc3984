import {
  lazy,
  Suspense,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  type ClipboardEvent,
  type KeyboardEvent,
  type ReactNode,
} from 'react';
import { useInsideWords } from '../i18n/inside-words.js';
import { part } from '../part.js';
import { SendIcon, SmileIcon } from '../ui/icons.js';
import { useCompletion, type Completion } from './completion.js';
import './composer.css';

const EmojiPicker = lazy(part(() => import('./emoji-picker.js')));

const SAVE_DRAFT_MS = 500;

/**
 * What is being written and not stored yet, by the number it goes to: a thread whose conversation gets another id goes on
 * with it. Drafts to numbers without a conversation are here alone, until the tab closes.
 */
const drafts = new Map<string, string>();

/** The field that messages are written in, of any kind. Enter sends, Shift+Enter begins a line. */
export function Composer({
  draftKey,
  draft,
  saveDraft,
  onSend,
  placeholder,
  maxLength,
  sendWords,
  above,
  below,
  beside,
  hasMore = false,
  held = false,
  focusOn,
  complete,
  completionWords,
  onType,
  onEscape,
  onPaste,
}: {
  draftKey: string;
  /** As it was stored when the thread was opened. */
  draft: string;
  /** Missing where there is no conversation yet to store a draft with. */
  saveDraft: ((text: string) => Promise<void>) | undefined;
  /** Resolves with whether the text was taken. */
  onSend: (text: string) => Promise<boolean>;
  placeholder: string;
  maxLength: number;
  /** What the button that sends is called. */
  sendWords?: string;
  above?: ReactNode;
  below?: (text: string) => ReactNode;
  /** Another way to add something, left of the field. */
  beside?: ReactNode;
  /** Whether there is something to send besides the text, which may be empty then. */
  hasMore?: boolean;
  /** Whether nothing can be sent just now. */
  held?: boolean;
  /** The field takes the focus when this becomes another one. */
  focusOn?: string | undefined;
  complete?: (text: string, caret: number) => Completion | undefined;
  completionWords?: { list: string; found: (count: number) => string };
  onType?: () => void;
  /** Whether there was something to leave. */
  onEscape?: () => boolean;
  onPaste?: (event: ClipboardEvent) => void;
}) {
  const words = useInsideWords();
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

  useEffect(() => {
    if (focusOn === undefined) return;
    field.current?.focus();
  }, [focusOn]);

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
  const completion = useCompletion(field, text, complete, change, completionWords);
  const canSend = !held && (hasMore || text.trim() !== '');

  const send = async () => {
    const sending = text.trim();
    if (!canSend) return;
    change('');
    field.current?.focus();
    // What was not taken comes back, unless something new is being written.
    if (!(await onSend(sending))) setText((current) => current || sending);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (completion.onKeyDown(event)) return;
    if (event.key === 'Escape' && onEscape?.()) {
      event.preventDefault();
      event.stopPropagation();
      return;
    }
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
      {above}
      {completion.list}
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
        {beside}
        <textarea
          {...completion.props}
          ref={field}
          rows={1}
          dir="auto"
          value={text}
          maxLength={maxLength}
          aria-label={words.composer.label}
          placeholder={placeholder}
          enterKeyHint="send"
          onChange={(event) => {
            change(event.target.value);
            if (event.target.value !== '') onType?.();
          }}
          onKeyDown={onKeyDown}
          onPaste={onPaste}
        />
        <button className="send-button" aria-label={sendWords ?? words.composer.send} disabled={!canSend}>
          <SendIcon />
        </button>
      </div>
      {below?.(text)}
    </form>
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
