import type { Chat, ChatMessage } from '@pairline/client';
import { lazy, Suspense } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { part } from '../part.js';
import { usePreferences } from '../preferences.js';
import { Dialog } from '../ui/dialog.js';
import { Menu, type MenuItem, type MenuPlace } from '../ui/menu.js';
import { useCopy } from '../ui/use-copy.js';
import type { Writing } from './chat-composer.js';
import { useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

const EmojiPicker = lazy(part(() => import('../composer/emoji-picker.js')));

const QUICK = ['👍', '❤️', '😂', '😮', '😢', '🙏'];
const EDITABLE_MS = 24 * 60 * 60_000;

/** What can be done about a message: what the server would refuse is not offered. */
export function MessageMenu({
  chat,
  message,
  place,
  onWriting,
  onReact,
  onAsk,
  onClose,
}: {
  chat: Chat;
  message: ChatMessage;
  place: MenuPlace;
  onWriting: (writing: Writing) => void;
  onReact: (message: ChatMessage, emoji: string | undefined) => void;
  onAsk: (what: 'delete' | 'details' | 'react') => void;
  onClose: () => void;
}) {
  const chats = useOpenChats();
  const words = useInsideWords();
  const { actions } = useChatWords();
  const copy = useCopy();
  const { attempt } = useChatToasts();
  const [{ recentEmoji = [] }] = usePreferences();
  const { mine, state, text, files, deleted, fault, reactions } = message;

  const here = chat.membership === 'accepted';
  const there = state !== 'waiting' && state !== 'failed';
  const whole = !deleted && !fault;
  const late = Date.now() - message.timestamp > EDITABLE_MS;
  const rules = chat.group && chat.role !== 'member';
  const own = reactions.find((reaction) => reaction.mine)?.emoji;
  const quick = [...new Set([...(own ? [own] : []), ...QUICK, ...recentEmoji])].slice(0, QUICK.length);

  const items: (MenuItem | false)[] = [
    ...(here && there && whole
      ? quick.map((emoji) => ({
          label: emoji === own ? actions.unreact : `${actions.react} ${emoji}`,
          sign: emoji,
          chosen: emoji === own,
          act: () => onReact(message, emoji === own ? undefined : emoji),
        }))
      : []),
    here && there && whole && { label: actions.moreReactions, act: () => onAsk('react') },
    here && there && whole && { label: actions.reply, act: () => onWriting({ as: 'reply', message }) },
    here && there && whole && mine && !late && { label: actions.edit, act: () => onWriting({ as: 'edit', message }) },
    whole && text !== '' && { label: actions.copy, act: () => copy(text) },
    there && !deleted && { label: actions.details, act: () => onAsk('details') },
    state === 'failed' && { label: actions.retry, act: () => void attempt(() => chats.retry(chat.id, message.id)) },
    !there && { label: actions.deleteHere, dangerous: true, act: () => onAsk('delete') },
    here && there && !deleted && ((mine && !late) || rules) && { label: actions.delete, dangerous: true, act: () => onAsk('delete') }, // prettier-ignore
  ];
  const offered = items.filter((item) => item !== false);
  return (
    <Menu
      label={words.thread.menu}
      items={offered.length > 0 ? offered : [{ label: words.close, act: () => {} }]}
      {...(mine && there && late && whole && files.length === 0 && { note: actions.tooLate })}
      place={place}
      onClose={onClose}
    />
  );
}

export function DeleteDialog({ message, onClose }: { message: ChatMessage; onClose: () => void }) {
  const chats = useOpenChats();
  const { actions } = useChatWords();
  const { attempt } = useChatToasts();
  const waits = message.state === 'waiting' || message.state === 'failed';
  return (
    <Dialog
      title={waits ? actions.deleteWaitingTitle : actions.deleteTitle}
      confirm={waits ? actions.deleteHere : actions.delete}
      dangerous
      onConfirm={() => void attempt(() => chats.delete(message.chatId, message.id))}
      onClose={onClose}
    >
      <p>{waits ? actions.deleteWaitingWhy : actions.deleteWhy}</p>
    </Dialog>
  );
}

/** Any emoji as a reaction. */
export function ReactDialog({ onPick, onClose }: { onPick: (emoji: string) => void; onClose: () => void }) {
  const words = useInsideWords();
  const { actions } = useChatWords();
  return (
    <Dialog title={actions.react} onClose={onClose}>
      <div className="emoji-inside">
        <Suspense fallback={<p className="page-loading">{words.loading}</p>}>
          <EmojiPicker
            onPick={(emoji) => {
              onPick(emoji);
              onClose();
            }}
            onClose={onClose}
          />
        </Suspense>
      </div>
    </Dialog>
  );
}
