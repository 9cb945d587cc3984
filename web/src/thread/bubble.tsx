import type { Message } from '@pairline/client';
import { lazy, memo, Suspense, useCallback } from 'react';
import { useClient } from '../client.js';
import { lineOfFiles } from '../conversations/naming.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { part } from '../part.js';
import { useTimes } from '../times.js';
import { LockIcon, MoreIcon, WarningIcon } from '../ui/icons.js';
import { menuPlace, type MenuPlace } from '../ui/menu.js';
import { useToasts } from '../ui/toasts.js';
import { LinkedText, onlyEmoji } from './bubble-text.js';
import { StatusTick } from './status-tick.js';

// Few texts come with files.
const Attachments = lazy(part(() => import('../files/attachments.js').then(({ Attachments }) => ({ default: Attachments })))); // prettier-ignore

interface Props {
  message: Message;
  /** Of the other side. */
  name: string;
  first: boolean;
  last: boolean;
  statusInWords: boolean;
  marked: boolean;
  onMenu: (message: Message, place: MenuPlace) => void;
}

export const Bubble = memo(
  function Bubble({ message, name, first, last, statusInWords, marked, onMenu }: Props) {
    const client = useClient();
    const load = useCallback(() => client.files(), [client]);
    const words = useInsideWords();
    const times = useTimes();
    const { id, text, files, type, status, fault, timestamp, unsealed } = message;
    const classes = [
      'message',
      `message-${type}`,
      first && 'message-first',
      last && 'message-last',
      marked && 'message-marked',
      status === 'failed' && 'message-failed',
    ];
    const writer =
      unsealed !== undefined
        ? words.thread.unsealed.from
        : type === 'sent'
          ? words.thread.own
          : words.thread.from(name);
    const unsettled = status !== undefined && status !== 'delivered' && status !== 'read';
    const inWords = statusInWords || status === 'failed' || (unsettled && last);

    return (
      <li
        className={classes.filter(Boolean).join(' ')}
        data-message={id}
        tabIndex={-1}
        onContextMenu={(event) => {
          // Links keep the browser's own menu.
          if ((event.target as Element).closest('a')) return;
          event.preventDefault();
          onMenu(message, menuPlace(event));
        }}
      >
        <span className="hidden-words">{writer}:</span>
        <div className={fault ? 'bubble bubble-fault' : onlyEmoji(text) ? 'bubble bubble-emoji' : 'bubble'}>
          {unsealed !== undefined ? (
            <Unsealed text={unsealed} />
          ) : fault ? (
            <p className="bubble-text">
              {fault === 'no-key' ? <LockIcon /> : <WarningIcon />}
              {words.thread.fault[fault]}
            </p>
          ) : (
            <>
              {files && (
                <Suspense fallback={<p className="bubble-text">{lineOfFiles(files[0]?.type, words)}</p>}>
                  <Attachments load={load} files={files} />
                </Suspense>
              )}
              {text !== '' && (
                <p className="bubble-text" dir="auto">
                  <LinkedText text={text} />
                </p>
              )}
            </>
          )}
          <p className="bubble-foot">
            <time dateTime={new Date(timestamp).toISOString()} title={times.full(timestamp)}>
              {times.time(timestamp)}
            </time>
            {type === 'sent' && status && unsealed === undefined && <StatusTick status={status} inWords={inWords} />}
          </p>
        </div>
        <button
          type="button"
          className="icon-button message-more"
          tabIndex={-1}
          aria-label={words.thread.menu}
          onClick={(event) => onMenu(message, menuPlace(event))}
        >
          <MoreIcon />
        </button>
        {status === 'failed' && !files && <RetryButton id={id} />}
      </li>
    );
  },
  // A page of messages is read anew with each change: what says the same is not drawn again.
  (before, after) =>
    before.name === after.name &&
    before.first === after.first &&
    before.last === after.last &&
    before.statusInWords === after.statusInWords &&
    before.marked === after.marked &&
    before.onMenu === after.onMenu &&
    before.message.text === after.message.text &&
    before.message.files?.length === after.message.files?.length &&
    before.message.status === after.message.status &&
    before.message.fault === after.message.fault &&
    before.message.unsealed === after.message.unsealed &&
    before.message.timestamp === after.message.timestamp,
);

/** Folded under its mark, without links: nothing of it may pass for what the phone sealed. */
function Unsealed({ text }: { text: string }) {
  const { mark, why } = useInsideWords().thread.unsealed;
  return (
    <details className="bubble-unsealed">
      <summary>
        <WarningIcon />
        {mark}
      </summary>
      <p>{why}</p>
      <blockquote dir="auto">{text}</blockquote>
    </details>
  );
}

function RetryButton({ id }: { id: string }) {
  const client = useClient();
  const words = useInsideWords();
  const { attempt } = useToasts();
  return (
    <button type="button" className="retry-button" onClick={() => void attempt(() => client.retry(id))}>
      {words.thread.retry}
    </button>
  );
}
