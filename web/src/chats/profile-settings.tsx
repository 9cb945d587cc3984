import { useId, useState, type SubmitEvent } from 'react';
import { useClient, useReading } from '../client.js';
import { useChatWords } from '../i18n/chat-words.js';
import { useWords } from '../i18n/words.js';
import { checkChoice } from '../sign-in/checks.js';
import { LabelledField } from '../sign-in/credential-fields.js';
import { Avatar } from '../ui/avatar.js';
import { Dialog } from '../ui/dialog.js';
import { Switch } from '../ui/switch.js';
import { shownFingerprint } from './fingerprint.js';
import { useChats, useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

/** Who one is for others, who is blocked, and one's keys. */
export default function ProfileSettings() {
  const { chats, want } = useChats();
  const { new: begin } = useChatWords();
  if (chats === undefined) {
    return (
      <section>
        <h2>{begin.people}</h2>
        <p>{begin.startWhy}</p>
        <div className="button-row">
          <button type="button" className="button" onClick={want}>
            {begin.start}
          </button>
        </div>
      </section>
    );
  }
  return (
    <>
      <Profile />
      <Blocked />
      <RenewKeys />
    </>
  );
}

function Profile() {
  const chats = useOpenChats();
  const words = useWords();
  const { profile } = useChatWords();
  const { attempt } = useChatToasts();
  const id = useId();
  const { value, error, again } = useReading('profile', () => chats.profile());
  const hide = async (hidden: boolean) => {
    if (await attempt(() => chats.hide(hidden))) again();
  };
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{profile.title}</h2>
      <p>{profile.why}</p>
      {value === undefined && error === undefined && <p className="page-loading">{words.loading}</p>}
      {value === undefined && error !== undefined && (
        <p className="banner banner-warning">
          {profile.failed}{' '}
          <button type="button" className="link-button" onClick={again}>
            {words.tryAgain}
          </button>
        </p>
      )}
      {value && (
        <>
          <dl className="facts">
            {value.name && (
              <div>
                <dt>{profile.name}</dt>
                <dd dir="auto">{value.name}</dd>
              </div>
            )}
            {value.fingerprint && (
              <div>
                <dt>{profile.fingerprint}</dt>
                <dd className="fingerprint">{shownFingerprint(value.fingerprint)}</dd>
              </div>
            )}
          </dl>
          {value.name ? (
            <Switch
              label={profile.hidden}
              hint={profile.hiddenWhy}
              on={value.hidden}
              onChange={(on) => void hide(on)}
            />
          ) : (
            <AddLogin onDone={again} />
          )}
        </>
      )}
    </section>
  );
}

/** A phone's account has neither name nor password until somebody chooses them. */
function AddLogin({ onDone }: { onDone: () => void }) {
  const client = useClient();
  const { profile, signIn } = useChatWords();
  const { attempt, tell } = useChatToasts();
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [checked, setChecked] = useState(false);
  const [busy, setBusy] = useState(false);
  const all = checkChoice(signIn.problems, name, password, again);
  const problems = checked ? all : {};

  const save = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    setChecked(true);
    if (Object.keys(all).length > 0) return;
    setBusy(true);
    if (await attempt(() => client.addLogin({ name: name.trim(), password }))) {
      tell(profile.loginDone);
      onDone();
    }
    setBusy(false);
  };

  return (
    <form className="sign-in" noValidate aria-label={profile.login} onSubmit={(event) => void save(event)}>
      <p className="field-hint">
        {profile.nameless} {profile.loginWhy}
      </p>
      <LabelledField
        label={signIn.name}
        value={name}
        onChange={setName}
        problem={problems.name}
        hint={signIn.nameHint}
        autoComplete="username"
      />
      <LabelledField
        label={signIn.password}
        value={password}
        onChange={setPassword}
        problem={problems.password}
        hint={signIn.passwordHint}
        type="password"
        autoComplete="new-password"
      />
      <LabelledField
        label={signIn.again}
        value={again}
        onChange={setAgain}
        problem={problems.again}
        type="password"
        autoComplete="new-password"
      />
      <div className="button-row">
        <button className="button button-primary" disabled={busy}>
          {profile.loginButton}
        </button>
      </div>
    </form>
  );
}

function Blocked() {
  const chats = useOpenChats();
  const { profile, about, thread } = useChatWords();
  const { attempt } = useChatToasts();
  const { value = [] } = useReading(
    'blocked',
    () => chats.blocked(),
    (changed) => chats.on('people', changed),
  );
  return (
    <section>
      <h2>{profile.blocked}</h2>
      {value.length === 0 && <p>{profile.blockedNone}</p>}
      <ul className="people">
        {value.map(({ userId, name }) => (
          <li key={userId}>
            <Avatar name={name} number={userId} />
            <span dir="auto">{name || thread.somebody}</span>
            <button type="button" className="link-button" onClick={() => void attempt(() => chats.unblock(userId))}>
              {about.unblock}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function RenewKeys() {
  const chats = useOpenChats();
  const { profile } = useChatWords();
  const { attempt, tell } = useChatToasts();
  const [asking, setAsking] = useState(false);
  const renew = async () => {
    if (await attempt(() => chats.renewKeys())) tell(profile.renewed);
  };
  return (
    <section>
      <h2>{profile.renew}</h2>
      <p>{profile.renewWhy}</p>
      <div className="button-row">
        <button type="button" className="button" onClick={() => setAsking(true)}>
          {profile.renewButton}
        </button>
      </div>
      {asking && (
        <Dialog
          title={profile.renewTitle}
          confirm={profile.renewButton}
          onConfirm={() => void renew()}
          onClose={() => setAsking(false)}
        >
          <p>{profile.renewWhy}</p>
        </Dialog>
      )}
    </section>
  );
}
