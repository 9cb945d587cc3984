/** Rings whoever waits; rung while nobody waits, it is heard by the next one. */
export class Bell {
  private rung = false;
  private waiting?: () => void;

  ring(): void {
    this.rung = true;
    this.waiting?.();
  }

  /** Resolves at the next ring, or when the signal is aborted. */
  async heard(signal: AbortSignal): Promise<void> {
    if (!this.rung && !signal.aborted)
      await new Promise<void>((resolve) => {
        const done = () => {
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.waiting = done;
        signal.addEventListener('abort', done);
      });
    this.rung = false;
    this.waiting = undefined;
  }
}
