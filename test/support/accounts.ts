import { randomUUID } from 'node:crypto';
import { call, pair, phone, type Client, type PhoneClient } from './clients.js';
import { later } from './database.js';

// Accounts of people who signed up by email, and of phones that let a browser in.

/** As cheap as a hash can be: what it costs is not what these tests are about. */
export const argon2 = { memoryKib: 8, passes: 1, lanes: 1 };
export const limits = {
  wrongSignInsPerMinute: 0,
  registrationsPerHour: 0,
  wrongTokensPerMinute: 0,
  qrCodesPerMinute: 0,
};
export const PASSWORD = 'correct horse battery';

export interface Person {
  email: string;
  token: string;
  userId: string;
  deviceId: string;
}

export interface Pair {
  handset: PhoneClient;
  /** A browser's that the phone let in. */
  token: string;
  userId: string;
}

/** Closed when the test is over. */
export const kept = <T extends Client>(client: T): T => (later(() => client.close()), client);
export const anEmail = () => `ann-${randomUUID()}@example.org`;
export const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { sub: string; sid: string };

export async function personAt(url: string): Promise<Person> {
  const email = anEmail();
  const { body } = await call(url, '/api/auth/register', { body: { email, password: PASSWORD, deviceInfo: { name: 'Laptop' } } }); // prettier-ignore
  return { email, ...(body as Omit<Person, 'email'>) };
}

export async function pairAt(url: string): Promise<Pair> {
  const handset = kept(await phone(url));
  const token = await pair(url, handset);
  return { handset, token, userId: claimsOf(token).sub };
}
