import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { Cluster } from '../cluster/cluster.js';
import { LOG, type Log } from '../log.js';
import { Conversations } from '../messaging/conversations.service.js';
import type { Message } from '../messaging/message.js';
import { MessagingEvents, type ReadMark } from '../messaging/messaging.events.js';
import { Outbox } from '../messaging/outbox.service.js';
import { latestMessages } from '../messaging/stored-messages.js';
import { LastSeen } from '../sessions/last-seen.js';
import { Broadcast, type Audience } from './broadcast.js';
import { Connections } from './connections.js';
import { Elsewhere } from './elsewhere.js';
import { encode, type Frame } from './frame.js';
import type { Peer } from './peer.js';

/** How much of the history a browser that keeps nothing is sent when it signs in. */
const SNAPSHOT_MESSAGES = 1000;

/** Tells phones and browsers what happened, in the events of wire.md, section A. */
@Injectable()
export class Relay implements OnModuleInit {
  /** Accounts whose browsers asked the phone for a sync while it was away. */
  private readonly syncWanted = new Set<string>();
  /** Accounts whose list is being told, and how it is to be told once more after that. */
  private readonly listing = new Map<string, { by?: string } | undefined>();

  constructor(
    private readonly cluster: Cluster,
    private readonly connections: Connections,
    private readonly broadcast: Broadcast,
    private readonly elsewhere: Elsewhere,
    private readonly events: MessagingEvents,
    private readonly conversations: Conversations,
    private readonly outbox: Outbox,
    private readonly lastSeen: LastSeen,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    this.events.on('messages.stored', (account, { messages, arrived }) => {
      this.toBrowsers(account, 'messages:sync', { messages });
      for (const message of arrived) if (message.type === 'received') this.toBrowsers(account, 'message:new', message);
    });
    this.events.on('conversations.stored', (account, fact) => this.toBrowsers(account, 'conversations:sync', fact));
    this.events.on('conversations.edited', (account) => void this.attempt(this.tellList(account)));
    this.events.on('message.statusChanged', (account, fact) => {
      this.toBrowsers(account, 'message:status', fact);
      const id = fact.tempId ?? fact.messageId;
      for (const phone of this.connections.of(account).phones) {
        const asked = phone.offered.get(id);
        if (asked === undefined) continue;
        // That the phone has it is known by now.
        phone.unask(asked);
        // Sent again, it is offered again on the same connection too.
        if (fact.status === 'failed') phone.offered.delete(id);
      }
    });
    this.events.on('message.sent', (account, fact) => this.toBrowsers(account, 'message:sent', fact));
    this.events.on('message.deleted', (account, { messageId, by }) => {
      this.toBrowsers(account, 'message:deleted', { messageId }, by);
      if (by !== undefined)
        for (const phone of this.connections.of(account).phones) phone.emit('delete:message', { messageId });
    });
    this.events.on('message.queued', (account, { message, by }) => {
      this.toBrowsers(account, 'messages:sync', { messages: [message] }, by);
      for (const phone of this.connections.of(account).phones)
        if (phone.afterBacklog === undefined) this.offer(phone, message);
        else phone.afterBacklog.push(message);
    });
    this.events.on('conversation.read', (account, { by, ...mark }) => {
      void this.attempt(this.tellList(account, by));
      for (const phone of this.connections.of(account).phones) this.offerRead(phone, mark);
    });
    this.cluster.hear('phone.arrived', (account: string) => {
      if (this.syncWanted.delete(account)) this.broadcast.tell(phonesOf(account), 'request:sync', {});
    });
  }

  /** A phone came: it gets what waited for it. `replaced`: it was here all along, on an older connection. */
  async phoneArrived(phone: Peer, replaced: Promise<boolean | undefined>): Promise<void> {
    // Its messages do not wait for what other servers know.
    await Promise.all([this.tellArrival(phone, replaced), this.sendBacklog(phone)]);
  }

  private async tellArrival(phone: Peer, replaced: Promise<boolean | undefined>): Promise<void> {
    const { account, phoneId } = phone.session!;
    if (await replaced) return;
    // One that is gone by now was told of as gone, unless it is back already.
    if (phone.isOpen || (await this.phoneOf(account.id)) !== undefined) this.tellPhone(account.id, phoneId, true);
  }

  private async sendBacklog(phone: Peer): Promise<void> {
    const { account } = phone.session!;
    phone.afterBacklog = [];
    for (const mark of await this.conversations.readPending(account)) {
      this.offerRead(phone, mark);
      await phone.room();
    }
    for await (const message of this.outbox.queued(account)) {
      if (!phone.isOpen) return;
      this.offer(phone, message);
      await phone.room();
    }
    for (const message of phone.afterBacklog) this.offer(phone, message);
    phone.afterBacklog = undefined;
    if (this.syncWanted.delete(account.id)) phone.emit('request:sync', {});
  }

  async phoneLeft(account: string, phoneId: string): Promise<void> {
    if (await this.phoneOf(account)) return;
    this.tellPhone(account, phoneId, false);
    // It may have come to another server as this was told, and been told of before it.
    const back = await this.phoneOf(account);
    if (back !== undefined) this.tellPhone(account, back, true);
  }

  /** A browser signed in: what is stored, whether the phone is there, and one request to the phone for the rest. */
  async browserArrived(browser: Peer): Promise<void> {
    const { account } = browser.session!;
    await Promise.all([this.requestSync(account), this.greet(browser)]);
  }

  private async greet(browser: Peer): Promise<void> {
    const { account } = browser.session!;
    await browser.whileHeld(async () => {
      const { conversations, readUpTo } = await this.conversations.all(account);
      if (conversations.length > 0) await browser.sendNow(encode('conversations:sync', { conversations }));
      for await (const messages of latestMessages(account, SNAPSHOT_MESSAGES, readUpTo))
        await browser.sendNow(encode('messages:sync', { messages }));
    });
  }

  /** Tells a browser, once it is signed in, whether its phone is there. */
  async tellPresence(browser: Peer): Promise<void> {
    const { account, phoneId } = browser.session!;
    const phone = await this.phoneOf(account.id);
    const here = phone !== undefined;
    // One that signed in knows no phone by itself.
    const deviceId = phone ?? phoneId;
    const lastSeen = here ? Date.now() : await this.lastSeen.ofPhone(account);
    if (!here && (await this.phoneOf(account.id))) return; // it came meanwhile, and the browser was told so
    if (deviceId === '') return; // there is none, or it will be told of as it comes
    browser.emit(here ? 'mobile:connected' : 'mobile:disconnected', { deviceId, lastSeen });
  }

  /** False when the phone is away: it is asked when it is back. */
  async requestSync({ id }: AccountKey): Promise<boolean> {
    if (this.broadcast.tell(phonesOf(id), 'request:sync', {}) > 0) return true;
    // Before looking further: it may come to another server meanwhile.
    this.syncWanted.add(id);
    if ((await this.elsewhere.phone(id)) === undefined) return false;
    this.syncWanted.delete(id);
    return true;
  }

  /** At least once: until the phone acknowledges it or reports a status, it is offered again on each new connection. */
  private offer(phone: Peer, { id, phoneNumber, body }: Message): void {
    if (phone.isLagging || phone.offered.has(id)) return;
    const account = phone.session!.account;
    // No timeout: its timer would outlive the connection, and a late answer is as good.
    const asked = phone.ask('send:message', { phoneNumber, message: body, tempId: id }, (reply) => {
      if (reply?.ok === true) void this.attempt(this.outbox.taken(account, id));
    });
    phone.offered.set(id, asked);
  }

  private offerRead(phone: Peer, mark: ReadMark): void {
    if (phone.isLagging) return;
    const account = phone.session!.account;
    phone.ask('mark:read', { conversationId: mark.conversationId }, (reply) => {
      if (reply?.ok === true) void this.attempt(this.conversations.readTaken(account, mark));
    });
  }

  /**
   * The conversations after one was changed here, whole, because existing clients replace their list with it; not to the
   * connection that did. One at a time, so that none is told after a newer one.
   */
  private async tellList(account: string, by?: string): Promise<void> {
    if (this.listing.has(account)) {
      const next = this.listing.get(account) ?? { by };
      this.listing.set(account, next.by === by ? next : {});
      return;
    }
    try {
      for (let next: { by?: string } | undefined = { by }; next !== undefined; next = this.listing.get(account)) {
        this.listing.set(account, undefined);
        const browsers = [...this.connections.of(account).browsers];
        const told = browsers.find(({ follower, id }) => follower === undefined && id !== next?.by);
        if (told === undefined) continue;
        const { conversations } = await this.conversations.all(told.session!.account);
        this.toBrowsers(account, 'conversations:sync', { conversations }, next.by);
      }
    } finally {
      this.listing.delete(account);
    }
  }

  /** What fails here is offered again on the phone's next connection. */
  private async attempt(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.log.warn({ err: error }, 'something that is told again later could not be told or stored');
    }
  }

  /** To the browsers that follow by events, but for the connection that caused it; encoded once for all. */
  private toBrowsers(account: string, event: string, payload: unknown, except?: string): void {
    let frame: Frame | undefined;
    for (const browser of this.connections.of(account).browsers)
      if (browser.follower === undefined && browser.id !== except) browser.send((frame ??= encode(event, payload)));
  }

  /** To every browser of the account, at whatever server. */
  private tellPhone(account: string, deviceId: string, here: boolean): void {
    const event = here ? 'mobile:connected' : 'mobile:disconnected';
    this.broadcast.tell({ accounts: [account], who: 'browsers' }, event, { deviceId, lastSeen: Date.now() });
  }

  /** The id of the account's phone, if it is connected to any server. */
  private async phoneOf(account: string): Promise<string | undefined> {
    const there = await this.elsewhere.phone(account);
    const [here] = this.connections.of(account).phones;
    return here?.session!.phoneId ?? there?.phoneId;
  }
}

function phonesOf(account: string): Audience {
  return { accounts: [account], who: 'phones' };
}
