import type { Chat } from '@pairline/client';
import { useId, useState } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import { Switch } from '../ui/switch.js';
import { PeopleFound } from './people-search.js';
import { useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

/** Invites a person to a group, by name. */
export function InviteSomebody({ chat }: { chat: Chat }) {
  const chats = useOpenChats();
  const { about } = useChatWords();
  const { attempt, tell } = useChatToasts();
  const id = useId();
  const [name, setName] = useState('');
  const [history, setHistory] = useState(false);
  const [busy, setBusy] = useState(false);

  const invite = async (invited: string) => {
    setBusy(true);
    if (await attempt(() => chats.invite(chat.id, { name: invited }, { history }))) {
      tell(about.invitedNow(invited));
      setName('');
    }
    setBusy(false);
  };

  return (
    <section aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{about.invite}</h2>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void invite(name.trim());
        }}
      >
        <label htmlFor={id}>{about.inviteName}</label>
        <div className="field-row">
          <input
            id={id}
            className="field"
            autoComplete="off"
            spellCheck={false}
            maxLength={64}
            value={name}
            aria-describedby={`${id}-hint`}
            onChange={(event) => setName(event.target.value)}
          />
          <button className="button button-primary" disabled={busy || name.trim() === ''}>
            {about.inviteButton}
          </button>
        </div>
        <p id={`${id}-hint`} className="field-hint">
          {about.inviteHint}
        </p>
      </form>
      <PeopleFound query={name} onPick={(person) => void invite(person.name)} />
      <Switch label={about.history} on={history} onChange={setHistory} />
    </section>
  );
}
