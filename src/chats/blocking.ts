import type { ClientBase } from 'pg';

/*
 * Who hears nothing of whom: whoever wants to know asks here. A block holds between people: for all accounts that became one,
 * on both sides, whichever of them was named and whenever they were joined; also while a joined account's rows are still
 * moving. Nobody blocks themselves, who may have blocked an account that was joined to theirs since.
 */

type Queries = Pick<ClientBase, 'query'>;

/** Keeps a part of a statement from being turned round: a plan made while a table was small would read it whole for ever. */
const BY_KEY = 'LIMIT 1000000';

/** An account as its devices know it, and those that were joined to it. */
const ALL_OF = (id: string) => `SELECT ${id} UNION ALL SELECT a.id FROM accounts a WHERE a.joined_into = ${id}`;

/** The accounts that block each of these. Mostly that is nobody. */
export async function blockersOf(client: Queries, accounts: Iterable<string>): Promise<Map<string, Set<string>>> {
  const blockers = new Map<string, Set<string>>();
  const blocked = [...new Set(accounts)];
  if (blocked.length === 0) return blockers;
  const { rows } = await client.query<[blocked: string, account: string]>({
    name: 'chat-blockers',
    text: `SELECT u.id, coalesce(mine.joined_into, b.account_id) FROM unnest($1::uuid[]) AS u(id)
           CROSS JOIN LATERAL (${ALL_OF('u.id')}) AS known(id)
           CROSS JOIN LATERAL (SELECT b.account_id FROM blocks b WHERE b.id = known.id::text AND NOT b.deleted ${BY_KEY}) b
           LEFT JOIN LATERAL (SELECT a.joined_into FROM accounts a WHERE a.id = b.account_id LIMIT 1) mine ON true`,
    values: [blocked],
    rowMode: 'array',
  });
  for (const [id, account] of rows) if (account !== id) blockers.set(id, (blockers.get(id) ?? new Set()).add(account));
  return blockers;
}

/** Whom each of these accounts blocks: all that such a person is known by, and since when. */
export async function blocksOf(client: Queries, accounts: string[]): Promise<(account: string) => Map<string, number>> {
  const blocks = new Map(accounts.map((id) => [id, new Map<string, number>()]));
  const { rows } = await client.query<[account: string, known: string, since: string]>({
    name: 'chat-blocked',
    text: `SELECT u.id, known.id, min(b.at) FROM unnest($1::uuid[]) AS u(id)
           CROSS JOIN LATERAL (${ALL_OF('u.id')}) AS mine(id)
           CROSS JOIN LATERAL (SELECT b.id::uuid, b.at FROM blocks b WHERE b.account_id = mine.id AND NOT b.deleted ${BY_KEY}) b
           -- Who is gone is known by what was blocked alone.
           LEFT JOIN LATERAL (SELECT coalesce(a.joined_into, a.id) AS id FROM accounts a WHERE a.id = b.id LIMIT 1) theirs ON true
           CROSS JOIN LATERAL (SELECT b.id UNION ${ALL_OF('theirs.id')}) AS known(id)
           WHERE known.id IS NOT NULL AND theirs.id IS DISTINCT FROM u.id
           GROUP BY u.id, known.id`,
    values: [[...blocks.keys()]],
    rowMode: 'array',
  });
  for (const [account, known, since] of rows) blocks.get(account)!.set(known, Number(since));
  return (account) => blocks.get(account)!;
}

/** Of the user ids that an account blocks those that are this person's, whichever of theirs is named. */
export async function blocksOfPerson(client: Queries, account: string, userId: string): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `SELECT b.id FROM blocks b LEFT JOIN accounts theirs ON theirs.id = b.id::uuid
     WHERE b.account_id = $1 AND NOT b.deleted
       AND coalesce(theirs.joined_into, b.id::uuid) = coalesce((SELECT joined_into FROM accounts WHERE id = $2), $2)`,
    [account, userId],
  );
  return rows.map(({ id }) => id);
}
