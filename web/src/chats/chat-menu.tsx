import type { Chat } from '@pairline/client';
import { useChatWords } from '../i18n/chat-words.js';
import { useWords } from '../i18n/words.js';
import { Menu, type MenuPlace } from '../ui/menu.js';
import { chatName } from './naming.js';
import { useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

/** What can be done about a conversation from the list. */
export default function ChatMenu({ chat, place, onClose }: { chat: Chat; place: MenuPlace; onClose: () => void }) {
  const words = useWords();
  const name = chatName(chat, useChatWords());
  return <Menu label={words.list.menu(name)} items={useFlagItems(chat)} place={place} onClose={onClose} />; // prettier-ignore
}

/** Pin, archive, mute, and mark as read. */
export function useFlagItems({ id, pinned, archived, muted, unread }: Chat) {
  const chats = useOpenChats();
  const words = useWords();
  const chatWords = useChatWords();
  const { attempt } = useChatToasts();
  const flag = (label: string, flags: { pinned?: boolean; archived?: boolean; muted?: boolean }) => ({
    label,
    act: () => void attempt(() => chats.setFlags(id, flags)),
  });
  return [
    flag(pinned ? words.list.unpin : words.list.pin, { pinned: !pinned }),
    flag(archived ? words.list.unarchive : words.list.archive, { archived: !archived }),
    flag(muted ? chatWords.list.unmute : chatWords.list.mute, { muted: !muted }),
    ...(unread > 0 ? [{ label: words.list.markRead, act: () => void attempt(() => chats.markRead(id)) }] : []),
  ];
}
