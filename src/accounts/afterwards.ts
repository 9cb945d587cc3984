import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { LOG, type Log } from '../log.js';

/** What is done after an answer, so that the time an answer takes tells nobody whether an account exists. */
@Injectable()
export class Afterwards implements BeforeApplicationShutdown {
  private readonly running = new Set<Promise<void>>();

  constructor(@Inject(LOG) private readonly log: Log) {}

  /** `fault` is what the log says when it fails. */
  do(work: () => Promise<void>, fault: string): void {
    const run: Promise<void> = work()
      .catch((error: unknown) => this.log.warn({ err: error }, fault))
      .finally(() => this.running.delete(run));
    this.running.add(run);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.running);
  }
}
