const PATIENCE_MS = 15_000;

/** Something that comes by and by, which a test can wait for. */
export abstract class Watched {
  private readonly watchers = new Set<() => void>();

  /** Something has come: whoever waits looks again. */
  protected changed(): void {
    for (const watcher of [...this.watchers]) watcher();
  }

  /** What came so far, for who has waited in vain. */
  protected abstract story(): string;

  /** Resolves with what `look` answers once it answers anything; looked at after each change. */
  until<T>(look: () => T | undefined | false, what = 'a condition'): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.watchers.delete(check);
        reject(new Error(`Never came: ${what}. ${this.story()}`));
      }, PATIENCE_MS);
      const check = () => {
        const found = look();
        if (found === undefined || found === false) return;
        clearTimeout(timer);
        this.watchers.delete(check);
        resolve(found);
      };
      this.watchers.add(check);
      check();
    });
  }
}
