import type { Message } from '@pairline/client';
import { useWords } from '../i18n/words.js';
import { ClockIcon, CloseIcon, TickIcon, TwoTicksIcon, WarningIcon } from '../ui/icons.js';

export type Status = NonNullable<Message['status']>;

const ICONS: Record<Status, typeof TickIcon> = {
  waiting: ClockIcon,
  queued: ClockIcon,
  sending: TickIcon,
  sent: TickIcon,
  delivered: TwoTicksIcon,
  read: TwoTicksIcon,
  failed: WarningIcon,
  cancelled: CloseIcon,
};

/** How far a message is: a sign for the eye, and always the word, seen or read out. */
export function StatusTick({ status, inWords = false }: { status: Status; inWords?: boolean }) {
  const words = useWords();
  const Icon = ICONS[status];
  return (
    <span className={`status-tick status-tick-${status}`} title={words.status[status]}>
      <Icon />
      <span className={inWords ? 'status-word' : 'hidden-words'}>{words.status[status]}</span>
    </span>
  );
}
