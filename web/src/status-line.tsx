import type { State } from '@pairline/client';
import { useEffect, useState } from 'react';
import { useClient, useClientState } from './client.js';
import { useConversations } from './conversations/use-conversations.js';
import type { Words } from './i18n/en.js';
import { errorWords, useWords } from './i18n/words.js';
import { useTimes, type Times } from './times.js';

/** Where things stand, in words that are true: who is connected to whom, and what waits for what. */
export function StatusLine() {
  const client = useClient();
  const state = useClientState();
  const words = useWords();
  const times = useTimes();
  const now = useNow(state.phase === 'offline');
  const texts = useConversations().value;
  const { tone, text } = describe(state, words, times, texts !== undefined && texts.length > 0);

  return (
    <div className={`status-line status-${tone}`}>
      <span className="status-dot" aria-hidden="true" />
      <p role="status">{text}</p>
      {state.phase === 'offline' && (
        <>
          {/* Counts every second: not for screen readers. */}
          {state.retryAt !== undefined && state.retryAt > now && (
            <span className="status-retry" aria-hidden="true">
              {Math.ceil((state.retryAt - now) / 1000)} s
            </span>
          )}
          {state.reason === 'stale_page' ? (
            <button type="button" className="link-button" onClick={() => location.reload()}>
              {words.start.reload}
            </button>
          ) : (
            <button type="button" className="link-button" onClick={() => client.reconnect()}>
              {words.state.tryNow}
            </button>
          )}
        </>
      )}
    </div>
  );
}

export function describe(
  state: State,
  words: Words,
  times: Times,
  /** Whether there are texts, and so a phone that is missed when it is gone. */
  hasTexts: boolean,
): { tone: 'good' | 'busy' | 'away' | 'offline'; text: string } {
  const { waiting, phone, phase, synced = 0 } = state;
  const join = (...parts: (string | false)[]) => parts.filter(Boolean).join(', ');
  const problem = problemOf(state, words);
  if (problem !== undefined)
    return { tone: 'offline', text: waiting > 0 ? `${problem} ${words.state.queued(waiting)}.` : problem };
  switch (phase) {
    case 'signed-out':
    case 'connecting':
      return { tone: 'busy', text: join(words.state.connecting, waiting > 0 && words.state.queued(waiting)) };
    case 'syncing':
      return { tone: 'busy', text: words.state.syncing(synced) };
    case 'offline':
      return { tone: 'offline', text: join(words.state.offline, waiting > 0 && words.state.queued(waiting)) };
    case 'live': {
      if (phone.gone && !hasTexts && phone.lastSeen === undefined)
        return { tone: 'good', text: words.state.withoutPhone };
      if (phone.gone) return { tone: 'offline', text: words.state.phoneGone };
      if (phone.here) return { tone: 'good', text: words.state.live };
      const away = phone.lastSeen ? words.state.awaySince(times.moment(phone.lastSeen)) : words.state.away;
      return { tone: 'away', text: join(away, waiting > 0 && words.state.willGo(waiting)) };
    }
  }
}

/** What is wrong besides a missing connection, such as a store that is full; a sentence. */
export function problemOf({ reason }: State, words: Words): string | undefined {
  return reason === undefined ? undefined : errorWords(words, reason);
}

function useNow(running: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!running) return;
    setNow(Date.now());
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, [running]);
  return now;
}
