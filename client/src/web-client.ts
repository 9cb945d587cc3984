import type { AppRows, SignIn } from './apps.js';
import type { Touched } from './books.js';
import type { Host } from './chats/host.js';
import type { Rooms } from './chats/rooms.js';
import type { Chats } from './chats/types.js';
import { asClientError, Connection, type Phase } from './connection.js';
import { Emitter } from './emitter.js';
import type { Files } from './files/files.js';
import { call } from './http.js';
import { readCode, serverPart } from './keys/index.js';
import { claimError, deleteDevice } from './members.js';
import { Outbox } from './outbox.js';
import { loadPart } from './part.js';
import type { News, Store } from './store.js';
import { keepKeys } from './sync.js';
import type { ClientEvents, Contact, Conversation, Credentials, Device, Message, Pairing, SignInAs, State, WebClient } from './types.js'; // prettier-ignore
import * as views from './views.js';
import { wakeWithPage } from './wake.js';
import { Account } from './web-account.js';
import { WebPairing } from './web-pairing.js';
import { WebSession } from './web-session.js';
import { Wishes } from './wishes.js';

/**
 * Opens the client of a browser, or of any program that is not the phone, with what its store has: resolves when the state
 * says whether somebody is signed in, and goes on to connect by itself. Rejects when the store cannot be opened.
 */
export async function openWebClient({ url, store }: { url: string; store: Store }): Promise<WebClient> {
  await store.open();
  const client = new Web(new URL(url).origin, store);
  await client.start();
  return client;
}

const SIGNED_OUT: State = { phase: 'signed-out', phone: { here: false }, waiting: 0, encrypted: false, keys: 'none' };

const loadApps = () => loadPart(() => import('./apps.js'));
const loadChats = () => loadPart(() => import('./chats/index.js'));

class Web implements WebClient {
  state: State = { ...SIGNED_OUT, phase: 'connecting' };
  private readonly emitter = new Emitter<ClientEvents>();
  private readonly connection: Connection;
  private readonly session: WebSession;
  private readonly outbox: Outbox;
  private readonly wishes: Wishes;
  private apps: AppRows | undefined;
  private rooms: Rooms | undefined;
  private fileTransfers: Files | undefined;
  private readonly leave: (() => void)[];
  private pairing: WebPairing | undefined;
  private closed = false;

  constructor(
    private readonly url: string,
    private readonly store: Store,
  ) {
    this.connection = new Connection(url, {
      prepare: (signal) => this.session.signedIn().catchUp(signal),
      greet: async () => undefined,
      phase: (phase) => this.enter(phase),
      listeners: {
        changes: (page) => this.session.account?.take(page),
        userTyping: (typing) => this.rooms?.began(typing),
        userStoppedTyping: (typing) => this.rooms?.stopped(typing),
        'mobile:connected': ({ lastSeen }) => this.show({ phone: { ...this.state.phone, here: true, lastSeen } }),
        'mobile:disconnected': ({ lastSeen }) => this.show({ phone: { ...this.state.phone, here: false, lastSeen } }),
      },
    });
    this.outbox = new Outbox(
      store,
      this.connection,
      () => this.session.account?.reader,
      (thread) => this.touched({ threads: new Map([[thread, Infinity]]), list: true, devices: false }),
      async (record, wish) => (await this.rows()).tell(record, wish),
      async (record, wish) => (await this.openRooms()).tell(record, wish),
      async (id) => (await this.files()).remove(id),
    );
    this.session = new WebSession(url, store, {
      open: (session, keyring) =>
        new Account(url, store, this.connection, session, keyring, {
          touched: (touched) => this.touched(touched),
          progress: (rows) => this.progress(rows),
          learned: () => this.learned(),
          arrived: (id) => this.tellIncoming(id),
        }),
      signedIn: async ({ keyring }) => {
        this.show({ encrypted: keyring !== undefined });
        await this.showStanding();
        this.connection.start();
        this.tellAll();
      },
      signedOut: (reason) => {
        this.state = { ...SIGNED_OUT, ...(reason && { reason }) };
        this.emitter.emit('state', this.state);
        this.tellAll();
      },
      leave: async () => {
        await this.connection.stop();
        this.rooms?.wake();
        await this.outbox.over();
      },
    });
    this.wishes = new Wishes(
      store,
      () => {
        this.session.needDefault();
        return this.session.signedIn().reader;
      },
      (touched) => this.touched(touched),
    );
    this.leave = [store.onNews((news) => this.hear(news)), wakeWithPage(() => this.reconnect())];
  }

  start(): Promise<void> {
    return this.session.load();
  }

  on<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): () => void {
    return this.emitter.on(event, listener);
  }

  reconnect(): void {
    if (this.session.account !== undefined) this.connection.retry();
    this.fileTransfers?.hurry();
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const leave of this.leave) leave();
    this.fileTransfers?.close();
    this.rooms?.close();
    const closed = this.session.close();
    await this.pairing?.end();
    await closed;
    await this.store.close();
  }

  // Signing in and out

  pair({ deviceName, remember }: { deviceName: string; remember: boolean }): Pairing {
    this.pairing?.cancel();
    this.pairing = new WebPairing(this.url, deviceName, (paired, shown) => this.session.signIn(paired, shown, remember)); // prettier-ignore
    return this.pairing;
  }

  register = async (as: Credentials & { inviteToken?: string }) => (await this.door()).register(as);
  signIn = async (as: Credentials) => (await this.door()).signIn(as);
  requestCode = async (email: string) => (await this.door()).requestCode(email);
  signInByCode = async (by: SignInAs & { email: string; code: string }) => (await this.door()).signInByCode(by);
  addLogin = async (login: { name: string; password: string }) => {
    this.session.needDefault();
    await (await this.door()).addLogin(this.session.signedIn().session.token, login);
    this.rooms?.named();
  };

  signOut(): Promise<void> {
    return this.session.signOut();
  }

  async signOutEverywhere(): Promise<void> {
    const { access } = this.session.signedIn();
    const others = (await this.devices()).filter(({ kind, current }) => kind === 'browser' && !current);
    for (const { id } of others) await access.use((token) => deleteDevice(this.url, token, id));
    // The phone begins an epoch without all of them: what this device makes would be known to it.
    await this.signOut();
  }

  // Where things are

  private enter(phase: Phase): void {
    if (phase.phase === 'signed-out') return this.background(this.session.lose(phase.reason));
    this.show({ retryAt: undefined, reason: undefined, synced: undefined, ...phase });
    if (phase.phase !== 'live') return;
    this.showKeys();
    this.outbox.kick();
    this.fileTransfers?.hurry();
    this.session.account?.handLateKeys();
    this.rooms?.kick();
  }

  private learned(): void {
    this.emitter.emit('devices');
    if (this.state.phase === 'live') this.showKeys();
    // What waited for the key.
    this.outbox.kick();
  }

  private async showStanding(): Promise<void> {
    const { waiting, sealed, phoneGone } = await views.readStanding(this.store);
    const { here, lastSeen } = this.state.phone;
    const phone = {
      here,
      ...(lastSeen === undefined ? {} : { lastSeen }),
      ...(phoneGone ? { gone: true as const } : {}),
    };
    this.show({ waiting, phone, keys: this.state.encrypted ? 'here' : sealed ? 'elsewhere' : 'none' });
  }

  private showKeys(): void {
    this.show({ reason: this.session.account?.reader.keyring?.isLeftOut ? 'left_out' : undefined });
  }

  private progress(rows: number): void {
    if (this.state.phase === 'live' || rows === 0) return;
    this.show({ phase: 'syncing', synced: (this.state.synced ?? 0) + rows });
  }

  private show(part: Partial<State>): void {
    const state = { ...this.state, ...part };
    for (const key of ['retryAt', 'reason', 'synced'] as const) if (state[key] === undefined) delete state[key];
    if (JSON.stringify(state) === JSON.stringify(this.state)) return;
    this.state = state;
    this.emitter.emit('state', state);
  }

  /** What nobody waits for: a store that fails is seen in the state. */
  private background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.closed) this.show({ reason: asClientError(error).code });
    });
  }

  // What changed

  private touched({ threads, list, devices, values, records, outbox, inbox }: Touched): void {
    const conversations = [...threads];
    if (list || conversations.length > 0) this.store.announce({ conversations });
    this.tell(conversations, list);
    if (devices) this.emitter.emit('devices');
    const rows = { ...(values && { values }), ...(records && { records: [...records] }) };
    if (values || records) this.store.announce(rows);
    this.tellRows(rows);
    if (outbox) this.outbox.kick();
    if (list) this.rooms?.listChanged();
    // One's own keys come as a state.
    if (inbox || list) this.openInbox(inbox);
  }

  /** What another tab did. */
  private hear({ session, conversations, outbox, chats, ...rows }: News): void {
    if (session) this.background(this.session.load());
    if (conversations) this.tell(conversations, true);
    this.tellRows(rows);
    if (outbox) this.outbox.kick();
    if (chats) this.rooms?.hear(chats);
  }

  /** Rows of chats are opened by a part that a page which only shows texts does not load. */
  private openInbox(isFull = false): void {
    if (this.rooms !== undefined) this.rooms.kick();
    else if (isFull) this.background(this.chats().then(() => undefined));
  }

  private tell(conversations: [id: string, since: number][], list: boolean): void {
    for (const [id, since] of conversations) this.emitter.emit('messages', id, since);
    if (list) this.emitter.emit('conversations');
    this.background(this.showStanding());
  }

  private tellRows({ values, records = [] }: Pick<News, 'values' | 'records'>): void {
    if (values) this.emitter.emit('values');
    for (const table of records) this.emitter.emit('records', table);
  }

  private tellAll(): void {
    this.emitter.emit('conversations');
    this.emitter.emit('devices');
    this.emitter.emit('values');
    this.emitter.emit('records');
  }

  private async tellIncoming(id: string): Promise<void> {
    const message = await views.readMessage(this.store, id);
    const conversation = message && (await views.readConversation(this.store, message.conversationId));
    // A notification is believed at a glance: there is none for what may be forged.
    const isForged = message?.fault === 'not-sealed' || message?.fault === 'tampered';
    if (message !== undefined && conversation !== undefined && !message.read && !isForged)
      this.emitter.emit('incoming', message, conversation);
  }

  // What is there

  /** For what there is in the realm `default` alone. */
  private get defaultStore(): Store {
    this.session.needDefault();
    return this.store;
  }

  async conversations(): Promise<Conversation[]> {
    return views.listConversations(this.defaultStore);
  }

  async conversation(id: string): Promise<Conversation | undefined> {
    return views.readConversation(this.defaultStore, id);
  }

  async messages(conversationId: string, options: { limit?: number; before?: Message } = {}): Promise<Message[]> {
    return views.readThread(this.defaultStore, conversationId, options.limit ?? 50, options.before);
  }

  async around(messageId: string, limit: number): Promise<Message[]> {
    return views.readAround(this.defaultStore, messageId, limit);
  }

  async after(message: Message, limit: number): Promise<Message[]> {
    return views.readAfter(this.defaultStore, message, limit);
  }

  texts(): AsyncIterable<views.Text[]> {
    return views.readTexts(this.defaultStore);
  }

  async message(id: string): Promise<Message | undefined> {
    return views.readMessage(this.defaultStore, id);
  }

  async contacts(): Promise<Contact[]> {
    return views.listContacts(this.defaultStore);
  }

  // What people do

  send(to: { conversationId: string } | { number: string }, text: string): Promise<Message> {
    return this.wishes.send(to, text);
  }

  retry(messageId: string): Promise<Message> {
    return this.wishes.retry(messageId);
  }

  deleteMessage(messageId: string): Promise<void> {
    return this.wishes.deleteMessage(messageId);
  }

  markRead(conversationId: string): Promise<void> {
    return this.wishes.markRead(conversationId);
  }

  setFlags(conversationId: string, flags: { pinned?: boolean; archived?: boolean }): Promise<void> {
    return this.wishes.setFlags(conversationId, flags);
  }

  saveDraft(conversationId: string, text: string): Promise<void> {
    return this.wishes.saveDraft(conversationId, text);
  }

  // Rows of apps

  value = async (key: string) => (await this.states()).value(key);
  values = async () => (await this.states()).values();
  setValue = async (key: string, value: unknown) => (await this.states()).setValue(key, value);
  deleteValue = async (key: string) => (await this.states()).deleteValue(key);
  records = async (table: string) => (await this.rows()).records(table);
  record = async (id: string) => (await this.rows()).record(id);
  putRecord = async (table: string, data: unknown, id?: string) => (await this.rows()).putRecord(table, data, id);
  deleteRecord = async (id: string) => (await this.rows()).deleteRecord(id);

  private states(): Promise<AppRows> {
    this.session.needDefault();
    return this.rows();
  }

  private async rows(): Promise<AppRows> {
    const { AppRows } = await loadApps();
    this.apps ??= new AppRows(
      this.url,
      this.store,
      () => this.session.account,
      async (work) => {
        this.session.signedIn();
        await this.wishes.keep(work);
      },
      (touched) => this.touched(touched),
      (event, payload) => this.connection.request(event, payload),
    );
    return this.apps;
  }

  chats = async (): Promise<Chats> => {
    const rooms = await this.openRooms();
    rooms.kick();
    return rooms;
  };

  startOver = async () => {
    this.session.needDefault();
    const { startOver } = await loadChats();
    return startOver(this.host);
  };

  private async openRooms(): Promise<Rooms> {
    this.session.needDefault();
    const { Rooms } = await loadChats();
    return (this.rooms ??= new Rooms(this.host));
  }

  private get host(): Host {
    return {
      url: this.url,
      store: this.store,
      account: () => this.session.account,
      isLive: () => this.connection.isLive,
      change: (work) => this.wishes.change(work),
      request: (event, payload) => this.connection.request(event, payload),
      reload: () => this.session.reload(),
      background: (work) => this.background(work),
      setFlags: (id, flags) => this.wishes.setFlags(id, flags),
      saveDraft: (id, text) => this.wishes.saveDraft(id, text),
    };
  }

  files = async () => {
    this.session.needDefault();
    const { Files } = await loadPart(() => import('./files/files.js'));
    return (this.fileTransfers ??= new Files(this.url, () => this.session.signedIn().session.token));
  };

  private async door(): Promise<SignIn> {
    const { SignIn } = await loadApps();
    return new SignIn(this.url, this.session, () => this.pairing?.cancel());
  }

  // Devices

  async approve(text: string): Promise<void> {
    this.session.needDefault();
    const { session, members } = this.session.signedIn();
    const code = readCode(text);
    const epoch = members?.keyring.epoch;
    const body = { qrData: serverPart(code), keys: await members?.keyring.handOver(code) };
    const request = { token: session.token, body };
    const { data } = await call<{ data: { sessionId: string } }>(this.url, '/api/pairing/claim', request).catch(
      (error: unknown) => {
        throw claimError(error, code, this.url);
      },
    );
    if (members === undefined) return;
    members.keyring.admit({ deviceId: data.sessionId, key: code.key! }, epoch);
    await this.store.write((tx) => keepKeys(tx, members.keyring));
    this.emitter.emit('devices');
    this.session.account?.handLateKeys();
  }

  async devices(): Promise<Device[]> {
    return this.session.signedIn().listDevices();
  }

  async renameDevice(id: string, name: string): Promise<void> {
    const path = `/api/devices/${encodeURIComponent(id)}`;
    const { access } = this.session.signedIn();
    await access.use((token) => call(this.url, path, { token, method: 'PATCH', body: { name } }));
  }

  async removeDevice(id: string): Promise<void> {
    const { session, members, access } = this.session.signedIn();
    if (id === session.deviceId) return this.signOut();
    await access.use((token) => deleteDevice(this.url, token, id));
    await members?.shutOut(id);
    this.emitter.emit('devices');
  }

  async safetyWords(deviceId: string): Promise<string[] | undefined> {
    return this.session.account?.members?.keyring.safetyWords(deviceId);
  }
}
