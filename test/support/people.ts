import { randomBytes, randomUUID } from 'node:crypto';
import { call, type Reply } from './clients.js';
import { bySnapshot, type View } from './views.js';

// People who talk with each other (wire.md, section E), as clients do: over HTTP.

/** Cheap hashes, so that many people can register. */
export const CHEAP = { argon2: { memoryKib: 8, passes: 1, lanes: 1 } };

export interface Person {
  id: string;
  name: string;
  password: string;
  publicKey: string;
  token: string;
  /** Asks as this person. */
  ask<T = any>(method: string, path: string, body?: unknown): Promise<Reply<T>>; // eslint-disable-line @typescript-eslint/no-explicit-any
  /** The same, of what has to succeed. */
  get<T = any>(path: string): Promise<T>; // eslint-disable-line @typescript-eslint/no-explicit-any
  do<T = any>(method: string, path: string, body?: unknown): Promise<T>; // eslint-disable-line @typescript-eslint/no-explicit-any
  snapshot(): Promise<View>;
}

export async function aPerson(url: string, name = `p-${randomUUID().slice(0, 13)}`): Promise<Person> {
  const publicKey = randomBytes(32).toString('base64');
  const password = `password of ${name}`;
  const { status, body } = await call(url, '/api/auth/register', { body: { pseudo: name, public_key: publicKey, password } }); // prettier-ignore
  if (status !== 201) throw new Error(`register answered ${status}: ${JSON.stringify(body)}`);
  const { user_id: id, token } = body as { user_id: string; token: string };
  const ask: Person['ask'] = (method, path, sent) => call(url, path, { method, token, body: sent });
  const must: Person['do'] = async (method, path, sent) => {
    const reply = await ask(method, path, sent);
    if (reply.status > 299)
      throw new Error(`${method} ${path} answered ${reply.status}: ${JSON.stringify(reply.body)}`);
    return reply.body;
  };
  return { id, name, password, publicKey, token, ask, do: must, get: (path) => must('GET', path), snapshot: () => bySnapshot(url, token) }; // prettier-ignore
}

export function people(url: string, count: number): Promise<Person[]> {
  return Promise.all(Array.from({ length: count }, () => aPerson(url)));
}

/** Sealed text, for all that the server can tell. */
export function sealed(text = ''): string {
  return Buffer.concat([randomBytes(12), Buffer.from(text), randomBytes(16)]).toString('base64');
}

export const KEY = 'a wrapped key';

/** Invites by name; answers the invitation and the conversation. */
export function invite(host: Person, guest: Person, conversationId?: string, more: object = {}) {
  const body = { pseudo: guest.name, key: `${KEY} for ${guest.name}`, conversationId, ...more };
  return host.do<{ invitation_id: string; conversation_id: string }>('POST', '/api/conversations/invite', body);
}

export function respond(guest: Person, invitationId: string, response = 'accepted') {
  return guest.do('POST', `/api/conversations/invitations/${invitationId}/respond`, { response });
}

/** A group of the owner, with all others in it. */
export async function aGroup(owner: Person, ...others: Person[]): Promise<string> {
  const { conversation_id: id } = await owner.do<{ conversation_id: string }>('POST', '/api/conversations', { name: 'Team' }); // prettier-ignore
  for (const guest of others) await respond(guest, (await invite(owner, guest, id)).invitation_id);
  return id;
}

/** A conversation of two. */
export async function aPair(one: Person, other: Person): Promise<string> {
  const { invitation_id, conversation_id } = await invite(one, other);
  await respond(other, invitation_id);
  return conversation_id;
}

export async function post(author: Person, id: string, text = '', more: object = {}) {
  const messageContent = sealed(text);
  const body = { messageContent, ...more };
  const reply = await author.do<{ message_id: string; number: number }>(
    'POST',
    `/api/conversations/${id}/messages`,
    body,
  );
  return { ...reply, messageContent };
}

/** The rows of one conversation that a view has, of a kind, by their ids in the conversation. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export function rowsOf<T = any>(view: View, kind: string, chatId: string): Map<string, T> {
  const rows = view.of<{ chatId: string; id: string }>(kind).filter((row) => row.chatId === chatId);
  return new Map(rows.map((row) => [row.id, row as T]));
}
