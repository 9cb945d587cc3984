import { Injectable, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Changes } from '../changes/changes.js';
import { Cluster } from '../cluster/cluster.js';
import { Accounts } from '../sessions/accounts.service.js';
import { Devices } from '../sessions/devices.service.js';
import { LastSeen } from '../sessions/last-seen.js';
import { Connections, type Closable } from './connections.js';
import { EventDesk } from './event-desk.js';
import { Peer } from './peer.js';
import { Reception } from './reception.js';

const EXPIRY_SWEEP_MS = 60_000;
/** How long clients get to take the last of what they are sent. */
const GOODBYE_MS = 5000;

/** Ends connections that did not end by themselves: their session is over, or the server stops. */
@Injectable()
export class Departures implements OnModuleInit, BeforeApplicationShutdown {
  private expirySweep: NodeJS.Timeout | undefined;

  constructor(
    private readonly changes: Changes,
    private readonly accounts: Accounts,
    private readonly devices: Devices,
    private readonly lastSeen: LastSeen,
    private readonly cluster: Cluster,
    private readonly connections: Connections,
    private readonly desk: EventDesk,
    private readonly reception: Reception,
  ) {}

  onModuleInit(): void {
    this.devices.events.on('device.revoked', (account, device) =>
      this.connections.end(account, 'device_revoked', [device]),
    );
    this.accounts.events.on('sessions.ended', (account, devices) =>
      this.connections.end(account, 'session_expired', devices),
    );
    this.accounts.events.on('account.joined', (account) => this.connections.recall(account));
    this.accounts.events.on('account.deleted', (account) => this.connections.end(account, 'session_expired'));
    this.cluster.onGap(() => this.connections.recallAll('resume_required'));
    this.expirySweep = setInterval(() => this.endExpired(), EXPIRY_SWEEP_MS).unref();
  }

  /** Answers what is under way, then tells clients to come back: no acknowledged write is lost, no waiting one accepted. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.expirySweep);
    const deadline = Date.now() + GOODBYE_MS;
    this.desk.close();
    // What was begun goes through all its steps; the database may be away, so not for ever.
    await this.desk.quiet(deadline);
    await Promise.race([this.changes.drain(), until(deadline)]);
    await this.desk.quiet(deadline);
    const polls = [...this.connections.all()].filter((connection) => !(connection instanceof Peer));
    this.connections.recallAll('stopping');
    const { peers } = this.reception;
    const leaving = [...peers];
    for (const { transport } of leaving) transport.recall('stopping');
    const isThere = (peer: Peer) => peers.has(peer);
    const isUnanswered = (poll: Closable) => this.connections.has(poll);
    while ((leaving.some(isThere) || polls.some(isUnanswered)) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 5));
    // Who has come (back) meanwhile is not waited for.
    for (const { transport } of peers) transport.destroy();
    await this.lastSeen.flush();
    await Promise.race([this.reception.told(), until(deadline)]);
  }

  private endExpired(): void {
    const now = Date.now();
    for (const connection of this.connections.all())
      if ((connection.session?.expiresAt ?? Infinity) <= now) connection.end('session_expired');
  }
}

function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - Date.now())).unref());
}
