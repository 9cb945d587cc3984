import { isPassing, waitAfter, type Connection } from './connection.js';
import { listDevices } from './members.js';
import type { PhoneAccount } from './phone-account.js';
import type { PhoneIdentity } from './phone-identity.js';
import { ClientError } from './types.js';
import { pause, Turns } from './waiting.js';

/**
 * The phone's watch over who has the keys: whoever is not a device any more is not to read what comes from now on, and
 * whoever is one is to have the newest.
 */
export class MemberCheck {
  private readonly checks = new Turns();
  /** Between two tries to find out who is still a device. */
  private rest: AbortController | undefined;
  private closed = false;

  constructor(
    private readonly url: string,
    private readonly identity: PhoneIdentity,
    private readonly connection: Connection,
    private readonly account: Promise<PhoneAccount>,
    /** Somebody was shut out. */
    private readonly changed: () => void,
  ) {}

  run(): Promise<void> {
    return this.checks.take(async () => {
      const account = await this.account;
      for (let attempt = 0, more = true; more; attempt++) {
        if (this.closed) return;
        try {
          await this.setRight(account);
          more = false;
        } catch (error) {
          if (!(error instanceof ClientError)) this.connection.fail(error);
          // The next connection checks again.
          more = isPassing(error) && this.connection.isLive;
          this.rest = new AbortController();
          if (more) await pause(waitAfter(error as ClientError, attempt), this.rest.signal);
        }
      }
    });
  }

  /** Does not wait for the next try. */
  hurry(): void {
    this.rest?.abort();
  }

  async end(): Promise<void> {
    this.closed = true;
    this.hurry();
    await this.checks.over();
  }

  private async setRight({ keyring, members }: PhoneAccount): Promise<void> {
    const { deviceId: self, deviceToken } = this.identity.is;
    if (deviceToken === undefined) return;
    // As they were before the list: who joins meanwhile is not in it.
    const before = keyring.members();
    const devices = await listDevices(this.url, deviceToken, keyring);
    const gone = before.filter((member) => !devices.some(({ id }) => id === member.deviceId));
    for (const { deviceId } of gone) if (deviceId !== self) await members.shutOut(deviceId);
    if (gone.length > 0) this.changed();
    await members.handLateKeys();
  }
}
