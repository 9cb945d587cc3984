// The bench's handle on a child process that answers operations: the load client, and the Prisma reference.
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { atExit } from './cleanup.mjs';

/** Nothing that a measure asks for takes this long, unless it hangs. */
const LONGEST_MS = 300_000;

export class Worker {
  #child;
  #waiting = new Map();
  #last = 0;

  /**
   * @param {string} file beside this one
   * @param {Record<string, string>} [env]
   */
  constructor(file, env = {}) {
    this.#child = fork(fileURLToPath(new URL(file, import.meta.url)), {
      env: { ...process.env, ...env },
      serialization: 'advanced',
    });
    this.pid = this.#child.pid;
    this.forget = atExit(() => this.#child.kill('SIGKILL'));
    this.#child.on('message', ({ id, result, error }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(result);
      else reject(new Error(`in ${file}: ${error}`));
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${file} ended (${signal ?? code})`));
    });
  }

  /**
   * @param {string} operation
   * @param {object} [args]
   * @returns {Promise<any>}
   */
  call(operation, args = {}) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${operation} took longer than ${LONGEST_MS / 1000} s`)),
        LONGEST_MS,
      );
      this.#waiting.set(id, {
        resolve: (result) => (clearTimeout(timer), resolve(result)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      });
      this.#child.send({ id, operation, args });
    });
  }

  stop() {
    this.forget();
    this.#child.kill('SIGKILL');
  }
}
