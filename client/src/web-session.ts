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

  /** Throws a `ClientError` `wrong_role` in another realm than `default`: there is nothing but records there. */
  needDefault(): void {
    const slug = this.account?.session.realm?.slug;
    if (slug === undefined) return;
    throw new ClientError('wrong_role', `The realm ${slug} has records alone; this is to be had in the realm default`);
  }

  /** Goes by what the store says: signed in, and as whom, or not. */
  load(reason?: string): Promise<void> {
    return this.loads.take(async () => {
      const saved = await this.saved();
      if (this.closed || (saved.session !== undefined && this.isOpen(saved))) return;
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

  /** Looks again, here and in the other tabs: there are other keys. */
  reload(): Promise<void> {
    this.store.announce({ session: true });
    return this.load();
  }

  /** Begins a session with the answer to a code that was shown. Rejects with `no_keys` when its keys do not open. */
  async signIn(paired: Paired, { code, device }: Shown, remember: boolean, realm?: Session['realm']): Promise<void> {
    const { sessionToken: token, accountId, sessionId: deviceId, deviceId: phoneId, keys } = paired;
    let keyring: Keyring | undefined;
    try {
      if (keys !== undefined) {
        if (code === undefined || device === undefined) throw new ClientError('no_keys', 'This page cannot encrypt');
        keyring = await Keyring.accept(keys, code, device, { accountId, deviceId });
      } else keyring = await this.rejoin(accountId, deviceId);
    } catch (error) {
      // A session without the keys is of no use to anybody.
      await deleteDevice(this.url, token, deviceId).catch(() => undefined);
      throw error;
    }
    // One that had signed in, and had no keys, is let in under another id.
    const before = this.account?.members === undefined ? this.account?.session : undefined;
    await this.leave();
    await this.store.remember(remember);
    await this.store.write(async (tx) => {
      const sync = await tx.value('sync');
      // Rows of the same account, and what was written there, outlive a session that ran out.
      if (sync?.accountId !== accountId) {
        await tx.clear();
        await tx.set('sync', freshSync(accountId));
      }
      await tx.set('session', { token, accountId, deviceId, phoneId, ...(realm && { realm }) });
      await tx.set('keyring', keyring?.save());
      if (keyring !== undefined) await tellOfMember(tx, keyring);
    });
    this.store.announce({ session: true });
    await this.load();
    if (keys !== undefined && before?.accountId === accountId && before.deviceId !== deviceId)
      await deleteDevice(this.url, before.token, before.deviceId).catch(() => undefined);
  }

  /**
   * The keys that are here, for who has signed in again. Where a phone is, it lets this device in anew: what it would not answer,
   * keys do not go on with.
   */
  private async rejoin(accountId: string, deviceId: string): Promise<Keyring | undefined> {
    const { keyring, devices } = await this.store.read(async (tx) => ({
      keyring: await tx.value('keyring'),
      devices: await tx.all('devices'),
    }));
    if (keyring?.accountId !== accountId) return undefined;
    if (devices.some(({ kind }) => kind === 'phone'))
      throw new ClientError('no_keys', 'This account is end-to-end encrypted, and the answer came without its keys');
    return Keyring.rejoin(keyring, deviceId);
  }

  async signOut(): Promise<void> {
    const { access, session } = this.account ?? {};
    // Whether the server hears of it or not: what is stored here goes.
    await access?.use((token) => deleteDevice(this.url, token, session!.deviceId)).catch(() => undefined);
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
      if ((await tx.value('session'))?.deviceId === session?.deviceId) await drop(tx);
    });
    this.store.announce({ session: true });
    await this.load(reason);
  }

  private isOpen({ session, keyring }: Saved): boolean {
    const { account } = this;
    const key = account?.members?.keyring.member().key;
    return account?.session.deviceId === session?.deviceId && key === keyring?.device.publicKey;
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
