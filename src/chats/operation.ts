import type { PublicPerson } from '../accounts/public-person.js';
import type { Mutation } from '../changes/kind.js';
import type { ErrorCode } from '../errors.js';
import type { ChatFact } from './chat.events.js';
import type { Profile, Role } from './chat.js';

/** A person as the operation has found them. */
export interface Person extends Profile {
  userId: string;
  accountId: string;
}

export function toPerson({ userId, ...profile }: PublicPerson): Person {
  return { ...profile, userId, accountId: userId };
}

/** The chat's key of an epoch, wrapped to one user. */
export interface WrappedKey {
  epoch: number;
  key: string;
}

export interface Invitation {
  person: Person;
  /** If it comes to a new one. */
  invitationId: string;
  /** For the present epoch. */
  key: string;
  /** For epochs before. */
  keys: WrappedKey[];
  /** Whether they are to see what was written before, too. */
  history: boolean;
  /** What the inviter signs of them. */
  vouch?: string;
}

/** What a client may say of a message or a reaction: the server does not look into `content`. */
export interface Sealed {
  content: string;
  epoch?: number;
}

/** All that can happen to a chat. `by` is the account whose doing it is. */
export interface Operations {
  create: { by: string; creator: Person; group: boolean; name?: string; invitation?: Invitation };
  rename: { by: string; name: string };
  invite: { by: string } & Invitation;
  /** `vouch`: what they sign of the inviter. */
  answer: { by: string; invitationId: string; accepted: boolean; vouch?: string };
  leave: { by: string };
  end: { by: string };
  remove: { by: string; userId: string };
  setRole: { by: string; userId: string; role: Role };
  /** A new key for all, and with it a new epoch. */
  rotate: { by: string; epoch: number; keys: { userId: string; key: string }[] };
  /** Keys of epochs that there are, for one who has not got them. */
  giveKeys: { by: string; userId: string; keys: WrappedKey[] };
  post: { by: string; messageId: string; files?: string[] } & Sealed;
  edit: { by: string; messageId: string } & Sealed;
  delete: { by: string; messageId: string };
  /** Null takes it back. */
  react: { by: string; messageId: string; content: string | null; epoch?: number };
  mark: { by: string; delivered: number; read: number };
  /** An account is gone: its owner has left. */
  depart: { by: string };
  /** What others see of a person has changed. */
  introduce: { by: string; profile: Profile };
}
export type Op = keyof Operations;
export type ChatMutation = { [O in Op]: Mutation<O, Operations[O]> }[Op];

/** What the one who did it is told. */
export interface Reply {
  messageId?: string;
  number?: number;
  invitationId?: string;
  /** Nobody is in the chat any more. */
  ended?: true;
}

/** `unchanged`: it was so already. */
export interface Agreed {
  unchanged?: true;
  reply?: Reply;
  facts?: ChatFact[];
  /** Files that go with it, and the account that has them. */
  files?: { accountId: string; ids: string[] };
}

export type Decision = { refused: ErrorCode } | Agreed;

/** The outcome's state: what is to be told once it is committed; of a `stale` one, why it came to nothing. */
export interface Decided {
  refused?: ErrorCode;
  reply?: Reply;
  facts?: ChatFact[];
}

/** The bounds of the server that decisions need. */
export interface Bounds {
  /** Members of a chat, invited ones included. */
  chatMembers: number;
  /** How long an author may edit a message, or delete it for everyone. */
  chatEditMs: number;
}
