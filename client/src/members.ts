import { STATE, type ListedDevice, type PairingCode } from '@pairline/protocol';
import type { Connection } from './connection.js';
import { call } from './http.js';
import type { Keyring } from './keys/index.js';
import { ClientError, type Device } from './types.js';
import { pause, Turns } from './waiting.js';

const TRIES = 5;
const LEARN_MS = 30_000;

export interface Household {
  /** Keeps the keyring as it is now. */
  keep(): Promise<void>;
  /** Takes over what was learned elsewhere on this device. */
  refresh(): Promise<void>;
  /** The devices that the server lists. */
  list(): Promise<{ id: string }[]>;
  /**
   * Whether this device clears away what stands in the way of the next epoch. One alone does, the phone: of two at once
   * the second would take the row of the first away.
   */
  clears: boolean;
}

/** Who has the account's keys, and what is needed to change that. */
export class Members {
  private readonly waiting = new Set<() => void>();
  private readonly handing = new Turns();

  constructor(
    readonly keyring: Keyring,
    private readonly connection: Connection,
    private readonly household: Household,
  ) {}

  has(deviceId: string): boolean {
    return this.keyring.members().some((member) => member.deviceId === deviceId);
  }

  /** A row of another member's was learned, or one that stands in the way. */
  learned(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }

  /**
   * Begins an epoch without a device, so that it cannot read what is written from then on. Of two members that do so at
   * once one is first, and the other goes on from there. Members that the server does not list stay out too. Resolves when
   * the device is out.
   */
  async shutOut(deviceId: string): Promise<void> {
    await this.household.refresh();
    const { epoch: began } = this.keyring;
    // One that joined just now may be known to others only: it takes an epoch to be sure.
    const wasKnown = this.has(deviceId);
    const isIn = () => (wasKnown ? this.has(deviceId) : this.keyring.epoch === began);
    for (let attempt = 0; isIn(); attempt++) {
      if (attempt === TRIES) throw new ClientError('state_exists', 'Other devices begin one epoch after the other');
      const listed = await this.listed();
      // Somebody else was faster.
      if (!isIn()) break;
      const { epoch } = this.keyring;
      const rotation = await this.keyring.rotate(deviceId, listed);
      const { key, value } = rotation;
      try {
        await this.connection.deliver('state:put', async () => ({ key, value, ifAbsent: true }));
        rotation.commit();
        await this.household.keep();
      } catch (error) {
        if (!(error instanceof ClientError) || error.code !== 'state_exists') throw error;
        await this.after(epoch);
        if (this.isToClear) await this.connection.deliver('state:delete', async () => ({ key })).catch(unlessGone);
      }
    }
    const gone = async () => ({ key: STATE.member(deviceId) });
    await this.connection.deliver('state:delete', gone).catch(unlessGone);
    // Somebody may have been let in meanwhile.
    await this.handLateKeys();
  }

  /**
   * Brings the newest keys to members that joined while somebody who did not know of them made an epoch. Whatever member
   * knows of them does so, when it hears of that epoch and with each connection. Rejects with what keeps it from that.
   */
  handLateKeys(): Promise<void> {
    return this.handing.take(async () => {
      if (this.keyring.owed().length === 0) return;
      const listed = new Set((await this.household.list()).map(({ id }) => id));
      for (const deviceId of this.keyring.owed()) {
        // As with a new epoch: who is in it is a device that the server lists.
        const rows = listed.has(deviceId) ? await this.keyring.lateKeys(deviceId) : [];
        for (const { key, value } of rows) await this.connection.deliver('state:put', async () => ({ key, value }));
        this.keyring.paid(deviceId, rows.at(-1)?.epoch ?? Infinity);
        await this.household.keep();
      }
    });
  }

  /** Whoever is let in while the list is on its way is not in it yet. */
  private async listed(): Promise<string[]> {
    const before = new Set(this.keyring.members().map(({ deviceId }) => deviceId));
    const devices = await this.household.list();
    await this.household.refresh();
    const since = this.keyring.members().filter(({ deviceId }) => !before.has(deviceId));
    return [...devices.map(({ id }) => id), ...since.map(({ deviceId }) => deviceId)];
  }

  private get isToClear(): boolean {
    return this.household.clears && this.keyring.isBlocked;
  }

  /** Resolves when an epoch above this one is known here, or not to be followed: its row comes with the changes. */
  private async after(epoch: number): Promise<void> {
    const late = new AbortController();
    const tooLate = pause(LEARN_MS, late.signal).then(() => late.abort());
    while (this.keyring.epoch === epoch && !this.isToClear && !late.signal.aborted)
      await Promise.race([new Promise<void>((resolve) => this.waiting.add(resolve)), tooLate]);
    late.abort();
    if (this.keyring.epoch === epoch && !this.isToClear)
      throw new ClientError('timeout', 'The epoch of another device did not come');
  }
}

/** What was to be deleted is not there. */
export function unlessGone(error: unknown): void {
  if (!(error instanceof ClientError) || error.code !== 'not_found') throw error;
}

export async function listDevices(url: string, token: string, keyring: Keyring | undefined): Promise<Device[]> {
  const { devices } = await call<{ devices: ListedDevice[] }>(url, '/api/devices', { token });
  const members = new Set(keyring?.members().map(({ deviceId }) => deviceId));
  return devices.map((device) => ({ ...device, verified: members.has(device.id) }));
}

export async function deleteDevice(url: string, token: string, deviceId: string): Promise<void> {
  await call(url, `/api/devices/${encodeURIComponent(deviceId)}`, { token, method: 'DELETE' });
}

/** What came of a claim. The server knows no code of another one: `wrong_server` says more than that it is invalid. */
export function claimError(error: unknown, { url: elsewhere }: PairingCode, url: string): unknown {
  if (!(error instanceof ClientError) || error.code !== 'invalid_qr' || new URL(elsewhere).origin === url) return error;
  return new ClientError('wrong_server', `This code is of another server: ${elsewhere}`);
}
