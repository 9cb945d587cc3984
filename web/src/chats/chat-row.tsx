import type { Chat } from '@pairline/client';
import { DraftLine, ListRow } from '../conversations/list-row.js';
import { useChatWords } from '../i18n/chat-words.js';
import { useWords } from '../i18n/words.js';
import { StatusTick } from '../thread/status-tick.js';
import { GroupIcon, LockIcon, MutedIcon, WarningIcon } from '../ui/icons.js';
import type { MenuPlace } from '../ui/menu.js';
import { chatName } from './naming.js';
import { useChats } from './use-chats.js';

/** A conversation between accounts. */
export default function ChatRow({
  chat,
  ...rest
}: {
  chat: Chat;
  selected: boolean;
  replace: boolean;
  onMenu: (place: MenuPlace) => void;
}) {
  const words = useChatWords();
  const { id, group, name, lastTime, unread, pinned, muted, mentioned, warning, strangers } = chat;
  const Kind = group ? GroupIcon : LockIcon;
  return (
    <ListRow
      route={{ page: 'chat', id }}
      name={chatName(chat, words)}
      initialsOf={name}
      colorOf={chat.with?.userId ?? id}
      time={lastTime}
      unread={unread}
      pinned={pinned}
      marks={
        <>
          {warning && <Mark icon={WarningIcon} className="mark-warning" says={words.list.keyChanged} />}
          {strangers && <Mark icon={WarningIcon} className="mark-warning" says={words.list.strangers} />}
          {muted && <Mark icon={MutedIcon} says={words.list.muted} />}
          {mentioned && (
            <span className="unread">
              <span aria-hidden="true">@</span>
              <span className="hidden-words">{words.list.mentioned}</span>
            </span>
          )}
        </>
      }
      {...rest}
    >
      <Kind className="conversation-kind" />
      <span className="hidden-words">{group ? words.list.group : words.list.private} </span>
      <LastLine chat={chat} />
    </ListRow>
  );
}

function Mark({ icon: Icon, says, className }: { icon: typeof LockIcon; says: string; className?: string }) {
  return (
    <>
      <Icon {...(className && { className })} />
      <span className="hidden-words">{says}</span>
    </>
  );
}

function LastLine({ chat }: { chat: Chat }) {
  const page = useWords();
  const words = useChatWords();
  const typing = useChats().typing.get(chat.id);
  const { draft, last, group } = chat;
  if (typing) return <span className="conversation-typing">{words.list.typing}</span>;
  if (draft) return <DraftLine draft={draft} />;
  if (last === undefined) return words.list.nothing;
  const text = last.deleted ? (
    <em>{words.list.deleted}</em>
  ) : last.fault ? (
    <em>{page.list.unreadable}</em>
  ) : (
    last.text || words.list.files(last.files)
  );
  return (
    <>
      {last.mine && last.state && <StatusTick status={last.state} />}
      {group && !last.mine && `${last.authorName || words.list.somebody}: `}
      {text}
    </>
  );
}
