import { relayError } from '../errors.js';

interface Line {
  /** Resolves when the last one's work has ended, well or not. */
  end: Promise<void>;
  length: number;
}

/** Work of one key is done one by one, in the order it came; that of different keys side by side. */
export class Turns {
  private readonly lines = new Map<string, Line>();
  private count = 0;

  /** Past `most` at once, or `mostOfOne` of one key, `busy` is thrown. */
  constructor(
    private readonly most: number,
    private readonly mostOfOne = most,
  ) {}

  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const line = this.lines.get(key) ?? { end: Promise.resolve(), length: 0 };
    if (this.count >= this.most || line.length >= this.mostOfOne) throw relayError('busy', { retryAfter: 1 });
    this.lines.set(key, line);
    this.count++;
    line.length++;
    const turn = line.end.then(work);
    // Whoever comes next waits for the end of this one, not for its success.
    line.end = turn.then(
      () => undefined,
      () => undefined,
    );
    try {
      return await turn;
    } finally {
      this.count--;
      if (--line.length === 0) this.lines.delete(key);
    }
  }
}
