import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { ENV, type BootEnv } from '../env.js';
import { Limits } from '../sessions/limits.js';
import type { Session } from '../sessions/session.js';
import { ChatAccounts } from './chat-accounts.js';
import { ChatOperations, EVERYBODY } from './chat-operations.js';
import { checkedContent, checkedMessageId } from './checked-content.js';

/** What a client writes; `content` is not looked into. */
export interface Written {
  content: unknown;
  epoch?: number;
}

/**
 * What members write, and how far they have read. `by` is the connection that it came by, which is not told of it. Each of
 * these throws `conversation_not_found` to who is not in the conversation, and `rate_limited`.
 */
@Injectable()
export class ChatMessages {
  constructor(
    private readonly chats: ChatAccounts,
    private readonly operations: ChatOperations,
    private readonly limits: Limits,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /**
   * The same `messageId` again is the same message. Throws `invalid_content`, `invalid_string`, `message_id_taken`,
   * `key_outdated`.
   */
  async post(
    session: Session,
    id: string,
    { content, epoch, messageId = randomUUID(), files }: Written & { messageId?: string; files?: string[] },
    by?: string,
  ): Promise<{ message_id: string; number: number }> {
    const checked = this.checked(content);
    checkedMessageId(messageId);
    const chat = await this.admitted(session, id);
    const row = { by: session.account.id, messageId, content: checked, epoch, files };
    const reply = await this.operations.do(chat, 'post', row, { by });
    return { message_id: reply.messageId!, number: reply.number! };
  }

  /** Throws `invalid_content`, `message_not_found`, `role_missing`, `message_too_old`, `key_outdated`. */
  async edit(session: Session, id: string, messageId: string, { content, epoch }: Written, by?: string): Promise<void> {
    const checked = this.checked(content);
    const chat = await this.admitted(session, id);
    await this.operations.do(chat, 'edit', { by: session.account.id, messageId, content: checked, epoch }, { by });
  }

  /** For everyone, with its reactions and files. Throws `message_not_found`, `role_missing`, `message_too_old`. */
  async remove(session: Session, id: string, messageId: string, by?: string): Promise<void> {
    const chat = await this.admitted(session, id);
    const row = { by: session.account.id, messageId };
    await this.operations.do(chat, 'delete', row, { numbers: EVERYBODY, by });
  }

  /** One of a person and message; null takes it back. Throws `invalid_content`, `message_not_found`, `key_outdated`. */
  async react(
    session: Session,
    id: string,
    messageId: string,
    { content, epoch }: Written,
    by?: string,
  ): Promise<void> {
    const checked = content === null ? null : this.checked(content);
    const chat = await this.admitted(session, id);
    await this.operations.do(chat, 'react', { by: session.account.id, messageId, content: checked, epoch }, { by });
  }

  /** Numbers of messages; only ever forward, and who has read has got. */
  async mark(session: Session, id: string, { delivered = 0, read = 0 }: Marks, by?: string): Promise<void> {
    const chat = await this.admitted(session, id);
    await this.operations.do(chat, 'mark', { by: session.account.id, delivered, read }, { by });
  }

  private checked(content: unknown): string {
    return checkedContent(content, this.env.limits.maxTextLength);
  }

  private async admitted(session: Session, id: string): Promise<AccountKey> {
    // First, and for what is nothing too: else who is over the bound would learn from it which conversations there are.
    await this.limits.post(session.account.id);
    return this.chats.find(session, id);
  }
}

export interface Marks {
  delivered?: number;
  read?: number;
}
