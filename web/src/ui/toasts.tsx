import { createContext, use, useCallback, useMemo, useRef, useState, type ReactNode } from 'react';
import { errorWords, useWords } from '../i18n/words.js';
import { CloseIcon } from './icons.js';

interface Toast {
  id: number;
  text: string;
  failed: boolean;
}

interface Toasts {
  tell: (text: string) => void;
  /**
   * Runs something a person asked for; says so when it fails, by `errors` where it is one of those. Resolves with whether
   * it worked.
   */
  attempt: (action: () => Promise<unknown>, errors?: Record<string, string>) => Promise<boolean>;
}

const SHOWN_MS = 5000;
const Context = createContext<Toasts>({ tell: () => {}, attempt: () => Promise.resolve(false) });

/** Short news at the edge of the page, read out by screen readers. */
export function ToastProvider({ children }: { children: ReactNode }) {
  const words = useWords();
  const [toasts, setToasts] = useState<Toast[]>([]);
  const next = useRef(0);

  const remove = useCallback((id: number) => setToasts((list) => list.filter((toast) => toast.id !== id)), []);
  const add = useCallback(
    (text: string, failed: boolean) => {
      const id = next.current++;
      setToasts((list) => [...list.filter((toast) => toast.text !== text).slice(-2), { id, text, failed }]);
      window.setTimeout(() => remove(id), SHOWN_MS);
    },
    [remove],
  );

  const value = useMemo<Toasts>(
    () => ({
      tell: (text) => add(text, false),
      attempt: async (action, errors) => {
        try {
          await action();
          return true;
        } catch (error) {
          add(errors?.[(error as { code?: string }).code ?? ''] ?? errorWords(words, error), true);
          return false;
        }
      },
    }),
    [add, words],
  );

  return (
    <Context value={value}>
      {children}
      <div className="toasts" role="status">
        {toasts.map((toast) => (
          <div key={toast.id} className={toast.failed ? 'toast toast-failed' : 'toast'}>
            <span>{toast.text}</span>
            <button type="button" className="icon-button" aria-label={words.close} onClick={() => remove(toast.id)}>
              <CloseIcon />
            </button>
          </div>
        ))}
      </div>
    </Context>
  );
}

export function useToasts(): Toasts {
  return use(Context);
}
