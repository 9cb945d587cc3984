import type { ChatMessage } from '@pairline/client';
import { useReading } from '../client.js';
import { useChatWords } from '../i18n/chat-words.js';
import { useWords } from '../i18n/words.js';
import { StatusTick } from '../thread/status-tick.js';
import { useTimes } from '../times.js';
import { Avatar } from '../ui/avatar.js';
import { Dialog } from '../ui/dialog.js';
import { useOpenChats } from './use-chats.js';

/** When a message was written, who has it, who has seen it, and who reacted how. */
export function MessageDetails({ message, onClose }: { message: ChatMessage; onClose: () => void }) {
  const chats = useOpenChats();
  const words = useWords();
  const { details, thread } = useChatWords();
  const times = useTimes();
  const { chatId, id, mine } = message;
  const { value } = useReading(
    `details ${id}`,
    async () => ({
      receipts: mine ? await chats.receipts(chatId, id) : [],
      now: (await chats.message(chatId, id)) ?? message,
    }),
    (changed) =>
      chats.on('chat', (changedId) => {
        if (changedId === chatId) changed();
      }),
  );
  const { receipts, now } = value ?? { receipts: [], now: message };

  return (
    <Dialog title={details.title} onClose={onClose}>
      <dl className="facts">
        <div>
          <dt>{details.written}</dt>
          <dd>{times.full(now.timestamp)}</dd>
        </div>
        {now.editedAt !== undefined && (
          <div>
            <dt>{details.edited}</dt>
            <dd>{times.full(now.editedAt)}</dd>
          </div>
        )}
      </dl>
      {mine && (
        <section aria-label={details.receipts}>
          <h3>{details.receipts}</h3>
          {value && receipts.length === 0 && <p className="field-hint">{details.nobody}</p>}
          <ul className="people">
            {receipts.map(({ userId, name, state }) => (
              <li key={userId}>
                <Avatar name={name} number={userId} />
                <span dir="auto">{name || thread.somebody}</span>
                <StatusTick status={state} inWords />
              </li>
            ))}
          </ul>
        </section>
      )}
      {now.reactions.length > 0 && (
        <section aria-label={details.reactions}>
          <h3>{details.reactions}</h3>
          <ul className="people">
            {now.reactions.flatMap(({ emoji, people }) =>
              people.map(({ userId, name }) => (
                <li key={userId}>
                  <Avatar name={name} number={userId} />
                  <span dir="auto">{name || thread.somebody}</span>
                  <span>{emoji}</span>
                </li>
              )),
            )}
          </ul>
        </section>
      )}
      {value === undefined && <p className="page-loading">{words.loading}</p>}
    </Dialog>
  );
}
