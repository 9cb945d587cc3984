import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { relayError } from '../errors.js';
import { Accounts } from '../sessions/accounts.service.js';
import { SignIn } from './sign-in.service.js';

/** Whether who asks is the account's owner. */
@Injectable()
export class OwnerCheck {
  constructor(
    private readonly accounts: Accounts,
    private readonly signIn: SignIn,
  ) {}

  /**
   * Who has found an open session is not its owner yet: of an account that has a password, the password is asked for. Of
   * others a session is all there is. Throws `wrong_credentials`, `rate_limited`.
   */
  async confirm(account: AccountKey, password: string | null | undefined, address: string): Promise<void> {
    const login = await this.accounts.loginOf(account);
    if (login?.passwordHash === undefined) return;
    if (password == null) throw relayError('wrong_credentials', { detail: 'the password is needed' });
    const { email, name } = login.person;
    await this.signIn.withPassword(account.home.realm, email === undefined ? { name: name! } : { email }, password, address); // prettier-ignore
  }
}
