import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';

export interface Argon2Parameters {
  memoryCost: number;
  timeCost: number;
  parallelism: number;
}

type Asked = { hash: Uint8Array; parameters: Argon2Parameters } | { verify: string; password: Uint8Array };
type Answer = { id: number; result?: unknown; error?: Error };

/** Ended when nobody has signed in for so long: it needs some megabytes. */
const IDLE_MS = 60_000;

// As text, because a thread begins with a file, and this one has to be found in the sources and in the build alike.
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads');
const { setPriority } = require('node:os');
const { hashSync, verifySync } = require(workerData.argon2);
// On Linux a thread has a priority of its own; elsewhere this would be the whole process's.
if (process.platform === 'linux') setPriority(19);
parentPort.on('message', ({ id, hash, parameters, verify, password }) => {
  try {
    parentPort.postMessage({ id, result: hash ? hashSync(hash, parameters) : verifySync(verify, password) });
  } catch (error) {
    parentPort.postMessage({ id, error });
  }
});`;

/**
 * Argon2id in a thread of the lowest priority, one hash after the other: the relay goes first, however many people sign in.
 */
@Injectable()
export class HashingThread implements BeforeApplicationShutdown {
  private worker: Worker | undefined;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private asked = 0;
  private idle: NodeJS.Timeout | undefined;

  /** In the text form that holds its parameters. */
  hash(password: Uint8Array, parameters: Argon2Parameters): Promise<string> {
    return this.ask({ hash: password, parameters });
  }

  verify(hashed: string, password: Uint8Array): Promise<boolean> {
    return this.ask({ verify: hashed, password });
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearTimeout(this.idle);
    await this.worker?.terminate();
  }

  private ask<T>(asked: Asked): Promise<T> {
    clearTimeout(this.idle);
    const worker = (this.worker ??= this.start());
    const id = ++this.asked;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, ({ result, error }) => (error === undefined ? resolve(result as T) : reject(error)));
      worker.postMessage({ id, ...asked });
    });
  }

  private start(): Worker {
    const argon2 = createRequire(import.meta.url).resolve('@node-rs/argon2');
    const worker = new Worker(THREAD, { eval: true, workerData: { argon2 } });
    worker.unref();
    worker.on('message', (answer: Answer) => this.settle(answer));
    const end = (error: Error) => {
      if (this.worker === worker) this.worker = undefined;
      for (const id of [...this.waiting.keys()]) this.settle({ id, error });
    };
    worker.on('error', end);
    worker.on('exit', () => end(new Error('The hashing thread ended')));
    return worker;
  }

  private settle(answer: Answer): void {
    this.waiting.get(answer.id)?.(answer);
    this.waiting.delete(answer.id);
    if (this.waiting.size > 0) return;
    this.idle = setTimeout(() => void this.worker?.terminate(), IDLE_MS).unref();
  }
}
