import { lazy, Suspense, useId, useState } from 'react';
import { useClient, useClientState } from '../client.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { LANGUAGE_NAMES, useLanguage } from '../i18n/words.js';
import { canNotify, turnOff, turnOn } from '../notifications/notifications.js';
import { playSound } from '../notifications/sound.js';
import { part } from '../part.js';
import { usePreferences, type Language } from '../preferences.js';
import { goBack } from '../route.js';
import { Dialog } from '../ui/dialog.js';
import { BackIcon, LockIcon, WarningIcon } from '../ui/icons.js';
import { Switch } from '../ui/switch.js';
import { useToasts } from '../ui/toasts.js';
import { Devices } from './devices.js';
import './settings.css';

const ProfileSettings = lazy(part(() => import('../chats/profile-settings.js')));

/** `code`: the link of another browser that is to be let in, when the page was opened by it. */
export default function SettingsPage({ code }: { code?: string }) {
  const words = useInsideWords();
  const { encrypted } = useClientState();
  return (
    <div className="settings">
      <header className="thread-header">
        <button type="button" className="icon-button back-button" aria-label={words.back} onClick={goBack}>
          <BackIcon />
        </button>
        <h1>{words.settings.title}</h1>
      </header>
      <div className="settings-scroller">
        <div className="settings-content">
          <p className={encrypted ? 'sealed' : 'sealed sealed-not'}>
            {encrypted ? <LockIcon /> : <WarningIcon />}
            {encrypted ? words.state.encrypted : words.state.unencrypted}
          </p>
          <Devices />
          <LinkBrowser code={code} />
          <Suspense fallback={<p className="page-loading">{words.loading}</p>}>
            <ProfileSettings />
          </Suspense>
          <Notifications />
          <Looks />
          <Keys />
          <Leave />
        </div>
      </div>
    </div>
  );
}

function LinkBrowser({ code = '' }: { code: string | undefined }) {
  const client = useClient();
  const words = useInsideWords();
  const id = useId();
  const { attempt, tell } = useToasts();
  const [value, setValue] = useState(code);
  const [busy, setBusy] = useState(false);

  const approve = async () => {
    setBusy(true);
    if (await attempt(() => client.approve(value.trim()))) {
      setValue('');
      tell(words.settings.linkDone);
    }
    setBusy(false);
  };

  return (
    <section aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{words.settings.link}</h2>
      <p>{words.settings.linkWhy}</p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void approve();
        }}
      >
        <label htmlFor={id}>{words.settings.linkLabel}</label>
        <div className="field-row">
          <input
            id={id}
            className="field"
            autoComplete="off"
            spellCheck={false}
            value={value}
            aria-describedby={`${id}-care`}
            onChange={(event) => setValue(event.target.value)}
          />
          <button className="button button-primary" disabled={busy || value.trim() === ''}>
            {words.settings.linkButton}
          </button>
        </div>
        <p id={`${id}-care`} className="field-hint">
          {words.settings.linkCarefully}
        </p>
      </form>
    </section>
  );
}

function Notifications() {
  const words = useInsideWords();
  const [{ notifications, sound = false }, setPreferences] = usePreferences();
  const denied = canNotify() && Notification.permission === 'denied';
  return (
    <section>
      <h2>{words.settings.notifications}</h2>
      <Switch
        label={words.settings.notify}
        on={notifications === 'on' && canNotify() && Notification.permission === 'granted'}
        disabled={!canNotify() || denied}
        hint={!canNotify() ? words.settings.notifyMissing : denied ? words.settings.notifyDenied : undefined}
        onChange={(on) => (on ? void turnOn() : turnOff())}
      />
      <Switch
        label={words.settings.sound}
        on={sound}
        onChange={(on) => {
          setPreferences({ sound: on });
          if (on) playSound();
        }}
      />
    </section>
  );
}

function Looks() {
  const words = useInsideWords();
  const language = useLanguage();
  const id = useId();
  const [{ theme }, setPreferences] = usePreferences();
  return (
    <section>
      <h2>{words.settings.looks}</h2>
      <fieldset className="choices">
        <legend>{words.settings.theme}</legend>
        {(['system', 'light', 'dark'] as const).map((choice) => (
          <label key={choice}>
            <input
              type="radio"
              name={`${id}-theme`}
              checked={(theme ?? 'system') === choice}
              onChange={() => setPreferences({ theme: choice === 'system' ? undefined : choice })}
            />
            <span>{words.settings.themes[choice]}</span>
          </label>
        ))}
      </fieldset>
      <div className="setting">
        <label htmlFor={id}>{words.settings.languageLabel}</label>
        <select
          id={id}
          className="field"
          value={language}
          onChange={(event) => setPreferences({ language: event.target.value as Language })}
        >
          {Object.entries(LANGUAGE_NAMES).map(([tag, name]) => (
            <option key={tag} value={tag} lang={tag}>
              {name}
            </option>
          ))}
        </select>
      </div>
    </section>
  );
}

const KEYS = {
  search: ['/', 'Ctrl K'],
  newOne: ['Alt N'],
  move: ['Alt ↑', 'Alt ↓'],
  inside: ['↑', '↓'],
  actions: ['Shift F10'],
  away: ['Esc'],
  newline: ['Shift Enter'],
} as const;

function Keys() {
  const words = useInsideWords();
  return (
    <section className="keys">
      <h2>{words.settings.keys}</h2>
      <dl>
        {Object.entries(KEYS).map(([action, keys]) => (
          <div key={action}>
            <dt>{words.settings.keyList[action as keyof typeof KEYS]}</dt>
            <dd>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Leave() {
  const client = useClient();
  const words = useInsideWords();
  const { attempt } = useToasts();
  const [asking, setAsking] = useState<'here' | 'everywhere'>();
  const everywhere = asking === 'everywhere';
  const { phone } = useClientState();
  return (
    <section>
      <h2>{words.settings.leave}</h2>
      <div className="button-row">
        <button type="button" className="button" onClick={() => setAsking('here')}>
          {words.settings.leaveHere}
        </button>
        <button type="button" className="button button-danger-quiet" onClick={() => setAsking('everywhere')}>
          {words.settings.leaveEverywhere}
        </button>
      </div>
      {asking && (
        <Dialog
          title={everywhere ? words.settings.leaveEverywhere : words.settings.leaveHere}
          confirm={words.settings.leave}
          dangerous
          onConfirm={() => void attempt(() => (everywhere ? client.signOutEverywhere() : client.signOut()))}
          onClose={() => setAsking(undefined)}
        >
          <p>
            {phone.gone
              ? words.settings.leaveAloneWhy
              : everywhere
                ? words.settings.leaveEverywhereWhy
                : words.settings.leaveHereWhy}
          </p>
        </Dialog>
      )}
    </section>
  );
}
