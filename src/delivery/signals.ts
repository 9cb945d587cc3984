import { Injectable } from '@nestjs/common';
import { relayError } from '../errors.js';
import { Limits } from '../sessions/limits.js';
import { Broadcast, type Audience } from './broadcast.js';
import { Elsewhere } from './elsewhere.js';
import type { Payload } from './events.js';
import type { Peer } from './peer.js';

/** Bytes of what one device tells another, as the other gets it. */
const MAX_SIGNAL_BYTES = 65_536;

/**
 * What devices of an account tell each other in passing (wire.md, section B): nothing of it is stored, and who is not
 * there does not get it.
 */
@Injectable()
export class Signals {
  constructor(
    private readonly broadcast: Broadcast,
    private readonly elsewhere: Elsewhere,
    private readonly limits: Limits,
  ) {}

  /** To the other devices of the account, or to one. Throws `payload_too_large`, `rate_limited`. */
  async event(peer: Peer, { type, payload = null, targetDeviceId }: Payload<'realtime-event'>): Promise<void> {
    const { account, deviceId } = peer.session!;
    await this.limits.signal(`${account.id}:${deviceId}`);
    const accounts = [account.id];
    const to: Audience =
      targetDeviceId == null
        ? { accounts, who: 'handshaken', except: deviceId }
        : { accounts, who: 'devices', device: targetDeviceId };
    const signal = { type, payload, sourceDeviceId: deviceId, timestamp: Date.now() };
    this.broadcast.tell(to, 'realtime-event', bounded(signal));
  }

  /** To one device of the account. Throws `not_found` when it is not connected, `payload_too_large`, `rate_limited`. */
  async message(peer: Peer, { targetDeviceId, message }: Payload<'device-message'>): Promise<void> {
    const { account, deviceId } = peer.session!;
    await this.limits.signal(`${account.id}:${deviceId}`);
    const signal = bounded({ message, sourceDeviceId: deviceId, timestamp: Date.now() });
    const to: Audience = { accounts: [account.id], who: 'devices', device: targetDeviceId };
    if (this.broadcast.tell(to, 'device-message', signal) > 0) return;
    if (
      !(await this.elsewhere.of(account.id)).some((other) => other.kind !== 'key' && other.deviceId === targetDeviceId)
    )
      throw relayError('not_found', { detail: 'the target device is not connected' });
  }

  /**
   * A connection came; the others hear of it when it is its device's first. `join` lets other servers see it. Of two that come to two
   * servers at once both may be told of.
   */
  async arrived(peer: Peer, join: () => Promise<void>): Promise<void> {
    const { account, deviceId } = peer.session!;
    const { metadata, ...label } = peer.label!;
    // Before anything is waited for: of two that come here at once the first one tells.
    if (this.isHere(account.id, deviceId, peer)) return join();
    const wasElsewhere = await this.isElsewhere(account.id, deviceId);
    await join();
    // The one elsewhere may have left before it could see this one, and been told of as the last.
    if (wasElsewhere && (await this.isElsewhere(account.id, deviceId))) return;
    // Gone meanwhile, and told of as gone.
    if (!this.isHere(account.id, deviceId)) return;
    const deviceInfo = { ...metadata, deviceId, ...label };
    this.broadcast.tell(othersThan(account.id, deviceId), 'device-connected', { deviceId, deviceInfo });
  }

  /** A connection of this device went; the others hear of it when it was the last. */
  async left(account: string, deviceId: string): Promise<void> {
    if (this.isHere(account, deviceId)) return;
    if (await this.isElsewhere(account, deviceId)) return;
    this.broadcast.tell(othersThan(account, deviceId), 'device-disconnected', { deviceId, timestamp: Date.now() });
  }

  private isHere(account: string, device: string, but?: Peer): boolean {
    return this.broadcast.peers({ accounts: [account], who: 'live', device }).some((peer) => peer !== but);
  }

  private async isElsewhere(account: string, deviceId: string): Promise<boolean> {
    return (await this.elsewhere.of(account)).some((other) => other.live && other.deviceId === deviceId);
  }
}

function othersThan(account: string, deviceId: string): Audience {
  return { accounts: [account], who: 'live', except: deviceId };
}

function bounded<T>(signal: T): T {
  if (Buffer.byteLength(JSON.stringify(signal)) > MAX_SIGNAL_BYTES) throw relayError('payload_too_large');
  return signal;
}
