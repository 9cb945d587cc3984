import type { Conversation } from '@pairline/client';
import { useWords } from '../i18n/words.js';
import { StatusTick } from '../thread/status-tick.js';
import type { MenuPlace } from '../ui/menu.js';
import { DraftLine, ListRow } from './list-row.js';
import { conversationName, lineOfFiles } from './naming.js';

/** Texts with a number. */
export function ConversationRow({
  conversation,
  ...rest
}: {
  conversation: Conversation;
  selected: boolean;
  replace: boolean;
  onMenu: (place: MenuPlace) => void;
}) {
  const words = useWords();
  const { id, name, number, lastTime, unread, pinned } = conversation;
  return (
    <ListRow
      route={{ page: 'conversation', id }}
      name={conversationName(conversation, words)}
      initialsOf={name}
      colorOf={number}
      time={lastTime}
      unread={unread}
      pinned={pinned}
      {...rest}
    >
      <LastLine conversation={conversation} />
    </ListRow>
  );
}

function LastLine({ conversation }: { conversation: Conversation }) {
  const words = useWords();
  const { readable, draft, lastText, lastFile, lastType, lastStatus } = conversation;
  const fault = readable ? conversation.lastFault : conversation.fault;
  if (draft) return <DraftLine draft={draft} />;
  if (fault === 'not-sealed') return <em>{words.list.unsealed}</em>;
  if (!readable) return <em>{words.list.unreadable}</em>;
  return (
    <>
      {lastType === 'sent' && (lastStatus ? <StatusTick status={lastStatus} /> : <>{words.list.you} </>)}
      {lastText || lineOfFiles(lastFile, words)}
    </>
  );
}
