import type { FoundPerson } from '@pairline/client';
import { useEffect, useId, useRef, useState } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import { useWords } from '../i18n/words.js';
import { navigate } from '../route.js';
import { CloseIcon } from '../ui/icons.js';
import { PeopleFound } from './people-search.js';
import { useChats } from './use-chats.js';
import { useChatToasts } from './use-chat-toasts.js';

/** Asks for a name and people, and makes a group of them. */
export default function NewGroup() {
  const { chats, want } = useChats();
  const words = useWords();
  const { new: begin, and } = useChatWords();
  const { attempt, tell } = useChatToasts();
  const id = useId();
  const [name, setName] = useState('');
  const [query, setQuery] = useState('');
  const [people, setPeople] = useState<FoundPerson[]>([]);
  const [checked, setChecked] = useState(false);
  const [busy, setBusy] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  useEffect(want, []);

  const create = async () => {
    if (chats === undefined || people.length === 0) return setChecked(true);
    setBusy(true);
    const missed: string[] = [];
    const done = await attempt(async () => {
      const chatId = await chats.createGroup(name.trim());
      // One who cannot be invited does not keep the others out.
      for (const person of people) await chats.invite(chatId, person).catch(() => missed.push(person.name));
      navigate({ page: 'chat', id: chatId }, { replace: true });
    });
    if (missed.length > 0) tell(begin.notInvited(and(missed)));
    if (!done) setBusy(false);
  };

  return (
    <div className="new-conversation">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <label htmlFor={`${id}-name`}>{begin.groupName}</label>
        <input
          id={`${id}-name`}
          className="field"
          autoFocus
          autoComplete="off"
          maxLength={100}
          value={name}
          aria-describedby={`${id}-hint`}
          onChange={(event) => setName(event.target.value)}
        />
        <p id={`${id}-hint`} className="field-hint">
          {begin.groupNameHint}
        </p>
        {people.length > 0 && (
          <ul className="chosen" aria-label={begin.added}>
            {people.map((person) => (
              <li key={person.userId}>
                <span dir="auto">{person.name}</span>
                <button
                  type="button"
                  className="icon-button"
                  aria-label={begin.takeOut(person.name)}
                  onClick={() => setPeople(people.filter(({ userId }) => userId !== person.userId))}
                >
                  <CloseIcon />
                </button>
              </li>
            ))}
          </ul>
        )}
        <label htmlFor={`${id}-people`}>{begin.add}</label>
        <input
          ref={search}
          id={`${id}-people`}
          className="field"
          autoComplete="off"
          spellCheck={false}
          maxLength={64}
          value={query}
          aria-invalid={checked && people.length === 0}
          aria-describedby={`${id}-people-hint`}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={(event) => {
            // Enter is for one's own search first, not for a group without people.
            if (event.key === 'Enter' && query.trim() !== '') event.preventDefault();
          }}
        />
        <p
          id={`${id}-people-hint`}
          className={checked && people.length === 0 ? 'field-hint field-wrong' : 'field-hint'}
          aria-live="polite"
        >
          {checked && people.length === 0 ? begin.needsPeople : begin.searchHint}
        </p>
        <button className="button button-primary" disabled={busy || chats === undefined}>
          {busy ? words.loading : begin.create}
        </button>
      </form>
      <PeopleFound
        query={query}
        without={people.map(({ userId }) => userId)}
        onPick={(person) => {
          setPeople([...people, person]);
          setQuery('');
          search.current?.focus();
        }}
      />
    </div>
  );
}
