import { Injectable } from '@nestjs/common';
import { relayError } from '../errors.js';
import type { Conversation } from '../messaging/conversation.js';
import { Conversations } from '../messaging/conversations.service.js';
import { Inbox, type PhoneMessage } from '../messaging/inbox.service.js';
import { Outbox } from '../messaging/outbox.service.js';
import { Metrics } from '../metrics.js';
import { Pairing } from '../pairing/pairing.service.js';
import { Devices } from '../sessions/devices.service.js';
import { Tokens } from '../sessions/tokens.js';
import { States } from '../sync/state.service.js';
import { ChatHandlers } from './chat-handlers.js';
import type { ClientEvent, Payload, Reply } from './events.js';
import type { Peer } from './peer.js';
import { Reception } from './reception.js';
import { Relay } from './relay.js';
import { Signals } from './signals.js';

type Table = { [E in ClientEvent]: (peer: Peer, payload: Payload<E>) => Promise<Reply | void> };

/** What each event of `events.ts` does; the desk has checked who sends it, and that it fits. */
@Injectable()
export class Handlers {
  constructor(
    private readonly reception: Reception,
    private readonly devices: Devices,
    private readonly tokens: Tokens,
    private readonly pairing: Pairing,
    private readonly inbox: Inbox,
    private readonly outbox: Outbox,
    private readonly conversations: Conversations,
    private readonly states: States,
    private readonly relay: Relay,
    private readonly signals: Signals,
    private readonly chats: ChatHandlers,
    private readonly metrics: Metrics,
  ) {}

  /** One line an event; what they mean is in the services. */
  readonly table: Table = {
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
    ...this.chats.table,
  };

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
        inviteToken: phone.inviteToken ?? inviteTokenOf(peer),
      },
      peer.address,
    );
    const accountId = session.account.id;
    const reply = { deviceId, accountId, ...(deviceToken === undefined ? {} : { deviceToken }) };
    peer.emit('authenticated', { success: true, ...reply });
    this.reception.signedIn(peer, session, since);
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
    if (!again) this.reception.signedIn(peer, session, since);
    // The phone is asked for a sync once a login, however often the login is said.
    if (!peer.greeted) {
      peer.greeted = true;
      this.relay.browserArrived(peer).catch((error: unknown) => this.reception.interrupt(peer, error));
    }
    return reply;
  }

  private async requestSync(peer: Peer): Promise<void> {
    if (!(await this.relay.requestSync(peer.session!.account))) throw relayError('phone_away');
  }

  private async timed<T>(work: Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await work;
    this.metrics.relaySeconds.observe((performance.now() - started) / 1000);
    return result;
  }
}

/** A phone may also show its invitation as it connects, where nothing has been checked yet. */
function inviteTokenOf({ transport }: Peer): string | undefined {
  const { inviteToken } = transport.said;
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
