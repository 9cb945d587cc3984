import { Injectable } from '@nestjs/common';
import { publicPerson } from '../accounts/public-person.js';
import type { AccountKey } from '../changes/account-key.js';
import { Accounts } from '../sessions/accounts.service.js';
import { Limits } from '../sessions/limits.js';
import type { Session } from '../sessions/session.js';
import { ChatAccounts } from './chat-accounts.js';
import { ChatOperations, EVERYBODY } from './chat-operations.js';
import { ChatSweep } from './chat-sweep.js';
import type { Role } from './chat.js';
import { toPerson, type Operations, type Person, type WrappedKey } from './operation.js';

/** More users than one account is in a chat as, once others were joined to it. */
const JOINED = 100;

/**
 * Groups, who is in them, and their keys. Each of these throws `conversation_not_found` to who is not in the conversation, and
 * `rate_limited`.
 */
@Injectable()
export class Chats {
  constructor(
    private readonly chats: ChatAccounts,
    private readonly operations: ChatOperations,
    private readonly sweep: ChatSweep,
    private readonly accounts: Accounts,
    private readonly limits: Limits,
  ) {}

  /** A group with one member. Answers its id. */
  async create(session: Session, name?: string): Promise<string> {
    await this.limits.invitation(session.account.id);
    const creator = await this.self(session.account);
    const chat = await this.chats.create(session);
    await this.operations.do(chat, 'create', { by: session.account.id, creator, group: true, name }, { numbers: 2 });
    return chat.id;
  }

  /** Throws `chat_direct`, `role_missing`. */
  rename(session: Session, id: string, name: string): Promise<unknown> {
    return this.as(session, id, (chat, by) => this.operations.do(chat, 'rename', { by, name }));
  }

  /** The last one to leave ends it. Throws `owner_must_hand_over`. */
  leave(session: Session, id: string): Promise<unknown> {
    return this.as(session, id, (chat, by) => this.depart(chat, 'leave', { by }));
  }

  /** Ends it for all. Throws `role_missing`. */
  end(session: Session, id: string): Promise<unknown> {
    return this.as(session, id, (chat, by) => this.depart(chat, 'end', { by }));
  }

  /** Throws `role_missing`, `person_not_found`. */
  remove(session: Session, id: string, userId: string): Promise<unknown> {
    return this.as(session, id, (chat, by) => this.depart(chat, 'remove', { by, userId }));
  }

  /** `owner` hands it over. Throws `chat_direct`, `role_missing`, `person_not_found`, `owner_must_hand_over`. */
  setRole(session: Session, id: string, userId: string, role: Role): Promise<unknown> {
    return this.as(session, id, (chat, by) =>
      this.operations.do(chat, 'setRole', { by, userId, role }, { numbers: 2 }),
    );
  }

  /** The first for an epoch wins. Throws `epoch_taken`, `epoch_unknown`, `keys_incomplete`. */
  rotate(session: Session, id: string, epoch: number, keys: { userId: string; key: string }[]): Promise<unknown> {
    return this.as(session, id, (chat, by) =>
      this.operations.do(chat, 'rotate', { by, epoch, keys }, { numbers: keys.length + 1 }),
    );
  }

  /** Throws `person_not_found`, `epoch_unknown`. */
  giveKeys(session: Session, id: string, userId: string, keys: WrappedKey[]): Promise<unknown> {
    return this.as(session, id, (chat, by) =>
      this.operations.do(chat, 'giveKeys', { by, userId, keys }, { numbers: keys.length }),
    );
  }

  /** An account is gone, and with it whoever was in the chat by it. */
  async lose(chat: AccountKey, account: string): Promise<void> {
    await this.depart(chat, 'depart', { by: account });
  }

  /** What others see of a person has changed. */
  async introduce(chat: AccountKey, { accountId: by, userId: _, ...profile }: Person): Promise<void> {
    await this.operations.do(chat, 'introduce', { by, profile }, { numbers: JOINED });
  }

  /** As others see them; who has no name or no key can still begin a group. */
  async self(account: AccountKey): Promise<Person> {
    const login = await this.accounts.loginOf(account);
    const person = login && publicPerson(login);
    if (person !== undefined) return toPerson(person);
    const name = login?.person.name ?? login?.person.displayName ?? '';
    return { userId: account.id, accountId: account.id, name, publicKey: '', fingerprint: '' };
  }

  /** Whoever is the last to go takes what was written along. */
  private async depart<O extends 'leave' | 'end' | 'remove' | 'depart'>(chat: AccountKey, op: O, row: Operations[O]) {
    const { ended } = await this.operations.do(chat, op, row, { numbers: EVERYBODY });
    if (ended) await this.sweep.clear(chat);
  }

  /** Bound as messages are: each writes, even one that is refused. */
  private async as<T>(session: Session, id: string, work: (chat: AccountKey, by: string) => Promise<T>): Promise<T> {
    await this.limits.post(session.account.id);
    return work(await this.chats.find(session, id), session.account.id);
  }
}
