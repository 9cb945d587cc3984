import {
  STATE,
  type ChangesPage,
  type ContactsValue,
  type PhoneConversation,
  type PhoneMessage,
  type SealedConversation,
  type SealedMessage,
  type SnapshotPage,
} from '@pairline/protocol';
import { batches, tellParts } from './batches.js';
import { Connection, isPassing, waitAfter, type Phase } from './connection.js';
import { Emitter } from './emitter.js';
import { call } from './http.js';
import { Keyring, readCode, serverPart } from './keys/index.js';
import { claimError, deleteDevice, listDevices, Members, unlessGone } from './members.js';
import { isMessage, Reader } from './reading.js';
import type { PhoneState, Store } from './store.js';
import {
  ClientError,
  type Contact,
  type Device,
  type Fault,
  type PhoneClient,
  type PhoneEvents,
  type State,
  type ToldConversation,
  type ToldMessage,
  type Wanted,
} from './types.js';
import { pause, Turns } from './waiting.js';

const PAGE = 1000;
/** How many changes may be read once more after a restart. */
const CURSOR_SAVED_EVERY = 1000;
/** Of the address book, in one state row: UTF-8, before it is sealed. */
const CONTACTS_BYTES = 128 * 1024;

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
  const { phone, keys } = await options.store.read(async (tx) => ({
    phone: await tx.value('phone'),
    keys: await tx.value('keyring'),
  }));
  const client = new Phone(
    { ...options, url: new URL(options.url).origin },
    phone ?? { deviceId: newDeviceId(), cursor: 0, version: 0, contacts: [] },
    keys && Keyring.load(keys),
  );
  client.start();
  return client;
}

interface Offer {
  payload: { phoneNumber: string; message: string; tempId: string };
  ack: (answer: { ok: boolean }) => void;
}

class Phone implements PhoneClient {
  state: State = { phase: 'connecting', phone: { here: false }, waiting: 0, encrypted: true };
  private readonly emitter = new Emitter<PhoneEvents>();
  private readonly connection: Connection;
  private readonly pages = new Turns();
  private readonly checks = new Turns();
  /** One batch on its way at a time: what is asked for meanwhile comes between the batches of a long call. */
  private readonly lane = new Turns();
  private readonly offers = new Turns();
  private account: { reader: Reader; keyring: Keyring; members: Members } | undefined;
  private becomeKnown!: () => void;
  private readonly isKnown = new Promise<void>((resolve) => (this.becomeKnown = resolve));
  private taker: ((wanted: Wanted) => Promise<void>) | undefined;
  private takerComes!: () => void;
  private readonly hasTaker = new Promise<void>((resolve) => (this.takerComes = resolve));
  /** Taken here, whether the server knows or not. */
  private readonly taken = new Set<string>();
  /** Conversations as they were told last: telling the same again changes nothing. */
  private readonly told = new Map<string, { key: string; contactName: string }>();
  private savedCursor: number;
  /** Which connection it is: what an older one offered is offered again. */
  private round = 0;
  /** Between two tries to find out who is still a device. */
  private rest: AbortController | undefined;
  private closed = false;

  constructor(
    private readonly options: PhoneOptions,
    private me: PhoneState,
    keyring: Keyring | undefined,
  ) {
    this.connection = new Connection(options.url, {
      prepare: (signal) => this.catchUp(signal),
      greet: () => this.register(),
      phase: (phase) => this.enter(phase),
      listeners: {
        changes: (page) => this.take(page),
        'send:message': (payload, ack) => this.offered({ payload, ack }),
        'mark:read': ({ conversationId }, ack) => {
          this.emitter.emit('read', conversationId);
          ack({ ok: true });
        },
        'request:sync': () => this.emitter.emit('syncWanted'),
      },
    });
    this.savedCursor = me.cursor;
    if (keyring !== undefined) this.use(keyring);
  }

  start(): void {
    this.connection.start();
  }

  on<E extends keyof PhoneEvents>(event: E, listener: (...args: PhoneEvents[E]) => void): () => void {
    return this.emitter.on(event, listener);
  }

  onSend(take: (wanted: Wanted) => Promise<void>): void {
    this.taker = take;
    this.takerComes();
  }

  // Who this is

  private use(keyring: Keyring): void {
    const members = new Members(keyring, this.connection, {
      keep: () => this.keep(),
      refresh: async () => undefined,
      list: () => listDevices(this.options.url, this.me.deviceToken!, keyring),
      clears: true,
    });
    this.account = { reader: new Reader(keyring), keyring, members };
    this.becomeKnown();
  }

  private async register(): Promise<void> {
    const { deviceId, deviceToken } = this.me;
    const { deviceName, deviceModel, inviteToken } = this.options;
    let ack: { accountId: string; deviceToken?: string };
    try {
      ack = await this.connection.request('mobile:register', { deviceId, deviceName, deviceModel, deviceToken, inviteToken }); // prettier-ignore
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'device_token_required' || deviceToken !== undefined) throw error; // prettier-ignore
      // An answer with the token was lost, and the id with it.
      this.me = { ...this.me, deviceId: newDeviceId() };
      throw new ClientError('restart', 'Registering under another id');
    }
    const { accountId } = ack;
    if (this.account === undefined) this.use(await Keyring.create(accountId, deviceId));
    else if (this.account.keyring.accountId !== accountId)
      throw new ClientError('authentication_failed', 'The server has another account for this phone');
    this.me = { ...this.me, accountId, deviceToken: ack.deviceToken ?? deviceToken };
    await this.keep();
  }

  /** Keeps who this is and its keys. */
  private async keep(): Promise<void> {
    const { me, account } = this;
    await this.options.store.write(async (tx) => {
      await tx.set('phone', me);
      await tx.set('keyring', account?.keyring.save());
    });
    this.savedCursor = me.cursor;
  }

  private async registered() {
    await this.connection.ready();
    return { ...this.account!, token: this.me.deviceToken! };
  }

  private enter(phase: Phase): void {
    this.rest?.abort();
    if (phase.phase === 'live') void this.checkMembers();
    const reason = 'reason' in phase && phase.reason === 'device_revoked' ? { reason: 'removed' } : {};
    const here = phase.phase === 'live';
    const lastSeen = here || this.state.phone.here ? Date.now() : this.state.phone.lastSeen;
    const phone = { here, ...(lastSeen === undefined ? {} : { lastSeen }) };
    this.state = { ...phase, ...reason, phone, waiting: 0, encrypted: true };
    this.emitter.emit('state', this.state);
  }

  // Following the account: for its keys and devices. The messages in it are the phone's own.

  private async catchUp(signal: AbortSignal): Promise<{ token?: string; after: number; inviteToken?: string }> {
    this.round++;
    const { deviceToken: token } = this.me;
    const { inviteToken } = this.options;
    if (token === undefined) return { after: 0, ...(inviteToken === undefined ? {} : { inviteToken }) };
    await this.pages.over();
    await this.readOn(token, signal);
    return { token, after: this.me.cursor };
  }

  private async readOn(token: string, signal?: AbortSignal): Promise<void> {
    const get = <T>(path: string) => call<T>(this.options.url, path, { token, ...(signal && { signal }) });
    try {
      for (let more = true; more;) {
        const page: ChangesPage = await get(`/api/changes?after=${this.me.cursor}&limit=${PAGE}`);
        await this.learn(page);
        more = page.more ?? false;
      }
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'cursor_expired') throw error;
      await this.startOver(get);
    }
  }

  private async startOver(get: <T>(path: string) => Promise<T>): Promise<void> {
    let cursor: number | undefined;
    for (let next: number | undefined = 0; next !== undefined;) {
      const page: SnapshotPage = await get(`/api/snapshot?after=${next}&limit=${PAGE}`);
      cursor ??= page.cursor;
      await this.learn({ changes: page.changes, cursor: this.me.cursor });
      next = page.more ? page.next : undefined;
    }
    this.me = { ...this.me, cursor: cursor! };
    await this.keep();
  }

  private take(page: ChangesPage): void {
    const { round } = this;
    void this.pages.take(async () => {
      await this.isKnown;
      if (round !== this.round) return;
      try {
        await this.learn(page);
      } catch (error) {
        this.round++;
        this.connection.fail(error);
      }
    });
  }

  private async learn({ changes, cursor }: ChangesPage): Promise<void> {
    const { keyring, members } = this.account!;
    let learned = false;
    let devices = false;
    for (const { kind, id, op, row } of changes) {
      devices ||= kind === 'device';
      if (kind === 'device' && op === 'delete') void this.checkMembers();
      // Not from `delete:message`, which is not heard while there is no connection.
      if (kind === 'message' && op === 'delete') this.emitter.emit('deleted', id);
      if (kind !== 'state' || row === undefined) continue;
      // An epoch without the phone proves nothing: when it was removed, the server ends its token.
      learned ||= (await keyring.learn(id, row.value)) === 'learned';
    }
    this.me = { ...this.me, cursor };
    if (learned || cursor >= this.savedCursor + CURSOR_SAVED_EVERY) await this.keep();
    if (learned || keyring.isBlocked) members.learned();
    if (learned || devices) this.emitter.emit('devices');
  }

  /** Whoever is not a device any more is not to read what comes from now on. */
  private checkMembers(): Promise<void> {
    return this.checks.take(async () => {
      for (let attempt = 0, more = true; more; attempt++) {
        const { account, me } = this;
        if (account === undefined || me.deviceToken === undefined || this.closed) return;
        // As they were before the list: who joins meanwhile is not in it.
        const members = account.keyring.members();
        try {
          const devices = await listDevices(this.options.url, me.deviceToken, account.keyring);
          const gone = members.filter((member) => !devices.some(({ id }) => id === member.deviceId));
          for (const { deviceId } of gone) if (deviceId !== me.deviceId) await account.members.shutOut(deviceId);
          if (gone.length > 0) this.emitter.emit('devices');
          more = false;
        } catch (error) {
          if (!(error instanceof ClientError)) this.connection.fail(error);
          // The next connection checks again.
          more = isPassing(error) && this.connection.isLive;
          this.rest = new AbortController();
          if (more) await pause(waitAfter(error as ClientError, attempt), this.rest.signal);
        }
      }
    });
  }

  // What browsers want sent

  private offered(offer: Offer): void {
    const { round } = this;
    void this.offers.take(async () => {
      await this.hasTaker;
      if (round === this.round && !this.closed) await this.consider(offer);
    });
  }

  private async consider({ payload, ack }: Offer): Promise<void> {
    const { tempId: id } = payload;
    if (!this.taken.has(id)) {
      const wanted = await this.open(payload);
      if ('fault' in wanted) return this.refuse(id, wanted.fault);
      try {
        await this.taker!(wanted);
      } catch {
        return; // Not taken: it is offered again on the next connection.
      }
      this.taken.add(id);
    }
    ack({ ok: true });
  }

  private async open({ phoneNumber, message, tempId: id }: Offer['payload']): Promise<Wanted | { fault: Fault }> {
    const { keyring, reader } = this.account!;
    let opened = await keyring.open<SealedMessage>('message', id, message);
    if (!opened.ok && opened.fault === 'no-key') {
      // A new epoch comes with the changes, which may be behind.
      await this.pages.over();
      await this.readOn(this.me.deviceToken!).catch(() => undefined);
      opened = await keyring.open<SealedMessage>('message', id, message);
    }
    if (!opened.ok) return { fault: opened.fault };
    const { value, epoch } = opened;
    // Of an epoch that is over, it may come from a device that was removed.
    if (!isMessage(value) || value.wanted !== true || epoch !== keyring.epoch) return { fault: 'tampered' };
    const { number, text, conversationId } = value;
    if ((await reader.alias(number)) !== phoneNumber) return { fault: 'tampered' };
    return { id, number, text, ...(conversationId === undefined ? {} : { conversationId }) };
  }

  private async refuse(id: string, fault: Fault): Promise<void> {
    this.emitter.emit('refused', { id, fault });
    // Whoever wrote it sees that it was not sent. What has no key yet may have one later.
    if (fault !== 'no-key') await this.connection.request('mobile:message-status', { messageId: id, status: 'failed' }).catch(() => undefined); // prettier-ignore
  }

  // What the phone tells

  async pair(text: string): Promise<void> {
    const code = readCode(text);
    const { keyring } = await this.registered();
    const keys = await keyring.handOver(code);
    const scan = { qrData: serverPart(code), deviceId: this.me.deviceId, keys };
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
    keyring.admit({ deviceId: sessionId, key: code.key! });
    await this.keep();
  }

  async putConversations(conversations: ToldConversation[]): Promise<void> {
    const toRow = async ({ id, number, name, lastTime, unread }: ToldConversation): Promise<PhoneConversation> => ({
      id,
      phoneNumber: await this.account!.reader.alias(number),
      contactName: await this.sealedName(id, number, name),
      ...(lastTime === undefined ? {} : { lastMessageTime: lastTime }),
      ...(unread === undefined ? {} : { unreadCount: unread }),
    });
    await this.tellAll('mobile:conversations', conversations, async (part) => {
      const { version } = this.me;
      const rows = await Promise.all(part.map(toRow));
      // No version is given twice, also after a restart.
      if (this.me.version !== version) await this.keep();
      return { conversations: rows };
    });
  }

  async putMessages(messages: ToldMessage[]): Promise<void> {
    const toRow = async (message: ToldMessage): Promise<PhoneMessage> => {
      const { keyring, reader } = this.account!;
      const { id, conversationId, number, text, timestamp, type, status, read = type === 'sent' } = message;
      const content: SealedMessage = { number, text, type, timestamp, conversationId };
      const body = await keyring.seal('message', id, content);
      const row = { id, conversationId, phoneNumber: await reader.alias(number), body, timestamp, type, read };
      return status === undefined ? row : { ...row, status };
    };
    await this.tellAll('mobile:messages', messages, async (part) => ({
      messages: await Promise.all(part.map(toRow)),
    }));
  }

  async putContacts(contacts: Contact[]): Promise<void> {
    const pieces = piecesOf(contacts);
    for (const [i, piece] of pieces.entries()) {
      const digest = await digestOf(piece);
      if (this.me.contacts[i] === digest) continue;
      const key = STATE.contacts(i);
      const value: ContactsValue = { contacts: piece, version: this.nextVersion() };
      await this.keep();
      await this.tell('state:put', async () => ({ key, value: await this.account!.keyring.seal('state', key, value) }));
      this.me = { ...this.me, contacts: Object.assign([...this.me.contacts], { [i]: digest }) };
    }
    for (let i = pieces.length; i < this.me.contacts.length; i++)
      await this.tell('state:delete', async () => ({ key: STATE.contacts(i) })).catch(unlessGone);
    this.me = { ...this.me, contacts: this.me.contacts.slice(0, pieces.length) };
    await this.keep();
  }

  async status(messageId: string, status: 'sending' | 'sent' | 'delivered' | 'failed'): Promise<void> {
    await this.tell('mobile:message-status', async () => ({ messageId, status }));
    // Somebody may want it sent again.
    if (status === 'failed') this.taken.delete(messageId);
  }

  async deleteMessage(messageId: string): Promise<void> {
    await this.tell('message:deleted', async () => ({ messageId }));
  }

  private tell(event: string, payload: () => Promise<unknown>): Promise<object> {
    return this.lane.take(() => this.connection.deliver(event, payload));
  }

  /** Tells rows in batches, each sealed when it goes. */
  private async tellAll<T extends { id: string }>(
    event: string,
    rows: T[],
    payload: (part: T[]) => Promise<object>,
  ): Promise<void> {
    const refused: { row: T; error: ClientError }[] = [];
    for (const batch of batches(rows))
      refused.push(...(await tellParts(batch, (part) => this.tell(event, () => payload(part)))));
    const [first] = refused;
    if (first === undefined) return;
    const { code, message } = first.error;
    throw new ClientError(code, `${refused.length} of ${rows.length} were refused, ${first.row.id} first: ${message}`);
  }

  /** The sealed part of a conversation; the same again as long as it says the same. */
  private async sealedName(id: string, number: string, name: string | undefined): Promise<string> {
    const { keyring } = this.account!;
    const key = JSON.stringify([keyring.epoch, number, name]);
    const told = this.told.get(id);
    if (told?.key === key) return told.contactName;
    const content: SealedConversation = {
      number,
      ...(name === undefined ? {} : { name }),
      version: this.nextVersion(),
    };
    const contactName = await keyring.seal('conversation', id, content);
    this.told.set(id, { key, contactName });
    return contactName;
  }

  private nextVersion(): number {
    this.me = { ...this.me, version: Math.max(Date.now(), this.me.version + 1) };
    return this.me.version;
  }

  // Devices

  async devices(): Promise<Device[]> {
    const { keyring, token } = await this.registered();
    return listDevices(this.options.url, token, keyring);
  }

  async removeDevice(id: string): Promise<void> {
    if (id === this.me.deviceId) return this.unpair();
    const { members, token } = await this.registered();
    await deleteDevice(this.options.url, token, id);
    await members.shutOut(id);
  }

  async safetyWords(deviceId: string): Promise<string[] | undefined> {
    return this.account?.keyring.safetyWords(deviceId);
  }

  async unpair(): Promise<void> {
    const { deviceId, deviceToken } = this.me;
    // Whether the server hears of it or not: the keys go.
    if (deviceToken !== undefined) await deleteDevice(this.options.url, deviceToken, deviceId).catch(() => undefined);
    await this.end();
    await this.options.store.write((tx) => tx.clear());
    this.enter({ phase: 'signed-out', reason: 'removed' });
    await this.options.store.close();
  }

  reconnect(): void {
    this.connection.retry();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    await this.end();
    if (this.account !== undefined) await this.keep();
    await this.options.store.close();
  }

  private async end(): Promise<void> {
    this.closed = true;
    this.takerComes();
    this.rest?.abort();
    await this.connection.stop();
    await this.pages.over();
    await this.checks.over();
  }
}

function newDeviceId(): string {
  return `phone-${crypto.randomUUID()}`;
}

/** The event may have been worked off, or not. */
function isAmbiguous(error: unknown): boolean {
  return error instanceof ClientError && (error.code === 'offline' || error.code === 'timeout');
}

function piecesOf(contacts: Contact[]): Contact[][] {
  const pieces: Contact[][] = [];
  let size = Infinity;
  for (const contact of contacts) {
    const bytes = new TextEncoder().encode(JSON.stringify(contact)).length + 1;
    if (size + bytes > CONTACTS_BYTES) {
      pieces.push([]);
      size = 0;
    }
    pieces.at(-1)!.push(contact);
    size += bytes;
  }
  return pieces;
}

async function digestOf(contacts: Contact[]): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify(contacts)));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
