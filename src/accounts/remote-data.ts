import { Injectable } from '@nestjs/common';
import type { AccountKey } from '../changes/account-key.js';

type Delete = (account: AccountKey) => Promise<void>;

/**
 * What clients of table sync keep here. A client may ask for all of it to be deleted as it registers (wire.md, section C:
 * `deleteRemoteData`); the room that keeps it says how.
 */
@Injectable()
export class RemoteData {
  private readonly deletions: Delete[] = [];

  /** Called once, while the server is wired. `deletion` resolves after its commit. */
  deletedBy(deletion: Delete): void {
    this.deletions.push(deletion);
  }

  /** Resolves when everything is deleted, so that others learn it before the new client starts. */
  async delete(account: AccountKey): Promise<void> {
    for (const deletion of this.deletions) await deletion(account);
  }
}
