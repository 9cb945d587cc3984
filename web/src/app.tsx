import { lazy, Suspense, useEffect } from 'react';
import { useClientState } from './client.js';
import { useWords } from './i18n/words.js';
import { part } from './part.js';

const loadWorkspace = part(() => import('./workspace.js'));
const Workspace = lazy(loadWorkspace);
/** Ready by the time the phone has scanned the code. */
const loadAhead = () => void loadWorkspace().catch(() => {});
const PairingPage = lazy(part(() => import('./pairing/pairing-page.js')));

const KeysElsewhere = lazy(part(() => import('./sign-in/keys-elsewhere.js')));

/** The pairing page until this browser is linked, then the conversations. */
export function App() {
  const state = useClientState();
  const signedOut = state.phase === 'signed-out';

  useEffect(() => {
    if (signedOut) document.title = 'Pairline';
  }, [signedOut]);

  return (
    <Suspense fallback={<Loading />}>
      {signedOut ? (
        <PairingPage reason={state.reason} onShown={loadAhead} />
      ) : state.keys === 'elsewhere' ? (
        <KeysElsewhere />
      ) : (
        <Workspace />
      )}
    </Suspense>
  );
}

function Loading() {
  const words = useWords();
  return <p className="page-loading">{words.loading}</p>;
}
