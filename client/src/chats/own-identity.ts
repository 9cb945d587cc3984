import { STATE, type IdentityKeys, type IdentityValue } from '@pairline/protocol';
import { ClientError } from '../types.js';
import { ask, identityOf, myIdentity, readIdentities, signedIn, type Host } from './host.js';
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

  /** New ones, signed by those before. Where another device renews them too, or this one did not get to the end, the same. */
  async renew(): Promise<void> {
    const { keys } = await myIdentity(this.host.store);
    await this.put([...keys, await this.next(keys.length)], false);
    await this.publish();
  }

  private async next(before: number): Promise<IdentityKeys> {
    const { reader, keyring } = this.sealing();
    const [key, made] = [STATE.renewal(before), await newIdentity()];
    const value: IdentityValue = { keys: [made], version: 1 };
    if (await this.putOnce(key, await keyring.seal('state', key, value))) return made;
    const { sessionData } = await ask<{ sessionData: Record<string, unknown> }>(this.host, '/api/session');
    const opened = await reader.state({ id: key, value: sessionData[key] });
    const [taken] = readIdentities(opened.value);
    if (taken === undefined) throw new ClientError('tampered', 'New keys of this account cannot be opened');
    return taken;
  }

  who(): Promise<Who> {
    return ask<Who>(this.host, '/api/account');
  }

  /** Answers whether it stands. */
  private async put(keys: IdentityKeys[], ifAbsent: boolean): Promise<boolean> {
    const { keyring } = this.sealing();
    const { store } = this.host;
    const key = STATE.identity;
    const old = await store.read((tx) => tx.get('states', key));
    const version = Math.max(Date.now(), (old?.version?.version ?? 0) + 1);
    const value: IdentityValue = { keys, version };
    const sealed = await keyring.seal('state', key, value);
    if (!ifAbsent) await this.host.request('state:put', { key, value: sealed });
    else if (!(await this.putOnce(key, sealed))) return false;
    await store.write(async (tx) => {
      const round = (await tx.value('sync'))?.round ?? 1;
      await tx.put('states', [{ id: key, value, version: { epoch: keyring.epoch, version }, round }]);
    });
    return true;
  }

  /** Answers whether it stands. */
  private async putOnce(key: string, value: string): Promise<boolean> {
    try {
      await this.host.request('state:put', { key, value, ifAbsent: true });
      return true;
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'state_exists') throw error;
      return false;
    }
  }

  private sealing() {
    const { reader } = signedIn(this.host);
    const { keyring } = reader;
    if (keyring === undefined) throw new ClientError('no_keys', 'The keys of this account are not on this device');
    return { reader, keyring };
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
    await this.settle(next);
  }

  /** In place of others: every chat begins another epoch, for who has those has its key. After a crash before this it is done again. */
  private settle(next: string): Promise<void> {
    const { store } = this.host;
    return store.exclusive('chats', () =>
      store.write(async (tx) => {
        const isRenewal = (await tx.value('published')) !== undefined;
        const chats = isRenewal ? (await tx.all('chats')).filter(({ row }) => row !== undefined) : [];
        await tx.put('chats', chats.map((chat) => ({ ...chat, spent: chat.row!.epoch }))); // prettier-ignore
        await tx.set('published', next);
      }),
    );
  }
}
