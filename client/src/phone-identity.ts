import { Keyring } from './keys/index.js';
import type { PhoneState, Store } from './store.js';

/** How many changes may be read once more after a restart. */
const CURSOR_SAVED_EVERY = 1000;

/** Who a phone is, as its store keeps it: its id and token, how far it has read, what it has told, and the account's keys. */
export class PhoneIdentity {
  private savedCursor: number;

  private constructor(
    private readonly store: Store,
    private known: PhoneState,
    public keyring: Keyring | undefined,
  ) {
    this.savedCursor = known.cursor;
  }

  /** What the store says, or somebody new. Throws a `ClientError` `no_keys` for keys that are damaged. */
  static async load(store: Store): Promise<PhoneIdentity> {
    const { phone, keys } = await store.read(async (tx) => ({
      phone: await tx.value('phone'),
      keys: await tx.value('keyring'),
    }));
    const known = phone ?? { deviceId: newDeviceId(), cursor: 0, version: 0, contacts: [] };
    return new PhoneIdentity(store, known, keys && Keyring.load(keys));
  }

  get is(): Readonly<PhoneState> {
    return this.known;
  }

  change(part: Partial<PhoneState>): void {
    this.known = { ...this.known, ...part };
  }

  /** Takes another id, with nothing said to anybody under the old one. */
  becomeAnother(): void {
    this.change({ deviceId: newDeviceId() });
  }

  /** No version is given twice, also after a restart: `keep()` before it is told. */
  nextVersion(): number {
    this.change({ version: Math.max(Date.now(), this.known.version + 1) });
    return this.known.version;
  }

  async keep(): Promise<void> {
    const { known, keyring } = this;
    await this.store.write(async (tx) => {
      await tx.set('phone', known);
      await tx.set('keyring', keyring?.save());
    });
    this.savedCursor = known.cursor;
  }

  /** Keeps how far it has read, from time to time: what is read again does no harm. */
  async keepCursor(): Promise<void> {
    if (this.known.cursor >= this.savedCursor + CURSOR_SAVED_EVERY) await this.keep();
  }

  async forget(): Promise<void> {
    await this.store.write((tx) => tx.clear());
  }
}

function newDeviceId(): string {
  return `phone-${crypto.randomUUID()}`;
}
