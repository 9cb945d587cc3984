import type { AccountKey } from '../changes/account-key.js';
import { foremost, NEVER, type Contents, type Member, type RowKind } from './chat.js';

/** A row while its batch is decided: as it was found, then as the operations before left it. */
export interface Row<K extends RowKind = RowKind> {
  kind: K;
  id: string;
  born: number;
  /** The number it stands under. */
  seq: number;
  at: number;
  /** Null once it is deleted; undefined for one that was not looked into. */
  content: Contents[K] | null | undefined;
  /** The number it stood under before this batch. */
  stood?: number;
  /** Set once this batch wrote it: the accounts that see it. Those who see the same share one array. */
  to?: readonly string[];
}

/** A row that stood before, and an account that may see it from now on. */
export interface Grant {
  row: Row;
  to: readonly string[];
}

/** Messages and reactions that were there before the batch. Those born before `from` are too many. */
export interface Waiting {
  rows: Row[];
  from: number;
}

/** A chat while a batch decides on it: in memory alone. What was written, and by whom it is seen, is read from it then. */
export class ChatState {
  readonly changedMembers = new Set<Member>();
  private readonly rows = new Map<string, Row>();
  /** For who accepts in this batch, by the invitation. */
  private readonly waiting = new Map<string, Waiting>();
  private readonly grants: Grant[] = [];
  private readonly audiences = new Map<string, readonly string[]>();
  private readonly unions = new Map<readonly string[], Map<readonly string[], readonly string[]>>();
  private latest: number | undefined;
  private number = 0;
  private last = 0;
  /** Our clock, of the operation under way. */
  at = 0;

  constructor(
    readonly account: AccountKey,
    /** By their user ids. */
    readonly members: Map<string, Member>,
    /** The accounts that block an account, for those whose doing is concerned. */
    private readonly blockers: ReadonlyMap<string, ReadonlySet<string>>,
  ) {}

  /** An operation begins that may take the numbers up to `last`. */
  begin(last: number, numbers: number, at: number): void {
    this.number = last - numbers;
    this.last = last;
    this.at = at;
  }

  /** The number of the newest change. */
  get newest(): number {
    return this.number;
  }

  load(row: Row): void {
    this.rows.set(`${row.kind}:${row.id}`, row);
  }

  await(invitationId: string, waiting: Waiting): void {
    this.waiting.set(invitationId, waiting);
  }

  awaiting(invitationId: string): Waiting {
    return this.waiting.get(invitationId) ?? { rows: [], from: 0 };
  }

  row<K extends RowKind>(kind: K, id: string): Row<K> | undefined {
    return this.rows.get(`${kind}:${id}`) as Row<K> | undefined;
  }

  /** Undefined when there is none, or no more. */
  get<K extends RowKind>(kind: K, id: string): Contents[K] | undefined {
    return this.row(kind, id)?.content ?? undefined;
  }

  *all<K extends RowKind>(kind: K): Generator<Row<K>> {
    for (const row of this.rows.values()) if (row.kind === kind) yield row as Row<K>;
  }

  /** All that this batch wrote. */
  written(): (Row & { to: readonly string[] })[] {
    return [...this.rows.values()].filter((row): row is Row & { to: readonly string[] } => row.to !== undefined);
  }

  /** Undefined for a chat that is not there (any more). */
  get info(): Contents['chat'] | undefined {
    return this.get('chat', this.account.id);
  }

  /** Writes a row, or with null its tombstone. Answers its number. */
  put<K extends RowKind>(
    kind: K,
    id: string,
    content: Contents[K] | null,
    to: (number: number) => readonly string[],
    born?: number,
  ): number {
    const number = ++this.number;
    if (number > this.last) throw new Error(`An operation on a ${kind} took more numbers than it said`);
    const before = this.row(kind, id);
    const stood = before?.to === undefined ? before?.seq : before.stood;
    born ??= before?.born ?? number;
    this.load({ kind, id, born, seq: number, at: this.at, content, stood, to: to(number) });
    return number;
  }

  /** Who is in the chat as the owner of this account. */
  acting(account: string): Member | undefined {
    return foremost(this.membersOf(account).filter(({ state }) => state === 'accepted'));
  }

  membersOf(account: string): Member[] {
    return [...this.members.values()].filter(({ accountId }) => accountId === account);
  }

  setMember(member: Member, change: Partial<Member> = {}): Member {
    Object.assign(member, change);
    this.members.set(member.userId, member);
    this.changedMembers.add(member);
    this.audiences.clear();
    this.latest = undefined;
    return member;
  }

  /** Whether the account wants to hear nothing of them. */
  blocks(accountId: string, { accountId: author }: Pick<Member, 'accountId'>): boolean {
    return this.blockers.get(author)?.has(accountId) === true;
  }

  /** The accounts of all who have accepted. */
  everyone(): readonly string[] {
    return this.audience('everyone', ({ state }) => state === 'accepted');
  }

  /** And of those who are invited. */
  everyoneAsked(): readonly string[] {
    return this.audience('asked', (m) => m.state === 'accepted' || (m.state === 'invited' && m.visibleFrom !== NEVER));
  }

  /** Of all to whom what was born then may be known. */
  viewers(born: number): readonly string[] {
    if (born >= this.latestView()) return this.everyone();
    return this.audience(`from ${born}`, (m) => m.state === 'accepted' && m.visibleFrom <= born);
  }

  /** The same without those who block the author. */
  readers(author: Member, born: number): readonly string[] {
    const blockers = this.blockers.get(author.accountId);
    if (blockers === undefined) return this.viewers(born);
    const from = born >= this.latestView() ? '' : born;
    return this.audience(
      `of ${author.userId} ${from}`,
      (m) => m.state === 'accepted' && m.visibleFrom <= born && !blockers.has(m.accountId),
    );
  }

  /** The person alone; nobody when the invitation is one that they do not hear of. */
  only({ userId }: Member): readonly string[] {
    return this.audience(`only ${userId}`, (m) => m.userId === userId && m.visibleFrom !== NEVER);
  }

  /** All who are in the chat, the person itself, and those whom the person has invited: all who know them by the chat. */
  acquaintances(user: string): readonly string[] {
    return this.audience(`with ${user}`, (m) => {
      if (m.state === 'accepted') return true;
      if (m.visibleFrom === NEVER) return false;
      return m.userId === user || (m.state === 'invited' && this.get('chat.member', m.userId)?.invitedBy === user);
    });
  }

  /** The account sees a row that stood before, or was written by this batch already. */
  grant(row: Row, to: readonly string[]): void {
    if (row.to === undefined) this.grants.push({ row, to });
    else row.to = this.widened(row.to, to);
  }

  /** Those that still stand: what was written after it was granted was written for all who may see it. */
  granted(): Grant[] {
    return this.grants.filter(({ row }) => this.row(row.kind, row.id)?.to === undefined);
  }

  /** The same two make the same third. */
  private widened(one: readonly string[], other: readonly string[]): readonly string[] {
    let those = this.unions.get(one);
    if (those === undefined) this.unions.set(one, (those = new Map<readonly string[], readonly string[]>()));
    let both = those.get(other);
    if (both === undefined) those.set(other, (both = [...new Set([...one, ...other])]));
    return both;
  }

  /** Before this number something is not everyone's. */
  private latestView(): number {
    this.latest ??= Math.max(0, ...[...this.members.values()].map((m) => (m.state === 'accepted' ? m.visibleFrom : 0)));
    return this.latest;
  }

  private audience(name: string, includes: (member: Member) => boolean): readonly string[] {
    let accounts = this.audiences.get(name);
    if (accounts === undefined) {
      accounts = [...this.members.values()].filter(includes).map(({ accountId }) => accountId);
      this.audiences.set(name, accounts);
    }
    return accounts;
  }
}
