import type { ClientBase, QueryConfig, QueryResult } from 'pg';
import type { AccountKey } from './account-key.js';
import type { ChangedRow, Chunk } from './chunk.js';

/**
 * A wish to change one row, as plain data. `op` names what to do in the words of its kind (`put`, `status`, `delete`, …);
 * `row` is what that kind's statement needs, its content already sealed.
 */
export interface Mutation<Op extends string = string, Row = unknown> {
  account: AccountKey;
  kind: string;
  id: string;
  op: Op;
  row: Row;
  /** Our clock, ms since 1970. */
  at: number;
  /** About how much it weighs in memory and on the wire to Postgres. */
  bytes: number;
  /** How many numbers it may take, one for each row that it changes; 1 when absent. */
  numbers?: number;
}

/**
 * What became of one mutation. `state` is the kind's own view of the row afterwards.
 * - applied: stored under `seq`
 * - duplicate: an earlier one already said so, under `seq`
 * - stale: something newer stands; nothing changed
 * - missing: there is no such row (or no such account any more)
 * - rejected: Postgres refused the row; the others of its batch went through
 */
export type Outcome<State = unknown> =
  { result: 'applied' | 'duplicate' | 'stale'; seq: number; state: State } | { result: 'missing' | 'rejected' };

/** A mutation on its way through a batch, with the number it takes if it changes anything. */
export interface Numbered<M extends Mutation = Mutation> {
  mutation: M;
  /** The last of its numbers, where it may take several. */
  seq: number;
  /** How many numbers of its account come after it in the batch: the account's number then less this is `seq`. */
  later: number;
}

/**
 * A share of a batch as statements that go to Postgres in one write with all else of their transaction. `seq` of the items
 * is not known while they are made: a statement takes it from the account's row, which holds the batch's last number.
 */
export interface Planned {
  queries: QueryConfig[];
  /**
   * Once all are answered and committed, and the items have their `seq`: what became of each. Undefined for those that
   * these statements could not decide: they changed nothing, and go through `write` next.
   */
  read(results: QueryResult[]): { outcomes: (Outcome | undefined)[]; changed: ChangedRow[] };
}

export interface Written<State = unknown> {
  /** One for each mutation, in order. */
  outcomes: Outcome<State>[];
  /** The rows that changed. */
  changed: ChangedRow[];
  /** What those who share rows are to be told (`share`). */
  shared?: Chunk[];
  /** What follows from it in other accounts: written next, in the same transaction. No two name the same row. */
  following?: Mutation[];
  /** Done once it is committed. */
  afterwards?: () => void;
}

/** One stored row as a page holds it: its plain columns, and its sealed content. */
export interface StoredRow {
  seq: number;
  kind: string;
  id: string;
  at: number;
  deleted: boolean;
  /** Null for a tombstone. */
  content: Buffer | null;
  /** The kind's own plain columns as Postgres prints them: numbers and booleans are JSON as they are. */
  fields: (string | null)[];
}

/** How many columns of its own a kind may have in a page; `pageSql` pads to it. */
export const PAGE_FIELDS = 7;

/** What writes mutations of one kind. */
export interface Writer {
  readonly name: string;
  /**
   * Writes its share of a batch in the batch's transaction. The account rows are locked, so what it reads is what stands.
   * No two mutations of one call name the same row, unless the kind `supersedes`.
   */
  write(client: ClientBase, items: Numbered[]): Promise<Written>;
  /**
   * Whether mutations of one row may share a batch, which keeps a stream of them from costing a commit each. Their kind
   * decides them in order, as if one by one: each has its own number and outcome, and only the last state is written.
   */
  readonly supersedes?: boolean;
  /** The quick way, for a batch that is all of this kind. */
  plan?(items: Numbered[]): Planned;
}

/** A kind of synced row. The feature that owns it registers it with `Changes.register`. */
export interface Kind extends Writer {
  /** Its table, with columns account_id, id, seq, at, deleted, content. */
  readonly table: string;
  /** SQL of its own plain columns, at most PAGE_FIELDS, each cast to text. */
  readonly fields: string[];
  /** The public view of a stored row, as JSON text. */
  view(row: StoredRow, account: AccountKey): string;
  /** SQL: what a tombstone has to meet, besides its age, before it may be forgotten. */
  readonly purgeable?: string;

  // What it takes to move its rows into another account (Adoption).

  /** A column with a keyed hash of the content: other for each account. */
  readonly keyed?: { column: string; of(content: string, account: AccountKey): Buffer | null };
  /**
   * The same id in two accounts means two things, so both rows stay and the one that comes gets another id. Of other kinds
   * the newer one stands.
   */
  readonly idsAreLocal?: boolean;
  /** A column with the id of a row of a kind that registered before, whose ids are local. */
  readonly refersTo?: { column: string; table: string };
  /** Rows came into the account, in this transaction: what is counted has to be counted again. */
  adopted?(client: ClientBase, account: AccountKey): Promise<void>;
}
