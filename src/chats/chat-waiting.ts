import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import type { Numbered } from '../changes/kind.js';
import { blocksOf } from './blocking.js';
import { NEVER, type Member, type RowKind } from './chat.js';
import type { ChatState, Row } from './chat-state.js';
import type { ChatMutation } from './operation.js';

/*
 * What somebody gets who accepts an invitation: the newest messages since they may see any, with what was said to them. However
 * many accept at once, it is read once a chat.
 */

const HISTORY_MESSAGES = 5000;
const HISTORY_REACTIONS = 50_000;

/** Somebody who accepts. */
interface Guest {
  invitationId: string;
  member: Member;
  /** What they are not to see is by one of these users. */
  unwanted: Set<string>;
}

type Columns = [kind: RowKind, id: string, born: string, seq: string, at: string, content: Buffer | null];
/** The author is known where somebody wants nothing of somebody. */
type Written = Row & { author?: string };

/** Adds to the chats what is waiting for those who accept in this batch. */
export async function loadWaiting(
  client: ClientBase,
  items: Numbered<ChatMutation>[],
  chats: ReadonlyMap<string, ChatState>,
) {
  const accepting = items.flatMap(({ mutation: { op, row, account } }) => {
    if (op !== 'answer' || !row.accepted) return [];
    const chat = chats.get(account.id)!;
    const member = chat.membersOf(row.by).find(({ invitationId }) => invitationId === row.invitationId);
    return member === undefined || member.visibleFrom === NEVER ? [] : [{ chat, member, ...row }];
  });
  if (accepting.length === 0) return;
  const blocks = await blocksOf(client, accepting.map(({ by }) => by)); // prettier-ignore
  const guests = new Map<ChatState, Guest[]>();
  for (const { chat, member, invitationId, by } of accepting) {
    const blocked = blocks(by);
    const those = [...chat.members.values()].filter((m) => blocked.has(m.userId) || blocked.has(m.accountId));
    const unwanted = new Set(those.map(({ userId }) => userId));
    guests.set(chat, [...(guests.get(chat) ?? []), { invitationId, member, unwanted }]);
  }
  await Promise.all([...guests].map(([chat, those]) => loadFor(client, chat, those)));
}

/** The newest of all have in them the newest of those that somebody who came later may see. */
async function loadFor(client: ClientBase, chat: ChatState, guests: Guest[]): Promise<void> {
  const isAuthorAsked = guests.some(({ unwanted }) => unwanted.size > 0);
  const start = Math.min(...guests.map(({ member }) => member.visibleFrom));
  const messages = await since(client, chat.account, 'chat.message', start, HISTORY_MESSAGES, isAuthorAsked);
  const oldest = messages.length < HISTORY_MESSAGES ? start : messages.at(-1)!.born;
  const reactions = await since(client, chat.account, 'chat.reaction', oldest, HISTORY_REACTIONS, isAuthorAsked);
  const rows = [...messages, ...reactions];
  for (const { invitationId, member, unwanted } of guests) {
    const from = Math.max(member.visibleFrom, oldest);
    const theirs = ({ born, author }: Written) => born >= from && !(author !== undefined && unwanted.has(author));
    chat.await(invitationId, { rows: rows.filter(theirs), from });
  }
}

async function since(
  client: ClientBase,
  chat: AccountKey,
  kind: RowKind,
  from: number,
  most: number,
  isAuthorAsked: boolean,
): Promise<Written[]> {
  const { rows } = await client.query<Columns>({
    name: 'chat-since',
    // What is in them matters only to who wants nothing of somebody: it may be hundreds of megabytes.
    text: `SELECT r.kind, r.id, r.born, r.seq, r.at, CASE WHEN $5 THEN r.content END FROM shared_rows r
           WHERE r.account_id = $1 AND r.kind = $2 AND r.born >= $3 AND NOT r.deleted ORDER BY r.born DESC LIMIT $4`,
    values: [chat.id, kind, from, most, isAuthorAsked],
    rowMode: 'array',
  });
  return rows.map(([, id, born, seq, at, content]) => ({
    ...{ kind, id, born: Number(born), seq: Number(seq), at: Number(at), content: undefined },
    ...(content === null ? {} : { author: (JSON.parse(chat.open(kind, id, content)) as { userId: string }).userId }),
  }));
}
