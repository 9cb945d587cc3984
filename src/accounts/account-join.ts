import { Inject, Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Adoption, lock } from '../changes/adoption.js';
import { Changes } from '../changes/changes.js';
import type { Chunk } from '../changes/chunk.js';
import { Feed } from '../changes/feed.js';
import type { Database } from '../database/database.js';
import { Databases } from '../database/databases.js';
import { relayError } from '../errors.js';
import { Hourly } from '../hourly.js';
import { LOG, type Log } from '../log.js';
import { AccountEvents } from '../sessions/account-events.js';
import { OwnerCheck } from './owner-check.js';
import { moveBelongings, moveEvents, PLACES } from './account-belongings.js';
import { Accounts } from '../sessions/accounts.service.js';
import type { Session } from '../sessions/session.js';
import { Tokens } from '../sessions/tokens.js';

/** What decides which of two accounts stays. */
interface Standing {
  id: string;
  seq: string;
  /** Its phone, or what its devices seal, is bound to its id: it cannot move. */
  bound: boolean;
  login: boolean;
  joined: boolean;
}

interface Joined {
  from: AccountKey;
  into: AccountKey;
  /** Accounts that are another one from now on. */
  moved: string[];
  chunks: Chunk[];
}

/**
 * Makes two accounts of one person one: that of a phone and that of a login. First, in one transaction, the one that goes
 * becomes a sign that points to the other, and its devices, login, tokens and keys move: whatever let somebody in goes on
 * doing so. The one that stays gets a number above all of both, and forgets what came before: a cursor of either starts
 * over from a snapshot, so none can skip what comes. Then the rows move, piece by piece (`Adoption`). A server that dies on
 * the way goes on when it is back.
 */
@Injectable()
export class AccountJoin implements BeforeApplicationShutdown {
  constructor(
    private readonly databases: Databases,
    private readonly keys: AccountKeys,
    private readonly changes: Changes,
    private readonly adoption: Adoption,
    private readonly feed: Feed,
    private readonly accounts: Accounts,
    private readonly events: AccountEvents,
    private readonly tokens: Tokens,
    private readonly owner: OwnerCheck,
    hourly: Hourly,
    @Inject(LOG) private readonly log: Log,
  ) {
    hourly.do('joined accounts could not be looked for', () => this.goOn(), { atStart: true });
  }

  beforeApplicationShutdown(): void {
    this.adoption.stop();
  }

  /**
   * `token`, of a session or a phone, proves that the other account is theirs too; of the one that has a password, it is asked
   * for as well: joined they stay, whatever becomes of a session that was found open. The account that has a phone, or contents
   * that devices sealed for it, stays; otherwise that of who asks. Answers its id once all is there; two that are one already
   * stay so. Throws `authentication_failed` for a token that is none, `wrong_credentials`, `rate_limited`, and
   * `accounts_unjoinable`.
   */
  async join(
    { account }: Session,
    token: string,
    password: string | null | undefined,
    address: string,
  ): Promise<{ userId: string; joined: boolean }> {
    const { account: other } = await this.tokens.authenticate(token, address);
    if (other.id === account.id) {
      await this.goOn([account.home.database]);
      return { userId: account.id, joined: false };
    }
    if (other.home.realm !== account.home.realm) throw unjoinable('they are of different realms');
    await this.confirm([account, other], password, address);
    const { database } = account.home;
    const { from, into, moved, chunks } = await database.transaction((client) => this.begin(client, account, other));
    for (const id of moved) this.keys.forget(id);
    this.accounts.events.emit('account.joined', from.id);
    for (const chunk of chunks) this.feed.publish(chunk);
    await this.events.note(into, 'accounts.joined', { address });
    await this.tryFinish(from, into);
    return { userId: into.id, joined: true };
  }

  private async confirm(accounts: AccountKey[], password: string | null | undefined, address: string): Promise<void> {
    const logins = await Promise.all(accounts.map((account) => this.accounts.loginOf(account)));
    const [login, another] = logins.filter((each) => each !== undefined);
    // Of two with a login each there is no joining, whoever asks.
    if (login !== undefined && another === undefined) await this.owner.confirm(login.account, password, address);
  }

  private async begin(client: ClientBase, mine: AccountKey, theirs: AccountKey): Promise<Joined> {
    if (!(await lock(client, mine, theirs))) throw relayError('session_expired');
    const [my, their] = await standings(client, mine, theirs);
    // One was joined while this waited: its next look finds the account that it is now.
    if (my.joined || their.joined) throw relayError('busy', { retryAfter: 1 });
    if (my.bound && their.bound) throw unjoinable('each has a phone, or end-to-end encrypted messages, of its own');
    if (my.login && their.login) throw unjoinable('each has an email or a name to sign in by');
    const [from, into] = their.bound ? [mine, theirs] : [theirs, mine];

    const { rows } = await client.query<{ id: string }>(
      'UPDATE accounts SET joined_into = $2 WHERE id = $1 OR joined_into = $1 RETURNING id',
      [from.id, into.id],
    );
    const start = Math.max(Number(my.seq), Number(their.seq)) + 1;
    await client.query('UPDATE accounts SET seq = $2, horizon = $2 WHERE id = $1', [into.id, start]);
    await settleSameDevices(client, from, into);
    const chunks: Chunk[] = [];
    for (let chunk; (chunk = await this.adoption.move(client, 'device', from, into)) !== undefined;) chunks.push(chunk);
    await moveBelongings(client, from, into);
    return { from, into, moved: rows.map(({ id }) => id), chunks };
  }

  /** The accounts are joined whatever happens here: what fails is done later. */
  private async tryFinish(from: AccountKey, into: AccountKey): Promise<void> {
    try {
      await this.adoption.run(from, into);
      // What was still being written to the old account while it was joined comes along, too.
      await into.home.database.transaction(async (client) => {
        if (await lock(client, from, into)) await moveBelongings(client, from, into);
      });
      await moveEvents(from, into);
      // Clients that keep nothing are sent what is there when they connect.
      this.accounts.events.emit('account.joined', into.id);
    } catch (error) {
      this.log.warn({ err: error }, 'the rows of a joined account could not all be moved; going on later');
    }
  }

  /** Moves what joined accounts have left; never rejects. */
  private async goOn(databases = this.databases.all()): Promise<void> {
    for (const database of databases)
      try {
        for (const { from, into } of await this.unfinished(database)) await this.tryFinish(from, into);
      } catch (error) {
        this.log.warn({ err: error }, 'joined accounts could not be looked for; trying again later');
      }
  }

  private async unfinished(database: Database): Promise<{ from: AccountKey; into: AccountKey }[]> {
    const tables = [...PLACES, ...[...this.changes.registered()].map(({ table }) => table)];
    const { rows } = await database.pool.query<{ id: string; realm: string; data_key: Buffer; joined_into: string }>(
      `SELECT a.id, a.realm, a.data_key, a.joined_into FROM accounts a WHERE a.joined_into IS NOT NULL
         AND (${tables.map((table) => `EXISTS (SELECT FROM ${table} WHERE account_id = a.id)`).join(' OR ')})`,
    );
    const found = rows.map(async ({ id, realm, data_key, joined_into }) => {
      const into = await this.keys.find(joined_into, realm);
      return into && { from: this.keys.open(id, into.home, data_key), into };
    });
    return (await Promise.all(found)).filter((each) => each !== undefined);
  }
}

function unjoinable(detail: string): Error {
  return relayError('accounts_unjoinable', { detail });
}

/** In the order they were asked for. */
async function standings(client: ClientBase, ...accounts: AccountKey[]): Promise<[Standing, Standing]> {
  // Native devices seal with the account's id as associated data (docs/encryption.md); their keys go round in `e2e/…`.
  const { rows } = await client.query<Standing>(
    `SELECT a.id, a.seq, a.joined_into IS NOT NULL AS joined,
            EXISTS (SELECT FROM logins l WHERE l.account_id = a.id) AS login,
            EXISTS (SELECT FROM devices d WHERE d.account_id = a.id AND d.kind = 'phone' AND NOT d.deleted)
              OR EXISTS (SELECT FROM states s WHERE s.account_id = a.id AND NOT s.deleted AND s.id LIKE 'e2e/%') AS bound
     FROM accounts a WHERE a.id = ANY ($1)`,
    [accounts.map(({ id }) => id)],
  );
  const of = ({ id }: AccountKey) => rows.find((row) => row.id === id)!;
  return [of(accounts[0]!), of(accounts[1]!)];
}

/**
 * Devices that both accounts know by one id become one. Nobody could tell from then on whose tokens were revoked, so those of
 * both end; and a phone stays a phone.
 */
async function settleSameDevices(client: ClientBase, from: AccountKey, into: AccountKey): Promise<void> {
  await client.query(
    `DELETE FROM devices d USING devices p
     WHERE d.account_id = $1 AND p.account_id = $2 AND p.id = d.id AND p.kind = 'phone' AND NOT p.deleted`,
    [from.id, into.id],
  );
  await client.query(
    `UPDATE devices d SET generation = same.generation
     FROM (SELECT id, max(generation) + 1 AS generation FROM devices WHERE account_id = ANY ($1)
           GROUP BY id HAVING count(*) = 2) same
     WHERE d.account_id = ANY ($1) AND d.id = same.id`,
    [[from.id, into.id]],
  );
}
