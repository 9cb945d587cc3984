// Starts a server process and stops it: Pairline itself, or the bare relay.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { atExit } from './cleanup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

export class Server {
  /**
   * @param {string} file
   * @param {Record<string, string>} env
   * @param {{ after?: () => void }} [also]
   */
  constructor(file, env, { after = () => {} } = {}) {
    this.after = after;
    // The collector on a signal: memory is compared after a full collection, not at whatever moment the last one was.
    const preload = new URL('collect-on-signal.mjs', import.meta.url).href;
    this.process = spawn(process.execPath, ['--import', preload, file], {
      cwd: root,
      env: { ...process.env, NODE_ENV: 'production', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.pid = /** @type {number} */ (this.process.pid);
    this.log = '';
    this.port = 0;
    /** Whether its end was asked for. */
    this.wanted = false;
    this.forget = atExit(() => {
      this.process.kill('SIGKILL');
      after();
    });
    for (const stream of [this.process.stdout, this.process.stderr])
      stream.on('data', (chunk) => (this.log = (this.log + chunk).slice(-8000)));
  }

  /** @param {number} [timeoutMs] */
  async ready(timeoutMs = 60_000) {
    const end = Date.now() + timeoutMs;
    for (let address; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
      address = / is ready: https?:\/\/[^\s:/]+:(\d+)/.exec(this.log);
      if (address !== null) {
        this.port = Number(address[1]);
        return this;
      }
      if (this.ended || Date.now() > end) throw new Error(`the server did not start:\n${this.log}`);
    }
  }

  /**
   * Collects all garbage.
   * @returns {Promise<NodeJS.MemoryUsage>} what is left, in bytes
   */
  async collect() {
    this.log = '';
    this.process.kill('SIGUSR2');
    for (const end = Date.now() + 10_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const told = /^memory (\{.*\})\n/m.exec(this.log);
      if (told !== null) return JSON.parse(told[1]);
      if (this.ended || Date.now() > end) throw new Error(`no collection: ${this.log}`);
    }
  }

  get ended() {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async stop() {
    this.wanted = true;
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    const late = setTimeout(() => this.process.kill('SIGKILL'), 15_000);
    if (!this.ended) {
      this.process.kill('SIGTERM');
      await ended;
    }
    clearTimeout(late);
    this.forget();
    this.after();
  }
}

/** What a stranger would have, but for the rates: a load from one address would meet them at once. */
const NO_RATES = {
  LIMIT_REGISTRATIONS_PER_HOUR: '0',
  LIMIT_QR_CODES_PER_MINUTE: '0',
  LIMIT_WRONG_TOKENS_PER_MINUTE: '0',
  LIMIT_SENDS_PER_MINUTE: '0',
  MAX_UNAUTHENTICATED_PER_ADDRESS: '100000',
};

// The same for every server of this run: one that starts on another's database has to know its sessions.
export const SECRETS = {
  JWT_SECRET: randomBytes(32).toString('base64'),
  ENCRYPTION_KEY: randomBytes(32).toString('base64'),
};

/**
 * BENCH_SERVER names another build than `dist/main.js`.
 * @param {string} databaseUrl
 * @param {Record<string, string>} [env]
 */
export async function startPairline(databaseUrl, env = {}) {
  const file = process.env.BENCH_SERVER ?? join(root, 'dist', 'main.js');
  if (!existsSync(file)) throw new Error(`${file} is missing: run \`npm run build\` first`);
  const dataDir = mkdtempSync(join(tmpdir(), 'pairline-bench-data-'));
  const server = new Server(
    file,
    { PORT: '0', HOST: '127.0.0.1', DATABASE_URL: databaseUrl, DATA_DIR: dataDir, ...NO_RATES, ...SECRETS, ...env },
    { after: () => rmSync(dataDir, { recursive: true, force: true }) },
  );
  return server.ready();
}

/** @param {{ messageNew?: boolean }} [options] */
export function startBare({ messageNew = false } = {}) {
  const file = fileURLToPath(new URL('bare-relay.mjs', import.meta.url));
  return new Server(file, { BARE_MESSAGE_NEW: messageNew ? '1' : '0' }).ready();
}

export function startBareWs() {
  return new Server(fileURLToPath(new URL('bare-ws.mjs', import.meta.url)), {}).ready();
}
