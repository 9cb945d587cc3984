import type { Paired } from '@pairline/protocol';
import { Keyring } from './keys/index.js';
import { deleteDevice } from './members.js';
import type { Session, Store, Values, Writing } from './store.js';
import { freshSync, tellOfMember } from './sync.js';
import { ClientError } from './types.js';
import { Turns } from './waiting.js';
import type { Account } from './web-account.js';
import type { Shown } from './web-pairing.js';

type Saved = Pick<Values, 'session' | 'keyring' | 'sync'>;

export interface SessionEvents {
  /** What there is for a session; throws a `ClientError` when its keys are damaged. */
  open: (session: Session, keyring: Saved['keyring']) => Account;
  signedIn: (saved: Saved) => Promise<void>;
  signedOut: (reason: string | undefined) => void;
  /** Resolves when nothing is done for the account any more. */
  leave: () => Promise<void>;
}

/** Who is signed in on this device, which all tabs of a store agree on: what the store says, counts. */
export class WebSession {
  account: Account | undefined;
  private readonly loads = new Turns();
  private closed = false;

  constructor(
    private readonly url: string,
    private readonly store: Store,
    private readonly events: SessionEvents,
  ) {}

  /** Throws a `ClientError` `not_paired` when there is nobody. */
  signedIn(): Account {
    if (this.account === undefined) throw new ClientError('not_paired', 'Nobody is signed in here');
    return this.account;
  }

  /** Goes by what the store says: signed in, and as whom, or not. */
  load(reason?: string): Promise<void> {
    return this.loads.take(async () => {
      const saved = await this.saved();
      if (this.closed || (saved.session !== undefined && saved.session.token === this.account?.session.token)) return;
      await this.leave();
      try {
        this.account = saved.session && this.events.open(saved.session, saved.keyring);
      } catch (error) {
        // Damaged keys: whoever pairs again with the same account goes on with what is here.
        if (!(error instanceof ClientError)) throw error;
        reason = error.code;
      }
      if (this.account === undefined) this.events.signedOut(reason);
      else await this.events.signedIn(saved);
    });
  }

  /** Begins a session with the answer to a code that was shown. Rejects with `no_keys` when its keys do not open. */
  async signIn(paired: Paired, { code, device }: Shown, remember: boolean): Promise<void> {
    const { sessionToken: token, accountId, sessionId: deviceId, deviceId: phoneId, keys } = paired;
    let keyring: Keyring | undefined;
    try {
      if (keys !== undefined) {
        if (code === undefined || device === undefined) throw new ClientError('no_keys', 'This page cannot encrypt');
        keyring = await Keyring.accept(keys, code, device, { accountId, deviceId });
      } else if ((await this.saved()).keyring?.accountId === accountId)
        throw new ClientError('no_keys', 'This account is end-to-end encrypted, and the answer came without its keys');
    } catch (error) {
      // A session without the keys is of no use to anybody.
      await deleteDevice(this.url, token, deviceId).catch(() => undefined);
      throw error;
    }
    await this.leave();
    await this.store.remember(remember);
    await this.store.write(async (tx) => {
      const sync = await tx.value('sync');
      // Rows of the same account, and what was written there, outlive a session that ran out.
      if (sync?.accountId !== accountId) {
        await tx.clear();
        await tx.set('sync', freshSync(accountId));
      }
      await tx.set('session', { token, accountId, deviceId, phoneId });
      await tx.set('keyring', keyring?.save());
      if (keyring !== undefined) await tellOfMember(tx, keyring);
    });
    this.store.announce({ session: true });
    await this.load();
  }

  async signOut(): Promise<void> {
    const session = this.account?.session;
    // Whether the server hears of it or not: what is stored here goes.
    if (session !== undefined) await deleteDevice(this.url, session.token, session.deviceId).catch(() => undefined);
    await this.end(session, (tx) => tx.clear());
  }

  /** The session is over; unless this device was removed, what is here stays until somebody of another account signs in. */
  async lose(reason: string): Promise<void> {
    const removed = reason === 'device_revoked';
    const drop = (tx: Writing) => (removed ? tx.clear() : tx.set('session', undefined));
    await this.end(this.account?.session, drop, removed ? 'removed' : reason);
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.loads.over();
    await this.leave();
  }

  /** Ends a session, unless another tab has begun another one since. */
  private async end(
    session: Session | undefined,
    drop: (tx: Writing) => Promise<void>,
    reason?: string,
  ): Promise<void> {
    await this.leave();
    await this.store.write(async (tx) => {
      if ((await tx.value('session'))?.token === session?.token) await drop(tx);
    });
    this.store.announce({ session: true });
    await this.load(reason);
  }

  private async leave(): Promise<void> {
    const { account } = this;
    this.account = undefined;
    const left = account?.leave();
    await this.events.leave();
    await left;
  }

  private saved(): Promise<Saved> {
    return this.store.read(async (tx) => ({
      session: await tx.value('session'),
      keyring: await tx.value('keyring'),
      sync: await tx.value('sync'),
    }));
  }
}
