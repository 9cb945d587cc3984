import type { FoundPerson } from '@pairline/client';
import { useEffect, useState } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import { Avatar } from '../ui/avatar.js';
import { shownFingerprint } from './fingerprint.js';
import { useChats } from './use-chats.js';

const PAUSE_MS = 200; // Between the last key and the search on the server.

/** People whose name begins as typed; undefined while they are searched. */
export function usePeople(query: string): { people: FoundPerson[] | undefined; failed: boolean } {
  const { chats } = useChats();
  const [found, setFound] = useState<{ query: string; people: FoundPerson[] | undefined }>();
  const wanted = query.trim();
  useEffect(() => {
    if (chats === undefined || wanted === '') return;
    let current = true;
    const timer = window.setTimeout(() => {
      chats.people(wanted).then(
        (people) => current && setFound({ query: wanted, people }),
        () => current && setFound({ query: wanted, people: undefined }),
      );
    }, PAUSE_MS);
    return () => {
      current = false;
      window.clearTimeout(timer);
    };
  }, [chats, wanted]);
  if (wanted === '') return { people: [], failed: false };
  const mine = found?.query === wanted ? found : undefined;
  return { people: mine?.people, failed: mine !== undefined && mine.people === undefined };
}

/** People found by name, to be picked. */
export function PeopleFound({
  query,
  without = [],
  onPick,
}: {
  query: string;
  /** The user ids of those who are in it already. */
  without?: string[];
  onPick: (person: FoundPerson) => void;
}) {
  const words = useChatWords().new;
  const { people, failed } = usePeople(query);
  if (query.trim() === '') return null;
  const shown = people?.filter(({ userId }) => !without.includes(userId));
  return (
    <section className="people-found" aria-label={words.people}>
      <h2>{words.people}</h2>
      <p className={shown?.length === 0 || failed ? 'field-hint' : 'hidden-words'} role="status">
        {failed
          ? words.failed
          : shown === undefined
            ? words.searching
            : shown.length === 0
              ? `${words.none(query.trim())}. ${words.noneWhy}`
              : words.found(shown.length)}
      </p>
      <ul>
        {(shown ?? []).map((person) => (
          <li key={person.userId}>
            <button type="button" className="person" disabled={!person.usable} onClick={() => onPick(person)}>
              <Avatar name={person.name} number={person.userId} />
              <span className="conversation-name" dir="auto">
                {person.name}
              </span>
              <span className="conversation-line">
                {person.usable ? shownFingerprint(person.fingerprint) : words.unusable}
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
