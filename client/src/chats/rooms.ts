import type { Typing } from '@pairline/protocol';
import { isPassing } from '../connection.js';
import { Emitter } from '../emitter.js';
import type { ChatsNews, ChatWish, OutboxRecord } from '../store.js';
import { ClientError } from '../types.js';
import { pause } from '../waiting.js';
import { Acquaintances } from './acquaintances.js';
import { ChatKeys } from './chat-keys.js';
import type { Taken } from './entry.js';
import { found } from './founding.js';
import { identityOf, myIdentity, signedIn, type Host } from './host.js';
import { publicKeyOf } from './identity.js';
import { Intake } from './intake.js';
import { Membership } from './membership.js';
import { OwnIdentity } from './own-identity.js';
import { membershipIn, Posts } from './posts.js';
import type { ChatMessage, Chats, ChatsEvents, Draft } from './types.js';
import { Typists } from './typists.js';
import * as views from './views.js';

const WAIT_MS = 20_000;
/** Who types is told again after this long. */
const TYPING_MS = 2000;
/** Of all that are in a chat one begins the next epoch: they do not all try at once. */
const SPREAD_MS = 1000;

/** Private conversations and groups: what comes, and what is done. */
export class Rooms implements Chats {
  private readonly emitter = new Emitter<ChatsEvents>();
  private readonly intake: Intake;
  private readonly keys: ChatKeys;
  private readonly posts: Posts;
  private readonly membership: Membership;
  private readonly identity: OwnIdentity;
  private readonly acquaintances: Acquaintances;
  private readonly typists = new Typists((chatId, people) => this.emitter.emit('typing', chatId, people));
  private readonly typed = new Map<string, number>();
  private readonly waiting = new Set<() => void>();
  private readonly replacing = new Set<string>();
  private readonly closing = new AbortController();
  private working: Promise<void> | undefined;
  private again = false;
  /** One's own public keys, when rows were opened last. */
  private identities = 'none yet';

  constructor(private readonly host: Host) {
    const waitFor = (look: () => Promise<boolean>) => this.waitFor(look);
    this.intake = new Intake(host.store, () => signedIn(host).session.accountId);
    this.keys = new ChatKeys(host, waitFor);
    this.posts = new Posts(host, this.keys, waitFor, (news) => this.tellNews(news));
    this.membership = new Membership(host, this.keys, waitFor);
    this.identity = new OwnIdentity(host);
    this.acquaintances = new Acquaintances(host, this.identity, waitFor);
  }

  on<E extends keyof ChatsEvents>(event: E, listener: (...args: ChatsEvents[E]) => void): () => void {
    return this.emitter.on(event, listener);
  }

  // What the client tells this part of it

  /** Something came, or there is a connection. */
  kick(): void {
    this.host.background(this.settle());
  }

  /** There is a name now, by which others find who this is. */
  named(): void {
    this.identity.named();
    this.kick();
  }

  /** What another tab did. */
  hear(news: ChatsNews): void {
    this.emit(news);
  }

  /** Flags or drafts changed. */
  listChanged(): void {
    this.emitter.emit('chats');
  }

  tell(record: OutboxRecord, wish: ChatWish): Promise<void> {
    return this.posts.tell(record, wish);
  }

  began(typing: Typing): void {
    this.typists.began(typing);
  }

  stopped({ conversationId, user_id: userId }: Typing): void {
    this.typists.stopped(conversationId, userId);
  }

  close(): void {
    this.closing.abort();
    this.wake();
  }

  // What is there

  list = () => views.listChats(this.host.store);
  chat = (chatId: string) => views.readChat(this.host.store, chatId);
  messages = (chatId: string, { before, limit = 50 }: { before?: ChatMessage; limit?: number } = {}) =>
    views.readMessages(this.host.store, chatId, { limit, ...(before && { before }) });
  after = (after: ChatMessage, limit: number) => views.readMessages(this.host.store, after.chatId, { after, limit });
  around = (chatId: string, messageId: string, limit: number) => views.readAround(this.host.store, chatId, messageId, limit); // prettier-ignore
  message = (chatId: string, messageId: string) => views.readMessage(this.host.store, chatId, messageId);
  receipts = (chatId: string, messageId: string) => views.readReceipts(this.host.store, chatId, messageId);
  texts = () => views.readTexts(this.host.store);
  members = (chatId: string) => views.listMembers(this.host.store, chatId);
  invitations = () => views.listInvitations(this.host.store);

  // Writing

  send = (chatId: string, draft: Draft) => this.posts.send(chatId, draft);
  retry = (chatId: string, messageId: string) => this.posts.retry(chatId, messageId);
  edit = (chatId: string, messageId: string, draft: Omit<Draft, 'replyTo'>) => this.posts.edit(chatId, messageId, draft); // prettier-ignore
  delete = (chatId: string, messageId: string) => this.posts.delete(chatId, messageId);
  react = (chatId: string, messageId: string, emoji?: string) => this.posts.react(chatId, messageId, emoji);
  markRead = (chatId: string, upTo?: ChatMessage) => this.posts.markRead(chatId, upTo);
  setFlags = (chatId: string, flags: { pinned?: boolean; archived?: boolean; muted?: boolean }) => this.host.setFlags(chatId, flags); // prettier-ignore
  saveDraft = (chatId: string, text: string) => this.host.saveDraft(chatId, text);

  typing(chatId: string): void {
    const now = Date.now();
    if (!this.host.isLive() || now - (this.typed.get(chatId) ?? 0) < TYPING_MS) return;
    this.typed.set(chatId, now);
    // Whether it arrives nobody cares.
    this.host.request('userTyping', { conversationId: chatId }).catch(() => undefined);
  }

  // Who talks to whom

  begin = async ({ name }: { name: string }) => (await this.ready()).begin(name);
  createGroup = async (name: string) => (await this.ready()).createGroup(name);
  invite = async (chatId: string, { name }: { name: string }, { history = false } = {}) =>
    (await this.ready()).invite(chatId, name, history);
  answer = async (id: string, response: 'accepted' | 'declined') => (await this.ready()).answer(id, response);
  remove = async (chatId: string, userId: string) => (await this.ready()).remove(chatId, userId);
  setRole = async (chatId: string, userId: string, role: 'admin' | 'member') => (await this.ready()).setRole(chatId, userId, role); // prettier-ignore
  handOver = async (chatId: string, userId: string) => (await this.ready()).setRole(chatId, userId, 'owner');
  leave = async (chatId: string) => (await this.ready()).leave(chatId);
  end = async (chatId: string) => (await this.ready()).end(chatId);
  rename = async (chatId: string, name: string) => (await this.ready()).rename(chatId, name);

  async vouch(chatId: string, userIds: string[]): Promise<void> {
    await this.membership.vouch(chatId, userIds);
    this.tellNews({ list: true, chats: [chatId] });
    this.kick();
  }

  // People

  profile = () => this.acquaintances.profile();
  hide = (yes: boolean) => this.acquaintances.hide(yes);
  people = (search: string) => this.membership.search(search);
  person = (userId: string) => this.acquaintances.person(userId);
  block = (userId: string) => this.acquaintances.block(userId);
  unblock = (userId: string) => this.acquaintances.unblock(userId);
  blocked = () => this.acquaintances.blocked();
  safetyWords = (userId: string) => this.acquaintances.safetyWords(userId);

  async trust(userId: string, { verified = false } = {}): Promise<void> {
    const shared = await this.acquaintances.trust(userId, verified);
    this.tellNews({ people: true, list: true });
    this.shown(await this.intake.reopen(shared));
    this.kick();
  }

  async renewKeys(): Promise<void> {
    await this.ready();
    await this.identity.renew();
    this.kick();
  }

  // What goes on by itself

  private async ready(): Promise<Membership> {
    signedIn(this.host);
    if (!this.host.isLive()) throw new ClientError('offline', 'There is no connection');
    await this.settle();
    await myIdentity(this.host.store);
    return this.membership;
  }

  private settle(): Promise<void> {
    this.again = true;
    this.working ??= this.work().finally(() => (this.working = undefined));
    return this.working;
  }

  private async work(): Promise<void> {
    while (this.again && !this.closing.signal.aborted && this.host.account() !== undefined) {
      this.again = false;
      try {
        await this.makeKeys();
        for (let taken: Taken | undefined; (taken = await this.intake.take()) !== undefined;) this.shown(taken);
        await this.openClosed();
        await this.replaceSpent();
      } catch (error) {
        // The next connection, or what comes next, leads here again.
        if (!isPassing(error) && !isSignedOut(error)) throw error;
      }
    }
  }

  private async makeKeys(): Promise<void> {
    if (!this.host.isLive() || !(await found(this.host))) return;
    if (signedIn(this.host).members?.keyring.isLeftOut === false) await this.identity.ensure();
  }

  /** One's own keys open what was wrapped for them. */
  private async openClosed(): Promise<void> {
    const { identities, closed } = await this.host.store.read(async (tx) => ({
      identities: (await identityOf(tx)).map(publicKeyOf).join(),
      closed: (await tx.all('chatKeys')).filter(({ row }) => row !== undefined).map(({ chatId }) => chatId),
    }));
    if (identities === this.identities) return;
    this.identities = identities;
    if (closed.length > 0) this.shown(await this.intake.reopen([...new Set(closed)]));
  }

  /** Nothing of who has signed out meanwhile. */
  private shown(taken: Taken | undefined): void {
    if (taken === undefined) return;
    const { news, arrived } = taken;
    this.tellNews(news);
    if (arrived.length > 0) this.host.background(this.notice(arrived));
  }

  private async notice(arrived: Taken['arrived']): Promise<void> {
    const newest = new Map<string, number>();
    for (const { chatId, place } of arrived) newest.set(chatId, Math.max(place, newest.get(chatId) ?? 0));
    for (const [chatId, delivered] of newest) await this.posts.mark(chatId, { delivered });
    if (!this.host.isLive()) return;
    // What came before is opened when there is time: it is no news.
    const since = this.host.account()?.liveSince ?? Infinity;
    for (const { chatId, messageId } of arrived.filter((message) => message.seq > since)) {
      const [message, chat] = [await this.message(chatId, messageId), await this.chat(chatId)];
      // A notification is believed at a glance: there is none for what may be forged.
      if (message && chat && message.fault === undefined && !message.unverified) this.emitter.emit('incoming', message, chat); // prettier-ignore
    }
  }

  private async replaceSpent(): Promise<void> {
    if (!this.host.isLive()) return;
    const spent = await this.host.store.read(async (tx) => {
      const chats = (await tx.all('chats')).filter((chat) => chat.spent !== undefined && chat.spent >= (chat.row?.epoch ?? Infinity)); // prettier-ignore
      const states = await Promise.all(chats.map(({ id }) => membershipIn(tx, id)));
      return chats.filter((_chat, i) => states[i] === 'accepted').map(({ id }) => id);
    });
    for (const id of spent)
      if (!this.replacing.has(id)) {
        this.replacing.add(id);
        this.host.background(this.replace(id).finally(() => this.replacing.delete(id)));
      }
  }

  private async replace(chatId: string): Promise<void> {
    await pause(Math.random() * SPREAD_MS, this.closing.signal);
    if (this.closing.signal.aborted || !this.host.isLive()) return;
    try {
      await this.keys.current(chatId);
      this.tellNews({ chats: [chatId] });
    } catch (error) {
      // It is done before the next message goes, at the latest.
      if (!(error instanceof ClientError)) throw error;
    }
  }

  private tellNews(news: ChatsNews): void {
    if (Object.keys(news).length === 0) return;
    this.host.store.announce({ chats: news });
    this.emit(news);
  }

  private emit({ list, chats = [], invitations, people }: ChatsNews): void {
    if (list) this.emitter.emit('chats');
    for (const id of chats) this.emitter.emit('chat', id);
    if (invitations) this.emitter.emit('invitations');
    if (people) this.emitter.emit('people');
    this.wake();
  }

  private async waitFor(look: () => Promise<boolean>): Promise<void> {
    const late = new AbortController();
    const stop = AbortSignal.any([late.signal, this.closing.signal]);
    const tooLate = pause(WAIT_MS, stop).then(() => late.abort());
    try {
      for (;;) {
        // What comes while it looks makes it look again.
        const next = new Promise<void>((resolve) => this.waiting.add(resolve));
        if (await look()) return;
        if (this.host.account() === undefined) throw new ClientError('not_paired', 'Nobody is signed in any more');
        if (stop.aborted) throw new ClientError(this.host.isLive() ? 'timeout' : 'offline', 'The server has not told of it'); // prettier-ignore
        await Promise.race([next, tooLate]);
      }
    } finally {
      late.abort();
    }
  }

  /** Those who wait look again. */
  wake(): void {
    for (const resolve of [...this.waiting]) resolve();
    this.waiting.clear();
  }
}

function isSignedOut(error: unknown): boolean {
  return error instanceof ClientError && error.code === 'not_paired';
}
