import type { Pairing, PairingState } from '@pairline/client';
import { useEffect, useId, useRef, useState } from 'react';
import { useClient } from '../client.js';
import { errorWords, useWords } from '../i18n/words.js';
import { useRoute } from '../route.js';
import { ClockIcon, LockIcon, Mark, TickIcon, WarningIcon } from '../ui/icons.js';
import { useCopy } from '../ui/use-copy.js';
import { deviceName } from './device-name.js';
import { QrCode } from './qr-code.js';
import './pairing.css';

/** Links this browser to a phone. `reason`: why it is signed out, when it was linked before. */
export default function PairingPage({ reason, onShown }: { reason: string | undefined; onShown: () => void }) {
  const client = useClient();
  const words = useWords();
  const route = useRoute();
  const rememberId = useId();
  const [remember, setRemember] = useState(true);
  const { state, retry } = usePairing(remember);
  const shown = state.code !== undefined;
  useEffect(() => {
    if (shown) onShown();
  }, [shown, onShown]);
  const busy = state.step === 'scanned' || state.step === 'done';

  return (
    <main className="pairing">
      <header className="pairing-header">
        <Mark />
        <span>Pairline</span>
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
        </div>
        <div className="pairing-code">
          <div className={`qr-frame qr-frame-${state.step}`}>
            {state.code && state.step !== 'failed' && <QrCode text={state.code} label={words.pairing.qr} />}
            <Cover state={state} retry={retry} />
          </div>
          <p className="pairing-status" role="status">
            {state.step === 'waiting' && words.pairing.waiting}
            {state.step === 'scanned' && words.pairing.scanned}
            {state.step === 'done' && words.pairing.done}
          </p>
          {state.link && state.step === 'waiting' && <PairingLink link={state.link} />}
        </div>
      </div>
      <p className="pairing-hint">
        <LockIcon />
        {words.pairing.anotherBrowser}
      </p>
    </main>
  );
}

/** What stands over the code when it is not there to be scanned. */
function Cover({ state, retry }: { state: PairingState; retry: () => void }) {
  const words = useWords();
  switch (state.step) {
    case 'waiting':
      return null;
    case 'loading':
      return (
        <div className="qr-cover">
          <span className="spinner" />
          <p>{words.pairing.preparing}</p>
        </div>
      );
    case 'scanned':
    case 'done':
      return (
        <div className="qr-cover">
          {state.step === 'done' ? <TickIcon /> : <ClockIcon />}
          <p>{state.step === 'done' ? words.pairing.done : words.pairing.scanned}</p>
        </div>
      );
    case 'failed':
      return (
        <div className="qr-cover" role="alert">
          <WarningIcon />
          <p className="qr-cover-title">{words.pairing.failed}</p>
          <p>{state.problem === 'no_keys' ? words.pairing.notSealed : errorWords(words, state.problem)}</p>
          <button type="button" className="button button-primary" onClick={retry}>
            {words.tryAgain}
          </button>
        </div>
      );
  }
}

function PairingLink({ link }: { link: string }) {
  const words = useWords();
  const copy = useCopy();
  const id = useId();
  return (
    <div className="pairing-link">
      <label htmlFor={id}>{words.pairing.link}</label>
      <div className="field-row">
        <input id={id} className="field" readOnly value={link} onFocus={(event) => event.target.select()} />
        <button type="button" className="button" onClick={() => copy(link)}>
          {words.pairing.copyLink}
        </button>
      </div>
    </div>
  );
}

/** A pairing for as long as the page is open; a changed `remember` starts over with a new code. */
function usePairing(remember: boolean): { state: PairingState; retry: () => void } {
  const client = useClient();
  const [state, setState] = useState<PairingState>({ step: 'loading' });
  const pairing = useRef<Pairing>(undefined);

  useEffect(() => {
    const started = client.pair({ deviceName: deviceName(), remember });
    pairing.current = started;
    setState(started.state);
    const off = started.on('state', setState);
    return () => {
      off();
      started.cancel();
    };
  }, [client, remember]);

  return { state, retry: () => pairing.current?.retry() };
}
