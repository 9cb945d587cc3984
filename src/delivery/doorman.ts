import { Inject, Injectable } from '@nestjs/common';
import { ENV, type BootEnv, type Limits } from '../env.js';
import { networkOf } from '../sessions/network.js';

/** A connection of which nobody knows yet whose it is. */
export interface Guest {
  /** Calls `count` with the length of whatever comes in, as it comes; what it answers ends that. */
  meter(count: (bytes: number) => void): () => void;
  whenGone(step: () => void): void;
  /** Ends it at once: no goodbye of the other side is waited for, and nothing more is read. `why` is a sentence. */
  showOut(why: string): void;
}

interface Watch {
  address: string;
  /** Ends the watch over its time and its bytes. */
  release(): void;
}

/** Bounds what a connection may use before it is known who it is: how many an address, how long, how many bytes. */
@Injectable()
export class Doorman {
  private readonly limits: Limits;
  private readonly watches = new Map<Guest, Watch>();
  private readonly perAddress = new Map<string, number>();

  constructor(@Inject(ENV) { limits }: BootEnv) {
    this.limits = limits;
  }

  /** A new connection, before its first byte. It has `ms`, and never more than UNAUTHENTICATED_SECONDS. */
  meet(guest: Guest, from: string, ms = Infinity): void {
    const address = networkOf(from);
    const count = (this.perAddress.get(address) ?? 0) + 1;
    if (count > this.limits.maxUnauthenticatedPerAddress) {
      guest.showOut('Too many connections of this address have not signed in');
      return;
    }
    this.perAddress.set(address, count);
    const timer = setTimeout(
      () => guest.showOut('Authentication token required'),
      Math.min(ms, this.limits.unauthenticatedMs),
    ).unref();
    const unmeter = this.meter(guest);
    const release = () => {
      clearTimeout(timer);
      unmeter();
    };
    this.watches.set(guest, { address, release });
    guest.whenGone(() => this.know(guest));
  }

  /** The connection signed in, or went. */
  know(guest: Guest): void {
    const watch = this.watches.get(guest);
    if (watch === undefined) return;
    watch.release();
    this.watches.delete(guest);
    const left = this.perAddress.get(watch.address)! - 1;
    if (left > 0) this.perAddress.set(watch.address, left);
    else this.perAddress.delete(watch.address);
  }

  private meter(guest: Guest): () => void {
    let bytes = 0;
    return guest.meter((length) => {
      bytes += length;
      if (bytes > this.limits.maxUnauthenticatedBytes && this.watches.has(guest))
        guest.showOut('Too many bytes before signing in');
    });
  }
}
