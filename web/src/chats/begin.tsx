import type { FoundPerson } from '@pairline/client';
import { useEffect, useId, useRef, useState } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import { follow, navigate, toHash } from '../route.js';
import { GroupIcon } from '../ui/icons.js';
import { PeopleFound } from './people-search.js';
import { useChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

/** The way to a new group. */
function GroupLink() {
  const words = useChatWords().new;
  return (
    <a
      className="person person-action"
      href={toHash({ page: 'new-group' })}
      onClick={follow({ page: 'new-group' }, { replace: true })}
    >
      <span className="avatar avatar-action">
        <GroupIcon />
      </span>
      <span className="conversation-name">{words.group}</span>
    </a>
  );
}

/** Beside numbers: people on this server whose name begins as typed, and groups. */
export function BeginPrivate({ query }: { query: string }) {
  const { chats, want } = useChats();
  const words = useChatWords().new;
  const begin = useBegin();
  if (chats === undefined) {
    return (
      <section className="begin-offer">
        <p className="field-hint">{words.startWhy}</p>
        <button type="button" className="button" onClick={want}>
          {words.start}
        </button>
      </section>
    );
  }
  return (
    <>
      {query.trim() === '' && <GroupLink />}
      <PeopleFound query={query} onPick={begin} />
    </>
  );
}

/** Where there is no phone: people on this server alone. */
export function FindPeople() {
  const { want } = useChats();
  const words = useChatWords().new;
  const begin = useBegin();
  const id = useId();
  const [query, setQuery] = useState('');
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    want();
    field.current?.focus();
  }, []);
  return (
    <div className="new-conversation">
      <form onSubmit={(event) => event.preventDefault()}>
        <label htmlFor={id}>{words.search}</label>
        <input
          ref={field}
          id={id}
          className="field"
          autoComplete="off"
          spellCheck={false}
          maxLength={64}
          value={query}
          aria-describedby={`${id}-hint`}
          onChange={(event) => setQuery(event.target.value)}
        />
        <p id={`${id}-hint`} className="field-hint">
          {words.searchHint}
        </p>
      </form>
      {query.trim() === '' && <GroupLink />}
      <PeopleFound query={query} onPick={begin} />
    </div>
  );
}

function useBegin(): (person: FoundPerson) => void {
  const { chats } = useChats();
  const { attempt } = useChatToasts();
  return (person) =>
    void attempt(async () => {
      const id = await chats?.begin(person);
      if (id !== undefined) navigate({ page: 'chat', id }, { replace: true });
    });
}
