import { Inject, Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { ENV, type BootEnv } from '../env.js';
import { RelayError, relayError } from '../errors.js';
import { AccountEvents } from '../sessions/account-events.js';
import {
  Accounts,
  normalizeEmail,
  normalizeName,
  type Login,
  type LoginMarks,
  type Person,
} from '../sessions/accounts.service.js';
import { Afterwards } from './afterwards.js';
import { Codes } from './codes.service.js';
import { checkedEmail, checkedName, checkedNewPassword, checkedPassword, checkedPublicKey } from './credentials.js';
import { Devices, type SignInDevice } from '../sessions/devices.service.js';
import { Limits } from '../sessions/limits.js';
import { Passwords } from './passwords.js';
import { Realms } from '../sessions/realms.js';
import { Renewal } from './renewal.js';
import type { Session } from '../sessions/session.js';
import { Tokens } from '../sessions/tokens.js';

/** Who signs up: from which address, and with which invitation where one is asked for. */
export interface SignUpOrigin {
  address: string;
  inviteToken?: string | null;
}

export interface Begun {
  session: Session;
  /** The device's: what its tokens have to be of. */
  generation: number;
  token: string;
}

/** People who come by email or name with a password, or by a code; in any realm. */
@Injectable()
export class SignIn {
  constructor(
    private readonly accounts: Accounts,
    private readonly passwords: Passwords,
    private readonly codes: Codes,
    private readonly devices: Devices,
    private readonly tokens: Tokens,
    private readonly events: AccountEvents,
    private readonly realms: Realms,
    private readonly limits: Limits,
    private readonly afterwards: Afterwards,
    private readonly renewal: Renewal,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /**
   * A new account with a password. The email is taken at its word (wire.md, section B: a token comes at once). Throws
   * `bad_request`, `registration_closed`, `invite_required`, `email_taken`, `name_taken`, `rate_limited`, `busy`.
   */
  async register(realm: string, person: Person, password: string, origin: SignUpOrigin): Promise<AccountKey> {
    const checked = checkedPerson(person);
    checkedNewPassword(password);
    this.realms.admitNew(realm, origin.inviteToken);
    await this.limits.registration(origin.address);
    const { email, name } = checked;
    // Looked up first, because a hash costs more; whoever comes in between is found by the database.
    const isEmailTaken = email !== undefined && (await this.accounts.find(realm, { email })) !== undefined;
    const isNameTaken = name !== undefined && (await this.accounts.find(realm, { name })) !== undefined;
    await this.limits.answer(isEmailTaken || isNameTaken, origin.address);
    if (isEmailTaken || isNameTaken) throw relayError(isEmailTaken ? 'email_taken' : 'name_taken');
    return this.create(realm, checked, origin.address, {
      passwordHash: await this.passwords.hash(password, origin.address),
    });
  }

  private async create(realm: string, person: Person, address: string, marks: LoginMarks): Promise<AccountKey> {
    const account = await this.accounts.create(realm, person, marks);
    await this.events.note(account, 'account.created', { address });
    return account;
  }

  /**
   * Unknown names, wrong passwords and accounts without one are told alike, and take as long. Throws
   * `wrong_credentials`, `rate_limited`, `bad_request`, `busy`.
   */
  async withPassword(
    realm: string,
    by: { email: string } | { name: string },
    password: string,
    address: string,
  ): Promise<Login> {
    checkedPassword(password);
    const login = await this.accounts.find(realm, by);
    const who = `${realm} ${'email' in by ? normalizeEmail(by.email) : normalizeName(by.name)}`;
    const right = await this.limits.guess(who, address, async () =>
      (await this.passwords.verify(login?.passwordHash, password, address)) ? login : undefined,
    );
    if (right === undefined) {
      if (login !== undefined)
        this.afterwards.do(
          () => this.events.note(login.account, 'session.refused', { address }),
          'a refused sign-in could not be noted',
        );
      throw relayError('wrong_credentials');
    }
    return this.passwords.needsRehash(right.passwordHash!) ? this.rehash(right, password, address) : right;
  }

  private async rehash(login: Login, password: string, address: string): Promise<Login> {
    const { account, passwordHash } = login;
    const data = { passwordHash: await this.passwords.hash(password, address) };
    // Not over one that was set meanwhile.
    const where = { accountId: account.id, passwordHash };
    const { count } = await account.home.database.prisma.login.updateMany({ where, data });
    if (count === 1) return { ...login, ...data };
    // Hashed anew by another sign-in at the same moment, or changed.
    const now = await this.accounts.loginOf(account);
    return now && (await this.passwords.verify(now.passwordHash, password, address)) ? now : login;
  }

  /**
   * An unknown email gets an account, where registration is open. Who proves for the first time that the email is theirs ends
   * what others may have let themselves in with (`Renewal.prove`). Throws `wrong_code`, `rate_limited`.
   */
  async withCode(realm: string, email: string, code: string, address: string): Promise<Login> {
    const checked = checkedEmail(email);
    await this.codes.redeem(realm, checked, 'sign-in', code, address);
    const known = await this.accounts.find(realm, { email: checked });
    const login = known ?? (await this.newByCode(realm, checked, address));
    return login.proven ? login : this.renewal.prove(login.account, address);
  }

  private async newByCode(realm: string, email: string, address: string): Promise<Login> {
    // Nothing was sent then, so this one was guessed.
    if (this.realms.settings(realm).registration !== 'open') throw relayError('wrong_code');
    try {
      const account = await this.create(realm, { email }, address, { proven: true });
      return { account, person: { email }, proven: true };
    } catch (error) {
      const made = error instanceof RelayError && error.code === 'email_taken';
      const login = made ? await this.accounts.find(realm, { email }) : undefined;
      if (login === undefined) throw error;
      return login;
    }
  }

  /** A session for a device of somebody who proved who they are. */
  async begin({ account, passwordHash }: Login, device: SignInDevice, address: string): Promise<Begun> {
    const expiresAt = new Date(Date.now() + this.env.sessionTtlMs);
    const { session, generation } = await this.devices.signIn(account, device, expiresAt);
    // Changed since it was found right: that ended the sessions there were, and this one is not to outlive them.
    if ((await this.accounts.loginOf(account))?.passwordHash !== passwordHash) throw relayError('busy', { retryAfter: 1 }); // prettier-ignore
    await this.events.note(account, 'session.began', { address, name: device.name, id: session.deviceId });
    return { session, generation, token: this.tokens.sign(session, generation) };
  }

  /**
   * For an account that has a login. Every browser's session ends, but that of the `spared` device, and every refresh token;
   * phones stay. `byMail`: a code has just shown that the email is theirs. Throws `bad_request`, `not_found`, `busy`.
   */
  async changePassword(
    account: AccountKey,
    newPassword: string,
    address: string,
    how?: { byMail?: boolean; spared?: string },
  ): Promise<void> {
    checkedNewPassword(newPassword);
    await this.renewal.changePassword(account, await this.passwords.hash(newPassword, address), address, how);
  }
}

function checkedPerson(person: Person): Person {
  const { email, name, publicKey } = person;
  if (email === undefined && name === undefined)
    throw relayError('bad_request', { detail: 'an email or a name is needed' });
  return {
    ...person,
    ...(email === undefined ? {} : { email: checkedEmail(email) }),
    ...(name === undefined ? {} : { name: checkedName(name) }),
    ...(publicKey === undefined ? {} : { publicKey: checkedPublicKey(publicKey) }),
  };
}
