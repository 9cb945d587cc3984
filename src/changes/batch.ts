import type { Numbered } from './kind.js';

// What the statements of kinds that plan share: how an item's number is had from its account's row.

/**
 * The numbers of the batch's accounts, looked up once: their rows were counted on and locked by this transaction. Null, which no
 * row takes, for one that was joined to another meanwhile.
 */
const SEQS = `(SELECT array_agg(a.seq ORDER BY u.place) FROM unnest($1::uuid[]) WITH ORDINALITY u(id, place) LEFT JOIN accounts a ON a.id = u.id AND a.joined_into IS NULL)`;

/**
 * SQL of an item's number: `$1` is the batch's accounts, and the item `i` has the place of its own among them in `account`
 * and how many come after it in `later`.
 */
export const SEQ = `${SEQS}[i.account] - i.later`;

/** The accounts of these items, and the place of each item's among them, from 1 on. */
export function accountsOf(items: Numbered[]): { accounts: string[]; places: number[] } {
  const seen = new Map<string, number>();
  const places = items.map(({ mutation: { account } }) => {
    if (!seen.has(account.id)) seen.set(account.id, seen.size + 1);
    return seen.get(account.id)!;
  });
  return { accounts: [...seen.keys()], places };
}

/**
 * Sealed values as one binary parameter, to be cut apart there: an array of bytea would go as hex. Nothing has the size 0,
 * as no sealed value has.
 */
export function packed(values: (Buffer | null)[]): { bytes: Buffer; starts: number[]; sizes: number[] } {
  const sizes = values.map((value) => value?.length ?? 0);
  let end = 0;
  const starts = sizes.map((size) => (end += size) - size + 1);
  return { bytes: Buffer.concat(values.filter((value) => value !== null)), starts, sizes };
}
