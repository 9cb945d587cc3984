import type { RealmTokens } from './renewal.js';
import { call } from './http.js';
import { newId } from './ids.js';
import { utf8 } from './keys/bytes.js';
import { ClientError, type Credentials, type SignInAs } from './types.js';
import type { WebSession } from './web-session.js';

interface Begun {
  token: string;
  expiresAt: number;
  userId: string;
  deviceId: string;
}

/** Begins sessions by what proves who one is (docs/accounts.md). It brings no keys. */
export class SignIn {
  constructor(
    private readonly url: string,
    private readonly session: WebSession,
    /** Called once it is sure who it is. */
    private readonly known: () => void,
  ) {}

  async register({ inviteToken, ...as }: Credentials & { inviteToken?: string }): Promise<void> {
    if (isElsewhere(as)) return this.beginIn(as, { newRegistration: true, inviteToken });
    return this.begin('register', { ...asLogin(as), inviteToken }, as);
  }

  async signIn(as: Credentials): Promise<void> {
    if (isElsewhere(as)) return this.beginIn(as, { newRegistration: false });
    return this.begin('login', asLogin(as), as);
  }

  async requestCode(email: string): Promise<void> {
    await call(this.url, '/api/auth/request-otp', { body: { email } });
  }

  async signInByCode({ email, code: otp, ...as }: SignInAs & { email: string; code: string }): Promise<void> {
    if (isElsewhere(as)) throw otherwise();
    return this.begin('verify-otp', { email, otp }, as);
  }

  async addLogin(token: string, { name, password }: { name: string; password: string }): Promise<void> {
    await call(this.url, '/api/account/name', { token, method: 'PUT', body: { name, password } });
  }

  private async begin(route: string, proof: object, { deviceName, remember }: SignInAs): Promise<void> {
    const body = { ...proof, deviceInfo: { name: deviceName, type: 'web' } };
    const { token, expiresAt, userId, deviceId } = await call<Begun>(this.url, `/api/auth/${route}`, { body });
    this.known();
    const paired = { sessionToken: token, expiresAt, accountId: userId, sessionId: deviceId, deviceId: '' };
    await this.session.signIn(paired, {}, remember);
  }

  /** The same in another realm (docs/table-sync.md), each time as a new client of the person. */
  private async beginIn(as: Credentials & { realm: string }, registration: object): Promise<void> {
    if (!('email' in as)) throw otherwise();
    const { realm, email, password, deviceName, remember } = as;
    const slug = encodeURIComponent(realm);
    const clientId = newId();
    const clientDescription = JSON.stringify({ name: deviceName });
    const person = { name: email, email, password, clientId, clientDescription, ...registration };
    const { user } = await call<{ user: { id: string } }>(this.url, `/register/${slug}`, { body: person });
    const basic = `Basic ${btoa(String.fromCharCode(...utf8(`${email}:${password}`)))}`;
    const request = { authorization: basic, body: { clientId } };
    const tokens = await call<RealmTokens & { expires_on: number }>(this.url, `/login/${slug}`, request);
    const { access_token: sessionToken, refresh_token: refreshToken, expires_on: expiresAt } = tokens;
    this.known();
    const paired = { sessionToken, expiresAt, accountId: user.id, sessionId: clientId, deviceId: '' };
    await this.session.signIn(paired, {}, remember, { slug: realm, refreshToken });
  }
}

function isElsewhere<As extends SignInAs>(as: As): as is As & { realm: string } {
  return as.realm !== undefined && as.realm !== 'default';
}

function otherwise(): ClientError {
  return new ClientError('bad_request', 'In another realm than default one signs in by email and password');
}

/** A name is `pseudo` to the server. */
function asLogin(as: Credentials): object {
  const { password } = as;
  return 'name' in as ? { pseudo: as.name, password } : { email: as.email, password };
}
