import { loadPart } from './part.js';
import type { Session, Store } from './store.js';
import { ClientError } from './types.js';
import { Turns } from './waiting.js';

/** What the server says of a token whose time is over: anywhere, and in table sync. */
const OVER = new Set(['session_expired', 'token_expired']);

/**
 * What this device shows the server to be let in. In another realm than `default` it does not last: when it is over it is
 * refreshed, by one tab at a time, because a refresh token is good once.
 */
export class Access {
  private readonly renewals = new Turns();

  constructor(
    private readonly url: string,
    private readonly store: Store,
    public session: Session,
  ) {}

  /** Does `work` with the token, and once more with the next one. Rejects as it does, `session_expired` or so when there is none. */
  async use<T>(work: (token: string) => Promise<T>): Promise<T> {
    const { token, realm } = this.session;
    try {
      return await work(token);
    } catch (error) {
      if (!realm || !(error instanceof ClientError) || !OVER.has(error.code)) throw error;
      if (!(await this.renewals.take(() => this.renew(token)))) throw error;
      return work(this.session.token);
    }
  }

  /** Resolves when no renewal is under way: its answer must not be lost. */
  settled(): Promise<void> {
    return this.renewals.over();
  }

  /** False when there is nothing to go on with. */
  private async renew(old: string): Promise<boolean> {
    const { renew } = await loadPart(() => import('./renewal.js'));
    const next = await renew(this.url, this.store, this.session.deviceId, old);
    if (next !== undefined) this.session = next;
    return next !== undefined;
  }
}
