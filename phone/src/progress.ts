const WIDTH = 30;

/** Shows how far something is: a bar that is drawn over on a terminal, a line every tenth elsewhere. */
export class Progress {
  private shown = -1;
  private drawn = false;

  constructor(
    private readonly out: { write(text: string): unknown; isTTY?: boolean },
    private readonly what: string,
  ) {}

  /** `done` is 0 to 1. */
  show(done: number, count: number): void {
    const percent = Math.floor(done * 100);
    const step = this.out.isTTY ? percent : Math.floor(percent / 10);
    if (step === this.shown && done < 1) return;
    if (done >= 1 && this.shown === Infinity) return;
    this.shown = done >= 1 ? Infinity : step;
    if (!this.out.isTTY) {
      this.out.write(`${this.what}: ${percent} % (${count} texts)\n`);
      return;
    }
    const full = Math.round(done * WIDTH);
    this.out.write(`\r${this.what} ${'█'.repeat(full)}${'░'.repeat(WIDTH - full)} ${percent} % (${count} texts)`);
    this.drawn = true;
    if (done >= 1) this.clear();
  }

  /** Ends the bar's line, before something else is written. */
  clear(): void {
    if (this.drawn) this.out.write('\n');
    this.drawn = false;
  }
}
