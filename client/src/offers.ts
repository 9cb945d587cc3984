import type { SealedMessage, ServerToClient } from '@pairline/protocol';
import type { Connection } from './connection.js';
import type { PhoneAccount } from './phone-account.js';
import { isMessage } from './reading.js';
import type { Fault, PhoneEvents, Wanted } from './types.js';
import { Turns } from './waiting.js';

type Payload = Parameters<ServerToClient['send:message']>[0];
type Acknowledge = Parameters<ServerToClient['send:message']>[1];

/** What browsers want sent: opened, looked at, and handed to whoever takes it. One at a time, in order. */
export class Offers {
  private readonly turns = new Turns();
  private taker: ((wanted: Wanted) => Promise<void>) | undefined;
  private takerComes!: () => void;
  private readonly hasTaker = new Promise<void>((resolve) => (this.takerComes = resolve));
  /** Taken here, whether the server knows or not. */
  private readonly taken = new Set<string>();
  /** Which connection it is: what an older one offered is offered again. */
  private round = 0;

  constructor(
    private readonly connection: Connection,
    private readonly account: Promise<PhoneAccount>,
    /** Brings what the keys may be behind in. */
    private readonly readAhead: () => Promise<void>,
    private readonly refused: (...what: PhoneEvents['refused']) => void,
  ) {}

  handTo(taker: (wanted: Wanted) => Promise<void>): void {
    this.taker = taker;
    this.takerComes();
  }

  /** There is another connection, or none any more. */
  renew(): void {
    this.round++;
  }

  /** Nothing is taken any more. */
  end(): void {
    this.renew();
    this.takerComes();
  }

  /** Somebody may want it sent again. */
  forget(messageId: string): void {
    this.taken.delete(messageId);
  }

  take(payload: Payload, ack: Acknowledge): void {
    const { round } = this;
    void this.turns.take(async () => {
      await this.hasTaker;
      if (round === this.round) await this.consider(payload, ack);
    });
  }

  private async consider(payload: Payload, ack: Acknowledge): Promise<void> {
    const { tempId: id } = payload;
    if (!this.taken.has(id)) {
      const wanted = await this.open(payload);
      if ('fault' in wanted) return this.refuse(id, wanted.fault);
      try {
        await this.taker!(wanted);
      } catch {
        return; // Not taken: it is offered again on the next connection.
      }
      this.taken.add(id);
    }
    ack({ ok: true });
  }

  private async open({ phoneNumber, message, tempId: id }: Payload): Promise<Wanted | { fault: Fault }> {
    const { keyring, reader } = await this.account;
    let opened = await keyring.open<SealedMessage>('message', id, message);
    if (!opened.ok && opened.fault === 'no-key') {
      // A new epoch comes with the changes, which may be behind.
      await this.readAhead().catch(() => undefined);
      opened = await keyring.open<SealedMessage>('message', id, message);
    }
    if (!opened.ok) return { fault: opened.fault };
    const { value, epoch } = opened;
    // Of an epoch that is over, it may come from a device that was removed.
    if (!isMessage(value) || value.wanted !== true || epoch !== keyring.epoch) return { fault: 'tampered' };
    const { number, text, conversationId } = value;
    if ((await reader.alias(number)) !== phoneNumber) return { fault: 'tampered' };
    return { id, number, text, ...(conversationId === undefined ? {} : { conversationId }) };
  }

  private async refuse(id: string, fault: Fault): Promise<void> {
    this.refused({ id, fault });
    // Whoever wrote it sees that it was not sent. What has no key yet may have one later.
    if (fault !== 'no-key') await this.connection.request('mobile:message-status', { messageId: id, status: 'failed' }).catch(() => undefined); // prettier-ignore
  }
}
