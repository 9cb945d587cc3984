import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { blocksOf } from './blocking.js';
import { keyRowId, NEVER, toChatView, toMemberView, type ChatContent, type ChatView, type MemberView, type Role } from './chat.js'; // prettier-ignore
import { Memberships, type Membership } from './memberships.js';
import { MessageReading } from './message-reading.js';
import { rowsAt, rowsOf } from './shared-rows.js';

export interface OwnChatView extends ChatView {
  role: Role;
  unread_count: number;
  /** The present key, wrapped to the one who asks. */
  key?: string;
}

export interface InvitationView {
  invitation_id: string;
  conversation_id: string;
  name: string | null;
  group: boolean;
  inviter: { user_id: string; pseudo: string; public_key: string };
  key: string | null;
  created_at: number;
}

/** What waits for a person who comes. */
export interface Notifications {
  invitations: InvitationView[];
  conversations: { conversation_id: string; unread_count: number }[];
}

/** What people read of the conversations they are in, or are invited to. */
@Injectable()
export class ChatReading {
  constructor(
    private readonly memberships: Memberships,
    private readonly messages: MessageReading,
  ) {}

  /** The oldest first. */
  async list(session: Session): Promise<OwnChatView[]> {
    const views = await this.views(session, await this.memberships.all(session, 'accepted'));
    return views.sort((a, b) => a.created_at - b.created_at);
  }

  /** Throws `conversation_not_found`. */
  async one(session: Session, id: string): Promise<OwnChatView & { members: MemberView[] }> {
    const membership = await this.memberships.of(session, id);
    const [[view], members] = await Promise.all([this.views(session, [membership]), membersOf(membership.chat)]);
    // It may have ended at this moment.
    if (view === undefined) throw relayError('conversation_not_found');
    return { ...view, members };
  }

  /** Those who are in the conversation or invited. Throws `conversation_not_found`. */
  async members(session: Session, id: string): Promise<MemberView[]> {
    return membersOf((await this.memberships.of(session, id)).chat);
  }

  /** Those that wait for an answer. Not of people who are blocked. */
  async invitations(session: Session): Promise<InvitationView[]> {
    const { account } = session;
    const all = await this.memberships.all(session, 'invited');
    const pending = all.filter(({ member }) => member.visibleFrom !== NEVER);
    const infos = await infosOf(pending);
    const own = await rowsAt('chat.member', pending.map(({ chat, member }) => ({ chat, id: member.userId }))); // prettier-ignore
    const inviters = await rowsAt('chat.member', pending.map(({ chat }, i) => ({ chat, id: own[i]?.content.invitedBy ?? '' }))); // prettier-ignore
    const keys = await keysOf(pending, infos);
    const blocked = (await blocksOf(account.home.database.pool, [account.id]))(account.id);
    return pending.flatMap(({ chat, member: { invitationId } }, i) => {
      const [info, inviter] = [infos[i], inviters[i]?.content];
      // It may have ended at this moment.
      if (info === undefined || inviter === undefined || blocked.has(inviter.userId)) return [];
      const { conversation_id, name, group } = toChatView(chat.id, info);
      const by = { user_id: inviter.userId, pseudo: inviter.name, public_key: inviter.publicKey };
      const key = keys[i] ?? null;
      return { invitation_id: invitationId!, conversation_id, name, group, inviter: by, key, created_at: own[i]!.content.since }; // prettier-ignore
    });
  }

  async notifications(session: Session): Promise<Notifications> {
    const invitations = await this.invitations(session);
    const all = await this.memberships.all(session, 'accepted');
    const counts = await this.messages.unread(session, all);
    const conversations = all.map(({ chat }, i) => ({ conversation_id: chat.id, unread_count: counts[i]! }));
    return { invitations, conversations: conversations.filter(({ unread_count }) => unread_count > 0) };
  }

  /** The conversation of two that a person has with another, or is invited to by them: then with that invitation. */
  async directWith(session: Session, other: string): Promise<{ id: string; invitation?: string } | undefined> {
    const shared = await this.memberships.shared(session, other);
    const infos = await infosOf(shared);
    const direct = shared.find((_, i) => infos[i]?.group === false);
    return direct && { id: direct.chat.id, invitation: direct.invitation };
  }

  private async views(session: Session, all: Membership[]): Promise<OwnChatView[]> {
    const infos = await infosOf(all);
    const [keys, unread] = await Promise.all([keysOf(all, infos), this.messages.unread(session, all)]);
    return all.flatMap(({ chat, member: { role } }, i) => {
      const info = infos[i];
      if (info === undefined) return [];
      const key = keys[i] === undefined ? {} : { key: keys[i] };
      return { ...toChatView(chat.id, info), role, unread_count: unread[i]!, ...key };
    });
  }
}

async function infosOf(all: { chat: AccountKey }[]): Promise<(ChatContent | undefined)[]> {
  return (await rowsAt('chat', all.map(({ chat }) => ({ chat, id: chat.id })))).map((row) => row?.content); // prettier-ignore
}

/** The present key of each, as it was wrapped to the member. */
async function keysOf(all: Membership[], infos: (ChatContent | undefined)[]): Promise<(string | undefined)[]> {
  const wanted = all.map(({ chat, member }, i) => ({ chat, id: keyRowId(infos[i]?.epoch ?? 0, member.userId) }));
  return (await rowsAt('chat.key', wanted)).map((row) => row?.content.key);
}

async function membersOf(chat: AccountKey): Promise<MemberView[]> {
  const rows = await rowsOf(chat, 'chat.member');
  return rows
    .filter(({ content: { state } }) => state === 'accepted' || state === 'invited')
    .map(({ content }) => toMemberView(content));
}
