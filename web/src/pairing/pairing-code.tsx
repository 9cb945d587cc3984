import type { Pairing, PairingState } from '@pairline/client';
import { useEffect, useId, useRef, useState } from 'react';
import { useClient } from '../client.js';
import { errorWords, useWords } from '../i18n/words.js';
import { ClockIcon, TickIcon, WarningIcon } from '../ui/icons.js';
import { useCopy } from '../ui/use-copy.js';
import { deviceName } from './device-name.js';
import { QrCode } from './qr-code.js';
import './pairing.css';

/** The code to be scanned, how far that is, and the same as a link. */
export function PairingCode({
  state,
  retry,
  waiting,
  linkLabel,
}: {
  state: PairingState;
  retry: () => void;
  /** What is waited for. */
  waiting: string;
  linkLabel: string;
}) {
  const words = useWords();
  return (
    <div className="pairing-code">
      <div className={`qr-frame qr-frame-${state.step}`}>
        {state.code && state.step !== 'failed' && <QrCode text={state.code} label={words.pairing.qr} />}
        <Cover state={state} retry={retry} />
      </div>
      <p className="pairing-status" role="status">
        {state.step === 'waiting' && waiting}
        {state.step === 'scanned' && words.pairing.scanned}
        {state.step === 'done' && words.pairing.done}
      </p>
      {state.link && state.step === 'waiting' && <PairingLink link={state.link} label={linkLabel} />}
    </div>
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

function PairingLink({ link, label }: { link: string; label: string }) {
  const words = useWords();
  const copy = useCopy();
  const id = useId();
  return (
    <div className="pairing-link">
      <label htmlFor={id}>{label}</label>
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
export function usePairing(remember: boolean): { state: PairingState; retry: () => void } {
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
