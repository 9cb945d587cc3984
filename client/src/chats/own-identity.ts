import { STATE, type IdentityKeys, type IdentityValue } from '@pairline/protocol';
import { ClientError } from '../types.js';
import { ask, identityOf, myIdentity, signedIn, type Host } from './host.js';
import { newIdentity, publicKeyOf, signChange } from './identity.js';

interface Who {
  userId: string;
  name?: string;
  email?: string;
  publicKey?: string;
  hidden?: boolean;
}

/** The keys of the person: made by their first device, kept as a sealed state for all of them, and published. */
export class OwnIdentity {
  /** The account of a phone without a login: there is nobody to publish keys for. */
  private nobody: string | undefined;

  constructor(private readonly host: Host) {}

  /** False while it is not known here: another device has made it, and it is on its way. */
  async ensure(): Promise<boolean> {
    const known = await this.host.store.read(identityOf);
    if (known.length === 0 && !(await this.put([await newIdentity()], true))) return false;
    await this.publish();
    return true;
  }

  /** There is a login now. */
  named(): void {
    this.nobody = undefined;
  }

  /** New ones, signed by those before. */
  async renew(): Promise<void> {
    const { keys } = await myIdentity(this.host.store);
    await this.put([...keys, await newIdentity()], false);
    await this.publish();
  }

  who(): Promise<Who> {
    return ask<Who>(this.host, '/api/account');
  }

  /** Answers whether it stands. */
  private async put(keys: IdentityKeys[], ifAbsent: boolean): Promise<boolean> {
    const { keyring } = signedIn(this.host).reader;
    if (keyring === undefined) throw new ClientError('no_keys', 'The keys of this account are not on this device');
    const { store } = this.host;
    const key = STATE.identity;
    const old = await store.read((tx) => tx.get('states', key));
    const version = Math.max(Date.now(), (old?.version?.version ?? 0) + 1);
    const value: IdentityValue = { keys, version };
    const sealed = await keyring.seal('state', key, value);
    try {
      await this.host.request('state:put', { key, value: sealed, ...(ifAbsent && { ifAbsent }) });
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'state_exists') throw error;
      return false;
    }
    await store.write(async (tx) => {
      const round = (await tx.value('sync'))?.round ?? 1;
      await tx.put('states', [{ id: key, value, version: { epoch: keyring.epoch, version }, round }]);
    });
    return true;
  }

  private async publish(): Promise<void> {
    const { keys, own } = await myIdentity(this.host.store);
    const next = publicKeyOf(own);
    if ((await this.host.store.read((tx) => tx.value('published'))) === next) return;
    const { accountId } = signedIn(this.host).session;
    if (this.nobody === accountId) return;
    const { publicKey: standing, name, email } = await this.who();
    if (name === undefined && email === undefined) {
      this.nobody = accountId;
      return;
    }
    const before = keys.find((known) => publicKeyOf(known) === standing);
    if (standing !== next) {
      // Who knows the one before is told by it.
      const signature = before && (await signChange(before, next));
      await ask(this.host, '/api/profile/public-key', { method: 'PUT', body: { public_key: next, ...(signature && { signature }) } }); // prettier-ignore
    }
    await this.host.store.write((tx) => tx.set('published', next));
  }
}
