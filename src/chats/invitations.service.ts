import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { isUUID } from 'class-validator';
import { publicPerson } from '../accounts/public-person.js';
import { Cluster } from '../cluster/cluster.js';
import { relayError } from '../errors.js';
import { Accounts } from '../sessions/accounts.service.js';
import { Limits } from '../sessions/limits.js';
import type { Session } from '../sessions/session.js';
import { Slots } from '../sessions/slots.js';
import { ChatAccounts } from './chat-accounts.js';
import { ChatOperations } from './chat-operations.js';
import { ChatReading } from './chat-reading.js';
import { Chats } from './chats.service.js';
import { toPerson, type Invitation, type Person, type WrappedKey } from './operation.js';

export interface Inviting {
  pseudo: string;
  /** The conversation's key, wrapped to the person's public key. */
  key: string;
  /** A group; absent for a conversation of two. */
  conversationId?: string;
  history?: boolean;
  /** Keys of epochs before. */
  keys?: WrappedKey[];
  /** What the inviter signs of the person; not looked into. */
  vouch?: string;
}

export interface Invited {
  invitation_id: string;
  conversation_id: string;
  /** Whether there was such an invitation already. */
  again: boolean;
}

/** People ask people into conversations. */
@Injectable()
export class Invitations {
  /** Two at once, of one to the other or of each to the other, must not begin two conversations. */
  private readonly beginning = new Slots(1);

  constructor(
    private readonly all: Chats,
    private readonly chats: ChatAccounts,
    private readonly operations: ChatOperations,
    private readonly reading: ChatReading,
    private readonly accounts: Accounts,
    private readonly limits: Limits,
    private readonly cluster: Cluster,
  ) {}

  /**
   * Into a group, or into the conversation of two that these people have or that begins with it. To invite who has just invited
   * one is to accept. Throws `person_not_found`,
   * `already_member`, `conversation_not_found`, `chat_direct`, `chat_full`, `role_missing`, `rate_limited`.
   */
  async invite(
    session: Session,
    { pseudo, key, conversationId, history = false, keys = [], vouch }: Inviting,
  ): Promise<Invited> {
    await this.limits.invitation(session.account.id);
    const person = await this.named(session, pseudo);
    const invitation: Invitation = { person, invitationId: randomUUID(), key, keys, history, vouch };
    if (conversationId !== undefined) return this.into(session, conversationId, invitation);
    return this.alone(session.account.id, person.accountId, async () => {
      const known = await this.reading.directWith(session, person.accountId);
      if (known === undefined) return this.begin(session, invitation);
      if (known.invitation === undefined) return this.into(session, known.id, invitation);
      // They have asked first: whoever asks the same accepts.
      await this.answer(session, known.invitation, true);
      return { invitation_id: known.invitation, conversation_id: known.id, again: true };
    });
  }

  /** What these two begin with each other, at whatever server, is begun one after the other. */
  private alone<T>(one: string, other: string, work: () => Promise<T>): Promise<T> {
    const both = [one, other].sort().join();
    return this.beginning.take(both, () => this.cluster.exclusively(`beginning:${both}`, work));
  }

  /**
   * Once; `vouch`: what the person signs of who invited them. Answers the conversation's id. Throws `invitation_not_found`,
   * `invitation_answered`, `rate_limited`.
   */
  async answer(session: Session, invitationId: string, accepted: boolean, vouch?: string): Promise<string> {
    const { account } = session;
    await this.limits.post(account.id);
    const where = { invitationId: invitationId.toLowerCase(), accountId: account.id };
    const member = isUUID(invitationId)
      ? await account.home.database.prisma.chatMember.findFirst({ where, select: { chatId: true } })
      : null;
    if (member === null) throw relayError('invitation_not_found');
    const chat = await this.chats.find(session, member.chatId);
    await this.operations.do(chat, 'answer', { by: account.id, invitationId: where.invitationId, accepted, vouch });
    return chat.id;
  }

  private async named({ account }: Session, name: string): Promise<Person> {
    const login = await this.accounts.find(account.home.realm, { name });
    const person = login && publicPerson(login);
    if (person === undefined) throw relayError('person_not_found');
    if (login!.account.id === account.id) throw relayError('bad_request', { detail: 'nobody invites themselves' });
    return toPerson(person);
  }

  private async into(session: Session, id: string, invitation: Invitation): Promise<Invited> {
    const chat = await this.chats.find(session, id);
    const row = { by: session.account.id, ...invitation };
    const { invitationId, again } = await this.operations.do(chat, 'invite', row, { numbers: rowsOf(invitation) });
    return { invitation_id: invitationId!, conversation_id: chat.id, again };
  }

  private async begin(session: Session, invitation: Invitation): Promise<Invited> {
    const by = session.account.id;
    const creator = await this.all.self(session.account);
    const chat = await this.chats.create(session);
    const row = { by, creator, group: false, invitation };
    const { invitationId } = await this.operations.do(chat, 'create', row, { numbers: 2 + rowsOf(invitation) });
    return { invitation_id: invitationId!, conversation_id: chat.id, again: false };
  }
}

/** A member, and their keys. */
function rowsOf({ keys }: Invitation): number {
  return 2 + keys.length;
}
