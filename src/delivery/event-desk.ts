import { Inject, Injectable } from '@nestjs/common';
import { ENV, type BootEnv } from '../env.js';
import { relayError, type ErrorBody, type RelayError } from '../errors.js';
import { compileCheck } from './check.js';
import { clientEvents, type ClientEvent, type Reply, type Sender } from './events.js';
import { Handlers } from './handlers.js';
import type { Peer } from './peer.js';
import { Refusals } from './refusals.js';

/** How an event is acknowledged, when its sender asked for that. */
export type Ack = (reply: (Reply & { ok: true }) | (ErrorBody & { ok: false })) => void;

/** What is done with an event. */
export interface Order {
  from: Sender;
  /** Throws an error of the catalogue. */
  check: (payload: unknown) => void;
  /** Resolves after the commit, with what the acknowledgement says beyond `ok`. */
  fill: (peer: Peer, payload: never) => Promise<Reply | void>;
}

/** All that clients send comes through here, by whatever transport: who may, what fits, done, answered. */
@Injectable()
export class EventDesk {
  private readonly orders: Map<string, Order>;
  private inFlight = 0;
  private closed = false;

  constructor(
    { table }: Handlers,
    private readonly refusals: Refusals,
    @Inject(ENV) private readonly env: BootEnv,
  ) {
    this.orders = new Map(
      Object.entries(clientEvents(env.limits)).map(([name, { from, payload, depth }]) => [
        name,
        { from, check: compileCheck(payload, depth), fill: table[name as ClientEvent] },
      ]),
    );
  }

  /** An event of a connection. Resolves when it has been answered, with what it was refused with. */
  receive(peer: Peer, event: string, payload: unknown, ack?: Ack): Promise<RelayError | undefined> {
    return this.take(peer, this.orders.get(event), payload, ack);
  }

  /** The same, of something that is not in the table of events; undefined is nothing that anybody knows. */
  async take(
    peer: Peer,
    order: Order | undefined,
    payload: unknown,
    ack: Ack | undefined,
  ): Promise<RelayError | undefined> {
    if (peer.isLagging) return undefined;
    this.inFlight++;
    try {
      if (this.closed) throw relayError('stopping', { retryAfter: 2 });
      if (order === undefined) throw relayError('unknown_event');
      if (peer.frameBytes > this.env.limits.maxFrameBytes) throw relayError('payload_too_large');
      // A client need not wait for answers before it goes on: where the order matters, its next events wait here.
      while (peer.before !== undefined) await this.inTurn(peer);
      admit(peer, order.from);
      order.check(payload ?? {});
      const work = order.fill(peer, (payload ?? {}) as never);
      if (order.from === 'anyone') peer.holdUntil(work);
      const reply = await work;
      if (ack) {
        ack({ ok: true, ...reply });
        peer.keepBounded();
      }
      return undefined;
    } catch (error) {
      const told = this.refusals.of(error);
      if (ack) {
        ack({ ok: false, ...told.toBody() });
        peer.keepBounded();
      } else peer.emit('error', told.toBody());
      return told;
    } finally {
      this.inFlight--;
    }
  }

  /** From now on everything is refused with `stopping`. */
  close(): void {
    this.closed = true;
  }

  /** Resolves when all that was begun has been answered; at `deadline` (of `Date.now()`) at the latest. */
  async quiet(deadline: number): Promise<void> {
    while (this.inFlight > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** Waits for what has to be done first. What is parked meanwhile is bounded like what waits to be committed. */
  private async inTurn(peer: Peer): Promise<void> {
    const bytes = peer.frameBytes;
    if (peer.parkedBytes > 0 && peer.parkedBytes + bytes > 2 * this.env.limits.maxFrameBytes)
      throw relayError('busy', { retryAfter: 1 });
    peer.parkedBytes += bytes;
    try {
      await peer.before;
    } finally {
      peer.parkedBytes -= bytes;
    }
  }
}

/** Closed by default: each event says who may send it. */
function admit({ session }: Peer, from: Sender): void {
  if (from === 'anyone') return;
  if (session === undefined) throw relayError(from === 'phone' ? 'device_not_registered' : 'not_authenticated');
  // A program with an API key follows the changes and says nothing.
  if (session.kind === 'key' || (from !== 'device' && session.kind !== from)) throw relayError('wrong_role');
}
