import type { Person } from '@pairline/client';
import { useEffect, useState } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import { useWords } from '../i18n/words.js';
import { Dialog } from '../ui/dialog.js';
import { LockIcon, WarningIcon } from '../ui/icons.js';
import { useOpenChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

/** Keys that are not the ones that were trusted: a note where they were signed, a warning where they were not. */
export function KeyWarnings({ people }: { people: Person[] }) {
  const words = useChatWords().keyOf;
  const chats = useOpenChats();
  const { attempt } = useChatToasts();
  const [comparing, setComparing] = useState<Person>();
  const [trusting, setTrusting] = useState<Person>();
  const changed = people.filter(({ keyChanged }) => keyChanged !== undefined);

  return (
    <>
      {changed.map((person) =>
        person.keyChanged === 'unsigned' ? (
          <div key={person.userId} className="thread-banner thread-banner-warning" role="alert">
            <WarningIcon />
            <p>{words.unsigned(person.name)}</p>
            <div className="button-row">
              <button type="button" className="link-button" onClick={() => setComparing(person)}>
                {words.compare}
              </button>
              <button type="button" className="link-button" onClick={() => setTrusting(person)}>
                {words.trust}
              </button>
            </div>
          </div>
        ) : (
          <div key={person.userId} className="thread-banner" role="status">
            <LockIcon />
            <p>{words.signed(person.name)}</p>
            <button
              type="button"
              className="link-button"
              onClick={() => void attempt(() => chats.trust(person.userId))}
            >
              {words.fine}
            </button>
          </div>
        ),
      )}
      {comparing && <SafetyWords person={comparing} onClose={() => setComparing(undefined)} />}
      {trusting && (
        <Dialog
          title={words.trustTitle(trusting.name)}
          confirm={words.trust}
          onConfirm={() => void attempt(() => chats.trust(trusting.userId))}
          onClose={() => setTrusting(undefined)}
        >
          <p>{words.trustWhy}</p>
        </Dialog>
      )}
    </>
  );
}

/** The words to compare with somebody; that they are the same can be said at once. */
export function SafetyWords({ person, onClose }: { person: Person; onClose: () => void }) {
  const words = useWords();
  const { keyOf } = useChatWords();
  const chats = useOpenChats();
  const { attempt, tell } = useChatToasts();
  const [safety, setSafety] = useState<string[] | null>();
  useEffect(() => {
    void attempt(async () => setSafety((await chats.safetyWords(person.userId)) ?? null));
  }, [attempt, chats, person.userId]);

  const verify = async () => {
    if (await attempt(() => chats.trust(person.userId, { verified: true }))) tell(keyOf.verified(person.name));
  };
  return (
    <Dialog
      title={keyOf.wordsTitle(person.name)}
      {...(safety && { confirm: keyOf.same, onConfirm: () => void verify() })}
      onClose={onClose}
    >
      {safety === undefined && <p className="page-loading">{words.loading}</p>}
      {safety === null && <p>{keyOf.wordsNone}</p>}
      {safety && (
        <>
          <p>{keyOf.wordsWhy}</p>
          <ol className="safety-words people-words" lang="en">
            {safety.map((word, index) => (
              <li key={index}>{word}</li>
            ))}
          </ol>
        </>
      )}
    </Dialog>
  );
}
