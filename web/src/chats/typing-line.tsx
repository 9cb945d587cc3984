import { useChatWords } from '../i18n/chat-words.js';
import { useChats } from './use-chats.js';

/** Who is typing just now. */
export function TypingLine({ chatId }: { chatId: string }) {
  const words = useChatWords().thread;
  const names = useChats().typing.get(chatId);
  return (
    <p className="typing-line" role="status">
      {names && (
        <>
          <span className="typing-dots" aria-hidden="true">
            <span />
            <span />
            <span />
          </span>
          {words.typing(names.map((name) => name || words.somebody))}
        </>
      )}
    </p>
  );
}
