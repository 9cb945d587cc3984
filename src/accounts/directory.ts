import { Injectable, type OnModuleInit } from '@nestjs/common';
import { AccountKeys } from '../changes/account-keys.js';
import { Cluster } from '../cluster/cluster.js';
import { DEFAULT_REALM } from '../env.js';
import { Accounts, normalizeName, type Person } from '../sessions/accounts.service.js';

/** Read at once, in some 10 ms: others are served in between. */
const PAGE = 100;
/** Bounds of what is kept in memory. Whoever is past them is found by the whole name alone. */
const MOST_PEOPLE = 500_000;
const LONGEST_NAME = 128;

/** Whether a search may find them: somebody to write to, who does not hide. */
export function isListed({ name, publicKey, hidden }: Person): boolean {
  return name !== undefined && publicKey !== undefined && !hidden;
}

/**
 * The names of the people of `default` whom a search may find. The database has them sealed, so a part of a name can be
 * looked for here alone: in memory, read when somebody searches for the first time, and kept in step from then on. 100,000
 * people take 11 MB, and some 10 s to read.
 */
@Injectable()
export class Directory implements OnModuleInit {
  /** By account, as names are compared. */
  private readonly names = new Map<string, string>();
  /** While the names are read: those who changed meanwhile. What was heard of them is newer than what is read. */
  private heardOf: Set<string> | undefined;
  /** Accounts that were joined: whose names they have now is looked up before the next search. */
  private readonly joined = new Set<string>();
  private reading: Promise<void> | undefined;
  /** Once the reading that is under way is over: gaps come in crowds. */
  private willReadAnew = false;

  constructor(
    private readonly accounts: Accounts,
    private readonly keys: AccountKeys,
    private readonly cluster: Cluster,
  ) {}

  onModuleInit(): void {
    const { events } = this.accounts;
    const hear = (id: string, person: Person, realm: string) => {
      if (realm === DEFAULT_REALM) this.hear(id, person);
    };
    events.on('person.registered', hear);
    events.on('profile.changed', hear);
    events.on('visibility.changed', hear);
    events.on('account.deleted', (id) => this.hear(id));
    events.on('account.joined', (id) => {
      this.hear(id);
      if (this.reading !== undefined) this.joined.add(id);
    });
    this.cluster.onGap(() => {
      const before = this.reading;
      if (before === undefined || this.willReadAnew) return;
      this.willReadAnew = true;
      const anew = () => {
        this.willReadAnew = false;
        this.names.clear();
        return this.read();
      };
      this.reading = before.then(anew, anew);
      this.reading.catch(() => undefined); // whoever searches hears of it
    });
  }

  /**
   * The accounts whose names fit, the best first, `most` of them; `fits` and `order` are given names as they are compared.
   * Somebody who changed at this moment may be among them still.
   */
  async find(
    fits: (name: string) => boolean,
    order: (one: string, other: string) => number,
    most: number,
  ): Promise<string[]> {
    this.reading ??= this.read();
    await this.reading;
    await this.catchUp();
    const best: { id: string; name: string }[] = [];
    // Three times as fast as iterating: that would make a pair of each.
    this.names.forEach((name, id) => {
      if (!fits(name) || (best.length === most && order(name, best.at(-1)!.name) > 0)) return;
      const place = best.findIndex((other) => order(name, other.name) < 0);
      best.splice(place === -1 ? best.length : place, 0, { id, name });
      if (best.length > most) best.pop();
    });
    return best.map(({ id }) => id);
  }

  private async read(): Promise<void> {
    const heardOf = (this.heardOf = new Set());
    try {
      for (let after: string | undefined, more = true; more;) {
        const fits = { nameIndex: { not: null }, ...(after === undefined ? {} : { accountId: { gt: after } }) };
        const people = await this.accounts.list(DEFAULT_REALM, fits, PAGE);
        for (const { account, person } of people) if (!heardOf.has(account.id)) this.put(account.id, person);
        after = people.at(-1)?.account.id;
        more = people.length === PAGE;
      }
    } catch (error) {
      // Whoever searches next begins anew.
      this.names.clear();
      this.reading = undefined;
      throw error;
    } finally {
      this.heardOf = undefined;
    }
  }

  /** Undefined for a person who is gone. */
  private hear(id: string, person?: Person): void {
    // Nothing was read yet, and what will be is as new.
    if (this.reading === undefined) return;
    this.heardOf?.add(id);
    this.put(id, person);
  }

  private put(id: string, person: Person = {}): void {
    const name = isListed(person) ? normalizeName(person.name!) : '';
    if (name === '' || name.length > LONGEST_NAME) this.names.delete(id);
    else if (this.names.size < MOST_PEOPLE || this.names.has(id)) this.names.set(id, name);
  }

  private async catchUp(): Promise<void> {
    for (const id of this.joined) {
      const account = await this.keys.find(id);
      const login = account && (await this.accounts.loginOf(account));
      if (login !== undefined) this.hear(login.account.id, login.person);
      this.joined.delete(id);
    }
  }
}
