import type { Device } from '@pairline/client';
import { useEffect, useId, useState } from 'react';
import { useClient, useReading } from '../client.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { useTimes } from '../times.js';
import { Dialog } from '../ui/dialog.js';
import { BrowserIcon, PhoneIcon, WarningIcon } from '../ui/icons.js';
import { useToasts } from '../ui/toasts.js';

type Asking = { what: 'rename' | 'remove' | 'words'; device: Device };

const ACTIVE_MS = 90_000; // Seen so lately, a device counts as active.

/** Everything that is linked, and what can be done about it. */
export function Devices() {
  const client = useClient();
  const words = useInsideWords();
  const reading = useReading(
    'devices',
    () => client.devices(),
    (changed) => client.on('devices', changed),
  );
  const [asking, setAsking] = useState<Asking>();
  const close = () => setAsking(undefined);

  return (
    <section aria-labelledby="devices-title">
      <h2 id="devices-title">{words.settings.devices}</h2>
      <p>{words.settings.devicesWhy}</p>
      {reading.value === undefined && !reading.error && <p className="page-loading">{words.loading}</p>}
      {reading.error !== undefined && reading.value === undefined && (
        <p className="banner banner-warning">
          {words.settings.devicesFailed}{' '}
          <button type="button" className="link-button" onClick={reading.again}>
            {words.tryAgain}
          </button>
        </p>
      )}
      <ul className="devices">
        {(reading.value ?? []).map((device) => (
          <DeviceRow key={device.id} device={device} onAsk={(what) => setAsking({ what, device })} />
        ))}
      </ul>
      {asking?.what === 'rename' && <RenameDialog device={asking.device} onDone={reading.again} onClose={close} />}
      {asking?.what === 'remove' && <RemoveDialog device={asking.device} onDone={reading.again} onClose={close} />}
      {asking?.what === 'words' && <WordsDialog device={asking.device} onClose={close} />}
    </section>
  );
}

function DeviceRow({ device, onAsk }: { device: Device; onAsk: (what: Asking['what']) => void }) {
  const words = useInsideWords();
  const times = useTimes();
  const { kind, name, model, current, verified, lastSeen, createdAt } = device;
  const active = current || Date.now() - lastSeen < ACTIVE_MS;
  return (
    <li className="device">
      <span className="device-icon">{kind === 'phone' ? <PhoneIcon /> : <BrowserIcon />}</span>
      <div className="device-words">
        <p className="device-name" dir="auto">
          {name || words.settings[kind]}
          {current && <span className="tag">{words.settings.thisBrowser}</span>}
        </p>
        <p className="device-details">
          {[
            kind === 'phone' && model !== name ? model : undefined,
            active ? words.settings.activeNow : words.settings.lastSeen(times.moment(lastSeen)),
            words.settings.linked(times.moment(createdAt)),
          ]
            .filter(Boolean)
            .join(' · ')}
        </p>
        {!verified && (
          <p className="device-details device-warning">
            <WarningIcon />
            {words.settings.unverified}
          </p>
        )}
        <div className="button-row">
          {!current && verified && (
            <button type="button" className="link-button" onClick={() => onAsk('words')}>
              {words.settings.words}
            </button>
          )}
          <button type="button" className="link-button" onClick={() => onAsk('rename')}>
            {words.rename}
          </button>
          {!current && (
            <button type="button" className="link-button link-danger" onClick={() => onAsk('remove')}>
              {words.remove}
            </button>
          )}
        </div>
      </div>
    </li>
  );
}

interface DialogProps {
  device: Device;
  onDone: () => void;
  onClose: () => void;
}

function RenameDialog({ device, onDone, onClose }: DialogProps) {
  const client = useClient();
  const words = useInsideWords();
  const id = useId();
  const { attempt } = useToasts();
  const [name, setName] = useState(device.name);
  const rename = async () => {
    if (name.trim() && (await attempt(() => client.renameDevice(device.id, name.trim())))) onDone();
  };
  return (
    <Dialog title={words.rename} confirm={words.save} onConfirm={() => void rename()} onClose={onClose}>
      <label htmlFor={id}>{words.settings.name}</label>
      <input
        id={id}
        className="field"
        autoFocus
        required
        maxLength={100}
        value={name}
        onFocus={(event) => event.target.select()}
        onChange={(event) => setName(event.target.value)}
      />
    </Dialog>
  );
}

function RemoveDialog({ device, onDone, onClose }: DialogProps) {
  const client = useClient();
  const words = useInsideWords();
  const { attempt } = useToasts();
  const remove = async () => {
    if (await attempt(() => client.removeDevice(device.id))) onDone();
  };
  return (
    <Dialog
      title={words.settings.removeTitle(device.name)}
      confirm={words.remove}
      dangerous
      onConfirm={() => void remove()}
      onClose={onClose}
    >
      <p>{words.settings.removeWhy}</p>
    </Dialog>
  );
}

function WordsDialog({ device, onClose }: { device: Device; onClose: () => void }) {
  const client = useClient();
  const words = useInsideWords();
  const { attempt } = useToasts();
  const [safety, setSafety] = useState<string[] | null>();
  useEffect(() => {
    void attempt(async () => setSafety((await client.safetyWords(device.id)) ?? null));
  }, [attempt, client, device.id]);

  return (
    <Dialog title={words.settings.wordsTitle(device.name)} onClose={onClose}>
      {safety === undefined && <p className="page-loading">{words.loading}</p>}
      {safety === null && <p>{words.settings.wordsNone}</p>}
      {safety && (
        <>
          <p>{words.settings.wordsWhy}</p>
          <ol className="safety-words" lang="en">
            {safety.map((word, index) => (
              <li key={index}>{word}</li>
            ))}
          </ol>
          <p className="field-hint">{words.settings.wordsHow}</p>
        </>
      )}
    </Dialog>
  );
}
