import type { ClientBase } from 'pg';
import { packed } from '../changes/batch.js';
import type { Chunk } from '../changes/chunk.js';
import { share, type SharedChange } from '../changes/sharing.js';
import { sharedView } from '../changes/shared-view.js';
import type { ChatState, Row } from './chat-state.js';

/** Writes what a batch has decided, in a statement a table, and tells who may see it. */
export async function store(client: ClientBase, chats: ChatState[]): Promise<Chunk[]> {
  const writes = chats.flatMap((chat) => chat.written().map((row) => toWrite(chat, row)));
  const members = chats.flatMap((chat) => [...chat.changedMembers].map((member) => ({ chat, member })));
  const shared = chats.flatMap((chat) => [
    ...chat.granted().map(({ row, to }): SharedChange => ({ ...headOf(chat, row), to })),
    ...writes.filter((write) => write.chat === chat).map(toShared),
  ]);
  if (shared.length === 0) return [];
  // In the order that the chat has.
  shared.sort((one, other) => one.number - other.number);
  const [, , chunks] = await Promise.all([
    writeRows(client, writes),
    writeMembers(client, members),
    share(client, shared),
  ]);
  return chunks;
}

interface Write {
  chat: ChatState;
  row: Row & { to: readonly string[] };
  /** The content as JSON text; null for a tombstone. */
  text: string | null;
}

function toWrite(chat: ChatState, row: Write['row']): Write {
  return { chat, row, text: row.content ? JSON.stringify(row.content) : null };
}

function headOf({ account }: ChatState, { kind, id, seq, at }: Row) {
  return { chat: account, number: seq, kind, id, at };
}

function toShared({ chat, row, text }: Write): SharedChange {
  const view = () => (text === null ? null : sharedView(chat.account, row.id, row.born, text));
  return { ...headOf(chat, row), to: row.to, row: view, ...(row.stood === undefined ? {} : { replaces: row.stood }) };
}

async function writeRows(client: ClientBase, writes: Write[]): Promise<void> {
  if (writes.length === 0) return;
  const of = <T>(field: (write: Write) => T) => writes.map(field);
  const sealed = of(({ chat, row, text }) => (text === null ? null : chat.account.seal(row.kind, row.id, text)));
  const { bytes, starts, sizes } = packed(sealed);
  await client.query({
    name: 'chat-store',
    text: `INSERT INTO shared_rows (account_id, kind, id, seq, at, deleted, born, content)
           SELECT account_id, kind, id, seq, at, size = 0, born,
                  CASE WHEN size > 0 THEN substring($7::bytea FROM start FOR size) END
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $8::int[], $9::int[])
             AS i(account_id, kind, id, seq, at, born, start, size)
           -- Decided in order, under the lock of the chat's account.
           ON CONFLICT (account_id, kind, id) DO UPDATE SET seq = excluded.seq, at = excluded.at, deleted = excluded.deleted,
             content = excluded.content`,
    values: [
      of(({ chat }) => chat.account.id),
      of(({ row }) => row.kind),
      of(({ row }) => row.id),
      of(({ row }) => row.seq),
      of(({ row }) => row.at),
      of(({ row }) => row.born),
      bytes,
      starts,
      sizes,
    ],
  });
}

type MemberWrite = { chat: ChatState; member: ChatState['changedMembers'] extends Set<infer M> ? M : never };

async function writeMembers(client: ClientBase, writes: MemberWrite[]): Promise<void> {
  if (writes.length === 0) return;
  const of = <T>(field: (write: MemberWrite) => T) => writes.map(field);
  await client.query({
    name: 'chat-members-store',
    text: `INSERT INTO chat_members (chat_id, user_id, account_id, role, state, invitation_id, visible_from)
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::chat_role[], $5::chat_state[], $6::uuid[], $7::bigint[])
           -- The account is not touched: one that was joined to another at this moment stays so.
           ON CONFLICT (chat_id, user_id) DO UPDATE SET role = excluded.role, state = excluded.state,
             invitation_id = excluded.invitation_id, visible_from = excluded.visible_from`,
    values: [
      of(({ chat }) => chat.account.id),
      of(({ member }) => member.userId),
      of(({ member }) => member.accountId),
      of(({ member }) => member.role),
      of(({ member }) => member.state),
      of(({ member }) => member.invitationId),
      of(({ member }) => member.visibleFrom),
    ],
  });
}
