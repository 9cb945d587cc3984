import {
  DEVICE_SAFETY_WORDS,
  EPOCH_INFO,
  KEY_BYTES,
  PAIRING_INFO,
  STATE,
  type EpochMembers,
  type EpochValue,
  type Handover,
  type LateKeyValue,
  type MemberValue,
  type PairingCode,
} from '@pairline/protocol';
import { ClientError } from '../types.js';
import { fromJson, keyBytes, randomBytes, utf8 } from './bytes.js';
import { contextOf, EpochKey, epochNumber, epochOf, isEnvelope, type Opened, type SealedKind } from './epoch.js';
import { isEpochValue, isLateKeyValue, readEpochs, readHandover, readIds, readMembers } from './given.js';
import { newDevice, openFrom, sealTo, type DeviceKeys } from './hpke.js';
import { safetyWords } from './words.js';

// What a device knows of its account's keys. It does no I/O: rows go in, envelopes come out, `save()` says what to keep.
//
// An epoch is a content key and the devices that have it. The first one is the phone alone; a device that pairs is handed
// all keys and adds itself; removing a device makes a new epoch without it. docs/encryption.md says why this is enough,
// and for what it is not.

/** What a store keeps of a keyring: JSON. Whoever has it reads everything. */
export interface SavedKeyring {
  accountId: string;
  deviceId: string;
  device: DeviceKeys;
  /** Keys by epoch, base64url. */
  epochs: Record<string, string>;
  /** The devices of the current epoch, this one too. */
  members: MemberValue[];
  /** An epoch whose row was refused, while it is the next one. */
  refused?: number;
  /** The rows of the epochs after the current one, from the one on that leaves this device out. */
  ahead?: EpochValue[];
  /** Members that have no keys from some epoch on, with the number of the first: they were not known to who made it. */
  owed?: Record<string, number>;
}

/**
 * What a row of the account did to the keyring:
 * - `learned`: a new device or a new epoch; save the keyring, and try again what had no key;
 * - `ignored`: nothing new, or no row of the keyring's;
 * - `early`: about an epoch that is further than the next; give it again after the rows before it;
 * - `refused`: no member made it: a forgery, or damage;
 * - `left-out`: a new epoch without this device. It cannot be verified by the one that it leaves out: if this device was
 *   removed, the server ends its session; if it was not known to who made the epoch, the key comes late;
 * - `joined`: the key that came late; as `learned`, and put `member()` at its place once more, for those who are there.
 */
export type Learned = 'learned' | 'ignored' | 'early' | 'refused' | 'left-out' | 'joined';

/** A new epoch that is not in force yet. */
export interface Rotation {
  /** The state row to write it to, with `ifAbsent`. */
  key: string;
  value: EpochValue;
  /** Puts it in force here, once the server has it. */
  commit(): void;
}

const EPOCH_ROW = STATE.epoch(0).slice(0, -1);
const MEMBER_ROW = STATE.member('');
/** Of as many epochs, one after the other, a device can be left out without losing its way. */
const MOST_AHEAD = 16;

export class Keyring {
  readonly #device: DeviceKeys;
  /** From 1 without a gap; the last is the current one. */
  readonly #epochs = new Map<number, EpochKey>();
  #members = new Map<string, string>();
  #refused: number | undefined;
  #ahead: EpochValue[] = [];
  readonly #owed = new Map<string, number>();
  #learning: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly accountId: string,
    readonly deviceId: string,
    { privateKey, publicKey }: DeviceKeys,
    epochs: EpochKey[],
    members: MemberValue[],
  ) {
    this.#device = { privateKey, publicKey };
    for (const key of epochs) this.#epochs.set(key.epoch, key);
    for (const { deviceId, key } of members) this.#members.set(deviceId, key);
    this.#members.set(this.deviceId, publicKey);
  }

  /** The first keyring of an account: epoch 1, with this device alone in it. */
  static async create(accountId: string, deviceId: string): Promise<Keyring> {
    return new Keyring(accountId, deviceId, await newDevice(), [new EpochKey(1, randomBytes(KEY_BYTES))], []);
  }

  /** Throws a `ClientError` `no_keys` for what `save()` did not answer. */
  static load(saved: SavedKeyring): Keyring {
    const { accountId, deviceId, device } = saved;
    const epochs = readEpochs(saved.epochs);
    const members = readMembers(saved.members);
    if (!epochs || !members || !keyBytes(device.privateKey) || !keyBytes(device.publicKey)) {
      throw new ClientError('no_keys', 'The keys that were kept on this device are damaged. Pair it again.');
    }
    const keyring = new Keyring(accountId, deviceId, device, epochs, members);
    keyring.#refused = saved.refused;
    keyring.#ahead = (saved.ahead ?? []).filter(isEpochValue);
    for (const [id, epoch] of Object.entries(saved.owed ?? {})) keyring.#owed.set(id, epoch);
    return keyring;
  }

  /**
   * The keyring of a device that was let in: opens the `Handover` that came for the code it showed. `deviceId` and
   * `accountId` are what the server calls it. Then put `member()` at `STATE.member(deviceId)`, once.
   * Rejects with `no_keys` when it was sealed by somebody who did not read the code, or changed on the way.
   */
  static async accept(
    sealed: string,
    code: PairingCode,
    device: DeviceKeys,
    { accountId, deviceId }: { accountId: string; deviceId: string },
  ): Promise<Keyring> {
    const plaintext = await openFrom(sealed, device, handoverPurpose(code));
    const handover = plaintext && readHandover(fromJson(plaintext));
    if (handover === undefined || handover.accountId !== accountId) {
      throw new ClientError(
        'no_keys',
        'The keys that came do not open: they were not made for this code, or somebody changed them. Show a new code.',
      );
    }
    const { epochs, members } = handover;
    if (members.some((member) => (member.deviceId === deviceId) !== (member.key === device.publicKey))) {
      throw new ClientError('no_keys', 'The server gave this device the id of another one. Show a new code.');
    }
    return new Keyring(accountId, deviceId, device, epochs, members);
  }

  /**
   * The keyring of a device that signed in again, and that the server gives another id: with the keys that it has. Then put
   * `member()` as after `accept`.
   */
  static async rejoin(saved: SavedKeyring, deviceId: string): Promise<Keyring> {
    const old = Keyring.load(saved);
    const others = old.members().filter((member) => member.deviceId !== old.deviceId);
    return new Keyring(old.accountId, deviceId, await newDevice(), [...old.#epochs.values()], others);
  }

  save(): SavedKeyring {
    return {
      accountId: this.accountId,
      deviceId: this.deviceId,
      device: this.#device,
      epochs: this.#epochTexts(),
      members: this.members(),
      ...(this.isBlocked ? { refused: this.#refused! } : {}),
      ...(this.isLeftOut ? { ahead: this.#ahead } : {}),
      ...(this.#owed.size > 0 ? { owed: Object.fromEntries(this.#owed) } : {}),
    };
  }

  /** The current epoch, from 1. */
  get epoch(): number {
    return this.#current.epoch;
  }

  /** Whether what stands in the row of the next epoch is nothing that this device can follow. */
  get isBlocked(): boolean {
    return this.#refused === this.epoch + 1;
  }

  /** Whether the others have gone on to an epoch whose key has not come. What is sealed here meanwhile is of an old one. */
  get isLeftOut(): boolean {
    return this.#ahead.length > 0;
  }

  /** This device as a member. */
  member(): MemberValue {
    return { deviceId: this.deviceId, key: this.#device.publicKey };
  }

  /** The devices of the current epoch, this one too. */
  members(): MemberValue[] {
    return Array.from(this.#members, ([deviceId, key]) => ({ deviceId, key }));
  }

  /** An envelope under the current epoch. Throws a TypeError for what JSON cannot say. */
  seal(kind: SealedKind, id: string, value: unknown): Promise<string> {
    return this.#current.seal(contextOf(this.accountId, kind, id), value);
  }

  /**
   * Opens what `seal` made, under whichever epoch. Takes anything and never throws. Who opens checks the shape of the value,
   * and that its epoch will do: a command must be of the current one, a replacement must supersede what it replaces.
   */
  async open<T>(kind: SealedKind, id: string, envelope: unknown): Promise<Opened<T>> {
    if (!isEnvelope(envelope)) return { ok: false, fault: 'not-sealed' };
    const epoch = epochOf(envelope);
    if (epoch === undefined) return { ok: false, fault: 'tampered' };
    const key = this.#epochs.get(epoch);
    if (key === undefined) return { ok: false, fault: 'no-key' };
    return key.open<T>(contextOf(this.accountId, kind, id), envelope);
  }

  /** What stands for a number where the server needs something to tell conversations apart by. */
  alias(number: string): Promise<string> {
    return this.#epochs.get(1)!.alias(number);
  }

  /**
   * The account's keys for the browser that shows this code; to be sent with `serverPart(code)`. `admit` it once the server
   * said under which id. Rejects with `bad_code` for the code of a page without end-to-end encryption.
   */
  async handOver(code: PairingCode): Promise<string> {
    const handover: Handover = {
      accountId: this.accountId,
      epochs: this.#epochTexts(),
      members: this.members(),
      by: this.deviceId,
    };
    if (keyBytes(code.key) === undefined || keyBytes(code.secret) === undefined) {
      throw new ClientError('bad_code', 'This code has no key in it: its page does not encrypt end to end.');
    }
    const sealed = await sealTo(code.key!, utf8(JSON.stringify(handover)), handoverPurpose(code));
    // 32 bytes can be a point of small order, to which nobody can seal.
    if (sealed === undefined)
      throw new ClientError('bad_code', 'The key in this code is none that anything can be sealed to.');
    return sealed;
  }

  /**
   * Counts a device in that this one handed the keys to, up to `epoch`. False when its id or its key is another member's.
   */
  admit({ deviceId, key }: MemberValue, epoch = this.epoch): boolean {
    if (keyBytes(key) === undefined) return false;
    for (const [id, known] of this.#members) if ((id === deviceId) !== (known === key)) return false;
    this.#members.set(deviceId, key);
    if (epoch < this.epoch && !this.#owed.has(deviceId)) this.#owed.set(deviceId, epoch + 1);
    return true;
  }

  /** The members that lack keys, because who made an epoch did not know of them. */
  owed(): string[] {
    return [...this.#owed.keys()];
  }

  /** What a member lacks: state rows to put, in this order. Then call `paid`. */
  async lateKeys(deviceId: string): Promise<{ key: string; value: LateKeyValue; epoch: number }[]> {
    const [first, member] = [this.#owed.get(deviceId), this.#members.get(deviceId)];
    if (first === undefined || member === undefined) return [];
    const lacking = [...this.#epochs.values()].filter(({ epoch }) => epoch >= first);
    const rows = lacking.map(async (next) => {
      const row = STATE.lateKey(next.epoch, deviceId);
      const key = await sealTo(member, next.bytes(), epochPurpose(row), this.#device);
      return key === undefined ? [] : [{ key: row, value: { by: this.deviceId, key }, epoch: next.epoch }];
    });
    return (await Promise.all(rows)).flat();
  }

  /** A member has got what it lacked, up to this epoch; or is none any more. */
  paid(deviceId: string, epoch: number): void {
    if (epoch >= this.epoch) this.#owed.delete(deviceId);
    else if (this.#owed.has(deviceId)) this.#owed.set(deviceId, epoch + 1);
  }

  /**
   * Takes over what this same device has saved elsewhere, in another tab: epochs and members that are not known here.
   * Answers whether there were any.
   */
  adopt(saved: SavedKeyring): Promise<boolean> {
    return this.#inTurn(() => {
      const epochs = readEpochs(saved.epochs);
      const members = readMembers(saved.members);
      if (saved.accountId !== this.accountId || saved.deviceId !== this.deviceId || !epochs || !members) return false;
      const further = epochs.slice(this.epoch);
      for (const key of further) this.#epochs.set(key.epoch, key);
      if (further.length > 0) this.#members = new Map(members.map(({ deviceId, key }) => [deviceId, key]));
      else if (epochs.length < this.epoch) return false;
      if (further.length > 0 || !this.isLeftOut) this.#ahead = (saved.ahead ?? []).filter(isEpochValue);
      const joined = members.filter((member) => !this.#members.has(member.deviceId) && this.admit(member));
      return further.length + joined.length > 0;
    });
  }

  /**
   * Takes a row of kind `state`. Rows of members and epochs that other members made add to the keyring; give them in the
   * order of their change numbers, from the account's first on. Calls are worked off one by one.
   */
  learn(key: string, value: unknown): Promise<Learned> {
    return this.#inTurn(async () => {
      if (key.startsWith(MEMBER_ROW)) return this.#learnMember(key, value);
      if (key.startsWith(EPOCH_ROW)) return this.#learnEpoch(key, value);
      if (this.isLeftOut && key === STATE.lateKey(this.epoch + 1, this.deviceId)) return this.#learnLateKey(key, value);
      return 'ignored';
    });
  }

  /**
   * A new epoch without a device. `listed`: the ids of the devices that the server lists; a member that is not among them is
   * left out too, so that a device cannot stay by having made up others. When the server answers `state_exists`, somebody
   * else was first: `learn` the row that stands, and if the device is still a member, make another one.
   */
  async rotate(without: string, listed?: Iterable<string>): Promise<Rotation> {
    if (without === this.deviceId) throw new TypeError('A device cannot make the epoch that leaves it out');
    const stay = listed && new Set(listed).add(this.deviceId);
    const next = new EpochKey(this.epoch + 1, randomBytes(KEY_BYTES));
    const row = STATE.epoch(next.epoch);
    const before = this.members();
    const sealed = await Promise.all(
      before
        .filter(({ deviceId }) => deviceId !== without && (stay === undefined || stay.has(deviceId)))
        .map(async (member) => {
          // Nothing can be sealed to a point of small order; who published one stays out, and cannot stop the others.
          const key = await sealTo(member.key, next.bytes(), epochPurpose(row), this.#device);
          return key === undefined ? [] : [{ member, key }];
        }),
    );
    const members = sealed.flat().map(({ member }) => member);
    const gone = before
      .map((member) => member.deviceId)
      .filter((id) => !members.some((member) => member.deviceId === id));
    const list: EpochMembers = { epoch: next.epoch, members, without: [...new Set([...gone, without])] };
    const value: EpochValue = {
      by: this.deviceId,
      keys: Object.fromEntries(sealed.flat().map(({ member, key }) => [member.deviceId, key])),
      members: await next.seal(contextOf(this.accountId, 'state', row), list),
    };
    return { key: row, value, commit: () => this.#enter(next, members, list.without) };
  }

  /**
   * Six words that this device and the other one show alike if, and only if, they have the same account and each other's
   * real keys. Undefined for a device that is no other member.
   */
  async safetyWords(deviceId: string): Promise<string[] | undefined> {
    const key = this.#members.get(deviceId);
    if (key === undefined || deviceId === this.deviceId) return undefined;
    return safetyWords(this.accountId, this.#device.publicKey, key, DEVICE_SAFETY_WORDS);
  }

  /** Whoever asked is told what came of it; the next one does not care. */
  #inTurn<T>(work: () => T | Promise<T>): Promise<T> {
    const turn = this.#learning.then(work);
    this.#learning = turn.catch(() => undefined);
    return turn;
  }

  get #current(): EpochKey {
    return this.#epochs.get(this.#epochs.size)!;
  }

  #epochTexts(): Record<string, string> {
    return Object.fromEntries(Array.from(this.#epochs.values(), (key) => [String(key.epoch), key.text()]));
  }

  #enter(next: EpochKey, members: MemberValue[], without: string[] | undefined): void {
    // The row of this device's own rotation may come by before the answer to it does.
    if (next.epoch !== this.epoch + 1) return;
    const before = this.members();
    this.#epochs.set(next.epoch, next);
    this.#members = new Map(members.map(({ deviceId, key }) => [deviceId, key]));
    this.#ahead = [];
    // Whoever was not meant to be left out stays, and is to get the key. Where it is not said who was, everybody was.
    const isMissing = ({ deviceId }: MemberValue) =>
      !this.#members.has(deviceId) && without?.includes(deviceId) === false;
    for (const member of before.filter(isMissing)) this.admit(member, next.epoch - 1);
    for (const id of this.#owed.keys()) if (!this.#members.has(id)) this.#owed.delete(id);
  }

  async #learnMember(row: string, value: unknown): Promise<Learned> {
    const epoch = epochOf(value);
    // Under an older key it may come from a device that was removed since; its list says who is in the current epoch.
    if (epoch !== undefined && epoch < this.epoch) return 'ignored';
    const opened = await this.open<unknown>('state', row, value);
    if (!opened.ok) return opened.fault === 'no-key' ? 'early' : 'refused';
    const [member] = readMembers([opened.value]) ?? [];
    if (member === undefined || row !== STATE.member(member.deviceId)) return 'refused';
    if (this.#members.get(member.deviceId) === member.key) return 'ignored';
    return this.admit(member) ? 'learned' : 'refused';
  }

  async #learnEpoch(row: string, value: unknown): Promise<Learned> {
    const epoch = epochNumber(row.slice(EPOCH_ROW.length));
    if (epoch === undefined) return 'refused';
    if (epoch <= this.epoch) return 'ignored';
    if (epoch > this.epoch + 1) {
      // Rows come once: what follows an epoch without this device is wanted when its key has come.
      const isNext = this.#ahead.length > 0 && epoch === this.epoch + 1 + this.#ahead.length;
      if (isNext && this.#ahead.length < MOST_AHEAD && isEpochValue(value)) this.#ahead.push(value);
      return 'early';
    }
    this.#ahead = [];
    const learned = await this.#follow(row, epoch, value);
    if (learned !== 'learned') this.#refused = epoch;
    if (learned === 'left-out') this.#ahead = [value as EpochValue];
    return learned;
  }

  async #follow(row: string, epoch: number, value: unknown): Promise<'learned' | 'left-out' | 'refused'> {
    if (!isEpochValue(value)) return 'refused';
    const sender = this.#members.get(value.by);
    if (sender === undefined) return 'refused';
    if (!Object.hasOwn(value.keys, this.deviceId)) return value.by === this.deviceId ? 'refused' : 'left-out';
    const raw = await openFrom(value.keys[this.deviceId], this.#device, epochPurpose(row), sender);
    const next = raw?.length === KEY_BYTES ? new EpochKey(epoch, raw) : undefined;
    const list = next && (await this.#listOf(next, value));
    if (!list || !isIn(list.members, this.member()) || !isIn(list.members, { deviceId: value.by, key: sender })) return 'refused'; // prettier-ignore
    this.#enter(next, list.members, list.without);
    return 'learned';
  }

  /** The key of an epoch that had been made without this device, if it is really that epoch's and a member of it sent it. */
  async #learnLateKey(row: string, value: unknown): Promise<Learned> {
    const sender = isLateKeyValue(value) ? this.#members.get(value.by) : undefined;
    if (!isLateKeyValue(value) || sender === undefined) return 'refused';
    const raw = await openFrom(value.key, this.#device, epochPurpose(row), sender);
    const [made, ...after] = this.#ahead as [EpochValue, ...EpochValue[]];
    const next = raw?.length === KEY_BYTES ? new EpochKey(this.epoch + 1, raw) : undefined;
    const list = next && (await this.#listOf(next, made));
    if (!list || !isIn(list.members, { deviceId: value.by, key: sender })) return 'refused';
    if (list.without?.includes(this.deviceId) !== false) return 'refused';
    this.#enter(next, [...list.members, this.member()], list.without);
    for (const [i, value] of after.entries()) await this.#learnEpoch(STATE.epoch(next.epoch + 1 + i), value);
    return 'joined';
  }

  /** Who is in an epoch, by its own row; undefined when the key is not that epoch's. */
  async #listOf(next: EpochKey, { members: sealed }: EpochValue) {
    if (epochOf(sealed) !== next.epoch) return undefined;
    const context = contextOf(this.accountId, 'state', STATE.epoch(next.epoch));
    const list = await next.open<Partial<EpochMembers> | null>(context, sealed);
    const members = list.ok && list.value?.epoch === next.epoch ? readMembers(list.value.members) : undefined;
    return members && { members, without: list.ok ? readIds(list.value?.without) : undefined };
  }
}

function isIn(members: MemberValue[], { deviceId, key }: MemberValue): boolean {
  return members.some((member) => member.deviceId === deviceId && member.key === key);
}

/**
 * Whether a value with a version (of a conversation, of its flags) may take the place of the one held: nothing goes back to
 * an older version, and nothing written by who only has an older key takes the place of something newer.
 */
export function supersedes(
  next: { epoch: number; version: number },
  held: { epoch: number; version: number } | undefined,
): boolean {
  if (held === undefined) return true;
  return next.epoch === held.epoch ? next.version > held.version : next.epoch > held.epoch;
}

function handoverPurpose({ token, secret }: PairingCode) {
  return { info: PAIRING_INFO, aad: token, psk: { id: PAIRING_INFO, key: keyBytes(secret)! } };
}

function epochPurpose(row: string) {
  return { info: EPOCH_INFO, aad: row };
}
