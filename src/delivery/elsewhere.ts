import { Inject, Injectable } from '@nestjs/common';
import { Cluster } from '../cluster/cluster.js';
import type { Entry } from '../cluster/roster.js';
import { LOG, type Log } from '../log.js';
import type { Peer } from './peer.js';

/** Who of an account is connected to other servers. With Redis away, as far as anybody knows nobody is. */
@Injectable()
export class Elsewhere {
  constructor(
    private readonly cluster: Cluster,
    @Inject(LOG) private readonly log: Log,
  ) {}

  /** A connection signed in here. Resolves when the others can see it. */
  async arrived(peer: Peer): Promise<void> {
    const { account, kind, deviceId, phoneId } = peer.session!;
    await this.attempt(() => this.cluster.roster?.add(account.id, peer.id, { kind, deviceId, phoneId, live: peer.isLive })); // prettier-ignore
  }

  async left(peer: Peer): Promise<void> {
    await this.attempt(() => this.cluster.roster?.remove(peer.id));
  }

  /** The account's connections to other servers. */
  async of(account: string): Promise<Entry[]> {
    return (await this.attempt(() => this.cluster.roster?.elsewhere(account))) ?? [];
  }

  async phone(account: string): Promise<Entry | undefined> {
    return (await this.of(account)).find(({ kind }) => kind === 'phone');
  }

  /** What fails here is mended when Redis is back: then every connection begins anew. */
  private async attempt<T>(work: () => Promise<T> | undefined): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.log.debug({ err: error }, 'Redis is away');
      return undefined;
    }
  }
}
