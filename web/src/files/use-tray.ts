import { useEffect, useSyncExternalStore } from 'react';
import { Tray, type LoadFiles, type TrayFile } from './tray.js';

/** Uploads go on while another conversation is shown. */
const trays = new WeakMap<LoadFiles, Map<string, Tray>>();

function trayOf(load: LoadFiles, key: string): Tray {
  let all = trays.get(load);
  if (all === undefined) {
    const made = (all = new Map<string, Tray>());
    trays.set(load, made);
    window.addEventListener('pagehide', ({ persisted }) => {
      // A page that is kept aside may come back as it is.
      if (!persisted) for (const tray of made.values()) tray.abandon();
    });
  }
  let tray = all.get(key);
  if (tray === undefined) all.set(key, (tray = new Tray(load)));
  return tray;
}

export interface Attaching {
  tray: Tray;
  files: readonly TrayFile[];
  /** Whether one of them cannot go yet: it is on its way, or failed. */
  held: boolean;
}

/** The files that go with the next message of the conversation `key`. `load` has to be the same function each time. */
export function useTray(load: LoadFiles, key: string): Attaching {
  const tray = trayOf(load, key);
  const files = useSyncExternalStore(tray.subscribe, tray.list);
  const isFilled = files.length > 0;
  useEffect(() => {
    if (!isFilled) return;
    // They would have to be chosen again.
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [isFilled]);
  return { tray, files, held: files.some(({ state }) => state !== 'ready') };
}
