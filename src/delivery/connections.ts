import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Metrics } from '../metrics.js';
import type { ErrorCode } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { Peer } from './peer.js';

/** Something open that belongs to a session and ends with it. */
export interface Closable {
  session?: Session;
  /** Where devices share a token: the device that it was given to. It ends with that one, too. */
  tokenDeviceId?: string;
  end(code: ErrorCode): void;
}

/** In place of a device's id, which is never empty. */
const EVERY = '';

const PLACES = { phone: 'phones', browser: 'browsers', key: 'streams' } as const;

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
  /** Devices ended lately: whoever was just being let in as one of them is out as it arrives. */
  private readonly ended = new LRUCache<string, { at: number; code: ErrorCode }>({ max: 10_000 });

  constructor(private readonly metrics: Metrics) {}

  of(account: string): Readonly<AccountConnections> {
    return this.accounts.get(account) ?? NONE;
  }

  /**
   * Adds a connection that signed in, and began to do so at `since` (of `performance.now()`). A phone has one: an older one
   * of the same device leaves first, and is returned. A browser may have any number, a tab each; so may a program.
   */
  add(peer: Peer, since: number): Peer | undefined {
    const { account, kind, deviceId } = peer.session!;
    const ended = this.endedSince(peer, since);
    if (ended !== undefined) {
      peer.end(ended);
      return undefined;
    }
    const { phones } = this.of(account.id);
    const older = kind === 'phone' ? [...phones].find((phone) => phone.session!.deviceId === deviceId) : undefined;
    if (older !== undefined) this.remove(older);
    // Not before: with the older one the account's last connection may have gone, and its place with it.
    this.open(account.id)[PLACES[kind]].add(peer);
    this.metrics.sockets.inc({ kind });
    return older;
  }

  /** False when it was not there (any more): a replaced connection has nothing left to say. */
  remove(peer: Peer): boolean {
    if (peer.session === undefined) return false;
    const { account, kind } = peer.session;
    const connections = this.of(account.id);
    if (!connections[PLACES[kind]].delete(peer)) return false;
    this.metrics.sockets.dec({ kind });
    this.prune(account.id);
    return true;
  }

  /** Adds an HTTP stream or poll of a request that was let in at `since`; call the result when it is over. */
  track(stream: Closable & { session: Session }, since: number): () => void {
    const { id } = stream.session.account;
    const ended = this.endedSince(stream, since);
    if (ended !== undefined) stream.end(ended);
    const { streams } = this.open(id);
    streams.add(stream);
    return () => {
      streams.delete(stream);
      this.prune(id);
    };
  }

  /** Ends everything open of these devices; of all of the account when none are named. */
  end(account: string, code: ErrorCode, deviceIds?: string[]): void {
    const at = performance.now();
    for (const key of deviceIds ?? [EVERY]) this.ended.set(`${account}:${key}`, { at, code });
    const { phones, browsers, streams } = this.of(account);
    for (const connection of [...phones, ...browsers, ...streams])
      if (deviceIds === undefined || devicesOf(connection).some((id) => deviceIds.includes(id))) connection.end(code);
  }

  /** Lets everything open of the account go, to come again by itself: the account is not what it was. */
  recall(account: string): void {
    this.ended.set(`${account}:${EVERY}`, { at: performance.now(), code: 'resume_required' });
    const { phones, browsers, streams } = this.of(account);
    for (const connection of [...phones, ...browsers, ...streams]) letGo(connection, 'resume_required');
  }

  /** The same for everybody: to resume, or because the server stops. */
  recallAll(code: 'resume_required' | 'stopping'): void {
    for (const connection of [...this.all()]) letGo(connection, code);
  }

  /** Whether a stream or poll is still tracked. */
  has(stream: Closable): boolean {
    return this.of(stream.session!.account.id).streams.has(stream);
  }

  private endedSince(connection: Closable, since: number): ErrorCode | undefined {
    const { id } = connection.session!.account;
    for (const key of [EVERY, ...devicesOf(connection)]) {
      const ended = this.ended.get(`${id}:${key}`);
      if (ended !== undefined && ended.at >= since) return ended.code;
    }
    return undefined;
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

function letGo(connection: Closable, code: ErrorCode): void {
  if (connection instanceof Peer) connection.interrupt(code);
  else connection.end(code);
}

function devicesOf({ session, tokenDeviceId }: Closable): string[] {
  const { deviceId } = session!;
  return tokenDeviceId === undefined || tokenDeviceId === deviceId ? [deviceId] : [deviceId, tokenDeviceId];
}
