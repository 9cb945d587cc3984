import type { ChatMessage, Reaction } from '@pairline/client';
import { memo, type ReactNode } from 'react';
import { useClient } from '../client.js';
import { Attachments } from '../files/attachments.js';
import { useChatWords } from '../i18n/chat-words.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { errorWords } from '../i18n/words.js';
import { LinkedText, onlyEmoji } from '../thread/bubble-text.js';
import { StatusTick } from '../thread/status-tick.js';
import { useTimes } from '../times.js';
import { hue } from '../ui/avatar.js';
import { LockIcon, MoreIcon, WarningIcon } from '../ui/icons.js';
import { menuPlace, type MenuPlace } from '../ui/menu.js';
import { mentionParts } from './mentions.js';

interface Props {
  message: ChatMessage;
  /** Whether there are several others, so that each message has to say by whom it is. */
  group: boolean;
  /** One's own user id. */
  me: string | undefined;
  first: boolean;
  last: boolean;
  statusInWords: boolean;
  marked: boolean;
  onMenu: (message: ChatMessage, place: MenuPlace) => void;
  onJump: (messageId: string) => void;
  onReact: (message: ChatMessage, emoji: string | undefined) => void;
  onRetry: (message: ChatMessage) => void;
}

export const ChatBubble = memo(
  function ChatBubble(props: Props) {
    const { message, group, first, last, statusInWords, marked, onMenu, onRetry } = props;
    const words = useInsideWords();
    const chatWords = useChatWords();
    const { id, mine, authorId, state, text, files, fault, deleted, reactions } = message;
    const author = message.authorName || chatWords.thread.somebody;
    const classes = [
      'message',
      mine ? 'message-sent' : 'message-received',
      first && 'message-first',
      last && 'message-last',
      marked && 'message-marked',
      state === 'failed' && 'message-failed',
    ];
    const empty = deleted === true || fault !== undefined;
    const inWords = statusInWords || state === 'failed' || (state === 'waiting' && last);
    const large = files.length === 0 && message.replyTo === undefined && onlyEmoji(text);
    const more = (event: { clientX: number; clientY: number; currentTarget: Element }) => onMenu(message, menuPlace(event)); // prettier-ignore

    return (
      <li
        className={classes.filter(Boolean).join(' ')}
        data-message={id}
        tabIndex={-1}
        onContextMenu={(event) => {
          // Links keep the browser's own menu.
          if ((event.target as Element).closest('a')) return;
          event.preventDefault();
          more(event);
        }}
      >
        <span className="hidden-words">{mine ? words.thread.own : chatWords.thread.from(author)}:</span>
        <div className={empty ? 'bubble bubble-fault' : large ? 'bubble bubble-emoji' : 'bubble'}>
          {group && !mine && first && (
            <p className={`bubble-author author-${hue(authorId)}`} dir="auto" aria-hidden="true">
              {author}
            </p>
          )}
          <Body {...props} author={author} />
          {state === 'failed' && message.problem && (
            <p className="bubble-note">{chatWords.errors[message.problem] ?? errorWords(words, message.problem)}</p>
          )}
          <Foot message={message} inWords={inWords} />
        </div>
        <button
          type="button"
          className="icon-button message-more"
          tabIndex={-1}
          aria-label={words.thread.menu}
          onClick={more}
        >
          <MoreIcon />
        </button>
        {reactions.length > 0 && <Reactions {...props} />}
        {state === 'failed' && (
          <button type="button" className="retry-button" onClick={() => onRetry(message)}>
            {chatWords.actions.retry}
          </button>
        )}
      </li>
    );
  },
  // A page of messages is read anew with each change: what says the same is not drawn again.
  (before, after) =>
    Object.keys(after).every((key) => key === 'message' || before[key as keyof Props] === after[key as keyof Props]) &&
    JSON.stringify(before.message) === JSON.stringify(after.message),
);

function Body({ message, author, me, onJump }: Props & { author: string }) {
  const client = useClient();
  const words = useChatWords().thread;
  const { fault, deleted, text, files, mentions, replyTo, unverified } = message;
  if (deleted) return <p className="bubble-text">{words.deleted}</p>;
  if (fault) {
    return (
      <p className="bubble-text">
        {fault === 'no-key' ? <LockIcon /> : <WarningIcon />}
        {words.fault[fault]}
      </p>
    );
  }
  return (
    <>
      {replyTo && <Quote replyTo={replyTo} onJump={onJump} />}
      <Attachments load={client.files} files={files} />
      {text !== '' && (
        <p className="bubble-text" dir="auto">
          {mentionParts(text, mentions).map((part, index): ReactNode =>
            part.userId === undefined ? (
              <LinkedText key={index} text={part.text} />
            ) : (
              <span key={index} className={part.userId === me ? 'mention mention-me' : 'mention'}>
                {part.text}
              </span>
            ),
          )}
        </p>
      )}
      {unverified && (
        <p className="bubble-note" title={author}>
          <WarningIcon />
          {words.unverified}
        </p>
      )}
    </>
  );
}

function Quote({ replyTo, onJump }: { replyTo: NonNullable<ChatMessage['replyTo']>; onJump: Props['onJump'] }) {
  const words = useChatWords().thread;
  const { id, text } = replyTo;
  const author = replyTo.authorName || words.somebody;
  return (
    <button type="button" className="quote" onClick={() => onJump(id)}>
      <span className="hidden-words">{words.toOriginal}</span>
      <span className={`quote-author author-${hue(replyTo.authorId ?? '')}`} dir="auto">
        {author}
      </span>
      <span className="quote-text" dir="auto">
        {text || words.replyGone}
      </span>
    </button>
  );
}

function Foot({ message, inWords }: { message: ChatMessage; inWords: boolean }) {
  const words = useChatWords().thread;
  const times = useTimes();
  const { timestamp, editedAt, deleted, state } = message;
  return (
    <p className="bubble-foot">
      {editedAt !== undefined && !deleted && <span title={words.editedAt(times.full(editedAt))}>{words.edited}</span>}
      <time dateTime={new Date(timestamp).toISOString()} title={times.full(timestamp)}>
        {times.time(timestamp)}
      </time>
      {state && !deleted && <StatusTick status={state} inWords={inWords} />}
    </p>
  );
}

function Reactions({ message, onReact }: Props) {
  const words = useChatWords();
  const by = ({ people }: Reaction) => {
    const names = people
      .map(({ name }) => name || words.thread.somebody)
      .sort((one, other) => one.localeCompare(other));
    return words.thread.reactedBy(words.and(names));
  };
  return (
    <p className="reactions">
      {message.reactions.map((reaction) => (
        <button
          key={reaction.emoji}
          type="button"
          className={reaction.mine ? 'reaction reaction-mine' : 'reaction'}
          aria-pressed={reaction.mine}
          title={by(reaction)}
          onClick={() => onReact(message, reaction.mine ? undefined : reaction.emoji)}
        >
          {reaction.emoji}
          {reaction.people.length > 1 && <span aria-hidden="true">{reaction.people.length}</span>}
          <span className="hidden-words">{by(reaction)}</span>
        </button>
      ))}
    </p>
  );
}
