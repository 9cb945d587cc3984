import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';

/** Rows of one transaction. */
const AT_ONCE = 500;

/** The tables, beside those of synced rows, in which an account that was joined to another may have something left. */
export const PLACES = [
  'logins',
  'api_keys',
  'refresh_tokens',
  'pairings',
  'pending_pulls',
  'account_events',
  'uploads',
  'chat_members',
  'pointers',
];

/** Moves what lets people and programs in, in a transaction that has locked both accounts. */
export async function moveBelongings(client: ClientBase, from: AccountKey, into: AccountKey): Promise<void> {
  await moveLogin(client, from, into);
  await moveSealed(client, 'api_keys', 'key', from, into);
  await moveSealed(client, 'uploads', 'upload', from, into);
  for (const table of ['refresh_tokens', 'pairings', 'chat_members'])
    await client.query(`UPDATE ${table} SET account_id = $2 WHERE account_id = $1`, [from.id, into.id]);
  await client.query(
    `WITH gone AS (DELETE FROM pending_pulls WHERE account_id = $1 RETURNING *)
     INSERT INTO pending_pulls (account_id, device_id, id, changed_at, at) SELECT $2, device_id, id, changed_at, at FROM gone
     ON CONFLICT DO NOTHING`,
    [from.id, into.id],
  );
}

/** Moves the audit list, piece by piece. */
export async function moveEvents(from: AccountKey, into: AccountKey): Promise<void> {
  for (let more = true; more;)
    more = await into.home.database.transaction(async (client) => {
      const { rows } = await client.query<{ id: string; event: string; content: Buffer }>(
        `SELECT id, event, content FROM account_events WHERE account_id = $1 ORDER BY id LIMIT ${AT_ONCE} FOR UPDATE`,
        [from.id],
      );
      await client.query(
        `UPDATE account_events e SET account_id = $2, content = n.content
         FROM unnest($3::bigint[], $4::bytea[]) AS n(id, content) WHERE e.account_id = $1 AND e.id = n.id`,
        [
          from.id,
          into.id,
          rows.map(({ id }) => id),
          rows.map(({ event, content }) => into.seal('event', event, from.open('event', event, content))),
        ],
      );
      return rows.length === AT_ONCE;
    });
}

async function moveLogin(client: ClientBase, from: AccountKey, into: AccountKey): Promise<void> {
  const { rows } = await client.query<{ content: Buffer }>('SELECT content FROM logins WHERE account_id = $1', [
    from.id,
  ]);
  if (rows[0] === undefined) return;
  const content = into.seal('login', into.id, from.open('login', from.id, rows[0].content));
  await client.query('UPDATE logins SET account_id = $2, content = $3 WHERE account_id = $1', [
    from.id,
    into.id,
    content,
  ]);
}

/** Rows whose content is sealed as `kind`, for their id. */
async function moveSealed(client: ClientBase, table: string, kind: string, from: AccountKey, into: AccountKey) {
  const { rows } = await client.query<{ id: string; content: Buffer }>(
    `SELECT id, content FROM ${table} WHERE account_id = $1`,
    [from.id],
  );
  await client.query(
    `UPDATE ${table} t SET account_id = $2, content = n.content
     FROM unnest($3::uuid[], $4::bytea[]) AS n(id, content) WHERE t.account_id = $1 AND t.id = n.id`,
    [
      from.id,
      into.id,
      rows.map(({ id }) => id),
      rows.map(({ id, content }) => into.seal(kind, id, from.open(kind, id, content))),
    ],
  );
}
