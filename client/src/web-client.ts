import { STATE, type ChangesPage, type FlagsValue, type Paired } from '@pairline/protocol';
import { Books, deletionOf, isProvisional, OWN, type Touched } from './books.js';
import { asClientError, Connection, type Phase } from './connection.js';
import { Emitter } from './emitter.js';
import { call } from './http.js';
import { newId } from './ids.js';
import { Keyring, readCode, serverPart } from './keys/index.js';
import { claimError, deleteDevice, listDevices, Members } from './members.js';
import { Outbox, seal } from './outbox.js';
import { Reader } from './reading.js';
import type { ConversationRecord, News, OutboxRecord, Session, Store, Values, Writing } from './store.js';
import { Behind, freshSync, keepKeys, Sync } from './sync.js';
import {
  ClientError,
  type ClientEvents,
  type Contact,
  type Conversation,
  type Device,
  type Message,
  type Pairing,
  type State,
  type WebClient,
} from './types.js';
import * as views from './views.js';
import { Turns } from './waiting.js';
import { WebPairing, type Shown } from './web-pairing.js';

/**
 * Opens the client of a browser, or of any program that is not the phone, with what its store has: resolves when the state
 * says whether somebody is signed in, and goes on to connect by itself. Rejects when the store cannot be opened.
 */
export async function openWebClient({ url, store }: { url: string; store: Store }): Promise<WebClient> {
  await store.open();
  const client = new Web(new URL(url).origin, store);
  await client.load();
  return client;
}

/** What there is while somebody is signed in. */
interface Account {
  session: Session;
  reader: Reader;
  sync: Sync;
  members?: Members;
}

/** The changes of one connection, up to where they have been taken. Broken: one of them could not be. */
interface Stream {
  cursor: number;
  broken: boolean;
}

class Web implements WebClient {
  state: State = { phase: 'connecting', phone: { here: false }, waiting: 0, encrypted: false };
  private readonly emitter = new Emitter<ClientEvents>();
  private readonly connection: Connection;
  private readonly outbox: Outbox;
  private readonly pages = new Turns();
  private readonly loads = new Turns();
  private readonly leave: (() => void)[];
  private account: Account | undefined;
  private stream: Stream = { cursor: 0, broken: true };
  private pairing: WebPairing | undefined;
  private closed = false;

  constructor(
    private readonly url: string,
    private readonly store: Store,
  ) {
    this.connection = new Connection(url, {
      prepare: (signal) => this.catchUp(signal),
      greet: async () => undefined,
      phase: (phase) => this.enter(phase),
      listeners: {
        changes: (page) => this.take(page),
        'mobile:connected': ({ lastSeen }) => this.show({ phone: { here: true, lastSeen } }),
        'mobile:disconnected': ({ lastSeen }) => this.show({ phone: { here: false, lastSeen } }),
      },
    });
    this.outbox = new Outbox(
      store,
      this.connection,
      () => this.account?.reader,
      (thread) => this.touched({ threads: new Map([[thread, Infinity]]), list: true, devices: false }),
    );
    this.leave = [store.onNews((news) => this.hear(news)), wakeWithPage(() => this.reconnect())];
  }

  on<E extends keyof ClientEvents>(event: E, listener: (...args: ClientEvents[E]) => void): () => void {
    return this.emitter.on(event, listener);
  }

  // Signing in and out

  pair({ deviceName, remember }: { deviceName: string; remember: boolean }): Pairing {
    this.pairing?.cancel();
    this.pairing = new WebPairing(this.url, deviceName, (paired, shown) => this.signIn(paired, shown, remember));
    return this.pairing;
  }

  async approve(text: string): Promise<void> {
    const { session, members } = this.signedIn();
    const code = readCode(text);
    const body = { qrData: serverPart(code), keys: await members?.keyring.handOver(code) };
    const request = { token: session.token, body };
    const { data } = await call<{ data: { sessionId: string } }>(this.url, '/api/pairing/claim', request).catch(
      (error: unknown) => {
        throw claimError(error, code, this.url);
      },
    );
    if (members === undefined) return;
    members.keyring.admit({ deviceId: data.sessionId, key: code.key! });
    await this.store.write((tx) => keepKeys(tx, members.keyring));
    this.emitter.emit('devices');
  }

  async signOut(): Promise<void> {
    const session = this.account?.session;
    // Whether the server hears of it or not: what is stored here goes.
    if (session !== undefined) await deleteDevice(this.url, session.token, session.deviceId).catch(() => undefined);
    await this.end(session, (tx) => tx.clear());
  }

  async signOutEverywhere(): Promise<void> {
    const { session } = this.signedIn();
    const others = (await this.devices()).filter(({ kind, current }) => kind === 'browser' && !current);
    for (const { id } of others) await deleteDevice(this.url, session.token, id);
    // The phone begins an epoch without all of them: what this device makes would be known to it.
    await this.signOut();
  }

  private async signIn(paired: Paired, { code, device }: Shown, remember: boolean): Promise<void> {
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
    await this.leaveAccount();
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
      if (keyring === undefined) return;
      const wish = { kind: 'put' as const, key: STATE.member(deviceId), value: keyring.member() };
      await tx.put('outbox', [{ id: wish.key, order: '', wish }]);
    });
    this.store.announce({ session: true });
    await this.load();
  }

  /** The session is over; unless this device was removed, what is here stays until somebody of another account signs in. */
  private async endSession(session: Session | undefined, reason: string): Promise<void> {
    let removed = reason === 'device_revoked';
    // An epoch without this device. Anybody may have made that up, so it takes the server's word to drop everything.
    if (reason === 'removed' && session !== undefined)
      await deleteDevice(this.url, session.token, session.deviceId).catch((error: unknown) => {
        removed = asClientError(error).code === 'device_revoked';
      });
    await this.end(
      session,
      (tx) => (removed ? tx.clear() : tx.set('session', undefined)),
      removed ? 'removed' : reason,
    );
  }

  /** Ends a session, unless another tab has begun another one since. */
  private async end(
    session: Session | undefined,
    drop: (tx: Writing) => Promise<void>,
    reason?: string,
  ): Promise<void> {
    await this.leaveAccount();
    await this.store.write(async (tx) => {
      if ((await tx.value('session'))?.token === session?.token) await drop(tx);
    });
    this.store.announce({ session: true });
    await this.load(reason);
  }

  private async leaveAccount(): Promise<void> {
    this.account = undefined;
    await this.connection.stop();
    await this.pages.over();
    await this.outbox.over();
  }

  /** Goes by what the store says: signed in, and as whom, or not. */
  load(reason?: string): Promise<void> {
    return this.loads.take(async () => {
      const saved = await this.saved();
      if (this.closed || (saved.session !== undefined && saved.session.token === this.account?.session.token)) return;
      await this.leaveAccount();
      let account: Account | undefined;
      try {
        account = saved.session && this.accountOf(saved.session, saved);
      } catch (error) {
        // Damaged keys: whoever pairs again with the same account goes on with what is here.
        if (!(error instanceof ClientError)) throw error;
        reason = error.code;
      }
      if (account === undefined) {
        this.state = { phase: 'signed-out', phone: { here: false }, waiting: 0, encrypted: false, ...(reason && { reason }) }; // prettier-ignore
        this.emitter.emit('state', this.state);
      } else {
        this.account = account;
        this.show({ encrypted: saved.keyring !== undefined, waiting: saved.sync?.waiting ?? 0 });
        this.connection.start();
      }
      this.emitter.emit('conversations');
      this.emitter.emit('devices');
    });
  }

  private saved(): Promise<Pick<Values, 'session' | 'keyring' | 'sync'>> {
    return this.store.read(async (tx) => ({
      session: await tx.value('session'),
      keyring: await tx.value('keyring'),
      sync: await tx.value('sync'),
    }));
  }

  private accountOf(session: Session, { keyring: keys }: Pick<Values, 'keyring'>): Account {
    const keyring = keys && Keyring.load(keys);
    const members =
      keyring &&
      new Members(keyring, this.connection, {
        keep: () => this.store.write((tx) => keepKeys(tx, keyring)),
        refresh: () => sync.refresh(),
        list: () => listDevices(this.url, session.token, keyring),
        clears: false,
      });
    const reader = new Reader(keyring);
    const sync: Sync = new Sync(this.store, reader, session.accountId, {
      touched: (touched) => this.touched(touched),
      progress: (rows) => this.progress(rows),
      learned: () => {
        members?.learned();
        this.emitter.emit('devices');
      },
    });
    return { session, reader, sync, ...(members && { members }) };
  }

  private signedIn(): Account {
    if (this.account === undefined) throw new ClientError('not_paired', 'Nobody is signed in here');
    return this.account;
  }

  // Following the account

  /** What came while there was no connection; answers what to connect with. */
  private async catchUp(signal: AbortSignal): Promise<{ token: string; after: number }> {
    await this.pages.over();
    const { session, sync } = this.signedIn();
    await sync.reopen();
    const cursor = await sync.catchUp((path) => call(this.url, path, { token: session.token, signal }));
    this.stream = { cursor, broken: false };
    return { token: session.token, after: cursor };
  }

  /** A page of changes, in its turn. */
  private take(page: ChangesPage): void {
    const { stream, account } = this;
    void this.pages.take(async () => {
      // What comes after a page that was not taken would leave a gap.
      if (stream.broken || account === undefined || account !== this.account) return;
      try {
        const arrived = await account.sync.take(page, stream.cursor);
        stream.cursor = page.cursor;
        for (const { id } of arrived) await this.tellIncoming(id);
      } catch (error) {
        stream.broken = true;
        if (error instanceof Behind) this.connection.restart();
        else this.connection.fail(error);
      }
    });
  }

  private async tellIncoming(id: string): Promise<void> {
    const message = await this.message(id);
    const conversation = message && (await this.conversation(message.conversationId));
    if (message !== undefined && conversation !== undefined && !message.read)
      this.emitter.emit('incoming', message, conversation);
  }

  private enter(phase: Phase): void {
    if (phase.phase === 'signed-out') {
      return this.background(this.endSession(this.account?.session, phase.reason));
    }
    this.show({ retryAt: undefined, reason: undefined, synced: undefined, ...phase });
    if (phase.phase === 'live') this.outbox.kick();
  }

  private progress(rows: number): void {
    if (this.state.phase === 'live' || rows === 0) return;
    this.show({ phase: 'syncing', synced: (this.state.synced ?? 0) + rows });
  }

  private touched({ threads, list, devices, outbox }: Touched): void {
    const conversations = [...threads];
    if (list || conversations.length > 0) this.store.announce({ conversations });
    this.tell(conversations, list);
    if (devices) this.emitter.emit('devices');
    if (outbox) this.outbox.kick();
  }

  /** What another tab did. */
  private hear({ session, conversations, outbox }: News): void {
    if (session) this.background(this.load());
    if (conversations) this.tell(conversations, true);
    if (outbox) this.outbox.kick();
  }

  private tell(conversations: [id: string, since: number][], list: boolean): void {
    for (const [id, since] of conversations) this.emitter.emit('messages', id, since);
    if (list) this.emitter.emit('conversations');
    this.background(this.saved().then(({ sync }) => this.show({ waiting: sync?.waiting ?? 0 })));
  }

  /** What nobody waits for: a store that fails is seen in the state. */
  private background(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (!this.closed) this.show({ reason: asClientError(error).code });
    });
  }

  private show(part: Partial<State>): void {
    const state = { ...this.state, ...part };
    for (const key of ['retryAt', 'reason', 'synced'] as const) if (state[key] === undefined) delete state[key];
    if (JSON.stringify(state) === JSON.stringify(this.state)) return;
    this.state = state;
    this.emitter.emit('state', state);
  }

  // What is there

  conversations(): Promise<Conversation[]> {
    return views.listConversations(this.store);
  }

  conversation(id: string): Promise<Conversation | undefined> {
    return views.readConversation(this.store, id);
  }

  messages(conversationId: string, options: { limit?: number; before?: Message } = {}): Promise<Message[]> {
    return views.readThread(this.store, conversationId, options.limit ?? 50, options.before);
  }

  around(messageId: string, limit: number): Promise<Message[]> {
    return views.readAround(this.store, messageId, limit);
  }

  after(message: Message, limit: number): Promise<Message[]> {
    return views.readAfter(this.store, message, limit);
  }

  texts(): AsyncIterable<views.Text[]> {
    return views.readTexts(this.store);
  }

  message(id: string): Promise<Message | undefined> {
    return views.readMessage(this.store, id);
  }

  contacts(): Promise<Contact[]> {
    return views.listContacts(this.store);
  }

  // What people do. It is kept, and shown, at once; the server hears of it when there is a connection.

  send(to: { conversationId: string } | { number: string }, text: string): Promise<Message> {
    return this.enterSending(to, text, async () => undefined);
  }

  /** `before`: what else belongs into the same transaction. */
  private async enterSending(
    to: { conversationId: string } | { number: string },
    text: string,
    before: (books: Books, tx: Writing) => Promise<void>,
  ): Promise<Message> {
    const { reader } = this.signedIn();
    if (text === '') throw new ClientError('bad_request', 'There is nothing to send');
    if (reader.keyring === undefined && (await this.saved()).sync?.sealed)
      throw new ClientError('no_keys', 'This account is end-to-end encrypted, and its keys are not on this device');
    const conversation = await this.addressee(to);
    const { number } = conversation;
    if (number === '') throw new ClientError('no_keys', 'The number of this conversation cannot be decrypted here');

    const id = newId();
    // Not above what it answers, whatever the clocks say.
    const timestamp = Math.max(Date.now(), (conversation.last?.timestamp ?? 0) + 1);
    const place = isProvisional(conversation.id) ? {} : { conversationId: conversation.id };
    const content = { number, text, timestamp, ...place };
    const sealed = await seal(id, content, reader);
    const alias = isProvisional(conversation.id) ? { alias: sealed.phoneNumber } : {};
    await this.change(async (books, tx) => {
      await before(books, tx);
      const message = { id, conversationId: conversation.id, number, text, timestamp, ...alias };
      await books.enterMessages([
        { ...message, phoneNumber: sealed.phoneNumber, type: 'sent', status: 'waiting', read: true },
      ]);
      await tx.put('outbox', [{ id, order: newId(), wish: { kind: 'send', ...content, sealed } }]);
    });
    return (await this.message(id))!;
  }

  async retry(messageId: string): Promise<Message> {
    const message = failed(await this.message(messageId));
    const { conversationId, number, text } = message;
    const known = (await this.conversation(conversationId))?.number === number;
    return this.enterSending(known ? { conversationId } : { number }, text, async (books, tx) => {
      // Somebody may have asked for the same in the meantime.
      failed(await tx.get('messages', messageId));
      await remove(books, tx, messageId);
    });
  }

  deleteMessage(messageId: string): Promise<void> {
    return this.change((books, tx) => remove(books, tx, messageId));
  }

  async markRead(conversationId: string): Promise<void> {
    this.signedIn();
    const { row: known, unread = 0 } = (await this.store.read((tx) => views.find(tx, conversationId))) ?? {};
    if (known === undefined || known.unreadCount + unread === 0) return;
    await this.change(async (books, tx) => {
      const conversation = await views.find(tx, conversationId);
      if (conversation?.row === undefined) return;
      const { id, row } = conversation;
      const upTo = Math.max(row.readUpTo, timeOf(conversation));
      const read = { ...row, unreadCount: 0, countedUpTo: upTo, readUpTo: upTo };
      await books.edit(id, (old) => ({ ...old, row: read, unread: 0 }));
      books.touched.threads.set(id, Infinity);
      await tx.put('outbox', [wished(`read ${id}`, { kind: 'read', conversationId: id, upTo })]);
    });
  }

  setFlags(conversationId: string, flags: { pinned?: boolean; archived?: boolean }): Promise<void> {
    const { members } = this.signedIn();
    return this.change(async (books, tx) => {
      const id = (await views.find(tx, conversationId))?.id ?? conversationId;
      const key = STATE.flags(id);
      const old = (await tx.get('states', key))?.value as Partial<FlagsValue> | undefined;
      const version = Math.max(Date.now(), (old?.version ?? 0) + 1);
      const value: FlagsValue = { ...old, ...flags, version };
      const { round } = (await tx.value('sync'))!;
      await tx.put('states', [{ id: key, value, round, ...(members && { version: { epoch: members.keyring.epoch, version } }) }]); // prettier-ignore
      // The name that this device gave has the number in it. The flags go when there is one of the server's.
      if (!id.startsWith(OWN)) await tx.put('outbox', [wished(key, { kind: 'put', key, value })]);
      books.touched.list = true;
    });
  }

  async saveDraft(conversationId: string, text: string): Promise<void> {
    this.signedIn();
    await this.store.write(async (tx) => {
      // It may have got another name while this was written.
      const id = (await views.find(tx, conversationId))?.id ?? conversationId;
      await (text === '' ? tx.delete('drafts', [id]) : tx.put('drafts', [{ id, text }]));
    });
    this.touched({ threads: new Map(), list: true, devices: false });
  }

  /** The conversation to write in; one of this device's own for a number that has none. */
  private addressee(to: { conversationId: string } | { number: string }): Promise<ConversationRecord> {
    return this.store.read(async (tx) => {
      if ('conversationId' in to) {
        const found = await views.find(tx, to.conversationId);
        if (found === undefined) throw new ClientError('conversation_not_found', 'There is no such conversation');
        return found;
      }
      const number = to.number.trim();
      if (number === '') throw new ClientError('bad_request', 'There is no number to send to');
      const found = (await tx.all('conversations')).filter((conversation) => conversation.number === number);
      found.sort((a, b) => Number(isProvisional(a.id)) - Number(isProvisional(b.id)) || timeOf(b) - timeOf(a));
      return found[0] ?? { id: OWN + number, number, unread: 0, round: 0 };
    });
  }

  private async change(work: (books: Books, tx: Writing) => Promise<void>): Promise<void> {
    this.signedIn();
    const touched = await this.store.write(async (tx) => {
      const sync = await tx.value('sync');
      if (sync === undefined) throw new ClientError('not_paired', 'Nobody is signed in here');
      const books = new Books(tx, sync);
      await work(books, tx);
      await tx.set('sync', await books.close());
      return books.touched;
    });
    this.touched(touched);
    this.store.announce({ outbox: true });
    this.outbox.kick();
  }

  // Devices

  async devices(): Promise<Device[]> {
    const { session, members } = this.signedIn();
    return listDevices(this.url, session.token, members?.keyring);
  }

  async renameDevice(id: string, name: string): Promise<void> {
    const { token } = this.signedIn().session;
    await call(this.url, `/api/devices/${encodeURIComponent(id)}`, { token, method: 'PATCH', body: { name } });
  }

  async removeDevice(id: string): Promise<void> {
    const { session, members } = this.signedIn();
    if (id === session.deviceId) return this.signOut();
    await deleteDevice(this.url, session.token, id);
    await members?.shutOut(id);
    this.emitter.emit('devices');
  }

  async safetyWords(deviceId: string): Promise<string[] | undefined> {
    return this.account?.members?.keyring.safetyWords(deviceId);
  }

  reconnect(): void {
    if (this.account !== undefined) this.connection.retry();
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const leave of this.leave) leave();
    await this.pairing?.end();
    await this.loads.over();
    await this.leaveAccount();
    await this.store.close();
  }
}

/** The message, if it has failed. */
function failed<Failed extends { status?: Message['status'] }>(message: Failed | undefined): Failed {
  if (message?.status !== 'failed') throw new ClientError('message_not_found', 'No such message has failed');
  return message;
}

async function remove(books: Books, tx: Writing, messageId: string): Promise<void> {
  await books.removeMessages([messageId]);
  await tx.delete('outbox', [messageId]);
  await tx.put('outbox', [wished(deletionOf(messageId), { kind: 'delete', messageId })]);
}

function wished(id: string, wish: OutboxRecord['wish']): OutboxRecord {
  return { id, order: newId(), wish };
}

function timeOf({ row, last }: ConversationRecord): number {
  return Math.max(row?.lastMessageTime ?? 0, last?.timestamp ?? 0);
}

/** A page that comes back to the front, or to the network, does not wait for the next attempt. */
function wakeWithPage(wake: () => void): () => void {
  if (typeof document === 'undefined') return () => undefined;
  const seen = () => document.visibilityState === 'visible' && wake();
  addEventListener('online', wake);
  document.addEventListener('visibilitychange', seen);
  return () => {
    removeEventListener('online', wake);
    document.removeEventListener('visibilitychange', seen);
  };
}
