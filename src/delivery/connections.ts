import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Metrics } from '../metrics.js';
import type { ErrorCode } from '../errors.js';
import type { Session } from '../sessions/session.js';
import type { Peer } from './peer.js';

/** Something open that belongs to a session and ends with it. */
export interface Closable {
  session?: Session;
  end(code: ErrorCode): void;
}

interface AccountConnections {
  phones: Set<Peer>;
  browsers: Set<Peer>;
  streams: Set<Closable>;
}

const NONE: AccountConnections = { phones: new Set(), browsers: new Set(), streams: new Set() };

/** Who is here: the open connections of each account. */
@Injectable()
export class Connections {
  private readonly accounts = new Map<string, AccountConnections>();
  /** Devices removed lately: whoever was just being let in as one of them is out as it arrives. */
  private readonly removed = new LRUCache<string, true>({ max: 10_000 });

  constructor(private readonly metrics: Metrics) {}

  of(account: string): Readonly<AccountConnections> {
    return this.accounts.get(account) ?? NONE;
  }

  /**
   * Adds a signed-in connection. A phone has one: an older one of the same device leaves first, and is returned. A
   * browser may have any number, a tab each.
   */
  add(peer: Peer): Peer | undefined {
    const { account, kind, deviceId } = peer.session!;
    if (this.removed.has(`${account.id}:${deviceId}`)) {
      peer.end('device_revoked');
      return undefined;
    }
    const connections = this.open(account.id);
    const older =
      kind === 'phone' ? [...connections.phones].find((phone) => phone.session!.deviceId === deviceId) : undefined;
    if (older !== undefined) this.remove(older);
    connections[kind === 'phone' ? 'phones' : 'browsers'].add(peer);
    this.metrics.sockets.inc({ kind });
    return older;
  }

  /** False when it was not there (any more): a replaced connection has nothing left to say. */
  remove(peer: Peer): boolean {
    if (peer.session === undefined) return false;
    const { account, kind } = peer.session;
    const connections = this.of(account.id);
    if (!connections[kind === 'phone' ? 'phones' : 'browsers'].delete(peer)) return false;
    this.metrics.sockets.dec({ kind });
    this.prune(account.id);
    return true;
  }

  /** Adds an HTTP stream or poll; call the result when it is over. */
  track(stream: Closable & { session: Session }): () => void {
    const { id } = stream.session.account;
    if (this.removed.has(`${id}:${stream.session.deviceId}`)) stream.end('device_revoked');
    const { streams } = this.open(id);
    streams.add(stream);
    return () => {
      streams.delete(stream);
      this.prune(id);
    };
  }

  /** Ends everything open of a device that was removed. */
  endDevice(account: string, deviceId: string): void {
    this.removed.set(`${account}:${deviceId}`, true);
    const { phones, browsers, streams } = this.of(account);
    for (const connection of [...phones, ...browsers, ...streams])
      if (connection.session?.deviceId === deviceId) connection.end('device_revoked');
  }

  *all(): Generator<Closable> {
    for (const { phones, browsers, streams } of this.accounts.values()) yield* [...phones, ...browsers, ...streams];
  }

  private open(account: string): AccountConnections {
    let connections = this.accounts.get(account);
    if (connections === undefined)
      this.accounts.set(account, (connections = { phones: new Set(), browsers: new Set(), streams: new Set() }));
    return connections;
  }

  private prune(account: string): void {
    const { phones, browsers, streams } = this.of(account);
    if (phones.size + browsers.size + streams.size === 0) this.accounts.delete(account);
  }
}
