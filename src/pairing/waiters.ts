import type { ServerResponse } from 'node:http';
import { relayError } from '../errors.js';
import type { Metrics } from '../metrics.js';

interface Waiting {
  resolve: () => void;
  reject: (error: Error) => void;
  response: ServerResponse;
}

/** A claim in the last moment is committed a little after it. */
const LAST_MOMENT_MS = 250;

/** Long polls that wait for a pairing to be claimed. */
export class Waiters {
  private readonly byPairing = new Map<string, Set<Waiting>>();
  private stopped = false;

  constructor(private readonly metrics: Metrics) {}

  /** A place in line for one response; it ends when the connection does. */
  join(pairing: string, response: ServerResponse) {
    if (this.stopped) throw relayError('stopping', { retryAfter: 2 });
    let waiting!: Waiting;
    const woken = new Promise<void>((resolve, reject) => (waiting = { resolve, reject, response }));
    woken.catch(() => undefined); // it may fail before, or without, anybody awaiting it
    const set = this.byPairing.get(pairing) ?? new Set();
    this.byPairing.set(pairing, set.add(waiting));
    const gone = () => waiting.resolve();
    response.once('close', gone);
    this.metrics.longPolls.inc({ what: 'pairing' });

    return {
      /** Resolves when the pairing is claimed, or has expired, or nobody waits any more; which, only its row can tell. */
      over: (expiresAt: Date): Promise<void> => {
        const timer = setTimeout(gone, Math.max(0, expiresAt.getTime() - Date.now()) + LAST_MOMENT_MS);
        return woken.finally(() => clearTimeout(timer));
      },
      leave: (): void => {
        response.off('close', gone);
        set.delete(waiting);
        if (set.size === 0 && this.byPairing.get(pairing) === set) this.byPairing.delete(pairing);
        this.metrics.longPolls.dec({ what: 'pairing' });
      },
    };
  }

  /** Whether anybody waits for it, or is about to be answered. */
  has(pairing: string): boolean {
    return this.byPairing.has(pairing);
  }

  wake(pairing: string): void {
    for (const { resolve } of this.byPairing.get(pairing) ?? []) resolve();
  }

  /** The pairings that somebody waits for. */
  pairings(): string[] {
    return [...this.byPairing.keys()];
  }

  /** Tells everybody to come back; resolves when all have been told, for connections are cut next. */
  async stop(): Promise<void> {
    this.stopped = true;
    const answers: Promise<unknown>[] = [];
    for (const set of this.byPairing.values())
      for (const { reject, response } of set) {
        if (!response.destroyed) answers.push(new Promise((resolve) => response.once('close', resolve)));
        reject(relayError('stopping', { retryAfter: 2 }));
      }
    await Promise.all(answers);
  }
}
