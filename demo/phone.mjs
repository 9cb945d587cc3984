import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { io } from 'socket.io-client';

const PATIENCE_MS = 15_000;

/**
 * A simulated phone: it registers, scans QR codes, tells of texts that come in, and sends what browsers write. It does
 * what a real one has to do, but for the radio. Emits `change` after everything that happens to it.
 */
export class Phone extends EventEmitter {
  deviceId = `demo-${randomUUID()}`;
  /** Given by the server once, at the first registration; every later one needs it. */
  deviceToken = undefined;
  /** The tempIds of what it was given to send: one that is offered again is not sent again. */
  taken = new Set();
  /** Those whose delivery the server knows of. */
  delivered = new Set();
  /** The conversations that were read in a browser. */
  read = new Set();

  /** @param {{url: string, say: (line: string) => void, pause: (ms: number) => Promise<void>, contacts: object[], inviteToken?: string}} options */
  constructor({ url, say, pause, contacts, inviteToken }) {
    super();
    Object.assign(this, { url, say, pause, contacts, inviteToken });
  }

  /** Connects and registers; resolves once the server knows who it is. */
  async connect() {
    this.socket = io(this.url, { transports: ['websocket'], forceNew: true });
    this.socket.on('request:sync', () => void this.sync());
    this.socket.on('send:message', (message, ack) => {
      // The server stops offering a message once it is acknowledged.
      ack?.({ ok: true });
      void this.transmit(message);
    });
    this.socket.on('mark:read', ({ conversationId }, ack) => {
      ack?.({ ok: true });
      this.read.add(conversationId);
      this.say(`${this.nameOf(conversationId)}'s conversation is read`);
      this.emit('change');
    });
    const { deviceId, deviceToken, inviteToken } = this;
    const reply = await this.ask('mobile:register', {
      deviceId,
      deviceName: 'Demo phone',
      deviceModel: 'Simulated',
      deviceToken,
      inviteToken,
    });
    this.deviceToken ??= reply.deviceToken;
  }

  /** Out of reach: nothing is said to the server, the connection is just gone. */
  disconnect() {
    this.socket?.disconnect();
  }

  scan(qrData) {
    return this.ask('mobile:scan-qr', { qrData, deviceId: this.deviceId });
  }

  /** A text came in over the network. Resolves with its id once the server has it. */
  async receive({ id: conversationId, phoneNumber }, body) {
    const message = {
      id: randomUUID(),
      conversationId,
      phoneNumber,
      body,
      timestamp: Date.now(),
      type: 'received',
      read: false,
    };
    await this.ask('mobile:messages', { messages: [message] });
    return message.id;
  }

  /** A browser asks what there is. */
  async sync() {
    await this.attempt('mobile:conversations', { conversations: this.contacts });
  }

  /** Sends a text for a browser, and reports how it goes. */
  async transmit({ tempId, phoneNumber, message }) {
    if (this.taken.has(tempId)) return;
    this.taken.add(tempId);
    await this.pause(400);
    const contact = this.contacts.find((known) => known.phoneNumber === phoneNumber);
    this.say(`sending to ${contact?.contactName ?? phoneNumber}: ${message}`);
    for (const status of ['sent', 'delivered']) {
      await this.pause(700);
      await this.attempt('mobile:message-status', { messageId: tempId, status });
    }
    this.delivered.add(tempId);
    this.emit('change');
  }

  nameOf(conversationId) {
    return this.contacts.find(({ id }) => id === conversationId)?.contactName ?? conversationId;
  }

  /** For what the server asked for: if it fails, the story notices what is missing. */
  async attempt(event, payload) {
    await this.ask(event, payload).catch((error) => this.say(error.message));
  }

  /** Emits an event; resolves with the server's acknowledgement, which it gives once the change is on disk. */
  async ask(event, payload) {
    const reply = await this.socket
      .timeout(PATIENCE_MS)
      .emitWithAck(event, payload)
      .catch(() => {
        throw new Error(`The server did not answer the phone's ${event} within ${PATIENCE_MS / 1000} seconds.`);
      });
    if (!reply.ok) throw new Error(`The server refused the phone's ${event}: ${reply.message} (${reply.code}).`);
    return reply;
  }
}
