import type { Chat, Chats, Member } from '@pairline/client';
import { useEffect, useId, useState } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import { useWords } from '../i18n/words.js';
import { goBack, navigate, toHash } from '../route.js';
import { Switch } from '../ui/switch.js';
import { Dialog } from '../ui/dialog.js';
import { BackIcon } from '../ui/icons.js';
import { NoticePage } from '../ui/notice-page.js';
import { useTimes } from '../times.js';
import { useChat } from './chat-pane.js';
import { InviteSomebody } from './invite-somebody.js';
import { KeyWarnings } from './key-warnings.js';
import { Members } from './members.js';
import { chatName } from './naming.js';
import { Strangers } from './strangers.js';
import { useChats, useOpenChats } from './use-chats.js';
import '../settings/settings.css';
import '../thread/thread.css';
import { useChatToasts } from './use-chat-toasts.js';
import './chats.css';

/** Who is in a conversation, and what can be done about it. */
export default function DetailsPage({ chatId }: { chatId: string }) {
  const words = useWords();
  const { chats, want } = useChats();
  useEffect(want, []);
  if (chats === undefined) return <p className="page-loading">{words.loading}</p>;
  return <Details chats={chats} chatId={chatId} />;
}

function Details({ chats, chatId }: { chats: Chats; chatId: string }) {
  const words = useWords();
  const chatWords = useChatWords();
  const { about, thread } = chatWords;
  const times = useTimes();
  const { chat, members } = useChat(chats, chatId);
  if (chat === undefined) return <p className="page-loading">{words.loading}</p>;
  if (chat === null) {
    return (
      <NoticePage title={thread.gone} level={2}>
        <p>{thread.goneWhy}</p>
      </NoticePage>
    );
  }
  const here = chat.membership === 'accepted';
  const rules = chat.group && chat.role !== 'member';
  return (
    <div className="settings">
      <header className="thread-header">
        <button type="button" className="icon-button" aria-label={words.back} onClick={goBack}>
          <BackIcon />
        </button>
        <div className="thread-title">
          <h1 dir="auto">{chatName(chat, chatWords)}</h1>
          <p>{about.began(times.moment(chat.createdAt))}</p>
        </div>
      </header>
      <KeyWarnings people={members.filter(({ me }) => !me)} />
      <Strangers chat={chat} members={members} />
      <div className="settings-scroller">
        <div className="settings-content">
          <Members chat={chat} members={members} />
          {here && rules && <InviteSomebody chat={chat} />}
          {here && rules && <Rename key={chat.name} chat={chat} />}
          <Options chat={chat} />
          {here && <Leave chat={chat} members={members} />}
        </div>
      </div>
    </div>
  );
}

function Rename({ chat }: { chat: Chat }) {
  const chats = useOpenChats();
  const words = useWords();
  const { about, new: begin } = useChatWords();
  const { attempt } = useChatToasts();
  const id = useId();
  const [name, setName] = useState(chat.name);
  return (
    <section aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{about.rename}</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void attempt(() => chats.rename(chat.id, name.trim()));
        }}
      >
        <label htmlFor={id}>{about.name}</label>
        <div className="field-row">
          <input
            id={id}
            className="field"
            maxLength={100}
            value={name}
            aria-describedby={`${id}-hint`}
            onChange={(event) => setName(event.target.value)}
          />
          <button className="button button-primary" disabled={name.trim() === chat.name}>
            {words.save}
          </button>
        </div>
        <p id={`${id}-hint`} className="field-hint">
          {begin.groupNameHint}
        </p>
      </form>
    </section>
  );
}

function Options({ chat }: { chat: Chat }) {
  const chats = useOpenChats();
  const { about } = useChatWords();
  const { attempt } = useChatToasts();
  const flag = (label: string, flag: 'muted' | 'pinned' | 'archived') =>
    <Switch label={label} on={chat[flag]} onChange={(on) => void attempt(() => chats.setFlags(chat.id, { [flag]: on }))} />; // prettier-ignore
  return (
    <section>
      <h2>{about.options}</h2>
      {flag(about.mute, 'muted')}
      {flag(about.pin, 'pinned')}
      {flag(about.archive, 'archived')}
    </section>
  );
}

function Leave({ chat, members }: { chat: Chat; members: Member[] }) {
  const chats = useOpenChats();
  const { about } = useChatWords();
  const { attempt } = useChatToasts();
  const [asking, setAsking] = useState<'leave' | 'end'>();
  const { group } = chat;
  const others = members.some(({ me, membership }) => !me && membership === 'accepted');
  const bound = group && chat.role === 'owner' && others;
  const leaveWords = group ? about.leave : about.leaveTwo;
  const act = async () => {
    const done = await attempt(() => (asking === 'end' ? chats.end(chat.id) : chats.leave(chat.id)));
    // Who has gone elsewhere meanwhile stays there.
    const isStill = location.hash === toHash({ page: 'chat-details', id: chat.id });
    if (done && isStill) navigate({ page: 'home' }, { replace: true });
  };
  return (
    <section>
      <h2>{leaveWords}</h2>
      {bound && <p>{about.leaveOwner}</p>}
      <div className="button-row">
        {!bound && (
          <button type="button" className="button button-danger-quiet" onClick={() => setAsking('leave')}>
            {leaveWords}
          </button>
        )}
        {group && chat.role === 'owner' && (
          <button type="button" className="button button-danger-quiet" onClick={() => setAsking('end')}>
            {about.end}
          </button>
        )}
      </div>
      {asking && (
        <Dialog
          title={asking === 'end' ? about.endTitle : group ? about.leaveTitle : about.leaveTwoTitle}
          confirm={asking === 'end' ? about.end : leaveWords}
          dangerous
          onConfirm={() => void act()}
          onClose={() => setAsking(undefined)}
        >
          <p>{asking === 'end' ? about.endWhy : about.leaveWhy}</p>
        </Dialog>
      )}
    </section>
  );
}
