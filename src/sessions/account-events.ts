import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { Databases } from '../database/databases.js';
import { ENV, type BootEnv } from '../env.js';
import { Hourly } from '../hourly.js';

/** What an account's owner can read about who came and went. In the past tense: facts. */
export const ACCOUNT_EVENTS = [
  'account.created',
  'accounts.joined',
  'session.began',
  'session.refused',
  'session.revoked',
  'refresh.reused',
  'code.sent',
  'code.refused',
  'password.changed',
  'email.added',
  'email.proven',
  'name.added',
  'key.changed',
  'key.created',
  'key.revoked',
] as const;
export type AccountEventName = (typeof ACCOUNT_EVENTS)[number];

/** Sealed with the event. */
export interface AccountEventDetail {
  /** The address it came from. */
  address?: string;
  /** What the device is called, or the key. */
  name?: string;
  /** The device's or the key's id. */
  id?: string;
}

export interface AccountEventView extends AccountEventDetail {
  event: AccountEventName;
  /** ms since 1970 */
  at: number;
  /** What to pass as `before` for those that came earlier. */
  number: number;
}

/** The audit list of each account. */
@Injectable()
export class AccountEvents implements OnModuleInit {
  constructor(
    private readonly databases: Databases,
    private readonly hourly: Hourly,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  onModuleInit(): void {
    this.hourly.do('old account events could not be removed', () => this.purge());
  }

  /** Resolves when it is stored. */
  async note(account: AccountKey, event: AccountEventName, detail: AccountEventDetail = {}): Promise<void> {
    const data = { accountId: account.id, ...this.row(account, event, detail) };
    await account.home.database.prisma.accountEvent.create({ data });
  }

  /** As it is stored, for who writes it together with what happened. */
  row(account: AccountKey, event: AccountEventName, detail: AccountEventDetail) {
    // The event's number is not known yet: what the text is bound to is the account and what happened.
    return { event, content: Buffer.from(account.seal('event', event, JSON.stringify(detail))) };
  }

  /** The newest first. */
  async list(account: AccountKey, limit: number, before?: number): Promise<AccountEventView[]> {
    const rows = await account.home.database.prisma.accountEvent.findMany({
      where: { accountId: account.id, ...(before === undefined ? {} : { id: { lt: before } }) },
      orderBy: { id: 'desc' },
      take: limit,
    });
    return rows.map(({ id, at, event, content }) => ({
      number: Number(id),
      at: at.getTime(),
      event: event as AccountEventName,
      ...(JSON.parse(account.open('event', event, Buffer.from(content))) as AccountEventDetail),
    }));
  }

  private async purge(): Promise<void> {
    const where = { at: { lt: new Date(Date.now() - this.env.eventTtlMs) } };
    await Promise.all(this.databases.all().map(({ prisma }) => prisma.accountEvent.deleteMany({ where })));
  }
}
