import type { Invitation } from '@pairline/client';
import { useState } from 'react';
import { useReading } from '../client.js';
import { useChatWords } from '../i18n/chat-words.js';
import { navigate } from '../route.js';
import { Avatar } from '../ui/avatar.js';
import { Dialog } from '../ui/dialog.js';
import { shownFingerprint } from './fingerprint.js';
import { useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';
import './chats.css';

/** Who would like to write to one: to be answered before anything comes of it. */
export default function Invitations() {
  const chats = useOpenChats();
  const words = useChatWords().invitations;
  const { value = [] } = useReading(
    'invitations',
    () => chats.invitations(),
    (changed) => chats.on('invitations', changed),
  );
  if (value.length === 0) return null;
  return (
    <section className="invitations" aria-label={words.title}>
      <ul>
        {value.map((invitation) => (
          <InvitationRow key={invitation.id} invitation={invitation} />
        ))}
      </ul>
    </section>
  );
}

function InvitationRow({ invitation: { id, chatId, group, name, from } }: { invitation: Invitation }) {
  const chats = useOpenChats();
  const { invitations: words, thread } = useChatWords();
  const { attempt } = useChatToasts();
  const [busy, setBusy] = useState(false);
  const [blocking, setBlocking] = useState(false);
  const who = from.name || thread.somebody;

  const answer = async (response: 'accepted' | 'declined') => {
    setBusy(true);
    const done = await attempt(() => chats.answer(id, response));
    if (done && response === 'accepted') navigate({ page: 'chat', id: chatId });
    setBusy(false);
  };
  const block = () =>
    void attempt(async () => {
      await chats.answer(id, 'declined');
      await chats.block(from.userId);
    });

  return (
    <li className="invitation">
      <Avatar name={from.name} number={from.userId} />
      <div>
        <p dir="auto">{!group ? words.two(who) : name ? words.group(who, name) : words.unnamed(who)}</p>
        <p className="fingerprint" title={words.fingerprint}>
          {shownFingerprint(from.fingerprint)}
        </p>
      </div>
      <div className="button-row">
        <button type="button" className="button button-primary" disabled={busy} onClick={() => void answer('accepted')}>
          {words.accept}
        </button>
        <button type="button" className="button" disabled={busy} onClick={() => void answer('declined')}>
          {words.decline}
        </button>
        <button type="button" className="button button-danger-quiet" disabled={busy} onClick={() => setBlocking(true)}>
          {words.block}
        </button>
      </div>
      {blocking && (
        <Dialog
          title={words.blockTitle(who)}
          confirm={words.block}
          dangerous
          onConfirm={block}
          onClose={() => setBlocking(false)}
        >
          <p>{words.blockWhy}</p>
        </Dialog>
      )}
    </li>
  );
}
