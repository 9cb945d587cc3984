import type { FileReference } from '@pairline/client';
import { useCallback, useEffect, useRef, useState } from 'react';
import { codeOf, type LoadFiles } from './tray.js';

export interface Download {
  /** Loads the whole file, decrypted. Undefined when it failed, or was stopped. */
  load: () => Promise<Blob | undefined>;
  stop: () => void;
  /** Which part of it has come, 0 to 1, while it is under way. */
  share: number | undefined;
  /** The error code of the last one. */
  problem: string | undefined;
}

/** Loads a file; what is under way stops with the component. */
export function useDownload(load: LoadFiles, reference: FileReference): Download {
  const [share, setShare] = useState<number>();
  const [problem, setProblem] = useState<string>();
  const running = useRef<AbortController>(undefined);
  const stop = useCallback(() => running.current?.abort(), []);
  useEffect(() => stop, [stop]);

  const start = useCallback(async () => {
    running.current?.abort();
    const own = (running.current = new AbortController());
    setProblem(undefined);
    setShare(0);
    try {
      const files = await load();
      return await files.blob(reference, {
        signal: own.signal,
        onProgress: ({ done, size }) => setShare(size === 0 ? 1 : done / size),
      });
    } catch (error) {
      if (!own.signal.aborted) setProblem(codeOf(error));
      return undefined;
    } finally {
      if (running.current === own) setShare(undefined);
    }
  }, [load, reference]);

  return { load: start, stop, share, problem };
}

/** Gives a file to the browser to keep. It is never opened here: whatever it is, it does not run as a part of this page. */
export function saveAs(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken it over by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
