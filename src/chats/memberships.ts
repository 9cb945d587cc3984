import { Injectable } from '@nestjs/common';
import { isUUID } from 'class-validator';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { blockersOf } from './blocking.js';
import { foremost, NEVER, type Member, type MemberState } from './chat.js';
import { rowsAt } from './shared-rows.js';

export interface Membership {
  chat: AccountKey;
  member: Member;
}

/** In which chats an account is. Whoever is in none of them is told of none. */
@Injectable()
export class Memberships {
  constructor(private readonly keys: AccountKeys) {}

  /** Throws `conversation_not_found`. */
  async of(session: Session, chatId: string): Promise<Membership> {
    const [found] = isUUID(chatId) ? await this.all(session, 'accepted', chatId.toLowerCase()) : [];
    if (found === undefined) throw relayError('conversation_not_found');
    return found;
  }

  /** Those in this state; of one chat, if it is named. In a chat that an account is in it is once. */
  async all({ account: { id, home } }: Session, state: MemberState, chatId?: string): Promise<Membership[]> {
    const where = { accountId: id, state, ...(chatId === undefined ? {} : { chatId }) };
    const rows = await home.database.prisma.chatMember.findMany({ where });
    const found = await Promise.all(
      rows.map(async ({ chatId: chat, visibleFrom, ...member }) => {
        const account = await this.keys.find(chat, home.realm);
        return account && { chat: account, member: { ...member, visibleFrom: Number(visibleFrom) } };
      }),
    );
    const all = found.filter((each) => each !== undefined);
    return state === 'accepted' ? oncePerChat(all) : all;
  }

  /**
   * Those who hear of what a member does at this moment: the accounts of the others who are in the chat, but for those that
   * block the member. Throws `conversation_not_found`.
   */
  async hearers(session: Session, id: string) {
    const { chat, member } = await this.of(session, id);
    const { userId, accountId } = member;
    const { pool } = chat.home.database;
    const [{ rows }, blockers, [row]] = await Promise.all([
      pool.query<{ account_id: string }>(
        `SELECT DISTINCT account_id FROM chat_members WHERE chat_id = $1 AND state = 'accepted' AND account_id <> $2`,
        [chat.id, accountId],
      ),
      blockersOf(pool, [accountId]),
      rowsAt('chat.member', [{ chat, id: userId }]),
    ]);
    const accounts = rows.map(({ account_id }) => account_id).filter((each) => !blockers.get(accountId)?.has(each));
    return { chatId: chat.id, userId, name: row?.content.name ?? '', accounts };
  }

  /**
   * A conversation of two may be there already: chats that one is in and the other is, or was; and those that the other is in
   * and has invited one to, with that invitation.
   */
  async shared(
    { account: { id, home } }: Session,
    other: string,
  ): Promise<{ chat: AccountKey; invitation?: string }[]> {
    const { rows } = await home.database.pool.query<{ chat_id: string; state: MemberState; invitation_id: string }>(
      `SELECT m.chat_id, m.state, m.invitation_id
       FROM chat_members m JOIN chat_members o ON o.chat_id = m.chat_id AND o.account_id = $2
       WHERE m.account_id = $1
         AND (m.state = 'accepted' OR m.state = 'invited' AND o.state = 'accepted' AND m.visible_from <> $3)
       ORDER BY m.state = 'accepted' DESC`,
      [id, other, NEVER],
    );
    const found = rows.map(async ({ chat_id, state, invitation_id }) => {
      const chat = await this.keys.find(chat_id, home.realm);
      return chat && { chat, ...(state === 'invited' ? { invitation: invitation_id } : {}) };
    });
    return (await Promise.all(found)).filter((each) => each !== undefined);
  }
}

function oncePerChat(all: Membership[]): Membership[] {
  const chats = new Map<string, Membership[]>();
  for (const each of all) chats.set(each.chat.id, [...(chats.get(each.chat.id) ?? []), each]);
  return [...chats.values()].map((those) => {
    const member = foremost(those.map((each) => each.member));
    return those.find((each) => each.member === member)!;
  });
}
