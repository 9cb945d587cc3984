/** Resolves after `ms`, or at once when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal?.addEventListener('abort', over);
  });
}

/** A random part of a span that doubles with each attempt: who was cut off together does not come back together. */
export function backoff(attempt: number, first = 500, most = 30_000): number {
  return Math.random() * Math.min(most, first * 2 ** attempt);
}

/** One after the other, in the order they were asked for; one that fails does not hold up the next. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work);
    this.last = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when all that was asked for is over. */
  async over(): Promise<void> {
    await this.last;
  }
}
