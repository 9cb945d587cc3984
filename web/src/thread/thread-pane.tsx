import { useEffect, useState } from 'react';
import { useClient, useReading } from '../client.js';
import { TextComposer } from '../composer/text-composer.js';
import { conversationName } from '../conversations/naming.js';
import { useConversations } from '../conversations/use-conversations.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { shownNumber } from '../numbers.js';
import { goBack, navigate } from '../route.js';
import { StatusLine } from '../status-line.js';
import { Avatar } from '../ui/avatar.js';
import { BackIcon, MoreIcon } from '../ui/icons.js';
import { Menu, menuPlace, type MenuPlace } from '../ui/menu.js';
import { EmptyState, NoticePage } from '../ui/notice-page.js';
import { useToasts } from '../ui/toasts.js';
import { useCopy } from '../ui/use-copy.js';
import { MessageList } from './message-list.js';
import './thread.css';

type Props =
  | { conversationId: string; target: string | undefined; number?: undefined }
  | { number: string; conversationId?: undefined; target?: undefined };

/** One conversation, or a number that nothing was written to yet. */
export default function ThreadPane({ conversationId, target, number }: Props) {
  const client = useClient();
  const words = useInsideWords();
  const { attempt } = useToasts();
  const list = useConversations().value;
  const reading = useReading(
    `conversation ${conversationId ?? ''}`,
    async () => (conversationId === undefined ? undefined : ((await client.conversation(conversationId)) ?? null)),
    (changed) => client.on('conversations', changed),
  );
  // What the list knows is there at once.
  const conversation = reading.value === undefined ? list?.find(({ id }) => id === conversationId) : (reading.value ?? undefined); // prettier-ignore
  const [lastNumber, setLastNumber] = useState(number);
  const known = conversation?.number ?? lastNumber;

  useEffect(() => {
    if (conversation) setLastNumber(conversation.number);
  }, [conversation]);

  // The phone gives a conversation that began here an id of its own: the thread moves along.
  const missing = number !== undefined || reading.value === null;
  const successor = missing && known ? list?.find((one) => one.number === known)?.id : conversation?.id;
  const moved = successor === conversationId ? undefined : successor;
  useEffect(() => {
    if (moved) navigate({ page: 'conversation', id: moved }, { replace: true });
  }, [moved]);

  if (reading.value === null && !moved) {
    return (
      <NoticePage title={words.thread.gone} level={2}>
        <p>{words.thread.goneWhy}</p>
        <button type="button" className="button" onClick={() => navigate({ page: 'home' }, { replace: true })}>
          {words.back}
        </button>
      </NoticePage>
    );
  }

  const name = conversation ? conversationName(conversation, words) : shownNumber(number ?? known ?? '');
  const send = (text: string) => {
    const to = conversationId === undefined ? { number: number } : { conversationId };
    // A first message makes the conversation that this thread then moves to, as above.
    return attempt(() => client.send(to, text));
  };

  return (
    <section className="thread" aria-label={name}>
      <ThreadHeader name={name} contact={conversation?.name} number={known ?? ''} conversation={conversation} />
      <StatusLine />
      {conversationId !== undefined ? (
        <MessageList conversationId={conversationId} target={target} name={name} conversation={conversation} />
      ) : (
        <EmptyState title={words.thread.empty}>
          <p>{words.new.toSomebody(name)}</p>
        </EmptyState>
      )}
      {(conversation ?? number) && (
        <TextComposer
          draftKey={conversation?.number || (conversationId ?? number)}
          draft={conversation?.draft ?? ''}
          saveDraft={conversationId === undefined ? undefined : (text) => client.saveDraft(conversationId, text)}
          onSend={send}
        />
      )}
    </section>
  );
}

function ThreadHeader({
  name,
  contact,
  number,
  conversation,
}: {
  name: string;
  contact: string | undefined;
  number: string;
  conversation: { id: string; pinned: boolean; archived: boolean } | undefined;
}) {
  const client = useClient();
  const words = useInsideWords();
  const copy = useCopy();
  const { attempt } = useToasts();
  const [menu, setMenu] = useState<MenuPlace>();
  const items = [
    ...(number ? [{ label: words.thread.copyNumber, act: () => copy(number) }] : []),
    ...(conversation
      ? [
          {
            label: conversation.pinned ? words.list.unpin : words.list.pin,
            act: () => void attempt(() => client.setFlags(conversation.id, { pinned: !conversation.pinned })),
          },
          {
            label: conversation.archived ? words.list.unarchive : words.list.archive,
            act: () => void attempt(() => client.setFlags(conversation.id, { archived: !conversation.archived })),
          },
        ]
      : []),
  ];

  return (
    <header className="thread-header">
      <button type="button" className="icon-button back-button" aria-label={words.back} onClick={goBack}>
        <BackIcon />
      </button>
      <Avatar name={contact} number={number} />
      <div className="thread-title">
        <h1 dir="auto">{name}</h1>
        {contact && <p>{shownNumber(number)}</p>}
      </div>
      <button
        type="button"
        className="icon-button"
        aria-haspopup="menu"
        aria-expanded={menu !== undefined}
        aria-label={words.list.menu(name)}
        onClick={(event) => setMenu(menuPlace(event))}
      >
        <MoreIcon />
      </button>
      {menu && <Menu label={words.list.menu(name)} items={items} place={menu} onClose={() => setMenu(undefined)} />}
    </header>
  );
}
