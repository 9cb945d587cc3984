import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Databases } from '../database/databases.js';
import { LOG, type Log } from '../log.js';
import { Accounts } from '../sessions/accounts.service.js';
import { Slots } from '../sessions/slots.js';
import { Chats } from './chats.service.js';

/** Keeps chats in step with the accounts of their members: who goes has left, and who changes is told of anew. */
@Injectable()
export class ChatUpkeep implements OnModuleInit, OnApplicationBootstrap {
  /** Of two changes of one account the later is told last. */
  private readonly telling = new Slots(1);

  constructor(
    private readonly databases: Databases,
    private readonly keys: AccountKeys,
    private readonly accounts: Accounts,
    private readonly chats: Chats,
    @Inject(LOG) private readonly log: Log,
  ) {}

  onModuleInit(): void {
    const { events } = this.accounts;
    events.onOwn('account.deleted', (id) => void this.orLater(() => this.lose(id)));
    events.onOwn('profile.changed', (id, _, realm) => void this.orLater(() => this.tell(id, realm)));
    // The one that two became may have another name.
    events.onOwn('account.joined', (id) => void this.orLater(() => this.tell(id)));
  }

  /** Whose account went when the server died on the way has left too. */
  onApplicationBootstrap(): void {
    void this.orLater(async () => {
      for (const { pool } of this.databases.all()) {
        const { rows } = await pool.query<{ account_id: string }>(
          `SELECT DISTINCT account_id FROM chat_members m
           WHERE state IN ('accepted', 'invited') AND NOT EXISTS (SELECT FROM accounts a WHERE a.id = m.account_id)`,
        );
        for (const { account_id } of rows) await this.lose(account_id);
      }
    });
  }

  private async lose(account: string): Promise<void> {
    for (const chat of await this.chatsOf(account)) await this.chats.lose(chat, account);
  }

  private tell(account: string, realm?: string): Promise<void> {
    return this.telling.take(account, async () => {
      const chats = await this.chatsOf(account);
      if (chats.length === 0) return;
      const key = await this.keys.find(account, realm ?? chats[0]!.home.realm);
      if (key === undefined) return;
      const person = await this.chats.self(key);
      for (const chat of chats) await this.chats.introduce(chat, person);
    });
  }

  private async chatsOf(account: string): Promise<AccountKey[]> {
    const found: (AccountKey | undefined)[] = [];
    for (const { pool } of this.databases.all()) {
      const { rows } = await pool.query<{ id: string; realm: string }>(
        `SELECT DISTINCT a.id, a.realm FROM chat_members m JOIN accounts a ON a.id = m.chat_id
         WHERE m.account_id = $1 AND m.state IN ('accepted', 'invited')`,
        [account],
      );
      for (const { id, realm } of rows) found.push(await this.keys.find(id, realm));
    }
    return found.filter((chat) => chat !== undefined);
  }

  private async orLater(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.log.warn({ err: error }, 'a conversation could not be told of a member; its next change tells');
    }
  }
}
