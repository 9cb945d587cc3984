import { useMemo } from 'react';
import { useChatWords } from '../i18n/chat-words.js';
import { useToasts } from '../ui/toasts.js';

/** As `useToasts`, with words for what goes wrong between people. */
export function useChatToasts(): ReturnType<typeof useToasts> {
  const toasts = useToasts();
  const { errors } = useChatWords();
  return useMemo(() => ({ ...toasts, attempt: (action) => toasts.attempt(action, errors) }), [toasts, errors]);
}
