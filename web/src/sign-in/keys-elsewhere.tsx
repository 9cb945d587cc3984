import { useState } from 'react';
import { useClient } from '../client.js';
import { useChatWords } from '../i18n/chat-words.js';
import { PairingCode, usePairing } from '../pairing/pairing-code.js';
import { Dialog } from '../ui/dialog.js';
import { Mark } from '../ui/icons.js';
import { useChatToasts } from '../chats/use-chat-toasts.js';

/** Signed in, but what was written is encrypted for other devices: one of them lets this one in. */
export default function KeysElsewhere() {
  const client = useClient();
  const { keys } = useChatWords();
  const { attempt } = useChatToasts();
  const { state, retry } = usePairing(true);
  const [asking, setAsking] = useState(false);
  return (
    <main className="pairing">
      <header className="pairing-header">
        <Mark />
        <span>Pairline</span>
      </header>
      <div className="pairing-card">
        <div className="pairing-words">
          <h1>{keys.title}</h1>
          <p className="pairing-lead">{keys.lead}</p>
          <ol className="pairing-steps">
            {keys.steps.map(({ what, how }) => (
              <li key={what}>
                <p>{what}</p>
                <small>{how}</small>
              </li>
            ))}
          </ol>
          <div className="button-row">
            <button type="button" className="link-button" onClick={() => setAsking(true)}>
              {keys.lost}
            </button>
            <button type="button" className="link-button" onClick={() => void attempt(() => client.signOut())}>
              {keys.signOut}
            </button>
          </div>
        </div>
        <PairingCode state={state} retry={retry} waiting={keys.waiting} linkLabel={keys.link} />
      </div>
      {asking && (
        <Dialog
          title={keys.overTitle}
          confirm={keys.over}
          dangerous
          onConfirm={() => void attempt(() => client.startOver())}
          onClose={() => setAsking(false)}
        >
          <p>{keys.overWhy}</p>
        </Dialog>
      )}
    </main>
  );
}
