import { Injectable } from '@nestjs/common';
import { isUUID } from 'class-validator';
import { AccountKeys } from '../changes/account-keys.js';
import { Changes } from '../changes/changes.js';
import { relayError } from '../errors.js';
import { Accounts } from '../sessions/accounts.service.js';
import type { Session } from '../sessions/session.js';
import type { BlockMutation } from './block.kind.js';

/** Whom people block. Those who are blocked are not told, and find nothing changed. */
@Injectable()
export class Blocks {
  constructor(
    private readonly changes: Changes,
    private readonly keys: AccountKeys,
    private readonly accounts: Accounts,
  ) {}

  /** User ids; the first that was blocked first. */
  async list({ account }: Session): Promise<string[]> {
    const rows = await account.home.database.prisma.block.findMany({
      where: { accountId: account.id, deleted: false },
      select: { id: true },
      orderBy: { seq: 'asc' },
    });
    return rows.map(({ id }) => id);
  }

  /** Resolves after the commit; again it changes nothing. Throws `person_not_found`, and `bad_request` for oneself. */
  async block({ account }: Session, userId: string): Promise<void> {
    const id = checkedId(userId);
    const other = await this.keys.find(id, account.home.realm);
    // A phone's account without a login is nobody, nor is a conversation.
    if (other === undefined || (await this.accounts.loginOf(other)) === undefined) throw relayError('person_not_found');
    if (other.id === account.id) throw relayError('bad_request', { detail: 'nobody blocks themselves' });
    const [outcome] = await this.submit({
      account,
      kind: 'block',
      id,
      op: 'put',
      row: null,
      at: Date.now(),
      bytes: 128,
    });
    if (outcome!.result === 'missing') throw relayError('session_expired');
  }

  /** Resolves after the commit, also for somebody who is not blocked, or gone. Throws `person_not_found` for what is no id. */
  async unblock({ account }: Session, userId: string): Promise<void> {
    const id = checkedId(userId);
    await this.submit({ account, kind: 'block', id, op: 'delete', row: null, at: Date.now(), bytes: 128 });
  }

  private submit(mutation: BlockMutation) {
    return this.changes.submit([mutation]);
  }
}

function checkedId(userId: string): string {
  if (!isUUID(userId)) throw relayError('person_not_found');
  return userId.toLowerCase();
}
