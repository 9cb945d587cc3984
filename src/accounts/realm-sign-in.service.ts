import { Inject, Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { ENV, type BootEnv } from '../env.js';
import { RelayError, relayError, type ErrorCode } from '../errors.js';
import { AccountEvents } from '../sessions/account-events.js';
import { Accounts, type Login, type Person } from '../sessions/accounts.service.js';
import { readBasic, readBearer } from '../sessions/authorization.js';
import { Codes } from './codes.service.js';
import { checkedEmail, checkedNewPassword } from './credentials.js';
import { openDevice } from '../sessions/device.kind.js';
import { Devices, type SignInDevice } from '../sessions/devices.service.js';
import { Limits } from '../sessions/limits.js';
import type {
  ChangePasswordByPinDto,
  RealmRegisterDto,
  RealmRegisterReply,
  RealmTokensReply,
  RealmUnregisterDto,
} from './realm-sign-in.dto.js';
import { RefreshTokens, type TokenPair } from './refresh-tokens.js';
import { RemoteData } from './remote-data.js';
import { SignIn } from './sign-in.service.js';
import { Tokens } from '../sessions/tokens.js';

/** Refusals that are 400 or 401 elsewhere: clients of section C refresh on 403, and sign in anew on another. */
const REFUSALS: Partial<Record<ErrorCode, ErrorCode>> = {
  wrong_credentials: 'sign_in_refused',
  wrong_code: 'code_refused',
  authentication_failed: 'token_expired',
};

/** How clients of table sync come in (wire.md, section C). A client is a device of its person; `clientId` is its id. */
@Injectable()
export class RealmSignIn {
  constructor(
    private readonly accounts: Accounts,
    private readonly signIn: SignIn,
    private readonly codes: Codes,
    private readonly devices: Devices,
    private readonly tokens: Tokens,
    private readonly refreshTokens: RefreshTokens,
    private readonly remoteData: RemoteData,
    private readonly events: AccountEvents,
    private readonly limits: Limits,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /**
   * A new person, or another client of one who has the right password. `newRegistration` says which of the two it has to
   * be. Throws `email_taken`, `email_unknown`, `sign_in_refused`, `registration_closed`, `invite_required`, `rate_limited`.
   */
  async register(realm: string, body: RealmRegisterDto, address: string): Promise<RealmRegisterReply> {
    const device = toDevice(body);
    const { account, person } = await this.personOf(realm, body, address);
    const known = await this.rowOf(account, device.id);
    if (body.deleteRemoteData) await this.remoteData.delete(account);
    await this.devices.signIn(account, device, new Date(Date.now() + this.env.sessionTtlMs));
    const { id, name } = device;
    if (known?.content == null) await this.events.note(account, 'session.began', { address, id, name });
    return { message: 'Registered', user: toUser(account, person, device.id) };
  }

  private async personOf(
    realm: string,
    body: RealmRegisterDto,
    address: string,
  ): Promise<Pick<Login, 'account' | 'person'>> {
    const { password, newRegistration, inviteToken } = body;
    const email = checkedEmail(body.email);
    const known = await this.accounts.find(realm, { email });
    const refusal = refusalOf(known, newRegistration);
    await this.limits.answer(refusal !== undefined, address);
    if (refusal !== undefined) throw relayError(refusal);
    if (known === undefined) {
      const person = { email, displayName: body.name, ...(body.language ? { language: body.language } : {}) };
      return { account: await this.signIn.register(realm, person, password, { address, inviteToken }), person };
    }
    // Who says nothing of an earlier registration is told of it; who claims one, that it is not theirs.
    const wrong = newRegistration === false ? 'sign_in_refused' : 'email_taken';
    return this.refusing({ wrong_credentials: wrong }, () =>
      this.signIn.withPassword(realm, { email }, password, address),
    );
  }

  /**
   * Removes a client: its tokens end and its connections close. The person and their rows stay. Throws `email_unknown`,
   * `sign_in_refused`, `token_expired`, `not_found` when there is no such client.
   */
  async unregister(realm: string, authorization: string | undefined, body: RealmUnregisterDto, address: string) {
    const token = readBearer(authorization);
    const { account, deviceId } = await (token === undefined
      ? this.clientByPassword(realm, body, address)
      : this.clientByToken(realm, token, body, address));
    await this.devices.revoke({ account, kind: 'browser', deviceId, phoneId: '' }, deviceId);
    return { code: 200 as const, message: 'Unregistered' };
  }

  private async clientByToken(realm: string, token: string, { clientId }: RealmUnregisterDto, address: string) {
    const session = await this.refusing(REFUSALS, () => this.tokens.authenticate(token, address));
    if (session.account.home.realm !== realm) throw relayError('token_expired');
    return { account: session.account, deviceId: clientId ?? session.deviceId };
  }

  private async clientByPassword(realm: string, { email, password, clientId }: RealmUnregisterDto, address: string) {
    if (email == null && password == null) throw relayError('not_authenticated');
    if (email == null || password == null || clientId == null)
      throw relayError('bad_request', { detail: 'email, password and clientId are needed' });
    try {
      const { account } = await this.signIn.withPassword(realm, { email: checkedEmail(email) }, password, address);
      return { account, deviceId: clientId };
    } catch (error) {
      if (!(error instanceof RelayError) || error.code !== 'wrong_credentials') throw error;
      const known = await this.accounts.find(realm, { email });
      throw relayError(known === undefined ? 'email_unknown' : 'sign_in_refused');
    }
  }

  /** `authorization` is Basic: email (or name) and password. Throws `not_authenticated`, `sign_in_refused`, `rate_limited`. */
  async login(realm: string, authorization: string | undefined, clientId: string, address: string) {
    const basic = readBasic(authorization);
    if (basic === undefined) throw relayError('not_authenticated');
    const { username, password } = basic;
    const by = username.includes('@') ? { email: username } : { name: username };
    const login = await this.refusing(REFUSALS, () => this.signIn.withPassword(realm, by, password, address));
    const device = await this.asBefore(login.account, clientId);
    const { session, generation } = await this.signIn.begin(login, device, address);
    return toReply(await this.refreshTokens.issue(session, generation));
  }

  /** Throws `refresh_refused`, `rate_limited`. */
  async refresh(realm: string, refreshToken: string, address: string): Promise<RealmTokensReply> {
    return toReply(await this.refreshTokens.rotate(realm, refreshToken, address));
  }

  /** The same for everybody, also where no mails can be sent: existing clients know no other answer. */
  async forgotten(realm: string, email: string, address: string): Promise<{ message: string }> {
    const to = checkedEmail(email);
    try {
      await this.codes.send(realm, to, 'password', address);
    } catch (error) {
      // The server said so as it started.
      if (!(error instanceof RelayError) || error.code !== 'mail_unavailable') throw error;
    }
    return { message: 'If the email is registered, a code is on its way' };
  }

  /** Ends every session of the person. Throws `code_refused`, `rate_limited`. */
  async changePassword(realm: string, body: ChangePasswordByPinDto, address: string): Promise<{ message: string }> {
    const given = body.newPassword ?? body.password;
    if (given == null) throw relayError('bad_request', { detail: 'newPassword is needed' });
    // Before the code, which is good for one try that is right.
    const password = checkedNewPassword(given);
    const email = checkedEmail(body.email);
    await this.refusing(REFUSALS, () => this.codes.redeem(realm, email, 'password', body.pin, address));
    const login = await this.accounts.find(realm, { email });
    if (login === undefined) throw relayError('code_refused');
    await this.signIn.changePassword(login.account, password, address, { byMail: true });
    return { message: 'The password was changed' };
  }

  /** What the client said of itself when it registered, or nothing yet. */
  private async asBefore(account: AccountKey, id: string): Promise<SignInDevice & { id: string }> {
    const row = await this.rowOf(account, id);
    if (!row?.content) return { id, name: 'Client' };
    const { ownName, ...content } = openDevice(account, id, row.content);
    return { ...content, id, name: ownName ?? content.name };
  }

  /** The client's row, if there is one. Phones sign in by a token of their own: their ids are not for clients. */
  private async rowOf(account: AccountKey, id: string) {
    const { prisma } = account.home.database;
    const row = await prisma.device.findFirst({
      where: { accountId: account.id, id },
      select: { kind: true, content: true },
    });
    if (row?.kind === 'phone') throw relayError('bad_request', { detail: 'clientId is the id of a phone' });
    return row;
  }

  /** Does `work`, and refuses in other words. */
  private async refusing<T>(words: Partial<Record<ErrorCode, ErrorCode>>, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const code = error instanceof RelayError ? words[error.code] : undefined;
      throw code === undefined ? error : relayError(code, { cause: error });
    }
  }
}

/** Who asks for a new registration is told of a known email, who claims an earlier one of an unknown. */
function refusalOf(known: Login | undefined, newRegistration?: boolean | null): ErrorCode | undefined {
  if (known === undefined) return newRegistration === false ? 'email_unknown' : undefined;
  return newRegistration ? 'email_taken' : undefined;
}

function toDevice({ clientId, clientDescription }: RealmRegisterDto): SignInDevice & { id: string } {
  if (!clientDescription) return { id: clientId, name: 'Client' };
  const description = parsed(clientDescription);
  const isObject = typeof description === 'object' && description !== null && !Array.isArray(description);
  const metadata = (isObject ? description : { description }) as Record<string, unknown>;
  const { name } = metadata;
  const isName = typeof name === 'string' && name !== '' && name.length <= 200;
  return { id: clientId, name: isName ? name : 'Client', metadata };
}

function parsed(clientDescription: string): unknown {
  try {
    return JSON.parse(clientDescription);
  } catch (cause) {
    throw relayError('bad_request', { detail: 'clientDescription must be JSON', cause });
  }
}

function toUser({ id }: AccountKey, { email = '', displayName = '', language }: Person, clientId: string) {
  return { id, userid: id, name: displayName, email, language: language ?? null, clientid: clientId };
}

function toReply({ accessToken, refreshToken, expiresAt }: TokenPair): RealmTokensReply {
  return {
    token_type: 'Bearer',
    access_token: accessToken,
    refresh_token: refreshToken,
    expires_in: Math.floor((expiresAt - Date.now()) / 1000),
    expires_on: expiresAt,
    accessToken,
    refreshToken,
  };
}
