import { Injectable } from '@nestjs/common';
import { DEFAULT_REALM } from '../env.js';
import { relayError } from '../errors.js';
import { Accounts, normalizeName } from '../sessions/accounts.service.js';
import { Limits } from '../sessions/limits.js';
import type { Session } from '../sessions/session.js';
import { Directory, isListed } from './directory.js';
import { publicPerson, type PublicPerson } from './public-person.js';

const MOST_FOUND = 50;
const LONGEST_TERM = 64;

/** How a part of a name fits what is looked for; both as names are compared. */
const FITS = {
  startsWith: (name: string, term: string) => name.startsWith(term),
  endsWith: (name: string, term: string) => name.endsWith(term),
  contains: (name: string, term: string) => name.includes(term),
};
export const SEARCH_METHODS = ['exact', 'startsWith', 'endsWith', 'contains'] as const;
export type SearchMethod = (typeof SEARCH_METHODS)[number];

/** People who look for people, by name; in the realm `default`, as conversations are. */
@Injectable()
export class People {
  constructor(
    private readonly accounts: Accounts,
    private readonly directory: Directory,
    private readonly limits: Limits,
  ) {}

  /**
   * Those who have a name and a public key and do not hide, besides who asks; at most 50: first the name that is the term,
   * then shorter ones, then by the alphabet. Throws `bad_request` for a term that is not 1 to 64 characters, `rate_limited`.
   */
  async search({ account }: Session, term: string, method: SearchMethod, address: string): Promise<PublicPerson[]> {
    const sought = normalizeName(term);
    if (sought === '' || [...term.trim()].length > LONGEST_TERM)
      throw relayError('bad_request', { detail: `a name of 1 to ${LONGEST_TERM} characters is needed` });
    await this.limits.search(account.id, address);
    // Nobody of another realm is there for them.
    if (account.home.realm !== DEFAULT_REALM) return [];
    const found =
      method === 'exact' ? await this.named(sought) : await this.like((name: string) => FITS[method](name, sought));
    return found.filter(({ userId }) => userId !== account.id).slice(0, MOST_FOUND);
  }

  /** By the keyed hash of the name. */
  private async named(name: string): Promise<PublicPerson[]> {
    const login = await this.accounts.find(DEFAULT_REALM, { name });
    return login !== undefined && isListed(login.person) ? [publicPerson(login)!] : [];
  }

  private async like(fits: (name: string) => boolean): Promise<PublicPerson[]> {
    // One more: who asks may be among them.
    const ids = await this.directory.find(fits, byLength, MOST_FOUND + 1);
    const logins = await this.accounts.list(DEFAULT_REALM, { accountId: { in: ids } }, ids.length);
    // As they are now: whoever hid or was renamed at this moment is no longer among them.
    return logins
      .filter(({ person }) => isListed(person) && fits(normalizeName(person.name!)))
      .map((login) => publicPerson(login)!)
      .sort((a, b) => byLength(normalizeName(a.name), normalizeName(b.name)));
  }
}

/** What is shorter is closer to what was looked for; of one length, by the alphabet. */
function byLength(one: string, other: string): number {
  return one.length - other.length || (one < other ? -1 : one > other ? 1 : 0);
}
