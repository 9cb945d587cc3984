import type { ClientBase } from 'pg';
import type { AccountKeys } from '../changes/account-keys.js';
import type { Mutation } from '../changes/kind.js';
import type { ChatMutation, Decision } from './operation.js';

/** What follows from the deletion of messages: their files go, from the accounts of those who uploaded them. */
export async function fileRemovals(
  client: ClientBase,
  keys: AccountKeys,
  decided: { mutation: ChatMutation; decision: Decision }[],
): Promise<Mutation[]> {
  const gone = decided.flatMap(({ mutation: { account, at }, decision }) =>
    'refused' in decision || decision.files === undefined ? [] : [{ ...decision.files, home: account.home, at }],
  );
  if (gone.length === 0) return [];
  const { rows } = await client.query<{ id: string; data_key: Buffer }>(
    'SELECT id, data_key FROM accounts WHERE id = ANY ($1)',
    [gone.map(({ accountId }) => accountId)],
  );
  const dataKeys = new Map(rows.map(({ id, data_key }) => [id, data_key]));
  // Two messages may name the same file.
  const removals = new Map<string, Mutation>();
  for (const { accountId, ids, home, at } of gone) {
    const dataKey = dataKeys.get(accountId);
    // Whose account is gone has no files any more.
    if (dataKey === undefined) continue;
    const account = keys.open(accountId, home, dataKey);
    for (const id of ids) removals.set(`${accountId} ${id}`, { account, kind: 'file', id, op: 'delete', row: null, at, bytes: 128 }); // prettier-ignore
  }
  return [...removals.values()];
}
