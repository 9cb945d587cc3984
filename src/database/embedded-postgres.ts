import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Log } from '../log.js';
import { lockFolder, type Unlock } from './folder-lock.js';
import { findPostgres, type RunAs } from './postgres-binaries.js';
import { POSTGRES_ENV, claimFolder, fromInside, openFolder, type PostgresFolder } from './postgres-folder.js';
import { stopLeftovers } from './postgres-leftovers.js';
import { StartupError } from './startup-error.js';

export interface EmbeddedPostgresOptions {
  dataDir: string;
  log: Pick<Log, 'info' | 'warn' | 'error'>;
  /** How many connections the server will open. */
  connections?: number;
}

export interface EmbeddedPostgres {
  url: string;
  /** Waits until everything is on disk and the process is gone. */
  stop(): Promise<void>;
}

/** Runs a real Postgres on `<dataDir>/postgres` as a child of this process, for this machine only, and keeps it running. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const folder = resolve(options.dataDir, 'postgres');
  const runAs = claimFolder(folder);
  const unlock = await lockFolder(folder);
  if (!unlock) throw new StartupError(`Another Pairline server is running on ${resolve(options.dataDir)}.`);
  try {
    const programs = findPostgres(runAs);
    const opened = openFolder(folder, programs, runAs);
    const postgres = new Supervisor(opened, join(programs, 'bin/postgres'), runAs, options, unlock);
    await postgres.start();
    return postgres;
  } catch (error) {
    await unlock();
    throw error;
  }
}

class Supervisor implements EmbeddedPostgres {
  private port = 0;
  private child?: ChildProcess;
  private watching?: Promise<void>;
  private readonly stopping = new AbortController();

  constructor(
    private readonly folder: PostgresFolder,
    private readonly program: string,
    private readonly runAs: RunAs,
    private readonly options: EmbeddedPostgresOptions,
    private readonly unlock: Unlock,
  ) {}

  get url(): string {
    return this.urlOf('pairline');
  }

  async start(): Promise<void> {
    const { log } = this.options;
    const stopped = await stopLeftovers(this.folder);
    if (stopped > 0) log.warn('Stopped the Postgres that an earlier server left behind');
    process.once('exit', this.endWithUs);
    try {
      await this.launchOnFreePort();
      await this.createDatabase();
    } catch (error) {
      await this.end();
      throw error;
    }
    this.watching = this.watch();
  }

  async stop(): Promise<void> {
    if (this.stopping.signal.aborted) return this.watching;
    this.stopping.abort();
    await this.end();
    await this.watching;
    await this.unlock();
  }

  /** Asks for a fast shutdown (clients are dropped, everything is written) and waits for it. */
  private async end(): Promise<void> {
    process.off('exit', this.endWithUs);
    const child = this.child;
    if (!child || hasEnded(child)) return;
    child.kill('SIGINT');
    await once(child, 'exit');
  }

  /** A server that exits without `stop` leaves no Postgres behind either. */
  private readonly endWithUs = () => void this.child?.kill('SIGINT');

  private async launchOnFreePort(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      this.port = await freePort();
      try {
        return await this.launch();
      } catch (error) {
        // Somebody took the port in between.
        if (attempt === 5 || !(error as Error).message.includes('Address already in use')) throw error;
      }
    }
  }

  /** Resolves when Postgres takes connections. */
  private async launch(): Promise<void> {
    const { cluster } = this.folder;
    const settings = Object.entries(this.settings()).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const child = spawn(this.program, ['-D', fromInside(cluster), ...settings], {
      ...this.runAs,
      cwd: cluster,
      env: POSTGRES_ENV,
      stdio: ['ignore', 'ignore', 'pipe'],
      // Ctrl-C goes to every process of the terminal's group: the server has to write what it holds before Postgres stops.
      detached: true,
    });
    this.child = child;
    const said: string[] = [];
    await new Promise<void>((ready, failed) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        if (line.includes('database system is ready to accept connections')) ready();
        if (said.push(line) > 20) said.shift();
        if (WORTH_TELLING.test(line) && !this.stopping.signal.aborted)
          this.options.log.warn({ postgres: line }, 'Postgres');
      });
      child.on('error', failed);
      child.once('close', () => failed(new StartupError(`The embedded Postgres did not start: ${said.join(' ')}`)));
    });
  }

  private settings(): Record<string, string | number> {
    return {
      listen_addresses: '127.0.0.1',
      port: this.port,
      // A socket file would need a folder that every user of the machine can reach.
      unix_socket_directories: '',
      cluster_name: this.folder.marker,
      max_connections: Math.max(100, (this.options.connections ?? 0) + 20),
      // An acknowledgement means "on disk": said here, where no stray configuration file can take it back.
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
      // It shares a small machine with the server: the system's file cache holds the rest.
      shared_buffers: '128MB',
      // Queries are short: compiling them, or starting helpers for them, costs more than it saves.
      jit: 'off',
      max_parallel_workers_per_gather: 0,
      io_method: 'sync',
      max_wal_size: '512MB',
      timezone: 'UTC',
      // Read line by line above. No details and no statements: they would quote rows.
      log_min_messages: 'log',
      log_min_error_statement: 'panic',
      log_error_verbosity: 'terse',
      log_line_prefix: '',
      log_checkpoints: 'off',
    };
  }

  private async createDatabase(): Promise<void> {
    const client = new pg.Client({ connectionString: this.urlOf('postgres') });
    await client.connect();
    try {
      const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = 'pairline'");
      if (rowCount === 0) await client.query('CREATE DATABASE pairline');
    } finally {
      await client.end();
    }
  }

  private urlOf(database: string): string {
    return `postgresql://pairline:${this.folder.password}@127.0.0.1:${this.port}/${database}`;
  }

  /** Starts Postgres again, on its port, whenever it ends without us. */
  private async watch(): Promise<void> {
    const { signal } = this.stopping;
    let pause = FIRST_PAUSE_MS;
    while (!signal.aborted) {
      const since = Date.now();
      if (this.child && !hasEnded(this.child)) await once(this.child, 'exit');
      if (signal.aborted) return;
      pause = Date.now() - since > LAST_PAUSE_MS ? FIRST_PAUSE_MS : Math.min(pause * 2, LAST_PAUSE_MS);
      this.options.log.error({ pause }, 'Postgres ended unexpectedly: starting it again');
      await delay(pause, undefined, { signal }).catch(() => undefined);
      await this.relaunch().catch((error: unknown) =>
        this.options.log.error({ error }, 'Postgres did not start again'),
      );
    }
  }

  private async relaunch(): Promise<void> {
    await stopLeftovers(this.folder);
    if (this.stopping.signal.aborted) return;
    await this.launch();
    this.options.log.info('Postgres is back');
  }
}

const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 5000;

const WORTH_TELLING = /^(FATAL|PANIC|LOG: {2}server process)/;

const hasEnded = (child: ChildProcess) =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
