import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { relayError } from '../errors.js';
import { AccountEvents } from '../sessions/account-events.js';
import { Accounts, type Login, type LoginMarks } from '../sessions/accounts.service.js';
import { Devices } from '../sessions/devices.service.js';

/**
 * Changes of a login that end what somebody else may have let themselves in with: every browser's session, and every
 * refresh token. Phones stay: their messages are theirs.
 */
@Injectable()
export class Renewal {
  constructor(
    private readonly accounts: Accounts,
    private readonly devices: Devices,
    private readonly events: AccountEvents,
  ) {}

  /**
   * `byMail`: by a code that was mailed, which is a proof, too. `spared`: the device whose session goes on. Throws `not_found`
   * when the account has no login.
   */
  async changePassword(
    account: AccountKey,
    passwordHash: string,
    address: string,
    { byMail = false, spared }: { byMail?: boolean; spared?: string } = {},
  ): Promise<void> {
    await this.renew(account, address, (login) => ({ passwordHash, proven: login.proven || byMail }), spared);
    await this.events.note(account, 'password.changed', { address });
  }

  /**
   * A code has shown that the email is theirs. Anybody could have registered it before: the first time, the password that
   * was set without a proof goes too, and so do the API keys.
   */
  prove(account: AccountKey, address: string): Promise<Login> {
    return this.renew(account, address, ({ proven }) => (proven ? undefined : { passwordHash: null, proven: true }));
  }

  private async renew(
    account: AccountKey,
    address: string,
    change: (login: Login) => LoginMarks | undefined,
    spared?: string,
  ): Promise<Login> {
    let sessions: { id: string }[] = [];
    let keys: { id: string }[] = [];
    let isFirstProof = false;
    const renewed = await this.accounts.setLogin(account, {}, async (login, tx) => {
      if (login === undefined) throw relayError('not_found');
      const marks = change(login);
      // Proven by another code at the same moment.
      if (marks === undefined) return {};
      const where = { accountId: account.id };
      sessions = await tx.device.updateManyAndReturn({
        where: { ...where, kind: 'browser', deleted: false, ...(spared === undefined ? {} : { id: { not: spared } }) },
        data: { generation: { increment: 1 } },
        select: { id: true },
      });
      await tx.refreshToken.deleteMany({ where });
      isFirstProof = !login.proven && marks.proven === true;
      if (isFirstProof) {
        keys = await tx.apiKey.findMany({ where, select: { id: true } });
        await tx.apiKey.deleteMany({ where });
      }
      return marks;
    });
    this.accounts.events.emit(
      'sessions.ended',
      account.id,
      sessions.map(({ id }) => id),
    );
    for (const { id } of keys) this.devices.events.emit('device.revoked', account.id, id);
    if (isFirstProof) await this.events.note(account, 'email.proven', { address });
    return renewed;
  }
}
