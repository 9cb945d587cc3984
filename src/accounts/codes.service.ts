import { randomInt } from 'node:crypto';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { Databases } from '../database/databases.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { Hourly } from '../hourly.js';
import { Mailer } from '../mail/mailer.js';
import { codeLetter, type CodeDeed } from '../mail/templates.js';
import { AccountEvents, type AccountEventName } from '../sessions/account-events.js';
import { Accounts, normalizeEmail } from '../sessions/accounts.service.js';
import { Afterwards } from './afterwards.js';
import { checkedEmail } from './credentials.js';
import { Limits } from '../sessions/limits.js';
import { Realms } from '../sessions/realms.js';

/** `email:` is followed by the id of the account that the email is to be added to. */
export type CodePurpose = 'sign-in' | 'password' | `email:${string}`;

interface CodeKey {
  realm: string;
  emailIndex: Buffer<ArrayBuffer>;
  purpose: CodePurpose;
}

/** Wrong ones that a code outlives, from all addresses together. */
const TRIES = 20;
const CODE = /^\d{6}$/;
const HOUR_MS = 3_600_000;

/** Codes of six digits by mail: one at a time for an email and a purpose, each good once and for OTP_EXPIRATION_MINUTES. */
@Injectable()
export class Codes implements OnModuleInit {
  constructor(
    private readonly databases: Databases,
    private readonly realms: Realms,
    private readonly accounts: Accounts,
    private readonly events: AccountEvents,
    private readonly mailer: Mailer,
    private readonly limits: Limits,
    private readonly afterwards: Afterwards,
    private readonly hourly: Hourly,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  onModuleInit(): void {
    this.hourly.do('old codes could not be removed', () => this.purge());
  }

  /**
   * Answers the same, after the same work, for every email; who gets a mail is found out afterwards. Throws
   * `mail_unavailable`, `realm_unknown`, `bad_request`, and `rate_limited` for an address that asks and asks.
   */
  async send(realm: string, email: string, purpose: CodePurpose, address: string): Promise<void> {
    if (!this.mailer.available) throw relayError('mail_unavailable');
    const to = normalizeEmail(checkedEmail(email));
    const key = await this.key(realm, to, purpose);
    await this.limits.codeRequest(address);
    const { prisma } = this.databases.of(realm)!;
    const now = Date.now();
    const expiresAt = new Date(now + this.env.otpTtlMs);
    if (!(await this.maySend(key, `${realm} ${to}`, purpose))) {
      // The last code is in its owner's mailbox. It stays good for as long as no other can be had: a stranger who asks
      // and asks neither floods the mailbox nor locks its owner out.
      await prisma.code.updateMany({ where: key, data: { expiresAt } });
      return;
    }
    const code = String(randomInt(1_000_000)).padStart(6, '0');
    const codeHash = await this.hash(realm, to, purpose, code);
    const fresh = { codeHash, triesLeft: TRIES, createdAt: new Date(now), expiresAt };
    await prisma.code.upsert({
      where: { realm_emailIndex_purpose: key },
      create: { ...key, ...fresh },
      update: fresh,
    });
    this.afterwards.do(() => this.mail(realm, to, purpose, code, address), 'a code could not be sent');
  }

  /** The one that redeems a code has used it up. Throws `wrong_code`, `rate_limited`, `realm_unknown`. */
  async redeem(realm: string, email: string, purpose: CodePurpose, code: string, address: string): Promise<void> {
    const to = normalizeEmail(email);
    const look = async () => (CODE.test(code) ? this.take(realm, to, purpose, code, address) : undefined);
    if (await this.limits.guess(`${realm} ${to}`, address, look)) return;
    this.afterwards.do(async () => {
      await this.note(realm, to, 'code.refused', address);
    }, 'a refused code could not be noted');
    throw relayError('wrong_code');
  }

  private async maySend(key: CodeKey, to: string, purpose: CodePurpose): Promise<boolean> {
    if (await this.limits.mayMail(to, purpose, deedOf(purpose))) return true;
    const { prisma } = this.databases.of(key.realm)!;
    const isSpent = (await prisma.code.count({ where: { ...key, triesLeft: 0 } })) > 0;
    return isSpent && this.limits.mayMailForSpent(to, purpose);
  }

  private async take(realm: string, to: string, purpose: CodePurpose, code: string, address: string) {
    const key = await this.key(realm, to, purpose);
    const { prisma } = this.databases.of(realm)!;
    const sent = await prisma.code.findFirst({ where: key, select: { createdAt: true } });
    if (sent === null) return undefined;
    const name = `${key.emailIndex.toString('hex')} ${purpose} ${sent.createdAt.getTime()}`;
    return this.limits.guessCode(name, address, async () => {
      // The try is taken before the comparison: however many come at once, there are no more of them.
      const good = { ...key, triesLeft: { gt: 0 }, expiresAt: { gt: new Date() } };
      const tried = await prisma.code.updateMany({ where: good, data: { triesLeft: { decrement: 1 } } });
      if (tried.count === 0) return undefined;
      const codeHash = await this.hash(realm, to, purpose, code);
      const taken = await prisma.code.deleteMany({ where: { ...key, codeHash } });
      return taken.count === 1 ? true : undefined;
    });
  }

  private async mail(realm: string, to: string, purpose: CodePurpose, code: string, address: string): Promise<void> {
    const { name, registration } = this.realms.settings(realm);
    const known = await this.note(realm, to, 'code.sent', address);
    // A new email can be one that signs up, or one that is added to an account.
    const wanted = known || purpose.startsWith('email:') || (purpose === 'sign-in' && registration === 'open');
    if (wanted) this.mailer.send(name, to, codeLetter(name, deedOf(purpose), code, this.env.otpTtlMs / 60_000));
  }

  /** Resolves with whether the email is somebody's. */
  private async note(realm: string, to: string, event: AccountEventName, address: string): Promise<boolean> {
    const login = await this.accounts.find(realm, { email: to });
    if (login !== undefined) await this.events.note(login.account, event, { address });
    return login !== undefined;
  }

  private async key(realm: string, to: string, purpose: CodePurpose): Promise<CodeKey> {
    this.realms.settings(realm);
    return { realm, emailIndex: await this.accounts.emailIndex(realm, to), purpose };
  }

  private hash(realm: string, to: string, purpose: CodePurpose, code: string): Promise<Buffer<ArrayBuffer>> {
    return this.realms.index(realm, 'code', `${purpose} ${to} ${code}`);
  }

  /** An hour late: until then one whose time was over may have been prolonged. */
  private async purge(): Promise<void> {
    const where = { expiresAt: { lt: new Date(Date.now() - HOUR_MS) } };
    await Promise.all(this.databases.all().map(({ prisma }) => prisma.code.deleteMany({ where })));
  }
}

function deedOf(purpose: CodePurpose): CodeDeed {
  return purpose === 'sign-in' || purpose === 'password' ? purpose : 'email';
}
