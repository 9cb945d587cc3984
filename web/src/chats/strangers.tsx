import type { Chat, Member } from '@pairline/client';
import { useChatWords } from '../i18n/chat-words.js';
import { WarningIcon } from '../ui/icons.js';
import { useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

/** Members of whom nobody says that they belong there: the server may have made them up. */
export function Strangers({ chat, members }: { chat: Chat; members: Member[] }) {
  const words = useChatWords().strangers;
  const chats = useOpenChats();
  const { attempt } = useChatToasts();
  // To whom there is no key nothing can be encrypted, either way.
  const strangers = members.filter(({ vouched, fingerprint }) => !vouched && fingerprint !== '');
  if (chat.membership !== 'accepted' || strangers.length === 0) return null;
  const ids = strangers.map(({ userId }) => userId);
  return (
    <div className="thread-banner thread-banner-warning" role="alert">
      <WarningIcon />
      <p dir="auto">{words.why(strangers.map(({ name }) => name).join(', '))}</p>
      <button type="button" className="link-button" onClick={() => void attempt(() => chats.vouch(chat.id, ids))}>
        {words.vouch(ids.length)}
      </button>
    </div>
  );
}
