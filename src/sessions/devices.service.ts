import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Changes } from '../changes/changes.js';
import { Cluster } from '../cluster/cluster.js';
import { Facts } from '../cluster/facts.js';
import { Database } from '../database/database.js';
import { isUniqueViolation } from '../database/faults.js';
import { DEFAULT_REALM, ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { AccountEvents } from './account-events.js';
import { labelOf, openDevice, seal, type DeviceLabel, type DeviceMutation, type DeviceState } from './device.kind.js';
import { Limits } from './limits.js';
import { Realms } from './realms.js';
import type { Session } from './session.js';
import { newToken, sameToken } from './random-token.js';

/** What a phone says of itself (wire.md, section A: `mobile:register`). */
export interface PhoneRegistration {
  deviceId: string;
  deviceName: string;
  deviceModel?: string;
  deviceToken?: string;
  inviteToken?: string;
}

/** What a device says of itself that signs in; `id` is what it was told the last time. */
export interface SignInDevice extends DeviceLabel {
  id?: string;
}

/** A device as its account's owner sees it; wire.md, section B, names some of it its own way. Times are ms since 1970. */
export interface DeviceView {
  id: string;
  /** The account's. */
  user_id: string;
  kind: 'phone' | 'browser';
  name: string;
  model?: string;
  /** What it says of its kind, else its `kind`. */
  type: string;
  metadata: Record<string, unknown>;
  /** ISO 8601 */
  last_seen: string;
  createdAt: number;
  lastSeen: number;
  /** Whether it is the one that asks. */
  current: boolean;
}

export interface DeviceEvents {
  'device.revoked': [account: string, deviceId: string];
}

/** The devices of an account: phones that register, browsers that a phone lets in. */
@Injectable()
export class Devices {
  readonly events: Facts<DeviceEvents>;

  constructor(
    private readonly database: Database,
    private readonly accounts: AccountKeys,
    private readonly changes: Changes,
    private readonly realms: Realms,
    private readonly limits: Limits,
    private readonly audit: AccountEvents,
    cluster: Cluster,
    @Inject(ENV) private readonly env: BootEnv,
  ) {
    this.events = new Facts(cluster, 'devices');
  }

  /**
   * The first registration of a deviceId makes an account and answers with the phone's token; later ones need it
   * (unless ALLOW_TOKENLESS_PHONES). Nobody becomes a phone that they are not.
   */
  async registerPhone(phone: PhoneRegistration, address: string): Promise<{ session: Session; deviceToken?: string }> {
    const known = await this.findPhone(phone.deviceId);
    if (known === null) return this.createPhone(phone, address);

    if (phone.deviceToken === undefined && !this.env.allowTokenlessPhones) throw relayError('device_token_required');
    if (phone.deviceToken !== undefined && !sameToken(phone.deviceToken, known.tokenHash)) {
      await this.limits.wrongToken(address);
      throw relayError('authentication_failed');
    }
    const account = await this.accounts.find(known.accountId);
    if (account === undefined) throw relayError('device_not_registered');
    const row = contentOf(phone);
    const introduction: DeviceMutation = { account, kind: 'device', id: known.id, op: 'introduce', row, at: Date.now(), bytes: 256 }; // prettier-ignore
    const [outcome] = await this.changes.submit([introduction]);
    if (outcome!.result === 'missing') throw relayError('device_not_registered'); // removed in the meantime
    return { session: { account, kind: 'phone', deviceId: known.id, phoneId: phone.deviceId } };
  }

  private findPhone(phoneId: string) {
    return this.database.prisma.device.findUnique({
      where: { phoneId },
      select: { accountId: true, id: true, tokenHash: true },
    });
  }

  private async createPhone(phone: PhoneRegistration, address: string) {
    this.realms.admitNew(DEFAULT_REALM, phone.inviteToken);
    await this.limits.registration(address);
    const { account, wrapped } = this.accounts.create();
    const { token, hash } = newToken();
    const id = phone.deviceId;
    const content = contentOf(phone);
    try {
      // Nobody else knows the account yet, so its first number can be given here.
      await this.database.prisma.account.create({
        data: {
          id: account.id,
          seq: 1,
          dataKey: Buffer.from(wrapped),
          devices: {
            create: {
              id,
              seq: 1,
              at: Date.now(),
              kind: 'phone',
              phoneId: id,
              tokenHash: hash,
              content: Buffer.from(seal(account, id, content)),
            },
          },
          events: { create: this.audit.row(account, 'account.created', { address, id, name: content.name }) },
        },
      });
    } catch (error) {
      // Another connection registered the same deviceId in the meantime: that one has the token.
      if (isUniqueViolation(error)) throw relayError('device_token_required');
      throw error;
    }
    return { session: { account, kind: 'phone' as const, deviceId: id, phoneId: id }, deviceToken: token };
  }

  /** Lets a browser in, as somebody at `address` asked for. The same id again is the same browser, unless it was removed. */
  async admitBrowser(
    account: AccountKey,
    id: string,
    phoneId: string,
    expiresAt: Date,
    address: string,
  ): Promise<void> {
    const name = 'Browser';
    const row = { content: { name }, pairedWith: phoneId, expiresAt };
    const mutation: DeviceMutation = { account, kind: 'device', id, op: 'put', row, at: Date.now(), bytes: 256 };
    const [outcome] = await this.changes.submit([mutation]);
    if (outcome!.result === 'applied') await this.audit.note(account, 'session.began', { address, id, name });
  }

  /**
   * A device whose person signed in; the id that it presents is its own from an earlier time. Answers with a session, and
   * the generation that its tokens have to be of.
   */
  async signIn(
    account: AccountKey,
    { id = randomUUID(), ...content }: SignInDevice,
    expiresAt: Date,
  ): Promise<{ session: Session; generation: number }> {
    const row = { content, expiresAt };
    const bytes = 256 + 2 * JSON.stringify(content).length;
    const mutation: DeviceMutation = { account, kind: 'device', id, op: 'signIn', row, at: Date.now(), bytes };
    const [outcome] = await this.changes.submit<DeviceState>([mutation]);
    if (outcome!.result === 'stale') return this.signIn(account, content, expiresAt);
    if (!('state' in outcome!)) throw relayError('session_expired');
    const { generation, phoneId } = outcome.state!;
    const session: Session = { account, kind: 'browser', deviceId: id, phoneId, expiresAt: expiresAt.getTime() };
    return { session, generation };
  }

  async list({ account, deviceId }: Session): Promise<DeviceView[]> {
    const rows = await account.home.database.prisma.device.findMany({
      where: { accountId: account.id, deleted: false },
      orderBy: { createdAt: 'asc' },
    });
    return rows.map((row) => ({
      id: row.id,
      user_id: account.id,
      kind: row.kind,
      type: row.kind,
      metadata: {},
      ...labelOf(openDevice(account, row.id, row.content!)),
      last_seen: row.lastSeenAt.toISOString(),
      createdAt: row.createdAt.getTime(),
      lastSeen: row.lastSeenAt.getTime(),
      current: row.id === deviceId,
    }));
  }

  async rename({ account }: Session, id: string, name: string): Promise<void> {
    const mutation: DeviceMutation = { account, kind: 'device', id, op: 'rename', row: { name }, at: Date.now(), bytes: 256 }; // prettier-ignore
    const [outcome] = await this.changes.submit([mutation]);
    if (outcome!.result === 'missing') throw relayError('not_found');
  }

  /** Removes a device: its tokens stop working and its sockets close at once. */
  async revoke({ account }: Session, id: string): Promise<void> {
    const name = await this.nameOf(account, id);
    const mutation: DeviceMutation = {
      account,
      kind: 'device',
      id,
      op: 'revoke',
      row: null,
      at: Date.now(),
      bytes: 64,
    };
    const [outcome] = await this.changes.submit([mutation]);
    if (outcome!.result !== 'applied') throw relayError('not_found');
    this.events.emit('device.revoked', account.id, id);
    await this.audit.note(account, 'session.revoked', { id, name });
  }

  private async nameOf(account: AccountKey, id: string): Promise<string | undefined> {
    const where = { accountId: account.id, id, deleted: false };
    const row = await account.home.database.prisma.device.findFirst({ where, select: { content: true } });
    return row?.content ? openDevice(account, id, row.content).name : undefined;
  }
}

function contentOf({ deviceName, deviceModel }: PhoneRegistration): DeviceLabel {
  return { name: deviceName, ...(deviceModel === undefined ? {} : { model: deviceModel }) };
}
