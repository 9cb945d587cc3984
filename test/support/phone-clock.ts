import type { Clock } from '../../phone/src/clock.js';

/** A clock that stands until a test moves it. */
export class StandingClock implements Clock {
  private readonly waiting = new Set<{ until: number; done: () => void }>();

  constructor(private time = Date.UTC(2026, 5, 1, 12)) {}

  now(): number {
    return this.time;
  }

  wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const waiter = {
        until: this.time + milliseconds,
        done: () => {
          this.waiting.delete(waiter);
          resolve();
        },
      };
      this.waiting.add(waiter);
      signal?.addEventListener('abort', waiter.done, { once: true });
    });
  }

  /** Whoever waits for no more than this goes on. */
  pass(milliseconds: number): void {
    this.time += milliseconds;
    for (const waiter of [...this.waiting]) if (waiter.until <= this.time) waiter.done();
  }
}

const NEVER = 3_600_000;

/** A clock on which nobody has to wait: waiting moves it. Only waits of hours last until they are called off. */
export class HurryingClock implements Clock {
  constructor(private time = Date.UTC(2026, 5, 1, 12)) {}

  now(): number {
    return this.time;
  }

  async wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
    if (milliseconds >= NEVER)
      return new Promise((resolve) => {
        if (signal?.aborted) resolve();
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
    // A turn of the loop, so that whoever does nothing but wait leaves room for others.
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted !== true) this.time += milliseconds;
  }
}
