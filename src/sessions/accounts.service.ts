import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Cluster } from '../cluster/cluster.js';
import { Facts } from '../cluster/facts.js';
import { Databases } from '../database/databases.js';
import { isUniqueViolation } from '../database/faults.js';
import { relayError } from '../errors.js';
import type { Prisma } from '../generated/prisma/client.js';
import { Realms } from './realms.js';
import { Turns } from './turns.js';

/** What of a login is sealed. */
export interface Person {
  email?: string;
  /** The name they sign in by. */
  name?: string;
  /** What they call themselves. */
  displayName?: string;
  language?: string;
  /** Section E: what others seal to. */
  publicKey?: string;
  /** The key before the last change, and what it signed of the present one: for others to check. */
  previousKey?: string;
  keySignature?: string;
  /** Whether searching for names leaves them out. */
  hidden?: boolean;
}

export interface Login {
  account: AccountKey;
  person: Person;
  /** Undefined for one that signs in by codes alone. */
  passwordHash?: string;
  /** Whether a code that was mailed has shown that the email is theirs: until then it is whoever registered it first. */
  proven: boolean;
}

/** What of a login changes besides what its person says of themselves; null takes the password away. */
export interface LoginMarks {
  passwordHash?: string | null;
  proven?: boolean;
}

/** What else they say of themselves: undefined takes it away. */
export interface LoginChange extends LoginMarks {
  says?: Omit<Person, 'email' | 'name'>;
}

type Decide = (login: Login | undefined, tx: Prisma.TransactionClient) => LoginChange | Promise<LoginChange>;

/** After the commit. */
export interface AccountFacts {
  /** Everything of it ends; `account` is its id. */
  'account.deleted': [account: string];
  /** These devices have to sign in again; their rows stay. */
  'sessions.ended': [account: string, deviceIds: string[]];
  /** It was joined to another, or another to it: whatever is open of it connects again, with the token that it has. */
  'account.joined': [account: string];
  'person.registered': [account: string, person: Person, realm: string];
  /** What others see of a person has changed: their name, or their key. */
  'profile.changed': [account: string, person: Person, realm: string];
  /** They hid from searches, or came back. */
  'visibility.changed': [account: string, person: Person, realm: string];
}

/** Changes of logins that may wait, and of one. */
const MOST_CHANGES = 500;
const MOST_CHANGES_OF_LOGIN = 20;
const SEEN_BY_OTHERS = ['name', 'publicKey', 'previousKey', 'keySignature'] as const;

/** Accounts that people sign in to, by email or by name. */
@Injectable()
export class Accounts {
  readonly events: Facts<AccountFacts>;
  private readonly turns = new Turns(MOST_CHANGES, MOST_CHANGES_OF_LOGIN);

  constructor(
    private readonly databases: Databases,
    private readonly keys: AccountKeys,
    private readonly realms: Realms,
    cluster: Cluster,
  ) {
    this.events = new Facts(cluster, 'accounts');
  }

  /** Throws `email_taken`, `name_taken`. Whether the realm takes new people is `Realms.admitNew`'s to say. */
  async create(realm: string, person: Person, { passwordHash, proven = false }: LoginMarks = {}): Promise<AccountKey> {
    const { account, wrapped } = this.keys.create(realm);
    const content = seal(account, person, proven);
    const login = { create: { realm, ...(await this.indexes(realm, person)), passwordHash, content } };
    const data = { id: account.id, realm, dataKey: Buffer.from(wrapped), login };
    await this.orTaken(account, person, () => account.home.database.prisma.account.create({ data }));
    this.events.emit('person.registered', account.id, person, realm);
    return account;
  }

  async find(realm: string, by: { email: string } | { name: string }): Promise<Login | undefined> {
    const where =
      'email' in by
        ? { realm_emailIndex: { realm, emailIndex: await this.emailIndex(realm, by.email) } }
        : { realm_nameIndex: { realm, nameIndex: await this.nameIndex(realm, by.name) } };
    const row = await this.databases.of(realm)!.prisma.login.findUnique({ where });
    const account = row && (await this.keys.find(row.accountId, realm));
    return row && account ? toLogin(account, row) : undefined;
  }

  /** Those of the realm that fit, in the order of their accounts' ids. Their keys are not kept: they may be many. */
  async list(realm: string, fits: Prisma.LoginWhereInput, take: number): Promise<Login[]> {
    const database = this.databases.of(realm)!;
    const rows = await database.prisma.login.findMany({
      where: { ...fits, realm },
      include: { account: { select: { dataKey: true } } },
      orderBy: { accountId: 'asc' },
      take,
    });
    return rows.map((row) =>
      toLogin(this.keys.open(row.accountId, { realm, database }, Buffer.from(row.account.dataKey)), row),
    );
  }

  /** How one signs in to an account; undefined for one that a phone made and nobody has added a login to. */
  async loginOf(account: AccountKey): Promise<Login | undefined> {
    const row = await account.home.database.prisma.login.findUnique({ where: { accountId: account.id } });
    return row === null ? undefined : toLogin(account, row);
  }

  /**
   * Makes the account's login, or changes what is named of it. `decide` is told how the login stands, says what else changes,
   * and may change more of the account in the same transaction: nobody else changes it meanwhile. Answers the login as it is
   * then. Throws `email_taken`, `name_taken`; `busy` for an account that was joined to another, or deleted, at this moment, or
   * of which too many changes wait.
   */
  setLogin(account: AccountKey, person: Person, decide: Decide = () => ({})): Promise<Login> {
    // Before the row's lock, where each that waits would hold a connection; and facts are told in order.
    return this.turns.take(account.id, () => this.change(account, person, decide));
  }

  private async change(account: AccountKey, person: Person, decide: Decide): Promise<Login> {
    const { realm, database } = account.home;
    const accountId = account.id;
    const indexes = await this.indexes(realm, person);
    let before: Person = {};
    const login = await this.orTaken(account, person, () =>
      database.prisma.$transaction(async (tx) => {
        // As the commits do: a device that signs in at this moment comes before this, or after it.
        const living = await tx.$queryRaw<unknown[]>`
          SELECT 1 FROM accounts WHERE id = ${accountId}::uuid AND joined_into IS NULL FOR UPDATE`;
        if (living.length === 0) throw relayError('busy', { retryAfter: 1 });
        const row = await tx.login.findUnique({ where: { accountId } });
        const known = row === null ? undefined : toLogin(account, row);
        before = known?.person ?? {};
        const { passwordHash, proven = known?.proven ?? false, says } = await decide(known, tx);
        const content = seal(account, { ...before, ...person, ...says }, proven);
        const data = { ...indexes, passwordHash, content };
        return toLogin(
          account,
          await tx.login.upsert({ where: { accountId }, create: { accountId, realm, ...data }, update: data }),
        );
      }),
    );
    this.tell(login, before);
    return login;
  }

  private tell({ account, person }: Login, before: Person): void {
    const differs = (field: keyof Person) => person[field] !== before[field];
    const fact = SEEN_BY_OTHERS.some(differs) ? 'profile.changed' : differs('hidden') && 'visibility.changed';
    if (fact) this.events.emit(fact, account.id, person, account.home.realm);
  }

  emailIndex(realm: string, email: string): Promise<Buffer<ArrayBuffer>> {
    return this.realms.index(realm, 'email', normalizeEmail(email));
  }

  private nameIndex(realm: string, name: string): Promise<Buffer<ArrayBuffer>> {
    return this.realms.index(realm, 'name', normalizeName(name));
  }

  /** Of what is named of the person. */
  private async indexes(realm: string, { email, name }: Person) {
    return {
      ...(email === undefined ? {} : { emailIndex: await this.emailIndex(realm, email) }),
      ...(name === undefined ? {} : { nameIndex: await this.nameIndex(realm, name) }),
    };
  }

  private async orTaken<T>({ id, home }: AccountKey, { email }: Person, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      const owner = email === undefined ? undefined : await this.find(home.realm, { email });
      throw relayError(owner !== undefined && owner.account.id !== id ? 'email_taken' : 'name_taken');
    }
  }
}

function seal(account: AccountKey, person: Person, proven: boolean): Buffer<ArrayBuffer> {
  return Buffer.from(account.seal('login', account.id, JSON.stringify({ ...person, ...(proven ? { proven } : {}) })));
}

function toLogin(account: AccountKey, row: { content: Uint8Array; passwordHash: string | null }): Login {
  const sealed = account.open('login', account.id, Buffer.from(row.content));
  const { proven = false, ...person } = JSON.parse(sealed) as Person & { proven?: boolean };
  return { account, person, proven, ...(row.passwordHash === null ? {} : { passwordHash: row.passwordHash }) };
}

/** As emails are compared: in practice nobody tells capitals apart. */
export function normalizeEmail(email: string): string {
  return email.trim().normalize('NFKC').toLowerCase();
}

/** As names are compared, so that two that look the same are the same. */
export function normalizeName(name: string): string {
  return name.trim().normalize('NFKC').toLowerCase();
}
