import { Injectable } from '@nestjs/common';
import { RelayError, relayError } from '../errors.js';
import { AccountDeletion } from './account-deletion.js';
import { AccountEvents } from '../sessions/account-events.js';
import { Accounts, type Person } from '../sessions/accounts.service.js';
import { Codes } from './codes.service.js';
import { checkedEmail, checkedName, checkedNewPassword } from './credentials.js';
import { OwnerCheck } from './owner-check.js';
import { Limits } from '../sessions/limits.js';
import { Passwords } from './passwords.js';
import { fingerprintOf } from './public-person.js';
import type { Session } from '../sessions/session.js';
import { SignIn } from './sign-in.service.js';
import { Tokens } from '../sessions/tokens.js';

/** An account as its owner sees it. Times are ms since 1970. */
export interface AccountView extends Person {
  userId: string;
  realm: string;
  /** Of the public key, where there is one. */
  fingerprint?: string;
  createdAt: number;
  hasPassword: boolean;
  /** How many devices it has, phones among them. */
  devices: number;
  phones: number;
}

/** What an owner does with their own account: how they sign in to it, and its end. */
@Injectable()
export class OwnAccount {
  constructor(
    private readonly accounts: Accounts,
    private readonly owner: OwnerCheck,
    private readonly signIn: SignIn,
    private readonly codes: Codes,
    private readonly passwords: Passwords,
    private readonly tokens: Tokens,
    private readonly events: AccountEvents,
    private readonly deletion: AccountDeletion,
    private readonly limits: Limits,
  ) {}

  async view({ account }: Session): Promise<AccountView> {
    const { realm, database } = account.home;
    const login = await this.accounts.loginOf(account);
    const row = await database.prisma.account.findUnique({ where: { id: account.id }, select: { createdAt: true } });
    if (row === null) throw relayError('session_expired'); // deleted meanwhile
    const kinds = await database.prisma.device.groupBy({
      by: ['kind'],
      where: { accountId: account.id, deleted: false },
      _count: true,
    });
    return {
      userId: account.id,
      realm,
      ...login?.person,
      ...(login?.person.publicKey === undefined ? {} : { fingerprint: fingerprintOf(login.person.publicKey) }),
      createdAt: row.createdAt.getTime(),
      hasPassword: login?.passwordHash !== undefined,
      devices: kinds.reduce((sum, { _count }) => sum + _count, 0),
      phones: kinds.find(({ kind }) => kind === 'phone')?._count ?? 0,
    };
  }

  /** Sends a code to an email that is to be added. Whether it is taken is told to who has the code. @see Codes.send */
  sendCode({ account }: Session, email: string, address: string): Promise<void> {
    return this.codes.send(account.home.realm, email, `email:${account.id}`, address);
  }

  /** Adds the email, or puts it in the place of the one before. Throws `wrong_code`, `email_taken`, `wrong_credentials`. */
  async addEmail(
    { account }: Session,
    email: string,
    code: string,
    address: string,
    password?: string | null,
  ): Promise<void> {
    const checked = checkedEmail(email);
    await this.owner.confirm(account, password, address);
    await this.codes.redeem(account.home.realm, checked, `email:${account.id}`, code, address);
    try {
      await this.accounts.setLogin(account, { email: checked }, () => ({ proven: true }));
    } catch (error) {
      if (!(error instanceof RelayError) || error.code !== 'email_taken') throw error;
      throw relayError('email_taken', { detail: 'sign in with it, then join the two accounts' });
    }
    await this.events.note(account, 'email.added', { address });
  }

  /**
   * The name to sign in by, and the account's first password with it, if it has none. Throws `name_taken`, `bad_request`,
   * `wrong_credentials`.
   */
  async setName(
    { account }: Session,
    name: string,
    { password, currentPassword }: { password?: string | null; currentPassword?: string | null },
    address: string,
  ): Promise<void> {
    const checked = checkedName(name);
    const hasPassword = (await this.accounts.loginOf(account))?.passwordHash !== undefined;
    if (hasPassword && password != null)
      throw relayError('bad_request', { detail: 'this account has a password already, and it is changed by itself' });
    if (!hasPassword && password == null)
      throw relayError('bad_request', { detail: 'password is needed to sign in by name' });
    await this.owner.confirm(account, currentPassword, address);
    await this.limits.profile(account.id);
    const passwordHash =
      password == null ? undefined : await this.passwords.hash(checkedNewPassword(password), address);
    await this.accounts.setLogin(account, { name: checked }, (login) => {
      // One that was set meanwhile: to put another in its place takes more than a session.
      if (passwordHash !== undefined && login?.passwordHash !== undefined) throw relayError('busy', { retryAfter: 1 });
      return { passwordHash };
    });
    await this.events.note(account, 'name.added', { address });
  }

  /**
   * A new password, or the first. It ends every browser's session; answers a token for the one that asks, so that it goes on,
   * unless it is a phone. With `sparing` the token that it has stays good too. Throws `bad_request`, `wrong_credentials`.
   */
  async setPassword(
    session: Session,
    password: string,
    currentPassword: string | null | undefined,
    address: string,
    { sparing = false } = {},
  ): Promise<{ token?: string }> {
    const { account, deviceId } = session;
    checkedNewPassword(password);
    await this.owner.confirm(account, currentPassword, address);
    const { email, name } = (await this.accounts.loginOf(account))?.person ?? {};
    if (email === undefined && name === undefined)
      throw relayError('bad_request', { detail: 'add an email or a name to sign in by first' });
    await this.signIn.changePassword(account, password, address, sparing ? { spared: deviceId } : {});
    if (session.kind !== 'browser') return {};
    const device = await account.home.database.prisma.device.findFirst({
      where: { accountId: account.id, id: deviceId, deleted: false },
      select: { generation: true },
    });
    return device === null ? {} : { token: this.tokens.sign(session, device.generation) };
  }

  /** Throws `wrong_credentials`. @see AccountDeletion */
  async delete({ account }: Session, password: string | null | undefined, address: string): Promise<void> {
    await this.owner.confirm(account, password, address);
    await this.deletion.delete(account);
  }

  /** For clients of wire.md, section E, which send nothing along: their session is the proof. */
  async remove({ account }: Session): Promise<void> {
    await this.deletion.delete(account);
  }
}
