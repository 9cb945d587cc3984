import pg from 'pg';
import { isConnectionError } from '../database/faults.js';
import { relayError } from '../errors.js';
import type { Log } from '../log.js';
import type { Metrics } from '../metrics.js';
import type { Chunk, WholeChunk } from './chunk.js';
import type { Feed } from './feed.js';
import type { ChangedRow } from './chunk.js';
import type { Mutation, Numbered, Outcome, Writer, Written } from './kind.js';
import { countOut, numbering, toChunks, type NumberRow } from './numbering.js';
import { refuseJoined } from './sharing.js';

const MAX_ROWS = 128;
const MAX_BYTES = 1_048_576;
const RETRIES = 5;
/** SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation). */
const BAD_DATA = /^2[23]/;
const DEADLOCK_OR_SERIALIZATION = new Set(['40P01', '40001']);

/** Mutations handed in together; its caller is answered when the last of them is. */
class Group {
  readonly outcomes: Outcome[];
  readonly done: Promise<Outcome[]>;
  fail!: (error: unknown) => void;
  private resolve!: (outcomes: Outcome[]) => void;
  private left: number;

  constructor(size: number) {
    this.left = size;
    this.outcomes = new Array<Outcome>(size);
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.fail = reject;
    });
  }
  settle(index: number, outcome: Outcome): void {
    this.outcomes[index] = outcome;
    if (--this.left === 0) this.resolve(this.outcomes);
  }
}

interface Entry {
  mutation: Mutation;
  group: Group;
  index: number;
}

/** What a transaction did. An outcome is undefined for what it left undecided. */
interface Committed {
  outcomes: (Outcome | undefined)[];
  chunks: Chunk[];
  afterwards?: () => void;
}

/**
 * One queue with one transaction in flight. What arrives while it runs goes together in the next one, across accounts;
 * when it is free there is no wait at all.
 */
export class Lane {
  private queue: Entry[] = [];
  private client: pg.Client | undefined;
  private running: Promise<void> | undefined;
  queuedRows = 0;
  queuedBytes = 0;

  constructor(
    private readonly databaseUrl: string,
    /** In the order they are written in. */
    private readonly writers: ReadonlyMap<string, Writer>[],
    private readonly feed: Feed,
    private readonly metrics: Metrics,
    private readonly log: Log,
  ) {}

  submit(mutations: Mutation[]): Promise<Outcome[]> {
    const group = new Group(mutations.length);
    mutations.forEach((mutation, index) => this.queue.push({ mutation, group, index }));
    this.count(mutations.length, mutations.reduce((sum, m) => sum + m.bytes, 0)); // prettier-ignore
    this.running ??= this.run();
    return group.done;
  }

  /** Resolves when all that was handed in has been answered. */
  async drain(): Promise<void> {
    await this.running;
    await this.client?.end();
    this.client = undefined;
  }

  private async run(): Promise<void> {
    // Callers of the same turn of the event loop share the first batch.
    await Promise.resolve();
    for (let committing = this.next(); committing !== undefined;) {
      const tell = await committing;
      // Postgres is given the next batch before anybody hears of this one: the two work at the same time.
      const next = this.next();
      tell();
      committing = next ?? this.next();
    }
    this.running = undefined;
  }

  /** Commits the next batch, if there is one. Resolves with what then tells of it; never rejects. */
  private next(): Promise<() => void> | undefined {
    if (this.queue.length === 0) return undefined;
    const batch = this.take();
    const bytes = batch.reduce((sum, entry) => sum + entry.mutation.bytes, 0);
    return this.commit(batch).then((tellings) => () => {
      this.count(-batch.length, -bytes);
      for (const tell of tellings) tell();
    });
  }

  private count(rows: number, bytes: number): void {
    this.queuedRows += rows;
    this.queuedBytes += bytes;
    this.metrics.queuedRows.inc(rows);
  }

  /**
   * The next batch, in the order of arrival. A second mutation of a row already in it waits for the next batch, and so
   * does all that its account sent after it: a statement writes a row once, and an account's order stays as it came. Kinds
   * that supersede see to that themselves.
   */
  private take(): Entry[] {
    const batch: Entry[] = [];
    const later: Entry[] = [];
    const rows = new Set<string>();
    const waiting = new Set<string>();
    let bytes = 0;
    let next = 0;
    for (; next < this.queue.length && batch.length < MAX_ROWS && bytes < MAX_BYTES; next++) {
      const entry = this.queue[next]!;
      const { account, kind, id } = entry.mutation;
      const row = `${account.id}:${kind}:${id}`;
      const again = rows.has(row) && !this.writer(kind)?.supersedes;
      if (waiting.has(account.id) || again) {
        waiting.add(account.id);
        later.push(entry);
        continue;
      }
      rows.add(row);
      batch.push(entry);
      bytes += entry.mutation.bytes;
    }
    this.queue = later.length > 0 ? later.concat(this.queue.slice(next)) : this.queue.slice(next);
    return batch;
  }

  /** In one go where that can be, else step by step, else row by row. Answers what tells everybody concerned. */
  private async commit(batch: Entry[]): Promise<(() => void)[]> {
    try {
      const quick = await this.inOneGo(batch);
      if (quick === undefined) return await this.stepByStep(batch);
      const rest = batch.filter((_, i) => quick.outcomes[i] === undefined);
      const told = this.telling(batch, quick);
      return rest.length === 0 ? [told] : [told, ...(await this.stepByStep(rest))];
    } catch (error) {
      return [() => this.refuse(batch, error)];
    }
  }

  private async stepByStep(batch: Entry[]): Promise<(() => void)[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return [this.telling(batch, await this.transact(batch))];
      } catch (error) {
        const code = (error as { code?: string }).code ?? '';
        if (DEADLOCK_OR_SERIALIZATION.has(code) && attempt < RETRIES) continue;
        if (isConnectionError(error)) return [() => this.refuse(batch, error)];
        // Something is wrong with a row of the batch: alone, only the bad one fails.
        if (batch.length > 1) {
          const tellings: (() => void)[] = [];
          for (const entry of batch) tellings.push(...(await this.stepByStep([entry])));
          return tellings;
        }
        const [{ group, index, mutation }] = batch as [Entry];
        const { kind, op } = mutation;
        this.log.error({ err: error, kind, op }, 'a mutation failed');
        // Only what Postgres says of the data itself will be said again the next time.
        if (BAD_DATA.test(code)) return [() => group.settle(index, { result: 'rejected' })];
        return [() => group.fail(error)];
      }
    }
  }

  private telling(batch: Entry[], { outcomes, chunks, afterwards }: Committed): () => void {
    return () => {
      afterwards?.();
      // One without rows is told too: its numbers are taken, and whoever has caught up can pass them by.
      for (const chunk of chunks) this.publish(chunk);
      batch.forEach(({ group, index }, i) => {
        const outcome = outcomes[i];
        if (outcome !== undefined) group.settle(index, outcome);
      });
    };
  }

  /** A listener that fails must not make a committed batch look failed. */
  private publish(chunk: Chunk): void {
    try {
      this.feed.publish(chunk);
    } catch (error) {
      this.log.error({ err: error }, 'a follower failed');
    }
  }

  /**
   * The whole transaction in one write, when all of the batch is of a kind that can plan it: Postgres has it to itself
   * while this process tells of the batch before. Undefined when it cannot be done so, or failed for a reason that
   * going step by step finds.
   */
  private async inOneGo(batch: Entry[]): Promise<Committed | undefined> {
    const { kind: name } = batch[0]!.mutation;
    const kind = this.writer(name);
    if (kind?.plan === undefined || batch.some(({ mutation }) => mutation.kind !== name)) return undefined;
    const started = performance.now();
    const client = (this.client ??= await this.connect());
    const { counts, items } = countOut(batch.map(({ mutation }) => mutation));
    const planned = kind.plan(items);
    if (planned.queries.length === 0) return undefined;
    const steps = [{ text: 'BEGIN' }, numbering(counts), ...planned.queries, { text: 'COMMIT' }];
    const answers = await Promise.allSettled(steps.map((step) => client.query(step)));
    const failed = answers.find((answer) => answer.status === 'rejected');
    if (failed !== undefined) {
      // The COMMIT of a transaction that failed is its ROLLBACK.
      if (!isConnectionError(failed.reason)) return undefined;
      this.disconnect(client);
      throw failed.reason;
    }
    const results = answers.map((answer) => (answer as PromiseFulfilledResult<pg.QueryResult>).value);
    const chunks = toChunks(results[1] as pg.QueryResult<NumberRow>, counts);
    for (const item of items) item.seq = (chunks.get(item.mutation.account.id)?.cursor ?? 0) - item.later;
    const { outcomes, changed } = planned.read(results.slice(2, -1));
    this.observe(batch, started);
    return { outcomes, chunks: fill(chunks, changed) };
  }

  private async transact(batch: Entry[]): Promise<Committed> {
    const started = performance.now();
    const client = (this.client ??= await this.connect());
    const { counts, items } = countOut(batch.map(({ mutation }) => mutation));
    try {
      const [, numbers] = await Promise.all([client.query('BEGIN'), client.query<NumberRow>(numbering(counts))]);
      const chunks = toChunks(numbers, counts);
      const { outcomes, changed, shared = [], afterwards } = await this.write(client, items, chunks);
      await client.query('COMMIT');
      this.observe(batch, started);
      return { outcomes, chunks: [...fill(chunks, changed), ...shared], afterwards };
    } catch (error) {
      // Whatever state the connection is in, a new one is sure to be clean.
      if (isConnectionError(error)) this.disconnect(client);
      else await client.query('ROLLBACK').catch(() => this.disconnect(client));
      throw error;
    }
  }

  private async write(client: pg.Client, items: Numbered[], chunks: Map<string, WholeChunk>): Promise<Written> {
    const outcomes = new Array<Outcome>(items.length).fill({ result: 'missing' });
    const changed: ChangedRow[] = [];
    const shared: Chunk[] = [];
    const following: Mutation[] = [];
    const afterwards: (() => void)[] = [];
    const byKind = new Map<string, { places: number[]; items: Numbered[] }>();
    items.forEach((item, place) => {
      const chunk = chunks.get(item.mutation.account.id);
      if (chunk === undefined) return; // the account is gone
      item.seq = chunk.cursor - item.later;
      let share = byKind.get(item.mutation.kind);
      if (share === undefined) byKind.set(item.mutation.kind, (share = { places: [], items: [] }));
      share.places.push(place);
      share.items.push(item);
    });
    for (const [name, writer] of this.writers.flatMap((writers) => [...writers])) {
      const share = byKind.get(name);
      if (share === undefined) continue;
      const written = await writer.write(client, share.items);
      written.outcomes.forEach((outcome, i) => (outcomes[share.places[i]!] = outcome));
      changed.push(...written.changed);
      shared.push(...(written.shared ?? []));
      following.push(...(written.following ?? []));
      if (written.afterwards !== undefined) afterwards.push(written.afterwards);
    }
    if (following.length > 0) {
      const followed = await this.follow(client, following);
      shared.push(...followed.chunks);
      afterwards.push(followed.afterwards);
    }
    return { outcomes, changed, shared, afterwards: () => afterwards.forEach((then) => then()) };
  }

  /** Fails like a deadlock, to be tried again, when one of the accounts was joined to another in this moment. */
  private async follow(client: pg.Client, mutations: Mutation[]): Promise<{ chunks: Chunk[]; afterwards: () => void }> {
    const { counts, items } = countOut(mutations);
    const chunks = toChunks(await client.query<NumberRow>(numbering(counts)), counts);
    if (chunks.size < counts.size) await refuseJoined(client, [...counts.keys()]);
    const { changed, shared = [], afterwards = () => undefined } = await this.write(client, items, chunks);
    return { chunks: [...fill(chunks, changed), ...shared], afterwards };
  }

  private writer(kind: string): Writer | undefined {
    return this.writers.map((writers) => writers.get(kind)).find((writer) => writer !== undefined);
  }

  private observe(batch: Entry[], started: number): void {
    this.metrics.batchRows.observe(batch.length);
    this.metrics.commitSeconds.observe((performance.now() - started) / 1000);
  }

  private async connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.databaseUrl,
      connectionTimeoutMillis: 5000,
      keepAlive: true,
      // Statements that do not wait for each other go in one write.
      pipeline: true,
    });
    client.on('error', () => this.disconnect(client));
    await client.connect();
    // A plan made for the first batch's sizes is a bad one for the next; and a batch is too short for the JIT. All goes by
    // key: a plan made while the tables were small must not read them whole once they are large.
    await client.query(`SET plan_cache_mode = force_generic_plan; SET jit = off;
                        SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off`);
    // An ack means it is on disk; and a server that hangs in a batch must not hold its accounts' locks for ever.
    await client.query(`SET synchronous_commit = on;
                        SET idle_in_transaction_session_timeout = '60s'; SET statement_timeout = '60s'`);
    return client;
  }

  private disconnect(client: pg.Client): void {
    if (this.client === client) this.client = undefined;
    client.end().catch(() => undefined);
  }

  private refuse(batch: Entry[], error: unknown): void {
    const told = isConnectionError(error) ? relayError('unavailable', { retryAfter: 1, cause: error }) : error;
    this.log.error({ err: error, rows: batch.length }, 'a batch could not be committed');
    for (const entry of batch) entry.group.fail(told);
  }
}

function fill(chunks: Map<string, WholeChunk>, changed: ChangedRow[]): Chunk[] {
  for (const row of changed) chunks.get(row.account)!.rows.push(row);
  for (const chunk of chunks.values()) chunk.rows.sort((a, b) => a.seq - b.seq);
  return [...chunks.values()];
}
