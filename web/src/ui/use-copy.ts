import { useWords } from '../i18n/words.js';
import { useToasts } from './toasts.js';

/** Puts a text on the clipboard and says so. */
export function useCopy(): (text: string) => void {
  const words = useWords();
  const { tell } = useToasts();
  return (text) => {
    navigator.clipboard.writeText(text).then(
      () => tell(words.copied),
      () => tell(words.notice.copyFailed),
    );
  };
}
