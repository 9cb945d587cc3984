import { randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { parseOptions } from '@node-rs/argon2';
import { ENV, type BootEnv } from '../env.js';
import { Metrics } from '../metrics.js';
import { networkOf } from '../sessions/network.js';
import { Turns } from '../sessions/turns.js';
import { HashingThread, type Argon2Parameters } from './hashing-thread.js';

const MOST_WAITING = 5000;
const MOST_OF_ADDRESS = 500;

/**
 * Passwords as argon2id hashes, by the ARGON2_* settings. The hashes of one address take turns: whoever asks for many waits for
 * themselves, and others for one of each address at the most. `address` counts by its network.
 */
@Injectable()
export class Passwords {
  private readonly turns = new Turns(MOST_WAITING, MOST_OF_ADDRESS);
  private readonly parameters: Argon2Parameters;
  /** The hash of no password, by the same parameters. */
  private readonly nobodys: string;

  constructor(
    private readonly thread: HashingThread,
    private readonly metrics: Metrics,
    @Inject(ENV) { argon2: { memoryKib, passes, lanes } }: BootEnv,
  ) {
    this.parameters = { memoryCost: memoryKib, timeCost: passes, parallelism: lanes };
    const random = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '');
    this.nobodys = `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${random(16)}$${random(32)}`;
  }

  /** In the text form that holds its parameters. Throws `busy` when too many wait. */
  hash(password: string, address: string): Promise<string> {
    return this.inTurn(address, () => this.thread.hash(bytesOf(password), this.parameters));
  }

  /** Without a hash it is never right, and takes as long. Throws `busy` when too many wait. */
  async verify(hashed: string | undefined, password: string, address: string): Promise<boolean> {
    const right = await this.inTurn(address, () => this.thread.verify(hashed ?? this.nobodys, bytesOf(password)));
    return right && hashed !== undefined;
  }

  /** Whether it was made by other parameters than those of today. */
  needsRehash(hashed: string): boolean {
    const { memoryCost, timeCost, parallelism } = parseOptions(hashed);
    const today = this.parameters;
    return (
      !hashed.startsWith('$argon2id$') ||
      memoryCost !== today.memoryCost ||
      timeCost !== today.timeCost ||
      parallelism !== today.parallelism
    );
  }

  private inTurn<T>(address: string, work: () => Promise<T>): Promise<T> {
    return this.turns.take(networkOf(address), () => {
      this.metrics.passwordHashes.inc();
      return work();
    });
  }
}

/** Keyboards differ in how they compose an accented letter (RFC 8265, section 4.2: NFC). */
function bytesOf(password: string): Buffer {
  return Buffer.from(password.normalize('NFC'));
}
