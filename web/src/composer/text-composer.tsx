import type { ComponentProps } from 'react';
import { useClientState } from '../client.js';
import { useInsideWords } from '../i18n/inside-words.js';
import { problemOf } from '../status-line.js';
import { useTimes } from '../times.js';
import { Composer } from './composer.js';
import { segments } from './segments.js';

const MOST_CHARACTERS = 5000; // Some 33 SMS: nobody means to send more.
const SHOW_COUNT_FROM = 120;

/** For texts that the phone sends: says what they wait for, and how many SMS they are. */
export function TextComposer(
  props: Pick<ComponentProps<typeof Composer>, 'draftKey' | 'draft' | 'saveDraft' | 'onSend'>,
) {
  // prettier-ignore
  const words = useInsideWords();
  return (
    <Composer
      {...props}
      placeholder={words.composer.placeholder}
      maxLength={MOST_CHARACTERS}
      above={<Waits />}
      below={(text) => <Count text={text} />}
    />
  );
}

/** Why what is written now does not go out at once. */
function Waits() {
  const words = useInsideWords();
  const times = useTimes();
  const state = useClientState();
  const { phase, phone } = state;
  const problem = problemOf(state, words);
  if (problem !== undefined) return <p className="composer-waits">{problem}</p>;
  if (phase === 'offline') return <p className="composer-waits">{words.composer.offline}</p>;
  if (phase !== 'live' || phone.here) return null;
  if (phone.gone) return <p className="composer-waits">{words.state.phoneGone}</p>;
  return (
    <p className="composer-waits">
      {phone.lastSeen ? words.composer.willWaitSince(times.moment(phone.lastSeen)) : words.composer.willWait}
    </p>
  );
}

/** How much of an SMS is left; only when it begins to matter. */
function Count({ text }: { text: string }) {
  const words = useInsideWords();
  const { count, left, encoding } = segments(text);
  if (count < 2 && encoding === 'gsm7' && text.length < SHOW_COUNT_FROM) return null;
  return (
    <p className="composer-count" title={encoding === 'ucs2' ? words.composer.unicode : undefined}>
      {words.composer.parts(count)}
      <span aria-hidden="true"> · </span>
      {words.composer.left(left)}
    </p>
  );
}
