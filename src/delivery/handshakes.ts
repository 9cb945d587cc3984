import { Injectable } from '@nestjs/common';
import { isTooDeep } from '../depth.js';
import { RelayError, relayError } from '../errors.js';
import { ApiKeys, isApiKey } from '../sessions/api-keys.js';
import type { DeviceLabel } from '../sessions/device.kind.js';
import { readDeviceInfo } from '../accounts/device-info.js';
import type { SignInDevice } from '../sessions/devices.service.js';
import { Introductions } from '../sessions/introductions.js';
import type { Session } from '../sessions/session.js';
import { Tokens } from '../sessions/tokens.js';

export interface SignedIn {
  session: Session;
  /** The device that the token was given to; another than the session's when devices share one. */
  tokenDeviceId: string;
  /** For a connection of wire.md, section B: how the others of its account know it. */
  label?: DeviceLabel;
}

/** The widest that a `deviceInfo` may be, as text. */
const MAX_INFO = 16_384;

/** What a client says of itself as it connects; nothing of it has been checked. */
export interface Handshake {
  token?: unknown;
  after?: unknown;
  /** JSON text, or what it is the text of. */
  deviceInfo?: unknown;
}

/** Signs in those who show a token as they connect: a browser's, a phone's, or an API key. */
@Injectable()
export class Handshakes {
  constructor(
    private readonly tokens: Tokens,
    private readonly apiKeys: ApiKeys,
    private readonly introductions: Introductions,
  ) {}

  /**
   * Undefined for one without a token: it signs in by an event. Throws `authentication_failed`, `wrong_role` for an API key
   * that does not just follow the changes, `rate_limited`; with `deviceInfo` also `token_missing`, and `invalid_token` in
   * place of `authentication_failed`, whose sentences existing clients look for, and `bad_request` for what is no JSON.
   */
  async signIn({ token, after, deviceInfo }: Handshake, address: string): Promise<SignedIn | undefined> {
    const info = deviceInfo === undefined ? undefined : parse(deviceInfo);
    if (token == null || (token === '' && info !== undefined)) {
      if (info !== undefined) throw relayError('token_missing');
      return undefined;
    }
    const session = await this.sessionOf(token, address).catch((error: unknown) => {
      if (info === undefined || !(error instanceof RelayError) || error.code !== 'authentication_failed') throw error;
      throw relayError('invalid_token', { cause: error });
    });
    const tokenDeviceId = session.deviceId;
    if (session.kind === 'key' && (after == null || !session.scopes?.includes('changes')))
      throw relayError('wrong_role');
    if (session.kind !== 'browser' || (info === undefined && after != null)) return { session, tokenDeviceId };
    const introduced = await this.introductions.meet(session, info ?? {}, address);
    return { ...introduced, tokenDeviceId };
  }

  private sessionOf(token: unknown, address: string): Promise<Session> {
    if (typeof token === 'string' && isApiKey(token)) return this.apiKeys.authenticate(token, address);
    return this.tokens.authenticate(token, address);
  }
}

function parse(given: unknown): Partial<SignInDevice> {
  const info = typeof given === 'string' ? given.length <= MAX_INFO && parseJson(given) : given;
  if (typeof info !== 'object' || info === null)
    throw relayError('bad_request', { detail: 'deviceInfo must be one JSON object of at most 16 KiB' });
  if (isTooDeep(info)) throw relayError('nesting_too_deep', { detail: 'deviceInfo' });
  const { name, ...told } = readDeviceInfo(info);
  return 'name' in info && info.name ? { name, ...told } : told;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
