import { Connection, type Phase } from './connection.js';
import { Emitter } from './emitter.js';
import type { Files } from './files/files.js';
import { Keyring, readCode, serverPart } from './keys/index.js';
import { MemberCheck } from './member-check.js';
import { claimError, deleteDevice, listDevices, Members } from './members.js';
import { Offers } from './offers.js';
import { loadPart } from './part.js';
import type { PhoneAccount } from './phone-account.js';
import { PhoneFollowing } from './phone-following.js';
import { PhoneIdentity } from './phone-identity.js';
import { Reader } from './reading.js';
import type { Store } from './store.js';
import { Telling } from './telling.js';
import {
  ClientError,
  type Contact,
  type Device,
  type PhoneClient,
  type PhoneEvents,
  type State,
  type ToldConversation,
  type ToldMessage,
  type Wanted,
} from './types.js';

export interface PhoneOptions {
  url: string;
  store: Store;
  /** How the phone is called in the list of devices. */
  deviceName: string;
  deviceModel?: string;
  /** For a server that takes new phones by invitation. */
  inviteToken?: string;
}

/**
 * Opens the client of an account's phone. The first time, it registers and makes the account's keys; from then on its store
 * says who it is. Resolves when the store is open, and goes on to connect by itself.
 */
export async function openPhone(options: PhoneOptions): Promise<PhoneClient> {
  await options.store.open();
  const client = new Phone({ ...options, url: new URL(options.url).origin }, await PhoneIdentity.load(options.store));
  client.start();
  return client;
}

class Phone implements PhoneClient {
  state: State = { phase: 'connecting', phone: { here: false }, waiting: 0, encrypted: true, keys: 'here' };
  private readonly emitter = new Emitter<PhoneEvents>();
  private readonly connection: Connection;
  private readonly following: PhoneFollowing;
  private readonly offers: Offers;
  private readonly telling: Telling;
  private readonly check: MemberCheck;
  private becomeKnown!: (account: PhoneAccount) => void;
  private readonly account = new Promise<PhoneAccount>((resolve) => (this.becomeKnown = resolve));
  private fileTransfers: Files | undefined;
  private closed = false;

  constructor(
    private readonly options: PhoneOptions,
    private readonly identity: PhoneIdentity,
  ) {
    const { url } = options;
    this.connection = new Connection(url, {
      prepare: (signal) => this.catchUp(signal),
      greet: () => this.register(),
      phase: (phase) => this.enter(phase),
      listeners: {
        changes: (page) => this.following.take(page),
        'send:message': (payload, ack) => this.offers.take(payload, ack),
        'mark:read': ({ conversationId }, ack) => {
          this.emitter.emit('read', conversationId);
          ack({ ok: true });
        },
        'request:sync': () => this.emitter.emit('syncWanted'),
      },
    });
    const { connection, account } = this;
    const devices = () => this.emitter.emit('devices');
    this.check = new MemberCheck(url, identity, connection, account, devices);
    this.following = new PhoneFollowing(url, identity, connection, account, {
      devices,
      deviceGone: () => void this.check.run(),
      messageDeleted: (id) => this.emitter.emit('deleted', id),
      keysOwed: () => void this.check.run(),
    });
    this.offers = new Offers(
      connection,
      account,
      () => this.following.readAhead(),
      (what) => this.emitter.emit('refused', what),
    );
    this.telling = new Telling(connection, identity, account);
    if (identity.keyring !== undefined) this.use(identity.keyring);
  }

  start(): void {
    this.connection.start();
  }

  on<E extends keyof PhoneEvents>(event: E, listener: (...args: PhoneEvents[E]) => void): () => void {
    return this.emitter.on(event, listener);
  }

  onSend(take: (wanted: Wanted) => Promise<void>): void {
    this.offers.handTo(take);
  }

  reconnect(): void {
    this.connection.retry();
    this.fileTransfers?.hurry();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    await this.end();
    if (this.identity.keyring !== undefined) await this.identity.keep();
    await this.options.store.close();
  }

  // Who this is

  private async catchUp(signal: AbortSignal): Promise<{ token?: string; after: number; inviteToken?: string }> {
    this.offers.renew();
    const after = await this.following.catchUp(signal);
    const { deviceToken: token } = this.identity.is;
    const { inviteToken } = this.options;
    if (token !== undefined) return { token, after };
    return { after, ...(inviteToken === undefined ? {} : { inviteToken }) };
  }

  private async register(): Promise<void> {
    const { identity } = this;
    const { deviceId, deviceToken } = identity.is;
    const { deviceName, deviceModel, inviteToken } = this.options;
    let ack: { accountId: string; deviceToken?: string };
    try {
      ack = await this.connection.request('mobile:register', { deviceId, deviceName, deviceModel, deviceToken, inviteToken }); // prettier-ignore
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'device_token_required' || deviceToken !== undefined) throw error; // prettier-ignore
      // An answer with the token was lost, and the id with it.
      identity.becomeAnother();
      throw new ClientError('restart', 'Registering under another id');
    }
    const { accountId } = ack;
    if (identity.keyring === undefined) this.use(await Keyring.create(accountId, deviceId));
    else if (identity.keyring.accountId !== accountId)
      throw new ClientError('authentication_failed', 'The server has another account for this phone');
    identity.change({ accountId, deviceToken: ack.deviceToken ?? deviceToken });
    await identity.keep();
  }

  private use(keyring: Keyring): void {
    const { identity } = this;
    identity.keyring = keyring;
    const members = new Members(keyring, this.connection, {
      keep: () => identity.keep(),
      refresh: async () => undefined,
      list: () => listDevices(this.options.url, identity.is.deviceToken!, keyring),
      clears: true,
    });
    this.becomeKnown({ reader: new Reader(keyring), keyring, members });
  }

  private async registered(): Promise<PhoneAccount & { token: string }> {
    await this.connection.ready();
    return { ...(await this.account), token: this.identity.is.deviceToken! };
  }

  private enter(phase: Phase): void {
    this.check.hurry();
    const here = phase.phase === 'live';
    if (here) {
      void this.check.run();
      this.fileTransfers?.hurry();
    }
    const reason = 'reason' in phase && phase.reason === 'device_revoked' ? { reason: 'removed' } : {};
    const lastSeen = here || this.state.phone.here ? Date.now() : this.state.phone.lastSeen;
    const phone = { here, ...(lastSeen === undefined ? {} : { lastSeen }) };
    this.state = { ...phase, ...reason, phone, waiting: 0, encrypted: true, keys: 'here' };
    this.emitter.emit('state', this.state);
  }

  // What the phone tells

  putConversations(conversations: ToldConversation[]): Promise<void> {
    return this.telling.conversations(conversations);
  }

  putMessages(messages: ToldMessage[]): Promise<void> {
    return this.telling.messages(messages);
  }

  putContacts(contacts: Contact[]): Promise<void> {
    return this.telling.contacts(contacts);
  }

  async status(messageId: string, status: 'sending' | 'sent' | 'delivered' | 'failed'): Promise<void> {
    await this.telling.status(messageId, status);
    if (status === 'failed') this.offers.forget(messageId);
  }

  deleteMessage(messageId: string): Promise<void> {
    return this.telling.deleted(messageId);
  }

  files = async () => {
    await this.registered();
    const { Files } = await loadPart(() => import('./files/files.js'));
    return (this.fileTransfers ??= new Files(this.options.url, () => this.identity.is.deviceToken!));
  };

  // Devices

  async pair(text: string): Promise<void> {
    const code = readCode(text);
    const { keyring } = await this.registered();
    const { epoch } = keyring;
    const keys = await keyring.handOver(code);
    const scan = { qrData: serverPart(code), deviceId: this.identity.is.deviceId, keys };
    const scanned = () => this.connection.request<{ sessionId: string }>('mobile:scan-qr', scan);
    let sessionId: string;
    try {
      ({ sessionId } = await scanned().catch(async (error: unknown) => {
        if (!isAmbiguous(error)) throw error;
        await this.connection.ready();
        return scanned();
      }));
    } catch (error) {
      throw claimError(error, code, this.options.url);
    }
    keyring.admit({ deviceId: sessionId, key: code.key! }, epoch);
    await this.identity.keep();
    if (keyring.owed().length > 0) void this.check.run();
  }

  async devices(): Promise<Device[]> {
    const { keyring, token } = await this.registered();
    return listDevices(this.options.url, token, keyring);
  }

  async removeDevice(id: string): Promise<void> {
    if (id === this.identity.is.deviceId) return this.unpair();
    const { members, token } = await this.registered();
    await deleteDevice(this.options.url, token, id);
    await members.shutOut(id);
  }

  async safetyWords(deviceId: string): Promise<string[] | undefined> {
    return this.identity.keyring?.safetyWords(deviceId);
  }

  async unpair(): Promise<void> {
    const { deviceId, deviceToken } = this.identity.is;
    // Whether the server hears of it or not: the keys go.
    if (deviceToken !== undefined) await deleteDevice(this.options.url, deviceToken, deviceId).catch(() => undefined);
    await this.end();
    await this.identity.forget();
    this.enter({ phase: 'signed-out', reason: 'removed' });
    await this.options.store.close();
  }

  private async end(): Promise<void> {
    this.closed = true;
    this.fileTransfers?.close();
    this.offers.end();
    this.check.hurry();
    await this.connection.stop();
    await this.following.over();
    await this.check.end();
  }
}

/** The event may have been worked off, or not. */
function isAmbiguous(error: unknown): boolean {
  return error instanceof ClientError && (error.code === 'offline' || error.code === 'timeout');
}
