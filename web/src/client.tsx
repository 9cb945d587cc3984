import type { State, WebClient } from '@pairline/client';
import { createContext, use, useEffect, useRef, useState, type ReactNode } from 'react';

const Context = createContext<{ client: WebClient; state: State } | undefined>(undefined);

export function ClientProvider({ client, children }: { client: WebClient; children: ReactNode }) {
  const [state, setState] = useState(client.state);
  useEffect(() => {
    const off = client.on('state', setState);
    setState(client.state);
    return off;
  }, [client]);
  return <Context value={{ client, state }}>{children}</Context>;
}

export function useClient(): WebClient {
  return useBoth().client;
}

/** Where the client is; the component follows it. */
export function useClientState(): State {
  return useBoth().state;
}

function useBoth() {
  const both = use(Context);
  if (both === undefined) throw new Error('There is no ClientProvider above this component');
  return both;
}

export interface Reading<T> {
  /** The last value that was read; undefined before the first. */
  value: T | undefined;
  error: unknown;
  again: () => void;
}

/**
 * What `read` answers, read again whenever `subscribe`'s listener is called. One reading at a time, and at most one more
 * behind it, however many changes a sync brings.
 */
export function useReading<T>(
  key: string,
  read: () => Promise<T>,
  subscribe?: (changed: () => void) => () => void,
): Reading<T> {
  const [result, setResult] = useState<{ key: string; value?: T; error?: unknown }>({ key });
  const latest = useRef({ read, subscribe });
  latest.current = { read, subscribe };
  const again = useRef(() => {});

  useEffect(() => {
    let over = false;
    let running = false;
    let wanted = false;
    const run = () => {
      if (running) {
        wanted = true;
        return;
      }
      running = true;
      latest.current
        .read()
        .then(
          (value) => !over && setResult({ key, value }),
          (error: unknown) => !over && setResult((before) => ({ ...(before.key === key ? before : {}), key, error })),
        )
        .finally(() => {
          running = false;
          if (wanted && !over) {
            wanted = false;
            run();
          }
        });
    };
    again.current = run;
    const off = latest.current.subscribe?.(run);
    run();
    return () => {
      over = true;
      off?.();
    };
  }, [key]);

  const mine = result.key === key ? result : { value: undefined, error: undefined };
  return { value: mine.value, error: mine.error, again: () => again.current() };
}
