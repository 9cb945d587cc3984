import { STATE, type IdentityKeys, type IdentityValue } from '@pairline/protocol';
import type { Books } from '../books.js';
import { call, type Request } from '../http.js';
import { keyBytes } from '../keys/bytes.js';
import type { Reading, Store, Writing } from '../store.js';
import { ClientError } from '../types.js';
import type { Account } from '../web-account.js';

/** What chats need of the client that they are a part of. */
export interface Host {
  url: string;
  store: Store;
  /** Undefined while nobody is signed in. */
  account(): Account | undefined;
  isLive(): boolean;
  /** Makes a change of this device's own; rejects with `not_paired` when nobody is signed in. */
  change(work: (books: Books, tx: Writing) => Promise<void>): Promise<void>;
  request<Reply>(event: string, payload: unknown): Promise<Reply>;
  /** Looks again who is signed in, and with which keys. */
  reload(): Promise<void>;
  /** For what nobody waits for: a store that fails is seen in the state. */
  background(work: Promise<void>): void;
  setFlags(id: string, flags: { pinned?: boolean; archived?: boolean; muted?: boolean }): Promise<void>;
  saveDraft(id: string, text: string): Promise<void>;
}

export function signedIn(host: Host): Account {
  const account = host.account();
  if (account === undefined) throw new ClientError('not_paired', 'Nobody is signed in here');
  return account;
}

/** A route of the server's, as who is signed in. */
export function ask<T>(host: Host, path: string, request: Omit<Request, 'token'> = {}): Promise<T> {
  return call<T>(host.url, path, { ...request, token: signedIn(host).session.token });
}

/** One's own keys, the newest last; empty while there are none here. */
export async function identityOf(tx: Reading): Promise<IdentityKeys[]> {
  return readIdentities((await tx.get('states', STATE.identity))?.value);
}

export function readIdentities(given: unknown): IdentityKeys[] {
  const { keys } = (given ?? {}) as Partial<IdentityValue>;
  return Array.isArray(keys) && keys.every(isIdentity) ? keys : [];
}

export async function myIdentity(store: Store): Promise<{ keys: IdentityKeys[]; own: IdentityKeys }> {
  const keys = await store.read(identityOf);
  const own = keys.at(-1);
  if (own === undefined) throw new ClientError('no_keys', 'The keys of this account are not on this device');
  return { keys, own };
}

function isIdentity(given: Partial<IdentityKeys> | null): boolean {
  return [given?.exchange, given?.signing].every((pair) => keyBytes(pair?.privateKey) && keyBytes(pair?.publicKey));
}

export function chatIdOf(changeId: string): string {
  return changeId.split(':', 1)[0]!;
}

/** The id of a record that belongs to a chat. */
export function within(chatId: string, id: string | number): string {
  return `${chatId}:${id}`;
}
