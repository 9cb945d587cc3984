import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { relayError } from '../errors.js';
import type { Session } from '../sessions/session.js';
import { blocksOf } from './blocking.js';
import { toMessageView, type MessageView } from './chat.js';
import { Memberships, type Membership } from './memberships.js';
import { newestRows, rowsAt, rowsOf, type StoredRow } from './shared-rows.js';

/** Unread messages are counted up to here. */
const MOST_UNREAD = 1000;
const AT_ONCE = 100;

type MessageRow = StoredRow<'chat.message'>;
/** Whether somebody hears of what its author said. */
type Heard = (row: { at: number; content: { userId: string } }) => boolean;

export interface ReactionView {
  user_id: string;
  content: string;
  epoch?: number;
  timestamp: number;
}

export interface PagedMessage extends MessageView {
  conversation_id: string;
  reactions?: ReactionView[];
}

/** What members read of messages: those that are theirs, but for what people wrote whom they block. */
@Injectable()
export class MessageReading {
  constructor(private readonly memberships: Memberships) {}

  /** The newest first; those before a message, if one is named. Throws `conversation_not_found`, `message_not_found`. */
  async page(session: Session, id: string, limit: number, beforeId?: string): Promise<PagedMessage[]> {
    const { chat, member } = await this.memberships.of(session, id);
    const before = beforeId === undefined ? undefined : await numberOf(chat, beforeId);
    const heard = await this.heardBy(session);
    const rows: MessageRow[] = [];
    for await (const row of newest(chat, member.visibleFrom, limit, before)) {
      if (heard(row)) rows.push(row);
      if (rows.length === limit) break;
    }
    const [names, reactions] = await Promise.all([namesOf(chat, rows), reactionsOf(chat, rows, heard)]);
    return rows.map(({ id: messageId, born, content }) => {
      const its = reactions.get(messageId);
      const view = toMessageView(messageId, born, content, names.get(content.userId) ?? '');
      return { ...view, conversation_id: chat.id, ...(its === undefined ? {} : { reactions: its }) };
    });
  }

  /** For each, what others wrote since the member read it, or wrote there themselves; at most 1000. */
  async unread(session: Session, all: Membership[]): Promise<number[]> {
    const marks = await rowsAt('chat.mark', all.map(({ chat, member }) => ({ chat, id: member.userId }))); // prettier-ignore
    const wanted = all.map(({ chat, member }, i) => ({ chat, from: Math.max(member.visibleFrom, (marks[i]?.content.read ?? 0) + 1) })); // prettier-ignore
    const [heard, firsts] = await Promise.all([this.heardBy(session), newestRows('chat.message', wanted, AT_ONCE)]);
    const counts: number[] = [];
    for (const [i, { chat, from }] of wanted.entries()) {
      let count = 0;
      for await (const row of newest(chat, from, AT_ONCE, undefined, firsts[i])) {
        if (row.content.userId === all[i]!.member.userId || count === MOST_UNREAD) break;
        if (heard(row)) count++;
      }
      counts.push(count);
    }
    return counts;
  }

  /** What somebody said whom the account has blocked since did come. */
  private async heardBy({ account }: Session): Promise<Heard> {
    const since = (await blocksOf(account.home.database.pool, [account.id]))(account.id);
    return ({ at, content: { userId } }) => at < (since.get(userId) ?? Infinity);
  }
}

/** Page by page; the first one may be at hand. */
async function* newest(
  chat: AccountKey,
  from: number,
  limit: number,
  before?: number,
  first?: MessageRow[],
): AsyncGenerator<MessageRow> {
  for (;;) {
    const rows: MessageRow[] = first ?? (await newestRows('chat.message', [{ chat, from, before }], limit))[0]!;
    yield* rows;
    if (rows.length < limit) return;
    before = rows.at(-1)!.born;
    first = undefined;
    // Of those that came, not all were wanted: there may be many more of that sort.
    limit = AT_ONCE;
  }
}

/** Of one that was deleted, too. */
async function numberOf({ id: accountId, home }: AccountKey, id: string): Promise<number> {
  const where = { accountId, kind: 'chat.message', id };
  const row = await home.database.prisma.sharedRow.findFirst({ where, select: { born: true } });
  if (row === null) throw relayError('message_not_found');
  return Number(row.born);
}

async function namesOf(chat: AccountKey, messages: MessageRow[]): Promise<Map<string, string>> {
  const ids = [...new Set(messages.map(({ content }) => content.userId))];
  const people = await rowsAt('chat.member', ids.map((id) => ({ chat, id }))); // prettier-ignore
  return new Map(people.flatMap((row) => (row === undefined ? [] : [[row.id, row.content.name]])));
}

/** By the message; they were born with it. */
async function reactionsOf(
  chat: AccountKey,
  messages: MessageRow[],
  heard: Heard,
): Promise<Map<string, ReactionView[]>> {
  const found = new Map<string, ReactionView[]>();
  if (messages.length === 0) return found;
  for (const row of await rowsOf(
    chat,
    'chat.reaction',
    messages.map(({ born }) => born),
  )) {
    // prettier-ignore
    if (!heard(row)) continue;
    const { messageId, userId, content, epoch, timestamp } = row.content;
    const view = { user_id: userId, content, ...(epoch === undefined ? {} : { epoch }), timestamp };
    found.set(messageId, [...(found.get(messageId) ?? []), view]);
  }
  return found;
}
