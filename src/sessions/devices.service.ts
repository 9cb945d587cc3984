import { timingSafeEqual } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { Inject, Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { AccountKeys } from '../changes/account-keys.js';
import { Changes } from '../changes/changes.js';
import { Database } from '../database/database.js';
import { isUniqueViolation } from '../database/faults.js';
import { ENV, type BootEnv } from '../env.js';
import { relayError } from '../errors.js';
import { labelOf, openDevice, seal, type DeviceLabel, type DeviceMutation } from './device.kind.js';
import { Limits } from './limits.js';
import type { Session } from './session.js';
import { hashToken, newToken, sameToken } from './tokens.js';

/** What a phone says of itself (wire.md, section A: `mobile:register`). */
export interface PhoneRegistration {
  deviceId: string;
  deviceName: string;
  deviceModel?: string;
  deviceToken?: string;
  inviteToken?: string;
}

/** A device as its account's owner sees it. Times are ms since 1970. */
export interface DeviceView {
  id: string;
  kind: 'phone' | 'browser';
  name: string;
  model?: string;
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
  readonly events = new EventEmitter<DeviceEvents>();

  constructor(
    private readonly database: Database,
    private readonly accounts: AccountKeys,
    private readonly changes: Changes,
    private readonly limits: Limits,
    @Inject(ENV) private readonly env: BootEnv,
  ) {}

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
    this.checkInvitation(phone.inviteToken);
    await this.limits.registration(address);
    const { account, wrapped } = this.accounts.create();
    const { token, hash } = newToken();
    const id = phone.deviceId;
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
              content: Buffer.from(seal(account, id, contentOf(phone))),
            },
          },
        },
      });
    } catch (error) {
      // Another connection registered the same deviceId in the meantime: that one has the token.
      if (isUniqueViolation(error)) throw relayError('device_token_required');
      throw error;
    }
    return { session: { account, kind: 'phone' as const, deviceId: id, phoneId: id }, deviceToken: token };
  }

  private checkInvitation(inviteToken: string | undefined): void {
    if (this.env.registration === 'closed') throw relayError('registration_closed');
    if (this.env.registration === 'open') return;
    const expected = hashToken(this.env.inviteToken ?? '');
    if (inviteToken === undefined || !timingSafeEqual(hashToken(inviteToken), expected))
      throw relayError('invite_required');
  }

  /** Lets a browser in. The same id again is the same browser, unless it was removed. */
  async admitBrowser(
    account: AccountKey,
    id: string,
    phoneId: string,
    expiresAt: Date,
    name = 'Browser',
  ): Promise<void> {
    const row = { content: { name }, pairedWith: phoneId, expiresAt };
    await this.changes.submit([{ account, kind: 'device', id, op: 'put', row, at: Date.now(), bytes: 256 }]);
  }

  async list({ account, deviceId }: Session): Promise<DeviceView[]> {
    const rows = await this.database.prisma.device.findMany({
      where: { accountId: account.id, deleted: false },
      orderBy: { createdAt: 'asc' },
    });
    return rows.map((row) => ({
      id: row.id,
      kind: row.kind,
      ...labelOf(openDevice(account, row.id, row.content!)),
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
  }
}

function contentOf({ deviceName, deviceModel }: PhoneRegistration): DeviceLabel {
  return { name: deviceName, ...(deviceModel === undefined ? {} : { model: deviceModel }) };
}
