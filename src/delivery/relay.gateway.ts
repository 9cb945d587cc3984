import { Inject, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import {
  WebSocketGateway,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  type OnGatewayInit,
} from '@nestjs/websockets';
import type { Server, Socket } from 'socket.io';
import { AddressOf } from '../address.js';
import { Changes } from '../changes/changes.js';
import { Feed } from '../changes/feed.js';
import { asRelayError } from '../database/as-relay-error.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError, type ErrorBody, type RelayError } from '../errors.js';
import { LOG, type Log } from '../log.js';
import { Conversations } from '../messaging/conversations.service.js';
import type { Conversation } from '../messaging/conversation.js';
import { Inbox, type PhoneMessage } from '../messaging/inbox.service.js';
import { Outbox } from '../messaging/outbox.service.js';
import { Metrics } from '../metrics.js';
import { Pairing } from '../pairing/pairing.service.js';
import { Accounts } from '../sessions/accounts.service.js';
import { Devices } from '../sessions/devices.service.js';
import { LastSeen } from '../sessions/last-seen.js';
import type { Session } from '../sessions/session.js';
import { Tokens } from '../sessions/tokens.js';
import { States } from '../sync/state.service.js';
import { compileCheck } from './check.js';
import { Connections } from './connections.js';
import { Doorman } from './doorman.js';
import { clientEvents, type ClientEvent, type Payload, type Reply, type Sender } from './events.js';
import { Follower } from './follower.js';
import { Handshakes, type SignedIn } from './handshakes.js';
import { LiveState } from './live-state.js';
import { encodeText, Peer } from './peer.js';
import { Relay } from './relay.js';
import { Signals } from './signals.js';

type Handlers = { [E in ClientEvent]: (peer: Peer, payload: Payload<E>) => Promise<Reply | void> };
type Ack = (reply: (Reply & { ok: true }) | (ErrorBody & { ok: false })) => void;

const EXPIRY_SWEEP_MS = 60_000;
/** How long clients get to take the last of what they are sent. */
const GOODBYE_MS = 5000;

/**
 * Socket.IO: the events of wire.md, sections A and B, and, for a handshake with `{token, after}`, the changes of section F.
 * Whoever is sent to is in `Connections`: this server has its database to itself, and all connections are here.
 */
@WebSocketGateway()
export class RelayGateway
  implements
    OnGatewayInit<Server>,
    OnGatewayConnection<Socket>,
    OnGatewayDisconnect<Socket>,
    OnModuleInit,
    BeforeApplicationShutdown
{
  private readonly peers = new Map<string, Peer>();
  private readonly doorman: Doorman;
  private readonly events: Map<string, { from: Sender; check: (payload: unknown) => void }>;
  private inFlight = 0;
  private stopping = false;
  private expirySweep: NodeJS.Timeout | undefined;

  constructor(
    private readonly changes: Changes,
    private readonly feed: Feed,
    private readonly devices: Devices,
    private readonly tokens: Tokens,
    private readonly lastSeen: LastSeen,
    private readonly pairing: Pairing,
    private readonly inbox: Inbox,
    private readonly outbox: Outbox,
    private readonly conversations: Conversations,
    private readonly states: States,
    private readonly connections: Connections,
    private readonly handshakes: Handshakes,
    private readonly accounts: Accounts,
    private readonly relay: Relay,
    private readonly liveState: LiveState,
    private readonly signals: Signals,
    private readonly metrics: Metrics,
    private readonly addressOf: AddressOf,
    @Inject(ENV) private readonly env: BootEnv,
    @Inject(LOG) private readonly log: Log,
  ) {
    this.doorman = new Doorman(env.limits);
    const table = Object.entries(clientEvents(env.limits));
    this.events = new Map(
      table.map(([name, { from, payload, depth }]) => [name, { from, check: compileCheck(payload, depth) }]),
    );
  }

  /** One line an event; what they mean is in the services. */
  private readonly handlers: Handlers = {
    'mobile:register': (peer, phone) => this.register(peer, phone),
    'mobile:scan-qr': (peer, code) => this.scan(peer, code),
    'mobile:messages': (peer, { messages }) => this.putMessages(peer, messages.map(toPhoneMessage)),
    'mobile:conversations': (peer, { conversations }) =>
      this.conversations.tell(peer.session!, conversations.map(toPhoneConversation)),
    'mobile:message-status': (peer, { messageId, status }) => this.inbox.reportStatus(peer.session!, messageId, status),
    'message:sent': (peer, { phoneNumber, messageId }) => this.inbox.reportSent(peer.session!, phoneNumber, messageId),
    'message:deleted': (peer, { messageId }) => this.inbox.remove(peer.session!, messageId),
    'web:authenticate': (peer, { sessionToken }) => this.authenticate(peer, sessionToken),
    'web:send-message': (peer, message) => this.outbox.send(peer.session!, message, peer.id),
    'web:mark-read': (peer, { conversationId }) => this.conversations.markRead(peer.session!, conversationId, peer.id),
    'web:delete-message': (peer, { messageId }) => this.inbox.remove(peer.session!, messageId, peer.id),
    'web:request-sync': (peer) => this.requestSync(peer),
    'state:put': (peer, { key, value, ifAbsent }) => this.states.put(peer.session!, key, value, ifAbsent),
    'state:delete': (peer, { key }) => this.states.delete(peer.session!, key),
    'session-update': (peer, { sessionKey, state }) => this.states.put(peer.session!, sessionKey, state),
    'realtime-event': (peer, event) => this.signals.event(peer, event),
    'device-message': (peer, message) => this.signals.message(peer, message),
  };

  onModuleInit(): void {
    this.devices.events.on('device.revoked', (account, device) =>
      this.connections.end(account, 'device_revoked', [device]),
    );
    this.accounts.events.on('sessions.ended', (account, devices) =>
      this.connections.end(account, 'session_expired', devices),
    );
    this.accounts.events.on('account.joined', (account) => this.connections.recall(account));
    this.accounts.events.on('account.deleted', (account) => this.connections.end(account, 'session_expired'));
    this.expirySweep = setInterval(() => this.endExpired(), EXPIRY_SWEEP_MS).unref();
  }

  afterInit(server: Server): void {
    server.engine.on('connection', (conn: Socket['conn']) =>
      this.doorman.meet(conn, this.addressOf.request(conn.request)),
    );
    // A throw in handleConnection would leave the socket open: who presents a wrong token is refused here.
    server.use((socket, next) => {
      const since = performance.now();
      this.handshakes.signIn(socket.handshake, this.addressOf.request(socket.request)).then(
        (signedIn) => {
          (socket.data as Handshaken).signedIn = signedIn && { ...signedIn, since };
          next();
        },
        (error: unknown) => {
          const told = this.toRelayError(error);
          this.metrics.errors.inc({ code: told.code });
          next(connectError(told));
        },
      );
    });
  }

  handleConnection(socket: Socket): void {
    const peer = new Peer(socket, this.addressOf.request(socket.request), this.env.limits.maxBufferedBytes);
    this.peers.set(socket.id, peer);
    socket.conn.on('packet', ({ data }: { data?: string }) => {
      peer.frameBytes = data?.length ?? 0;
      // Any data is liveness, a heartbeat too.
      if (peer.session !== undefined) this.lastSeen.noteNowAndThen(peer.session);
    });
    socket.onAny((event: string, ...args: unknown[]) => void this.receive(peer, event, args));
    const { signedIn } = socket.data as Handshaken;
    if (signedIn === undefined) return;
    peer.tokenDeviceId = signedIn.tokenDeviceId;
    peer.label = signedIn.label;
    this.signedIn(peer, signedIn.session, signedIn.since);
  }

  handleDisconnect(socket: Socket): void {
    const peer = this.peers.get(socket.id);
    if (peer === undefined) return;
    this.peers.delete(socket.id);
    peer.follower?.end();
    if (!this.connections.remove(peer)) return;
    this.lastSeen.note(peer.session!);
    if (peer.session!.kind === 'phone') this.relay.phoneLeft(peer);
    if (peer.isLive) this.signals.left(peer);
  }

  /** Answers what is under way, then tells clients to come back: no acknowledged write is lost, no waiting one accepted. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.expirySweep);
    const deadline = Date.now() + GOODBYE_MS;
    this.stopping = true;
    // What was begun goes through all its steps; the database may be away, so not for ever.
    while (this.inFlight > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    await Promise.race([this.changes.drain(), until(deadline)]);
    while (this.inFlight > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    for (const connection of [...this.connections.all()])
      if (connection instanceof Peer) connection.interrupt('stopping');
      else connection.end('stopping');
    for (const peer of this.peers.values()) peer.socket.conn.close();
    while (this.peers.size > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    await this.lastSeen.flush();
  }

  /** All that a socket sends comes through here: who may, what fits, done, answered. */
  private async receive(peer: Peer, event: string, args: unknown[]): Promise<void> {
    if (peer.isLagging) return;
    const last = args.at(-1);
    const ack = typeof last === 'function' ? (last as Ack) : undefined;
    const [payload] = ack === undefined ? args : args.slice(0, -1);
    this.inFlight++;
    try {
      if (this.stopping) throw relayError('stopping', { retryAfter: 2 });
      const known = this.events.get(event);
      if (known === undefined) throw relayError('unknown_event');
      if (peer.frameBytes > this.env.limits.maxFrameBytes) throw relayError('payload_too_large');
      // A client need not wait for answers before it goes on: where the order matters, its next events wait here.
      while (peer.before !== undefined) await this.inTurn(peer);
      admit(peer, known.from);
      known.check(payload ?? {});
      const work = this.handlers[event as ClientEvent](peer, (payload ?? {}) as never);
      if (known.from === 'anyone') peer.holdUntil(work);
      const reply = await work;
      if (ack) {
        ack({ ok: true, ...reply });
        peer.keepBounded();
      }
    } catch (error) {
      const told = this.toRelayError(error);
      this.metrics.errors.inc({ code: told.code });
      if (ack) {
        ack({ ok: false, ...told.toBody() });
        peer.keepBounded();
      } else peer.emit('error', told.toBody());
    } finally {
      this.inFlight--;
    }
  }

  /** Waits for what has to be done first. What is parked meanwhile is bounded like what waits to be committed. */
  private async inTurn(peer: Peer): Promise<void> {
    const bytes = peer.frameBytes;
    if (peer.parkedBytes > 0 && peer.parkedBytes + bytes > 2 * this.env.limits.maxFrameBytes)
      throw relayError('busy', { retryAfter: 1 });
    peer.parkedBytes += bytes;
    try {
      await peer.before;
    } finally {
      peer.parkedBytes -= bytes;
    }
  }

  private async register(peer: Peer, phone: Payload<'mobile:register'>): Promise<Reply> {
    const { deviceId } = phone;
    if (peer.session !== undefined) {
      if (peer.session.kind !== 'phone' || peer.session.phoneId !== deviceId) throw relayError('already_authenticated');
      const reply = { deviceId, accountId: peer.session.account.id };
      peer.emit('authenticated', { success: true, ...reply });
      return reply;
    }
    const since = performance.now();
    const { session, deviceToken } = await this.devices.registerPhone(
      {
        deviceId,
        deviceName: phone.deviceName ?? 'Phone',
        deviceModel: phone.deviceModel ?? undefined,
        deviceToken: phone.deviceToken ?? undefined,
        inviteToken: phone.inviteToken ?? inviteTokenOf(peer.socket),
      },
      peer.address,
    );
    const accountId = session.account.id;
    const reply = { deviceId, accountId, ...(deviceToken === undefined ? {} : { deviceToken }) };
    peer.emit('authenticated', { success: true, ...reply });
    this.signedIn(peer, session, since);
    return reply;
  }

  private putMessages(peer: Peer, messages: PhoneMessage[]): Promise<Reply> {
    const plain = this.inbox.isPlain(peer.session!, messages);
    const work = this.timed(this.inbox.put(peer.session!, messages));
    if (!plain) peer.holdUntil(work);
    return work;
  }

  private async scan(peer: Peer, code: Payload<'mobile:scan-qr'>): Promise<Reply> {
    const reply = await this.pairing.claim(peer.session!, code, peer.address);
    peer.emit('qr:paired', { success: true });
    return reply;
  }

  private async authenticate(peer: Peer, sessionToken: string): Promise<Reply> {
    const since = performance.now();
    const session = await this.tokens.authenticate(sessionToken, peer.address);
    if (session.kind !== 'browser') throw relayError('authentication_failed');
    const again = peer.session !== undefined;
    const { account, deviceId } = peer.session ?? session;
    if (account.id !== session.account.id || (peer.tokenDeviceId ?? deviceId) !== session.deviceId)
      throw relayError('already_authenticated');
    // Existing clients know a pair by its phone, and a device that signed in by itself.
    const reply = {
      deviceId: session.phoneId || session.deviceId,
      sessionId: session.deviceId,
      accountId: session.account.id,
    };
    peer.emit('authenticated', { success: true, ...reply });
    if (!again) this.signedIn(peer, session, since);
    // The phone is asked for a sync once a login, however often the login is said.
    if (!peer.greeted) {
      peer.greeted = true;
      this.relay.browserArrived(peer).catch((error: unknown) => this.interrupt(peer, error));
    }
    return reply;
  }

  private async requestSync(peer: Peer): Promise<void> {
    if (!this.relay.requestSync(peer.session!.account)) throw relayError('phone_away');
  }

  private signedIn(peer: Peer, session: Session, since: number): void {
    if (!peer.socket.connected) return;
    peer.session = session;
    this.doorman.know(peer.socket.conn);
    const older = this.connections.add(peer, since);
    older?.end('replaced');
    if (!peer.socket.connected) return; // removed in the meantime
    this.lastSeen.note(session);
    const { after } = peer.socket.handshake.auth as { after?: unknown };
    if (after !== undefined && after !== null)
      this.follow(peer, session, typeof after === 'object' ? NaN : Number(after));
    if (peer.isLive) {
      this.liveState.restore(peer).catch((error: unknown) => this.interrupt(peer, error));
      this.signals.arrived(peer);
    }
    if (session.kind === 'key') return;
    const greeting =
      session.kind === 'phone' ? this.relay.phoneArrived(peer, older !== undefined) : this.relay.tellPresence(peer);
    greeting.catch((error: unknown) => this.interrupt(peer, error));
  }

  /** The account's changes from a cursor on; a page waits until the pipe has room. */
  private follow(peer: Peer, { account }: Session, after: number): void {
    if (!Number.isSafeInteger(after) || after < 0) return peer.fail('bad_request');
    peer.follower = new Follower(this.changes, this.feed, account, after, {
      hasRoom: () => peer.hasRoom(),
      write: (text, cursor) => {
        peer.write(encodeText('changes', `{"changes":[${text}],"cursor":${cursor}}`));
        return peer.hasRoom() ? undefined : peer.room();
      },
      failed: (error) => this.interrupt(peer, error),
    });
  }

  /** A connection that cannot be served ends so that its client comes back and resumes; one with an expired cursor is told. */
  private interrupt(peer: Peer, error: unknown): void {
    const { code } = this.toRelayError(error);
    if (code === 'cursor_expired') peer.end(code);
    else peer.interrupt(code);
  }

  private endExpired(): void {
    const now = Date.now();
    for (const connection of this.connections.all())
      if ((connection.session?.expiresAt ?? Infinity) <= now) connection.end('session_expired');
  }

  private async timed<T>(work: Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await work;
    this.metrics.relaySeconds.observe((performance.now() - started) / 1000);
    return result;
  }

  private toRelayError(error: unknown): RelayError {
    const told = asRelayError(error);
    if (told.code === 'internal') this.log.error({ err: error }, 'an event failed');
    return told;
  }
}

/** Closed by default: each event says who may send it. */
function admit({ session }: Peer, from: Sender): void {
  if (from === 'anyone') return;
  if (session === undefined) throw relayError(from === 'phone' ? 'device_not_registered' : 'not_authenticated');
  // A program with an API key follows the changes and says nothing.
  if (session.kind === 'key' || (from !== 'device' && session.kind !== from)) throw relayError('wrong_role');
}

/** What the handshake leaves on the socket; `since`: when it began, of `performance.now()`. */
interface Handshaken {
  signedIn?: SignedIn & { since: number };
}

/** What Socket.IO hands the client as `connect_error`: `message`, and the whole body as `data`. */
function connectError(error: RelayError): Error {
  return Object.assign(new Error(error.message), { data: error.toBody() });
}

/** A phone may also show its invitation in the handshake, where nothing has been checked yet. */
function inviteTokenOf(socket: Socket): string | undefined {
  const { inviteToken } = socket.handshake.auth as { inviteToken?: unknown };
  return typeof inviteToken === 'string' ? inviteToken : undefined;
}

type WireMessage = Payload<'mobile:messages'>['messages'][number];
type WireConversation = Payload<'mobile:conversations'>['conversations'][number];

/** What a phone may leave out gets its meaning here. */
function toPhoneMessage({ status, read, timestamp, ...message }: WireMessage): PhoneMessage {
  const { id, conversationId, phoneNumber, body, type } = message;
  return {
    id,
    conversationId,
    phoneNumber,
    body,
    type,
    timestamp: Math.floor(timestamp),
    ...(status == null ? {} : { status }),
    read: read ?? type === 'sent',
  };
}

function toPhoneConversation(conversation: WireConversation): Conversation {
  const { id, phoneNumber, contactName, lastMessage, lastMessageTime, unreadCount } = conversation;
  return {
    id,
    phoneNumber,
    ...(contactName == null ? {} : { contactName }),
    lastMessage: lastMessage ?? '',
    lastMessageTime: Math.floor(lastMessageTime ?? 0),
    unreadCount: unreadCount ?? 0,
  };
}

function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - Date.now())).unref());
}
