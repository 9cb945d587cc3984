interface Line {
  running: number;
  /** Each lets one that waits begin. */
  waiting: (() => void)[];
}

/** Work of one key is done so much at once; what is more waits, and begins in the order it came. */
export class Slots {
  private readonly lines = new Map<string, Line>();

  constructor(private readonly atOnce: number) {}

  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const line = this.lines.get(key) ?? { running: 0, waiting: [] };
    this.lines.set(key, line);
    if (line.running < this.atOnce) line.running++;
    else await new Promise<void>((begin) => line.waiting.push(begin));
    try {
      return await work();
    } finally {
      // Handed over: nobody who comes now gets in between.
      const next = line.waiting.shift();
      if (next !== undefined) next();
      else if (--line.running === 0) this.lines.delete(key);
    }
  }
}
