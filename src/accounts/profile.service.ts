import { Injectable } from '@nestjs/common';
import { relayError } from '../errors.js';
import { AccountEvents } from '../sessions/account-events.js';
import { Accounts, type Login } from '../sessions/accounts.service.js';
import { Limits } from '../sessions/limits.js';
import type { Session } from '../sessions/session.js';
import { checkedPublicKey } from './credentials.js';
import { fingerprintOf } from './public-person.js';

/** What a person lets others see of them. */
@Injectable()
export class Profile {
  constructor(
    private readonly accounts: Accounts,
    private readonly events: AccountEvents,
    private readonly limits: Limits,
  ) {}

  /** Whether searches leave them out: as `hide` says, or otherwise than before. Answers how it is then. Throws `bad_request`. */
  async hide({ account }: Session, hide?: boolean): Promise<{ hide: boolean }> {
    const { person } = await this.accounts.setLogin(account, {}, (login) => {
      const { hidden = false } = present(login).person;
      return { says: { hidden: hide ?? !hidden } };
    });
    return { hide: person.hidden! };
  }

  /**
   * Another key that others seal to. The one before is kept, and with it `signature`, by which it vouches for the new one:
   * the server looks into neither. The same key again changes nothing. Throws `bad_request`, `rate_limited`.
   */
  async changeKey(
    { account }: Session,
    publicKey: string,
    signature: string | null | undefined,
    address: string,
  ): Promise<{ fingerprint: string }> {
    checkedPublicKey(publicKey);
    await this.limits.profile(account.id);
    let changed = false;
    await this.accounts.setLogin(account, {}, (login) => {
      const { publicKey: previousKey } = present(login).person;
      changed = previousKey !== publicKey;
      if (!changed) return {};
      // Nothing could have signed the first.
      const keySignature = previousKey === undefined ? undefined : (signature ?? undefined);
      return { says: { publicKey, previousKey, keySignature } };
    });
    if (changed) await this.events.note(account, 'key.changed', { address });
    return { fingerprint: fingerprintOf(publicKey) };
  }
}

/** An account that a phone made is nobody yet. */
function present(login: Login | undefined): Login {
  if (login === undefined) throw relayError('bad_request', { detail: 'add an email or a name to sign in by first' });
  return login;
}
