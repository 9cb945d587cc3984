import { Injectable } from '@nestjs/common';
import { Cluster } from '../cluster/cluster.js';
import { Connections } from './connections.js';
import { encode } from './frame.js';
import type { Peer } from './peer.js';

/** Whom something is for: plain data, read by each server for the connections that it has. */
export interface Audience {
  accounts: readonly string[];
  /**
   * - phones, browsers: all of them
   * - handshaken: browsers that signed in by their handshake
   * - live: those of wire.md, section B
   * - devices: phones and browsers
   */
  who: 'phones' | 'browsers' | 'handshaken' | 'live' | 'devices';
  /** Only the connections of this device. */
  device?: string;
  /** Not the connections of this device. */
  except?: string;
}

/** Tells those who are there something in passing, at whatever server they are. Facts go another way: `Facts`. */
@Injectable()
export class Broadcast {
  constructor(
    private readonly connections: Connections,
    private readonly cluster: Cluster,
  ) {
    cluster.hear('broadcast', (audience: Audience, event: string, payload: unknown) =>
      this.here(audience, event, payload),
    );
  }

  /** `payload` is plain data. Answers how many of this server were told. */
  tell(audience: Audience, event: string, payload: unknown): number {
    this.cluster.tell('broadcast', audience, event, payload);
    return this.here(audience, event, payload);
  }

  /** The connections to this server that it is for. */
  peers({ accounts, who, device, except }: Audience): Peer[] {
    return accounts.flatMap((account) => {
      const { phones, browsers } = this.connections.of(account);
      const peers = who === 'phones' ? [...phones] : who === 'devices' ? [...phones, ...browsers] : [...browsers];
      return peers.filter((peer) => {
        const { deviceId } = peer.session!;
        if (deviceId === except || (device !== undefined && deviceId !== device)) return false;
        return who === 'live' ? peer.isLive : who !== 'handshaken' || peer.byHandshake;
      });
    });
  }

  private here(audience: Audience, event: string, payload: unknown): number {
    const peers = this.peers(audience);
    if (peers.length === 0) return 0;
    const frame = encode(event, payload);
    for (const peer of peers) peer.send(frame);
    return peers.length;
  }
}
