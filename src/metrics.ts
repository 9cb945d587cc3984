import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** The one catalogue of what the server counts. Labels are small closed sets: never an id, a number or a name. */
export class Metrics {
  readonly registry = new Registry();

  readonly relaySeconds = this.histogram(
    'pairline_relay_seconds',
    'From a phone message in to browsers told, seconds',
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  );
  readonly batchRows = this.histogram(
    'pairline_batch_rows',
    'Mutations in one committed batch',
    [1, 2, 4, 8, 16, 32, 64, 128],
  );
  readonly commitSeconds = this.histogram(
    'pairline_commit_seconds',
    'One batch, from first statement to commit, seconds',
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
  );
  readonly queuedRows = this.gauge('pairline_queued_rows', 'Mutations waiting to be committed', []);
  readonly sockets = this.gauge('pairline_sockets', 'Open sockets by kind', ['kind']);
  readonly longPolls = this.gauge('pairline_long_polls', 'Requests that wait for something to happen, by what', [
    'what',
  ]);
  readonly pairings = this.counter('pairline_pairings_total', 'Pairings by outcome', ['outcome']);
  readonly passwordHashes = this.counter(
    'pairline_password_hashes_total',
    'Passwords hashed, to keep or to compare',
    [],
  );
  readonly errors = this.counter('pairline_errors_total', 'Errors told to clients, by code', ['code']);

  /** How many sockets and streams are open, of any kind. */
  async connections(): Promise<number> {
    const { values } = await this.sockets.get();
    return values.reduce((sum, { value }) => sum + value, 0);
  }

  /** Process figures (CPU, memory, event loop); off in tests, where many servers share a process. */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry });
  }

  private histogram(name: string, help: string, buckets: number[]) {
    return new Histogram({ name, help, buckets, registers: [this.registry] });
  }
  private gauge<T extends string>(name: string, help: string, labelNames: T[]) {
    return new Gauge<T>({ name, help, labelNames, registers: [this.registry] });
  }
  private counter<T extends string>(name: string, help: string, labelNames: T[]) {
    return new Counter<T>({ name, help, labelNames, registers: [this.registry] });
  }
}
