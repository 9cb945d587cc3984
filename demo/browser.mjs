import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { io } from 'socket.io-client';

const PATIENCE_MS = 15_000;

/**
 * A browser in a terminal: it asks for a QR code, waits to be paired, shows what comes and writes texts. Emits `change`
 * after everything that happens to it.
 */
export class Browser extends EventEmitter {
  /** Message id → message, as they stand now. */
  messages = new Map();
  /** The ids of those that came in while this browser was there. */
  news = new Set();
  /** Conversation id → conversation. */
  conversations = new Map();
  /** Whether the phone is there, and when it was last heard of. */
  phone = { here: false, lastSeen: 0 };

  /** @param {{url: string, say: (line: string) => void}} options */
  constructor({ url, say }) {
    super();
    Object.assign(this, { url, say });
  }

  /** @returns {Promise<{qrData: string, token: string, expiresIn: number}>} */
  async requestQr() {
    return this.fetch('/api/auth/generate-qr');
  }

  /** Long poll: resolves when a phone has scanned the code. */
  async waitForPairing(token) {
    const { sessionToken } = await this.fetch('/api/auth/wait-pairing', { token, deviceName: 'Demo browser' });
    this.sessionToken = sessionToken;
  }

  /** Connects and signs in; everything that is stored follows. */
  async connect() {
    this.socket = io(this.url, { transports: ['websocket'], forceNew: true });
    this.listen('conversations:sync', ({ conversations }) => {
      for (const conversation of conversations) this.conversations.set(conversation.id, conversation);
    });
    this.listen('messages:sync', ({ messages }) => {
      for (const message of messages) this.messages.set(message.id, message);
    });
    this.listen('message:new', (message) => {
      this.news.add(message.id);
      this.say(`${this.nameOf(message)}: ${message.body}`);
    });
    this.listen('message:status', ({ messageId, tempId = messageId, status }) => {
      const message = this.messages.get(tempId);
      if (message === undefined) return;
      message.status = status;
      this.say(`“${message.body}” is ${status}`);
    });
    this.listen('mobile:connected', ({ lastSeen }) => {
      this.phone = { here: true, lastSeen };
      this.say('the phone is here');
    });
    this.listen('mobile:disconnected', ({ lastSeen }) => {
      this.phone = { here: false, lastSeen };
      this.say(`the phone is away, last seen at ${clock(lastSeen)}`);
    });
    await this.ask('web:authenticate', { sessionToken: this.sessionToken });
  }

  disconnect() {
    this.socket?.disconnect();
  }

  /** Writes a text; resolves with its id once it is stored. */
  async write(phoneNumber, body) {
    // An id of our own makes a repeat harmless.
    const tempId = randomUUID();
    this.messages.set(tempId, { id: tempId, phoneNumber, body });
    const { status } = await this.ask('web:send-message', { phoneNumber, message: body, tempId });
    const message = this.messages.get(tempId);
    message.status ??= status;
    const why = this.phone.here ? '' : `: the phone was last seen at ${clock(this.phone.lastSeen)}`;
    this.say(`“${body}” is ${status}${why}`);
    return tempId;
  }

  markRead(conversationId) {
    return this.ask('web:mark-read', { conversationId });
  }

  nameOf({ conversationId, phoneNumber }) {
    return this.conversations.get(conversationId)?.contactName ?? phoneNumber;
  }

  /** Takes an event in, then tells whoever waits for something. */
  listen(event, take) {
    this.socket.on(event, (payload) => {
      take(payload);
      this.emit('change');
    });
  }

  async fetch(path, body) {
    const init = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    };
    const response = await fetch(this.url + path, body && init);
    const reply = await response.json();
    if (!reply.success) throw new Error(`The server refused ${path}: ${reply.message} (${reply.code}).`);
    return reply.data;
  }

  /** Emits an event; resolves with the server's acknowledgement, which it gives once the change is on disk. */
  async ask(event, payload) {
    const reply = await this.socket
      .timeout(PATIENCE_MS)
      .emitWithAck(event, payload)
      .catch(() => {
        throw new Error(`The server did not answer the browser's ${event} within ${PATIENCE_MS / 1000} seconds.`);
      });
    if (!reply.ok) throw new Error(`The server refused the browser's ${event}: ${reply.message} (${reply.code}).`);
    return reply;
  }
}

function clock(time) {
  return new Date(time).toLocaleTimeString('en-GB');
}
