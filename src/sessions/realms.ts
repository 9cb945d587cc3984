import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { AccountKeys } from '../changes/account-keys.js';
import { Databases } from '../database/databases.js';
import { ENV, type BootEnv, type RealmSettings } from '../env.js';
import { relayError } from '../errors.js';
import { hashToken } from './random-token.js';

type Purpose = 'email' | 'name' | 'code';

/** The realms of this server, and the keyed hashes by which each finds its people without storing what they are called. */
@Injectable()
export class Realms {
  private readonly indexKeys = new Map<string, Promise<Buffer>>();

  constructor(
    private readonly databases: Databases,
    private readonly accounts: AccountKeys,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

  /** Throws `realm_unknown`. */
  settings(realm: string): RealmSettings {
    const settings = this.env.realms.find(({ slug }) => slug === realm);
    if (settings === undefined) throw relayError('realm_unknown');
    return settings;
  }

  /** Whether the realm takes somebody new. Throws `registration_closed` or `invite_required`. */
  admitNew(realm: string, inviteToken?: string | null): void {
    const { registration, inviteToken: expected = '' } = this.settings(realm);
    if (registration === 'closed') throw relayError('registration_closed');
    if (registration === 'open') return;
    if (inviteToken == null || !timingSafeEqual(hashToken(inviteToken), hashToken(expected)))
      throw relayError('invite_required');
  }

  /** 32 bytes; the same value has another one in each realm, and for each purpose. */
  async index(realm: string, purpose: Purpose, value: string): Promise<Buffer<ArrayBuffer>> {
    const derived = hkdfSync('sha256', await this.indexKey(realm), '', `pairline ${purpose}`, 32);
    return Buffer.from(createHmac('sha256', Buffer.from(derived)).update(value).digest());
  }

  private indexKey(realm: string): Promise<Buffer> {
    let key = this.indexKeys.get(realm);
    if (key === undefined) {
      key = this.loadIndexKey(realm);
      this.indexKeys.set(realm, key);
      key.catch(() => this.indexKeys.delete(realm));
    }
    return key;
  }

  /** Made the first time somebody signs in to the realm. */
  private async loadIndexKey(realm: string): Promise<Buffer> {
    const { prisma } = this.databases.of(realm)!;
    const made = Buffer.from(this.accounts.wrap(realm, 1, randomBytes(32)));
    // Two that make it at once end up with the first one's.
    await prisma.realm.createMany({ data: { slug: realm, indexKey: made }, skipDuplicates: true });
    const { indexKey } = await prisma.realm.findUniqueOrThrow({ where: { slug: realm } });
    return this.accounts.unwrap(realm, Buffer.from(indexKey));
  }
}
