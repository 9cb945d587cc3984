import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';
import { Changes } from '../changes/changes.js';
import { relayError } from '../errors.js';
import { AccountEvents } from './account-events.js';
import { labelOf, openDevice, type DeviceLabel, type DeviceMutation } from './device.kind.js';
import { Devices, type SignInDevice } from './devices.service.js';
import { Limits } from './limits.js';
import type { Session } from './session.js';

export interface Introduced {
  session: Session;
  /** What the others of its account know it by. */
  label: DeviceLabel;
}

/** Browsers that say who they are as they connect (wire.md, section B: `deviceInfo`). */
@Injectable()
export class Introductions {
  constructor(
    private readonly changes: Changes,
    private readonly devices: Devices,
    private readonly limits: Limits,
    private readonly events: AccountEvents,
  ) {}

  /**
   * The device that a browser's session is of, told of itself; what it does not say stays as it was.
   *
   * Clients may sign in once and share the token among several devices. So one that presents another id than the token's
   * device is that other device of the account, and a new one if there is none: with the token's rights and its end, and
   * gone with the token's device too. The id of a phone is nobody else's: whoever presents it stays the token's device.
   * One that was removed does not come back by the token of another, but has to sign in.
   *
   * Throws `device_revoked`; for a new device `rate_limited`, by `address`.
   */
  async meet(session: Session, { id, ...told }: Partial<SignInDevice>, address: string): Promise<Introduced> {
    const { account, deviceId, expiresAt } = session;
    const isOwn = id === undefined || id === deviceId;
    const row = await find(account, isOwn ? deviceId : id);
    if (!isOwn && row?.kind === 'phone') return this.meet(session, told, address);
    if (row?.deleted || (isOwn && row === null)) throw relayError('device_revoked');
    if (row === null) {
      await this.limits.registration(address);
      const label = { ...told, name: told.name ?? 'Browser' };
      const { session: admitted } = await this.devices.signIn(account, { ...label, id }, new Date(expiresAt!));
      await this.events.note(account, 'session.began', { address, id: admitted.deviceId, name: label.name });
      return { session: { ...admitted, expiresAt }, label };
    }
    const { ownName, ...known } = openDevice(account, row.id, row.content!);
    const said = { ...known, name: ownName ?? known.name };
    const now = { ...said, ...told };
    if (JSON.stringify(now) !== JSON.stringify(said)) await this.introduce(account, row.id, now);
    // A name that a person gave stays, unless it calls itself something new.
    const name = now.name === said.name ? known.name : now.name;
    return {
      session: { ...session, deviceId: row.id, phoneId: row.pairedWith ?? '' },
      label: labelOf({ ...now, name }),
    };
  }

  private async introduce(account: AccountKey, id: string, row: DeviceLabel): Promise<void> {
    const bytes = 256 + 2 * JSON.stringify(row).length;
    const introduction: DeviceMutation = { account, kind: 'device', id, op: 'introduce', row, at: Date.now(), bytes };
    const [outcome] = await this.changes.submit([introduction]);
    if (outcome!.result === 'missing') throw relayError('device_revoked'); // in the meantime
  }
}

function find({ id: accountId, home }: AccountKey, id: string) {
  return home.database.prisma.device.findFirst({
    where: { accountId, id },
    select: { id: true, kind: true, deleted: true, pairedWith: true, content: true },
  });
}
