import { lazy, Suspense, useEffect, useId, useState } from 'react';
import { useClient } from '../client.js';
import { useWords } from '../i18n/words.js';
import { part } from '../part.js';
import { useRoute } from '../route.js';
import { LockIcon, Mark } from '../ui/icons.js';
import { PairingCode, usePairing } from './pairing-code.js';
import './pairing.css';

const SignIn = lazy(part(() => import('../sign-in/sign-in-form.js')));
const SignInWords = lazy(
  part(() => import('../sign-in/sign-in-form.js').then((all) => ({ default: all.SignInWords }))),
);

/** Links this browser to a phone, or signs in without one. `reason`: why it is signed out, when it was linked before. */
export default function PairingPage({ reason, onShown }: { reason: string | undefined; onShown: () => void }) {
  const client = useClient();
  const words = useWords();
  const route = useRoute();
  const rememberId = useId();
  const [remember, setRemember] = useState(true);
  const { state, retry } = usePairing(remember);
  const [withPhone, setWithPhone] = useState(true);
  const shown = state.code !== undefined;
  useEffect(() => {
    if (shown) onShown();
  }, [shown, onShown]);
  const busy = state.step === 'scanned' || state.step === 'done';
  const rememberSwitch = (
    <div className="pairing-remember">
      <input
        id={rememberId}
        className="switch"
        type="checkbox"
        role="switch"
        checked={remember}
        disabled={busy}
        aria-describedby={`${rememberId}-why`}
        onChange={(event) => setRemember(event.target.checked)}
      />
      <label htmlFor={rememberId}>{words.pairing.remember}</label>
      <small id={`${rememberId}-why`}>{words.pairing.rememberWhy}</small>
    </div>
  );

  return (
    <main className="pairing">
      <header className="pairing-header">
        <Mark />
        <span>Pairline</span>
        {withPhone && (
          <button type="button" className="button" onClick={() => setWithPhone(false)}>
            {words.pairing.withoutPhone}
          </button>
        )}
      </header>
      {reason && (
        <div className="banner banner-warning">
          <p role="alert">{words.pairing.goneWhy[reason] ?? words.pairing.gone}</p>
          {/* What was stored may still be here, for who links this browser again: or for nobody. */}
          <button type="button" className="link-button" onClick={() => void client.signOut()}>
            {words.pairing.clear}
          </button>
        </div>
      )}
      {route.page === 'pair' && <p className="banner banner-warning">{words.pairing.approveHere}</p>}
      {withPhone ? (
        <div className="pairing-card">
          <div className="pairing-words">
            <h1>{words.pairing.title}</h1>
            <p className="pairing-lead">{words.pairing.lead}</p>
            <ol className="pairing-steps">
              {words.pairing.steps.map(({ what, how }) => (
                <li key={what}>
                  <p>{what}</p>
                  <small>{how}</small>
                </li>
              ))}
            </ol>
            {rememberSwitch}
          </div>
          <PairingCode state={state} retry={retry} waiting={words.pairing.waiting} linkLabel={words.pairing.link} />
        </div>
      ) : (
        <div className="pairing-card">
          <Suspense fallback={<p className="page-loading">{words.loading}</p>}>
            <div className="pairing-words">
              <SignInWords />
            </div>
            <SignIn remember={remember} rememberSwitch={rememberSwitch} onPhone={() => setWithPhone(true)} />
          </Suspense>
        </div>
      )}
      {withPhone && (
        <p className="pairing-hint">
          <LockIcon />
          {words.pairing.anotherBrowser}
        </p>
      )}
    </main>
  );
}
