import type { ChangesPage, SnapshotPage } from '@pairline/protocol';
import type { Connection } from './connection.js';
import { call } from './http.js';
import type { PhoneAccount } from './phone-account.js';
import type { PhoneIdentity } from './phone-identity.js';
import { ClientError } from './types.js';
import { Turns } from './waiting.js';

const PAGE = 1000;

export interface FollowingEvents {
  /** A device joined or went, or got the keys. */
  devices: () => void;
  /** A device went. */
  deviceGone: () => void;
  messageDeleted: (id: string) => void;
  /** A device joined that somebody who made an epoch did not know of. */
  keysOwed: () => void;
}

type Get = <T>(path: string) => Promise<T>;

/** Follows the account for its keys and devices, and for what is deleted. The messages in it are the phone's own. */
export class PhoneFollowing {
  private readonly pages = new Turns();
  /** Which connection it is: what an older one told is told again. */
  private round = 0;

  constructor(
    private readonly url: string,
    private readonly identity: PhoneIdentity,
    private readonly connection: Connection,
    /** Resolves once there is an account. */
    private readonly account: Promise<PhoneAccount>,
    private readonly events: FollowingEvents,
  ) {}

  /** What came while there was no connection; resolves with the cursor to follow from. */
  async catchUp(signal: AbortSignal): Promise<number> {
    this.round++;
    if (this.identity.is.deviceToken === undefined) return 0;
    await this.pages.over();
    await this.readOn(signal);
    return this.identity.is.cursor;
  }

  take(page: ChangesPage): void {
    const { round } = this;
    void this.pages.take(async () => {
      await this.account;
      if (round !== this.round) return;
      try {
        await this.learn(page);
      } catch (error) {
        this.round++;
        this.connection.fail(error);
      }
    });
  }

  /** Reads what the connection may not have brought yet. */
  async readAhead(): Promise<void> {
    await this.pages.over();
    await this.readOn();
  }

  over(): Promise<void> {
    return this.pages.over();
  }

  private async readOn(signal?: AbortSignal): Promise<void> {
    const token = this.identity.is.deviceToken!;
    const get: Get = (path) => call(this.url, path, { token, ...(signal && { signal }) });
    try {
      for (let more = true; more;) {
        const page: ChangesPage = await get(`/api/changes?after=${this.identity.is.cursor}&limit=${PAGE}`);
        await this.learn(page);
        more = page.more ?? false;
      }
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'cursor_expired') throw error;
      await this.startOver(get);
    }
  }

  private async startOver(get: Get): Promise<void> {
    let cursor: number | undefined;
    for (let next: number | undefined = 0; next !== undefined;) {
      const page: SnapshotPage = await get(`/api/snapshot?after=${next}&limit=${PAGE}`);
      cursor ??= page.cursor;
      await this.learn({ changes: page.changes, cursor: this.identity.is.cursor });
      next = page.more ? page.next : undefined;
    }
    this.identity.change({ cursor: cursor! });
    await this.identity.keep();
  }

  private async learn({ changes, cursor }: ChangesPage): Promise<void> {
    const { keyring, members } = await this.account;
    let learned = false;
    let devices = false;
    for (const { kind, id, op, row } of changes) {
      devices ||= kind === 'device';
      if (kind === 'device' && op === 'delete') this.events.deviceGone();
      // Not from `delete:message`, which is not heard while there is no connection.
      if (kind === 'message' && op === 'delete') this.events.messageDeleted(id);
      if (kind !== 'state' || row === undefined) continue;
      // An epoch without the phone proves nothing: when it was removed, the server ends its token.
      const result = await keyring.learn(id, row.value);
      learned ||= result === 'learned' || result === 'joined';
    }
    this.identity.change({ cursor });
    await (learned ? this.identity.keep() : this.identity.keepCursor());
    if (learned || keyring.isBlocked) members.learned();
    if (keyring.owed().length > 0) this.events.keysOwed();
    if (learned || devices) this.events.devices();
  }
}
