import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { Changes } from '../changes/changes.js';
import { Feed } from '../changes/feed.js';
import { Cluster } from '../cluster/cluster.js';
import { LOG, type Log } from '../log.js';
import { LastSeen } from '../sessions/last-seen.js';
import type { Session } from '../sessions/session.js';
import { ChatRelay } from './chat-relay.js';
import { Connections } from './connections.js';
import { Doorman } from './doorman.js';
import { Elsewhere } from './elsewhere.js';
import { Follower } from './follower.js';
import { encodeText } from './frame.js';
import type { SignedIn } from './handshakes.js';
import { LiveState } from './live-state.js';
import type { Peer } from './peer.js';
import { Refusals } from './refusals.js';
import { Relay } from './relay.js';
import { Signals } from './signals.js';

/** Connections come, sign in and go here, by whatever transport: they get what waits for them, and the others hear of it. */
@Injectable()
export class Reception implements OnModuleInit {
  /** All that are open, also those that have not signed in. */
  readonly peers = new Set<Peer>();
  /** What the others are being told of who comes and goes. */
  private readonly telling = new Set<Promise<unknown>>();

  constructor(
    private readonly changes: Changes,
    private readonly feed: Feed,
    private readonly lastSeen: LastSeen,
    private readonly connections: Connections,
    private readonly cluster: Cluster,
    private readonly elsewhere: Elsewhere,
    private readonly doorman: Doorman,
    private readonly relay: Relay,
    private readonly chats: ChatRelay,
    private readonly liveState: LiveState,
    private readonly signals: Signals,
    private readonly refusals: Refusals,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.cluster.hear('phone.arrived', (account: string, device: string, at: number) =>
      this.replace(account, device, at),
    );
    this.cluster.roster?.onGone((account, gone) => {
      for (const { kind, deviceId, phoneId, live } of gone) {
        if (kind === 'phone') void this.attempt(this.relay.phoneLeft(account, phoneId));
        if (live) void this.attempt(this.signals.left(account, deviceId));
      }
    });
  }

  arrived(peer: Peer): void {
    this.peers.add(peer);
  }

  /** Bytes came in, a heartbeat too: all of it says that the device is there. */
  heard({ session }: Peer): void {
    if (session !== undefined) this.lastSeen.noteNowAndThen(session);
  }

  /** It has shown its token, and may be a device of its own. */
  letIn(peer: Peer, { session, tokenDeviceId, label }: SignedIn, since: number, after?: number | null): void {
    peer.tokenDeviceId = tokenDeviceId;
    peer.label = label;
    this.signedIn(peer, session, since, after);
  }

  /** It is known whose the connection is; finding out began at `since`, of `performance.now()`. */
  signedIn(peer: Peer, session: Session, since: number, after?: number | null): void {
    if (!peer.isOpen) return;
    peer.session = session;
    peer.signedInAt = Date.now();
    this.doorman.know(peer.transport.guest);
    const older = this.connections.add(peer, since);
    older?.end('replaced');
    if (!peer.isOpen) return; // removed in the meantime
    this.lastSeen.note(session);
    const from = after ?? peer.transport.said.after;
    if (from !== undefined && from !== null) this.follow(peer, session, typeof from === 'object' ? NaN : Number(from));
    if (peer.isLive) this.liveState.restore(peer).catch((error: unknown) => this.interrupt(peer, error));
    const elsewhere = this.attempt(this.announce(peer));
    if (session.kind === 'key') return;
    const greeting =
      session.kind === 'phone'
        ? this.relay.phoneArrived(peer, older !== undefined ? Promise.resolve(true) : elsewhere)
        : this.relay.tellPresence(peer);
    greeting.catch((error: unknown) => this.interrupt(peer, error));
    if (session.kind === 'browser' && peer.follower === undefined)
      this.chats.greet(peer).catch((error: unknown) => this.interrupt(peer, error));
  }

  /** It is over. */
  gone(peer: Peer): void {
    this.peers.delete(peer);
    this.left(peer);
  }

  /** Its end has begun: it is sent nothing any more, and the others hear that it is away. */
  left(peer: Peer): void {
    peer.follower?.end();
    void this.elsewhere.left(peer);
    if (!this.connections.remove(peer)) return;
    const { kind, account, deviceId, phoneId } = peer.session!;
    this.lastSeen.note(peer.session!);
    if (kind === 'phone') void this.attempt(this.relay.phoneLeft(account.id, phoneId));
    if (peer.isLive) void this.attempt(this.signals.left(account.id, deviceId));
  }

  /** The others hear of it, at other servers too. Resolves with whether the device was connected to one of those. */
  private async announce(peer: Peer): Promise<boolean> {
    const { account, kind, deviceId } = peer.session!;
    const join = async () => {
      await this.elsewhere.arrived(peer);
      if (!peer.isOpen) await this.elsewhere.left(peer);
    };
    // Seen by the others first: then one that it leaves at this moment knows where it is.
    await (peer.isLive ? this.signals.arrived(peer, join) : join());
    if (kind !== 'phone') return false;
    const others = await this.elsewhere.of(account.id);
    this.cluster.tell('phone.arrived', account.id, deviceId, peer.signedInAt);
    return others.some((other) => other.deviceId === deviceId);
  }

  /** A phone has one connection, wherever it is: it has come to another server, at `at` of that one's clock. */
  private replace(account: string, device: string, at: number): void {
    for (const phone of [...this.connections.of(account).phones]) {
      if (phone.session!.deviceId !== device || phone.signedInAt >= at) continue;
      this.connections.remove(phone);
      phone.end('replaced');
    }
  }

  /** Resolves when the others have been told of all who came and went so far. */
  async told(): Promise<void> {
    await Promise.allSettled(this.telling);
  }

  /** What fails here are hints about who is there. */
  private async attempt<T>(work: Promise<T>): Promise<T | undefined> {
    this.telling.add(work);
    try {
      return await work;
    } catch (error) {
      this.log.warn({ err: error }, 'who came or went could not be told');
      return undefined;
    } finally {
      this.telling.delete(work);
    }
  }

  /** A connection that cannot be served ends so that its client comes back and resumes; one with an expired cursor is told. */
  interrupt(peer: Peer, error: unknown): void {
    const { code } = this.refusals.of(error);
    if (code === 'cursor_expired') peer.end(code);
    else peer.interrupt(code);
  }

  /** The account's changes from a cursor on; a page waits until the pipe has room. */
  private follow(peer: Peer, { account }: Session, after: number): void {
    if (!Number.isSafeInteger(after) || after < 0) return peer.fail('bad_request');
    peer.follower = new Follower(this.changes, this.feed, account, after, {
      hasRoom: () => peer.hasRoom(),
      write: (text, cursor) => peer.write(encodeText('changes', `{"changes":[${text}],"cursor":${cursor}}`)),
      failed: (error) => this.interrupt(peer, error),
    });
  }
}
