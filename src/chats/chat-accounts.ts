import { Injectable } from '@nestjs/common';
import { isUUID } from 'class-validator';
import { LRUCache } from 'lru-cache';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';

/** The accounts that are chats: their rows and keys. Who is in them is decided when something is done in one. */
@Injectable()
export class ChatAccounts {
  /** Chats, by id: what is one stays one. */
  private readonly known = new LRUCache<string, true>({ max: 20_000 });

  constructor(private readonly keys: AccountKeys) {}

  /** Nobody is in it until its creation is submitted; should that never come, it is cleared away (`ChatSweep`). */
  async create({ account: { home } }: Session): Promise<AccountKey> {
    const { account, wrapped } = this.keys.create(home.realm);
    const data = { id: account.id, realm: home.realm, dataKey: Buffer.from(wrapped) };
    await home.database.prisma.account.create({ data });
    this.known.set(account.id, true);
    return account;
  }

  /** Throws `conversation_not_found`, for the account of a person as for none. */
  async find({ account: { home } }: Session, id: string): Promise<AccountKey> {
    const chat = isUUID(id) ? await this.keys.find(id.toLowerCase(), home.realm) : undefined;
    if (chat === undefined) throw relayError('conversation_not_found');
    if (!this.known.has(chat.id)) {
      const where = { chatId: chat.id };
      if ((await home.database.prisma.chatMember.findFirst({ where, select: { chatId: true } })) === null)
        throw relayError('conversation_not_found');
      this.known.set(chat.id, true);
    }
    return chat;
  }

  forget(id: string): void {
    this.known.delete(id);
    this.keys.forget(id);
  }
}
