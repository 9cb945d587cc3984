import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import type { Numbered } from '../changes/kind.js';
import { blockersOf } from './blocking.js';
import { keyRowId, reactionRowId, type Contents, type Member, type RowKind } from './chat.js';
import { ChatState, type Row } from './chat-state.js';
import { loadWaiting } from './chat-waiting.js';
import type { ChatMutation } from './operation.js';

/*
 * What a batch needs to know of its chats: their members and keys first, then the rows that its operations name. A handful of
 * statements, however many operations there are; each finds its rows by key.
 */

export type Item = Numbered<ChatMutation>;

/** Keeps a part of a statement from being turned round: a plan made while a table was small would read it whole for ever. */
const BY_KEY = 'LIMIT 1000000';
/** Operations that need no more of the members than the table says: those that come in crowds. */
const HOT = new Set<ChatMutation['op']>(['post', 'edit', 'delete', 'react', 'mark']);

/** What those who block its author get nothing of. */
const SHUNNED = new Set<ChatMutation['op']>(['create', 'invite', 'post', 'edit', 'react']);

/** The chats of the batch, by their ids. */
export async function load(client: ClientBase, items: Item[]): Promise<Map<string, ChatState>> {
  const accounts = new Map(items.map(({ mutation: { account } }) => [account.id, account]));
  const ids = [...accounts.keys()];
  const [members, infos, blockers] = await Promise.all([
    membersOf(client, ids),
    rowsOf(client, accounts, ids.map((id) => [id, 'chat', id])), // prettier-ignore
    blockersOf(client, items.flatMap(authorsOf)), // prettier-ignore
  ]);
  const chats = new Map(ids.map((id) => [id, new ChatState(accounts.get(id)!, members.get(id) ?? new Map<string, Member>(), blockers)])); // prettier-ignore
  for (const [chat, row] of infos) chats.get(chat)!.load(row);

  const named = items.map((item) => ({ item, chat: chats.get(item.mutation.account.id)! }));
  const [rows, people, reactions] = await Promise.all([
    rowsOf(client, accounts, named.flatMap(({ item, chat }) => keysOf(item, chat))), // prettier-ignore
    peopleOf(client, accounts, whole(items)),
    reactionsOf(client, named.flatMap(({ item, chat }) => deletedBy(item, chat))), // prettier-ignore
    loadWaiting(client, items, chats),
  ]);
  for (const [chat, row] of [...reactions, ...rows, ...people]) chats.get(chat)!.load(row);
  return chats;
}

async function membersOf(client: ClientBase, chats: string[]): Promise<Map<string, Map<string, Member>>> {
  type Columns = [chat: string, ...fields: [string, string, Member['role'], Member['state'], string | null, string]];
  const { rows } = await client.query<Columns>({
    name: 'chat-members',
    text: `SELECT chat_id, user_id, account_id, role, state, invitation_id, visible_from
           FROM chat_members WHERE chat_id = ANY ($1::uuid[])`,
    values: [chats],
    rowMode: 'array',
  });
  const members = new Map<string, Map<string, Member>>();
  for (const [chat, userId, accountId, role, state, invitationId, visibleFrom] of rows) {
    let those = members.get(chat);
    if (those === undefined) members.set(chat, (those = new Map<string, Member>()));
    those.set(userId, { userId, accountId, role, state, invitationId, visibleFrom: Number(visibleFrom) });
  }
  return members;
}

type Key = [chat: string, kind: RowKind, id: string];

/** The rows that one operation names, its author's own among them. */
function keysOf({ mutation }: Item, chat: ChatState): Key[] {
  const { op, row, account } = mutation;
  const actor = chat.acting(row.by)?.userId;
  const key = <K extends RowKind>(kind: K, id: string): Key => [account.id, kind, id];
  if (op === 'invite')
    return [key('chat.key', keyRowId(chat.info?.epoch ?? 0, existingId(chat, row.person.accountId)))];
  if (op === 'giveKeys') return row.keys.map(({ epoch }) => key('chat.key', keyRowId(epoch, row.userId)));
  if (!HOT.has(op) || actor === undefined) return [];
  const own = key('chat.member', actor);
  if (op === 'mark') return [own, key('chat.mark', actor)];
  if (op === 'react') return [own, key('chat.message', row.messageId), key('chat.reaction', reactionRowId(row.messageId, actor))]; // prettier-ignore
  return [own, key('chat.message', (row as { messageId: string }).messageId)];
}

function existingId(chat: ChatState, accountId: string): string {
  return chat.membersOf(accountId)[0]?.userId ?? accountId;
}

async function rowsOf(client: ClientBase, accounts: Accounts, keys: Key[]): Promise<Found[]> {
  const unique = [...new Map(keys.map((key) => [key.join('\0'), key])).values()];
  if (unique.length === 0) return [];
  const { rows } = await client.query<Columns>({
    name: 'chat-rows',
    text: `SELECT r.account_id, r.kind, r.id, r.born, r.seq, r.at, r.content
           FROM unnest($1::uuid[], $2::text[], $3::text[]) AS i(account_id, kind, id)
           CROSS JOIN LATERAL (
             SELECT * FROM shared_rows r WHERE r.account_id = i.account_id AND r.kind = i.kind AND r.id = i.id LIMIT 1) r`,
    values: [unique.map(([chat]) => chat), unique.map(([, kind]) => kind), unique.map(([, , id]) => id)],
    rowMode: 'array',
  });
  return rows.map((row) => opened(accounts, row));
}

/** The chats in which it matters what is known of each member. */
function whole(items: Item[]): string[] {
  return [...new Set(items.filter(({ mutation: { op } }) => !HOT.has(op)).map(({ mutation }) => mutation.account.id))];
}

/** Members and how far they have read. */
async function peopleOf(client: ClientBase, accounts: Accounts, chats: string[]): Promise<Found[]> {
  if (chats.length === 0) return [];
  const { rows } = await client.query<Columns>({
    name: 'chat-people',
    text: `SELECT r.account_id, r.kind, r.id, r.born, r.seq, r.at, r.content FROM shared_rows r
           WHERE r.account_id = ANY ($1::uuid[]) AND r.kind IN ('chat.member', 'chat.mark')`,
    values: [chats],
    rowMode: 'array',
  });
  return rows.map((row) => opened(accounts, row));
}

function deletedBy({ mutation: { op, row } }: Item, chat: ChatState): { chat: ChatState; messageId: string }[] {
  return op === 'delete' ? [{ chat, messageId: row.messageId }] : [];
}

/** Reactions of messages that are to go. They were born with their message, so they are found by its number. */
async function reactionsOf(client: ClientBase, messages: { chat: ChatState; messageId: string }[]): Promise<Found[]> {
  if (messages.length === 0) return [];
  const { rows } = await client.query<Columns>({
    name: 'chat-reactions',
    text: `SELECT r.account_id, r.kind, r.id, r.born, r.seq, r.at, NULL
           FROM unnest($1::uuid[], $2::text[]) AS i(account_id, id)
           CROSS JOIN LATERAL (
             SELECT born FROM shared_rows m
             WHERE m.account_id = i.account_id AND m.kind = 'chat.message' AND m.id = i.id LIMIT 1) m
           CROSS JOIN LATERAL (
             SELECT * FROM shared_rows r
             WHERE r.account_id = i.account_id AND r.kind = 'chat.reaction' AND r.born = m.born AND NOT r.deleted
             ${BY_KEY}) r`,
    values: [messages.map(({ chat }) => chat.account.id), messages.map(({ messageId }) => messageId)],
    rowMode: 'array',
  });
  return rows.map((row) => unopened(row));
}

/** Accounts whose doing not everybody wants to hear of. */
function authorsOf({ mutation: { op, row } }: Item): string[] {
  return SHUNNED.has(op) ? [row.by] : [];
}

type Accounts = ReadonlyMap<string, AccountKey>;
type Columns = [chat: string, kind: RowKind, id: string, born: string, seq: string, at: string, content: Buffer | null];
type Found = [chat: string, row: Row];

/** For what is pointed to or deleted, as it is. */
function unopened([chat, kind, id, born, seq, at]: Columns): Found {
  return [chat, { kind, id, born: Number(born), seq: Number(seq), at: Number(at), content: undefined }];
}

function opened(accounts: Accounts, columns: Columns): Found {
  const [chat, row] = unopened(columns);
  const [, kind, id, , , , sealed] = columns;
  row.content = sealed && (JSON.parse(accounts.get(chat)!.open(kind, id, sealed)) as Contents[RowKind]);
  return [chat, row];
}
