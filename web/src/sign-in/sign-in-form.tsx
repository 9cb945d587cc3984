import { useState, type ReactNode, type SubmitEvent } from 'react';
import { useClient } from '../client.js';
import { useChatWords } from '../i18n/chat-words.js';
import { errorWords, useWords } from '../i18n/words.js';
import { deviceName } from '../pairing/device-name.js';
import { Switch } from '../ui/switch.js';
import { checkChoice } from './checks.js';
import { LabelledField } from './credential-fields.js';

/** A name and a password, for a new account or for one that there is. */
export default function SignInForm({
  remember,
  rememberSwitch,
  onPhone,
}: {
  remember: boolean;
  rememberSwitch: ReactNode;
  /** Back to linking a phone. */
  onPhone: () => void;
}) {
  const client = useClient();
  const words = useWords();
  const { signIn, errors } = useChatWords();
  const [isNew, setNew] = useState(true);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const [invite, setInvite] = useState('');
  const [shown, setShown] = useState(false);
  const [checked, setChecked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const problems: ReturnType<typeof checkChoice> = !checked
    ? {}
    : isNew
      ? checkChoice(signIn.problems, name, password, shown ? password : again)
      : {
          ...(name.trim() === '' && { name: signIn.problems.name }),
          ...(password === '' && { password: signIn.problems.empty }),
        };

  const submit = async (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    setChecked(true);
    setFailure(undefined);
    const wrong = isNew ? Object.keys(checkChoice(signIn.problems, name, password, shown ? password : again)).length > 0 : name.trim() === '' || password === ''; // prettier-ignore
    if (wrong) return;
    setBusy(true);
    const who = name.trim();
    const as = { password, deviceName: deviceName(), remember };
    try {
      if (isNew) await client.register({ ...as, name: who, ...(invite && { inviteToken: invite.trim() }) });
      else await client.signIn({ ...as, ...(who.includes('@') ? { email: who } : { name: who }) });
    } catch (error) {
      setFailure((error as { code?: string }).code ?? 'internal');
      setBusy(false);
    }
  };

  const turn = () => {
    setNew(!isNew);
    setChecked(false);
    setFailure(undefined);
  };
  const type = shown ? 'text' : 'password';
  return (
    <form className="sign-in" noValidate onSubmit={(event) => void submit(event)}>
      <h2>{isNew ? signIn.create : signIn.enter}</h2>
      <LabelledField
        key={isNew ? 'name' : 'who'}
        label={isNew ? signIn.name : signIn.nameOrEmail}
        value={name}
        onChange={setName}
        problem={problems.name}
        {...(isNew && { hint: signIn.nameHint })}
        autoComplete="username"
        autoFocus
      />
      <LabelledField
        label={signIn.password}
        value={password}
        onChange={setPassword}
        problem={problems.password}
        {...(isNew && { hint: signIn.passwordHint })}
        type={type}
        autoComplete={isNew ? 'new-password' : 'current-password'}
      />
      {isNew && !shown && (
        <LabelledField
          label={signIn.again}
          value={again}
          onChange={setAgain}
          problem={problems.again}
          type="password"
          autoComplete="new-password"
        />
      )}
      {isNew && (invite !== '' || failure === 'invite_required') && (
        <LabelledField label={signIn.inviteToken} value={invite} onChange={setInvite} autoComplete="off" />
      )}
      <Switch label={signIn.show} on={shown} onChange={setShown} />
      {rememberSwitch}
      {failure && (
        <p className="field-wrong" role="alert">
          {errors[failure] ?? errorWords(words, failure)}
        </p>
      )}
      <button className="button button-primary" disabled={busy}>
        {busy ? words.loading : isNew ? signIn.create : signIn.enter}
      </button>
      <div className="button-row">
        <button type="button" className="link-button" onClick={turn}>
          {isNew ? signIn.have : signIn.haveNone}
        </button>
        <button type="button" className="link-button" onClick={onPhone}>
          {signIn.toPhone}
        </button>
      </div>
    </form>
  );
}

/** What stands beside the form. */
export function SignInWords() {
  const { signIn } = useChatWords();
  return (
    <>
      <h1>{signIn.title}</h1>
      <p className="pairing-lead">{signIn.lead}</p>
      <ol className="pairing-steps">
        {signIn.steps.map(({ what, how }) => (
          <li key={what}>
            <p>{what}</p>
            <small>{how}</small>
          </li>
        ))}
      </ol>
    </>
  );
}
