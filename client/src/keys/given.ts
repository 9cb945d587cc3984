import type { EpochValue, Handover, LateKeyValue, MemberValue } from '@pairline/protocol';
import { keyBytes } from './bytes.js';
import { EpochKey } from './epoch.js';

// What comes from another device is checked like anything else that comes from outside.

export function readHandover(given: unknown) {
  const value = given as Partial<Handover> | null | undefined;
  const epochs = readEpochs(value?.epochs);
  const members = readMembers(value?.members);
  if (typeof value?.accountId !== 'string' || !epochs || !members) return undefined;
  if (!members.some(({ deviceId }) => deviceId === value.by)) return undefined;
  return { accountId: value.accountId, epochs, members };
}

/** In order, from 1 without a gap. */
export function readEpochs(value: unknown): EpochKey[] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const texts = value as Record<string, unknown>;
  const epochs: EpochKey[] = [];
  for (let epoch = 1; epoch <= Object.keys(texts).length; epoch++) {
    const raw = keyBytes(texts[epoch]);
    if (raw === undefined) return undefined;
    epochs.push(new EpochKey(epoch, raw));
  }
  return epochs.length === 0 ? undefined : epochs;
}

/** Each id and each key once. */
export function readMembers(value: unknown): MemberValue[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const members: MemberValue[] = [];
  for (const item of value as (Partial<MemberValue> | null)[]) {
    if (typeof item?.deviceId !== 'string' || typeof item.key !== 'string' || !keyBytes(item.key)) return undefined;
    members.push({ deviceId: item.deviceId, key: item.key });
  }
  const unique = (texts: string[]) => new Set(texts).size === members.length;
  return unique(members.map((it) => it.deviceId)) && unique(members.map((it) => it.key)) ? members : undefined;
}

export function isEpochValue(value: unknown): value is EpochValue {
  const { by, keys, members } = (value ?? {}) as Partial<EpochValue>;
  return typeof by === 'string' && typeof keys === 'object' && keys !== null && typeof members === 'string';
}

export function isLateKeyValue(value: unknown): value is LateKeyValue {
  const { by, key } = (value ?? {}) as Partial<LateKeyValue>;
  return typeof by === 'string' && typeof key === 'string';
}

/** The ids that an epoch says it leaves out; undefined when it does not say. */
export function readIds(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((id) => typeof id === 'string') ? value : undefined;
}
