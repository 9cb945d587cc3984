import { useSyncExternalStore } from 'react';
import { useWords } from '../i18n/words.js';
import { usePreferences } from '../preferences.js';
import { BellIcon } from '../ui/icons.js';
import { isOffered, onOffer, turnOff, turnOn } from './notifications.js';

export default function NotificationOffer() {
  const words = useWords();
  const shown = useSyncExternalStore(onOffer, isOffered);
  usePreferences(); // The answer is a preference.
  if (!shown || !isOffered()) return null;
  return (
    <section className="offer" aria-label={words.notice.title}>
      <p>
        <BellIcon />
        {words.notice.offer}
      </p>
      <button type="button" className="button" onClick={turnOff}>
        {words.notice.notNow}
      </button>
      <button type="button" className="button button-primary" onClick={() => void turnOn()}>
        {words.notice.turnOn}
      </button>
    </section>
  );
}
