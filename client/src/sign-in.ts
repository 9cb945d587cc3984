import { call } from './http.js';
import type { Credentials, SignInAs } from './types.js';
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

  register({ deviceName, remember, ...proof }: Credentials & { inviteToken?: string }): Promise<void> {
    return this.begin('register', asLogin(proof), { deviceName, remember });
  }

  signIn({ deviceName, remember, ...proof }: Credentials): Promise<void> {
    return this.begin('login', asLogin(proof), { deviceName, remember });
  }

  async requestCode(email: string): Promise<void> {
    await call(this.url, '/api/auth/request-otp', { body: { email } });
  }

  signInByCode({ email, code: otp, ...as }: SignInAs & { email: string; code: string }): Promise<void> {
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
}

/** A name is `pseudo` to the server. */
function asLogin({ name, ...proof }: { name?: string; email?: string; password: string }): object {
  return name === undefined ? proof : { pseudo: name, ...proof };
}
