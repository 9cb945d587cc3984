import { Injectable } from '@nestjs/common';
import { isUUID } from 'class-validator';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Changes } from '../changes/changes.js';
import { relayError } from '../errors.js';
import { Accounts } from '../sessions/accounts.service.js';
import { Limits } from '../sessions/limits.js';
import type { Session } from '../sessions/session.js';
import type { BlockMutation } from './block.kind.js';
import { blocksOfPerson } from './blocking.js';

/** Whom people block. Those who are blocked are not told, and find nothing changed. */
@Injectable()
export class Blocks {
  constructor(
    private readonly changes: Changes,
    private readonly keys: AccountKeys,
    private readonly accounts: Accounts,
    private readonly limits: Limits,
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

  /** Resolves after the commit; again it changes nothing. Throws `person_not_found`, `rate_limited`, and `bad_request` for oneself. */
  async block({ account }: Session, userId: string): Promise<void> {
    await this.limits.post(account.id);
    const id = checkedId(userId);
    const other = await this.keys.find(id, account.home.realm);
    // A phone's account without a login is nobody, nor is a conversation.
    if (other === undefined || (await this.accounts.loginOf(other)) === undefined) throw relayError('person_not_found');
    if (other.id === account.id) throw relayError('bad_request', { detail: 'nobody blocks themselves' });
    const [outcome] = await this.changes.submit([mutation(account, id, 'put')]);
    if (outcome!.result === 'missing') throw relayError('session_expired');
  }

  /**
   * Whichever of the accounts that are theirs was blocked. Resolves after the commit, also for somebody who is not blocked, or
   * gone. Throws `rate_limited`, and `person_not_found` for what is no id.
   */
  async unblock({ account }: Session, userId: string): Promise<void> {
    await this.limits.post(account.id);
    const id = checkedId(userId);
    // Itself in any case: it may be being blocked at this moment.
    const ids = new Set([id, ...(await blocksOfPerson(account.home.database.pool, account.id, id))]);
    await this.changes.submit([...ids].map((each) => mutation(account, each, 'delete')));
  }
}

function mutation(account: AccountKey, id: string, op: BlockMutation['op']): BlockMutation {
  return { account, kind: 'block', id, op, row: null, at: Date.now(), bytes: 128 };
}

function checkedId(userId: string): string {
  if (!isUUID(userId)) throw relayError('person_not_found');
  return userId.toLowerCase();
}
