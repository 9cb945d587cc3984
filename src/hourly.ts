import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { LOG, type Log } from './log.js';

const HOUR_MS = 3_600_000;

interface Work {
  failure: string;
  work: () => Promise<unknown>;
  atStart: boolean;
}

/** Upkeep that is done once an hour. What fails is logged, and done again an hour later. */
@Injectable()
export class Hourly implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly works: Work[] = [];
  private readonly running = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined;

  constructor(@Inject(LOG) private readonly log: Log) {}

  /** Called while the server is wired. `failure` is what the log says when it fails; `atStart`: once when it starts, too. */
  do(failure: string, work: () => Promise<unknown>, { atStart = false } = {}): void {
    this.works.push({ failure, work, atStart });
  }

  onApplicationBootstrap(): void {
    this.begin(this.works.filter(({ atStart }) => atStart));
    this.timer = setInterval(() => this.begin(this.works), HOUR_MS).unref();
  }

  /** Waits for what is under way: the databases are closed next. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.running);
  }

  private begin(works: Work[]): void {
    for (const work of works) {
      const run = this.run(work).finally(() => this.running.delete(run));
      this.running.add(run);
    }
  }

  private async run({ failure, work }: Work): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log.warn({ err: error }, `${failure}; trying again later`);
    }
  }
}
