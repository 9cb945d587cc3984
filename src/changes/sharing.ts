import type { ClientBase } from 'pg';
import type { AccountKey } from './account-key.js';
import type { Chunk } from './chunk.js';
import type { ChangedRow } from './chunk.js';
import { numbering, type NumberRow } from './numbering.js';
import { sharedId } from './shared-view.js';

/*
 * What several accounts share is a chat: an account of its own without devices, whose rows are stored once, numbered by the
 * chat. Each of those who share it gets a pointer to each version of a row that it may see, as a change of its own. A row
 * that is written anew takes its pointers away: who gets no new one (who left, who blocked the author) has seen the last
 * of it.
 */

/** A shared row that was written, and who is to see it. */
export interface SharedChange {
  chat: AccountKey;
  /** The chat's number it was written under. */
  number: number;
  /** The one it was written under before. */
  replaces?: number;
  kind: string;
  id: string;
  at: number;
  /** The row as JSON text, null for a tombstone. Absent for one that stood before: who gets it now reads it. */
  row?: () => string | null;
  /** Accounts. Changes for the same ones share one array: that is what makes many of them cheap. */
  to: readonly string[];
}

/** Places in the list of changes, in order; accounts that see the same share one array. */
type Places = readonly number[];

/**
 * Gives the accounts their pointers, in the transaction that wrote the rows. The result is to be told once it is committed.
 * Fails like a deadlock, to be tried again, when one of the accounts was joined to another in this moment.
 */
export async function share(client: ClientBase, changes: SharedChange[]): Promise<Chunk[]> {
  const seen = placesOf(changes);
  const replaced = changes.filter(({ replaces }) => replaces !== undefined);
  const counts = new Map([...seen].map(([account, places]) => [account, places.length]));
  const [{ rows }] = await Promise.all([
    client.query<NumberRow>(numbering(counts)),
    ...(replaced.length > 0 ? [unpoint(client, replaced)] : []),
  ]);
  if (rows.length < seen.size) await refuseJoined(client, [...seen.keys()]);
  const followers = rows.map(({ id, seq }) => {
    const places = seen.get(id)!;
    return { id, places, cursor: Number(seq), after: Number(seq) - places.length };
  });
  await point(client, changes, followers);
  const once = changes.map(toldOnce);
  return followers.map(({ id, places, after, cursor }) => new SharedChunk(id, after, cursor, places, once));
}

/** Whether the account is in the chat: invited is not enough. */
export async function isMember({ id, home }: AccountKey, chatId: string): Promise<boolean> {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(chatId)) return false;
  const where = { chatId, accountId: id, state: 'accepted' } as const;
  return (await home.database.prisma.chatMember.findFirst({ where, select: { userId: true } })) !== null;
}

type Told = Omit<ChangedRow, 'account' | 'seq'>;

/** What one commit of shared rows changed in one account. Its rows are made when somebody asks: mostly nobody does. */
class SharedChunk implements Chunk {
  private made: ChangedRow[] | undefined;

  constructor(
    readonly account: string,
    readonly after: number,
    readonly cursor: number,
    private readonly places: Places,
    private readonly told: (Told | undefined)[],
  ) {}

  get rows(): readonly ChangedRow[] | undefined {
    if (this.places.some((place) => this.told[place] === undefined)) return undefined;
    return (this.made ??= this.places.map((place, i) => ({
      account: this.account,
      seq: this.after + i + 1,
      ...this.told[place]!,
    })));
  }
}

/** For each account, which of the changes it sees. */
function placesOf(changes: SharedChange[]): Map<string, Places> {
  const audiences = new Map<readonly string[], number[]>();
  changes.forEach(({ to }, place) => {
    const places = audiences.get(to);
    if (places === undefined) audiences.set(to, [place]);
    else places.push(place);
  });
  const seen = new Map<string, Places>();
  const merged = new Map<Places, Map<Places, Places>>();
  for (const [to, places] of audiences)
    for (const account of new Set(to)) {
      const before = seen.get(account);
      seen.set(account, before === undefined ? places : merge(merged, before, places));
    }
  return seen;
}

/** The same two arrays make the same third. */
function merge(merged: Map<Places, Map<Places, Places>>, one: Places, other: Places): Places {
  let those = merged.get(one);
  if (those === undefined) merged.set(one, (those = new Map<Places, Places>()));
  let both = those.get(other);
  if (both === undefined) those.set(other, (both = [...one, ...other].sort((a, b) => a - b)));
  return both;
}

/** Its text is made once, whoever gets it. */
function toldOnce({ chat, kind, id, at, row }: SharedChange): Told | undefined {
  if (row === undefined) return undefined;
  let text: string | null | undefined;
  return { kind, id: sharedId(chat, kind, id), at, row: () => (text === undefined ? (text = row()) : text) };
}

async function unpoint(client: ClientBase, replaced: SharedChange[]): Promise<void> {
  await client.query({
    name: 'pointers-remove',
    text: `DELETE FROM pointers p USING unnest($1::uuid[], $2::bigint[]) AS o(shared_id, number)
           WHERE p.shared_id = o.shared_id AND p.number = o.number`,
    values: [replaced.map(({ chat }) => chat.id), replaced.map(({ replaces }) => replaces)],
  });
}

/**
 * Accounts with the same places share their list, so that a thousand pointers are not a thousand parameters. The lists are laid
 * end to end, and each account says where its own is: nothing is searched for, however many lists there are.
 */
async function point(
  client: ClientBase,
  changes: SharedChange[],
  followers: { id: string; places: Places; after: number }[],
): Promise<void> {
  const starts = new Map<Places, number>();
  const entries: SharedChange[] = [];
  for (const { places } of followers)
    if (!starts.has(places)) {
      starts.set(places, entries.length);
      for (const place of places) entries.push(changes[place]!);
    }
  await client.query({
    name: 'pointers-insert',
    text: `INSERT INTO pointers (account_id, seq, shared_id, number)
           SELECT a.id, a.after + n, ($5::uuid[])[a.start + n], ($6::bigint[])[a.start + n]
           FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[]) AS a(id, after, start, size)
           CROSS JOIN LATERAL generate_series(1, a.size) AS n`,
    values: [
      followers.map(({ id }) => id),
      followers.map(({ after }) => after),
      followers.map(({ places }) => starts.get(places)),
      followers.map(({ places }) => places.length),
      entries.map(({ chat }) => chat.id),
      entries.map(({ number }) => number),
    ],
  });
}

/** One that is gone needs nothing; one that was joined to another has members' rows that name the other by now. */
export async function refuseJoined(client: ClientBase, accounts: string[]): Promise<void> {
  const joined = await client.query('SELECT FROM accounts WHERE id = ANY ($1::uuid[]) AND joined_into IS NOT NULL', [
    accounts,
  ]);
  if (joined.rowCount !== 0) throw Object.assign(new Error('An account was joined to another'), { code: '40001' });
}
