import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { Memberships } from '../chats/memberships.js';
import { Limits } from '../sessions/limits.js';
import { Broadcast } from './broadcast.js';
import type { Peer } from './peer.js';

/** Who has not typed for so long has stopped. */
const STOPS_AFTER_MS = 3000;

interface Typist {
  timer: NodeJS.Timeout;
  /** The accounts that were told. */
  told: string[];
  /** What they are to be told in the end. */
  payload: { conversationId: string; user_id: string; pseudo: string };
}

/** Who is typing in which conversation: told to those who are there, and never stored. */
@Injectable()
export class Typing implements BeforeApplicationShutdown {
  private readonly typists = new Map<string, Typist>();

  constructor(
    private readonly broadcast: Broadcast,
    private readonly memberships: Memberships,
    private readonly limits: Limits,
  ) {}

  /** Throws `conversation_not_found`, `rate_limited`. */
  async type({ session }: Peer, id: string): Promise<void> {
    const { account, deviceId } = session!;
    await this.limits.signal(`${account.id}:${deviceId}`);
    const { chatId, userId, name, accounts } = await this.memberships.hearers(session!, id);
    const payload = { conversationId: chatId, user_id: userId, pseudo: name };
    const key = `${chatId}:${userId}`;
    clearTimeout(this.typists.get(key)?.timer);
    const timer = setTimeout(() => this.stop(chatId, userId), STOPS_AFTER_MS).unref();
    this.typists.set(key, { timer, told: accounts, payload });
    this.tell('userTyping', accounts, payload);
  }

  /** The time is over, or what was typed is there. */
  stop(chatId: string, userId: string): void {
    const key = `${chatId}:${userId}`;
    const typist = this.typists.get(key);
    if (typist === undefined) return;
    clearTimeout(typist.timer);
    this.typists.delete(key);
    this.tell('userStoppedTyping', typist.told, typist.payload);
  }

  /** Of all in a conversation that somebody is out of: who goes is told no more of it, that they have stopped neither. */
  stopAll(chatId: string): void {
    for (const { payload } of [...this.typists.values()])
      if (payload.conversationId === chatId) this.stop(chatId, payload.user_id);
  }

  beforeApplicationShutdown(): void {
    for (const { timer } of this.typists.values()) clearTimeout(timer);
    this.typists.clear();
  }

  /** To clients that follow by a cursor too: it is in no change. */
  private tell(event: string, accounts: string[], payload: Typist['payload']): void {
    this.broadcast.tell({ accounts, who: 'browsers' }, event, payload);
  }
}
