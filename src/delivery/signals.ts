import { Injectable } from '@nestjs/common';
import { relayError } from '../errors.js';
import { Limits } from '../sessions/limits.js';
import { Connections } from './connections.js';
import type { Payload } from './events.js';
import { encode, type Frame } from './frame.js';
import type { Peer } from './peer.js';

/** Bytes of what one device tells another, as the other gets it. */
const MAX_SIGNAL_BYTES = 65_536;

/**
 * What devices of an account tell each other in passing (wire.md, section B): nothing of it is stored, and who is not
 * there does not get it. Those who are there is all that it needs to know: `Connections`.
 */
@Injectable()
export class Signals {
  constructor(
    private readonly connections: Connections,
    private readonly limits: Limits,
  ) {}

  /** To the other devices of the account, or to one. Throws `payload_too_large`, `rate_limited`. */
  async event(peer: Peer, { type, payload = null, targetDeviceId }: Payload<'realtime-event'>): Promise<void> {
    const { account, deviceId } = peer.session!;
    await this.limits.signal(`${account.id}:${deviceId}`);
    const frame = bounded(encode('realtime-event', { type, payload, sourceDeviceId: deviceId, timestamp: Date.now() }));
    if (targetDeviceId != null) for (const target of this.peersOf(peer, targetDeviceId)) target.send(frame);
    else for (const other of this.others(peer)) if (other.byHandshake) other.send(frame);
  }

  /** To one device of the account. Throws `not_found` when it is not connected, `payload_too_large`, `rate_limited`. */
  async message(peer: Peer, { targetDeviceId, message }: Payload<'device-message'>): Promise<void> {
    const { account, deviceId } = peer.session!;
    await this.limits.signal(`${account.id}:${deviceId}`);
    const frame = bounded(encode('device-message', { message, sourceDeviceId: deviceId, timestamp: Date.now() }));
    const targets = this.peersOf(peer, targetDeviceId);
    if (targets.length === 0) throw relayError('not_found', { detail: 'the target device is not connected' });
    for (const target of targets) target.send(frame);
  }

  /** A connection came; the others hear of it when it is its device's first. */
  arrived(peer: Peer): void {
    if (this.peersOf(peer, peer.session!.deviceId).some((other) => other !== peer && other.isLive)) return;
    const { deviceId } = peer.session!;
    const { metadata, ...label } = peer.label!;
    this.toLive(peer, encode('device-connected', { deviceId, deviceInfo: { ...metadata, deviceId, ...label } }));
  }

  /** A connection went; the others hear of it when it was its device's last. */
  left(peer: Peer): void {
    const { deviceId } = peer.session!;
    if (this.peersOf(peer, deviceId).some((other) => other.isLive)) return;
    this.toLive(peer, encode('device-disconnected', { deviceId, timestamp: Date.now() }));
  }

  private toLive(peer: Peer, frame: Frame): void {
    for (const other of this.others(peer)) if (other.isLive) other.send(frame);
  }

  /** The connections of the account's other browsers. */
  private others({ session }: Peer): Peer[] {
    const { account, deviceId } = session!;
    return [...this.connections.of(account.id).browsers].filter((other) => other.session!.deviceId !== deviceId);
  }

  /** The connections of one device of the account. */
  private peersOf({ session }: Peer, device: string): Peer[] {
    const { phones, browsers } = this.connections.of(session!.account.id);
    return [...phones, ...browsers].filter((peer) => peer.session!.deviceId === device);
  }
}

function bounded(frame: Frame): Frame {
  if (Buffer.byteLength(frame.json) > MAX_SIGNAL_BYTES) throw relayError('payload_too_large');
  return frame;
}
