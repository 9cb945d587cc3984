import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Erasure } from '../changes/erasure.js';
import { Accounts } from '../sessions/accounts.service.js';

/** The end of an account. */
@Injectable()
export class AccountDeletion {
  constructor(
    private readonly accounts: Accounts,
    private readonly keys: AccountKeys,
    private readonly erasure: Erasure,
  ) {}

  /**
   * With the account's row its data key is gone, and with it devices, login, tokens, keys and audit list: in one transaction,
   * after which nobody gets in any more, and whatever is still under way finds no account. Then its other rows go. Resolves
   * when they are gone; should the server die before, it goes on when it is back.
   */
  async delete(account: AccountKey): Promise<void> {
    const { realm, database } = account.home;
    const { person } = (await this.accounts.loginOf(account)) ?? {};
    const email = person?.email === undefined ? null : await this.accounts.emailIndex(realm, person.email);
    const gone = await database.transaction(async (client) => {
      // Nobody joins another account to it meanwhile: those that were have to go with it.
      await client.query('SELECT id FROM accounts WHERE id = $1 FOR UPDATE', [account.id]);
      await client.query('DELETE FROM codes WHERE realm = $1 AND (email_index = $2 OR purpose = $3)', [
        realm,
        email,
        `email:${account.id}`,
      ]);
      const { rows } = await client.query<{ account_id: string }>(
        `WITH gone AS (DELETE FROM accounts WHERE id = $1 OR joined_into = $1 RETURNING id)
         INSERT INTO erasures (account_id) SELECT id FROM gone RETURNING account_id`,
        [account.id],
      );
      return rows.map((row) => row.account_id);
    });
    for (const id of gone) this.keys.forget(id);
    this.accounts.events.emit('account.deleted', account.id);
    await this.erasure.erase(database, gone);
  }
}
